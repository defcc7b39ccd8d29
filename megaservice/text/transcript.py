"""Turns reply text into the transcript, what may be read aloud: no markdown, code, addresses, emoji or reasoning."""

import html
import re
import unicodedata

from megaservice.models import Language

_HANZI = "\u3400-\u9fff\uf900-\ufaff"
_HIDDEN_UNTIL = {"```": "```", "~~~": "~~~", "<think>": "</think>", "<!--": "-->"}
_HIDDEN_START = re.compile(r"```|^[ \t]*~~~|<think>|<!--", re.MULTILINE | re.IGNORECASE)
_TABLE_ROW = re.compile(r"^[ \t]*\|.*$", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*([-*_=])(?:[ \t]*\1){2,}[ \t]*$", re.MULTILINE)
_LINE_MARKER = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+•·][ \t]+(?:\[[ xX]\][ \t]+)?)+", re.MULTILINE)
_IMAGE = re.compile(r"!\[[^\]\n]*\]\([^)\n]*\)")
_LINK = re.compile(r"\[([^\]\n]+)\](?:\([^)\n]*\)|\[[^\]\n]*\])")
_FOOTNOTE = re.compile(r"\[\^?\d+\]")
_INLINE_CODE = re.compile(r"(`+)([^`\n]+)\1")
_PLAIN_WORDS = re.compile(r"[\w\s'’?!,.，。？！、-]*")
_TAG = re.compile(r"</?[A-Za-z][^<>\n]*>")
_ADDRESS_END = rf"\s<>\"“”（）「」『』，。！？；：、…{_HANZI}"
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.ASCII)
_URL = re.compile(
    rf"(?:(?:https?|ftp)://|www\.)[^{_ADDRESS_END}]*[^{_ADDRESS_END}.,;:!?)'\]]"
    rf"|(?<![\w.])(?:[a-z0-9-]+\.)+(?:com|org|net|edu|gov|cn|io|ai|dev)(?![\w-])(?:/[^{_ADDRESS_END}]*[\w/])?",
    re.IGNORECASE | re.ASCII,
)
_BRACKETED_AFTER_HANZI = re.compile(rf"(?<=[{_HANZI}”」』》])[ ]?[（(\[]([^（）()\[\]\n]+)[）)\]]")
_PINYIN = re.compile(
    r"(?:(?>(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?"
    r"(?:iang|iong|uang|ueng|ang|eng|ing|ong|ian|iao|uai|uan|üan|ai|ei|ao|ou|an|en|in|un|ün|ia|ie|iu|ua|uo|ui"
    r"|ue|üe|er|[aeiouüv])r?[1-5]?)[\s'’,，/·-]*)+[.。!?！？]?",
)
_EMPTY_BRACKETS = re.compile(r"[（(\[【「『“]\s*[）)\]】」』”]|\"\s*\"")
_GROUPED_NUMBER = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?!,?\d)")
_DATE = re.compile(r"(?<![\d/-])(\d{4})([-/])(0?[1-9]|1[0-2])\2(0?[1-9]|[12]\d|3[01])(?![\d/-])")
_DASH_BETWEEN_WORDS = re.compile(r"(?<!\d)\s+[-–]+\s+|--+|(?<=\w)[~～]+(?=\w)")
_RANGE = re.compile(r"(?<=\d)[ ]?[~～][ ]?(?=\d)")
_EMPHASIS = re.compile(r"\*+|~~+|(?<!\w)_+|_+(?!\w)")
_MARK_RUN = re.compile(r"[。！？!?…⋯，、；：—,.;:](?:[ ]*[。！？!?…⋯，、；：—]|[ ]*[,.;:](?!\w))+")
_MARKS_BY_STRENGTH = "？?！!。.…⋯；;：:—，,、"
_SILENT_SYMBOLS = frozenset("|^~～`{}[]【】<>@#\\_•·")
_VARIATION_SELECTORS_AND_KEYCAP = frozenset("\ufe0e\ufe0f\u20e3")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def spoken_length(text: str) -> int:
    """How many letters, digits and hanzi there are to speak."""
    return sum(map(str.isalnum, text))


def spoken(text: str, language: Language) -> str:
    """What of a whole text may be read aloud; "" when it has no letter or digit left."""
    return Transcriber(language).push(text)


