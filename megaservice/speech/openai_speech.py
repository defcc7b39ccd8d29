"""OpenAI's POST /audio/speech, as the embedded voice, OPEA's wrapper and many others serve it."""

import asyncio
from collections.abc import Mapping

import httpx

from megaservice.loading import Loading, loading_in
from megaservice.models import Language, Voice
from megaservice.speech.http_engine import HTTPEngine
from megaservice.upstreams import Dialect

_MODEL = "tts-1"  # a required field; servers with one model take OpenAI's name for theirs


class OpenAISpeech(HTTPEngine):
    dialect = Dialect.OPENAI
    path = "/audio/speech"

    async def loading(self) -> Loading | None:
        """The embedded voice takes connections before it can speak; its /health tells what it does meanwhile."""
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                answer = await self._client.get(self._url.removesuffix(self.path).removesuffix("/v1") + "/health")
        except (TimeoutError, httpx.HTTPError):
            return None
        return loading_in(answer.content)

    def body(self, transcript: str, voice: Voice, language: Language) -> Mapping[str, object]:
        return {
            "model": _MODEL,
            "input": transcript,
            "voice": voice.openai_voice or voice.id,
            "response_format": "wav",
        }
