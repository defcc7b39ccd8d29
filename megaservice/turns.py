"""All turns of this process: started once, followed by id, cancelled, and kept in the store when they end."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from megaservice.errors import MegaserviceError, NotFound, StoreError, TooBusy
from megaservice.logs import current_turn, fields
from megaservice.models import ChatEvent, Message, Problem, Role, Timings, Turn, TurnCompleted, TurnFailed
from megaservice.protocols import ConversationStore
from megaservice.records import Exchange, Past, TurnRecord
from megaservice.running_turn import CANCELLED, RunningTurn

log = logging.getLogger(__name__)

RunTurn = Callable[[Turn], AsyncGenerator[ChatEvent]]

_HISTORY_TURNS = 50


class Turns:
    """`run` makes a turn's events; ended turns stay in memory until `kept` newer ones ended."""

    def __init__(
        self,
        run: RunTurn,
        store: ConversationStore,
        *,
        kept: int,
        max_running: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._run = run
        self._store = store
        self._kept = kept
        self._max_running = max_running
        self._clock = clock
        self._turns: OrderedDict[str, RunningTurn] = OrderedDict()
        self._work: dict[str, asyncio.Task[TurnCompleted | TurnFailed]] = {}
        self._running: dict[str, asyncio.Task[None]] = {}  # by turn id, until all is done that its end asks for

    @property
    def are_running(self) -> bool:
        return bool(self._running)

    def is_running(self, turn_id: str) -> bool:
        return turn_id in self._running

    async def history(self, conversation_id: str) -> Past:
        """What was said before: a reply counts as far as it is written, also while it is still spoken."""
        here = [one for one in self._of(conversation_id) if not one.is_kept]
        stored: tuple[Exchange, ...] = ()
        problems: tuple[Problem, ...] = ()
        try:
            stored = await self._store.history(conversation_id, limit=_HISTORY_TURNS)
        except StoreError as exc:
            log.error("history not read", extra=fields(why=exc.message))
            told = f"The tutor could not read what was said before. {exc.message}"
            problems = (Problem("store", "history_not_read", told),)
        known = {exchange.turn_id for exchange in stored}
        late = [one for one in here if one.reply and one.turn.turn_id not in known]
        said = [*stored, *(Exchange(one.turn.turn_id, one.turn.message, one.reply) for one in late)]
        return Past(tuple(message for exchange in said for message in _messages(exchange)), problems)

    def start(self, turn: Turn) -> RunningTurn:
        """Raises TooBusy."""
        if len(self._running) >= self._max_running:
            raise TooBusy(f"{self._max_running} turns are running already; try again in a few seconds.")
        running = RunningTurn(turn, round(self._clock() * 1000))
        work = asyncio.create_task(self._until_last(running), name=f"turn {turn.turn_id}")
        self._turns[turn.turn_id] = running
        self._work[turn.turn_id] = work
        self._running[turn.turn_id] = asyncio.create_task(self._see_through(running, work))
        return running

    def find(self, turn_id: str) -> RunningTurn | None:
        """One that runs or is still in memory."""
        return self._turns.get(turn_id)

    def cancel(self, turn_id: str) -> None:
        """Have a running turn and its work upstream end at once; any other stays as it is."""
        if work := self._work.get(turn_id):
            work.cancel()

    async def noted(self) -> None:
        """Wait until the store has been told of every turn that was started."""
        await asyncio.gather(*(self._turns[turn_id].is_noted.wait() for turn_id in self._running))

    async def delete_conversation(self, conversation_id: str) -> set[str]:
        """Stop its turns and forget them; their ids. Raises NotFound and StoreError."""
        here = self._of(conversation_id)
        for one in here:
            self.cancel(one.turn.turn_id)
        await asyncio.gather(*(one.wait_ended() for one in here))
        for one in here:
            self._turns.pop(one.turn.turn_id, None)
        turn_ids = {one.turn.turn_id for one in here} | set(await self._store.delete(conversation_id))
        if not turn_ids:
            raise NotFound("There is no such conversation.")
        return turn_ids

    async def close(self) -> None:
        for work in self._work.values():
            work.cancel()
        await asyncio.gather(*self._running.values())
        await self._keep_late()

    def _of(self, conversation_id: str) -> list[RunningTurn]:
        return [one for one in self._turns.values() if one.turn.conversation_id == conversation_id]

    async def _until_last(self, running: RunningTurn) -> TurnCompleted | TurnFailed:
        turn = running.turn
        current_turn.set(turn.turn_id)
        log.info("turn started", extra=fields(language=turn.language, level=turn.hsk_level, voice=turn.voice.id))
        async with aclosing(self._run(turn)) as events:
            async for event in events:
                if isinstance(event, TurnCompleted | TurnFailed):
                    return event
                running.append(event)
        raise AssertionError("a turn ends with TurnCompleted or TurnFailed")

    async def _see_through(self, running: RunningTurn, work: "asyncio.Task[TurnCompleted | TurnFailed]") -> None:
        """Have the learner's words kept at once, and the whole turn before its last event is told, however it ends."""
        turn_id = running.turn.turn_id
        current_turn.set(turn_id)
        await self._keep_late()
        if not running.is_kept:
            await self._save(running.record())
        running.is_noted.set()
        await asyncio.wait([work])
        running.append(await self._keep(running, _last(running, work)))
        del self._work[turn_id], self._running[turn_id]
        self._forget_old()
        _log_end(running)

    async def _keep(self, running: RunningTurn, last: TurnCompleted | TurnFailed) -> TurnCompleted | TurnFailed:
        """The last event, with the fault in it where the turn could not be kept: its reply is told all the same."""
        if running.is_kept:
            return last
        problem = await self._save(running.record(last))
        running.is_kept = problem is None
        if problem is None or isinstance(last, TurnFailed):
            return last
        return replace(last, problems=(*last.problems, problem))

    async def _keep_late(self) -> None:
        """The turns that could not be kept when they ended, before any that follows."""
        for late in [one for one in self._turns.values() if one.ended and not one.is_kept]:
            if await self._save(late.record()) is not None:
                return
            late.is_kept = True

    async def _save(self, record: TurnRecord) -> Problem | None:
        try:
            await self._store.save(record)
        except Exception as exc:  # whatever it is, the reply goes to the learner
            is_known = isinstance(exc, StoreError)
            log.error("turn not kept", exc_info=None if is_known else exc, extra=fields(why=exc))
            told = str(exc) if is_known else "Its log has the details."
            return Problem("store", "turn_not_kept", f"MegaService could not write this turn down. {told}")
        return None

    def _forget_old(self) -> None:
        ended = [turn_id for turn_id in self._turns if turn_id not in self._running]
        for turn_id in ended[: max(0, len(ended) - self._kept)]:
            del self._turns[turn_id]


def _last(running: RunningTurn, work: "asyncio.Task[TurnCompleted | TurnFailed]") -> TurnCompleted | TurnFailed:
    """How a turn ends whose work is done."""
    if work.cancelled():
        problem = Problem("turn", CANCELLED, "The turn was stopped.")
    elif error := work.exception():
        log.error("turn broke", exc_info=error)
        problem = Problem(
            "turn", MegaserviceError.code, "MegaService met an error of its own; its log has the details."
        )
    else:
        return work.result()
    return TurnFailed(problem, False, running.reply, (), Timings())


def _messages(exchange: Exchange) -> tuple[Message, Message]:
    return Message(Role.USER, exchange.message), Message(Role.ASSISTANT, exchange.reply)


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
                    verdict=last.level.verdict if last.level else None,
                    rung=last.level.rung if last.level else None,
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
