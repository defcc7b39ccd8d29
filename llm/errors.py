"""What can go wrong in the embedded LLM server.

LLMServerError
  ModelUnusable     no model can be had or loaded; the message says what to do
  NotReady          the model is still loading
  Busy              too many replies wait
  GenerationFailed  the runtime broke while it wrote
"""


class LLMServerError(Exception):
    """Base of all; the message is for people."""


class ModelUnusable(LLMServerError):
    pass


class NotReady(LLMServerError):
    pass


class Busy(LLMServerError):
    pass


class GenerationFailed(LLMServerError):
    pass
