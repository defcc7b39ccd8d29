"""A Backend whose tokens are the bytes of scripted texts, so characters arrive in pieces as they do from a model."""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from llm.backend import ChatMessage, Generation, Sampling
from llm.errors import GenerationFailed


class ScriptedGeneration:
    def __init__(self, text: str, max_tokens: int, log_odds: float | None = None) -> None:
        self.log_odds = log_odds
        whole = list(text.encode())
        self._left = deque(whole[:max_tokens])
        self._reason = "stop" if len(whole) <= max_tokens else "length"
        self._fresh: list[int] = []
        self.cancelled = False

    @property
    def is_done(self) -> bool:
        return self.cancelled or not self._left

    def advance(self) -> None:
        if not self.is_done:
            self._fresh.append(self._left.popleft())

    def read(self) -> tuple[list[int], str | None]:
        fresh, self._fresh = self._fresh, []
        return fresh, self._reason if fresh and not self._left else None

    def cancel(self) -> None:
        self.cancelled = True


class ScriptedBackend:
    """Writes `replies` one after another, a byte a step. With `paced`, each step waits for a `permit()`.

    With `log_odds` it gives judgements, all of them these.
    """

    def __init__(
        self, *replies: str, paced: bool = False, fails_at_step: int | None = None, log_odds: float | None = None
    ) -> None:
        self._log_odds = log_odds
        self.has_room = True
        self._replies = deque(replies)
        self._fails_at_step = fails_at_step
        self._permits = threading.Semaphore(0) if paced else None
        self.steps = 0
        self.prompts: list[Sequence[ChatMessage]] = []
        self.samplings: list[Sampling] = []
        self.generations: list[ScriptedGeneration] = []

    def permit(self, steps: int) -> None:
        assert self._permits is not None
        self._permits.release(steps)

    @property
    def judges(self) -> bool:
        return self._log_odds is not None

    def encode_chat(self, messages: Sequence[ChatMessage], reply: str = "") -> list[int]:
        self.prompts.append(messages)
        return list(("".join(message.content for message in messages) + reply).encode())

    def decode(self, token_ids: Sequence[int]) -> str:
        return bytes(token_ids).decode(errors="replace")

    def add(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        self.samplings.append(sampling)
        reply = "x" if sampling.is_judgement else self._replies.popleft()
        self.generations.append(
            ScriptedGeneration(reply, sampling.max_tokens, self._log_odds if self.has_room else None)
        )
        return self.generations[-1]

    def step(self) -> None:
        if self._permits is not None:
            self._permits.acquire()
        if self.steps == self._fails_at_step:
            raise GenerationFailed("the runtime is out of order")
        self.steps += 1
        for generation in self.generations:
            generation.advance()

    @property
    def has_work(self) -> bool:
        return any(not generation.is_done for generation in self.generations)


def loading(backend: ScriptedBackend) -> Callable[[Callable[[str], None]], ScriptedBackend]:
    """A Loader that is through at once."""
    return lambda tell: backend
