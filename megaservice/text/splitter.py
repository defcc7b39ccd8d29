"""Cuts a reply, while it is written, into the pieces to speak: the first early, none inside a quote or number.

Characters are taken one at a time, and only the text not yet sent is looked at, so the result cannot depend on how the
reply was cut into deltas.
"""

import re
import unicodedata
from dataclasses import dataclass, replace

from megaservice.models import Language, Sentence

END_MARKS = "。！？!?…⋯；.\n"
SOFT_MARKS = "，、：—–,:;"
CLOSERS = "”’」』）)]】》〉\"'"
# What closes each opener; models mix full-width and ASCII brackets. A straight " opens when none is open.
_CLOSED_BY = {
    "“": "”",
    "‘": "’",
    "「": "」",
    "『": "』",
    "（": "）)",
    "(": "）)",
    "[": "]",
    "【": "】",
    "《": "》",
    "〈": "〉",
    '"': '"',
}
# These end a clause whatever follows, unless a digit stands before, so the first chunk need not wait to see it.
_CERTAIN_SOFT_MARKS = "，、："
_EMOJI_JOINERS = "\u200d\ufe0e\ufe0f\u20e3"
_CJK_FROM = "\u2e80"
_ABBREVIATION = re.compile(
    r"(?:^|[^A-Za-z.'’])(?:mrs?|ms|dr|prof|st|jr|sr|vs|fig|approx|dept|inc|ltd|ph\.d|(?:[a-z]\.)+[a-z]|[a-hj-z])$",
    re.IGNORECASE,
)
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*\d{1,3}$")
_ENDED_QUOTE = re.compile(rf"[{re.escape(END_MARKS)}]+[{re.escape(CLOSERS)}]+$")
_FORCED_END = re.compile(rf"[。！？…⋯；\n][{re.escape(CLOSERS)}]*|[.!?][{re.escape(CLOSERS)}]*(?=\s)")
_FORCED_SOFT = re.compile(r"[，、：—]+|[,;:](?=\s)")


@dataclass(frozen=True, slots=True)
class SplitLimits:
    """Counts of letters, digits and hanzi (`spoken_length`), except `hard`, which counts every character."""

    first_end: int  # the first chunk may leave at a sentence end from here
    first_soft: int  # and at a comma from here
    end: int  # later chunks: at a sentence end from here
    soft: int  # at a comma from here
    hard: int  # anywhere that is no word, even inside a quote that never closes
    crumb: int  # a rest shorter than this is not worth a clip of its own


LIMITS = {
    Language.ZH: SplitLimits(first_end=2, first_soft=4, end=8, soft=28, hard=60, crumb=3),
    Language.EN: SplitLimits(first_end=4, first_soft=12, end=24, soft=100, hard=200, crumb=8),
}
# Where each sentence is judged by itself.
JUDGED_LIMITS = replace(LIMITS[Language.ZH], end=1, crumb=0)


def is_finished(text: str) -> bool:
    """Whether `text` ends in a sentence-ending mark; closers, markdown and emoji behind the mark do not count."""
    end = len(text)
    while end and (text[end - 1].isspace() or text[end - 1] in CLOSERS + "*_~～" or _is_emoji(text[end - 1])):
        end -= 1
    return end > 0 and text[end - 1] in END_MARKS


