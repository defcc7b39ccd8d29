"""A turn at work: its events so far, for any number of readers, and what is kept of it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from megaservice.models import (
    ChatEvent,
    Clip,
    ClipFailed,
    ClipReady,
    SentenceReady,
    TextDelta,
    Turn,
    TurnCompleted,
    TurnFailed,
)
from megaservice.records import SentEvent, TurnRecord, TurnStatus
from megaservice.schemas import event_json

CANCELLED = "cancelled"


class RunningTurn:
    """One turn's events so far; the last is TurnCompleted or TurnFailed once it has ended."""

    def __init__(self, turn: Turn, started_at_ms: int) -> None:
        self.turn = turn
        self.events: list[ChatEvent] = []
        self.is_noted = asyncio.Event()  # the store has the learner's words, or could not take them
        self.is_kept = turn.conversation_id is None  # by the store, as it ended; else the client keeps it
        self._started_at_ms = started_at_ms
        self._grown = asyncio.Event()

    @property
    def reply(self) -> str:
        """What is written so far."""
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def ended(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], TurnCompleted | TurnFailed)

    def append(self, event: ChatEvent) -> None:
        self.events.append(event)
        self._grown.set()
        self._grown = asyncio.Event()

    async def wait_started(self) -> None:
        while not self.events:
            await self._grown.wait()

    async def wait_ended(self) -> None:
        while not self.ended:
            await self._grown.wait()

    async def wait_spoken(self, index: int) -> None:
        """Wait until that sentence has its clip or none will come."""
        async with aclosing(self.follow()) as events:
            async for _, event in events:
                if isinstance(event, SentenceReady) and event.sentence.index == index and not event.spoken:
                    return
                if isinstance(event, ClipReady | ClipFailed) and event.index == index:
                    return

    def put_clip(self, index: int, clip: Clip) -> None:
        """Have the turn told from now on as if that sentence had been spoken so."""
        told = ClipReady(index, clip)
        for number, event in enumerate(self.events):
            if isinstance(event, SentenceReady) and event.sentence.index == index:
                self.events[number] = replace(event, spoken=True)
            if isinstance(event, ClipReady | ClipFailed) and event.index == index:
                self.events[number] = told
        if told in self.events:
            return
        if self.ended:
            self.events.insert(len(self.events) - 1, told)
        else:
            self.append(told)

    async def follow(self, start: int = 0) -> AsyncGenerator[tuple[int, ChatEvent]]:
        """Events with their numbers, from number `start` to the last; waits for those to come."""
        number = start
        while True:
            grown = self._grown
            while number < len(self.events):
                yield number, self.events[number]
                number += 1
            if self.ended:
                return
            await grown.wait()

    def record(self, *last: TurnCompleted | TurnFailed) -> TurnRecord:
        """What is kept of it: the learner's words, and once it has ended, with its `last` event, all that came."""
        turn = self.turn
        assert turn.conversation_id is not None
        unfinished = TurnRecord(
            turn_id=turn.turn_id,
            conversation_id=turn.conversation_id,
            message=turn.message,
            language=turn.language,
            hsk_level=turn.hsk_level,
            hsk_standard=turn.hsk_standard,
            voice=turn.voice.id,
            started_at_ms=self._started_at_ms,
        )
        events = [*self.events, *last]
        if not events or not isinstance(end := events[-1], TurnCompleted | TurnFailed):
            return unfinished
        return replace(unfinished, status=_status(end), reply=end.reply, events=self.sent(*last))

    def sent(self, *last: TurnCompleted | TurnFailed) -> tuple[SentEvent, ...]:
        """Its events as readers are sent them, `last` behind those so far."""
        events = [*self.events, *last]
        sent = (event_json(self.turn, events, number) for number in range(len(events)))
        return tuple(SentEvent(name, data.decode()) for name, data in sent)


def _status(last: TurnCompleted | TurnFailed) -> TurnStatus:
    if isinstance(last, TurnCompleted):
        return TurnStatus.COMPLETED
    return TurnStatus.CANCELLED if last.problem.code == CANCELLED else TurnStatus.FAILED
