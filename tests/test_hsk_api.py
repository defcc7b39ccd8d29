"""POST /hsk/grade and the command that grades files."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from megaservice.hsk.__main__ import main
from tests.serving import megaservice, settings_for

FLAGGED = {"word": "机场", "level": 2, "start": 10, "end": 12, "pinyin": "jīchǎng", "gloss": "airport; airfield"}


async def posted(directory: Path, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    async with megaservice(settings_for(directory)) as client:
        response = await client.post("/hsk/grade", json=body)
    return response.status_code, response.json()


async def test_a_text_is_graded_by_the_list_of_the_exam(tmp_path: Path) -> None:
    status, graded = await posted(tmp_path, {"text": "我叫Anna，我要去机场。", "level": 1, "names": ["Anna"]})
    tokens = graded.pop("tokens")
    assert status == 200
    assert graded == {
        "in_level": False,
        "verdict": "accept",
        "format_issue": None,
        "coverage": pytest.approx(5 / 6),
        "flagged": [FLAGGED],
        "reject_reason": None,
        "standard": "2025",
        "level": 1,
    }
    assert [token["text"] for token in tokens] == ["我", "叫", "Anna", "我", "要", "去", "机场"]
    assert tokens[2] == {
        "text": "Anna",
        "word": "Anna",
        "start": 2,
        "end": 6,
        "level": None,
        "origin": None,
        "exempt": "name",
        "pinyin": None,
        "gloss": None,
    }


async def test_the_older_list_is_asked_for_by_name(tmp_path: Path) -> None:
    body = {"text": "我住在宾馆。", "level": 2}
    assert [(await posted(tmp_path, body | {"standard": standard}))[1]["in_level"] for standard in ("2.0", "2025")] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"text": "你好"},
        {"level": 1},
        {"text": "你好", "level": 0},
        {"text": "你好", "level": 7},
        {"text": "你好", "level": "1"},
        {"text": "你好", "level": 1, "standard": "3.0"},
        {"text": "你好", "level": 1, "names": "Anna"},
        {"text": "你好" * 10_001, "level": 1},
        {"text": "你好", "level": 1, "more": 1},
    ],
)
async def test_a_wrong_request_is_told(tmp_path: Path, body: dict[str, Any]) -> None:
    status, problem = await posted(tmp_path, body)
    assert (status, problem["code"]) == (422, "invalid_request")


def test_the_command_grades_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("你好！\n\n我叫Anna，我要去机场。\n"))
    assert main(["--level", "1", "--name", "Anna"]) == 1
    graded = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["text"], line["verdict"], line["flagged"]) for line in graded] == [
        ("你好！", "strict", []),
        ("我叫Anna，我要去机场。", "accept", [FLAGGED]),
    ]


def test_the_command_ends_well_when_all_is_in_level(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("我住在宾馆。\n"))
    assert main(["--level", "2", "--standard", "2.0"]) == 0
    assert json.loads(capsys.readouterr().out)["standard"] == "2.0"
