"""The splitter: the first chunk early, nothing lost, no cut inside quotes or numbers, whatever the deltas."""

from itertools import pairwise
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megaservice.models import Language, Sentence
from megaservice.text.splitter import LIMITS, SentenceSplitter, is_finished

ZH, EN = Language.ZH, Language.EN

TUTOR_REPLIES = (
    "你好！很高兴认识你。我叫小美，是你的中文老师。你叫什么名字？",
    "太好了！我也喜欢看电影。你最喜欢哪个电影？为什么喜欢它？",
    "我家有四口人：爸爸、妈妈、哥哥和我。我哥哥今年二十五岁，在北京工作。你家有几口人？",
    "是的，今天天气很好，不冷也不热。我们可以去公园走走，然后一起吃午饭。你觉得怎么样？",
    "没关系，我再说一次。“便宜”的意思是不贵，比如：“这件衣服很便宜，只要五十块钱。”你会说一个句子吗？",
    "当然可以，我们一起练习吧。在饭店里，你可以说：“服务员，我想要一碗面条，谢谢！”你想吃什么？",
)


def split(text: str, language: Language = ZH) -> list[str]:
    return split_deltas(list(text), language)


def split_deltas(deltas: list[str], language: Language) -> list[str]:
    splitter = SentenceSplitter(language)
    sentences = [sentence for delta in deltas for sentence in splitter.push(delta)]
    sentences += splitter.flush()
    assert [sentence.index for sentence in sentences] == list(range(len(sentences)))
    return [sentence.text for sentence in sentences]


def first_leaves_at(text: str, language: Language = ZH) -> int:
    """How many characters were taken in when the first sentence came out."""
    splitter = SentenceSplitter(language)
    return next((taken for taken, character in enumerate(text, 1) if splitter.push(character)), len(text))


TEXTS = st.lists(
    st.sampled_from(
        [*"你好我是天气。！？!?…；，、：—“”「」『』（）()\"'.,: \n0135aZbé*~😊", "3.5", "Dr.", "https://a.cn/?b=1"]
    ),
    max_size=200,
).map("".join)


@given(data=st.data(), text=TEXTS, language=st.sampled_from(Language))
def test_any_cut_into_deltas_gives_the_same_sentences_and_loses_nothing(
    data: st.DataObject, text: str, language: Language
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))) | {0, len(text)})
    deltas = [text[start:end] for start, end in pairwise(cuts)]
    sentences = split_deltas(deltas, language)
    assert "".join(sentences) == text
    assert sentences == split(text, language)
    assert all(sentences)


@given(st.text())
def test_any_unicode_survives(text: str) -> None:
    assert "".join(split(text)) == text


CLAUSES = st.text(alphabet="你好天气。，！", min_size=1, max_size=6)
BRACKETED = st.builds(
    lambda pair, inside: pair[0] + inside + pair[1],
    st.sampled_from(["“”", "「」", "『』", "（）", "()", '""', "《》"]),
    st.text(alphabet="我是你。，！？", min_size=1, max_size=20),
)


@given(st.lists(st.one_of(CLAUSES, BRACKETED), max_size=12))
def test_no_quote_or_bracket_within_the_limit_is_cut(parts: list[str]) -> None:
    sentences = split("".join(parts))
    cuts = {sum(map(len, sentences[:count])) for count in range(1, len(sentences))}
    inside: set[int] = set()
    for count, part in enumerate(parts):
        if part[0] not in "你好天气。，！":
            start = sum(map(len, parts[:count]))
            inside |= set(range(start + 1, start + len(part)))
    overlong = {cut for cut, sentence in zip(sorted(cuts), sentences, strict=False) if len(sentence) > 19}
    assert (cuts - overlong) & inside == set()


@given(text=TEXTS, language=st.sampled_from(Language))
def test_no_sentence_is_longer_than_four_hard_limits(text: str, language: Language) -> None:
    assert max(map(len, split(text * 4, language)), default=0) <= 4 * LIMITS[language].hard + 1


