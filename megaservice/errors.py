"""Every error of the program.

    MegaserviceError(message; code, retryable)
      LLMError
        LLMUnavailable      no connection, 5xx, or the server says that it is loading
        LLMTimeout          no first token, or a silence between tokens
        LLMRejected         the server refuses our request (4xx)
        LLMProtocolError    the stream broke off or makes no sense
      TTSError
        TTSUnavailable      no connection, 5xx, busy
        TTSTimeout          slower than the sentence allows
        TTSRejected         the endpoint refuses this request (400, 422)
        TTSBadAudio         a 2xx whose body is no plausible speech
        AllEnginesFailed    every endpoint was tried; `causes` in order
      ClipNotStored         AUDIO_DIR cannot be written
      StoreError            the database cannot be read or written
      ClientError           what the caller did wrong; `status` says how in HTTP
        InvalidRequest  NotFound  TooLarge  TooBusy
      SettingsError         the settings cannot work; one line per fault

`code` is stable snake_case for machines, `message` is for people; docs/api.md lists them.
"""

from megaservice.models import Attempt


class MegaserviceError(Exception):
    """Base of all. `retryable`: the same call may succeed later without a change."""

    code = "internal"
    retryable = False

    def __init__(self, message: str, *, code: str | None = None, retryable: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable


class LLMError(MegaserviceError):
    code = "llm_error"


class LLMUnavailable(LLMError):
    code = "llm_unavailable"
    retryable = True


class LLMTimeout(LLMError):
    code = "llm_timeout"
    retryable = True


class LLMRejected(LLMError):
    code = "llm_rejected"


class LLMProtocolError(LLMError):
    code = "llm_protocol_error"
    retryable = True


class TTSError(MegaserviceError):
    code = "tts_error"


class TTSUnavailable(TTSError):
    code = "tts_unavailable"
    retryable = True


class TTSTimeout(TTSError):
    code = "tts_timeout"
    retryable = True


class TTSRejected(TTSError):
    code = "tts_rejected"


class TTSBadAudio(TTSError):
    code = "tts_bad_audio"
    retryable = True


class AllEnginesFailed(TTSError):
    """No endpoint could speak it; `causes` holds (endpoint, error) in the order tried, `attempts` the tries."""

    code = "all_engines_failed"
    retryable = True

    def __init__(self, causes: tuple[tuple[str, TTSError], ...], attempts: tuple[Attempt, ...] = ()) -> None:
        told = "; ".join(f"{endpoint}: {error.message}" for endpoint, error in causes)
        super().__init__(f"No speech endpoint could speak this sentence: {told or 'none is configured'}.")
        self.causes = causes
        self.attempts = attempts


class ClipNotStored(MegaserviceError):
    code = "clip_not_stored"
    retryable = True


class StoreError(MegaserviceError):
    code = "store_failed"
    retryable = True


class ClientError(MegaserviceError):
    status = 400


class InvalidRequest(ClientError):
    code = "invalid_request"
    status = 422


class NotFound(ClientError):
    code = "not_found"
    status = 404


class TooLarge(ClientError):
    code = "message_too_long"
    status = 413


class TooBusy(ClientError):
    code = "too_busy"
    status = 503
    retryable = True


class SettingsError(MegaserviceError):
    code = "settings_invalid"

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults
