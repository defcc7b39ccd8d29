"""HTTP from the page to MegaService, its only upstream: where it is, what may be named, and each call of the page."""

import os
import re
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from megatalk.answers import (
    Conversation,
    Conversations,
    SavedWords,
    StartedTurn,
    StoredConversation,
    Voice,
    Voices,
)

Answer = TypeVar("Answer")

DEFAULT_URL = "http://127.0.0.1:9500"
# A turn that is accepted answers at once; the reply itself comes by the event stream.
TIMEOUT = httpx.Timeout(10.0, connect=2.0)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WORD = re.compile("[\u3400-\u9fff〇\U00020000-\U0003ffff]{1,20}")


class MegaServiceError(Exception):
    """MegaService could not be asked, or refused. `message` is for the learner, `code` for us."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def megaservice_url() -> str:
    """MEGASERVICE_URL without a trailing slash; a bare host and port is http."""
    url = os.environ.get("MEGASERVICE_URL", "").strip().rstrip("/") or DEFAULT_URL
    return url if "://" in url else f"http://{url}"


def is_id(text: str) -> bool:
    """Whether this can be the id of a turn or a conversation; nothing else is ever put into a path upstream."""
    return _ID.fullmatch(text) is not None


def is_word(text: str) -> bool:
    """Whether this can be a word of the word book: hanzi only."""
    return _WORD.fullmatch(text) is not None


class MegaServiceClient:
    """One instance serves all sessions of the page. Every call raises MegaServiceError."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        # No proxy of the environment: MegaService is a neighbour, and only that host is ever called.
        self._http = httpx.Client(base_url=base_url, timeout=TIMEOUT, trust_env=False)

    def start_turn(
        self,
        message: str,
        *,
        language: str,
        hsk_level: int | None,
        conversation_id: str | None,
        hsk_standard: str | None = None,
        voice: str | None = None,
    ) -> StartedTurn:
        """Have the reply written, whether or not somebody listens. None is MegaService's own choice."""
        asked: dict[str, object] = {"message": message, "language": language, "hsk_level": hsk_level}
        asked["conversation_id"] = conversation_id
        chosen = {"hsk_standard": hsk_standard, "voice": voice}
        asked |= {name: choice for name, choice in chosen.items() if choice is not None}
        return _read(StartedTurn, self._ask("POST", "/turns", body=asked))

    def voices(self) -> tuple[Voice, ...]:
        return _read(Voices, self._ask("GET", "/v1/audio/voices")).voices

    def conversations(self, search: str = "", limit: int = 50, after: str | None = None) -> Conversations:
        """The last used first."""
        return _read(Conversations, self._ask("GET", "/conversations", query=_page(search, limit, after)))

    def conversation(self, conversation_id: str, limit: int = 100, before: str | None = None) -> StoredConversation:
        query: dict[str, str | int] = {"limit": limit}
        if before:
            query["before"] = before
        return _read(StoredConversation, self._ask("GET", f"/conversations/{_id(conversation_id)}", query=query))

    def rename(self, conversation_id: str, title: str) -> Conversation:
        return _read(Conversation, self._ask("PATCH", f"/conversations/{_id(conversation_id)}", body={"title": title}))

    def delete(self, conversation_id: str) -> None:
        self._ask("DELETE", f"/conversations/{_id(conversation_id)}")

    def words(self, search: str = "", limit: int = 50, after: str | None = None) -> SavedWords:
        """The last saved first."""
        return _read(SavedWords, self._ask("GET", "/words", query=_page(search, limit, after)))

    def delete_word(self, word: str) -> None:
        if not is_word(word):
            raise MegaServiceError(f"{word} is no Chinese word.", code="not_found")
        self._ask("DELETE", f"/words/{quote(word)}")

    def close(self) -> None:
        self._http.close()

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> bytes:
        """The body of a success."""
        try:
            response = self._http.request(method, path, params=query, json=body)
        except httpx.ConnectError as exc:
            raise MegaServiceError(
                f"The tutor is not there: nothing answers at {self.base_url}. Is MegaService running?",
                code="unreachable",
            ) from exc
        except httpx.TransportError as exc:
            raise MegaServiceError(f"The tutor did not answer in time ({self.base_url}).", code="unreachable") from exc
        if not response.is_success:
            raise _refusal(response)
        return response.content


def _page(search: str, limit: int, after: str | None) -> dict[str, str | int]:
    page: dict[str, str | int] = {"search": search, "limit": limit}
    return page | {"after": after} if after else page


def _id(text: str) -> str:
    if not is_id(text):
        raise MegaServiceError("There is no such conversation.", code="not_found")
    return text


def _read(kind: type[Answer], body: bytes) -> Answer:
    try:
        return TypeAdapter(kind).validate_json(body)
    except ValidationError as exc:
        raise MegaServiceError("The tutor's answer makes no sense to this page.", code="bad_answer") from exc


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
