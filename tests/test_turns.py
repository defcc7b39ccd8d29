import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from megaservice.errors import NotFound, StoreError, TooBusy
from megaservice.models import (
    ChatEvent,
    FinishReason,
    Language,
    Message,
    Problem,
    Role,
    TextDelta,
    Timings,
    Turn,
    TurnCompleted,
    TurnFailed,
)
from megaservice.records import Exchange, Past, SentEvent, TurnRecord, TurnStatus
from megaservice.running_turn import RunningTurn
from megaservice.store import SQLStore, open_database
from megaservice.turns import Turns
from tests.fakes import VOICE

COMPLETED = TurnCompleted("你好", FinishReason.STOP, None, (), Timings(), ())
CANCELLED = TurnFailed(Problem("turn", "cancelled", "The turn was stopped."), False, "你", (), Timings())


def a_turn(turn_id: str) -> Turn:
    return Turn(turn_id, "c1", "hi", Language.ZH, None, VOICE)


class Script:
    """Runs every turn as: "你", a wait for `gate`, "好", completed; the turn `held` never gets past the gate."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.held: str | None = None
        self.stopped: list[str] = []

    async def __call__(self, turn: Turn) -> AsyncGenerator[ChatEvent]:
        try:
            yield TextDelta("你")
            await self.gate.wait()
            if turn.turn_id == self.held:
                await asyncio.Event().wait()
            yield TextDelta("好")
            yield COMPLETED
        finally:
            self.stopped.append(turn.turn_id)


class Store(SQLStore):
    """Keeps turns in SQLite, unless it `is_broken`."""

    is_broken = False

    async def save(self, turn: TurnRecord) -> None:
        self._check()
        await super().save(turn)

    async def history(self, conversation_id: str, *, limit: int) -> tuple[Exchange, ...]:
        self._check()
        return await super().history(conversation_id, limit=limit)

    def _check(self) -> None:
        if self.is_broken:
            raise StoreError("The database failed: disk full.")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(open_database("", audio_dir=tmp_path / "audio"))
    yield store
    store.close()


def turns_of(script: Script, store: Store, *, kept: int = 10, max_running: int = 10) -> Turns:
    return Turns(script, store, kept=kept, max_running=max_running, clock=lambda: 1.5)


def said(message: str, reply: str) -> Past:
    return Past((Message(Role.USER, message), Message(Role.ASSISTANT, reply)))


async def read(running: RunningTurn, start: int = 0) -> list[tuple[int, ChatEvent]]:
    return [entry async for entry in running.follow(start)]


async def test_readers_follow_and_replay_from_any_event(store: Store) -> None:
    script = Script()
    turns = turns_of(script, store)
    running = turns.start(a_turn("a"))
    early = asyncio.create_task(read(running))
    await running.wait_started()
    script.gate.set()
    everything = [(0, TextDelta("你")), (1, TextDelta("好")), (2, COMPLETED)]
    assert await early == everything
    assert turns.find("a") is running
    assert await read(running) == everything
    assert await read(running, 2) == everything[2:]
    assert await read(running, 99) == []
    assert await turns.history("c1") == said("hi", "你好")


async def test_a_cancelled_turn_ends_keeps_its_text_and_stops_its_work(store: Store) -> None:
    script = Script()
    turns = turns_of(script, store)
    running = turns.start(a_turn("a"))
    await running.wait_started()
    turns.cancel("a")
    await running.wait_ended()
    assert running.events == [TextDelta("你"), CANCELLED]
    assert script.stopped == ["a"]
    assert await turns.history("c1") == said("hi", "你")
    turns.cancel("a")
    assert running.events == [TextDelta("你"), CANCELLED]


async def test_the_next_turn_knows_what_is_still_being_spoken(store: Store) -> None:
    script = Script()
    turns = turns_of(script, store)
    running = turns.start(a_turn("a"))
    await running.wait_started()
    assert (await turns.history("c1"), await turns.history("c2")) == (said("hi", "你"), Past())
    script.gate.set()
    await running.wait_ended()
    assert await turns.history("c1") == said("hi", "你好")


async def test_a_turn_cancelled_before_its_first_step_ends_too(store: Store) -> None:
    turns = turns_of(Script(), store, max_running=1)
    running = turns.start(a_turn("a"))
    turns.cancel("a")
    await running.wait_ended()
    assert [type(event) for event in running.events] == [TurnFailed]
    turns.start(a_turn("b"))
    await turns.close()


async def test_too_many_turns_are_refused(store: Store) -> None:
    turns = turns_of(Script(), store, max_running=1)
    turns.start(a_turn("a"))
    with pytest.raises(TooBusy, match="1 turns are running"):
        turns.start(a_turn("b"))
    await turns.close()


async def test_old_turns_are_forgotten_and_running_ones_never(store: Store) -> None:
    script = Script()
    turns = turns_of(script, store, kept=2)
    running = turns.start(a_turn("running"))
    await running.wait_started()
    script.held = "running"
    script.gate.set()
    for turn_id in "abc":
        await turns.start(a_turn(turn_id)).wait_ended()
    await asyncio.sleep(0)
    found = [turns.find(turn_id) for turn_id in ("a", "running", "b", "c")]
    assert [one.ended if one else None for one in found] == [None, False, True, True]
    await turns.close()


async def test_close_ends_all(store: Store) -> None:
    script = Script()
    turns = turns_of(script, store)
    both = [turns.start(a_turn(turn_id)) for turn_id in "ab"]
    for running in both:
        await running.wait_started()
    await turns.close()
    assert [running.ended for running in both] == [True, True]
    assert script.stopped == ["a", "b"]


KEPT = TurnRecord("a", "c1", "hi", Language.ZH, None, VOICE.id, 1500)


async def test_a_turn_is_kept_before_its_last_event_is_told(store: Store) -> None:
    script = Script()
    turns = turns_of(script, store)
    running = turns.start(a_turn("a"))
    await turns.noted()
    assert await store.turn("a") == KEPT
    script.gate.set()
    await running.wait_ended()
    kept = await store.turn("a")
    assert kept == replace(KEPT, status=TurnStatus.COMPLETED, reply="你好", events=kept.events)
    assert kept.events[:2] == (SentEvent("text_delta", '{"text":"你"}'), SentEvent("text_delta", '{"text":"好"}'))
    assert [sent.name for sent in kept.events] == ["text_delta", "text_delta", "turn_completed"]


async def test_a_stopped_turn_is_kept_with_its_part_of_the_text(store: Store) -> None:
    turns = turns_of(Script(), store)
    running = turns.start(a_turn("a"))
    await running.wait_started()
    await turns.close()
    kept = await store.turn("a")
    assert kept == replace(KEPT, status=TurnStatus.CANCELLED, reply="你", events=kept.events)
    assert [sent.name for sent in kept.events] == ["text_delta", "turn_failed"]


async def test_a_turn_with_a_history_of_its_own_is_not_kept(store: Store) -> None:
    script = Script()
    script.gate.set()
    turns = turns_of(script, store)
    running = turns.start(replace(a_turn("a"), conversation_id=None))
    await running.wait_ended()
    assert running.events[-1] == COMPLETED
    with pytest.raises(NotFound):
        await store.turn("a")


async def test_a_reply_outlives_a_broken_store_and_is_kept_with_the_next(store: Store) -> None:
    script = Script()
    script.gate.set()
    turns = turns_of(script, store)
    store.is_broken = True
    first = turns.start(a_turn("a"))
    await first.wait_ended()
    fault = "The database failed: disk full."
    not_kept = Problem("store", "turn_not_kept", f"MegaService could not write this turn down. {fault}")
    assert first.events[2:] == [replace(COMPLETED, problems=(not_kept,))]
    not_read = Problem("store", "history_not_read", f"The tutor could not read what was said before. {fault}")
    assert await turns.history("c1") == replace(said("hi", "你好"), problems=(not_read,))
    store.is_broken = False
    assert await turns.history("c1") == said("hi", "你好")
    await turns.start(a_turn("b")).wait_ended()
    await turns.close()
    assert [turn.turn_id for turn in await store.turns("c1")] == ["a", "b"]


async def test_an_error_of_our_own_ends_the_turn(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    async def run(turn: Turn) -> AsyncGenerator[ChatEvent]:
        yield TextDelta("你")
        raise ZeroDivisionError

    turns = Turns(run, store, kept=10, max_running=1)
    running = turns.start(a_turn("a"))
    await running.wait_ended()
    last = running.events[-1]
    assert isinstance(last, TurnFailed)
    assert (last.problem.code, last.reply) == ("internal", "你")
    assert "turn broke" in caplog.messages
    assert (await store.turn("a")).status is TurnStatus.FAILED


async def test_a_deleted_conversation_is_stopped_and_gone(store: Store) -> None:
    script = Script()
    turns = turns_of(script, store)
    running = turns.start(a_turn("a"))
    await running.wait_started()
    assert await turns.delete_conversation("c1") == {"a"}
    assert script.stopped == ["a"]
    assert await store.conversations(limit=10) == ()
    for call in (turns.delete_conversation("c1"), store.turn("a")):
        with pytest.raises(NotFound):
            await call
    assert turns.find("a") is None