def test_the_first_chunk_leaves_within_seven_characters_on_average() -> None:
    positions = [first_leaves_at(reply) for reply in TUTOR_REPLIES]
    assert sum(positions) / len(positions) <= 7.0, positions


def test_tutor_replies_are_cut_where_a_person_would_pause() -> None:
    assert [split(reply) for reply in TUTOR_REPLIES] == [
        ["你好！", "很高兴认识你。我叫小美，是你的中文老师。", "你叫什么名字？"],
        ["太好了！", "我也喜欢看电影。你最喜欢哪个电影？", "为什么喜欢它？"],
        ["我家有四口人：", "爸爸、妈妈、哥哥和我。", "我哥哥今年二十五岁，在北京工作。", "你家有几口人？"],
        ["是的，今天天气很好，", "不冷也不热。我们可以去公园走走，然后一起吃午饭。", "你觉得怎么样？"],
        ["没关系，我再说一次。", "“便宜”的意思是不贵，比如：“这件衣服很便宜，只要五十块钱。”", "你会说一个句子吗？"],
        ["当然可以，", "我们一起练习吧。在饭店里，你可以说：“服务员，我想要一碗面条，谢谢！”", "你想吃什么？"],
    ]


def test_a_sure_comma_lets_the_first_chunk_out_at_once() -> None:
    splitter = SentenceSplitter(ZH)
    assert splitter.push("当然可以，") == [Sentence(0, "当然可以，")]


def test_an_end_mark_waits_for_one_more_character_only() -> None:
    splitter = SentenceSplitter(ZH)
    assert splitter.push("你好！") == []
    assert splitter.push("很") == [Sentence(0, "你好！")]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("好！很高兴认识你。今天好吗", "好！很高兴认识你。"),  # one spoken character is too short
        ("是的，我想去。", "是的，我想去。"),  # two before a comma are too few
        ("你好！！！？？今天好吗", "你好！！！？？"),
        ("你好……今天好吗", "你好……"),
        ("你好！😊👍🏽 \n今天好吗", "你好！😊👍🏽 \n"),
        ("“你好！我来了。”他说", "“你好！我来了。”"),
        ("**你好！** 今天好吗", "**你好！** "),
        ("我有3.5块钱。你呢", "我有3.5块钱。"),
        ("一共是1,000块。你呢", "一共是1,000块。"),
        ("一共是1，000块。你呢", "一共是1，000块。"),
        ("我们12：30见面，好吗", "我们12：30见面，"),
        ("看https://a.cn/b?c=1,2!d 这个。好", "看https://a.cn/b?c=1,2!d 这个。"),
        ("你好!今天好吗", "你好!"),
        ("你好吗\n今天好", "你好吗\n"),
        ("《你好，李焕英》很好看，你看过吗", "《你好，李焕英》很好看，"),
        ("他说（我觉得，是这样）对不对？好", "他说（我觉得，是这样）对不对？"),
    ],
)
def test_first_chunk_in_chinese(text: str, first: str) -> None:
    assert split(text)[0] == first


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Hello! How are you?", "Hello! "),
        ("Hi! How are you? Fine.", "Hi! How are you? "),
        ("Mr. Smith met Dr. Wu. Then he left.", "Mr. Smith met Dr. Wu. "),
        ("I really like fruit, e.g. apples. You?", "I really like fruit, "),
        ("Take e.g. apples. Do you?", "Take e.g. apples. "),
        ("She is from the U.S. and likes it. You?", "She is from the U.S. and likes it. "),
        ("It costs 3.5 or 1,000 at 12:30 there. Yes?", "It costs 3.5 or 1,000 at 12:30 there. "),
        ('She said "Wait! I am here." and left. Why?', 'She said "Wait! I am here." and left. '),
        ("Well, that sounds nice, and good. Why?", "Well, that sounds nice, "),
        ("Open https://a.org/x?y=1. It works.", "Open https://a.org/x?y=1. "),
        ("Well... maybe so. Why?", "Well... maybe so. "),
        ("Didn't she go? I'm sure.", "Didn't she go? "),
        ("Is it his? 'Yes,' she said.", "Is it his? "),
        ("No. I don't. Why?", "No. I don't. "),
    ],
)
def test_first_chunk_in_english(text: str, first: str) -> None:
    assert split(text, EN)[0] == first


