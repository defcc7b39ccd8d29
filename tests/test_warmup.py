from collections.abc import Iterator

from megaservice.errors import LLMUnavailable
from megaservice.models import FinishReason, Message, Role
from megaservice.warmup import warm_up
from tests.fakes import FakeChat


class Sleep:
    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_every_prompt_is_read_once_the_llm_is_ready() -> None:
    chat, sleep = FakeChat(["好", FinishReason.LENGTH]), Sleep()
    chat.not_ready_for = 3
    await warm_up(chat, lambda: False, sleep)
    assert sleep.slept == [1.0, 1.0, 1.0]
    assert chat.max_tokens == [1] * 8
    assert len({prompt[0].content for prompt in chat.prompts}) == 8
    assert [prompt[-1] for prompt in chat.prompts] == [Message(Role.USER, "你好！")] * 7 + [
        Message(Role.USER, "Hello!")
    ]


async def test_learners_go_first() -> None:
    busy: Iterator[bool] = iter([True, True, *[False] * 8])
    chat, sleep = FakeChat([FinishReason.LENGTH]), Sleep()
    await warm_up(chat, lambda: next(busy), sleep)
    assert (sleep.slept, len(chat.prompts)) == ([1.0, 1.0], 8)


async def test_an_llm_that_fails_ends_the_warm_up() -> None:
    chat = FakeChat([LLMUnavailable("gone")])
    await warm_up(chat, lambda: False, Sleep())
    assert len(chat.prompts) == 1
