"""What the runner asks of the runtime that computes tokens; openvino_backend.py fulfils it, tests fake it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ChatMessage:
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one reply is written. `temperature` 0 takes the likeliest token; one of `regex` and `grammar` may hold it."""

    max_tokens: int
    temperature: float = 0.7
    top_p: float = 0.8
    top_k: int = 20
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.2
    seed: int = 0
    regex: str | None = None
    grammar: str | None = None
    is_judgement: bool = False  # nothing is written: what stands is judged as a finished reply


class Generation(Protocol):
    """One reply in the making. All calls come from the thread that steps."""

    def read(self) -> tuple[list[int], str | None]:
        """Tokens since the last call, and "stop" or "length" with the last of them."""
        ...

    @property
    def log_odds(self) -> float | None:
        """That the reply answers its message: of a judgement, once it is read."""
        ...

    def cancel(self) -> None: ...


class Backend(Protocol):
    """A loaded model. `encode_chat` may be called from any thread, all else from one."""

    def encode_chat(self, messages: Sequence[ChatMessage], reply: str = "") -> list[int]:
        """The prompt, and behind it as much as is there of its reply."""
        ...

    @property
    def judges(self) -> bool:
        """Whether the model judges replies."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str: ...

    def add(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation: ...

    def step(self) -> None:
        """Compute the next token of every running reply. Raises GenerationFailed, and is then of no more use."""
        ...

    @property
    def has_work(self) -> bool: ...
