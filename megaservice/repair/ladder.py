"""Ladder: from the sentences that the LLM writes to those that may be said, by the rungs that a level allows."""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from megaservice.errors import LLMError
from megaservice.hsk import Grade
from megaservice.models import LevelReport, Message, Rung, Turn
from megaservice.repair.meter import Meter
from megaservice.repair.request import retry_request
from megaservice.repair.rules import RepairRules
from megaservice.repair.stock import stock_question
from megaservice.text.splitter import is_finished

_QUESTION_MARKS = "？?"
_FILLERS = re.compile(r"[\W是吗呢的了啊呀]")
_LIKELY = 0.75  # what may as well be left out has to be this likely to make sense
_TAG_QUESTION = re.compile(r"你(?:觉得|说)?呢[？?]")  # says nothing where what it hangs on is left out


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence as it was written. `is_tail`: the reply's token limit cut it off."""

    text: str
    transcript: str
    is_tail: bool = False


class Asking(Protocol):
    """The LLM as one turn asks it. `again` and `several` raise LLMError."""

    def again(self, request: Sequence[Message]) -> AsyncGenerator[Piece]:
        """What it answers when these follow the turn's prompt."""
        ...

    async def several(self, count: int) -> Sequence[Sequence[Piece]]:
        """Other answers to the turn's prompt, in one request."""
        ...

    @property
    def judges(self) -> bool:
        """Whether the server judges replies."""
        ...

    async def likelihood(self, reply: str) -> float | None:
        """How likely this much of a reply answers the message, from 0 to 1; None where nobody tells. Never raises."""
        ...


class Ladder:
    """One turn's. `rung` is the last one that was needed."""

    def __init__(self, turn: Turn, meter: Meter, rules: RepairRules, asking: Asking) -> None:
        self.rung = Rung.WRITTEN
        self._turn = turn
        self._meter = meter
        self._rules = rules
        self._rungs = (rules.unconstrained or rules.rungs)[meter.level]
        self._asking = asking
        self.is_judged = asking.judges and meter.level in rules.judged_levels
        self._said = ""

    def hold(self) -> None:
        """The reply is written under the level's constraint."""
        self.rung = Rung.CONSTRAINED
        self._rungs = self._rules.rungs[self._meter.level]

    async def climb(self, written: AsyncGenerator[Piece]) -> AsyncGenerator[tuple[Piece, Grade | None]]:
        """What may be said with its grade, where there is one, as soon as it may be said.

        Ends before `written` does where something else takes its place.
        """
        refused: list[Piece] = []
        spare: list[Piece] = []
        async for piece in written:
            if _is_hidden(piece) or (refused and self._is_left_alone(piece)):
                continue
            if self._fits(self._said, piece):
                if await self._makes_no_sense(piece):
                    continue
                yield self._say(piece)
                continue
            refused.append(piece)
            if len(refused) == 1 and self._rungs & {Rung.BEST, Rung.RETRY}:
                rung, spare = await self._better(piece)
                if rung is not None:
                    self.rung = rung
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
        begun_on, self.rung = self.rung, Rung.KEPT
        if not self._said.strip() and Rung.KEPT in self._rungs:
            yield from spare
        if Rung.STOCK in self._rungs and not any(mark in self._said for mark in _QUESTION_MARKS):
            self.rung = Rung.STOCK
            question = stock_question(self._meter.level, self._turn.turn_id, self._turn.history)
            yield Piece(question, question)
        elif not self._said.strip():
            self.rung = begun_on
            yield from refused

    async def _better(self, refused: Piece) -> tuple[Rung | None, list[Piece]]:
        """The rung that gave an answer which may be said as a whole, and what may be said of the best one."""
        best: list[Piece] = []
        try:
            async with asyncio.timeout(self._rules.budget_seconds):
                for rung, answers in ((Rung.BEST, self._others), (Rung.RETRY, self._retried)):
                    if rung in self._rungs:
                        async with aclosing(answers(refused)) as given:
                            async for is_whole, pieces in given:
                                best = max(best, pieces, key=len)
                                if is_whole:
                                    return rung, pieces
        except (TimeoutError, LLMError):
            pass
        return None, best

    async def _makes_no_sense(self, piece: Piece) -> bool:
        """Of a whole sentence behind the first one: with it the reply hardly answers the message."""
        if not (self.is_judged and is_finished(self._said) and is_finished(piece.text)):
            return False
        likelihood = await self._asking.likelihood((self._said + piece.text).strip())
        self.is_judged = likelihood is not None  # a server that is too slow is not waited for again
        return likelihood is not None and likelihood < _LIKELY

    async def _others(self, _: Piece) -> AsyncGenerator[tuple[bool, list[Piece]]]:
        answers = await self._asking.several(self._rules.samples)
        for answer in sorted(answers, key=lambda answer: -self._meter.coverage("".join(one.text for one in answer))):
            kept, is_refused = self._sayable(answer)
            yield bool(kept) and not is_refused, kept

    async def _retried(self, refused: Piece) -> AsyncGenerator[tuple[bool, list[Piece]]]:
        yield await self._answer(retry_request(self._said + refused.text, self._meter.grade(refused.text)))

    async def _answer(self, request: Sequence[Message]) -> tuple[bool, list[Piece]]:
        """Read only as far as it may be said."""
        read: list[Piece] = []
        kept: list[Piece] = []
        is_refused = False
        try:
            async with aclosing(self._asking.again(request)) as pieces:
                async for piece in pieces:
                    read.append(piece)
                    kept, is_refused = self._sayable(read)
                    if is_refused:
                        break
        except LLMError:
            return False, kept
        return bool(kept) and not is_refused, kept

    def _sayable(self, answer: Sequence[Piece]) -> tuple[list[Piece], bool]:
        """What of it may be said, up to the first sentence that may not, and whether there is one."""
        kept: list[Piece] = []
        said = self._said
        for piece in answer:
            if piece.is_tail or _is_hidden(piece) or piece.text.strip() in said:  # what stands is said again
                continue
            if not self._fits(said, piece):
                return kept, True
            kept.append(piece)
            said += piece.text
        return kept, False

    def _fits(self, said: str, piece: Piece) -> bool:
        is_first = not said.strip()
        return not (is_first and self._is_asked_back(piece)) and self._meter.fits(said, piece.text)

    def _is_asked_back(self, piece: Piece) -> bool:
        """现在是几点？ is no answer to 现在几点？ by itself."""
        asked, said = (text.strip() for text in (self._turn.message, piece.text))
        is_question = all(text.endswith(tuple(_QUESTION_MARKS)) for text in (asked, said))
        return is_question and _FILLERS.sub("", asked) == _FILLERS.sub("", said)

    def _is_left_alone(self, piece: Piece) -> bool:
        """A stock question is better then."""
        is_first = Rung.STOCK in self._rungs and not self._said.strip()
        return is_first and _TAG_QUESTION.fullmatch(piece.text.strip()) is not None

    def report(self, reply: str) -> LevelReport:
        return self._meter.report(reply, self.rung)

    def _say(self, piece: Piece) -> tuple[Piece, Grade | None]:
        self._said += piece.text
        return piece, self._meter.grade(piece.text)


def _is_hidden(piece: Piece) -> bool:
    """A model's reasoning or code: words that are not for the learner."""
    return not piece.transcript and any(map(str.isalpha, piece.text))
