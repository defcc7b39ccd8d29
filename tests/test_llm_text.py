"""TextStream: any cut of a reply into tokens gives the same text, in whole characters, up to a stop string."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from llm.text import TextStream, ends_in_half


def _decode(token_ids: Sequence[int]) -> str:
    return bytes(token_ids).decode(errors="replace")


def _deltas(text: str, cuts: Sequence[int], stop: Sequence[str] = ()) -> list[str]:
    stream = TextStream(_decode, stop)
    encoded = list(text.encode())
    edges = sorted({0, len(encoded), *(cut % (len(encoded) + 1) for cut in cuts)})
    pieces = [stream.push(encoded[start:end]) for start, end in pairwise(edges)]
    return [*pieces, stream.flush()]


TEXTS = st.text("ab你好，🎉。", max_size=30)
CUTS = st.lists(st.integers(0, 200), max_size=60)


@given(TEXTS, CUTS)
def test_any_cut_gives_the_whole_text(text: str, cuts: list[int]) -> None:
    assert "".join(_deltas(text, cuts)) == text


@given(TEXTS, st.sampled_from(["a", "ab", "aab", "你好", "。🎉", "bab"]), CUTS)
def test_nothing_from_a_stop_string_on_is_shown(text: str, stop: str, cuts: list[int]) -> None:
    assert "".join(_deltas(text, cuts, [stop])) == text.partition(stop)[0]


@given(TEXTS, CUTS)
def test_no_delta_holds_half_a_character(text: str, cuts: list[int]) -> None:
    assert not any("\ufffd" in delta for delta in _deltas(text, cuts))


def test_a_reply_cut_in_mid_character_ends_before_it() -> None:
    stream = TextStream(_decode)
    assert stream.push(list("你好".encode()[:5])) == "你"
    assert stream.flush() == ""


def test_replacement_marks_that_the_model_writes_are_shown() -> None:
    assert "".join(_deltas("a\ufffd\ufffdb", range(8))) == "a\ufffd\ufffdb"


def test_a_reply_of_nothing_but_marks_is_not_held_for_ever() -> None:
    stream = TextStream(_decode)
    assert any(stream.push(list("\ufffd".encode())) for _ in range(10))


@given(TEXTS.filter(bool), st.integers(1, 3))
def test_half_a_character_is_known_by_its_bytes(text: str, left_out: int) -> None:
    encoded = text.encode()
    assert not ends_in_half(bytes([byte]) for byte in encoded[-4:])
    if len(text[-1].encode()) > left_out:
        assert ends_in_half([encoded[-4:-left_out]])
