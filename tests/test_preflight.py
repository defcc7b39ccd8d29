"""scripts/preflight: each kind of bad value in .env gives exactly its one line, and what ships gives none."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from llm.settings import Settings as LLMSettings
from megaservice.__main__ import main as megaservice
from megaservice.audio.wav import write
from megaservice.checks import least_model_len
from preflight import __main__ as preflight
from preflight import stack, values
from preflight.engine import Engine
from tests.sockets import free_ports
from tests.test_preflight_vllm_openvino import BAD as BAD_VLLM
from tts.settings import Settings as TTSSettings

ROOT = Path(__file__).parent.parent
WELL = [preflight.ALL_WELL]
MEND_ROOM = "add docker-compose.embedded.yaml, which needs less, or take a smaller LLM_MODEL_ID."


@dataclass(frozen=True)
class FakeEngine(Engine):
    """Has a folder for volumes, and runs the stack if told so."""

    volumes: Path | None = None
    is_running: bool = False
    has_volumes: bool = False
    container: Callable[[], list[str] | None] = lambda: None
    refused: str | None = None

    def config_fault(self) -> str | None:
        return self.refused

    def stack_is_running(self) -> bool:
        return self.is_running

    def has_models(self) -> bool:
        return self.has_volumes

    def folder(self) -> Path | None:
        return self.volumes

    def check_in_container(self) -> list[str] | None:
        return self.container()


@pytest.fixture(autouse=True)
def _repository_without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for name in list(os.environ):
        if re.match("LLM_|TTS_|HSK_|MEGA|AUDIO_|LOG_|VLLM_|EMBEDDED_|GPT_SOVITS_|COMPOSE_", name.upper()):
            monkeypatch.delenv(name)


@pytest.fixture
def machine_root(tmp_path: Path) -> Path:
    """16 GB, one GPU."""
    return _machine(tmp_path / "machine", gigabytes=16)


def _machine(root: Path, *, gigabytes: int) -> Path:
    (root / "dev/dri").mkdir(parents=True)
    (root / "dev/dri/renderD128").touch()
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text(f"MemAvailable:  {gigabytes * 10**9 // 1024} kB\n", encoding="ascii")
    return root


class Told:
    """What scripts/preflight prints for a .env. There is no .venv, and what the container would say is said here."""

    def __init__(self, folder: Path, machine_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._machine_root = machine_root
        self._capsys = capsys

    def __call__(self, content: str | bytes, *overlays: str, **engine: object) -> list[str]:
        (self._folder / "tts").mkdir(exist_ok=True)
        shutil.copy(ROOT / "tts/voices.toml", self._folder / "tts")
        file = self._folder / ".env"
        ports = "MEGASERVICE_PORT={}\nMEGATALK_PORT={}\n".format(*free_ports(2))  # those of `content` win
        file.write_bytes(ports.encode() + (content.encode() if isinstance(content, str) else content))
        engine = {"container": lambda: self._megaservice(file), **engine}
        fake = FakeEngine(self._folder, file, overlays, **engine)  # type: ignore[arg-type]
        told, exit_code = preflight.report(preflight.on_machine(fake, {}, self._machine_root))
        assert exit_code == int(any(not line.startswith("warning: ") for line in told if line not in WELL))
        return [line.replace(str(self._folder), "DIR") for line in told]

    def _megaservice(self, file: Path) -> list[str]:
        megaservice(["--check", "--env-file", str(file)])
        return self._capsys.readouterr().out.splitlines() or WELL


@pytest.fixture
def told(tmp_path: Path, machine_root: Path, capsys: pytest.CaptureFixture[str]) -> Told:
    return Told(tmp_path, machine_root, capsys)


BAD = [
    *(("".join(f"{name}={value}\n" for name, value in env.items()), line) for env, line in BAD_VLLM),
    (
        "VLLM_OPENVINO_KVCACHE_SPACE=50\n",
        "VLLM_OPENVINO_KVCACHE_SPACE: got '50', which with Qwen/Qwen2.5-0.5B-Instruct takes 55.6 GB of memory, "
        "and vllm-openvino may take 6.4; write VLLM_OPENVINO_KVCACHE_SPACE=4 or LLM_MEMORY_LIMIT=52g",
    ),
    (
        "LLM_MODEL_ID=Qwen/Qwen2.5-7B-Instruct\n",
        "LLM_MODEL_ID: got 'Qwen/Qwen2.5-7B-Instruct', which takes 9.5 GB of memory, and vllm-openvino may take 6.4; "
        "write a smaller model's or LLM_MEMORY_LIMIT=9g",
    ),
    ("LLM_MEMORY_LIMIT=8\n", "LLM_MEMORY_LIMIT: got '8', wants a size with its unit, such as 6g; "
     "write LLM_MEMORY_LIMIT=6g"),
    ("LLM_MEMORY_LIMIT=2500m\n", "LLM_MODEL_ID: got 'Qwen/Qwen2.5-0.5B-Instruct', which takes 3.0 GB of memory, "
     "and vllm-openvino may take 2.6; write a smaller model's or LLM_MEMORY_LIMIT=3g"),
    ("LLM_MODEL_ID=auto\n", "LLM_MODEL_ID: got 'auto', but vllm-openvino must be told what to load; "
     "write LLM_MODEL_ID=Qwen/Qwen2.5-0.5B-Instruct"),
    ("HF_ENDPOINT=mirror\n", "HF_ENDPOINT: got 'mirror', wants a URL; write HF_ENDPOINT=https://huggingface.co"),
    (
        "LLM_MAX_MODEL_LEN=600\n",
        f"LLM_MAX_MODEL_LEN: got 600, wants {least_model_len(256)} or more, "
        "as prompt and reply of some level take that many tokens",
    ),
    ("LLM_MAX_MODEL_LEN=2k\n", "LLM_MAX_MODEL_LEN: got '2k', wants a valid integer, "
     "unable to parse string as an integer"),
    ("LLM_ENDPOINT=gpt:x\n", "LLM_ENDPOINT: got 'gpt:x', wants a URL such as http://host:port/path"),
    (
        "LLM_ENDPOINT=http://localhost:8008/v1\n",
        "LLM_ENDPOINT: got localhost, which in a container is that container itself; name a service "
        "(http://vllm-openvino:8008/v1), or this machine by an address that containers reach",
    ),
    (
        "TTS_ENDPOINTS=sovits-v2+http://gpt-sovits:9880,openai+http://127.0.0.1:9088/v1\n",
        "TTS_ENDPOINTS: got 127.0.0.1, which in a container is that container itself; name a service "
        "(openai+http://tts:9088/v1), or this machine by an address that containers reach",
    ),
    (
        "TTS_ENDPOINTS=espeak+http://tts:1\n",
        "TTS_ENDPOINTS: got 'espeak+http://tts:1', wants dialect+url with a dialect of sovits-v2, sovits-v1, openai",
    ),
    (
        "TTS_ENDPOINTS=openai+tts:9088\n",
        "TTS_ENDPOINTS: got 'openai+tts:9088', wants a URL such as http://host:port/path",
    ),
    (
        "DATABASE_URL=postgresql://megatalk:secret@localhost/megatalk\n",
        "DATABASE_URL: got localhost, which in a container is that container itself; name a service "
        "(postgresql://user:password@database/megatalk), or this machine by an address that containers reach",
    ),
    (
        "DATABASE_URL=sqlite:///megatalk.db\n",
        "DATABASE_URL: got 'sqlite:///megatalk.db', which is on the container's read-only disk; "
        "write DATABASE_URL=sqlite:////database/megatalk.db, which is in the volume `database`",
    ),
    (
        "DATABASE_URL=mysql://db/megatalk\n",
        "DATABASE_URL: got a value, wants sqlite:///file.db or postgresql://user:password@host:port/database",
    ),
    ("MEGATALK_PORT=page\n", "MEGATALK_PORT: got 'page', wants a port from 1 to 65535; write MEGATALK_PORT=8501"),
    (
        "MEGASERVICE_PORT=95000\n",
        "MEGASERVICE_PORT: got '95000', wants a port from 1 to 65535; write MEGASERVICE_PORT=9500",
    ),
    (
        "MEGASERVICE_PORT=9501\nMEGATALK_PORT=9501\n",
        "MEGATALK_PORT: got 9501, which is MEGASERVICE_PORT too; write MEGATALK_PORT=9502",
    ),
    (
        "RENDER_GROUP_ID=render\n",
        "RENDER_GROUP_ID: got 'render', wants a group's number; write what `stat -c %g /dev/dri/renderD128` prints",
    ),
    ("GPT_SOVITS_THREADS=all\n", "GPT_SOVITS_THREADS: got 'all', wants a whole number of threads; "
     "write GPT_SOVITS_THREADS=0 for one a core"),
    ("GPT_SOVITS_VERSION=v4\n", "GPT_SOVITS_VERSION: got 'v4', wants v2 or v2Pro; write GPT_SOVITS_VERSION=v2"),
    (
        "EMBEDDED_TTS_THREADS=all\n",
        "EMBEDDED_TTS_THREADS: got 'all', wants a whole number from 0 to 64; write EMBEDDED_TTS_THREADS=0",
    ),
    ("TORCH_INDEX_URL=cpu\n", "TORCH_INDEX_URL: got 'cpu', wants a URL; "
     "write TORCH_INDEX_URL= for PyTorch's own index"),
    ("TTS_VOICE_ZH=tom\n", "TTS_VOICE_ZH: got 'tom', wants a voice of TTS_VOICES_FILE: "
     "en_female, en_male, zh_female, zh_male"),
    ("TTS_VOICES_FILE=none.toml\n", "TTS_VOICES_FILE: none.toml cannot be read (No such file or directory)"),
    ("llm_model_id=x\n", "llm_model_id: is not a known name; write it LLM_MODEL_ID"),
    (b"MEGATALK_MODEL_NOTE=\xe9\n", ".env: line 3 is not in UTF-8; save the file as UTF-8 without a byte order mark"),
    ("LOG_LEVEL=INFO\r\n", ".env: its lines end in CRLF, wants LF; write `sed -i 's/\\r$//' .env`"),
    ("export LOG_LEVEL=INFO\n", ".env: line 3 begins with `export`, which only a shell knows; "
     "begin it with LOG_LEVEL="),
    ("LOG_LEVEL = INFO\n", ".env: line 3 has a space beside its `=`; write LOG_LEVEL=..."),
]  # fmt: skip


@pytest.mark.parametrize(("content", "line"), BAD, ids=lambda value: str(value)[:40].strip())
def test_bad_env_file_gives_exactly_one_line(told: Told, content: str | bytes, line: str) -> None:
    assert told(content) == [line]


@pytest.mark.parametrize("overlays", [(), ("gpu",), ("nvidia",), ("embedded",), ("ollama",), ("vllm-cpu",)])
def test_what_ships_has_no_fault(told: Told, machine_root: Path, overlays: tuple[str, ...]) -> None:
    group = (machine_root / "dev/dri/renderD128").stat().st_gid
    shipped = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert told(f"{shipped}RENDER_GROUP_ID={group}\n", *overlays) == WELL


def test_every_value_of_the_example_may_be_written_out(told: Told) -> None:
    shipped = (ROOT / ".env.example").read_text(encoding="utf-8")
    written = re.sub("^#([A-Z])", r"\1", shipped, flags=re.MULTILINE)
    assert told(re.sub("^MEGA.*PORT=.*\n", "", written, flags=re.MULTILINE), "embedded") == WELL


@pytest.mark.parametrize(
    ("seconds", "told_line"),
    [
        (2.0, "reference_file: DIR/a.wav is 2.0 s long, wants 3 to 10 s, else GPT-SoVITS refuses it"),
        (11.0, "reference_file: DIR/a.wav is 11.0 s long, wants 3 to 10 s, else GPT-SoVITS refuses it"),
        (0.0, "reference_file: DIR/a.wav: no WAV file"),
        (
            None,
            "reference_file: DIR/a.wav is not there; leave it out where only the GPT-SoVITS server has the recording",
        ),
    ],
)
def test_bad_reference_recording_gives_exactly_one_line(
    told: Told, tmp_path: Path, seconds: float | None, told_line: str
) -> None:
    recording = tmp_path / "a.wav"
    if seconds:
        recording.write_bytes(write(b"\x10\x20" * int(seconds * 16_000), 16_000))
    elif seconds is not None:
        recording.write_bytes(b"ID3 or so")
    shipped = (ROOT / "tts/voices.toml").read_text(encoding="utf-8")
    voices = tmp_path / "voices.toml"
    voices.write_text(shipped.replace("tts/references/zh_female.wav", str(recording)), encoding="utf-8")
    (line,) = told(f"TTS_VOICES_FILE={voices}\n")
    assert line.startswith(f"DIR/voices.toml [zh_female] {told_line}")


def test_taken_port_is_told_unless_the_stack_has_it(told: Told) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        content = f"MEGATALK_PORT={port}\n"
        assert told(content) == [
            f"Port {port} is taken: end the program that listens there, or set MEGATALK_PORT to a free port."
        ]
        assert told(content, is_running=True) == WELL


@pytest.mark.parametrize(("content", "overlays"), [("VLLM_OPENVINO_DEVICE=GPU\n", ()), ("", ("gpu",))])
def test_gpu_wants_its_device_and_group(
    told: Told, machine_root: Path, content: str, overlays: tuple[str, ...]
) -> None:
    group = (machine_root / "dev/dri/renderD128").stat().st_gid
    wanted = f"wants the group of /dev/dri/renderD128; write RENDER_GROUP_ID={group}"
    assert told(content, *overlays) == [f"RENDER_GROUP_ID: got nothing, {wanted}"]
    assert told(content + "RENDER_GROUP_ID=4242\n", *overlays) == [f"RENDER_GROUP_ID: got '4242', {wanted}"]
    shutil.rmtree(machine_root / "dev")
    assert told(content, *overlays) == [
        "VLLM_OPENVINO_DEVICE: got 'GPU', wants a machine with /dev/dri/renderD*, and this has none; "
        "install the GPU's driver, or write VLLM_OPENVINO_DEVICE=CPU"
    ]


BAD_EMBEDDED = [
    (
        "EMBEDDED_DEVICE=GPU\n",
        "EMBEDDED_DEVICE: got 'GPU', wants CPU in upper case, as this container is given no other device; "
        "write EMBEDDED_DEVICE=CPU",
    ),
    (
        "EMBEDDED_HUB_URL=mirror\n",
        "EMBEDDED_HUB_URL: got 'mirror', wants a URL or none; write EMBEDDED_HUB_URL=https://huggingface.co",
    ),
    (
        "EMBEDDED_REGISTRY_MODEL=qwen\n",
        "EMBEDDED_REGISTRY_MODEL: got 'qwen', wants a model of the package registry; "
        "write qwen2.5-coder-1.5b-instruct-q4_k_m.gguf, or -0.5b-",
    ),
    (
        "EMBEDDED_MODEL_PATH=/home/me/model.gguf\n",
        "EMBEDDED_MODEL_PATH: got '/home/me/model.gguf', wants a path in the volume llm-models, "
        "as the container sees it; write /models/...",
    ),
    (
        "EMBEDDED_LLM_MAX_MODEL_LEN=512\n",
        "EMBEDDED_LLM_MAX_MODEL_LEN: got '512', wants a whole number from 1536 to 131072; "
        "write EMBEDDED_LLM_MAX_MODEL_LEN=2048",
    ),
]


@pytest.mark.parametrize(("content", "line"), BAD_EMBEDDED)
def test_settings_of_the_embedded_llm_matter_where_it_runs(told: Told, content: str, line: str) -> None:
    assert told(content, "embedded") == [line]
    assert told(content) == WELL


def test_numbers_are_bounded_as_the_embedded_servers_bound_them() -> None:
    numbers = values.NUMBERS | values.NUMBERS_OF_EMBEDDED_LLM
    for name, (least, most, usual) in numbers.items():
        field = name.removeprefix("EMBEDDED_").lower()
        fields = LLMSettings.model_fields if field in LLMSettings.model_fields else TTSSettings.model_fields
        found = fields[field.removeprefix("tts_")]
        bounds = [
            next((getattr(one, key) for one in found.metadata if hasattr(one, key)), None) for key in ("ge", "le")
        ]
        assert found.default == usual
        assert bounds[0] is not None
        assert least >= bounds[0]
        assert bounds[1] is None or most <= bounds[1]
    assert values.NUMBERS_OF_EMBEDDED_LLM["EMBEDDED_LLM_MAX_MODEL_LEN"][0] >= least_model_len(4096)


def test_too_little_memory_and_disk_are_told_until_the_stack_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Told(tmp_path, _machine(tmp_path / "small", gigabytes=5), capsys)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2_000_000_000))
    memory = f"5.0 GB of memory are free and 8.7 GB are needed: close other programs, or {MEND_ROOM}"
    disk = f"DIR has 2.0 GB of free disk and 3.5 GB are needed: free some, or {MEND_ROOM}"
    assert small("", volumes=tmp_path) == [memory, disk]
    assert small("", volumes=tmp_path, has_volumes=True) == [memory]
    assert small("", volumes=tmp_path, is_running=True) == WELL
    assert small("", "embedded", volumes=tmp_path) == [disk.replace("3.5 GB", "4.0 GB")]


def test_settings_of_a_replaced_server_do_not_matter(told: Told) -> None:
    content = "VLLM_OPENVINO_DEVICE=gpu\nVLLM_CPU_KVCACHE_SPACE=4\nLLM_ENDPOINT=http://127.0.0.1:8008/v1\n"
    assert len(told(content)) == 3
    assert told(content, "vllm-cpu") == WELL
    assert told(content + "TTS_ENDPOINTS=openai+http://127.0.0.1:9088/v1\n", "embedded") == WELL


def test_voices_file_is_missed_where_no_container_can_be_made(told: Told) -> None:
    lines = told("TTS_VOICES_FILE=none.toml\n", container=lambda: None)
    assert lines[0] == "TTS_VOICES_FILE: none.toml cannot be read (No such file or directory)"
    assert lines[1].startswith("warning: MegaService's own settings and the voices were not checked; ")


def test_what_compose_itself_refuses_is_told_where_nothing_else_is(told: Told) -> None:
    refused = "docker compose: invalid boolean: maybe"
    assert told("", refused=refused) == [refused]
    assert told("LOG_LEVEL=loud\n", refused=refused)[0].startswith("LOG_LEVEL: ")


def test_larger_limit_makes_room_for_a_larger_model(told: Told) -> None:
    content = "LLM_MODEL_ID=Qwen/Qwen2.5-7B-Instruct\nLLM_MEMORY_LIMIT={}\n"
    assert [told(content.format(limit)) == WELL for limit in ("8g", "9G", "9GiB", "9500mb")] == [
        False,
        True,
        True,
        True,
    ]


def test_unknown_names_only_warn(told: Told) -> None:
    assert told("VLLM_OPENVINO_KV_CACHE_SPACE=1\nTTS_VOICE=x\n") == [
        "warning: VLLM_OPENVINO_KV_CACHE_SPACE: is not a known setting of vLLM's OpenVINO backend",
        "warning: TTS_VOICE: is not a known setting and is ignored",
    ]


def test_overlays_are_those_of_compose_file() -> None:
    assert stack.overlays_of("docker-compose.yaml:/srv/docker-compose.vllm-cpu.yaml:mine.yaml") == ("vllm-cpu",)


def test_limits_are_those_of_the_compose_files() -> None:
    files = {"docker-compose.yaml": stack.VLLM_OPENVINO}
    files |= {f"docker-compose.{overlay}.yaml": server for overlay, server in stack.LLM_SERVERS.items()}
    for file, server in files.items():
        service = re.search(
            rf"^  {server.service}:\n(.*?)(?=^\S|^  \S)", (ROOT / file).read_text("utf-8") + "\n-", re.M | re.S
        )
        assert service, file
        limit = re.search(r"^    mem_limit: (?:\$\{LLM_MEMORY_LIMIT:-)?(\w+)", service[1], re.MULTILINE)
        assert (file, limit and limit[1]) == (file, server.limit)


def test_without_packages_the_container_is_asked_and_else_a_line_says_so(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    asked = FakeEngine(tmp_path, file, (), container=lambda: ["LLM_TOP_P: got '7'"])
    assert preflight.check_megaservice(asked, {}) == ["LLM_TOP_P: got '7'"]
    (line,) = preflight.check_megaservice(FakeEngine(tmp_path, file, ()), {})
    assert line.startswith("warning: MegaService's own settings and the voices were not checked; ")


def test_script_names_every_fault_and_fails(tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_text("vllm_openvino_device=CPU\nVLLM_OPENVINO_KVCACHE_SPACE=4GB\nLLM_ENDPOINT=http://localhost\n")
    done = _run(["scripts/preflight", "--env-file", str(file)])
    names = {line.split(":")[0] for line in done.stdout.splitlines()}
    assert done.returncode == 1, done.stderr
    assert names >= {"vllm_openvino_device", "VLLM_OPENVINO_KVCACHE_SPACE", "LLM_ENDPOINT"}


def test_module_inside_the_stack_reads_its_environment() -> None:
    module = [sys.executable, "-m", "preflight", "--in-compose"]
    good = {"LLM_ENDPOINT": "http://vllm-openvino:8008/v1", "TTS_ENDPOINTS": "openai+http://tts:9088/v1"}
    done = _run(module, good)
    assert (done.returncode, done.stdout.splitlines()) == (0, WELL), done.stderr
    done = _run(module, good | {"VLLM_OPENVINO_KVCACHE_SPACE": "4GB", "LLM_TOP_P": "7"})
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["VLLM_OPENVINO_KVCACHE_SPACE", "LLM_TOP_P"]


def _run(argv: list[str], env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **(env or {})}
    return subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
