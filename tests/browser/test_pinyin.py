"""Pinyin cut into syllables, in the browser's own JavaScript."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

import megatalk

pytestmark = pytest.mark.browser

SOURCE = (Path(megatalk.__file__).parent / "component" / "pinyin.js").read_text("utf-8")
CUT = {
    "nǐhǎo": ["nǐ", "hǎo"],
    "gōngyuán": ["gōng", "yuán"],
    "nǎr": ["nǎ", "r"],
    "yìdiǎnr": ["yì", "diǎn", "r"],
    "xī'ān": ["xī", "ān"],
    "fāng'àn": ["fāng", "àn"],
    "fǎngǎn": ["fǎn", "gǎn"],
    "nǚ'ér": ["nǚ", "ér"],
    "lǜchá": ["lǜ", "chá"],
    "èrshíèr": ["èr", "shí", "èr"],
    "Wáng Xiǎomíng": ["Wáng", "Xiǎo", "míng"],
    "Zhōngguó": ["Zhōng", "guó"],
    "zhuāngshuāng": ["zhuāng", "shuāng"],
    "wūlóngchá": ["wū", "lóng", "chá"],
}


def test_every_hanzi_gets_its_syllable_and_tone(browser: Browser) -> None:
    page = browser.new_page()
    asked = [[pinyin, len(syllables)] for pinyin, syllables in CUT.items()]
    cut = page.evaluate(f"asked => {{ {SOURCE}; return asked.map(([text, count]) => syllables(text, count)) }}", asked)
    tones = page.evaluate(f"all => {{ {SOURCE}; return all.map(toneOf) }}", ["mā", "má", "mǎ", "mà", "ma", "lǘ", "r"])

    assert cut == list(CUT.values())
    assert tones == [1, 2, 3, 4, 5, 2, 5]


def test_pinyin_that_does_not_divide_stands_over_the_whole_word(browser: Browser) -> None:
    page = browser.new_page()
    assert page.evaluate(f"() => {{ {SOURCE}; return syllables('kǎlāOK', 2) }}") is None
