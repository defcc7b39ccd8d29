"""Chinese text to phonemes: as misaki 0.9.4 gives them, on which Kokoro was trained, but for what that reads wrong."""

import json
from pathlib import Path

import pytest
from pypinyin import pinyin_dict
from pypinyin.contrib.tone_convert import to_tone3

from tts.chinese import chinese_phonemes, is_lone_syllable, read_words
from tts.numbers import spell_integer, spell_numbers
from tts.pinyin import syllable_phonemes
from tts.vocabulary import token_ids

_CAPTURED = json.loads((Path(__file__).parent / "data" / "misaki-0.9.4.json").read_text(encoding="utf-8"))
# 哟 is yo, not wo.
_OTHERWISE = {"yo": "jɔ↘"}


def read(text: str) -> str:
    return " ".join("".join(word) for word in read_words(text))


def test_every_syllable_is_as_misaki_has_it() -> None:
    ours = {syllable: syllable_phonemes(f"{syllable}4") for syllable in _CAPTURED["syllables"]}
    assert ours == _CAPTURED["syllables"] | _OTHERWISE


@pytest.mark.parametrize(("text", "phonemes"), list(_CAPTURED["sentences"].items()))
def test_sentences_are_as_misaki_has_them(text: str, phonemes: str) -> None:
    assert chinese_phonemes(text) == phonemes


def test_every_reading_that_pypinyin_knows_can_be_spoken() -> None:
    readings = {reading for readings in pinyin_dict.pinyin_dict.values() for reading in readings.split(",")}
    for reading in readings:
        syllable = to_tone3(reading, neutral_tone_with_five=True)
        assert token_ids(syllable_phonemes(syllable)), syllable


@pytest.mark.parametrize(
    ("syllable", "phonemes"),
    [
        ("ma1", "ma→"),
        ("ma2", "ma↗"),
        ("ma3", "ma↓"),
        ("ma4", "ma↘"),
        ("ma5", "ma"),
        ("lv4", "ly↘"),
        ("xuan3", "ɕɥɛ↓n"),
        ("nar3", "naɚ↓"),
        ("dianr3", "tjɛɚ↓"),
        ("huir4", "xwəɚ↘"),
        ("shir4", "ʂəɚ↘"),
        ("wanr2", "waɚ↗"),
    ],
)
def test_tones_and_erhua(syllable: str, phonemes: str) -> None:
    assert syllable_phonemes(syllable) == phonemes


@pytest.mark.parametrize("wrong", ["ma", "ma6", "xyz1", "", "r1"])
def test_what_is_no_syllable_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"syllable|tone"):
        syllable_phonemes(wrong)


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("我长得很高", "wo3 zhang3 de5 hen3 gao1"),
        ("你得还钱", "ni3 dei3 huan2 qian2"),
        ("他说得对", "ta1 shuo1de5dui4"),
        ("我得走了", "wo3 dei3 zou3 le5"),
        ("跑得快", "pao3de5kuai4"),
        ("高兴地说", "gao1xing4 de5 shuo1"),
        ("这块地很大", "zhe4kuai4 di4 hen3da4"),
        ("我教汉语", "wo3 jiao1 han4yu3"),
        ("还书", "huan2 shu1"),
        ("吃不了", "chi1 bu4liao3"),
        ("好朋友", "hao3 peng2you5"),
        ("妈妈", "ma1ma5"),
        ("嗯", "en4"),
    ],
)
def test_characters_with_several_readings(text: str, reading: str) -> None:
    assert read(text) == reading


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("不是", "bu2shi4"),
        ("不对", "bu2 dui4"),
        ("不好", "bu4hao3"),
        ("一个人", "yi2ge4 ren2"),
        ("一起去", "yi4qi3 qu4"),
        ("一百", "yi4bai3"),
        ("第一次", "di4yi1ci4"),
        ("星期一", "xing1qi1yi1"),
        ("一月一号", "yi1yue4 yi1hao4"),
        ("二十一", "er4shi2yi1"),
        ("你好", "ni3hao3"),  # the third tone's change is Kokoro's own
    ],
)
def test_yi_and_bu_change_their_tone(text: str, reading: str) -> None:
    assert read(text) == reading


@pytest.mark.parametrize(
    ("text", "reading"),
    [("在哪儿", "zai4 nar3"), ("有一点儿忙", "you3 yi4dianr3 mang2"), ("女儿", "nv3er2"), ("儿子", "er2zi5")],
)
def test_erhua_is_one_syllable_only_in_words_that_have_it(text: str, reading: str) -> None:
    assert read(text) == reading


def test_marks_become_pauses_and_emoji_fall_away() -> None:
    assert chinese_phonemes("《书》，“好”！😀") == "“ʂu→”, “xau↓”!"


def test_what_holds_no_chinese_has_no_phonemes() -> None:
    assert token_ids(chinese_phonemes("😀")) == []


def test_a_lone_syllable_is_known_as_one() -> None:
    assert [is_lone_syllable(text) for text in ("好！", "吗？", "5", "你好", "12")] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("2026年3月5日", "二零二六年三月五日"),
        ("2026-03-05", "二零二六年三月五日"),
        ("12:30", "十二点三十分"),
        ("02:05", "两点零五分"),
        ("8:00", "八点"),
        ("2个苹果，12个，2月2号", "两个苹果，十二个，二月二号"),
        ("第2课", "第二课"),
        ("¥12.50", "十二点五零元"),
        ("50%", "百分之五十"),
        ("1/2", "二分之一"),
        ("3-5个", "三到五个"),
        ("25℃", "二十五摄氏度"),
        ("-5", "负五"),
        ("5km", "五公里"),
        ("3+5=8", "三加五等于八"),
        ("13812345678", "幺三八幺二三四五六七八"),
        ("1,234,567", "一百二十三万四千五百六十七"),
        ("007", "零零七"),
        ("没有数字", "没有数字"),
    ],
)
def test_numbers_are_spelled_as_they_are_read(text: str, spelled: str) -> None:
    assert spell_numbers(text) == spelled


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "零"),
        ("10", "十"),
        ("15", "十五"),
        ("105", "一百零五"),
        ("110", "一百一十"),
        ("1010", "一千零一十"),
        ("2000", "两千"),
        ("10005", "一万零五"),
        ("20000", "两万"),
        ("100100", "十万零一百"),
        ("100000000", "一亿"),
        ("12345678901234567", "一二三四五六七八九零一二三四五六七"),
    ],
)
def test_whole_numbers(digits: str, words: str) -> None:
    assert spell_integer(digits) == words
