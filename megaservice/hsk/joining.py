"""What shows once a sentence is cut: surnames before titles, names behind 叫, unknown words, verbs apart."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from megaservice.hsk.grades import Exempt, Origin
from megaservice.hsk.lexicon import Lexicon
from megaservice.hsk.names import (
    AMBIGUOUS_SURNAMES,
    GIVEN_CHARACTERS,
    NAMING,
    NOT_IN_NAMES,
    SURNAMES,
    TITLES,
    TRANSLITERATION,
)
from megaservice.hsk.segmenter import Piece
from megaservice.hsk.wordset import word_set

_LONGEST_JOINED = 8
_FEWEST_TRANSLITERATED = 3
_GAP_PIECES = 5
# What may stand between the halves of a separable verb: 见了一次面, 帮了我的忙, 睡了八个小时觉.
_GAP = word_set(
    "了 过 着 完 好 一 个 次 回 场 顿 点 点儿 一点儿 些 一些 小时 分钟 天 年 月 星期 半 多 我 你 他 她 我们 你们 "
    "他们 的 什么 会儿 一会儿 一下 下 几 大 起 上 这 那 口 把 得 不 钟头 我的 你的 早 节 门 长"
)
_NO_SURNAME_HERE = frozenset("和从向由对给为于同连时那")


def join(pieces: Sequence[Piece], text: str, lexicon: Lexicon) -> list[Piece]:
    rules: tuple[Callable[[list[Piece], str, Lexicon], list[Piece]], ...] = (
        _titled, _introduced, _transliterated, _unknown_words, _separated,
    )  # fmt: skip
    joined = list(pieces)
    for rule in rules:
        joined = rule(joined, text, lexicon)
    return joined


def _titled(pieces: list[Piece], text: str, lexicon: Lexicon) -> list[Piece]:
    """陈先生, 小李: the surname is a name, the title a word."""
    result: list[Piece] = []
    for at, piece in enumerate(pieces):
        following = pieces[at + 1] if at + 1 < len(pieces) and pieces[at + 1].start == piece.end else None
        before = result[-1] if result and result[-1].end == piece.start else None
        is_surname = piece.word in SURNAMES and piece.exempt is None
        is_asked_for = before is not None and before.word in ("姓", "贵姓")
        is_titled = following is not None and following.word in TITLES and piece.word not in _NO_SURNAME_HERE
        if is_surname and (is_asked_for or is_titled):
            piece = replace(piece, exempt=Exempt.NAME)
        is_familiar = is_surname and piece.word not in AMBIGUOUS_SURNAMES and before and before.word in ("小", "老")
        is_pet_name = before and before.word == "阿" and len(piece.word) == 1 and piece.word in GIVEN_CHARACTERS
        if before and (is_familiar or is_pet_name):
            piece = Piece(before.start, piece.end, before.word + piece.word, exempt=Exempt.NAME)
            result.pop()
        result.append(piece)
    return result


def _introduced(pieces: list[Piece], text: str, lexicon: Lexicon) -> list[Piece]:
    """我叫小美, 它叫豆豆: two or three characters that close a clause behind 叫 and are no words."""
    result: list[Piece] = []
    at = 0
    while at < len(pieces):
        result.append(pieces[at])
        at += 1
        if result[-1].word not in NAMING or len(result) < 2 or result[-2].end != result[-1].start:
            continue
        end = at
        while end < len(pieces) and pieces[end].start == pieces[end - 1].end and pieces[end].word != "的":
            end += 1
        name = pieces[at:end]
        word = "".join(piece.word for piece in name)
        is_pieces = all(len(piece.word) == 1 or piece.base for piece in name) and all(p.exempt is None for p in name)
        if 2 <= len(word) <= 3 and is_pieces and not NOT_IN_NAMES & set(word) and word not in lexicon.dictionary:
            result.append(Piece(name[0].start, name[-1].end, word, exempt=Exempt.NAME))
            at = end
    return result


def _transliterated(pieces: list[Piece], text: str, lexicon: Lexicon) -> list[Piece]:
    """史蒂芬妮: characters of foreign names in a row, not all of them words."""
    if not _has_strange_character(pieces, lexicon):
        return pieces

    def is_name(row: Sequence[Piece]) -> bool:
        return (
            len(row) >= _FEWEST_TRANSLITERATED
            and all(piece.word in TRANSLITERATION and piece.exempt is None for piece in row)
            and sum(piece.word not in lexicon.listed for piece in row) * 2 > len(row)
        )

    return _joined(pieces, 6, is_name, lambda piece: replace(piece, exempt=Exempt.NAME))


def _unknown_words(pieces: list[Piece], text: str, lexicon: Lexicon) -> list[Piece]:
    """区块链: no list has it, so it came in pieces; CC-CEDICT knows where it begins and ends."""
    if not _has_strange_character(pieces, lexicon):
        return pieces

    def is_word(row: Sequence[Piece]) -> bool:
        if any(piece.exempt is not None or piece.origin is not None for piece in row):
            return False
        if not any(len(piece.word) == 1 and piece.word not in lexicon.listed for piece in row):
            return False
        entries = lexicon.dictionary.entries("".join(piece.word for piece in row))
        return any(entry.pinyin[0].islower() for entry in entries) or not any(
            len(piece.word) > 1 or piece.word in lexicon.characters for piece in row
        )

    return _joined(pieces, _LONGEST_JOINED, is_word, lambda piece: replace(piece, origin=Origin.UNLISTED))


def _has_strange_character(pieces: Sequence[Piece], lexicon: Lexicon) -> bool:
    return any(len(piece.word) == 1 and piece.word not in lexicon.listed for piece in pieces)


def _joined(
    pieces: list[Piece], longest: int, is_one: Callable[[Sequence[Piece]], bool], made: Callable[[Piece], Piece]
) -> list[Piece]:
    """The longest rows of adjacent pieces that are one become one."""
    result: list[Piece] = []
    at = 0
    while at < len(pieces):
        most = at + 1
        while (
            most < len(pieces)
            and pieces[most].start == pieces[most - 1].end
            and pieces[most].end - pieces[at].start <= longest
        ):
            most += 1
        end = next((end for end in range(most, at + 1, -1) if is_one(pieces[at:end])), at + 1)
        if end > at + 1:
            word = "".join(piece.word for piece in pieces[at:end])
            result.append(made(Piece(pieces[at].start, pieces[end - 1].end, word)))
        else:
            result.append(pieces[at])
        at = end
    return result


def _separated(pieces: list[Piece], text: str, lexicon: Lexicon) -> list[Piece]:
    """见了一次面: both halves stand for 见面."""
    result = list(pieces)
    for at, piece in enumerate(pieces):
        verb = piece.base if piece.origin is Origin.REDUPLICATED and piece.base else piece.word
        if len(verb) != 1 or piece.exempt is not None:
            continue
        for to in range(at + 1, min(at + _GAP_PIECES, len(pieces) - 1) + 1):
            other = pieces[to]
            if to > at + 1 and verb + other.word in lexicon.separable:
                whole = verb + other.word
                result[at] = replace(piece, base=whole, origin=Origin.SEPARATED)
                result[to] = replace(other, base=whole, origin=Origin.SEPARATED)
                break
            if (other.word not in _GAP and other.exempt is not Exempt.NUMBER) or other.start != pieces[to - 1].end:
                break
    return result
