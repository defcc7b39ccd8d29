"""What can go wrong in the embedded voice. Each contract (routes/) tells it in its own words.

VoiceServerError(message)
  NothingToSay     the text holds nothing that can be spoken
  TextTooLong      more characters than one call may have
  UnknownVoice     no such voice here
  NotReady         the model is still being fetched or loaded, or that failed
  Busy             the queue is full
  Abandoned        the caller left; nobody reads this one
"""


class VoiceServerError(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NothingToSay(VoiceServerError):
    def __init__(self) -> None:
        super().__init__("The text holds nothing that can be spoken in Chinese or English.")


class TextTooLong(VoiceServerError):
    pass


class UnknownVoice(VoiceServerError):
    pass


class NotReady(VoiceServerError):
    pass


class Busy(VoiceServerError):
    pass


class Abandoned(VoiceServerError):
    def __init__(self) -> None:
        super().__init__("The caller left before the speech was made.")
