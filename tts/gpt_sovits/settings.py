"""The container's settings: GPT_SOVITS_* in the environment."""

import os
from enum import StrEnum

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_MOST_USEFUL_THREADS = 4


class Version(StrEnum):
    V2 = "v2"
    V2_PRO = "v2Pro"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="GPT_SOVITS_", env_ignore_empty=True, extra="ignore")

    version: Version = Field(Version.V2, description="Model: v2, or v2Pro, which sounds better and takes longer.")
    threads: int = Field(0, ge=0, le=64, description="Threads of one synthesis; 0: one a core, at most four.")
    hub_url: str = Field(
        "https://huggingface.co", description="Model hub (or mirror) to fetch weights from; `none` asks no hub."
    )

    @field_validator("hub_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value != "none" and not value.startswith(("http://", "https://")):
            raise ValueError("wants an http:// or https:// URL, or none")
        return value.rstrip("/")

    @property
    def hub(self) -> str | None:
        return None if self.hub_url == "none" else self.hub_url

    @property
    def thread_count(self) -> int:
        return self.threads or min(os.cpu_count() or 1, _MOST_USEFUL_THREADS)
