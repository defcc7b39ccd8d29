"""The meter's verdicts: the rows it is measured by, its two rules, what it strips, rejects and exempts."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megaservice.hsk import Exempt, FormatIssue, Grade, Grader, Lexicon, RejectReason, Standard, Verdict

ROWS: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "hsk_eval.jsonl").read_text("utf-8").splitlines()
]
GRADER = Grader(Lexicon.load())


def grade(row: dict[str, Any], standard: Standard) -> Grade:
    return GRADER.grade(row["text"], row["level"], standard, row["names"])


def words(graded: Grade) -> list[str]:
    return [flag.word for flag in graded.flagged]


@pytest.mark.parametrize("standard", Standard)
def test_verdicts_and_flags_are_those_of_a_teacher(standard: Standard) -> None:
    graded = [(grade(row, standard), row[standard]) for row in ROWS]
    right = sum(mine.in_level == hers["in_level"] for mine, hers in graded)
    found = sum(len(set(words(mine)) & set(hers["flag"])) for mine, hers in graded)
    assert len(ROWS) == 47
    assert [mine.tokens for mine, hers in graded if mine.in_level and not hers["in_level"]] == []
    assert right / len(ROWS) >= 0.97
    assert found / sum(len(mine.flagged) for mine, _ in graded) >= 0.95
    assert found / sum(len(hers["flag"]) for _, hers in graded) >= 0.95


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_format_and_language_are_told(row: dict[str, Any]) -> None:
    graded = grade(row, Standard.HSK_2025)
    assert (graded.format_issue, graded.reject_reason) == (row["format_issue"], row["reject_reason"])


def test_a_reply_is_graded_in_half_a_millisecond() -> None:
    texts = [row["text"] for row in ROWS if len(row["text"]) > 8]
    replies = len("".join(texts)) / 26

    def seconds() -> float:
        begun = time.process_time()
        for text in texts:
            GRADER.grade(text, 3)
        return time.process_time() - begun

    seconds()  # dictionary and pypinyin are opened on first use
    assert min(seconds() for _ in range(20)) / replies <= 0.0005


def test_the_meter_is_loaded_in_a_tenth_of_a_second() -> None:
    def seconds() -> float:
        begun = time.process_time()
        Grader(Lexicon.load())
        return time.process_time() - begun

    assert min(seconds() for _ in range(10)) <= 0.1


@pytest.mark.parametrize(
    ("text", "level", "verdict"),
    [
        ("今天天气很好。", 1, Verdict.STRICT),
        ("我要去机场。", 1, Verdict.ACCEPT),  # 机场 is level 2
        ("我要去机场，你准备好了吗？", 1, Verdict.ABOVE),  # two of level 2 in a short text
        ("我要去银行。", 1, Verdict.ABOVE),  # level 3
        ("我想学区块链。", 5, Verdict.ABOVE),  # of no list
    ],
)
def test_one_word_a_level_up_is_accepted(text: str, level: int, verdict: Verdict) -> None:
    assert GRADER.grade(text, level).verdict is verdict


def test_a_longer_text_may_have_more_words_a_level_up() -> None:
    easy = "我今天很高兴，我和朋友去商店买东西，我们喝茶，吃米饭，看书，听老师说汉语，我爱我的家。" * 2
    assert GRADER.grade(easy + "我去机场，我准备喝茶。", 1).verdict is Verdict.ACCEPT
    assert words(GRADER.grade(easy + "我去机场，我准备喝茶。", 1)) == ["机场", "准备"]


def test_coverage_counts_no_names_and_no_numbers() -> None:
    graded = GRADER.grade("李明有25本书，我去银行。", 1, names=["李明"])
    assert [token.text for token in graded.tokens if token.exempt is None] == ["有", "本", "书", "我", "去", "银行"]
    assert graded.coverage == pytest.approx(5 / 6)


def test_the_same_text_is_graded_by_either_list() -> None:
    assert words(GRADER.grade("我们住在宾馆。", 2, Standard.HSK_2025)) == ["宾馆"]
    assert words(GRADER.grade("我们住在宾馆。", 2, Standard.HSK_2_0)) == []


@pytest.mark.parametrize(
    ("text", "issue"),
    [
        ("你好！😊", FormatIssue.EMOJI),
        ("你好 :)", FormatIssue.EMOJI),
        ("我很高兴☀️，你呢？", FormatIssue.EMOJI),
        ("**你好**！", FormatIssue.MARKDOWN),
        ("# 你好\n- 我喝茶\n- 你喝水", FormatIssue.MARKDOWN),
        ("1. 我喝茶\n2. 你喝水", FormatIssue.MARKDOWN),
        ("我喝`茶`。", FormatIssue.MARKDOWN),
        ("[你好](https://example.org)！", FormatIssue.MARKDOWN),
        ("**你好**😊", FormatIssue.MARKDOWN),
        ("今天25℃，很热。", None),
        ("你好！\n我很好。", None),
    ],
)
def test_markup_and_emoji_are_stripped_and_told(text: str, issue: FormatIssue | None) -> None:
    graded = GRADER.grade(text, 1)
    assert (graded.format_issue, graded.verdict, graded.reject_reason) == (issue, Verdict.STRICT, None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", RejectReason.NO_HANZI),
        (" \n", RejectReason.NO_HANZI),
        ("。。。！", RejectReason.NO_HANZI),
        ("Nǐ hǎo!", RejectReason.NO_HANZI),
        ("我很happy。", RejectReason.LATIN),
        ("你好 (nǐ hǎo)！", RejectReason.LATIN),
        ("我是老师，Ａ。", RejectReason.LATIN),
        ("お茶を飲みます。", RejectReason.OTHER_LANGUAGE),
        ("你好，спасибо！", RejectReason.OTHER_LANGUAGE),
        ("你好，안녕！", RejectReason.OTHER_LANGUAGE),
    ],
)
def test_only_chinese_is_in_level(text: str, reason: RejectReason) -> None:
    graded = GRADER.grade(text, 6)
    assert (graded.reject_reason, graded.verdict) == (reason, Verdict.ABOVE)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("你好，Anna！", ["Anna"]),
        ("你好，anna！", ["Anna"]),
        ("你好，Smith！", ["Anna Smith"]),
        ("你好，小明！", ["王小明"]),
        ("小李，你好！", ["小李"]),
        ("我爱外滩。", ["外灘"]),
    ],
)
def test_declared_names_are_no_fault(text: str, names: list[str]) -> None:
    graded = GRADER.grade(text, 1, names=names)
    assert (graded.verdict, graded.reject_reason) == (Verdict.STRICT, None)
    assert [token.exempt for token in graded.tokens if token.exempt] == [Exempt.NAME]


def test_a_declared_name_is_no_part_of_a_longer_word() -> None:
    assert GRADER.grade("你好，Annabel！", 1, names=["Anna"]).reject_reason is RejectReason.LATIN


def test_traditional_text_is_graded_as_simplified_and_keeps_its_offsets() -> None:
    graded = GRADER.grade("他對歷史感興趣。", 2)
    assert [(flag.word, flag.start, flag.end) for flag in graded.flagged] == [("历史", 2, 4), ("感兴趣", 4, 7)]
    assert [token.text for token in graded.tokens] == ["他", "對", "歷史", "感興趣"]


def test_offsets_are_those_of_the_text_as_it_came() -> None:
    text = "😊**我要**去机场。"
    flag = GRADER.grade(text, 1).flagged[0]
    assert text[flag.start : flag.end] == "机场"


@pytest.mark.parametrize(
    "part", ["[", "|  ", "**", "一", "<a", "- ", "王小明", "😊", "区块链", "- - -x", "饕", "`", "見面"]
)
def test_no_text_takes_long(part: str) -> None:
    text = (part * 20_000)[:20_000]
    begun = time.process_time()
    GRADER.grade(text, 1)
    assert time.process_time() - begun < 4


@given(st.text(alphabet="我你好了的看不一十分个人张王小叫是在去机场区块链繁體字Anna1２*#`😊。，\n 儿们", max_size=40))
def test_any_text_is_graded_and_every_word_stands_where_it_says(text: str) -> None:
    graded = GRADER.grade(text, 2, names=["Anna"])
    ends = [0]
    for token in graded.tokens:
        assert text[token.start : token.end] == token.text
        assert token.start >= ends[-1]
        ends.append(token.end)
    assert 0 <= graded.coverage <= 1
    assert graded.in_level == (graded.verdict is Verdict.STRICT)
