"""`scripts/model_fit`: its arithmetic is held to published counts and to what was measured, docs/models.md to it."""

import importlib.util
import json
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "model_fit"
KNOWN: dict[str, Any] = json.loads((ROOT / "docs" / "models.json").read_text(encoding="utf-8"))
MODELS: dict[str, dict[str, Any]] = KNOWN["models"]
HALF_BILLION = MODELS["Qwen/Qwen2.5-0.5B-Instruct"]["config"]
GEMMA = MODELS["google/gemma-3-1b-it"]["config"]
DEEPSEEK = MODELS["deepseek-ai/DeepSeek-V2-Lite-Chat"]["config"]


def _load() -> Any:
    loader = SourceFileLoader("model_fit", str(SCRIPT))
    spec = importlib.util.spec_from_loader("model_fit", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["model_fit"] = module  # dataclasses look their module up
    loader.exec_module(module)
    return module


model_fit = _load()


@pytest.mark.parametrize("name", MODELS)
def test_the_computed_count_is_the_published_one(name: str) -> None:
    model = MODELS[name]
    assert model_fit.shape_of(model["config"]).parameters == pytest.approx(model["published_parameters"], rel=0.01)


def test_a_mixture_of_experts_without_shared_ones_is_counted() -> None:
    qwen3_30b_a3b = {
        "model_type": "qwen3_moe",
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "moe_intermediate_size": 768,
        "num_experts": 128,
        "num_hidden_layers": 48,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "vocab_size": 151936,
        "tie_word_embeddings": False,
    }
    assert model_fit.shape_of(qwen3_30b_a3b).parameters == pytest.approx(30_532_122_624, rel=0.001)


@pytest.mark.parametrize(("precision", "megabytes"), [("int8", 495), ("int4", 322)])
def test_weights_are_as_large_as_the_folders_that_optimum_wrote(precision: str, megabytes: int) -> None:
    computed = model_fit.weight_bytes(model_fit.shape_of(HALF_BILLION), precision)
    assert computed / 1e6 == pytest.approx(megabytes, rel=0.005)


@pytest.mark.parametrize(("precision", "tokens"), [("f16", 87_296), ("u8", 155_328)])
def test_a_gibibyte_of_kv_cache_holds_what_vllm_said(precision: str, tokens: int) -> None:
    computed = 2**30 / model_fit.kv_bytes(model_fit.shape_of(HALF_BILLION), 1, precision)
    assert computed == pytest.approx(tokens, rel=0.001)


def test_smaller_groups_take_more() -> None:
    shape = model_fit.shape_of(HALF_BILLION)
    sizes = [model_fit.weight_bytes(shape, "int4", group_size) for group_size in (32, 64, 128)]
    assert sizes == sorted(sizes, reverse=True)
    assert model_fit.weight_bytes(shape, "bf16") == 2 * shape.parameters


def test_a_server_may_keep_the_window_of_sliding_layers_only() -> None:
    shape = model_fit.shape_of(GEMMA)
    vectors = 2 * 2 * 256  # a key and a value of 256 numbers in 16 bits
    assert (shape.sliding_layers, shape.layers) == (22, 26)
    assert model_fit.kv_bytes(shape, 8192, "f16") == 26 * 8192 * vectors
    assert model_fit.kv_bytes(shape, 8192, "f16", compact=True) == (22 * 512 + 4 * 8192) * vectors
    assert model_fit.kv_bytes(shape, 100, "f16", compact=True) == 26 * 100 * vectors


def test_layer_types_say_which_layers_slide() -> None:
    pattern = {key: value for key, value in GEMMA.items() if key != "sliding_window_pattern"}
    kinds = ["sliding_attention"] * 22 + ["full_attention"] * 4
    assert model_fit.shape_of({**pattern, "layer_types": kinds}).sliding_layers == 22
    assert model_fit.shape_of(pattern).sliding_layers == 26


def test_a_window_that_is_not_used_does_not_count() -> None:
    config = {**HALF_BILLION, "sliding_window": 32768, "use_sliding_window": False}
    assert model_fit.shape_of(config) == model_fit.shape_of(HALF_BILLION)


def test_a_server_may_keep_the_latent_of_mla_only() -> None:
    shape = model_fit.shape_of(DEEPSEEK)
    assert model_fit.kv_bytes(shape, 1, "f16", compact=True) == 27 * 2 * (512 + 64)
    assert model_fit.kv_bytes(shape, 1, "f16") == 27 * 2 * 16 * (192 + 128)


@pytest.mark.parametrize(
    ("arguments", "fit"),
    [
        (["--memory", "20", "--reserve", "4"], "bf16"),
        (["--memory", "16", "--reserve", "4"], "int8"),
        (["--memory", "16", "--reserve", "8.5"], "int8"),
        (["--memory", "16", "--reserve", "9"], "int4"),
        (["--memory", "4", "--reserve", "0"], "none"),
        (["--memory", "16", "--reserve", "8.5", "--context", "32768"], "int4"),
        (["--memory", "16", "--reserve", "8.5", "--context", "8192", "--kv", "u8"], "int8"),
    ],
)
def test_the_finest_precision_that_fits_is_named(
    arguments: list[str], fit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert model_fit.main(["--model", "Qwen/Qwen2.5-7B-Instruct", *arguments]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == fit


def test_it_runs_on_a_config_of_ones_own_with_python_alone(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(HALF_BILLION), encoding="utf-8")
    command = [sys.executable, "-I", "-S", str(SCRIPT), "--config", str(config), "--context", "4096", "--kv", "u8"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()
    assert lines[1].split() == [str(config), "0.49", "B", "0.92", "0.46", "0.30", "0.03", "bf16"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"model_type": "mamba"}', "model_type 'mamba' is not known"),
        ('{"model_type": "llama", "hidden_size": 64}', "config lacks num_hidden_layers"),
        ("{", "model_fit: "),
    ],
)
def test_what_cannot_be_counted_is_said(
    content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.json"
    config.write_text(content, encoding="utf-8")
    assert model_fit.main(["--config", str(config)]) == 2
    assert said in capsys.readouterr().err


def test_an_unknown_model_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert model_fit.main(["--model", "nobody/nothing"]) == 2
    assert "nobody/nothing: not in docs/models.json" in capsys.readouterr().err


def test_the_tables_of_the_docs_are_what_it_prints() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert model_fit.markdown() in page


def test_sixteen_models_or_more_fit() -> None:
    rows = [line.split("|") for line in model_fit.markdown().split("\n\n")[0].splitlines()[2:]]
    assert len([row for row in rows if row[-2].strip() != "none"]) >= 16


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_sources(name: str) -> None:
    assert MODELS[name]["sources"]
    assert set(MODELS[name]["sources"]) <= set(KNOWN["sources"])
