"""The judge: its file, what it tells, and that a model answers its question and nothing else otherwise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
import pytest
from openvino import opset13 as ops

from llm.errors import ModelUnusable
from llm.judge import Judge, Question, teach

VOCABULARY, WIDTH, LAYERS = 16, 12, 3
RANDOM = np.random.default_rng(5)
EMBEDDINGS = RANDOM.standard_normal((VOCABULARY, WIDTH), dtype=np.float32)
LAYER_WEIGHTS = RANDOM.standard_normal((LAYERS, WIDTH, WIDTH), dtype=np.float32)
OUTPUT = RANDOM.standard_normal((VOCABULARY, WIDTH), dtype=np.float32)
WEIGHTS = RANDOM.standard_normal((2, WIDTH), dtype=np.float32) / np.float32(8)
QUESTION = Question(ask_id=15, end_id=3, yes_id=7, no_id=9)
JUDGE = Judge(QUESTION, [0, 2], WEIGHTS, bias=0.25)


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    JUDGE.save(tmp_path / "judge.npz")
    read = Judge.load(tmp_path / "judge.npz")
    assert (read.question, read.layers, read.bias) == (QUESTION, [0, 2], 0.25)
    assert np.array_equal(read.weights, JUDGE.weights)


@pytest.mark.parametrize("log_odds", [-3.0, -0.5, 0.0, 0.5, 3.0])
def test_log_odds_are_told_by_token_and_probability(log_odds: float) -> None:
    token_id = QUESTION.yes_id if log_odds >= 0 else QUESTION.no_id
    likelier = 1 / (1 + np.exp(-4 * abs(log_odds)))
    assert QUESTION.log_odds(token_id, float(np.log(likelier))) == pytest.approx(log_odds, abs=1e-3)


@pytest.mark.parametrize("token_id", [QUESTION.yes_id, QUESTION.no_id])
def test_certainty_has_an_end(token_id: int) -> None:
    assert abs(QUESTION.log_odds(token_id, 0.0)) == pytest.approx(20)


def test_a_model_answers_the_question_and_nothing_else_changes(tmp_path: Path) -> None:
    plain, taught = tmp_path / "plain", tmp_path / "taught"
    ov.save_model(tiny_model(), plain / "openvino_model.xml", compress_to_fp16=False)
    (plain / "openvino_tokenizer.xml").write_text("<net/>")
    taught.mkdir()
    JUDGE.save(tmp_path / "judge.npz")
    teach(plain, taught, tmp_path / "judge.npz")
    assert {path.name for path in taught.iterdir()} == {*(path.name for path in plain.iterdir()), "judge.json"}
    assert (Question.of(plain), Question.of(taught)) == (None, QUESTION)

    text = [1, 4, 2, 3]
    assert np.allclose(run(taught, text), run(plain, text), atol=1e-4)
    layers, scores = by_hand(text)
    assert np.allclose(run(taught, text), scores, atol=1e-4)

    asked = run(taught, [*text[:-1], QUESTION.ask_id])
    assert np.allclose(asked[:-1], scores[:-1], atol=1e-4)
    log_probabilities = asked[-1] - np.log(np.exp(asked[-1]).sum())
    token_id = int(asked[-1].argmax())
    wanted = JUDGE.bias + sum(
        layers[layer][-1] / np.sqrt((layers[layer][-1] ** 2).mean() + 1e-6) @ weights
        for layer, weights in zip(JUDGE.layers, JUDGE.weights, strict=True)
    )
    assert token_id in (QUESTION.yes_id, QUESTION.no_id)
    assert QUESTION.log_odds(token_id, float(log_probabilities[token_id])) == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize(
    "judge",
    [replace(JUDGE, weights=np.zeros((2, WIDTH + 1), np.float32)), replace(JUDGE, layers=[0, LAYERS])],
    ids=["wider", "deeper"],
)
def test_a_model_of_another_shape_is_refused(tmp_path: Path, judge: Judge) -> None:
    ov.save_model(tiny_model(), tmp_path / "openvino_model.xml", compress_to_fp16=False)
    judge.save(tmp_path / "judge.npz")
    with pytest.raises(ModelUnusable, match=r"judge\.npz does not fit"):
        teach(tmp_path, tmp_path / "taught", tmp_path / "judge.npz")


def tiny_model() -> ov.Model:
    """Layers with the names that the runtime gives them when it reads a GGUF file, and a matrix of scores."""
    ids = ops.parameter([-1, -1], np.int64, name="input_ids")
    ids.output(0).get_tensor().set_names({"input_ids"})
    hidden = ops.gather(ops.constant(EMBEDDINGS), ids, ops.constant(np.int64(0)))
    for layer, weights in enumerate(LAYER_WEIGHTS):
        changed = ops.tanh(ops.matmul(hidden, ops.constant(weights), False, False))
        hidden = ops.add(hidden, changed, name=f"model.layers.self_attn.add1.layer{layer}")
    scores = ops.result(ops.matmul(ops.tanh(hidden), ops.constant(OUTPUT), False, True))
    scores.output(0).get_tensor().set_names({"logits"})
    return ov.Model([scores], [ids])


def run(folder: Path, ids: list[int]) -> npt.NDArray[np.float32]:
    """(tokens, vocabulary)"""
    compiled = ov.Core().compile_model(folder / "openvino_model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled({"input_ids": np.array([ids])})[0][0])


def by_hand(ids: list[int]) -> tuple[list[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """The same in NumPy: what each layer gives, and the scores."""
    layers = []
    hidden = EMBEDDINGS[ids]
    for weights in LAYER_WEIGHTS:
        hidden = hidden + np.tanh(hidden @ weights)
        layers.append(hidden)
    return layers, np.tanh(hidden) @ OUTPUT.T
