"""Has the LLM read each level's prompt and compile its words before the first learner asks: servers keep both."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from megaservice.errors import LLMError
from megaservice.hsk import DEFAULT_STANDARD
from megaservice.logs import fields
from megaservice.models import Language, Message, Role
from megaservice.prompts.builder import opening
from megaservice.protocols import ChatModel
from megaservice.repair import Ladders

log = logging.getLogger(__name__)

_GREETING = {Language.ZH: "你好！", Language.EN: "Hello!"}
_PROMPTS: tuple[tuple[Language, int | None], ...] = (
    *((Language.ZH, level) for level in (1, 2, 3, 4, 5, 6, None)),
    (Language.EN, None),
)
_POLL_SECONDS = 1.0
_LOOK_SECONDS = 10.0  # between two looks at a server that is there


async def look_after(
    chat: ChatModel,
    ladders: Ladders,
    is_busy: Callable[[], bool],
    *,
    warms: bool,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """For ever: find out what an LLM server that comes up obeys, and have it read the prompts."""
    while True:
        while is_busy():
            await sleep(_POLL_SECONDS)
        is_met = await chat.meet()
        if is_met and warms:
            await warm_up(chat, ladders, is_busy, sleep)
        await sleep(_LOOK_SECONDS if is_met or (await chat.readiness()).ready else _POLL_SECONDS)


async def warm_up(
    chat: ChatModel,
    ladders: Ladders,
    is_busy: Callable[[], bool],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Ask for one token a prompt, under the level's constraint; while `is_busy()`, learners go first."""
    for language, level in _PROMPTS:
        while is_busy():
            await sleep(_POLL_SECONDS)
        messages = [*opening(language, level), Message(Role.USER, _GREETING[language])]
        constraint = None
        if level is not None and level in ladders.constrained_levels and chat.takes_constraint(level):
            constraint = await asyncio.to_thread(ladders.constraints[DEFAULT_STANDARD].at, level)
        try:
            async with aclosing(chat.stream(messages, max_tokens=1, constraint=constraint)) as reply:
                async for _ in reply:
                    pass
        except LLMError as exc:
            log.warning("the LLM could not be warmed up", extra=fields(code=exc.code, why=exc.message))
            return
    log.info("the LLM is warm")
