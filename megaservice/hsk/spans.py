"""Numbers and dates, found before any word is: 三十分钟 is thirty minutes, not 十分 (very)."""

import re
from collections.abc import Container, Iterator

from megaservice.hsk.grades import Exempt

NUMERALS = frozenset("零〇一二三四五六七八九十两百千万亿")
_N = r"(?:\d{1,2}|[一二三四五六七八九十两]{1,3})"
_DIGITS = r"[零〇一二三四五六七八九]"
_DATE = re.compile(
    rf"(?:\d{{4}}|\d{{2}}|{_DIGITS}{{4}}|{_DIGITS}{{2}})年(?:{_N}月(?:{_N}[日号])?|(?!级|代|前|后|来|多|以|的?时间))"
    rf"|{_N}月(?:{_N}[日号]|份)?(?![亮饼球光票台])"
    rf"|{_N}[日号](?!子|码|楼|线)"
    rf"|(?:星期|礼拜)[一二三四五六日天](?!个|次)|(?<![一二三四五六七八九十两每半])周[一二三四五六日](?![个次遍回趟天起])"
    rf"|{_N}点(?:钟|半|{_N}(?:分(?!之|钟)|刻)|[零〇过]?{_N}分?(?!之)|(?=[，。！？、]|$))"
    rf"|(?<=[午上晨里夜])(?:{_N})点"
    rf"|(?:[二三四五六七八九两]|十[一二]?|\d{{1,2}})点(?![儿心头名])"
    rf"|\d{{1,2}}[:：]\d{{2}}"
)
_NUMBER = re.compile(
    r"百分之[零〇一二三四五六七八九十百两半\d.]+"
    r"|[一二三四五六七八九十百千\d]+分之[一二三四五六七八九十百千\d]+"
    r"|第?\d+(?:[.,]\d+)*[%％‰℃]?[百千万亿]*"
    r"|第[一二三四五六七八九十百千两零〇]+"
    r"|[几数][十百千万亿]+|十几|[一二三四五六七八九]十几"
    r"|十(?=分钟|个)"
    r"|[零〇一二三四五六七八九十两百千万亿]{2,}(?:点[零〇一二三四五六七八九]+)?"
)
_WORD_OF_ONE = re.compile("一[起定样直般共些边下半切点会]")


def numbers_and_dates(text: str, listed: Container[str]) -> Iterator[tuple[int, int, Exempt]]:
    """Spans of the text in order, none overlapping another."""
    at = 0
    while at < len(text):
        found = _SOME_NUMERAL.search(text, at)
        if found is None:
            return
        at = found.start()
        span = _date_at(text, at) or _number_at(text, at, listed)
        if span:
            yield span
            at = span[1]
        else:
            at += 1


_SOME_NUMERAL = re.compile(r"[\d零〇一二三四五六七八九十两百千万亿几数第星礼周]")


def _date_at(text: str, at: int) -> tuple[int, int, Exempt] | None:
    found = _DATE.match(text, at)
    return (at, found.end(), Exempt.DATE) if found else None


def _number_at(text: str, at: int, listed: Container[str]) -> tuple[int, int, Exempt] | None:
    found = _NUMBER.match(text, at)
    if found is None or (found[0] in listed and found[0] != "十"):
        return None  # 万一, 千万, 第一
    end = found.end()
    if found[0][-1] == "一" and found[0][-2] not in "十百千零〇第之" and _WORD_OF_ONE.match(text, end - 1):
        end -= 1  # 我们三一起去
    if end - at < 2 and not text[at].isdigit() and found[0] != "十":
        return None
    return at, end, Exempt.NUMBER
