"""HTTP from the page to MegaService, its only upstream: where it is, which ids may be named, how a turn is started."""

import os
import re
from dataclasses import dataclass

import httpx

DEFAULT_URL = "http://127.0.0.1:9500"
# A turn that is accepted answers at once; the reply itself comes by the event stream.
TIMEOUT = httpx.Timeout(10.0, connect=2.0)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class MegaServiceError(Exception):
    """MegaService could not be asked, or refused. `message` is for the learner, `code` for us."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


@dataclass(frozen=True, slots=True)
class StartedTurn:
    turn_id: str
    conversation_id: str


def megaservice_url() -> str:
    """MEGASERVICE_URL without a trailing slash; a bare host and port is http."""
    url = os.environ.get("MEGASERVICE_URL", "").strip().rstrip("/") or DEFAULT_URL
    return url if "://" in url else f"http://{url}"


def is_id(text: str) -> bool:
    """Whether this can be the id of a turn or a conversation; nothing else is ever put into a path upstream."""
    return _ID.fullmatch(text) is not None


class MegaServiceClient:
    """Starts turns. One instance serves all sessions of the page."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        # No proxy of the environment: MegaService is a neighbour, and only that host is ever called.
        self._http = httpx.Client(base_url=base_url, timeout=TIMEOUT, trust_env=False)

    def start_turn(
        self, message: str, *, language: str, hsk_level: int | None, conversation_id: str | None
    ) -> StartedTurn:
        """Have the reply written, whether or not somebody listens. Raises MegaServiceError."""
        body = {
            "message": message,
            "language": language,
            "hsk_level": hsk_level,
            "conversation_id": conversation_id,
        }
        try:
            response = self._http.post("/turns", json=body)
        except httpx.ConnectError as exc:
            raise MegaServiceError(
                f"The tutor is not there: nothing answers at {self.base_url}. Is MegaService running?",
                code="unreachable",
            ) from exc
        except httpx.TransportError as exc:
            raise MegaServiceError(
                f"The tutor did not take your message in time ({self.base_url}).", code="unreachable"
            ) from exc
        if not response.is_success:
            raise _refusal(response)
        return _started(response)

    def close(self) -> None:
        self._http.close()


def _started(response: httpx.Response) -> StartedTurn:
    try:
        answer = response.json()
        ids = (answer["turn_id"], answer["conversation_id"])
    except (ValueError, KeyError, TypeError) as exc:
        raise MegaServiceError("The tutor's answer makes no sense to this page.", code="bad_answer") from exc
    if not all(isinstance(one, str) and is_id(one) for one in ids):
        raise MegaServiceError("The tutor's answer makes no sense to this page.", code="bad_answer")
    return StartedTurn(*ids)


def _refusal(response: httpx.Response) -> MegaServiceError:
    """The problem+json of MegaService; of anything else only the status is told."""
    code, detail = "refused", ""
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        try:
            problem = response.json()
            code, detail = str(problem.get("code", code)), str(problem.get("detail", ""))
        except (ValueError, AttributeError):
            detail = ""
    return MegaServiceError(f"The tutor refused: {detail or f'status {response.status_code}'}", code=code)
