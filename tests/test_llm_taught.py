"""What a model is taught when it is prepared: the judge's question, and the trained turns; nothing else changes."""

import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from llm import judge, prefix, taught
from llm.errors import ModelUnusable
from llm.judge import Judge, Question
from llm.prefix import Prefix, StandIns
from tests.tiny_llm import KEYS_WIDTH, LAYERS, RANDOM, WIDTH, by_hand, run, save

NAME = "tiny.gguf"
QUESTION = Question(ask_id=15, end_id=3, yes_id=7, no_id=9)
JUDGE = Judge(QUESTION, [0, 2], RANDOM.standard_normal((2, WIDTH), dtype=np.float32) / np.float32(8), bias=0.25)
SHAPE = (LAYERS - 1, 3, KEYS_WIDTH)
KEYS, VALUES, OTHER_KEYS, OTHER_VALUES = RANDOM.standard_normal((4, *SHAPE)).astype(np.float16)
TURNS = Prefix(StandIns([4, 2, 4], first_id=10), 1, KEYS, VALUES, "")
OTHERS = Prefix(StandIns([6, 4, 8], first_id=16), 1, OTHER_KEYS, OTHER_VALUES, "")
TEXT, OTHER_TEXT = [1, 4, 2, 4, 5, 14, 3], [1, 6, 4, 8, 5, 14, 3]  # 14 is a free id that stands for nothing
START = 1  # of the trained turns in them


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's folder; what is trained for it is looked for beside."""
    for of in (judge, prefix):
        folder = tmp_path / of.__name__
        folder.mkdir()
        monkeypatch.setattr(of, "_FILES", folder)
    prefix.folder_for(NAME).mkdir()
    save(tmp_path / "plain")
    (tmp_path / "plain" / "openvino_tokenizer.xml").write_text("<net/>")
    return tmp_path / "plain"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


@pytest.mark.parametrize(
    ("has_judge", "turns"),
    [(True, [TURNS, OTHERS]), (True, [TURNS]), (True, []), (False, [TURNS])],
    ids=["judge and turns of two prompts", "judge and turns", "judge", "turns"],
)
def test_a_model_is_given_what_there_is_and_nothing_else_changes(
    plain: Path, folder: Path, has_judge: bool, turns: list[Prefix]
) -> None:
    if has_judge:
        JUDGE.save(judge.path_for(NAME))
    for number, each in enumerate(turns):
        each.save(turns_path(f"zh_{number}"))
    assert len(taught.files_for(NAME)) == has_judge + len(turns)
    taught.teach(plain, folder, NAME)

    question, stand_ins = Question.of(folder), StandIns.of(folder)
    assert question == (QUESTION if has_judge else None)
    assert stand_ins == [each.stand_ins for each in turns]
    assert (Question.of(plain), StandIns.of(plain)) == (None, [])
    assert {path.name for path in plain.iterdir()} < {path.name for path in folder.iterdir()}
    layers, scores = by_hand(TEXT)
    assert np.allclose(run(plain, TEXT), scores, atol=1e-4)
    assert np.allclose(run(folder, TEXT), scores, atol=1e-4)
    if question is not None:
        assert answer(folder, TEXT) == pytest.approx(wanted(layers), abs=1e-3)
    for each in turns:
        text = TEXT if each is TURNS else OTHER_TEXT
        written = each.stand_ins.replace_in(text)
        layers, taught_scores = by_hand(text, each, START)
        assert np.allclose(run(folder, written), taught_scores, atol=1e-4)
        assert not np.allclose(taught_scores, by_hand(text)[1], atol=1e-2)
        if question is not None:
            assert answer(folder, written) == pytest.approx(wanted(layers), abs=1e-3)


def turns_path(name: str) -> Path:
    return prefix.folder_for(NAME) / f"{name}.npz"


def answer(folder: Path, ids: list[int]) -> float:
    """The log odds that the model answers where the question takes the place of the text's end."""
    assert ids[-1] == QUESTION.end_id
    asked = run(folder, [*ids[:-1], QUESTION.ask_id])
    assert np.allclose(asked[:-1], run(folder, ids)[:-1], atol=1e-4)
    log_probabilities = asked[-1] - np.log(np.exp(asked[-1]).sum())
    token_id = int(asked[-1].argmax())
    assert token_id in (QUESTION.yes_id, QUESTION.no_id)
    return QUESTION.log_odds(token_id, float(log_probabilities[token_id]))


def wanted(layers: list[npt.NDArray[np.float32]]) -> float:
    return JUDGE.bias + sum(
        float(layers[layer][-1] / np.sqrt((layers[layer][-1] ** 2).mean() + 1e-6) @ weights)
        for layer, weights in zip(JUDGE.layers, JUDGE.weights, strict=True)
    )


@pytest.mark.parametrize(
    "other",
    [replace(JUDGE, weights=np.zeros((2, WIDTH + 1), np.float32)), replace(JUDGE, layers=[0, LAYERS])],
    ids=["wider", "deeper"],
)
def test_a_judge_of_another_model_is_refused(plain: Path, folder: Path, other: Judge) -> None:
    other.save(judge.path_for(NAME))
    with pytest.raises(ModelUnusable, match=rf"trained for {NAME} does not fit"):
        taught.teach(plain, folder, NAME)


@pytest.mark.parametrize(
    "shape",
    [(LAYERS - 1, 3, WIDTH + 1), (LAYERS, 3, KEYS_WIDTH), (LAYERS - 1, 4, KEYS_WIDTH)],
    ids=["wider", "deeper", "longer"],
)
def test_turns_of_another_model_are_refused(plain: Path, folder: Path, shape: tuple[int, int, int]) -> None:
    array = np.zeros(shape, np.float16)
    replace(TURNS, keys=array, values=array).save(turns_path("a"))
    with pytest.raises(ModelUnusable, match=rf"trained for {NAME} does not fit"):
        taught.teach(plain, folder, NAME)


@pytest.mark.parametrize("content", [b"", b"PK torn", b"PK\x03\x04 torn"])
@pytest.mark.parametrize("kind", ["judge", "turns"])
def test_a_torn_file_is_refused(plain: Path, folder: Path, kind: str, content: bytes) -> None:
    path = judge.path_for(NAME) if kind == "judge" else turns_path("a")
    path.write_bytes(content)
    with pytest.raises(ModelUnusable, match=rf"trained for {NAME} cannot be read"):
        taught.teach(plain, folder, NAME)


def test_a_disk_that_is_full_is_not_told_as_a_file_that_does_not_fit(
    plain: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    JUDGE.save(judge.path_for(NAME))
    monkeypatch.setattr("llm.graft.shutil.copy", copy)
    with pytest.raises(OSError, match="No space left"):
        taught.teach(plain, folder, NAME)


def test_for_most_models_there_is_nothing() -> None:
    assert taught.files_for("other.gguf") == []
