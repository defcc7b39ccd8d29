"""The text as the meter reads it: no markup, no emoji, simplified characters; every character knows where it stood."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from megaservice.hsk.grades import FormatIssue

_MARKUP = re.compile(
    r"```\w*|~~~|`"
    r"|!?\[(?P<label>[^\[\]\n]*)\]\([^)\n]*\)"
    r"|^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+•·][ \t]+(?:\[[ xX]\][ \t]+)?|\d{1,2}[.)][ \t]+)"
    r"|^[ \t]*([-*_=])(?:[ \t]*\2){2,}[ \t]*$"
    r"|^[ \t]*\|[-:| \t]+$|\|"
    r"|\*+|~~|__+|(?<!\w)_(?=\w)|(?<=\w)_(?!\w)"
    r"|</?[A-Za-z][^<>\n]*>|&[a-z]{2,6};",
    re.MULTILINE,
)
_EMOTICON = re.compile(r"(?<![A-Za-z0-9])[:;=][-']?[()DPp3](?![A-Za-z])|\^[_.o]?\^|(?<![A-Za-z])T_T(?![A-Za-z])")
_EMOJI_JOINERS = frozenset("\u200d\ufe0e\ufe0f\u20e3")
_SYMBOLS_THAT_ARE_SAID = frozenset("°℃℉№%‰")
# 著 is simplified to 着 but for these words.
_WRITTEN_WORK = re.compile(r"著(?=[名作者述称])|(?<=[名显土巨原专编论所])著")
# What a table of characters cannot know, or leaves alone as it is no variant: the usual forms in today's Chinese.
_USUAL = {ord(old): new for old, new in zip("妳牠祂甚喫裏纔幺", "你它他什吃里才么", strict=True)}
_KEPT = re.compile(r"甚至|(?<=[不太])甚|乾(?=[隆坤])|老幺")


@dataclass(frozen=True, slots=True)
class Surface:
    """`text[i]` stood at `offsets[i]` of the original."""

    text: str
    offsets: tuple[int, ...]
    format_issue: FormatIssue | None


def surface(original: str, simplified: Mapping[int, int]) -> Surface:
    """Markup outweighs emoji where both are in it."""
    keep = [True] * len(original)
    issue = None
    for drop in _EMOTICON.finditer(original):
        keep[drop.start() : drop.end()] = [False] * (drop.end() - drop.start())
        issue = FormatIssue.EMOJI
    for at, character in enumerate(original):
        if _is_emoji(character):
            keep[at] = False
            issue = FormatIssue.EMOJI
    for drop in _MARKUP.finditer(original):
        if not all(keep[drop.start() : drop.end()]):
            continue
        keep[drop.start() : drop.end()] = [False] * (drop.end() - drop.start())
        if drop["label"] is not None:
            start, end = drop.span("label")
            keep[start:end] = [True] * (end - start)
        issue = FormatIssue.MARKDOWN
    offsets = tuple(at for at, is_kept in enumerate(keep) if is_kept)
    text = "".join(_normal(original[at]) for at in offsets)
    return Surface(to_simplified(text, simplified), offsets, issue)


def to_simplified(text: str, simplified: Mapping[int, int]) -> str:
    """Character by character, so that offsets stay."""
    if text.isascii():
        return text
    changed = text.translate(simplified)
    for kept in _KEPT.finditer(text):
        changed = changed[: kept.start()] + kept[0] + changed[kept.end() :]
    usual = changed.translate(_USUAL)
    if "甚" in text or "幺" in text:
        usual = "".join(
            old if old in "甚幺" and changed[at : at + 2] != "甚么" else new
            for at, (old, new) in enumerate(zip(changed, usual, strict=True))
        )
    if "著" in usual:
        works = {found.start() for found in _WRITTEN_WORK.finditer(usual)}
        usual = "".join("着" if c == "著" and at not in works else c for at, c in enumerate(usual))
    return usual


def _normal(character: str) -> str:
    """Full-width letters and digits in their usual form, compatibility characters in one form; always one character."""
    if ("！" <= character <= "～" and unicodedata.category(character)[0] in "LN") or "\uf900" <= character <= "\ufaff":
        form = unicodedata.normalize("NFKC", character)
        return form if len(form) == 1 else character
    return character


def _is_emoji(character: str) -> bool:
    if character.isascii() or character in _SYMBOLS_THAT_ARE_SAID:
        return False
    return character in _EMOJI_JOINERS or unicodedata.category(character) in ("So", "Sk")
