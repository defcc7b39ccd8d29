"""Settings: every variable a deployer can set, checked at the start with one line per fault. Reads the environment
and `.env`, nothing else."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from megaservice.errors import SettingsError
from megaservice.repair import parse_levels, parse_rungs
from megaservice.upstreams import Dialect, SpeechEndpoint

FAMILIES = ("LLM_", "TTS_", "HSK_", "MEGASERVICE_", "AUDIO_", "LOG_", "DATABASE_")

# Variables of the other programs that share .env; named here so that a wrong case is caught for them too.
SHARED_NAMES = frozenset(
    {
        "MEGASERVICE_URL",
        "MEGATALK_CACHE",
        "MEGATALK_PORT",
        "MEGATALK_MODEL_NOTE",
        "EMBEDDED_MODEL_PATH",
        "EMBEDDED_MODEL_ID",
        "EMBEDDED_DEVICE",
        "EMBEDDED_HUB_URL",
        "EMBEDDED_REGISTRY_MODEL",
        "EMBEDDED_LLM_HOST",
        "EMBEDDED_LLM_PORT",
        "EMBEDDED_LLM_THREADS",
        "EMBEDDED_LLM_MAX_MODEL_LEN",
        "EMBEDDED_LLM_CACHE_TOKENS",
        "EMBEDDED_LLM_RUNNING_LIMIT",
        "EMBEDDED_LLM_QUEUE_LIMIT",
        "EMBEDDED_TTS_HOST",
        "EMBEDDED_TTS_PORT",
        "EMBEDDED_TTS_THREADS",
        "EMBEDDED_TTS_MODEL_PATH",
        "EMBEDDED_TTS_QUEUE_LIMIT",
        "EMBEDDED_TTS_MAX_CHARACTERS",
        "VLLM_OPENVINO_IMAGE",
        "VLLM_OPENVINO_DEVICE",
        "VLLM_OPENVINO_KVCACHE_SPACE",
        "VLLM_OPENVINO_KV_CACHE_PRECISION",
        "VLLM_OPENVINO_CPU_KV_CACHE_PRECISION",
        "VLLM_OPENVINO_ENABLE_QUANTIZED_WEIGHTS",
        "VLLM_TRUST_REMOTE_CODE",
        "VLLM_GPU_MEMORY_UTILIZATION",
        "LLM_MEMORY_LIMIT",
        "RENDER_GROUP_ID",
        "TORCH_INDEX_URL",
        "GPT_SOVITS_VERSION",
        "GPT_SOVITS_THREADS",
        "GPT_SOVITS_HUB_URL",
        "GPT_SOVITS_CUDA_IMAGE",
        "HF_ENDPOINT",
        "HF_TOKEN",
    }
)

Seconds = Annotated[float, Field(gt=0, le=3600)]


class Settings(BaseSettings):
    """MegaService's settings. A field's name in upper case is the variable's name."""

    model_config = SettingsConfigDict(
        extra="ignore", case_sensitive=True, env_file_encoding="utf-8", env_ignore_empty=True
    )

    LLM_ENDPOINT: str = Field("http://127.0.0.1:8008/v1", description="Base URL of the LLM's OpenAI API.")
    LLM_MODEL_ID: str = Field(
        "Qwen/Qwen2.5-0.5B-Instruct",
        min_length=1,
        description="Model to ask for; `auto` takes what the server lists first.",
    )
    LLM_API_KEY: SecretStr = Field(SecretStr(""), description="Sent to the LLM as a bearer token when set.")
    LLM_MAX_TOKENS: int = Field(
        256, ge=16, le=8192, description="Most tokens of one reply; a level may have a lower limit of its own."
    )
    LLM_MAX_MODEL_LEN: int = Field(
        2048, ge=512, le=1_048_576, description="Tokens of prompt and reply together, where the server does not tell."
    )
    LLM_TEMPERATURE: float = Field(0.1, ge=0, le=2, description="Sampling temperature.")
    LLM_TOP_P: float = Field(0.9, gt=0, le=1, description="Nucleus sampling: share of probability kept.")
    LLM_WARM_UP: bool = Field(True, description="Have the LLM read each level's prompt at the start.")
    LLM_CONNECT_TIMEOUT_SECONDS: Seconds = Field(2.0, description="Longest wait for a connection to the LLM.")
    LLM_FIRST_TOKEN_TIMEOUT_SECONDS: Seconds = Field(90.0, description="Longest wait for the first token.")
    LLM_BETWEEN_TOKENS_TIMEOUT_SECONDS: Seconds = Field(30.0, description="Longest silence between two tokens.")

    TTS_ENDPOINTS: Annotated[tuple[SpeechEndpoint, ...], NoDecode] = Field(
        (SpeechEndpoint(Dialect.OPENAI, "http://127.0.0.1:9088/v1"),),
        description="Speech endpoints in order of preference, comma separated, each dialect+url.",
    )
    TTS_API_KEY: SecretStr = Field(SecretStr(""), description="Sent to openai+ endpoints as a bearer token when set.")
    TTS_VOICES_FILE: Path = Field(Path("tts/voices.toml"), description="The voices a learner can pick from.")
    TTS_VOICE_ZH: str = Field("zh_female", min_length=1, description="Voice of Chinese turns that name none.")
    TTS_VOICE_EN: str = Field("en_female", min_length=1, description="Voice of English turns that name none.")
    TTS_WARM_UP: bool = Field(True, description="Have each endpoint speak a short sentence at the start.")
    TTS_CONNECT_TIMEOUT_SECONDS: Seconds = Field(2.0, description="Longest wait for a connection to an endpoint.")
    TTS_TIMEOUT_BASE_SECONDS: Seconds = Field(5.0, description="A synthesis may take this long,")
    TTS_TIMEOUT_PER_CHARACTER_SECONDS: float = Field(0.5, ge=0, le=60, description="and this for each character.")
    TTS_COOLDOWN_SECONDS: Seconds = Field(5.0, description="A failed endpoint is left out this long at first,")
    TTS_COOLDOWN_MAX_SECONDS: Seconds = Field(60.0, description="doubling up to this.")

    HSK_CONSTRAINT: str = Field(
        "auto",
        description="Levels whose words the LLM is held to, where its server obeys: `auto`, `auto:1-3`; or `off`.",
    )
    HSK_OWN_WORDS: str = Field(
        "off",  # each message with a hard word is a grammar of its own, which the server compiles and keeps
        description="Levels at which the words of the learner's own message need no level: `auto`, `auto:4-6`; `off`.",
    )
    HSK_JUDGE: str = Field(
        "auto:1-2",
        description="Levels at which the LLM judges its later sentences, where it can: `auto`, `auto:1-3`; `off`.",
    )
    HSK_REPAIR: str = Field(
        "best:1-3,kept:1-3,stock:1-3",
        description="Cures for sentences above the level, each with or without levels (`retry:1-3`); or `off`.",
    )
    HSK_REPAIR_UNCONSTRAINED: str = Field(
        "off",  # there it ends half the replies of a small model on a stock question
        description="The same where the LLM's server obeys no constraint.",
    )
    HSK_REPAIR_SAMPLES: int = Field(3, ge=2, le=8, description="Answers that `best` asks for in one request.")
    HSK_REPAIR_BUDGET_SECONDS: Seconds = Field(3.0, description="Longest wait for them; then a turn goes on without.")

    AUDIO_DIR: Path = Field(Path("audio"), description="Where clips are stored.")
    AUDIO_MAX_AGE_HOURS: float = Field(168.0, gt=0, description="Older clips are swept.")
    AUDIO_MAX_MEGABYTES: float = Field(500.0, gt=0, description="Above this total the oldest clips are swept.")
    AUDIO_SWEEP_SECONDS: Seconds = Field(300.0, description="Time between two sweeps.")

    DATABASE_URL: SecretStr = Field(
        SecretStr(""), description="Where conversations are kept; empty: SQLite, database/megatalk.db beside AUDIO_DIR."
    )

    LOG_DIR: Path = Field(Path("logs"), description="Where megaservice.log is written.")
    LOG_LEVEL: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    LOG_MAX_BYTES: int = Field(10_000_000, ge=10_000, description="A log file is rotated at this size.")
    LOG_BACKUP_COUNT: int = Field(5, ge=1, le=100, description="Rotated log files kept.")
    LOG_PAYLOADS: bool = Field(False, description="Also log what is sent to and comes from LLM and voices.")
    LOG_PAYLOAD_CHARACTERS: int = Field(2000, ge=0, description="A logged payload's text is cut to this.")

    MEGASERVICE_HOST: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    MEGASERVICE_PORT: int = Field(9500, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    MEGASERVICE_MAX_MESSAGE_CHARACTERS: int = Field(2000, ge=1, description="Longest message; above it a 413.")
    MEGASERVICE_MAX_RUNNING_TURNS: int = Field(8, ge=1, description="Turns at work at once; above it a 503.")
    MEGASERVICE_TURNS_KEPT: int = Field(200, ge=1, description="Finished turns held in memory.")

    @field_validator("HSK_CONSTRAINT", "HSK_OWN_WORDS", "HSK_JUDGE")
    @classmethod
    def _hsk_levels(cls, value: str) -> str:
        parse_levels(value)
        return value

    @field_validator("HSK_REPAIR", "HSK_REPAIR_UNCONSTRAINED")
    @classmethod
    def _hsk_repair(cls, value: str) -> str:
        parse_rungs(value)
        return value

    @field_validator("LLM_ENDPOINT")
    @classmethod
    def _llm_endpoint(cls, value: str) -> str:
        url = _http_url(value if "://" in value else f"http://{value}")
        return url if urlsplit(url).path.strip("/") else f"{url}/v1"

    @field_validator("TTS_ENDPOINTS", mode="before")
    @classmethod
    def _tts_endpoints(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        endpoints = tuple(_speech_endpoint(entry) for entry in value.split(",") if entry.strip())
        if len({endpoint.url for endpoint in endpoints}) < len(endpoints):
            raise ValueError("each endpoint only once")
        return endpoints


def _http_url(value: str) -> str:
    url = urlsplit(value)
    try:
        whole = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        whole = False
    if not whole or url.query or url.fragment or re.search(r"\s", value):
        raise ValueError("a URL such as http://host:port/path")
    return value.rstrip("/")


def _speech_endpoint(entry: str) -> SpeechEndpoint:
    dialect, plus, url = entry.strip().partition("+")
    if not plus or dialect not in set(Dialect):
        raise ValueError(f"dialect+url with a dialect of {', '.join(Dialect)}")
    return SpeechEndpoint(Dialect(dialect), _http_url(url))


def load(env_file: Path = Path(".env")) -> tuple[Settings, tuple[str, ...]]:
    """The settings, and warnings about names that look like ours and are not. The environment wins over `.env`.

    An empty value counts as unset. Raises SettingsError with one line per fault.
    """
    try:
        in_file = dotenv_values(env_file)
    except UnicodeDecodeError as exc:
        raise SettingsError((f"{env_file}: is not in UTF-8",)) from exc
    faults, warnings = _check_names({*in_file, *os.environ})
    try:
        settings = Settings(_env_file=env_file)
    except ValidationError as exc:
        faults += [_fault(error) for error in exc.errors()]
    if faults:
        raise SettingsError(tuple(faults))
    return settings, tuple(warnings)


def _check_names(given: Iterable[str]) -> tuple[list[str], list[str]]:
    known = set(Settings.model_fields) | SHARED_NAMES
    faults, warnings = [], []
    for name in sorted(given):
        if name in known:
            continue
        if name.upper() in known:
            faults.append(f"{name}: is not a known name; write it {name.upper()}")
        elif name.startswith(FAMILIES):
            warnings.append(f"{name}: is not a known setting and is ignored")
    return faults, warnings


def _fault(error: ErrorDetails) -> str:
    name = str(error["loc"][0])
    got = "a value" if name.endswith("_KEY") else re.sub(r"//[^/@,]*@", "//…@", repr(error["input"]))
    cause = error.get("ctx", {}).get("error")
    wants = str(cause) if cause is not None else error["msg"].removeprefix("Input should be ")
    return f"{name}: got {got}, wants {wants}"
