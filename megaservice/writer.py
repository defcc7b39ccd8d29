"""Writer: the LLM as one turn asks it, with a prompt that fits, held to the level's words and cut into sentences."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from megaservice.errors import LLMProtocolError, LLMRejected, TooLarge
from megaservice.hsk.constraint import Constraint
from megaservice.models import FinishReason, Message, ReplyDelta, ReplyEnd, Role, Turn
from megaservice.prompts.builder import build_prompt, reply_limit
from megaservice.protocols import ChatModel
from megaservice.repair import Ladders, Piece
from megaservice.text.splitter import SentenceSplitter, is_finished
from megaservice.text.transcript import Transcriber

_CHARACTERS_PER_TOKEN = 16  # more than any tokenizer gives: beyond it the server does not heed max_tokens
_PROMPT_SHARES = (1.0, 0.6, 0.3, 0.0)  # of the LLM's context, as long as the server says that it is too much


class Writer:
    """`ladder` is the turn's own, and asks here for other replies."""

    def __init__(self, turn: Turn, chat: ChatModel, max_tokens: int, ladders: Ladders) -> None:
        self._turn = turn
        self._chat = chat
        self._max_tokens = min(max_tokens, reply_limit(turn.language, turn.hsk_level))
        self._ladders = ladders
        self.ladder = ladders.ladder(turn, self)
        self._constraint: Constraint | None = None
        self._prompt: list[Message] = []

    async def reply(self) -> AsyncGenerator[ReplyDelta | ReplyEnd]:
        """The reply as the LLM writes it, to its end or to where a server that heeds no limit is cut."""
        finish_reason = None
        written = ""
        async with aclosing(self._stream_reply()) as reply:
            async for part in reply:
                if isinstance(part, ReplyEnd):
                    finish_reason = part.finish_reason
                    continue
                if len(written) > _CHARACTERS_PER_TOKEN * self._max_tokens:
                    finish_reason = FinishReason.LENGTH
                    break
                written += part.text
                yield part
        if finish_reason is None or finish_reason is FinishReason.ABORT:
            raise LLMProtocolError("The LLM server ended the reply before it was whole.", code="llm_aborted")
        if not written.strip():
            raise LLMProtocolError("The LLM wrote an empty reply.", code="llm_empty_reply")
        yield ReplyEnd(finish_reason)

    async def cut(
        self, reply: AsyncGenerator[ReplyDelta | ReplyEnd], splitter: SentenceSplitter
    ) -> AsyncGenerator[Piece]:
        transcriber = Transcriber(self._turn.language)
        is_cut_off = False
        async with aclosing(reply):
            async for part in reply:
                if isinstance(part, ReplyEnd):
                    is_cut_off = part.finish_reason is FinishReason.LENGTH
                    continue
                for sentence in splitter.push(part.text):
                    yield Piece(sentence.text, transcriber.push(sentence.text))
        for sentence in splitter.flush(is_cut_off=is_cut_off):
            is_tail = is_cut_off and not is_finished(sentence.text)
            yield Piece(sentence.text, transcriber.push(sentence.text), is_tail)

    def again(self, request: Sequence[Message]) -> AsyncGenerator[Piece]:
        """See Asking."""
        reply = self._chat.stream([*self._prompt, *request], max_tokens=self._max_tokens, constraint=self._constraint)
        return self.cut(reply, SentenceSplitter(self._turn.language))

    async def several(self, count: int) -> list[list[Piece]]:
        """See Asking."""
        replies = await self._chat.several(
            self._prompt, count=count, max_tokens=self._max_tokens, constraint=self._constraint
        )
        return [
            [piece async for piece in self.cut(_whole(*reply), SentenceSplitter(self._turn.language))]
            for reply in replies
        ]

    @property
    def judges(self) -> bool:
        """See Asking."""
        return self._chat.judges

    async def likelihood(self, reply: str) -> float | None:
        """See Asking."""
        return await self._chat.likelihood([*self._prompt, Message(Role.ASSISTANT, reply)])

    async def _stream_reply(self) -> AsyncGenerator[ReplyDelta | ReplyEnd]:
        """The LLM's answer to a prompt that fits: where the server counts more tokens than we do, a shorter one."""
        await self._constrain()
        room = await self._chat.context_tokens() - self._max_tokens
        shortest = build_prompt(self._turn, 0)
        for share in _PROMPT_SHARES:
            # A history may be long.
            prompt = self._prompt = await asyncio.to_thread(build_prompt, self._turn, int(room * share))
            try:
                reply = self._chat.stream(prompt, max_tokens=self._max_tokens, constraint=self._constraint)
                async with aclosing(reply) as parts:
                    async for part in parts:
                        yield part
                return
            except LLMRejected as exc:
                if exc.code != "llm_prompt_too_long":
                    raise
                if prompt == shortest:
                    raise TooLarge("The message is too long for the LLM's context; write a shorter one.") from exc

    async def _constrain(self) -> None:
        """Hold this turn's replies to the level's words, where the server obeys that."""
        if self.ladder is None or not self._ladders.constrains(self._turn):
            return
        if self._chat.takes_constraint(self._turn.hsk_level or 0):
            self._constraint = await asyncio.to_thread(self._ladders.constraint, self._turn)
            self.ladder.hold()


async def _whole(text: str, finish_reason: FinishReason) -> AsyncGenerator[ReplyDelta | ReplyEnd]:
    yield ReplyDelta(text)
    yield ReplyEnd(finish_reason)
