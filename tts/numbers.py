"""Writes the digits of a Chinese text as they are read: 2026年 -> 二零二六年, 2个 -> 两个, 50% -> 百分之五十."""

import re
from collections.abc import Callable
from re import Match

_DIGITS = "零一二三四五六七八九"
_PLACES = ("", "十", "百", "千")
_GROUPS = ("", "万", "亿", "万亿")
_LONGEST = 16  # digits that still read as one number; beyond, and after a leading zero, they are read one by one

# 2 is 两 before what is counted, 二 before what is numbered (月, 日, 号, 楼).
_COUNTED = "个位只本张条件杯瓶块元点年天周次遍种辆口家双套份岁斤公半小分秒句页课百千万亿"
_CURRENCIES = {"¥": "元", "￥": "元", "$": "美元", "€": "欧元", "£": "英镑"}
_UNITS = {
    "km": "公里",
    "kg": "公斤",
    "cm": "厘米",
    "mm": "毫米",
    "ml": "毫升",
    "m": "米",
    "g": "克",
    "°C": "摄氏度",
    "℃": "摄氏度",
}
_SIGNS = {"+": "加", "×": "乘以", "÷": "除以", "=": "等于"}

_NUMBER = r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"


def spell_numbers(text: str) -> str:
    """`text` without digits that touch Chinese reading; everything else stays as it is."""
    for pattern, spell in _RULES:
        text = pattern.sub(spell, text)
    return text


def spell_integer(digits: str) -> str:
    """A whole number in words: 105 -> 一百零五, 12 -> 十二."""
    if len(digits) > _LONGEST or (len(digits) > 1 and digits[0] == "0"):
        return spell_digits(digits)
    groups: list[str] = []
    rest = digits
    while rest:
        groups.append(rest[-4:])
        rest = rest[:-4]
    words = ""
    for place in range(len(groups) - 1, -1, -1):
        group = groups[place]
        if int(group) == 0:
            continue
        gap = bool(words) and group[0] == "0"
        spelled = "两" if place and int(group) == 2 else _spell_group(group)
        words += ("零" if gap else "") + spelled + _GROUPS[place]
    words = words or "零"
    return words[1:] if words.startswith("一十") else words


def spell_digits(digits: str, *, one: str = "一") -> str:
    return "".join(one if digit == "1" else _DIGITS[int(digit)] for digit in digits)


def _spell_group(group: str) -> str:
    """Up to four digits, without the leading 零 that the caller sets."""
    words = ""
    owed_zero = False
    for index, digit in enumerate(group):
        if digit == "0":
            owed_zero = bool(words)
            continue
        place = _PLACES[len(group) - 1 - index]
        words += ("零" if owed_zero else "") + ("两" if digit == "2" and place == "千" else _DIGITS[int(digit)]) + place
        owed_zero = False
    return words


def _spell_number(number: str) -> str:
    whole, _, fraction = number.replace(",", "").partition(".")
    return spell_integer(whole) + ("点" + spell_digits(fraction) if fraction else "")


def _date(match: Match[str]) -> str:
    year, month, day = match.groups()
    return f"{spell_digits(year)}年{spell_integer(str(int(month)))}月{spell_integer(str(int(day)))}日"


def _time(match: Match[str]) -> str:
    hour, minute = match.group(1), match.group(2)
    words = ("两" if int(hour) == 2 else spell_integer(str(int(hour)))) + "点"
    if minute == "00":
        return words
    return words + (f"零{_DIGITS[int(minute)]}" if minute[0] == "0" else spell_integer(minute)) + "分"


def _counted(match: Match[str]) -> str:
    return "两" if match.group() == "2" else _spell_number(match.group())


_Spell = Callable[[Match[str]], str]
_RULES: tuple[tuple[re.Pattern[str], _Spell], ...] = (
    (re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)"), _date),
    (re.compile(r"(?<![\d:])(\d{1,2})[:：]([0-5]\d)(?:[:：][0-5]\d)?(?![\d:])"), _time),
    (re.compile(r"(?<!\d)(\d{4})(?=年)"), lambda match: spell_digits(match.group(1))),
    (
        re.compile(r"(?<!\d)(1\d{10}|\d{3,4}-\d{7,8})(?!\d)"),
        lambda m: spell_digits(m.group().replace("-", ""), one="幺"),
    ),
    (re.compile(rf"({_NUMBER})\s*[%％]"), lambda match: "百分之" + _spell_number(match.group(1))),
    (
        re.compile(rf"([¥￥$€£])\s*({_NUMBER})"),
        lambda match: _spell_number(match.group(2)) + _CURRENCIES[match.group(1)],
    ),
    (
        re.compile(r"(?<![\d/])(\d+)/(\d+)(?![\d/])"),
        lambda match: f"{spell_integer(match.group(2))}分之{spell_integer(match.group(1))}",
    ),
    (re.compile(r"(?<=\d)\s*[-~～—–]\s*(?=\d)"), lambda match: "到"),
    (re.compile(r"(?<=\d)\s*([+×÷=])\s*(?=\d)"), lambda match: _SIGNS[match.group(1)]),
    (re.compile(r"(?<![\d\w])-(?=\d)"), lambda match: "负"),
    (re.compile(r"(?<=\d)\s*(km|kg|cm|mm|ml|°C|℃|m|g)(?![A-Za-z])"), lambda match: _UNITS[match.group(1)]),
    (re.compile(rf"(?<![第\d.,])2(?=[{_COUNTED}])"), _counted),
    (re.compile(_NUMBER), lambda match: _spell_number(match.group())),
)
