"""`scripts/bench level`: the replies of a real LLM at each HSK level, with and without what keeps them in level.

Every reply is written to a file as it comes, so a run that was broken off goes on where it was; docs/levels.md is made
of that file.
"""

import json
import statistics
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from megaservice.audio.store import ClipStore
from megaservice.hsk import DEFAULT_STANDARD, Grader, Lexicon, Standard, Verdict
from megaservice.hsk.constraint import Constraint, Constraints
from megaservice.llm import ChatClient
from megaservice.logs import PayloadLog
from megaservice.models import FinishReason, Language, Message, ReplyDelta, ReplyEnd, Rung, Turn, TurnCompleted
from megaservice.pipeline import run_turn
from megaservice.repair import Ladders, RepairRules, parse_levels, parse_rungs
from megaservice.settings import Settings
from megaservice.upstreams import LLMInfo, Readiness
from tests.fakes import VOICE, FakeSpeech

ROOT = Path(__file__).parent.parent
MESSAGES_FILE = ROOT / "tests" / "data" / "level_messages.txt"
REPLIES_FILE = ROOT / "tests" / "data" / "level_replies.jsonl"
REPORT_FILE = ROOT / "docs" / "levels.md"
_BEGIN, _END = "<!-- scripts/bench level: begin -->", "<!-- end -->"
_SAMPLES = 10
_LEVELS_READ = 2  # up to here all replies with everything on are printed, to be read
_COLUMNS = (
    "HSK",
    "with",
    "replies",
    "strict",
    "strict or accept",
    "mean coverage",
    "only Chinese",
    "first sentence, median s",
    "whole, median s",
    "on a stock question",
    "same text, most",
    "answers",
)


class Mode(StrEnum):
    """What a reply is made with; each has what those before it have."""

    PLAIN = "plain"
    EXAMPLES = "examples"
    REPAIR = "repair"
    CONSTRAINT = "constraint"


@dataclass(frozen=True, slots=True)
class Reply:
    level: int
    mode: Mode
    message: str
    text: str
    verdict: Verdict
    coverage: float
    flagged: tuple[str, ...]
    is_chinese: bool
    rung: Rung
    first_sentence_seconds: float
    total_seconds: float
    answers: bool | None = None  # set by the one who read it


class WithoutExamples:
    """A ChatModel that is sent the rules and the learner's message alone."""

    def __init__(self, chat: ChatClient) -> None:
        self._chat = chat
        self.model_id = chat.model_id

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int, constraint: Constraint | None = None
    ) -> AsyncGenerator[ReplyDelta | ReplyEnd]:
        return self._chat.stream([messages[0], messages[-1]], max_tokens=max_tokens, constraint=constraint)

    async def several(
        self, messages: Sequence[Message], *, count: int, max_tokens: int, constraint: Constraint | None = None
    ) -> tuple[tuple[str, FinishReason], ...]:
        return await self._chat.several(messages, count=count, max_tokens=max_tokens, constraint=constraint)

    @property
    def judges(self) -> bool:
        return self._chat.judges

    async def likelihood(self, messages: Sequence[Message]) -> float | None:
        return await self._chat.likelihood(messages)

    async def meet(self) -> bool:
        return await self._chat.meet()

    def takes_constraint(self, level: int) -> bool:
        return self._chat.takes_constraint(level)

    async def info(self) -> LLMInfo:
        return await self._chat.info()

    async def context_tokens(self) -> int:
        return await self._chat.context_tokens()

    async def readiness(self) -> Readiness:
        return await self._chat.readiness()


def messages() -> list[str]:
    lines = MESSAGES_FILE.read_text(encoding="utf-8").split("\n")
    return [line for line in lines if line and not line.startswith("#")]


