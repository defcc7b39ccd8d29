"""The level of a word under one list, also when the list has it in another form only."""

import re
from collections.abc import Iterator
from functools import lru_cache

from megaservice.hsk.grades import ADVANCED_LEVEL, Origin, Standard
from megaservice.hsk.lexicon import Lexicon, WordList
from megaservice.hsk.segmenter import Piece
from megaservice.hsk.wordset import word_set

# Of these a list needs only the parts: 来到, 这个, 不用. Some say more than their parts do.
_PHRASE = re.compile(r"[不没很太这那哪每请还挺].+|.+[到个的给]")
_NO_PHRASE = word_set(
    "不光 不满 不得 不仅 不料 不禁 不便 不利 不由 不止 不许 不断 不平 不安 不和 不但 不过 不如 不管 不然 那么 这么"
)
# Other words that their parts explain, whatever the level at which another list has them.
_CLEAR = word_set(
    "回来 回去 上来 上去 下来 下去 出来 出去 进来 进去 过来 过去 里面 外面 上面 下面 打开 "
    "男人 女人 老人 新年 课本 东南 西南 东北 西北 大小 好久 好多 各种 各地 各位 门票 大米 灯光 外地 草地 红绿灯 "
    "家人 月份 年底 冷水 热水 走路 刷牙 羊肉 面条 刮风 聊天 火车站 长短 高大 更换 近日 近年来 只能 只是 以上 以下 "
    "以外 以内 老年 用来 台灯 长久 久远 汗水 快要 看来 开花"
)
# The last character says what such a word means, so a learner who knows both has it: 饭桌, 茶杯.
_HEADS = frozenset(
    "桌杯门店室馆站票肉汤菜花车房鞋衣书包山河湖海节人家国市省县路街校鱼茶酒水糖饭瓶盒床椅灯树叶草鸟狗猫瓜果面饼蛋奶晚早雨雪风天声色机园"
)


class Levels:
    def __init__(self, lexicon: Lexicon, standard: Standard) -> None:
        self._lexicon = lexicon
        self._list = lexicon.lists[standard]
        self._other = next(words for name, words in lexicon.lists.items() if name is not standard)
        self._shortened = _shortened(self._list)
        self.of_word = lru_cache(maxsize=20_000)(self._of_word)

    def of(self, piece: Piece) -> tuple[int | None, Origin]:
        if piece.base is not None:
            listed = self._list.level(piece.word) if piece.origin is not Origin.SEPARATED else None
            if listed is not None:
                return listed, Origin.LISTED
            assert piece.origin is not None
            return self.of_word(piece.base)[0], piece.origin
        if piece.origin is Origin.UNLISTED:
            return self._recombined(piece.word)
        return self.of_word(piece.word)

    def parts(self, piece: Piece) -> list[Piece]:
        """The listed words that a phrase is made of, when the list has no such phrase."""
        word = piece.word
        is_phrase = piece.base is None and piece.exempt is None and len(word) > 1 and _PHRASE.fullmatch(word)
        if not is_phrase or word in _NO_PHRASE or self._list.level(word) is not None:
            return [piece]
        cut = self._cut(word)
        if cut is None:
            return [piece]
        ends = [piece.start + sum(map(len, cut[: n + 1])) for n in range(len(cut))]
        return [Piece(end - len(part), end, part) for part, end in zip(cut, ends, strict=True)]

    def _of_word(self, word: str) -> tuple[int | None, Origin]:
        listed = self._list.level(word)
        if listed is not None:
            return listed, Origin.LISTED
        erhua = self._list.level(word[:-1] if word.endswith("儿") and len(word) > 1 else word + "儿")
        if erhua is not None:
            return erhua, Origin.ERHUA
        if len(word) == 1:
            return self._list.characters.get(word), Origin.REDUCED
        if word in self._shortened:
            return self._shortened[word], Origin.REDUCED
        if word == word[0] * 2 and (single := self._list.level(word[0])) is not None:
            return single, Origin.REDUPLICATED
        if word not in self._lexicon.listed:
            return self._recombined(word)
        return self._combined(word), Origin.COMBINED

    def _combined(self, word: str) -> int | None:
        """Not easier than its parts; what may say more than they do is as hard as the other lists have it."""
        cut = self._cut(word)
        parts = max(self._list.levels[part] for part in cut) if cut else None
        elsewhere = self._other.level(word)
        if parts is not None and elsewhere is None:
            return parts
        if parts is None and all(character in self._list.characters for character in word):
            parts = max(self._list.characters[character] for character in word)
        if elsewhere is None:
            elsewhere = self._lexicon.gf2021.get(word)
        if parts is None or elsewhere is None:
            return elsewhere or parts
        return parts if word in _CLEAR else max(parts, elsewhere)

    def _recombined(self, word: str) -> tuple[int | None, Origin]:
        head = self._list.characters.get(word[-1]) if word[-1] in _HEADS else None
        modifier = self._list.level(word[:-1]) or (self._list.characters.get(word[0]) if len(word) == 2 else None)
        if head is None or modifier is None:
            return None, Origin.UNLISTED
        return max(head, modifier), Origin.COMBINED

    def _cut(self, word: str) -> tuple[str, ...] | None:
        """The word as listed words, with the easiest hardest one."""
        cuts = list(_cuts(word, self._list))
        return min(cuts, key=lambda cut: (max(self._list.levels[part] for part in cut), len(cut)), default=None)


def _shortened(words: WordList) -> dict[str, int]:
    """汽车 of 公共汽车, 火车 of 火车站: words of two characters that begin or end a listed one."""
    shortened: dict[str, int] = {}
    for word, level in words.levels.items():
        if 3 <= len(word) <= 4 and level < ADVANCED_LEVEL:
            for part in (word[:2], word[-2:]):
                shortened[part] = min(level, shortened.get(part, level))
    return shortened


def _cuts(word: str, words: WordList) -> Iterator[tuple[str, ...]]:
    if not word:
        yield ()
    for end in range(1, len(word) + 1):
        if word[:end] in words.levels:
            for rest in _cuts(word[end:], words):
                yield word[:end], *rest
