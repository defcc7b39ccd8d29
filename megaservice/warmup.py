"""Has the LLM read each level's fixed prompt before the first learner asks: its prefix cache then holds them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from megaservice.errors import LLMError
from megaservice.logs import fields
from megaservice.models import Language, Message, Role
from megaservice.prompts.builder import opening
from megaservice.protocols import ChatModel

log = logging.getLogger(__name__)

_GREETING = {Language.ZH: "你好！", Language.EN: "Hello!"}
_PROMPTS: tuple[tuple[Language, int | None], ...] = (
    *((Language.ZH, level) for level in (1, 2, 3, 4, 5, 6, None)),
    (Language.EN, None),
)
_POLL_SECONDS = 1.0


async def warm_up(
    chat: ChatModel, is_busy: Callable[[], bool], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Wait until the LLM is there, then ask for one token a prompt; while `is_busy()`, learners go first."""
    while not (await chat.readiness()).ready:
        await sleep(_POLL_SECONDS)
    for language, level in _PROMPTS:
        while is_busy():
            await sleep(_POLL_SECONDS)
        messages = [*opening(language, level), Message(Role.USER, _GREETING[language])]
        try:
            async with aclosing(chat.stream(messages, max_tokens=1)) as reply:
                async for _ in reply:
                    pass
        except LLMError as exc:
            log.warning("the LLM could not be warmed up", extra=fields(code=exc.code, why=exc.message))
            return
    log.info("the LLM is warm")
