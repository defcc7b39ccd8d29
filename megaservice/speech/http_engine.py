"""What the engines share: one POST a sentence, its time limits, and a body that is speech."""

import asyncio
import contextlib
import json
import shlex
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from megaservice.audio import wav
from megaservice.errors import TTSBadAudio, TTSTimeout, TTSUnavailable
from megaservice.loading import Loading
from megaservice.logs import PayloadLog
from megaservice.models import Language, Speech, Voice
from megaservice.speech.answers import Answer, refusal, speech_in
from megaservice.speech.place import Place
from megaservice.upstreams import Dialect, SpeechEndpoint

_SAMPLES = {Language.ZH: "你好！", Language.EN: "Hello!"}  # for the curl line: what learners say stays out of it

# What a timed-out synthesis still takes is unknown; half of what it took already is a guess that a hung server pays
# with one more timeout, and a slow one usually keeps.
_OVERDUE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for connecting, and for a whole synthesis: it grows with the text. `waiting` bounds the queue."""

    connect_seconds: float = 2.0
    base_seconds: float = 5.0
    seconds_per_character: float = 0.5
    waiting: int = 16

    def synthesis_seconds(self, transcript: str) -> float:
        return self.base_seconds + self.seconds_per_character * len(transcript)


class HTTPEngine(ABC):
    """An Engine with one request in flight: a GPT-SoVITS process mixes voices up otherwise, and on the CPU two at once
    only make the first sound later.

    A `client` handed in is closed by who made it. The environment's proxies are not used: a voice server is the
    deployer's own, at the address she wrote.
    """

    dialect: Dialect
    path: str
    works_on_without_client = False  # a client that leaves does not end the work of the server

    def __init__(
        self,
        endpoint: SpeechEndpoint,
        *,
        limits: Limits | None = None,
        payloads: PayloadLog | None = None,
        headers: Mapping[str, str] | None = None,
        client: httpx.AsyncClient | None = None,
        place: Place | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.endpoint = endpoint.label
        self.last_format: str | None = None
        self._url = endpoint.url + self.path
        self._public_url = endpoint.label.partition("+")[2] + self.path
        self._limits = limits or Limits()
        self._payloads = payloads or PayloadLog()
        self._headers = dict(headers or {})
        self._owns_client = client is None
        self._client = client or _client(self._limits)
        self._clock = clock
        self._place = place or Place(clock)
        self._seconds_per_character: float | None = None

    @abstractmethod
    def body(self, transcript: str, voice: Voice, language: Language) -> Mapping[str, object]:
        """The request. Raises TTSRejected where the voice lacks what this dialect needs."""

    @property
    def busy_seconds_left(self) -> float:
        return self._place.busy_seconds_left

    async def synthesise(self, transcript: str, voice: Voice, language: Language) -> Speech:
        body = self.body(transcript, voice, language)
        wait_seconds = self._limits.synthesis_seconds(transcript)
        async with self._place.held(wait_seconds=wait_seconds, most_waiting=self._limits.waiting):
            self._payloads.request(self.endpoint, self._public_url, body)
            started = self._clock()
            answer = await self._exchange(body, transcript)
            seconds = self._worked_seconds(started)
        self._payloads.response(
            self.endpoint,
            status=answer.status,
            content_type=answer.content_type,
            size_bytes=answer.size_bytes,
            text=answer.text,
        )
        self.last_format = answer.format
        if not answer.is_success:
            raise refusal(answer, self.dialect, self.path)
        speech = speech_in(answer, self.dialect, transcript, language)
        self._seconds_per_character = max(0.0, seconds) / max(1, len(transcript))
        return speech

    async def _exchange(self, body: Mapping[str, object], transcript: str) -> Answer:
        started = self._clock()
        seconds = self._limits.synthesis_seconds(transcript) + max(0.0, self._place.finishing_until - started)
        try:
            async with asyncio.timeout(seconds):
                return await self._post(body, wav.largest_body_bytes(transcript))
        except TimeoutError as exc:
            self._note_unfinished(transcript, started, overdue=True)
            raise TTSTimeout(
                f"did not speak {len(transcript)} characters within {seconds:.1f} s (a slow server needs a higher "
                "TTS_TIMEOUT_PER_CHARACTER_SECONDS)"
            ) from exc
        except asyncio.CancelledError:
            self._note_unfinished(transcript, started, overdue=False)
            raise

    def _note_unfinished(self, transcript: str, started: float, *, overdue: bool) -> None:
        if not self.works_on_without_client:
            return
        worked = self._worked_seconds(started)
        left = (self._seconds_per_character or 0.0) * len(transcript) - worked
        if overdue:
            self._place.note_overdue(max(left, _OVERDUE_SHARE * worked))
        else:
            self._place.note_cancelled(max(left, 0.0))

    def _worked_seconds(self, started: float) -> float:
        """How long the server has had for a request; below 0 while it still finishes the one before."""
        return self._clock() - max(started, self._place.finishing_until)

    async def _post(self, body: Mapping[str, object], largest_bytes: int) -> Answer:
        response: httpx.Response | None = None
        received = bytearray()
        try:
            async with self._client.stream("POST", self._url, json=body, headers=self._headers) as response:
                async for piece in response.aiter_bytes():
                    received += piece
                    if len(received) > largest_bytes:
                        break
        except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
            raise TTSUnavailable(
                "takes no connection (is it running, and is its address in TTS_ENDPOINTS right?)"
            ) from exc
        except httpx.HTTPError as exc:
            if response is None:
                raise TTSUnavailable("closed the connection without an answer (its own log may say why)") from exc
            if response.is_success:
                raise TTSBadAudio(f"broke its answer off after {len(received)} bytes (its own log says why)") from exc
        assert response is not None
        if response.is_success and len(received) > largest_bytes:
            raise TTSBadAudio(f"sent more than {largest_bytes} bytes for this sentence: endless speech")
        return Answer(
            status=response.status_code,
            content_type=response.headers.get("content-type", ""),
            framing=_framing(response),
            asks_to_wait="retry-after" in response.headers,
            body=bytes(received),
        )

    def curl(self, voice: Voice) -> str:
        """A command that repeats a synthesis by hand; no secrets in it. Raises TTSRejected as `body` does."""
        body = json.dumps(self.body(_SAMPLES[voice.language], voice, voice.language), ensure_ascii=False)
        words = ["curl -sS -o speech.wav -w '%{http_code} %{content_type}\\n' -H 'Content-Type: application/json'"]
        if "Authorization" in self._headers:
            words.append('-H "Authorization: Bearer $TTS_API_KEY"')  # double quotes: the shell fills it in
        return " ".join([*words, "-d", shlex.quote(body), shlex.quote(self._public_url)])

    async def takes_connections(self) -> bool:
        """Whether its port is open. More cannot be asked: a GPT-SoVITS at work answers nothing, and is well."""
        url = urlsplit(self._url)
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                _, writer = await asyncio.open_connection(url.hostname, port)
        except OSError:  # TimeoutError is one
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    async def loading(self) -> Loading | None:
        """What it does until it can speak, where its dialect has a way to say so. Never raises."""
        return None

    async def aclose(self) -> None:
        if self._owns_client:
            await self._client.aclose()


def _client(limits: Limits) -> httpx.AsyncClient:
    """Without kept connections: a new one costs a millisecond, and one that the server has just closed costs a clip."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(None, connect=limits.connect_seconds),
        limits=httpx.Limits(max_keepalive_connections=0),
        trust_env=False,
        headers={"Accept": "audio/wav", "Accept-Encoding": "identity", "User-Agent": "megaservice"},
    )


def _framing(response: httpx.Response) -> str:
    if "content-length" in response.headers:
        return "content-length"
    return str(response.headers.get("transfer-encoding", "until close"))
