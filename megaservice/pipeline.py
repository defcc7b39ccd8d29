"""run_turn(): the order, overlap, timing and cancellation of a turn's stages."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from megaservice.audio.store import ClipStore, clip_id_of
from megaservice.errors import AllEnginesFailed, LLMProtocolError, LLMRejected, MegaserviceError, TooLarge
from megaservice.hsk import Grade
from megaservice.hsk.constraint import Constraint
from megaservice.models import (
    ChatEvent,
    ClipFailed,
    ClipReady,
    FinishReason,
    Message,
    Problem,
    ReplyDelta,
    ReplyEnd,
    Sentence,
    SentenceReady,
    TextDelta,
    Timings,
    Turn,
    TurnCompleted,
    TurnFailed,
    TurnStarted,
)
from megaservice.prompts.builder import build_prompt, reply_limit
from megaservice.protocols import ChatModel, SpeechChain
from megaservice.repair import Ladders, Piece
from megaservice.text.splitter import SentenceSplitter, is_finished
from megaservice.text.transcript import Transcriber

log = logging.getLogger(__name__)

_QUEUE_LENGTH = 64  # bounds what a stage may be ahead of the next; a reply's sentences seldom fill it
_CHARACTERS_PER_TOKEN = 16  # more than any tokenizer gives: beyond it the server does not heed max_tokens
_PROMPT_SHARES = (1.0, 0.6, 0.3, 0.0)  # of the LLM's context, as long as the server says that it is too much


async def run_turn(
    turn: Turn,
    *,
    chat: ChatModel,
    speech: SpeechChain,
    clips: ClipStore,
    max_tokens: int,
    ladders: Ladders,
    clock: Callable[[], float] = time.perf_counter,
) -> AsyncGenerator[ChatEvent]:
    """A turn's events: TurnStarted with the LLM's first token, and last exactly one TurnCompleted or TurnFailed.

    An LLM that never answers makes TurnFailed the only event. Every spoken sentence has its ClipReady or ClipFailed
    before TurnCompleted. Closing the generator cancels what runs upstream.
    """
    run = _Run(turn, chat, speech, clips, max_tokens, ladders, clock)
    work = asyncio.create_task(run.work())
    try:
        while True:
            event = await run.events.get()
            yield event
            if isinstance(event, TurnCompleted | TurnFailed):
                return
    finally:
        work.cancel()
        await asyncio.wait([work])


class _Run:
    """One turn at work: the LLM writes and is cut into sentences while those before are spoken."""

    def __init__(
        self,
        turn: Turn,
        chat: ChatModel,
        speech: SpeechChain,
        clips: ClipStore,
        max_tokens: int,
        ladders: Ladders,
        clock: Callable[[], float],
    ) -> None:
        self.events: asyncio.Queue[ChatEvent] = asyncio.Queue(_QUEUE_LENGTH)
        self._turn = turn
        self._chat = chat
        self._speaker = speech.speaker()
        self._clips = clips
        self._max_tokens = min(max_tokens, reply_limit(turn.language, turn.hsk_level))
        self._clock = clock
        self._started = clock()
        self._timings = Timings()
        self._to_speak: asyncio.Queue[tuple[Sentence, str] | None] = asyncio.Queue(_QUEUE_LENGTH)
        self._splitter = SentenceSplitter(turn.language)
        self._ladders = ladders
        self._ladder = ladders.ladder(turn, self)
        self._constraint: Constraint | None = None
        self._prompt: list[Message] = []
        self._finish_reason = FinishReason.STOP
        self._reply = ""
        self._sentences = 0
        self._speaks = False
        self._unspoken: list[int] = []  # sentences announced as spoken that have no clip yet
        self._endpoint: str | None = None
        self._problems = list(turn.problems)

    async def work(self) -> None:
        finish_reason: FinishReason | None = None
        failure: MegaserviceError | None = None
        try:
            async with asyncio.TaskGroup() as stages:
                writing = stages.create_task(self._write())
                stages.create_task(self._speak())
            finish_reason = writing.result()
        except* MegaserviceError as group:
            failure = _first(group)
        except* Exception as group:
            log.error("turn broke", exc_info=group)
            failure = MegaserviceError("MegaService met an error of its own; its log has the details.")
        self._mark("total")
        if finish_reason is not None:
            await self._complete(finish_reason)
        elif failure is not None:
            await self._fail(failure)

    async def _write(self) -> FinishReason:
        async with aclosing(self._cut(self._read(), self._splitter)) as written:
            if self._ladder is None:
                async for piece in written:
                    await self._announce(piece)
            else:  # the learner sees no word that is not graded, so none is taken back
                async with aclosing(self._ladder.climb(written)) as graded:
                    async for piece, grade in graded:
                        await self._show(piece.text)
                        await self._announce(piece, grade)
        await self._to_speak.put(None)
        return self._finish_reason

    async def _read(self) -> AsyncGenerator[ReplyDelta | ReplyEnd]:
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
                if not written:
                    self._mark("first_token")
                    await self.events.put(
                        TurnStarted(self._turn.turn_id, self._turn.conversation_id, self._chat.model_id)
                    )
                written += part.text
                if self._ladder is None:
                    await self._show(part.text)
                yield part
        if finish_reason is None or finish_reason is FinishReason.ABORT:
            raise LLMProtocolError("The LLM server ended the reply before it was whole.", code="llm_aborted")
        if not written.strip():
            raise LLMProtocolError("The LLM wrote an empty reply.", code="llm_empty_reply")
        self._finish_reason = finish_reason
        yield ReplyEnd(finish_reason)

    async def _cut(
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
        return self._cut(reply, SentenceSplitter(self._turn.language))

    async def several(self, count: int) -> list[list[Piece]]:
        """See Asking."""
        replies = await self._chat.several(
            self._prompt, count=count, max_tokens=self._max_tokens, constraint=self._constraint
        )
        return [
            [piece async for piece in self._cut(_whole(*reply), SentenceSplitter(self._turn.language))]
            for reply in replies
        ]

    async def _constrain(self) -> None:
        """Hold this turn's replies to the level's words, where the server obeys that."""
        if self._ladder is None or not self._ladders.constrains(self._turn):
            return
        if self._chat.takes_constraint(self._turn.hsk_level or 0):
            self._constraint = await asyncio.to_thread(self._ladders.constraint, self._turn)
            self._ladder.hold()

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

    async def _show(self, text: str) -> None:
        self._reply += text
        await self.events.put(TextDelta(text))

    async def _announce(self, piece: Piece, grade: Grade | None = None) -> None:
        sentence = Sentence(self._sentences, piece.text)
        self._sentences += 1
        is_hidden_tail = piece.is_tail and self._speaks  # an unfinished end is spoken only where it is all there is
        spoken = self._turn.speak and bool(piece.transcript) and not is_hidden_tail
        self._speaks = self._speaks or spoken
        self._mark("first_sentence")
        await self.events.put(self._ready(sentence, spoken, grade))
        if spoken:
            self._unspoken.append(sentence.index)
            await self._to_speak.put((sentence, piece.transcript))

    def _ready(self, sentence: Sentence, spoken: bool, grade: Grade | None = None) -> SentenceReady:
        words = grade.tokens if grade is not None else self._ladders.words(self._turn, sentence.text)
        return SentenceReady(sentence, spoken, grade, words)

    async def _speak(self) -> None:
        while entry := await self._to_speak.get():
            sentence, transcript = entry
            try:
                speech, endpoint = await self._speaker.speak(
                    sentence.index, transcript, self._turn.voice, self._turn.language
                )
                clip_id = clip_id_of(self._turn.turn_id, sentence.index)
                clip = await asyncio.to_thread(self._clips.write, clip_id, speech, endpoint)
            except AllEnginesFailed as exc:
                await self._give_up(sentence, Problem("speech", exc.code, exc.message))
            except OSError as exc:
                told = f"The clip could not be stored in AUDIO_DIR: {exc.strerror}."
                await self._give_up(sentence, Problem("audio", "clip_not_stored", told))
            else:
                self._endpoint = endpoint
                self._mark("first_audio")
                await self.events.put(ClipReady(sentence.index, clip))
            self._unspoken.remove(sentence.index)

    async def _give_up(self, sentence: Sentence, problem: Problem) -> None:
        log.warning("sentence not spoken", extra={"fields": {"sentence": sentence.index, "why": problem.message}})
        self._problems.append(problem)
        await self.events.put(ClipFailed(sentence.index, problem.code, problem.message))

    async def _complete(self, finish_reason: FinishReason) -> None:
        await self.events.put(
            TurnCompleted(
                self._reply,
                finish_reason,
                self._endpoint,
                self._speaker.attempts,
                self._timings,
                tuple(self._problems),
                self._ladder.report(self._reply) if self._ladder is not None else None,
            )
        )

    async def _fail(self, error: MegaserviceError) -> None:
        for sentence in self._splitter.flush() if self._ladder is None else ():
            await self.events.put(self._ready(sentence, spoken=False))
        for index in self._unspoken:
            await self.events.put(ClipFailed(index, error.code, "The turn failed before this sentence was spoken."))
        stage = "turn" if error.code == MegaserviceError.code else "llm"
        problem = Problem(stage, error.code, error.message)
        await self.events.put(TurnFailed(problem, error.retryable, self._reply, self._speaker.attempts, self._timings))

    def _mark(self, name: str) -> None:
        """Note the time of what happens for the first time."""
        if getattr(self._timings, name) is None:
            self._timings = replace(self._timings, **{name: round((self._clock() - self._started) * 1000, 1)})


async def _whole(text: str, finish_reason: FinishReason) -> AsyncGenerator[ReplyDelta | ReplyEnd]:
    yield ReplyDelta(text)
    yield ReplyEnd(finish_reason)


def _first(group: BaseExceptionGroup[MegaserviceError]) -> MegaserviceError:
    error = group.exceptions[0]
    return error if isinstance(error, MegaserviceError) else _first(error)
