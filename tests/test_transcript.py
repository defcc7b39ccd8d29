"""The transcript: only what a voice can read, and all of that."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megaservice.models import Language
from megaservice.text.splitter import SentenceSplitter
from megaservice.text.transcript import Transcriber, spoken, spoken_length

ZH, EN = Language.ZH, Language.EN


@pytest.mark.parametrize(
    ("text", "transcript"),
    [
        ("你好！今天怎么样？", "你好！今天怎么样？"),
        ("他说：“你好。”", "他说：“你好。”"),
        ("**你好！** 😊 今天~~不~~怎么样？", "你好！今天不怎么样？"),
        ("# 标题\n- 苹果\n* 香蕉\n> 西瓜\n", "标题，苹果，香蕉，西瓜"),
        ("1. 苹果\n2. 香蕉。\n好吗？", "1. 苹果，2. 香蕉。好吗？"),
        ("看[这里](https://a.cn/b)和 https://a.cn/?b=1，再见", "看这里和，再见"),
        ("请看https://a.cn/b这个", "请看这个"),
        ("看（www.a.com）吧", "看吧"),
        ("写信到 a.b@c.com，好吗？", "写信到，好吗？"),
        ("![图](a.png)好看吗", "好看吗"),
        ("| 中文 | 英文 |\n|---|---|\n| 你好 | hello |\n好吗？", "好吗？"),
        ("说 `你好` 吧，用 `print(x)` 吧", "说你好吧，用吧"),
        ("<b>重要</b><br>好 &amp; 坏", "重要好和坏"),
        ("<think>嗯，用户</think>你好！", "你好！"),
        ("你好（nǐ hǎo）！我爱 (wo3 ai4) 北京(Beijing)。", "你好！我爱北京。"),
        ("苹果（apple）和人工智能（AI）", "苹果（apple）和人工智能（AI）"),
        ("一共1,234,567个，3.5元，12:30", "一共1234567个，3.5元，12:30"),
        ("2024-03-05见，10~20分钟", "2024年3月5日见，10到20分钟"),
        ("真的吗？？！！太好了……。。。", "真的吗？太好了。"),
        ("你好～今天——很好～", "你好，今天—很好"),
        ("温度20℃，3️⃣个", "温度20℃，3个"),
        ("你\u200b好\u0007吗\u3000？", "你好吗？"),
        ("* * *\n---\n好", "好"),
        ("，好的", "好的"),
    ],
)
def test_chinese(text: str, transcript: str) -> None:
    assert spoken(text, ZH) == transcript


@pytest.mark.parametrize(
    ("text", "transcript"),
    [
        ("Hello! I'm fine, thanks.", "Hello! I'm fine, thanks."),
        ("**Hello!** How are *you* today?", "Hello! How are you today?"),
        ("Go to www.a.org/x, or example.com. OK?", "Go to, or. OK?"),
        ("1,234,567 users on 2024-03-05.", "1234567 users on March 5, 2024."),
        ("# Title\n- one\n- two", "Title, one, two"),
        ("Use `code()` and `word`.", "Use and word."),
        ("I think -- maybe - yes!!!", "I think, maybe, yes!"),
        ("你好 (nǐ hǎo) means hello.", "你好 means hello."),
        ("It costs $5.99 (20% off) & more.", "It costs $5.99 (20% off) and more."),
        ("well-known, from 10~20", "well-known, from 10 to 20"),
    ],
)
def test_english(text: str, transcript: str) -> None:
    assert spoken(text, EN) == transcript


@pytest.mark.parametrize("text", ["", " \n", "😊👍🏽", "。", "……", "---", "**", "https://a.cn", "`x = 1`", "（）"])
def test_nothing_to_say_is_an_empty_transcript(text: str) -> None:
    assert spoken(text, ZH) == ""


def test_a_fence_is_silent_over_sentence_borders() -> None:
    reply = (
        "这是一个例子。\n```python\nprint('你好。')\n# 打印你好！这是注释，很长很长。\n```\n你看懂了吗？我们再来一次。"
    )
    splitter, transcriber = SentenceSplitter(ZH), Transcriber(ZH)
    transcripts = [transcriber.push(sentence.text) for sentence in [*splitter.push(reply), *splitter.flush()]]
    assert [said for said in transcripts if said] == ["这是一个例子。", "你看懂了吗？我们再来一次。"]


def test_reasoning_is_silent_until_it_closes() -> None:
    transcriber = Transcriber(ZH)
    assert [
        transcriber.push(piece) for piece in ("<THINK>\n用户说你好。", "我要回答。", "</Think>\n你好！", "再见！")
    ] == [
        "",
        "",
        "你好！",
        "再见！",
    ]


@given(st.text(), st.sampled_from(Language))
def test_a_transcript_is_one_clean_line_with_something_to_say(text: str, language: Language) -> None:
    transcript = spoken(text, language)
    assert (transcript == "") == (spoken_length(transcript) == 0)
    assert transcript == transcript.strip()
    assert not set(transcript) & set("*`|#\n\t")
    assert {unicodedata.category(character)[0] for character in transcript} <= set("LMNPSZ")
    assert "So" not in {unicodedata.category(character) for character in transcript if character not in "°℃℉№"}


@given(st.text(alphabet="你好我是天气", min_size=1), st.sampled_from("。！？"))
def test_plain_chinese_is_read_as_it_stands(words: str, mark: str) -> None:
    assert spoken(words + mark, ZH) == words + mark


def test_spoken_length_counts_letters_digits_and_hanzi() -> None:
    assert spoken_length("你好，Tom！3.5 😊") == 7