class Transcriber:
    """Makes the transcript of a reply sentence by sentence; it remembers a code fence or <think> that is still open."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._hidden_until: str | None = None

    def push(self, sentence: str) -> str:
        """The transcript of the next sentence; "" when nothing in it can be said."""
        text = _without_markup(self._visible(sentence))
        text = _without_addresses(text)
        text = _BRACKETED_AFTER_HANZI.sub(lambda found: "" if _is_pinyin(found[1]) else found[0], text)
        text = _readable_numbers(text, self._language)
        text = _tidy(text, self._language)
        return text if spoken_length(text) else ""

    def _visible(self, text: str) -> str:
        """The text outside fences, <think> and comments, over sentence borders."""
        seen = []
        while text:
            if self._hidden_until is not None:
                _, end, text = _partition(text, self._hidden_until)
                if end:
                    self._hidden_until = None
            elif start := _HIDDEN_START.search(text):
                seen.append(text[: start.start()])
                self._hidden_until = _HIDDEN_UNTIL[start[0].strip().lower()]
                text = text[start.end() :]
            else:
                seen.append(text)
                break
        return "\n".join(seen)


def _partition(text: str, separator: str) -> tuple[str, str, str]:
    """`str.partition`, whatever the case of the separator."""
    at = text.lower().find(separator)
    return (text, "", "") if at < 0 else (text[:at], separator, text[at + len(separator) :])


def _without_markup(text: str) -> str:
    text = _TABLE_ROW.sub("", text)
    text = _RULE.sub("", text)
    text = _LINE_MARKER.sub("", text)
    text = _IMAGE.sub("", text)
    text = _LINK.sub(r"\1", text)
    text = _FOOTNOTE.sub("", text)
    # A tutor puts words in backticks too; only what looks like code is dropped.
    text = _INLINE_CODE.sub(lambda code: code[2] if _PLAIN_WORDS.fullmatch(code[2]) else "", text)
    return html.unescape(_TAG.sub(" ", _EMPHASIS.sub("", text)))


def _without_addresses(text: str) -> str:
    text = _URL.sub("", _EMAIL.sub("", text))
    return _EMPTY_BRACKETS.sub("", text)


def _is_pinyin(text: str) -> bool:
    if text.isupper():
        return False  # AI, GUI
    bare = "".join(
        letter for letter in unicodedata.normalize("NFD", text.lower()) if letter not in "\u0300\u0301\u0304\u030c"
    )
    return _PINYIN.fullmatch(unicodedata.normalize("NFC", bare).strip()) is not None


def _readable_numbers(text: str, language: Language) -> str:
    """Numbers as the voices read them right: 1234567 for 1,234,567, dates in words."""
    text = _GROUPED_NUMBER.sub(lambda number: number[0].replace(",", ""), text)

    def in_words(date: re.Match[str]) -> str:
        year, month, day = int(date[1]), int(date[3]), int(date[4])
        return f"{year}年{month}月{day}日" if language is Language.ZH else f"{_MONTHS[month - 1]} {day}, {year}"

    return _DATE.sub(in_words, text)


def _tidy(text: str, language: Language) -> str:
    comma, and_word, to_word = ("，", "和", "到") if language is Language.ZH else (", ", " and ", " to ")
    text = re.sub(r"\s&\s", and_word, text)
    text = _RANGE.sub(to_word, text)
    text = _DASH_BETWEEN_WORDS.sub(comma, text)
    text = "".join(_audible(character) for character in text.strip())
    text = re.sub(r"[ \t]*\n\s*", comma, text)  # a heading or list item is followed by a pause
    text = re.sub(r"\s+", " ", text)
    text = re.sub(rf"(?<=[{_HANZI}，。！？；：、]) (?=[{_HANZI}，。！？；：、])", "", text)
    text = re.sub(r" (?=[，。！？；：、,.;:!?](?!\w))", "", _EMPTY_BRACKETS.sub("", text))
    text = _MARK_RUN.sub(_strongest_mark, text)
    return text.lstrip("，、。；：,.;:—）)”」』】… ").rstrip(" （(“「『")


def _audible(character: str) -> str:
    """The character, a space or nothing, by what a voice can do with it."""
    category = unicodedata.category(character)
    if character == "\n" or character in "°℃℉№":
        return character
    if category[0] == "Z" or character in "\t\r\u2028\u2029" or character in _SILENT_SYMBOLS:
        return " "
    if category[0] == "C" or category in ("So", "Sk") or character in _VARIATION_SELECTORS_AND_KEYCAP:
        return ""
    is_arrow_or_logic = category == "Sm" and not character.isascii() and character not in "×÷±"
    return " " if is_arrow_or_logic else character


def _strongest_mark(run: re.Match[str]) -> str:
    return min(run[0].replace(" ", ""), key=_MARKS_BY_STRENGTH.index)
