"""Chinese text to Kokoro's phonemes: words by rjieba, readings by pypinyin and a list of corrections, tones by rule.

The third tone's change (你好) is left to Kokoro: it learned it from recordings whose labels kept the third tone.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pypinyin
import rjieba
from pypinyin.contrib.tone_convert import to_tone3

from tts.numbers import spell_numbers
from tts.pinyin import syllable_phonemes

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff〇"
_READINGS_FILE = Path(__file__).parent / "data" / "readings.tsv"
_TOKENS = re.compile(rf"[{HAN}]+|[^{HAN}]")
_PUNCTUATION = {
    "。": ". ", "．": ". ", ".": ". ", "！": "! ", "!": "! ", "？": "? ", "?": "? ", "，": ", ", "、": ", ", ",": ", ",
    "；": "; ", ";": "; ", "：": ": ", ":": ": ", "…": "…", "—": "—", "－": "—", "–": "—",
    "“": " “",
    "”": "” ", "「": " “", "」": "” ", "『": " “", "』": "” ", "《": " “", "》": "” ", "【": " “", "】": "” ",
    '"': "", "（": " (", "）": ") ", "(": " (", ")": ") ", "\n": ". ",
}  # fmt: skip
_COUNTING = frozenset("零〇一二三四五六七八九十百千万亿两半几每这那哪")
_DIGITS = frozenset("零〇一二三四五六七八九")
_AFTER_PARTICLE_DE = frozenset("很太真非好更最挺不多快慢像")  # 说得很好: what the particle 得 leads to
_SUBJECTS = frozenset("我你您他她它们谁就也都还总可又只必")  # before 得 that means "must"
_RETURNED = frozenset("钱书给清债车")  # 还 huan2: to give back
_GROWING = frozenset("得高成出胖大")  # 长 zhang3: to grow
_PLANTED = frozenset("花树菜草田")  # 种 zhong4: to plant


def chinese_phonemes(text: str) -> str:
    """The phonemes of a run of Chinese; what is neither Han nor punctuation falls away."""
    pieces: list[str] = []
    for token in _TOKENS.findall(spell_numbers(text)):
        if re.match(rf"[{HAN}]", token):
            pieces.append(" ".join("".join(map(syllable_phonemes, word)) for word in read_words(token)))
        else:
            pieces.append(_PUNCTUATION.get(token, " " if token.isspace() else ""))
    return re.sub(r" +([,.!?;:])", r"\1", re.sub(r" {2,}", " ", "".join(pieces))).strip()


def is_lone_syllable(text: str) -> bool:
    """Only one Han character of it will be spoken."""
    return len(re.findall(rf"[{HAN}]", spell_numbers(text))) == 1


def read_words(han: str) -> list[list[str]]:
    """The words of a run of Han characters, each as pinyin syllables with tone digits (nar3 for 哪儿)."""
    words = [part for word in rjieba.cut(han, False) for part in _part_erhua(word)]
    readings = [_WITH_ERHUA[word] if word in _WITH_ERHUA else _read(words, index) for index, word in enumerate(words)]
    _change_tones(words, readings)
    return readings


def _read(words: Sequence[str], index: int) -> list[str]:
    word = words[index]
    if len(word) == 1 and (reading := _lone_reading(words, index)):
        return [reading]
    syllables = pypinyin.lazy_pinyin(word, style=pypinyin.Style.TONE3, neutral_tone_with_five=True, errors="ignore")
    if word.endswith("不了"):
        syllables[-1] = "liao3"
    if len(word) == 3 and word[1] == "得" and word[0] != "不":  # 跑得快
        syllables[1] = "de5"
    return ["en4" if syllable == "n2" else syllable for syllable in syllables]


def _lone_reading(words: Sequence[str], index: int) -> str | None:
    """The reading of a word of one character that has several, by its neighbours."""
    before = words[index - 1] if index else ""
    after = words[index + 1] if index + 1 < len(words) else ""
    match words[index]:
        case "得":
            is_particle = after[:1] in _AFTER_PARTICLE_DE or (before and before[-1] not in _SUBJECTS)
            return "de5" if is_particle else "dei3"
        case "地" if len(before) > 1 and after and before[-1] not in "这那哪块片个":
            return "de5"
        case "还" if after[:1] in _RETURNED:
            return "huan2"
        case "长" if after[:1] in _GROWING:
            return "zhang3"
        case "种" if after[:1] in _PLANTED:
            return "zhong4"
        case "只" if before and before[-1] in _COUNTING:
            return "zhi1"
        case "了" if before == "不":
            return "liao3"
        case "教":
            return "jiao1"
    return None


def _part_erhua(word: str) -> list[str]:
    """有一点儿 -> 有, 一点儿: the segmenter's word may hold one of ours at its end."""
    if word.endswith("儿") and word not in _WITH_ERHUA:
        for start in range(1, len(word) - 1):
            if word[start:] in _WITH_ERHUA:
                return [word[:start], word[start:]]
    return [word]


def _change_tones(words: Sequence[str], readings: Sequence[list[str]]) -> None:
    """一 and 不 take their tone from what follows, across words too. Changes `readings` in place."""
    following = ""
    for word, reading in zip(reversed(words), reversed(readings), strict=True):
        if len(reading) == len(word):  # not so with erhua: those words hold neither
            for place in range(len(word) - 1, -1, -1):
                after = reading[place + 1] if place + 1 < len(word) else following
                reading[place] = _changed(word, place, reading[place], after)
        following = reading[0] if reading else ""


def _changed(word: str, place: int, syllable: str, after: str) -> str:
    """The syllable as it is said before the syllable `after` ("" where the run ends)."""
    falls = after.endswith("4")
    if word[place] == "不" and syllable in {"bu2", "bu4"}:
        return "bu2" if falls else "bu4"
    if word[place] == "一" and syllable in {"yi2", "yi4", "yi1"}:
        if not after or _is_numeral(word, place):
            return "yi1"
        return "yi2" if falls else "yi4"
    return syllable


def _is_numeral(word: str, place: int) -> bool:
    """第一, 二十一, 一月, 一九九八, and the end of a longer word (统一): 一 keeps its first tone."""
    before, after = word[:place][-1:], word[place + 1 : place + 2]
    if before and (before in _DIGITS or before in "第十百" or not after):
        return True
    return bool(after) and (after in _DIGITS or after in "月号楼")


def _load_readings() -> dict[str, list[str]]:
    """Corrects pypinyin's phrases (for the whole process), returns the words with erhua, which it has no form for."""
    phrases: dict[str, list[list[str]]] = {}
    with_erhua: dict[str, list[str]] = {}
    for line in _READINGS_FILE.read_text(encoding="utf-8").splitlines():
        word, _, reading = line.partition("\t")
        syllables = reading.split()
        if len(syllables) == len(word):
            phrases[word] = [[syllable] for syllable in syllables]
        else:
            with_erhua[word] = [to_tone3(syllable, neutral_tone_with_five=True) for syllable in syllables]
    pypinyin.load_phrases_dict(phrases)
    return with_erhua


_WITH_ERHUA = _load_readings()
