"""What the vllm-openvino image does before vLLM starts: faults told, one export a model, none of it half."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from llm.vllm_openvino.models import ModelMissing, Recipe, prepare

ROOT = Path(__file__).parent.parent
INT8 = Recipe(int8=True, trust_remote_code=False)
FP16 = Recipe(int8=False, trust_remote_code=False)


class Killed(BaseException):
    pass


@dataclass
class Workshop:
    """An exporter that copies the weights, and a hub; both remember what they were asked."""

    checkpoint: Path
    dies: bool = False
    exported: list[tuple[Path, Recipe]] = field(default_factory=list)
    downloaded: list[str] = field(default_factory=list)

    def export(self, checkpoint: Path, folder: Path, recipe: Recipe) -> None:
        self.exported.append((checkpoint, recipe))
        (folder / "openvino_model.xml").write_text("<net/>")
        if self.dies:
            raise Killed
        (folder / "openvino_model.bin").write_bytes((checkpoint / "model.safetensors").read_bytes())

    def download(self, model_id: str) -> Path:
        self.downloaded.append(model_id)
        return self.checkpoint

    def prepare(self, model_id: str, root: Path, recipe: Recipe = INT8) -> Path:
        return prepare(model_id, recipe, root, export=self.export, download=self.download)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The volume, with one checkpoint in it."""
    checkpoint = tmp_path / "models" / "tiny"
    checkpoint.mkdir(parents=True)
    (checkpoint / "config.json").write_text("{}")
    (checkpoint / "model.safetensors").write_bytes(b"weights")
    return tmp_path / "models"


@pytest.fixture
def workshop(root: Path) -> Workshop:
    return Workshop(root / "tiny")


def test_a_local_checkpoint_is_exported_once(root: Path, workshop: Workshop) -> None:
    folder = workshop.prepare("tiny", root)
    assert workshop.prepare("tiny", root) == folder
    assert workshop.prepare(str(root / "tiny"), root).is_dir()  # by its whole path too
    assert workshop.exported[0] == (root / "tiny", INT8)
    assert (folder / "openvino_model.bin").read_bytes() == b"weights"
    assert workshop.downloaded == []


def test_each_precision_has_an_export_of_its_own(root: Path, workshop: Workshop) -> None:
    assert workshop.prepare("tiny", root, INT8) != workshop.prepare("tiny", root, FP16)
    assert [recipe.precision for _, recipe in workshop.exported] == ["int8", "fp16"]


def test_a_replaced_checkpoint_is_exported_anew(root: Path, workshop: Workshop) -> None:
    before = workshop.prepare("tiny", root)
    (root / "tiny" / "model.safetensors").write_bytes(b"other weights")
    after = workshop.prepare("tiny", root)
    assert after != before
    assert (after / "openvino_model.bin").read_bytes() == b"other weights"


def test_a_half_export_is_never_trusted(root: Path, workshop: Workshop) -> None:
    workshop.dies = True
    with pytest.raises(Killed):
        workshop.prepare("tiny", root)
    workshop.dies = False
    folder = workshop.prepare("tiny", root)
    assert len(workshop.exported) == 2
    assert sorted(path.name for path in (root / "openvino").iterdir() if path.is_dir()) == [folder.name]


def test_a_ready_ir_is_served_as_it_is(root: Path, workshop: Workshop) -> None:
    (root / "tiny" / "openvino_model.xml").write_text("<net/>")
    assert workshop.prepare("tiny", root) == root / "tiny"
    assert workshop.exported == []


def test_the_hub_is_asked_once(root: Path, workshop: Workshop) -> None:
    folder = workshop.prepare("Qwen/Qwen2.5-0.5B-Instruct", root)
    assert folder.name == "Qwen--Qwen2.5-0.5B-Instruct-int8-hub-v1"
    assert workshop.prepare("Qwen/Qwen2.5-0.5B-Instruct", root) == folder
    assert workshop.downloaded == ["Qwen/Qwen2.5-0.5B-Instruct"]


@pytest.mark.parametrize("model_id", ["auto", "qwen2.5:7b", "/models/none", "a/b/c"])
def test_what_is_neither_folder_nor_hub_id_is_told(root: Path, workshop: Workshop, model_id: str) -> None:
    with pytest.raises(ModelMissing, match=f"LLM_MODEL_ID: got '{model_id}'.*hub"):
        workshop.prepare(model_id, root)
    assert workshop.downloaded == []


def start(*flags: str, **env: str) -> "subprocess.CompletedProcess[str]":
    whole = {"PATH": os.environ["PATH"]} | env
    argv = [sys.executable, "-m", "llm.vllm_openvino", *flags]
    return subprocess.run(argv, cwd=ROOT, env=whole, capture_output=True, text=True)


def test_each_bad_value_is_a_line_before_anything_loads() -> None:
    done = start(
        "--model=none",
        VLLM_OPENVINO_DEVICE="cpu",
        VLLM_OPENVINO_KVCACHE_SPACE="4GB",
        VLLM_OPENVINO_CPU_KV_CACHE_PRECISION="U8",
        VLLM_OPENVINO_ENABLE_QUANTIZED_WEIGHTS="OFF",
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(": got ")[0] for line in done.stderr.splitlines()] == [
        "VLLM_OPENVINO_DEVICE",
        "VLLM_OPENVINO_KVCACHE_SPACE",
        "VLLM_OPENVINO_CPU_KV_CACHE_PRECISION",
        "VLLM_OPENVINO_ENABLE_QUANTIZED_WEIGHTS",
    ]


@pytest.mark.skipif(bool(list(Path("/dev/dri").glob("renderD*"))), reason="there is a GPU")
def test_a_missing_gpu_is_told() -> None:
    done = start("--model=none", VLLM_OPENVINO_DEVICE="GPU")
    assert done.returncode == 1
    assert done.stderr.startswith("VLLM_OPENVINO_DEVICE: got 'GPU', wants a machine with /dev/dri/renderD*")


def test_empty_values_count_as_unset_and_a_missing_model_is_a_line() -> None:
    done = start("--model=none", VLLM_OPENVINO_KVCACHE_SPACE="", VLLM_OPENVINO_ENABLE_QUANTIZED_WEIGHTS="")
    assert done.returncode == 1
    assert done.stderr.startswith("LLM_MODEL_ID: got 'none'")
    assert len(done.stderr.splitlines()) == 1


def test_of_a_repository_only_one_format_is_fetched() -> None:
    from llm.vllm_openvino.hub import needed

    small = {"config.json": 1, "tokenizer.json": 2, "merges.txt": 3, "README.md": 4}
    both = {"model.safetensors": 5, "pytorch_model.bin": 6, "model.gguf": 7}
    kept = {"config.json", "tokenizer.json", "merges.txt"}
    assert set(needed(small | both)) == kept | {"model.safetensors"}
    assert set(needed(small | {"pytorch_model.bin": 6})) == kept | {"pytorch_model.bin"}
