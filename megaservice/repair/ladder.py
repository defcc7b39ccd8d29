"""Ladder: from the sentences that the LLM writes to those that may be said, by the rungs that a level allows."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from megaservice.errors import LLMError
from megaservice.hsk import Grade
from megaservice.models import LevelReport, Message, Rung, Turn
from megaservice.repair.meter import Meter
from megaservice.repair.request import retry_request
from megaservice.repair.rules import RepairRules
from megaservice.repair.stock import stock_question

_QUESTION_MARKS = "？?"


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence as it was written. `is_tail`: the reply's token limit cut it off."""

    text: str
    transcript: str
    is_tail: bool = False


Ask = Callable[[Sequence[Message]], AsyncGenerator[Piece]]  # what the LLM answers when these follow the turn's prompt


class Ladder:
    """One turn's. `rung` is the last one that was needed."""

    def __init__(self, turn: Turn, meter: Meter, rules: RepairRules, ask: Ask) -> None:
        self.rung = Rung.WRITTEN
        self._turn = turn
        self._meter = meter
        self._rules = rules
        self._rungs = rules.rungs[meter.level]
        self._ask = ask
        self._said = ""

    async def climb(self, written: AsyncGenerator[Piece]) -> AsyncGenerator[tuple[Piece, Grade | None]]:
        """What may be said with its grade, where there is one, as soon as it may be said.

        Ends before `written` does where something else takes its place.
        """
        refused: list[Piece] = []
        spare: list[Piece] = []
        async for piece in written:
            if _is_hidden(piece):
                continue
            if self._meter.fits(self._said, piece.text):
                yield self._say(piece)
                continue
            refused.append(piece)
            if len(refused) == 1 and Rung.RETRY in self._rungs:
                is_whole, spare = await self._retry(piece)
                if is_whole:
                    self.rung = Rung.RETRY
                    for better in spare:
                        yield self._say(better)
                    return
            if Rung.KEPT in self._rungs:
                continue
            if Rung.STOCK in self._rungs:
                break
            yield self._say(piece)
        for piece in self._fill(refused, spare):
            yield self._say(piece)

    def _fill(self, refused: Sequence[Piece], spare: Sequence[Piece]) -> Iterator[Piece]:
        """What is said at the end where sentences were left out."""
        if not refused or not self._rungs & {Rung.KEPT, Rung.STOCK}:
            return
        self.rung = Rung.KEPT
        if not self._said.strip() and Rung.KEPT in self._rungs:
            yield from spare
        if Rung.STOCK in self._rungs and not any(mark in self._said for mark in _QUESTION_MARKS):
            self.rung = Rung.STOCK
            question = stock_question(self._meter.level, self._turn.turn_id, self._turn.history)
            yield Piece(question, question)
        elif not self._said.strip():
            self.rung = Rung.WRITTEN
            yield from refused

    async def _retry(self, refused: Piece) -> tuple[bool, list[Piece]]:
        """Whether one of the answers may be said as a whole, and what of the best one may be said."""
        request = retry_request(self._said + refused.text, self._meter.grade(refused.text))
        answers = [asyncio.create_task(self._answer(request)) for _ in range(self._rules.samples)]
        best: tuple[bool, list[Piece]] = (False, [])
        try:
            async with asyncio.timeout(self._rules.budget_seconds):
                for answer in asyncio.as_completed(answers):
                    best = max(best, await answer, key=lambda one: (one[0], len(one[1])))
                    if best[0]:
                        break
        except TimeoutError:
            pass
        finally:
            for task in answers:
                task.cancel()
            await asyncio.wait(answers)
        return best

    async def _answer(self, request: Sequence[Message]) -> tuple[bool, list[Piece]]:
        """Read only as far as it may be said."""
        kept: list[Piece] = []
        said = self._said
        try:
            async with aclosing(self._ask(request)) as pieces:
                async for piece in pieces:
                    if piece.is_tail or _is_hidden(piece) or piece.text.strip() in said:  # what stands is said again
                        continue
                    if not self._meter.fits(said, piece.text):
                        return False, kept
                    kept.append(piece)
                    said += piece.text
        except LLMError:
            return False, kept
        return bool(kept), kept

    def report(self, reply: str) -> LevelReport:
        return self._meter.report(reply, self.rung)

    def _say(self, piece: Piece) -> tuple[Piece, Grade | None]:
        self._said += piece.text
        return piece, self._meter.grade(piece.text)


def _is_hidden(piece: Piece) -> bool:
    """A model's reasoning or code: words that are not for the learner."""
    return not piece.transcript and any(map(str.isalpha, piece.text))
