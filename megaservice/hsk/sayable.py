"""What a tutor may say at a level: the list's words with what the meter lets pass beside them, and how they may not
meet: 小 and 说 are easy words, 小说 is none."""

from collections.abc import Collection, Iterator, Mapping
from itertools import product

from megaservice.hsk.astray import Chain, astray, parts
from megaservice.hsk.grader import Grader
from megaservice.hsk.grades import Exempt, Origin, Standard
from megaservice.hsk.levels import Levels
from megaservice.hsk.lexicon import Lexicon
from megaservice.hsk.names import LITTLE_NAMES, TITLES
from megaservice.hsk.wordset import word_set

# Few: each is a way out for a model whose own word is not allowed, 很香港 where it cannot say 很香甜.
_PLACES = word_set(
    "中国 美国 英国 法国 德国 日本 韩国 加拿大 澳大利亚 俄罗斯 北京 上海 广州 天津 南京 杭州 苏州 成都 重庆 "
    "西安 武汉 台湾 云南 四川 长城 长江 汉语 中文 英语 英文 法语 德语 日语 韩语 俄语"
)
_SURNAMES = "王李张刘陈杨赵吴徐孙胡朱郭罗林"  # before a title
_PEOPLE = word_set("朋友 同学 学生 老师 孩子 先生 医生 客人 家人 女孩 男孩 邻居 同事 司机 人")
_NO_NOUN_BEHIND = ("很", "太", "不太", "非常", "更", "比较", "挺", "不")
_DEGREES = _NO_NOUN_BEHIND[:-1]  # nor what one does, but for what one feels: 很吃香 is meant
_FELT = word_set("喜欢 爱 想 会 希望 懂 知道 谢谢 对不起 没事 有意思")
_HIGHEST_LEVEL_OF_DEEDS = 2
_NO_PLACE_BEHIND = ("可以", "能", "会", "要", "应该", "得", "就", "也", "都", "再", "还", "多", "做", "不要")
_BEGIN_LIKE_OTHERS = word_set("长城 长江 重庆 加拿大 南京 广州 成都 天津")  # 有深度 is meant
_NOODLES = word_set("面包 面条 面条儿")  # 两面 is meant
_BEGUN_ALIKE = [("分", "开始"), ("学", "问题")]  # 分开 and 学问 are meant, if not by far
# At HSK 1: 字面, 读法, 再说 and 有德 are meant, or nothing much: 我们都是好孩子, 北京是个大好, 你有什么好吃的？
_LOST: list[Chain] = [("字", "面包"), ("读", "法语"), ("再", "说话"), ("有", "德国"), ("有", "爱")]
_LOST += [("我们", "都", "是"), *product(["是"], ["好"], ["孩子", "孩子们"])]
_LOST += product(["大"], ["好", "好玩", "好玩儿", "好去"])
_LOST += product(["什么"], ["好吃", "好玩", "好玩儿"])
_BOUND = {"先生": ("的先生", "个先生", "位先生"), "元": ("多少元",)}  # alone 先 and 元旦 are meant
_GOOD = word_set("好 好听 好看 好人 好事 好事儿 好好")  # behind 什么 for 好办法
_NO_SON_BEHIND = word_set("玩 好玩 这 那 哪 一点 有点 点 事 没事 好事 坏事 出事 有事 一下 一会")  # 这儿 is meant
_LIKELIER_THAN_THE_WHOLE = 3.0
# What stands between the halves of a separable verb: 见了一次面. 唱什么歌 is worth the grammar's growth at HSK 1 only.
_COMMON_GAPS: list[Chain] = [tuple(gap) for gap in ("了", "过", "个", "一次", "了一次", "了个")]
_GAPS = {1: [*_COMMON_GAPS, ("的",), ("什么",), ("了", "什么")], 2: _COMMON_GAPS}
_DOUBLED = word_set("高兴 干净 漂亮 清楚 认真 开心 舒服 快乐 安静 平安 明白 健康 热闹 简单 轻松 随便")  # as AABB
_NOT_DOUBLED = word_set("起床 生病 觉得 谢谢")
_NUMERALS = "零〇一二三四五六七八九十两百千万亿几半"
_DIGITS = "0123456789"
_COUNTED = "年月日号点分个元"  # words behind a number, whatever the list says of them
_DAYS = "一二三四五六日天"
_OF_LATER_LISTS = 1  # a character of a listed word is sayable alone if another list has it by this many levels later
# Rarer words than this come about too seldom to be worth the grammar's growth: minus log of the probability.
_RAREST_MET = {1: 15.0, 2: 12.5, 3: 12.0, 4: 9.5, 5: 9.0, 6: 8.5}
_RAREST_MET_IN_HALVES = {1: 13.0, 2: 12.0, 3: 11.0}