@pytest.mark.parametrize(
    ("text", "language", "sentences"),
    [
        ("你好吗？我最喜欢的是绿茶和红茶。你呢？", ZH, ["你好吗？", "我最喜欢的是绿茶和红茶。你呢？"]),
        ("当然可以，好。", ZH, ["当然可以，", "好。"]),  # the chunk before it has left
        (
            "Great! I really like green tea and coffee. And you?",
            EN,
            ["Great! ", "I really like green tea and coffee. And you?"],
        ),
        ("你好吗？你好吗你好吗你好吗。😊", ZH, ["你好吗？", "你好吗你好吗你好吗。😊"]),
    ],
)
def test_a_crumb_joins_the_sentence_before_it(text: str, language: Language, sentences: list[str]) -> None:
    assert split(text, language) == sentences


def test_an_unclosed_quote_holds_text_no_longer_than_the_hard_limit() -> None:
    sentences = split("他说：“" + "今天很好，我们去吧。" * 12)
    assert max(map(len, sentences)) <= LIMITS[ZH].hard
    assert len(sentences) > 5  # after the first hard cut the quote is forgotten


def test_an_overlong_english_text_is_cut_between_words() -> None:
    sentences = split("many words " * 60, EN)
    assert len(sentences) > 3
    assert all(len(sentence) <= LIMITS[EN].hard and sentence.endswith(" ") for sentence in sentences)


def test_a_long_address_stays_whole() -> None:
    address = "https://example.com/" + "abc/" * 20
    assert any(address in sentence for sentence in split("请看" + address + "这个网页很有意思。你觉得呢？"))


def test_a_comma_ends_a_long_later_chunk() -> None:
    long = "我每天早上六点半起床以后先去公园跑步然后回家吃早饭喝咖啡看新闻，"
    assert split("你好吗？" + long + "你每天早上做什么呢？") == ["你好吗？", long, "你每天早上做什么呢？"]


def test_nothing_comes_of_nothing() -> None:
    assert split("") == []


@pytest.mark.parametrize(
    ("text", "finished"),
    [
        ("你好！", True),
        ("你好！” ", True),
        ("**Hello.** 😊", True),
        ("你好，", False),
        ("你好", False),
        ("", False),
        ("“”", False),
    ],
)
def test_an_unfinished_tail_is_known(text: str, finished: bool) -> None:
    assert is_finished(text) is finished


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("你好！今天很好。我想说的", ["今天很好。", "我想说的"]),
        ("你好！今天很好。你呢？我想", ["今天很好。你呢？", "我想"]),
        ("你好！今天很好。", ["今天很好。"]),
        ("你好！今天很好", ["今天很好"]),
        ("你好！今天很好。“我", ["今天很好。", "“我"]),
    ],
)
def test_the_tail_of_a_cut_off_reply_stands_apart(text: str, rest: list[str]) -> None:
    splitter = SentenceSplitter(ZH)
    first = splitter.push(text)
    assert [sentence.text for sentence in first] == ["你好！"]
    assert splitter.flush(is_cut_off=True) == [Sentence(index, piece) for index, piece in enumerate(rest, 1)]


@pytest.mark.parametrize("piece", ["。", "“", "a", " ", "你好，", '!"', "Mr. "])
def test_no_text_makes_it_slow(piece: str) -> None:
    text = piece * (30_000 // len(piece))
    started = process_time()
    assert "".join(split_deltas([text], ZH)) == text
    assert process_time() - started < 5.0  # about 0.1 s; quadratic work would take minutes
