"""The constraint: what a tutor may say at a level, as a grammar and as a regular expression."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from megaservice.hsk import Grader, Lexicon, Standard
from megaservice.hsk.astray import astray
from megaservice.hsk.constraint import Constraint, Constraints
from megaservice.hsk.grammar import gbnf
from megaservice.hsk.surface import surface
from tests.gbnf import Grammar

ROWS: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "hsk_eval.jsonl").read_text("utf-8").splitlines()
]
LEXICON = Lexicon.load()
GRADER = Grader(LEXICON)
CONSTRAINTS = {standard: Constraints(LEXICON, GRADER, standard) for standard in Standard}
NEW = CONSTRAINTS[Standard.HSK_2025]


@cache
def read(grammar: str) -> Grammar:
    return Grammar(grammar)


def accepts(constraint: Constraint, text: str) -> bool:
    return read(constraint.grammar).accepts(text)


@pytest.mark.parametrize("standard", Standard)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_the_grammar_accepts_what_is_in_level_and_nothing_else(row: dict[str, Any], standard: Standard) -> None:
    text = surface(row["text"], LEXICON.simplified).text
    constraint = CONSTRAINTS[standard].at(row["level"], names=row["names"])
    assert accepts(constraint, text) == row[standard]["in_level"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_the_regular_expression_accepts_what_is_in_level(row: dict[str, Any]) -> None:
    constraint = NEW.at(row["level"], names=row["names"])
    text = surface(row["text"], LEXICON.simplified).text
    assert re.fullmatch(constraint.regex, text) or not row["2025"]["in_level"]


@pytest.mark.parametrize(
    ("level", "text"),
    [
        (1, "我今年二十三岁。"),
        (1, "今天是十月五号，星期三。"),
        (1, "现在八点半。"),
        (1, "现在8:30。"),
        (1, "我有2个朋友，第一个是王先生。"),
        (1, "一二三四五六七八九十！"),
        (1, "五个人。"),
        (1, "你好，李老师！"),
        (1, "这个先生是她的先生吗？"),
        (1, "多少元？一百五十元。"),
        (1, "小明在北京吗？"),
        (1, "你们看看。好不好？是不是？"),
        (1, "你喜不喜欢他？"),
        (1, "朋友们都高高兴兴。"),
        (1, "我爱中国，不爱下雨。"),
        (1, "我朋友生病了，他不是学生。"),
        (1, "我那时候没有时间，不知道。"),
        (1, "这里不便宜，也好吃，也好看。"),
        (2, "那天下午他早点儿回家了，很喜欢。"),
        (2, "我们休息休息吧。"),
        (2, "你要不要？那里远不远？"),
        (2, "他去过那儿。"),
        (3, "我们聊聊天吧。"),
    ],
)
def test_may_be_said(level: int, text: str) -> None:
    assert accepts(NEW.at(level), text)
    assert re.fullmatch(NEW.at(level).regex, text)


@pytest.mark.parametrize(
    ("level", "text"),
    [
        (1, "我看小说。"),  # 小 and 说
        (1, "我只能听。"),
        (1, "我唱歌。"),
        (1, "你唱什么歌？"),
        (1, "你昨天唱了什么歌？"),
        (1, "我们唱的歌很好听。"),
        (1, "外卖很便宜。"),
        (1, "汉语不好学。"),
        (1, "你听了他的话。"),  # a separable verb in halves, which is another word then
        (2, "这很了不起。"),
        (2, "那里有好玩的地方。"),
        (2, "他们见了一次面。"),
        (2, "中国很美国。"),
        (1, "你真了不起床。"),  # what a model says that may not say 了不起
        (2, "这是我的人生病。"),
        (1, "你有好看法国？"),  # 好 and 看法
        (1, "老师还是不是。"),
        (1, "那很了。"),
        (1, "很有事。"),
        (1, "先生，不要看。"),
        (1, "你先生好。"),
        (1, "元日本来到了。"),
        (1, "中国有很老王。"),
        (1, "我们都是好孩子。"),
        (1, "他是好孩子。"),
        (1, "他们是好孩子们。"),
        (1, "北京是个大好。"),
        (1, "这个字的读法语。"),
        (1, "你有什么好吃的？"),
        (2, "老师有教学楼。"),
        (2, "他们和我不太同学。"),
        (2, "手机让我们分开始。"),
        (2, "中国菜很吃。"),
        (3, "我们有很多方法和方面。"),
        (1, "我是学生"),
        (1, "好，。"),
        (1, ""),
        (1, "Hello。"),
        (1, "我 是学生。"),
        (1, "你好！" * 5),
        (1, "好，好，好，好，好，好。"),
    ],
)
def test_may_not_be_said(level: int, text: str) -> None:
    assert not accepts(NEW.at(level), text)


@pytest.mark.parametrize("standard", Standard)
def test_each_word_of_the_list_may_be_said(standard: Standard) -> None:
    words = LEXICON.lists[standard].up_to(2)
    grammar = read(CONSTRAINTS[standard].at(2).grammar)
    behind_others = {"先生", "元"}
    hanzi = [word for word in words if re.fullmatch("[\u4e00-\u9fff]+", word) and word not in behind_others]
    assert [word for word in hanzi if not grammar.accepts(f"{word}。")] == []
    assert len(hanzi) > 290


def test_what_the_learner_told_may_be_said() -> None:
    plain, wide = NEW.at(1), NEW.at(1, ["我叫张伟。", "我是软件工程师，在巧克力公司工作。"])
    for text in ("张伟，你喜欢巧克力吗？", "你是软件工程师！"):
        assert (accepts(plain, text), accepts(wide, text)) == (False, True)
    assert not accepts(NEW.at(1, ["我爱巧克力。", "你好！"]), "巧克力好吃。")  # told before, and no name
    assert accepts(NEW.at(1, names=["Anna"]), "你好，Anna！")


def test_names_that_are_new_are_left_out_once_there_are_many() -> None:
    """A server keeps what it compiled for each."""
    constraints = Constraints(LEXICON, GRADER)
    first, *others = [constraints.at(2, names=[f"Name{number}"]) for number in range(40)]
    assert [constraint.is_widened for constraint in others] == [True] * 15 + [False] * 24
    assert others[-1] is constraints.at(2)
    assert constraints.at(2, names=["Name0"]).grammar == first.grammar


def test_a_message_in_level_needs_no_constraint_of_its_own() -> None:
    """A server compiles each anew."""
    assert NEW.at(1, ["你好！", "我爱吃苹果。"]) is NEW.at(1)


def test_no_server_is_asked_for_what_it_may_not_know() -> None:
    for level in range(1, 7):
        constraint = NEW.at(level)
        assert not re.search(r"\\[A-Za-z0-9]|\(\?|\{", constraint.regex)
        rules = re.findall(r"^(\w+) ::=", constraint.grammar, re.MULTILINE)
        assert len(rules) == len(set(rules))
        used = set(
            re.findall(r"(?<![\w\"\[])[a-z]\d*(?![\w\"\]])", re.sub(r'"[^"]*"|\[[^\]]*\]', " ", constraint.grammar))
        )
        assert used - {"root"} <= set(rules)
        assert len(constraint.grammar.encode()) < 500_000


def test_a_word_is_not_begun_in_place_of_a_likelier_one_above_the_level() -> None:
    words = {"a", "b", "xa", "x", "bc", "cd"}
    costs = {"a": 9.0, "b": 9.0, "xa": 9.0, "x": 4.0, "bc": 9.0, "cd": 9.0, "ab": 9.0, "abc": 8.0}
    assert set(astray(words, ["ab"], costs, {})) == {("a", "bc"), ("xa", "bc")}
    assert set(astray(words, ["abc"], costs, {})) == {("a", "b", "cd"), ("xa", "b", "cd")}
    assert set(astray(words, ["ab"], costs | {"ab": 14.0}, {})) == set()  # rarer than that: bc is meant


def test_a_verb_may_stand_behind_an_adverb_whatever_word_both_begin() -> None:
    costs = {"不": 5.0, "便宜": 12.0, "不便": 8.0}
    assert set(astray({"不", "便宜"}, ["不便"], costs, {"便宜": "名"})) == {("不", "便宜")}
    assert set(astray({"不", "便宜"}, ["不便"], costs, {"便宜": "形"})) == set()


def test_a_forbidden_chain_is_left_out_wherever_it_stands() -> None:
    grammar = read(
        gbnf(["a", "b", "c", "ab", "d"], [("a", "b"), ("c", "c", "d"), ("b", "a", "d")], sentences=2, clauses=2)
    )
    for text in ("a。", "aa，b。", "abc！a？", "ca。", "cd。", "bac。", "cc，d。"):
        assert grammar.accepts(text), text
    for text in ("ccd。", "cccd。", "acccd。", "bad。", "a，b，c。", "a。b。c。", "b"):
        assert not grammar.accepts(text), text
    assert grammar.accepts("ab。")  # as the word that it is