class Sayable:
    """One word list's. Every answer takes a moment to work out: keep it."""

    def __init__(self, lexicon: Lexicon, grader: Grader, standard: Standard) -> None:
        self._lexicon = lexicon
        self._grader = grader
        self._standard = standard
        self._list = lexicon.lists[standard]
        self._levels = Levels(lexicon, standard)
        self._parts_of_speech = lexicon.lists[Standard.HSK_2025].parts_of_speech  # the other list tells none
        self._others = [
            lexicon.gf2021,
            *(words.levels for name, words in lexicon.lists.items() if name is not standard),
        ]

    def words(self, level: int) -> frozenset[str]:
        """The list's words, and what the meter takes for one of them."""
        words = (word for word in self._lexicon.listed if self._is_at(word, level) and all(map(_is_hanzi, word)))
        alone = frozenset(word for word in words if not self._is_begun_above(word, level))
        return alone - _BOUND.keys() if level <= _HIGHEST_LEVEL_OF_DEEDS else alone

    def extras(self, level: int, words: Collection[str]) -> frozenset[str]:
        """Numbers, dates, places and people, which need no level."""
        numbers = [*_NUMERALS, *_DIGITS, *(a + b for a in _NUMERALS + _DIGITS for b in _COUNTED)]
        numbers += [which + "个" for which in "这那哪每" if which in words]
        numbers += [f"{a}{mark}{b}" for a in _DIGITS for b in _DIGITS for mark in ":."]
        numbers += ["点儿"] if "一点儿" in words else []
        numbers += ["第" + numeral for numeral in _NUMERALS[:16] + _DIGITS]
        days = [f"{week}{day}" for week in ("星期", "周") for day in _DAYS]
        titled = [surname + title for surname in _SURNAMES for title in TITLES & {*words, *_BOUND}]
        little = ["小" + name for name in LITTLE_NAMES]
        little += [age + surname for age in "小老" for surname in _SURNAMES]
        many = [person + "们" for person in _PEOPLE & set(words)]
        bound = [form for forms in _BOUND.values() for form in forms]
        checked = (word for word in (*days, *_PLACES, *little, *many, *bound) if self._is_clean(word, level))
        return frozenset((*numbers, *titled, *checked))

    def forms(self, level: int, words: Collection[str]) -> frozenset[str]:
        """What words become: 好不好, 看一看, 喜不喜欢, 高高兴兴, 聊聊天."""
        return frozenset(form for form in self._possible_forms(words) if self._is_clean(form, level))

    def told(self, message: str, level: int) -> tuple[frozenset[str], frozenset[str]]:
        """The names in a learner's message, and its words that are above the level."""
        tokens = self._grader.grade(message, level, self._standard).tokens
        tokens = tuple(token for token in tokens if all(map(_is_hanzi, token.text)))
        names = frozenset(token.word for token in tokens if token.exempt is Exempt.NAME)
        above = (token for token in tokens if token.exempt is None and (token.level or 99) > level)
        return names, frozenset(token.text if token.origin is Origin.SEPARATED else token.word for token in above)

    def met(self, level: int, words: frozenset[str]) -> frozenset[Chain]:
        """The chains of `words` in which the meter reads a word above the level; none holds another.

        And those that only a model says that has lost its way.
        """
        beginning, ending = parts(words)
        found: dict[Chain, bool] = {}
        common: list[str] = []
        for word, cost in self._lexicon.costs.items():
            if len(word) < 2 or cost > _RAREST_MET[level] or word in words or not self._is_above(word, level):
                continue
            is_common = cost <= _RAREST_MET_IN_HALVES.get(level, 0)
            if is_common:
                common.append(word)
            for chain in _chains(word, words, beginning if is_common else {}, ending if is_common else {}):
                if chain not in found:
                    found[chain] = not self._is_clean("".join(chain), level)
        for verb in self._lexicon.separable if level in _GAPS else ():
            is_met = verb[0] in words and verb[1] in words and self._lexicon.costs.get(verb, 99) <= _RAREST_MET[level]
            if is_met and self._is_above(verb, level):
                apart = ((verb[0], *gap, verb[1]) for gap in _GAPS[level] if all(word in words for word in gap))
                found |= {chain: not self._is_clean("".join(chain), level) for chain in apart}
        flagged = {chain for chain, is_flagged in found.items() if is_flagged}
        if level in _RAREST_MET_IN_HALVES:
            flagged |= set(astray(words, common, self._lexicon.costs, self._parts_of_speech))
            flagged |= {chain for chain in self._out_of_place(level, words) if words.issuperset(chain)}
        return frozenset(chain for chain in flagged if not any(part in flagged for part in _inner(chain)))

    def _out_of_place(self, level: int, words: frozenset[str]) -> Iterator[Chain]:
        """What no grammar allows and what is rarely said, while it begins as words above the level do."""
        nouns = [word for word in words if self._is_noun(word) or (len(word) > 2 and word[-1] == "们")]
        nouns += [age + surname for age in "小老" for surname in _SURNAMES if age + surname in words]
        long = [word for word in words if len(word) > 3 and (word[1] in "不没" or word[0] == word[1])]
        places = [word for word in words if (word in _PLACES and word[-1] not in "语文") or word[:2] == "先生"]
        yield from product(_NO_NOUN_BEHIND, nouns)
        yield from product((*nouns, *_NO_SON_BEHIND), ["儿子"])
        yield from product((*_NO_NOUN_BEHIND, "的", "真", "多"), long)
        yield from product(_DEGREES, (word for word in words if len(word) == 3 and word[0] == word[2]))
        yield from product(_NO_PLACE_BEHIND, places)
        yield from product(["两"], _NOODLES)
        yield from product(["有"], _BEGIN_LIKE_OTHERS)
        yield from _BEGUN_ALIKE
        if level <= _HIGHEST_LEVEL_OF_DEEDS:
            yield from product(_DEGREES, (word for word in words - _FELT if self._is_deed(word) or word[0] == "有"))
            yield from product(["什么"], _GOOD)
        if level == 1:
            yield from _LOST

    def _is_at(self, word: str, level: int) -> bool:
        at, origin = self._levels.of_word(word)
        if at is None or at > level:
            return False
        elsewhere = min(words.get(word, 99) for words in self._others)
        return origin is not Origin.REDUCED or elsewhere < level + _OF_LATER_LISTS

    def _is_begun_above(self, word: str, level: int) -> bool:
        """教学楼, which the list has not itself, where 教学 is above the level and would be what is meant."""
        if self._list.level(word) is not None:
            return False
        likely = self._lexicon.costs.get(word, 0) - _LIKELIER_THAN_THE_WHOLE
        begun = [word[:end] for end in range(2, len(word)) if word[:end] in self._lexicon.listed]
        return any(self._lexicon.costs.get(part, likely) < likely and self._is_above(part, level) for part in begun)

    def _is_above(self, word: str, level: int) -> bool:
        if word in self._lexicon.names and word not in self._lexicon.listed:
            return False
        at, _ = self._levels.of_word(word)
        return at is None or at > level

    def _is_noun(self, word: str) -> bool:
        kinds = self._parts_of_speech.get(word)
        return kinds == "名" if kinds else word in _PLACES

    def _is_deed(self, word: str) -> bool:
        kinds = self._parts_of_speech.get(word, "")
        return kinds == "动" or "助" in kinds

    def _is_clean(self, text: str, level: int) -> bool:
        grade = self._grader.grade(text, level, self._standard)
        return not grade.flagged and grade.reject_reason is None

    def _possible_forms(self, words: Collection[str]) -> Iterator[str]:
        for word in words:
            kinds = self._parts_of_speech.get(word, "")
            is_verb, is_adjective = "动" in kinds, "形" in kinds
            if not (is_verb or is_adjective) or word in _NOT_DOUBLED:
                continue
            if len(word) == 1:
                yield from (f"{word}不{word}", f"{word}没{word}", word * 2)
                if is_verb:
                    yield from (f"{word}一{word}", f"{word}了{word}")
            elif len(word) == 2:
                yield f"{word[0]}不{word}"
                if word in _DOUBLED:
                    yield word[0] * 2 + word[1] * 2
                if is_verb:
                    yield word * 2
                if word in self._lexicon.separable:
                    yield word[0] * 2 + word[1]


def _chains(
    word: str, words: Collection[str], beginning: Mapping[str, list[str]], ending: Mapping[str, list[str]]
) -> Iterator[Chain]:
    """How `word` comes about where words meet: as some of them, or with halves of those beside it."""
    for at in range(1, len(word)):
        head, tail = word[:at], word[at:]
        first = [head] if head in words else []
        for rest in _rests(tail, words, {}):
            yield from ((one, *rest) for one in (*first, *ending.get(head, ())))
        for rest in _rests(tail, (), beginning):
            yield from ((one, *rest) for one in first)


def _rests(text: str, words: Collection[str], beginning: Mapping[str, list[str]]) -> Iterator[Chain]:
    if text in words:
        yield (text,)
    yield from ((word,) for word in beginning.get(text, ()))
    for at in range(1, len(text)):
        if text[:at] in words:
            yield from ((text[:at], *rest) for rest in _rests(text[at:], words, beginning))


def _inner(chain: Chain) -> Iterator[Chain]:
    for start in range(len(chain)):
        for end in range(start + 2, len(chain) + 1):
            if end - start < len(chain):
                yield chain[start:end]


def _is_hanzi(character: str) -> bool:
    return "\u3400" <= character <= "\u9fff" or character == "〇"
