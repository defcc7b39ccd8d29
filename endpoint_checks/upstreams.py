"""The LLM and each speech endpoint by themselves, asked with MegaService's own clients and judged by its rules."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from endpoint_checks.rows import Failed, Row, rows
from megaservice.llm import ChatClient
from megaservice.logs import PayloadLog
from megaservice.models import FinishReason, Language, Message, ReplyDelta, Role, Voice
from megaservice.prompts.builder import opening, reply_limit
from megaservice.settings import Settings
from megaservice.speech import build_chain

_MESSAGE = "你好！你叫什么名字？"
_LEVEL = 1
_SENTENCE = "你好，很高兴认识你。"


async def llm(settings: Settings) -> AsyncGenerator[Row]:
    chat = ChatClient.from_settings(settings, PayloadLog())
    try:
        async for row in rows("LLM", ["GET models"], _models(chat)):
            yield row
        async for row in rows("LLM", ["first token", "whole reply"], _reply(chat)):
            yield row
    finally:
        await chat.aclose()


async def _models(chat: ChatClient) -> AsyncGenerator[str]:
    readiness = await chat.readiness()
    if not readiness.ready:
        raise Failed(readiness.detail)
    yield readiness.detail


async def _reply(chat: ChatClient) -> AsyncGenerator[str]:
    messages = [*opening(Language.ZH, _LEVEL), Message(Role.USER, _MESSAGE)]
    written, finish_reason = "", None
    async with aclosing(chat.stream(messages, max_tokens=reply_limit(Language.ZH, _LEVEL))) as reply:
        async for step in reply:
            if isinstance(step, ReplyDelta):
                if not written:
                    yield f"model {chat.model_id}"
                written += step.text
            else:
                finish_reason = step.finish_reason
    if not written.strip():
        raise Failed("the LLM wrote nothing")
    if finish_reason is FinishReason.ABORT:
        raise Failed(f"the LLM ended the reply before it was whole: {written}")
    yield " ".join(written.split())


async def speech(settings: Settings, voice: Voice) -> AsyncGenerator[Row]:
    """Each endpoint as a chain of its own, so that no other speaks in its place."""
    for endpoint in settings.TTS_ENDPOINTS:
        alone = settings.model_copy(update={"TTS_ENDPOINTS": (endpoint,)})
        async for row in rows("voice", [endpoint.label], _synthesis(alone, voice)):
            yield row


async def _synthesis(settings: Settings, voice: Voice) -> AsyncGenerator[str]:
    chain = build_chain(settings, PayloadLog())
    try:
        spoken, _ = await chain.speaker().speak(0, _SENTENCE, voice, Language.ZH)
        (state,) = chain.states(voice)
        yield f"{spoken.duration_seconds:.1f} s of speech ({state.payload_format})"
    finally:
        await chain.aclose()
