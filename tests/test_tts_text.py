"""How the voice parts a text: by language, and into pieces that Kokoro can take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.english import english_phonemes
from tts.runs import Language, Run, has_speech, part_languages, part_pieces

ZH, EN = Language.ZH, Language.EN
_TEXTS = st.text(st.sampled_from("你好学习，。！？abcXYZ 12.,!?'\n😀“”"), max_size=300)


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("你好！", [Run(ZH, "你好！")]),
        ("你喜欢 apple 吗？", [Run(ZH, "你喜欢 "), Run(EN, "apple "), Run(ZH, "吗？")]),
        ("“OK”，好。", [Run(EN, "“OK”，"), Run(ZH, "好。")]),
        ("iPhone 15很好", [Run(EN, "iPhone 15"), Run(ZH, "很好")]),
        ("12:30", [Run(ZH, "12:30")]),
        ("", []),
    ],
)
def test_a_text_is_parted_by_its_letters(text: str, runs: list[Run]) -> None:
    assert part_languages(text, otherwise=ZH) == runs


@given(_TEXTS)
def test_runs_and_pieces_lose_nothing(text: str) -> None:
    runs = part_languages(text, otherwise=EN)
    assert "".join(run.text for run in runs) == text
    assert "".join(piece.text for run in runs for piece in part_pieces(run)) == text


def test_pieces_end_where_sentences_do() -> None:
    sentence = "今天天气很好，我们一起去公园。"
    assert list(part_pieces(Run(ZH, sentence * 5), 45)) == [Run(ZH, sentence * 3), Run(ZH, sentence * 2)]


@pytest.mark.parametrize(
    ("text", "speaks"), [("好", True), ("a", True), ("5", True), ("。！…", False), ("😀\n ", False)]
)
def test_what_can_be_spoken(text: str, speaks: bool) -> None:
    assert has_speech(text) is speaks


def test_english_has_kokoros_phonemes() -> None:
    assert english_phonemes("Hello there,\nit is 5 o’clock.") == "həlˈO ðˈɛɹ, ɪt ɪz fˈIv əklˈɑk."