def replies(file: Path = REPLIES_FILE) -> list[Reply]:
    """Those of all runs so far."""
    if not file.exists():
        return []
    return [_reply(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def _reply(row: dict[str, object]) -> Reply:
    typed = {"mode": Mode(str(row["mode"])), "verdict": Verdict(str(row["verdict"])), "rung": Rung(str(row["rung"]))}
    return Reply(**{**row, **typed, "flagged": tuple(row["flagged"])})  # type: ignore[arg-type]


async def run(
    settings: Settings, levels: Sequence[int], modes: Sequence[Mode], count: int, file: Path = REPLIES_FILE
) -> None:
    """Ask for what is not there yet: `count` messages, spread over the levels that they were written for."""
    lexicon = Lexicon.load()
    grader = Grader(lexicon)
    constraints = {DEFAULT_STANDARD: Constraints(lexicon, grader)}
    chat = ChatClient.from_settings(settings, PayloadLog())
    await chat.meet()
    asked = messages()
    asked = asked[:: max(1, len(asked) // count)][:count]
    done = {(reply.level, reply.mode, reply.message) for reply in replies(file)}
    wanted = [(level, mode, said) for level in levels for said in asked for mode in modes]
    missing = [one for one in wanted if one not in done]
    warm: set[tuple[int, Mode]] = set()
    started = time.monotonic()
    try:
        for number, (level, mode, said) in enumerate(missing, 1):
            ladders = _ladders(settings, grader, constraints, mode)
            if (level, mode) not in warm:  # the server reads a level's prompt once, and compiles its words
                await _ask(chat, ladders, settings, level, mode, "你好！")
                warm.add((level, mode))
            reply = await _ask(chat, ladders, settings, level, mode, said)
            with file.open("a", encoding="utf-8") as kept:
                kept.write(json.dumps(asdict(reply), ensure_ascii=False) + "\n")
            seconds = time.monotonic() - started
            print(f"{number}/{len(missing)} {seconds:.0f} s  HSK {level} {mode}: {said} -> {reply.text}", flush=True)
    finally:
        await chat.aclose()


def _ladders(settings: Settings, grader: Grader, constraints: dict[Standard, Constraints], mode: Mode) -> Ladders:
    rules = RepairRules(
        parse_rungs(settings.HSK_REPAIR if mode in (Mode.REPAIR, Mode.CONSTRAINT) else "off"),
        settings.HSK_REPAIR_SAMPLES,
        settings.HSK_REPAIR_BUDGET_SECONDS,
        judged_levels=parse_levels(settings.HSK_JUDGE if mode is Mode.CONSTRAINT else "off"),
    )
    constrained = parse_levels(settings.HSK_CONSTRAINT if mode is Mode.CONSTRAINT else "off")
    return Ladders(grader, rules, constraints, constrained)


async def _ask(chat: ChatClient, ladders: Ladders, settings: Settings, level: int, mode: Mode, said: str) -> Reply:
    turn = Turn(f"{level}{mode}{said}", None, said, Language.ZH, level, VOICE, speak=False)
    running = run_turn(
        turn,
        chat=WithoutExamples(chat) if mode is Mode.PLAIN else chat,
        speech=FakeSpeech(),
        clips=ClipStore(Path(), max_age_seconds=1, max_bytes=1),
        max_tokens=settings.LLM_MAX_TOKENS,
        ladders=ladders,
    )
    async with aclosing(running):
        last = [event async for event in running][-1]
    assert isinstance(last, TurnCompleted), last
    assert last.level is not None
    assert last.timings.first_sentence is not None
    assert last.timings.total is not None
    return Reply(
        level=level,
        mode=mode,
        message=said,
        text=last.reply,
        verdict=last.level.verdict,
        coverage=round(last.level.coverage, 4),
        flagged=tuple(flag.word for flag in last.level.flagged),
        is_chinese=ladders.grader.grade(last.reply, level).reject_reason is None,
        rung=last.level.rung,
        first_sentence_seconds=round(last.timings.first_sentence / 1000, 3),
        total_seconds=round(last.timings.total / 1000, 3),
    )


def write_report(file: Path = REPLIES_FILE, report: Path = REPORT_FILE) -> None:
    """Put the table and the samples between the markers of docs/levels.md."""
    before, _, rest = report.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    body = "\n".join(_report(replies(file)))
    report.write_text(f"{before}{_BEGIN}\n\n{body}\n\n{_END}{after}", encoding="utf-8")


def _report(seen: Sequence[Reply]) -> Iterator[str]:
    grouped = {
        (level, mode): group
        for level in sorted({reply.level for reply in seen})
        for mode in Mode
        if (group := [reply for reply in seen if (reply.level, reply.mode) == (level, mode)])
    }
    yield f"| {' | '.join(_COLUMNS)} |"
    yield "| --- " * len(_COLUMNS) + "|"
    yield from (_row(level, mode, group) for (level, mode), group in grouped.items())
    for (level, mode), group in grouped.items():
        yield f"\n### HSK {level}, {mode}\n"
        every = max(1, len(group) // _SAMPLES)
        is_read_whole = mode is Mode.CONSTRAINT and level <= _LEVELS_READ
        for reply in group if is_read_whole else group[::every][:_SAMPLES]:
            mark = {None: "", True: " ✓", False: " ✗"}[reply.answers]
            told = "" if reply.rung in (Rung.WRITTEN, Rung.CONSTRAINED) else f" ({reply.rung})"
            above = f" — {'、'.join(reply.flagged)}" if reply.flagged else ""
            yield f"- {reply.message} → {' '.join(reply.text.split())}{told}{above}{mark}"


def _row(level: int, mode: Mode, group: Sequence[Reply]) -> str:
    def share(holds: Callable[[Reply], bool]) -> str:
        return f"{sum(map(holds, group)) / len(group):.0%}"

    marked = [reply for reply in group if reply.answers is not None]
    cells = [
        str(level),
        mode.value,
        str(len(group)),
        share(lambda reply: reply.verdict is Verdict.STRICT),
        share(lambda reply: reply.verdict is not Verdict.ABOVE),
        f"{statistics.mean(reply.coverage for reply in group):.3f}",
        share(lambda reply: reply.is_chinese),
        f"{statistics.median(reply.first_sentence_seconds for reply in group):.2f}",
        f"{statistics.median(reply.total_seconds for reply in group):.2f}",
        str(sum(reply.rung is Rung.STOCK for reply in group)),
        str(max(Counter(reply.text for reply in group).values())),
        f"{sum(bool(reply.answers) for reply in marked)} of {len(marked)}" if marked else "not read",
    ]
    return f"| {' | '.join(cells)} |"


def mark(level: int, mode: Mode, numbers: Sequence[int], file: Path = REPLIES_FILE) -> None:
    """Note who read the replies: those of `numbers`, counted from 1 in the order of the report, do not answer."""
    all_replies = replies(file)
    group = [reply for reply in all_replies if (reply.level, reply.mode) == (level, mode)]
    answers = {reply.message: at not in numbers for at, reply in enumerate(group, 1)}
    rows = [asdict(reply) | ({"answers": answers[reply.message]} if reply in group else {}) for reply in all_replies]
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
