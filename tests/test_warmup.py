import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from megaservice.errors import LLMUnavailable
from megaservice.hsk import DEFAULT_STANDARD, Grader, Lexicon
from megaservice.hsk.constraint import Constraints
from megaservice.models import FinishReason, Message, Role
from megaservice.repair import Ladders, RepairRules, parse_rungs
from megaservice.warmup import look_after, warm_up
from tests.fakes import FakeChat

LEXICON = Lexicon.load()
GRADER = Grader(LEXICON)
FREE = Ladders(GRADER, RepairRules(parse_rungs("off")))
HELD = replace(FREE, constraints={DEFAULT_STANDARD: Constraints(LEXICON, GRADER)}, constrained_levels={1, 2})


class Sleep:
    def __init__(self, most: int = 1000) -> None:
        self.slept: list[float] = []
        self._most = most

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) >= self._most:
            raise asyncio.CancelledError


async def test_every_prompt_is_read() -> None:
    chat = FakeChat(["好", FinishReason.LENGTH])
    await warm_up(chat, FREE, lambda: False, Sleep())
    assert chat.max_tokens == [1] * 8
    assert len({prompt[0].content for prompt in chat.prompts}) == 8
    assert [prompt[-1] for prompt in chat.prompts] == [Message(Role.USER, "你好！")] * 7 + [
        Message(Role.USER, "Hello!")
    ]
    assert chat.constraints == [None] * 8


async def test_the_words_of_each_level_are_compiled() -> None:
    chat = FakeChat([FinishReason.LENGTH])
    await warm_up(chat, HELD, lambda: False, Sleep())
    assert chat.constraints == [None] * 8  # the server was not seen to obey
    chat.obeys = True
    await warm_up(chat, HELD, lambda: False, Sleep())
    assert [constraint and constraint.label for constraint in chat.constraints[8:]] == [
        "2025 level 1",
        "2025 level 2",
        *[None] * 6,
    ]


async def test_a_server_is_met_when_it_comes_up_and_warmed_once() -> None:
    chat, sleep = FakeChat([FinishReason.LENGTH]), Sleep(most=6)
    chat.not_ready_for = 4  # asked twice a look
    with pytest.raises(asyncio.CancelledError):
        await look_after(chat, FREE, lambda: False, warms=True, sleep=sleep)
    assert sleep.slept == [1.0, 1.0, 10.0, 10.0, 10.0, 10.0]
    assert len(chat.prompts) == 8


async def test_learners_go_first() -> None:
    busy: Iterator[bool] = iter([True, True, *[False] * 8])
    chat, sleep = FakeChat([FinishReason.LENGTH]), Sleep()
    await warm_up(chat, FREE, lambda: next(busy), sleep)
    assert (sleep.slept, len(chat.prompts)) == ([1.0, 1.0], 8)


async def test_an_llm_that_fails_ends_the_warm_up() -> None:
    chat = FakeChat([LLMUnavailable("gone")])
    await warm_up(chat, FREE, lambda: False, Sleep())
    assert len(chat.prompts) == 1
