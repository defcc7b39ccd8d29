"""`scripts/bench replies` against doubles: what is asked and told."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doubles.gpt_sovits import Fault, GPTSoVITS
from tests.doubles.vllm import VLLM, Script
from tests.replies_bench import Asked, asked, run
from tests.serving import megaservice, settings_for
from tests.sockets import free_port

ROOT = Path(__file__).parent.parent
REPLY = "你好！"


async def told_by(folder: Path, fault: Fault | None, capsys: pytest.CaptureFixture[str]) -> tuple[list[str], VLLM]:
    """The lines, their seconds removed, and the LLM that was asked."""
    async with VLLM(Script(REPLY)) as llm, GPTSoVITS(faults=fault) as voice:
        settings = settings_for(folder, LLM_ENDPOINT=llm.url, TTS_ENDPOINTS=f"sovits-v2+{voice.url}")
        async with megaservice(settings) as client:
            await run(str(client.base_url))
            assert (await client.get("/conversations")).json()["conversations"] == []
    return re.sub(r"\d+\.\d\d s", "… s", capsys.readouterr().out).splitlines(), llm


async def test_every_message_is_asked_at_its_level_and_told_with_its_reply(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, llm = await told_by(tmp_path, None, capsys)
    assert [chat.messages[-1]["content"] for chat in llm.chats] == [one.message for one in asked()]
    prompts = {chat.messages[0]["content"]: one.level for chat, one in zip(llm.chats, asked(), strict=True)}
    assert list(prompts.values()) == [1, 2, 3, 4, 5, 6, None]
    assert lines[0:40:2] == [
        f"{number}. {f'HSK {one.level}' if one.level else 'zh, free'}: {one.message} -> {REPLY}"
        for number, one in enumerate(asked(), 1)
    ]
    assert set(lines[1:40:2]) == {"   first sentence … s, first audio … s"}
    assert lines[40:] == ["first sentence: p50 … s, most … s", "first audio: p50 … s, most … s"]


async def test_a_voice_that_fails_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, _ = await told_by(tmp_path, Fault.REFUSE, capsys)
    assert set(lines[1:40:2]) == {"   first sentence … s, first audio never"}
    assert lines[40:] == ["first sentence: p50 … s, most … s"]


def test_a_stack_that_is_not_there_is_told() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    ran = subprocess.run(
        [sys.executable, ROOT / "scripts" / "bench", "replies", "--url", url], capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (
        1,
        "No MegaService listens there: run scripts/start in another terminal first.\n",
    )


def test_messages_are_those_whose_replies_were_read() -> None:
    rows = re.findall(r"^\| (\d|free) \| ([^|]+) \| ", (ROOT / "docs" / "models.md").read_text("utf-8"), re.MULTILINE)
    assert asked() == [Asked("zh", None if level == "free" else int(level), said) for level, said in rows]
