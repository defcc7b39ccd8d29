"""The judge: its file, and what the model's answer to its question tells."""

from pathlib import Path

import numpy as np
import pytest

from llm.judge import Judge, Question

QUESTION = Question(ask_id=15, end_id=3, yes_id=7, no_id=9)


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    weights = np.random.default_rng(5).standard_normal((2, 12), dtype=np.float32)
    Judge(QUESTION, [0, 2], weights, bias=0.25).save(tmp_path / "judge.npz")
    read = Judge.load(tmp_path / "judge.npz")
    assert (read.question, read.layers, read.bias) == (QUESTION, [0, 2], 0.25)
    assert np.array_equal(read.weights, weights)


@pytest.mark.parametrize("log_odds", [-3.0, -0.5, 0.0, 0.5, 3.0])
def test_log_odds_are_told_by_token_and_probability(log_odds: float) -> None:
    token_id = QUESTION.yes_id if log_odds >= 0 else QUESTION.no_id
    likelier = 1 / (1 + np.exp(-4 * abs(log_odds)))
    assert QUESTION.log_odds(token_id, float(np.log(likelier))) == pytest.approx(log_odds, abs=1e-3)


@pytest.mark.parametrize("token_id", [QUESTION.yes_id, QUESTION.no_id])
def test_certainty_has_an_end(token_id: int) -> None:
    assert abs(QUESTION.log_odds(token_id, 0.0)) == pytest.approx(20)
