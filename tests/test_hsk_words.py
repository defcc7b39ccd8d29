"""Where words begin and end, and which level a word has that a list has in another form only."""

import pytest

from megaservice.hsk import Exempt, Grader, Lexicon, Origin, Standard, Token
from megaservice.hsk.grades import LEVELS

GRADER = Grader(Lexicon.load())


def cut(text: str, standard: Standard = Standard.HSK_2025) -> str:
    return " ".join(token.text for token in GRADER.grade(text, 6, standard).tokens)


def only(text: str, level: int = 6, standard: Standard = Standard.HSK_2025) -> Token:
    (token,) = GRADER.grade(text, level, standard).tokens
    return token


def flags(text: str, level: int, standard: Standard = Standard.HSK_2025) -> list[tuple[str, int | None]]:
    return [(flag.word, flag.level) for flag in GRADER.grade(text, level, standard).flagged]


@pytest.mark.parametrize(
    "words",
    [
        "我 家 有 五 个 人",
        "这个 学生 会 说 汉语",
        "三十 分钟",
        "十 分钟",
        "祝 你 好运",
        "别 把 玩笑 当真",
        "请 把 手 放下",
        "会 说 法文",
        "我 住 在 三 楼",
        "一百五十 块 钱",
        "我们 三 一起 去",
        "千万 别 去",
        "他 在 研究所 研究 生物",
        "这 个 人 大家 都 认识",
        "春天 来 了 花 都 开 了",
        "我 在 中学 学习",
        "他 穿 着 红色 的 衣服",
        "他 很 有 才能",
        "努力 才 能 学 好",
        "大家 都 会 说",
        "我 吃 完 了",
        "乱七八糟",
        "有朝一日",
    ],
)
def test_words_begin_and_end_where_a_reader_sees_it(words: str) -> None:
    assert cut(words.replace(" ", "")) == words


@pytest.mark.parametrize(
    ("text", "exempt"),
    [
        ("25", Exempt.NUMBER),
        ("３.５", Exempt.NUMBER),
        ("两", Exempt.NUMBER),
        ("十几", Exempt.NUMBER),
        ("百分之五十", Exempt.NUMBER),
        ("三分之一", Exempt.NUMBER),
        ("十四亿", Exempt.NUMBER),
        ("星期日", Exempt.DATE),
        ("周三", Exempt.DATE),
        ("三月", Exempt.DATE),
        ("五月六号", Exempt.DATE),
        ("二〇二六年七月一日", Exempt.DATE),
        ("2026年", Exempt.DATE),
        ("三点二十分", Exempt.DATE),
        ("八点半", Exempt.DATE),
        ("上海", Exempt.NAME),
        ("长城", Exempt.NAME),
        ("法语", Exempt.LANGUAGE),
        ("英文", Exempt.LANGUAGE),
    ],
)
def test_numbers_dates_places_and_languages_need_no_level(text: str, exempt: Exempt) -> None:
    tokens = GRADER.grade(f"他说{text}。", 1).tokens
    assert [(token.text, token.exempt) for token in tokens[2:]] == [(text, exempt)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("我叫张伟。", "张伟"),
        ("他叫李小龙，你呢？", "李小龙"),
        ("王小明是我的朋友。", "王小明"),
        ("小红是我的朋友。", "小红"),
        ("我的狗叫豆豆。", "豆豆"),
        ("她叫玛丽。", "玛丽"),
        ("你好，老王！", "老王"),
        ("陈先生在家吗？", "陈"),
        ("她是高老师。", "高"),
        ("史蒂芬妮来了。", "史蒂芬妮"),
        ("我叫高明。", "高明"),
        ("他姓王。", "王"),
        ("阿明是我的朋友。", "阿明"),
    ],
)
def test_names_are_found_that_nobody_declared(text: str, name: str) -> None:
    graded = GRADER.grade(text, 2)
    assert [token.text for token in graded.tokens if token.exempt is Exempt.NAME] == [name]
    assert graded.in_level


@pytest.mark.parametrize(
    ("text", "flagged"),
    [
        ("妈妈叫我洗碗。", [("洗", 2), ("碗", 3)]),
        ("这叫粽子。", [("粽子", 6)]),
        ("他叫警察。", [("警察", 4)]),
        ("我是高兴。", []),
    ],
)
def test_what_is_no_name_is_graded(text: str, flagged: list[tuple[str, int]]) -> None:
    assert flags(text, 1) == flagged


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("我想学区块链。", "区块链"),
        ("他是黑客。", "黑客"),
        ("他对牛弹琴。", "对牛弹琴"),
        ("他喜欢吃饕餮。", "饕餮"),
        ("他按图索骥。", "按图索骥"),
    ],
)
def test_a_word_of_no_list_is_flagged_whole(text: str, word: str) -> None:
    assert [flag for flag, _ in flags(text, 4)] == [word]


