"""The ladder by itself: rules, stock questions, the request that names the words."""

import re

import pytest

from megaservice.hsk import Grader, Lexicon, Standard
from megaservice.models import Message, Role, Rung
from megaservice.repair import parse_levels, parse_rungs
from megaservice.repair.request import retry_request
from megaservice.repair.stock import stock_question, stock_questions

GRADER = Grader(Lexicon.load())
LEVELS = (1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize("standard", Standard)
@pytest.mark.parametrize("level", LEVELS)
def test_stock_questions_are_in_level_by_each_list(level: int, standard: Standard) -> None:
    above = {
        question: [flag.word for flag in grade.flagged]
        for question in stock_questions(level)
        if not (grade := GRADER.grade(question, level, standard)).in_level
    }
    assert above == {}


@pytest.mark.parametrize("level", LEVELS)
def test_there_are_many_stock_questions_and_each_is_one(level: int) -> None:
    questions = stock_questions(level)
    assert len(set(questions)) == len(questions) >= 12
    assert all(re.fullmatch("[^？]+？", question) for question in questions)


def test_stock_questions_vary_from_turn_to_turn() -> None:
    asked = [stock_question(1, f"{number:032x}", ()) for number in range(60)]
    assert len(set(asked)) > 10


def test_what_was_just_asked_is_not_asked_again() -> None:
    first = stock_question(1, "turn", ())
    again = stock_question(1, "turn", [Message(Role.ASSISTANT, f"好。{first}")])
    assert again != first


def test_when_all_was_asked_one_is_asked_again() -> None:
    everything = [Message(Role.ASSISTANT, "".join(stock_questions(1)))]
    assert stock_question(1, "turn", everything) in stock_questions(1)


def test_the_request_names_the_words() -> None:
    rejected = "这个问题很复杂，环境也很糟糕。"
    assert retry_request(rejected, GRADER.grade(rejected, 1)) == [
        Message(Role.ASSISTANT, rejected),
        Message(Role.USER, "这句话太难了。不要用：复杂、环境、糟糕。请用更简单的话再说一次，最多两句。"),
    ]


def test_the_request_asks_for_chinese_where_another_language_is_the_fault() -> None:
    order = retry_request("Hello, friend!", GRADER.grade("Hello, friend!", 1))[-1]
    assert order.content == "这句话太难了。只说中文。请用更简单的话再说一次，最多两句。"


def test_rungs_hold_for_their_levels() -> None:
    rungs = parse_rungs("retry:1-2,kept, stock:1")
    assert rungs == {
        1: {Rung.RETRY, Rung.KEPT, Rung.STOCK},
        2: {Rung.RETRY, Rung.KEPT},
        3: {Rung.KEPT},
        4: {Rung.KEPT},
        5: {Rung.KEPT},
        6: {Rung.KEPT},
    }
    assert parse_rungs("off") == dict.fromkeys(LEVELS, frozenset())


def test_levels_of_a_setting() -> None:
    assert parse_levels("auto") == set(LEVELS)
    assert [set(parse_levels(value)) for value in ("auto:2-3", "auto:4", "off")] == [{2, 3}, {4}, set()]
    for value in ("on", "auto:7", "auto,off", ""):
        with pytest.raises(ValueError, match="off, or auto with or without levels"):
            parse_levels(value)


@pytest.mark.parametrize("value", ["written", "retry,", "on", "retry:7", "retry:1-", "keep"])
def test_other_rungs_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="off, or some of best, retry, kept, stock"):
        parse_rungs(value)
