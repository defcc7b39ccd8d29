import asyncio
from collections.abc import AsyncGenerator

import pytest

from megaservice.conversations import Conversations
from megaservice.errors import NotFound, TooBusy
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
from megaservice.turns import RunningTurn, Turns
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


def turns_of(script: Script, *, kept: int = 10, max_running: int = 10) -> tuple[Turns, Conversations]:
    conversations = Conversations(kept=10)
    return Turns(script, conversations, kept=kept, max_running=max_running), conversations


async def read(running: RunningTurn, start: int = 0) -> list[tuple[int, ChatEvent]]:
    return [entry async for entry in running.follow(start)]


async def test_readers_follow_and_replay_from_any_event() -> None:
    script = Script()
    turns, conversations = turns_of(script)
    running = turns.start(a_turn("a"))
    early = asyncio.create_task(read(running))
    await running.wait_started()
    script.gate.set()
    everything = [(0, TextDelta("你")), (1, TextDelta("好")), (2, COMPLETED)]
    assert await early == everything
    assert await read(turns.get("a")) == everything
    assert await read(turns.get("a"), 2) == everything[2:]
    assert await read(turns.get("a"), 99) == []
    assert conversations.history("c1") == (Message(Role.USER, "hi"), Message(Role.ASSISTANT, "你好"))


async def test_a_cancelled_turn_ends_keeps_its_text_and_stops_its_work() -> None:
    script = Script()
    turns, conversations = turns_of(script)
    running = turns.start(a_turn("a"))
    await running.wait_started()
    turns.cancel("a")
    await running.wait_ended()
    assert running.events == [TextDelta("你"), CANCELLED]
    assert script.stopped == ["a"]
    assert conversations.history("c1") == (Message(Role.USER, "hi"), Message(Role.ASSISTANT, "你"))
    turns.cancel("a")
    assert running.events == [TextDelta("你"), CANCELLED]


async def test_the_next_turn_knows_what_is_still_being_spoken() -> None:
    script = Script()
    turns, _ = turns_of(script)
    running = turns.start(a_turn("a"))
    await running.wait_started()
    said = (Message(Role.USER, "hi"), Message(Role.ASSISTANT, "你"))
    assert (turns.history("c1"), turns.history("c2")) == (said, ())
    script.gate.set()
    await running.wait_ended()
    assert turns.history("c1") == (Message(Role.USER, "hi"), Message(Role.ASSISTANT, "你好"))


async def test_a_turn_cancelled_before_its_first_step_ends_too() -> None:
    turns, _ = turns_of(Script(), max_running=1)
    running = turns.start(a_turn("a"))
    turns.cancel("a")
    await running.wait_ended()
    assert [type(event) for event in running.events] == [TurnFailed]
    turns.start(a_turn("b"))
    await turns.close()


async def test_too_many_turns_are_refused() -> None:
    turns, _ = turns_of(Script(), max_running=1)
    turns.start(a_turn("a"))
    with pytest.raises(TooBusy, match="1 turns are running"):
        turns.start(a_turn("b"))
    await turns.close()


async def test_old_turns_are_forgotten_and_running_ones_never() -> None:
    script = Script()
    turns, _ = turns_of(script, kept=2)
    running = turns.start(a_turn("running"))
    await running.wait_started()
    script.held = "running"
    script.gate.set()
    for turn_id in "abc":
        await turns.start(a_turn(turn_id)).wait_ended()
    await asyncio.sleep(0)
    with pytest.raises(NotFound):
        turns.get("a")
    assert [turns.get(turn_id).ended for turn_id in ("running", "b", "c")] == [False, True, True]
    await turns.close()


async def test_close_ends_all() -> None:
    script = Script()
    turns, _ = turns_of(script)
    both = [turns.start(a_turn(turn_id)) for turn_id in "ab"]
    for running in both:
        await running.wait_started()
    await turns.close()
    assert [running.ended for running in both] == [True, True]
    assert script.stopped == ["a", "b"]
