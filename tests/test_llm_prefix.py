"""Trained example turns: their file, and their stand-ins in a prompt."""

from pathlib import Path

import numpy as np
import pytest

from llm.prefix import Prefix, StandIns, fingerprint

STAND_INS = StandIns([4, 2, 4], first_id=9)


@pytest.mark.parametrize(
    ("prompt_ids", "wanted"),
    [
        ([1, 4, 2, 4, 5], [1, 9, 10, 11, 5]),
        ([4, 2, 4], [9, 10, 11]),
        ([4, 4, 2, 4, 2, 4], [4, 9, 10, 11, 2, 4]),  # once
        ([4, 2, 5, 4], [4, 2, 5, 4]),
        ([4, 2], [4, 2]),
        ([], []),
    ],
)
def test_stand_ins_take_the_place_of_the_trained_turns(prompt_ids: list[int], wanted: list[int]) -> None:
    assert STAND_INS.replace_in(prompt_ids) == wanted


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    keys, values = np.random.default_rng(5).standard_normal((2, 2, 3, 4)).astype(np.float16)
    Prefix(STAND_INS, 1, keys, values, fingerprint(["你好！"])).save(tmp_path / "turns.npz")
    read = Prefix.load(tmp_path / "turns.npz")
    assert (read.stand_ins, read.first_layer, read.opening_sha256) == (STAND_INS, 1, fingerprint(["你好！"]))
    assert np.array_equal(read.keys, keys)
    assert np.array_equal(read.values, values)


def test_a_prompts_fingerprint_tells_its_texts_apart() -> None:
    assert len({fingerprint(texts) for texts in (["你", "好"], ["你好"], ["你", "好", ""], ["好", "你"])}) == 4
