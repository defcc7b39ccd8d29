"""MegaService on a real socket, for tests that a client's view alone can decide."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import uvicorn

from megaservice.__main__ import Server
from megaservice.app import create_app
from megaservice.settings import Settings
from tests.sockets import running

VOICES = """
[zh_female]
name = "Xiaoxiao"
language = "zh"
reference_path = "/voices/zh_female.wav"
transcript = "你好，欢迎你来学习中文。"
openai_voice = "zf_xiaoxiao"

[en_female]
name = "Heart"
language = "en"
reference_path = "/voices/en_female.wav"
transcript = "Hello, and welcome."
openai_voice = "af_heart"
"""


def settings_for(directory: Path, **values: object) -> Settings:
    """Settings that keep to `directory`, know two voices and send nothing unasked."""
    voices_file = directory / "voices.toml"
    voices_file.write_text(VOICES, encoding="utf-8")
    own: dict[str, object] = {
        "AUDIO_DIR": directory / "audio",
        "LOG_DIR": directory / "logs",
        "TTS_VOICES_FILE": voices_file,
        "LLM_WARM_UP": False,
        "HSK_CONSTRAINT": "off",
        "TTS_WARM_UP": False,
    }
    return Settings.model_validate(own | values)


@asynccontextmanager
async def megaservice(settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of a running MegaService."""
    app = create_app(settings)
    config = uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1)
    async with running(Server(config, app.state.end_turns)) as client:
        yield client