def test_a_word_of_no_list_has_a_gloss_all_the_same() -> None:
    (flag,) = GRADER.grade("我想学区块链。", 4).flagged
    assert (flag.level, flag.pinyin, flag.gloss) == (None, "qūkuàiliàn", "blockchain (computing)")


@pytest.mark.parametrize(
    ("text", "word", "level"),
    [("他很大方。", "大方", 6), ("他喜欢小说。", "小说", 4), ("水分多。", "水分", 5), ("我开心。", "开心", 3)],
)
def test_easy_characters_make_no_easy_word(text: str, word: str, level: int) -> None:
    assert flags(text, 2) == [(word, level)]


@pytest.mark.parametrize(
    ("text", "level", "origin"),
    [
        ("爸爸", 1, Origin.LISTED),
        ("玩儿", 1, Origin.ERHUA),
        ("同学们", 1, Origin.PLURAL),
        ("看看", 1, Origin.REDUPLICATED),
        ("看一看", 1, Origin.REDUPLICATED),
        ("看了看", 1, Origin.REDUPLICATED),
        ("休息休息", 1, Origin.REDUPLICATED),
        ("高高兴兴", 1, Origin.REDUPLICATED),
        ("散散步", 4, Origin.REDUPLICATED),
        ("好不好", 1, Origin.REDUPLICATED),
        ("喜不喜欢", 1, Origin.REDUPLICATED),
        ("去没去", 1, Origin.REDUPLICATED),
        ("聊聊天儿", 3, Origin.REDUPLICATED),
        ("爬山", 3, Origin.COMBINED),
        ("饭桌", 1, Origin.COMBINED),
        ("今晚", 1, Origin.COMBINED),
        ("美术馆", 5, Origin.COMBINED),
        ("区块链", None, Origin.UNLISTED),
    ],
)
def test_a_word_in_another_form_has_the_level_of_its_base(text: str, level: int | None, origin: Origin) -> None:
    token = only(text)
    assert (token.level, token.origin) == (level, origin)


def test_a_character_of_a_listed_word_is_known_with_it() -> None:
    assert [(t.text, t.level, t.origin) for t in GRADER.grade("一杯茶。", 1).tokens[1:]] == [
        ("杯", 1, Origin.REDUCED),
        ("茶", 1, Origin.LISTED),
    ]


@pytest.mark.parametrize("text", ["他们见了一次面。", "我们见个面吧。", "我想和你见一面。", "我们见见面。"])
def test_a_separated_verb_is_one_word(text: str) -> None:
    assert [word for word, _ in flags(text, 2)] in (["见面"], ["见见面"])
    assert flags(text, 3) == []


def test_a_separated_verb_is_flagged_from_end_to_end() -> None:
    (flag,) = GRADER.grade("他们见了一次面。", 2).flagged
    assert (flag.word, flag.start, flag.end, flag.pinyin) == ("见面", 2, 7, "jiànmiàn")


def test_a_joke_is_as_hard_as_to_joke() -> None:
    assert flags("他开了个玩笑。", 3, Standard.HSK_2_0) == [("玩笑", 4)]


@pytest.mark.parametrize("text", ["他见了一个人。", "他看见我的面条。"])
def test_halves_far_apart_are_no_verb(text: str) -> None:
    assert Origin.SEPARATED not in [token.origin for token in GRADER.grade(text, 6).tokens]


@pytest.mark.parametrize("text", ["这个", "今年", "那儿", "你好", "他们", "好好", "女人", "每天"])
def test_what_one_list_alone_has_is_known_by_its_parts(text: str) -> None:
    assert flags(text, 2, Standard.HSK_2_0) == []


@pytest.mark.parametrize(("text", "level"), [("汽车", 2), ("火车", 2), ("回来", 1), ("里面", 1), ("听说", 3)])
def test_a_word_of_the_other_list_has_the_level_that_this_one_explains(text: str, level: int) -> None:
    assert only(text, standard=Standard.HSK_2_0).level == level


def test_the_part_is_flagged_that_is_too_hard() -> None:
    assert flags("来到", 1, Standard.HSK_2_0) == [("到", 2)]


@pytest.mark.parametrize(
    ("standard", "counts"), [("2.0", (150, 300, 600, 1200, 2500, 5000)), ("2025", (300, 500, 1000, 2000, 3600, 5400))]
)
def test_the_lists_have_the_size_that_the_syllabus_says(standard: Standard, counts: tuple[int, ...]) -> None:
    words = Lexicon.load().lists[Standard(standard)]
    found = [len(words.up_to(level)) for level in LEVELS]
    # A syllabus counts a word once for each level that teaches a meaning of it.
    assert [0.98 * want <= have <= want + 1 for have, want in zip(found, counts, strict=True)] == [True] * 6