class SentenceSplitter:
    """Feed deltas to `push`, call `flush` at the end; the texts of all sentences join to the whole reply.

    A mark is judged when a character comes that cannot belong to it. From the second chunk on a cut is held until
    `crumb` more spoken characters have come, so that a short rest ("你呢？") joins the sentence before it.
    """

    def __init__(self, language: Language, limits: SplitLimits | None = None) -> None:
        self._limits = limits or LIMITS[language]
        self._index = 0
        self._restart()

    def push(self, delta: str) -> list[Sentence]:
        return [sentence for character in delta for sentence in self._take(character)]

    def flush(self, *, is_cut_off: bool = False) -> list[Sentence]:
        """The rest of the reply, then the splitter is spent; the unfinished tail of a cut-off reply stands apart."""
        ended = self._ended_at if is_cut_off and not is_finished(self._text) else 0
        rest = [text for text in (self._text[:ended], self._text[ended:]) if text]
        self._restart()
        return [Sentence(index, text) for index, text in enumerate(rest, self._index)]

    def _restart(self) -> None:
        self._text = ""
        self._spoken = 0
        self._open: list[str] = []  # what closes each open quote or bracket, innermost last
        self._mark_at: int | None = None  # where a run of marks begins that is not judged yet
        self._ended_at = 0  # where the last sentence ends that is too short to leave alone
        self._cut_at: int | None = None  # a cut found good, held for crumbs
        self._cut_spoken = 0
        self._cut_is_end = False

    def _take(self, character: str) -> list[Sentence]:
        if self._mark_at is not None and not self._belongs_to_mark(character):
            if self._is_boundary(self._mark_at, character):
                self._propose_cut(is_end=_last_mark(self._text[self._mark_at :]) in END_MARKS)
            self._mark_at = None
        before = self._text[-1:]
        self._text += character
        self._spoken += character.isalnum()
        self._track_quotes(character)
        self._track_marks(character, before)
        if self._cut_at is not None and (
            self._index == 0 or self._spoken - self._cut_spoken >= self._limits.crumb or self._is_overlong()
        ):
            return self._cut(self._cut_at)
        if self._is_overlong() and (forced := self._forced_cut()):
            return self._cut(forced)
        return []

    def _track_quotes(self, character: str) -> None:
        for depth in range(len(self._open) - 1, -1, -1):
            if character in self._open[depth]:
                del self._open[depth:]
                return
        if character in _CLOSED_BY:
            self._open.append(_CLOSED_BY[character])

    def _track_marks(self, character: str, before: str) -> None:
        if self._open or self._mark_at is not None:
            return
        if character in END_MARKS or character in SOFT_MARKS:
            self._mark_at = len(self._text) - 1
            if self._index == 0 and character in _CERTAIN_SOFT_MARKS and not before.isdigit():
                self._propose_cut(is_end=False)
        elif character in CLOSERS and (ended := _ENDED_QUOTE.search(self._text)):
            self._mark_at = ended.start()

    def _belongs_to_mark(self, character: str) -> bool:
        if character.isspace() or _is_emoji(character):
            return True
        if any(seen.isspace() for seen in self._text[self._mark_at :]):
            return False
        return (
            character != '"' and character in END_MARKS + SOFT_MARKS + CLOSERS + "*_~～"
        )  # a " here opens the next quote

    def _is_boundary(self, mark_at: int, following: str) -> bool:
        """Whether the marks from `mark_at` to the end of the text end something, now that `following` is known."""
        before, run = self._text[:mark_at], self._text[mark_at:]
        mark = run[0]
        if "\n" in run:
            return not (mark == "." and _LIST_NUMBER.search(before))
        if not any(map(str.isspace, run)):
            if before[-1:].isdigit() and following.isdigit():
                return False  # 3.5, 1,000, 12:30
            if mark.isascii() and before[-1:].isascii() and following.isascii():
                return False  # inside a URL, an address, a file name
        elif following.islower() and (mark in ".…" or any(closer in run for closer in CLOSERS)):
            return False  # "Wait!" he said; approx. five; well... maybe
        if run.strip() == ".":
            return not (_ABBREVIATION.search(before) or _LIST_NUMBER.search(before))
        return True

    def _propose_cut(self, *, is_end: bool) -> None:
        if is_end:
            self._ended_at = len(self._text)
        if self._index == 0:
            least = self._limits.first_end if is_end else self._limits.first_soft
        else:
            least = self._limits.end if is_end else self._limits.soft
        is_better = self._cut_at is None or is_end or not self._cut_is_end
        if self._spoken >= least and is_better:
            self._cut_at, self._cut_spoken, self._cut_is_end = len(self._text), self._spoken, is_end

    def _cut(self, at: int) -> list[Sentence]:
        sentence, rest = Sentence(self._index, self._text[:at]), self._text[at:]
        self._index += 1
        self._restart()
        return [sentence, *self.push(rest)]

    def _is_overlong(self) -> bool:
        return len(self._text) > self._limits.hard

    def _forced_cut(self) -> int | None:
        """Where to cut an overlong text: best after a mark, else between words; None while it is one word (a URL)."""
        text, hard = self._text, self._limits.hard
        if len(text) > 4 * hard:
            return len(text)
        if len(text) > hard + 1:  # all before was looked at when the text was one shorter
            return len(text) - 1 if _is_between_words(text[-2], text[-1]) else None
        for marks in (_FORCED_END, _FORCED_SOFT):
            ends = [match.end() for match in marks.finditer(text, hard // 3) if match.end() < len(text)]
            ends = [end for end in ends if text[end] not in END_MARKS + SOFT_MARKS + CLOSERS]
            if ends:
                return ends[-1]
        return next((at for at in range(hard, hard // 3, -1) if _is_between_words(text[at - 1], text[at])), None)


def _last_mark(run: str) -> str:
    return next(mark for mark in reversed(run) if mark in END_MARKS or mark in SOFT_MARKS)


def _is_between_words(before: str, after: str) -> bool:
    if after.isspace() or after in END_MARKS + SOFT_MARKS + CLOSERS or before in _CLOSED_BY:
        return False
    return before.isspace() or before >= _CJK_FROM or after >= _CJK_FROM


def _is_emoji(character: str) -> bool:
    return not character.isascii() and (unicodedata.category(character) in ("So", "Sk") or character in _EMOJI_JOINERS)
