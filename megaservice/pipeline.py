"""run_turn(): the order, overlap, timing and cancellation of a turn's stages."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from megaservice.audio.store import ClipStore, clip_id_of
from megaservice.errors import AllEnginesFailed, MegaserviceError
from megaservice.hsk import Grade
from megaservice.models import (
    ChatEvent,
    ClipFailed,
    ClipReady,
    FinishReason,
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
from megaservice.protocols import ChatModel, SpeechChain
from megaservice.repair import Ladders, Piece
from megaservice.text.splitter import JUDGED_LIMITS, SentenceSplitter
from megaservice.writer import Writer

log = logging.getLogger(__name__)

_QUEUE_LENGTH = 64  # bounds what a stage may be ahead of the next; a reply's sentences seldom fill it


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
        self._clock = clock
        self._started = clock()
        self._timings = Timings()
        self._to_speak: asyncio.Queue[tuple[Sentence, str] | None] = asyncio.Queue(_QUEUE_LENGTH)
        self._ladders = ladders
        self._writer = Writer(turn, chat, max_tokens, ladders)
        self._ladder = self._writer.ladder
        is_judged = self._ladder is not None and self._ladder.is_judged
        self._splitter = SentenceSplitter(turn.language, JUDGED_LIMITS if is_judged else None)
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
        async with aclosing(self._writer.cut(self._read(), self._splitter)) as written:
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
        """The reply as it is written, and told of."""
        async with aclosing(self._writer.reply()) as reply:
            async for part in reply:
                if isinstance(part, ReplyEnd):
                    self._finish_reason = part.finish_reason
                else:
                    await self._tell(part)
                yield part

    async def _tell(self, delta: ReplyDelta) -> None:
        if self._timings.first_token is None:
            self._mark("first_token")
            await self.events.put(TurnStarted(self._turn.turn_id, self._turn.conversation_id, self._chat.model_id))
        if self._ladder is None:
            await self._show(delta.text)

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


def _first(group: BaseExceptionGroup[MegaserviceError]) -> MegaserviceError:
    error = group.exceptions[0]
    return error if isinstance(error, MegaserviceError) else _first(error)
