"""The models that the server can fetch by itself, each pinned by sha256."""

from dataclasses import dataclass

from llm.settings import RegistryModel


@dataclass(frozen=True, slots=True)
class HubModel:
    """One GGUF file of a model hub at a fixed revision."""

    model_id: str
    repository: str
    revision: str
    file_name: str
    sha256: str
    size_bytes: int

    def url(self, hub: str) -> str:
        return f"{hub}/{self.repository}/resolve/{self.revision}/{self.file_name}"


# Qwen's own file. Revision, size and sha256 as several public projects pin them independently of each other.
OFFICIAL = HubModel(
    model_id="Qwen/Qwen2.5-0.5B-Instruct",
    repository="Qwen/Qwen2.5-0.5B-Instruct-GGUF",
    revision="9217f5db79a29953eb74d5343926648285ec7e67",
    file_name="qwen2.5-0.5b-instruct-q8_0.gguf",
    sha256="ca59ca7f13d0e15a8cfa77bd17e65d24f6844b554a7b6c12e07a5f89ff76844e",
    size_bytes=675710816,
)

# What `weights` can bring from the package registry, and what it is.
REGISTRY_IDS: dict[RegistryModel, str] = {
    "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf": "Qwen/Qwen2.5-Coder-1.5B-Instruct",
    "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf": "Qwen/Qwen2.5-Coder-0.5B-Instruct",
}
