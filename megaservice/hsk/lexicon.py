"""The word lists: levels and readings of HSK 2.0 (2012) and HSK 2025, and what the segmenter knows of words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import groupby
from operator import itemgetter

from megaservice.hsk.dictionary import Dictionary
from megaservice.hsk.grades import Standard
from megaservice.hsk.wordset import word_set

# What one printing of the 2025 syllabus writes otherwise, and what people write.
_ALIASES = {
    "没": "没有",
    "有一点儿": "有点儿",
    "有一点": "有点儿",
    "有时候": "有时",
    "差一点儿": "差点儿",
    "差一点": "差点儿",
    "要不然": "不然",
    "凡": "凡是",
    "玩笑": "开玩笑",
}
# In the lists, yet nearly always two words where a learner meets them: 他穿着大衣, 大家都会说, 我吃完了.
_TWO_WORDS = word_set(
    "穿着 有着 指着 向着 背着 当着 本着 都会 完了 得了 吹了 却是 更是 就是 见过 走过 看好 叫好 好说 要好 别看 "
    "好不 不当 一行 小王 老王 才能 把手 说道 真是 而是 是不是 能不能 分之 不下 见到 完好 上来说 人次 为人 说起来 想到"
)
_IDIOM_COST = 14.0
_ALIAS_COST = 11.0
_READINGS = re.compile(r"[|/]|, ")  # hái|huán in one list, cháng, zhǎng in the other


@dataclass(frozen=True)
class WordList:
    """One standard's words. `characters` has the level of the easiest word that each character is in."""

    levels: Mapping[str, int]
    characters: Mapping[str, int]
    pinyin: Mapping[str, str]
    parts_of_speech: Mapping[str, str]
    glosses: Mapping[str, str]

    def level(self, word: str) -> int | None:
        level = self.levels.get(word)
        return self.levels.get(_ALIASES.get(word, "")) if level is None else level

    def readings(self, word: str) -> list[str]:
        return _READINGS.split(self.pinyin[word]) if word in self.pinyin else []

    def up_to(self, level: int) -> list[str]:
        """The words a learner of that level knows."""
        return [word for word, listed_at in self.levels.items() if listed_at <= level]


@dataclass(frozen=True)
class Lexicon:
    lists: Mapping[Standard, WordList]
    costs: Mapping[str, float]  # minus log of the probability: listed words, all characters, known names and idioms
    listed: frozenset[str]  # words that any list has, GF0025-2021 included
    characters: frozenset[str]  # of the words of the two exam lists
    gf2021: Mapping[str, int]
    names: frozenset[str]
    separable: frozenset[str]
    simplified: Mapping[int, int]
    dictionary: Dictionary

    @classmethod
    def load(cls) -> "Lexicon":
        """Reads the package's tables; CC-CEDICT is only opened when it is first needed."""
        data = resources.files(__package__) / "data"
        cedict = resources.files(__package__) / "cc-cedict"
        lists = {
            Standard.HSK_2_0: _hsk_2_0(data / "hsk20_2012.tsv"),
            Standard.HSK_2025: _hsk_2025(data / "hsk2025.tsv"),
        }
        names, name_costs = _columns(cedict / "names.tsv")
        words, word_costs, levels = _columns(data / "words.tsv")
        costs = dict.fromkeys((cedict / "idioms.txt").read_text("utf-8").split(), _IDIOM_COST)
        costs |= zip(names + words, map(float, name_costs + word_costs), strict=True)
        costs |= dict.fromkeys(_ALIASES.keys() - costs.keys(), _ALIAS_COST)
        for word in _TWO_WORDS:
            costs.pop(word, None)
        gf2021 = {word: int(level) for word, level in zip(words, levels, strict=True) if level != "0"}
        return cls(
            lists=lists,
            costs=costs,
            listed=frozenset(gf2021).union(*(each.levels for each in lists.values())),
            characters=frozenset().union(*(each.characters for each in lists.values())),
            gf2021=gf2021,
            names=frozenset(names),
            separable=frozenset((data / "separable_verbs.txt").read_text("utf-8").split()),
            simplified=str.maketrans(*map("".join, _columns(data / "simplified.tsv"))),
            dictionary=Dictionary(cedict / "dictionary.tsv"),
        )


def _hsk_2_0(file: Traversable) -> WordList:
    words, levels, pinyin, glosses = _columns(file)
    return _word_list(words, levels, pinyin, glosses=dict(zip(words, glosses, strict=True)))


def _hsk_2025(file: Traversable) -> WordList:
    words, levels, _, pinyin, parts = _columns(file)
    return _word_list(words, levels, pinyin, parts_of_speech=dict(zip(words, parts, strict=True)))


def _word_list(
    words: list[str],
    levels: list[str],
    pinyin: list[str],
    *,
    parts_of_speech: Mapping[str, str] | None = None,
    glosses: Mapping[str, str] | None = None,
) -> WordList:
    """The columns are in order of level; of a word that stands at several levels the first counts."""
    characters: dict[str, int] = {}
    for level, rows in groupby(zip(levels, words, strict=True), key=itemgetter(0)):
        characters = dict.fromkeys("".join(word for _, word in rows), int(level)) | characters
    return WordList(
        dict(zip(reversed(words), map(int, reversed(levels)), strict=True)),
        characters,
        dict(zip(words, pinyin, strict=True)),
        parts_of_speech or {},
        glosses or {},
    )


def _columns(file: Traversable) -> list[list[str]]:
    """The columns of a table, without its header; much faster than row by row."""
    header, _, rows = file.read_text("utf-8").partition("\n")
    cells = rows.removesuffix("\n").replace("\n", "\t").split("\t")
    width = header.count("\t") + 1
    return [cells[column::width] for column in range(width)]
