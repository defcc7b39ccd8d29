"""`scripts/bench level` against a double: what is asked, kept and reported."""

from pathlib import Path

from megaservice.hsk import Verdict
from megaservice.models import Rung
from tests.doubles.vllm import VLLM, Script
from tests.level_bench import Mode, mark, messages, replies, run, write_report
from tests.serving import settings_for

HARD = "环境问题非常复杂。"


def test_there_are_sixty_messages_and_none_twice() -> None:
    assert len(set(messages())) == len(messages()) == 60


async def test_a_run_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    kept = tmp_path / "replies.jsonl"
    async with VLLM(Script("你好！")) as llm:
        settings = settings_for(tmp_path, LLM_ENDPOINT=llm.url)
        await run(settings, [1], [Mode.EXAMPLES], 2, kept)
        await run(settings, [1], [Mode.EXAMPLES], 2, kept)
        assert len(llm.chats) == 3  # the first reads the prompt into the cache
        await run(settings, [1, 2], [Mode.EXAMPLES], 2, kept)
    assert [(reply.level, reply.message) for reply in replies(kept)] == [
        (level, said) for level in (1, 2) for said in messages()[::30]
    ]


async def test_modes_differ_in_prompt_and_repair(tmp_path: Path) -> None:
    kept = tmp_path / "replies.jsonl"
    async with VLLM(Script(HARD)) as llm:
        settings = settings_for(tmp_path, LLM_ENDPOINT=llm.url, HSK_REPAIR="kept,stock", HSK_CONSTRAINT="auto")
        await run(settings, [1], list(Mode), 1, kept)
        lengths = [length for chat in llm.chats if (length := len(chat.messages)) > 1]  # the probes have one
    assert (lengths[:2], lengths[2] > 4) == ([2, 2], True)
    assert [(reply.mode, reply.verdict, reply.rung) for reply in replies(kept)] == [
        (Mode.PLAIN, Verdict.ABOVE, Rung.WRITTEN),
        (Mode.EXAMPLES, Verdict.ABOVE, Rung.WRITTEN),
        (Mode.REPAIR, Verdict.STRICT, Rung.STOCK),
        (Mode.CONSTRAINT, Verdict.STRICT, Rung.STOCK),
    ]


async def test_the_report_stands_between_its_markers(tmp_path: Path) -> None:
    kept, report = tmp_path / "replies.jsonl", tmp_path / "levels.md"
    report.write_text("before\n<!-- scripts/bench level: begin -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")
    async with VLLM([Script("你好！"), Script("你好！"), Script(HARD)]) as llm:
        await run(settings_for(tmp_path, LLM_ENDPOINT=llm.url), [1], [Mode.EXAMPLES], 2, kept)
    mark(1, Mode.EXAMPLES, [2], kept)
    write_report(kept, report)
    lines = report.read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[-1], "old" in lines) == ("before", "after", False)
    [row] = [line for line in lines if line.startswith("| 1 | examples | 2 | 50% | 50% |")]
    assert row.endswith("| 0 | 1 | 1 of 2 |")
    assert f"- {messages()[0]} → 你好！ ✓" in lines
    assert f"- {messages()[30]} → {HARD} — 环境、复杂 ✗" in lines
