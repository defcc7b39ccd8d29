"""Speech endpoints: one engine for each entry of TTS_ENDPOINTS, and the chain that falls back from one to the next."""

from collections import defaultdict
from collections.abc import Mapping

from megaservice.logs import PayloadLog
from megaservice.settings import Settings
from megaservice.speech.chain import FallbackChain
from megaservice.speech.gpt_sovits_v1 import GPTSoVITSV1
from megaservice.speech.gpt_sovits_v2 import GPTSoVITSV2
from megaservice.speech.http_engine import HTTPEngine, Limits
from megaservice.speech.openai_speech import OpenAISpeech
from megaservice.speech.place import Place
from megaservice.upstreams import Dialect, SpeechEndpoint

__all__ = ["FallbackChain", "build_chain", "build_engine"]

_ENGINES: Mapping[Dialect, type[HTTPEngine]] = {
    Dialect.SOVITS_V2: GPTSoVITSV2,
    Dialect.SOVITS_V1: GPTSoVITSV1,
    Dialect.OPENAI: OpenAISpeech,
}


def build_engine(
    endpoint: SpeechEndpoint, *, limits: Limits, payloads: PayloadLog, api_key: str = "", place: Place | None = None
) -> HTTPEngine:
    """The key goes to openai endpoints only: GPT-SoVITS knows none."""
    is_keyed = bool(api_key) and endpoint.dialect is Dialect.OPENAI
    headers = {"Authorization": f"Bearer {api_key}"} if is_keyed else {}
    return _ENGINES[endpoint.dialect](endpoint, limits=limits, payloads=payloads, headers=headers, place=place)


def build_chain(settings: Settings, payloads: PayloadLog) -> FallbackChain:
    """All of TTS_ENDPOINTS in their order. Whoever calls this calls `aclose()` as well."""
    limits = Limits(
        connect_seconds=settings.TTS_CONNECT_TIMEOUT_SECONDS,
        base_seconds=settings.TTS_TIMEOUT_BASE_SECONDS,
        seconds_per_character=settings.TTS_TIMEOUT_PER_CHARACTER_SECONDS,
    )
    api_key = settings.TTS_API_KEY.get_secret_value()
    places: defaultdict[str, Place] = defaultdict(Place)
    return FallbackChain(
        [
            build_engine(
                endpoint, limits=limits, payloads=payloads, api_key=api_key, place=places[_server_of(endpoint)]
            )
            for endpoint in settings.TTS_ENDPOINTS
        ],
        cooldown_seconds=settings.TTS_COOLDOWN_SECONDS,
        cooldown_max_seconds=settings.TTS_COOLDOWN_MAX_SECONDS,
    )


def _server_of(endpoint: SpeechEndpoint) -> str:
    """The same for all dialects of one GPT-SoVITS process: OPEA's serves `/` and `/v1/audio/speech`."""
    return endpoint.label.partition("+")[2].removesuffix("/v1")
