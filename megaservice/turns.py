"""Running and finished turns: started once, followed by any number of readers from any event on, cancelled by id."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from itertools import chain

from megaservice.conversations import Conversations
from megaservice.errors import NotFound, TooBusy
from megaservice.logs import current_turn, fields
from megaservice.models import ChatEvent, Message, Problem, Role, TextDelta, Timings, Turn, TurnCompleted, TurnFailed

log = logging.getLogger(__name__)

RunTurn = Callable[[Turn], AsyncGenerator[ChatEvent]]


class RunningTurn:
    """One turn's events so far; the last is TurnCompleted or TurnFailed once it has ended."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.events: list[ChatEvent] = []
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


class Turns:
    """All turns of this process. `run` makes a turn's events; ended turns stay replayable until `kept` newer ended."""

    def __init__(self, run: RunTurn, conversations: Conversations, *, kept: int, max_running: int) -> None:
        self._run = run
        self._conversations = conversations
        self._kept = kept
        self._max_running = max_running
        self._turns: OrderedDict[str, RunningTurn] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def are_running(self) -> bool:
        return bool(self._tasks)

    def history(self, conversation_id: str) -> tuple[Message, ...]:
        """What was said before, oldest first: a reply counts as far as it is written, also while it is still spoken."""
        running = (self._turns[turn_id] for turn_id in self._tasks)
        unfinished = [
            one for one in running if one.turn.conversation_id == conversation_id and one.reply and not one.ended
        ]
        said = [(Message(Role.USER, one.turn.message), Message(Role.ASSISTANT, one.reply)) for one in unfinished]
        return (*self._conversations.history(conversation_id), *chain.from_iterable(said))

    def start(self, turn: Turn) -> RunningTurn:
        """Raises TooBusy."""
        if len(self._tasks) >= self._max_running:
            raise TooBusy(f"{self._max_running} turns are running already; try again in a few seconds.")
        running = RunningTurn(turn)
        task = asyncio.create_task(self._work(running), name=f"turn {turn.turn_id}")
        task.add_done_callback(lambda _: self._finish(running))  # also where it is cancelled before its first step
        self._turns[turn.turn_id] = running
        self._tasks[turn.turn_id] = task
        return running

    def get(self, turn_id: str) -> RunningTurn:
        """Raises NotFound."""
        try:
            return self._turns[turn_id]
        except KeyError:
            raise NotFound("There is no such turn; old turns are forgotten.") from None

    def cancel(self, turn_id: str) -> None:
        """Have a running turn and its work upstream end at once; an ended one stays as it is. Raises NotFound."""
        self.get(turn_id)
        if task := self._tasks.get(turn_id):
            task.cancel()

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, running: RunningTurn) -> None:
        turn = running.turn
        current_turn.set(turn.turn_id)
        log.info("turn started", extra=fields(language=turn.language, level=turn.hsk_level, voice=turn.voice.id))
        async with aclosing(self._run(turn)) as events:
            async for event in events:
                if isinstance(event, TurnCompleted | TurnFailed):
                    self._remember(turn, event.reply)
                running.append(event)

    def _finish(self, running: RunningTurn) -> None:
        if not running.ended:
            self._remember(running.turn, running.reply)
            problem = Problem("turn", "cancelled", "The turn was stopped.")
            running.append(TurnFailed(problem, False, running.reply, (), Timings()))
        del self._tasks[running.turn.turn_id]
        self._forget_old()
        _log_end(running)

    def _remember(self, turn: Turn, reply: str) -> None:
        if turn.conversation_id is not None and reply:
            self._conversations.add(turn.conversation_id, turn.message, reply)

    def _forget_old(self) -> None:
        ended = [turn_id for turn_id in self._turns if turn_id not in self._tasks]
        for turn_id in ended[: max(0, len(ended) - self._kept)]:
            del self._turns[turn_id]


def _log_end(running: RunningTurn) -> None:
    turn = running.turn.turn_id
    match running.events[-1]:
        case TurnCompleted() as last:
            log.info(
                "turn completed",
                extra=fields(
                    turn=turn,
                    finish=last.finish_reason,
                    endpoint=last.endpoint,
                    attempts=len(last.attempts),
                    problems=len(last.problems),
                    first_token_ms=last.timings.first_token,
                    first_audio_ms=last.timings.first_audio,
                    total_ms=last.timings.total,
                ),
            )
        case TurnFailed() as last:
            log.warning(
                "turn failed",
                extra=fields(turn=turn, stage=last.problem.stage, code=last.problem.code, why=last.problem.message),
            )
