"""scripts/test_endpoints against MegaService on a real socket between doubles; Docker is a stand-in that runs here."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route

from endpoint_checks.rows import Failed, Outcome, Row, rows
from megatalk.proxy import Proxy
from tests.doubles.gpt_sovits import Fault, GPTSoVITS
from tests.doubles.megaservice import serving
from tests.doubles.openai_speech import OpenAISpeechServer
from tests.doubles.vllm import VLLM, Loading, Script
from tests.serving import megaservice, settings_for

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "test_endpoints"
LLM_ROWS = [("LLM", "GET models"), ("LLM", "first token"), ("LLM", "whole reply")]
SERVICE_ROWS = [
    ("MegaService", "GET /health"),
    ("MegaService", "GET /ready"),
    ("MegaService", "POST /chat"),
    ("MegaService", "GET /audio"),
    ("MegaService", "GET /audio, a range"),
    ("MegaService", "POST /chat, first event"),
    ("MegaService", "POST /chat, first clip"),
    ("MegaService", "POST /chat, last event"),
    ("MegaService", "GET /debug/tts-info"),
]
PAGE_ROWS = [("MegaTalk", "GET /_stcore/health"), ("MegaTalk", "GET /api/health"), ("MegaTalk", "GET /")]

# Told by one file beside it: the containers that it lists, and the environment that it gives to what it executes.
DOCKER = f"""#!{sys.executable}
import json, os, subprocess, sys
from pathlib import Path
here = Path(__file__).parent
told = json.loads((here / "told.json").read_text())
with open(here / "asked.txt", "a") as asked:
    asked.write(" ".join(sys.argv[1:]) + "\\n")
if "ps" in sys.argv:
    print(*map(json.dumps, told["containers"]), sep="\\n")
elif "exec" in sys.argv:
    command = sys.argv[sys.argv.index("python") + 1 :]
    page = told["page"]
    command = [page if word.startswith("--page=") else word for word in command]
    sys.exit(subprocess.run([sys.executable, *command, *told["arguments"]], env=os.environ | told["env"]).returncode)
"""


def page_over(megaservice_url: str) -> Starlette:
    """The page's own routes, and two of Streamlit's."""
    proxy = Proxy(megaservice_url)
    streamlit = [
        Route("/_stcore/health", lambda _: PlainTextResponse("ok")),
        Route("/", lambda _: HTMLResponse('<html><body><div id="root"></div></body></html>')),
    ]
    return Starlette(routes=[*streamlit, *proxy.routes], lifespan=proxy.lifespan)


@asynccontextmanager
async def stack(directory: Path, llm: VLLM, *voices: str, **settings: str) -> AsyncGenerator[dict[str, str]]:
    """The settings of a running MegaService and page, as the script finds them in the environment."""
    env = {"LLM_ENDPOINT": llm.url, "TTS_ENDPOINTS": ",".join(voices)} | settings
    async with megaservice(settings_for(directory, **env)) as client:
        with serving(page_over(str(client.base_url))) as page:
            yield env | {
                "MEGASERVICE_PORT": str(client.base_url.port),
                "MEGATALK_PORT": page.rpartition(":")[2],
                "TTS_VOICES_FILE": str(directory / "voices.toml"),
            }


@pytest.fixture
def no_docker(tmp_path: Path) -> str:
    """A PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return str(folder)


@pytest.fixture
def taken_port() -> Iterator[str]:
    """Nobody listens on it, and nobody else gets it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield str(taken.getsockname()[1])


async def run(*arguments: str, path: str, **env: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith(("LLM_", "TTS_", "MEGA"))}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, str(SCRIPT), *arguments],
        env=known | env | {"PATH": path},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


async def run_json(*arguments: str, path: str, **env: str) -> tuple[int, dict[str, Any]]:
    done = await run("--json", *arguments, path=path, **env)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def named(told: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["component"], row["check"]) for row in told["checks"]]


def not_ok(told: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(row["component"], row["check"]): row["outcome"] for row in told["checks"] if row["outcome"] != "ok"}


def detail(told: dict[str, Any], component: str, check: str) -> str:
    (found,) = (r["detail"] for r in told["checks"] if (r["component"], r["check"]) == (component, check))
    return str(found)


async def test_a_sound_stack_passes_every_check(tmp_path: Path, no_docker: str) -> None:
    async with VLLM(Script(milliseconds_per_token=5)) as llm, GPTSoVITS() as sovits, OpenAISpeechServer() as spare:
        voices = (f"sovits-v2+{sovits.url}", f"openai+{spare.url}")
        async with stack(tmp_path, llm, *voices) as env:
            code, told = await run_json(path=no_docker, **env)
    assert (code, told["failed"], told["fault"], not_ok(told)) == (0, 0, None, {})
    assert named(told) == [*LLM_ROWS, *(("voice", voice) for voice in voices), *SERVICE_ROWS, *PAGE_ROWS]
    times = {(row["component"], row["check"]): row["milliseconds"] for row in told["checks"]}
    assert 0 < times["LLM", "first token"] < times["LLM", "whole reply"]
    first, clip, last = (
        times["MegaService", f"POST /chat, {mark}"] for mark in ("first event", "first clip", "last event")
    )
    assert 0 < first < clip <= last
    assert detail(told, "LLM", "whole reply") == "你好！我叫小美。你叫什么名字？"
    assert "WAV PCM16 mono 32000 Hz" in detail(told, "voice", voices[0])


async def test_silence_with_status_200_is_a_failed_voice(tmp_path: Path, no_docker: str) -> None:
    async with VLLM() as llm, GPTSoVITS(faults=Fault.SILENT) as silent, OpenAISpeechServer() as spare:
        async with stack(tmp_path, llm, f"sovits-v2+{silent.url}", f"openai+{spare.url}") as env:
            done = await run(path=no_docker, **env)
    assert done.returncode == 1
    failed = [line for line in done.stdout.splitlines() if " failed " in line]
    assert len(failed) == 1
    assert failed[0].startswith(f"voice          sovits-v2+{silent.url} ")
    assert "16 kHz" in failed[0]
    assert done.stdout.endswith("16 of 17 checks passed.\n")


async def test_a_dead_llm_fails_itself_and_the_turns(tmp_path: Path, no_docker: str) -> None:
    async with VLLM(loading=Loading.REFUSED) as llm, GPTSoVITS() as voice:
        async with stack(tmp_path, llm, f"sovits-v2+{voice.url}") as env:
            code, told = await run_json(path=no_docker, **env)
    assert code == 1
    assert not_ok(told) == {
        ("LLM", "GET models"): "failed",
        ("LLM", "first token"): "failed",
        ("LLM", "whole reply"): "not asked",
        ("MegaService", "GET /ready"): "failed",
        ("MegaService", "POST /chat"): "failed",
        ("MegaService", "GET /audio"): "not asked",
        ("MegaService", "GET /audio, a range"): "not asked",
        ("MegaService", "POST /chat, first event"): "failed",
        ("MegaService", "POST /chat, first clip"): "not asked",
        ("MegaService", "POST /chat, last event"): "not asked",
        ("MegaTalk", "GET /api/health"): "failed",
    }
    assert "No LLM answers" in detail(told, "MegaTalk", "GET /api/health")


async def test_no_voice_fails_the_clips(tmp_path: Path, no_docker: str) -> None:
    async with VLLM() as llm, GPTSoVITS(faults=Fault.ERROR_500) as voice:
        label = f"sovits-v2+{voice.url}"
        async with stack(tmp_path, llm, label) as env:
            code, told = await run_json(path=no_docker, **env)
    assert code == 1
    assert not_ok(told) == {
        ("voice", label): "failed",
        ("MegaService", "POST /chat"): "failed",
        ("MegaService", "GET /audio"): "not asked",
        ("MegaService", "GET /audio, a range"): "not asked",
        ("MegaService", "POST /chat, first clip"): "failed",
        ("MegaService", "POST /chat, last event"): "not asked",
    }


async def test_a_dead_page_fails_alone(tmp_path: Path, no_docker: str, taken_port: str) -> None:
    async with VLLM() as llm, GPTSoVITS() as voice:
        async with stack(tmp_path, llm, f"sovits-v2+{voice.url}") as env:
            code, told = await run_json(path=no_docker, **env | {"MEGATALK_PORT": taken_port})
    assert (code, not_ok(told)) == (1, dict.fromkeys(PAGE_ROWS, "failed"))


async def test_other_endpoints_than_the_settings_are_told(tmp_path: Path, no_docker: str) -> None:
    async with VLLM() as llm, GPTSoVITS() as voice, OpenAISpeechServer() as other:
        async with stack(tmp_path, llm, f"sovits-v2+{voice.url}") as env:
            code, told = await run_json(path=no_docker, **env | {"TTS_ENDPOINTS": f"openai+{other.url}"})
    assert (code, not_ok(told)) == (1, {("MegaService", "GET /debug/tts-info"): "failed"})


async def test_the_embedded_llm_is_asked_by_whatever_name_it_has(tmp_path: Path, no_docker: str) -> None:
    async with VLLM(model_id="found-at-the-start") as llm, GPTSoVITS() as voice:
        async with stack(tmp_path, llm, f"sovits-v2+{voice.url}", LLM_MODEL_ID="auto") as env:
            started = {name: value for name, value in env.items() if not name.startswith("LLM_")}
            port = llm.url.rpartition(":")[2].removesuffix("/v1")
            code, told = await run_json(path=no_docker, **started, EMBEDDED_LLM_PORT=port)
    assert (code, not_ok(told)) == (0, {})
    assert detail(told, "LLM", "first token") == "model found-at-the-start"


async def test_wrong_settings_are_told_and_nothing_is_asked(no_docker: str) -> None:
    done = await run(path=no_docker, TTS_ENDPOINTS="http://127.0.0.1:9088")
    assert (done.returncode, done.stdout) == (2, "")
    assert "TTS_ENDPOINTS: got" in done.stderr


async def test_without_a_stack_it_says_what_to_start(tmp_path: Path, no_docker: str) -> None:
    script = tmp_path / "scripts" / "test_endpoints"
    script.parent.mkdir()
    shutil.copy(SCRIPT, script)
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env={"PATH": no_docker}, capture_output=True, encoding="utf-8", timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert "run scripts/start first" in done.stderr


def container(service: str, state: str = "running", health: str = "", code: int = 0, port: str = "0") -> dict[str, Any]:
    publishers = [{"URL": "127.0.0.1", "TargetPort": 1, "PublishedPort": int(port), "Protocol": "tcp"}]
    return {"Service": service, "State": state, "Health": health, "ExitCode": code, "Publishers": publishers}


class Docker:
    """The stand-in, to be found in `path`."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder)
        self._folder = folder
        folder.mkdir()
        (folder / "docker").write_text(DOCKER, encoding="utf-8")
        (folder / "docker").chmod(0o755)

    def has(self, *containers: dict[str, Any], env: dict[str, str]) -> None:
        inside = {
            "containers": containers,
            "env": env,
            "page": f"--page=http://127.0.0.1:{env['MEGATALK_PORT']}",
            "arguments": [f"--megaservice=http://127.0.0.1:{env['MEGASERVICE_PORT']}"],
        }
        (self._folder / "told.json").write_text(json.dumps(inside), encoding="utf-8")

    @property
    def asked(self) -> list[str]:
        return (self._folder / "asked.txt").read_text(encoding="utf-8").splitlines()


async def test_a_compose_stack_is_asked_from_inside_and_by_its_ports(tmp_path: Path) -> None:
    docker = Docker(tmp_path / "docker")
    async with VLLM() as llm, GPTSoVITS() as voice:
        label = f"sovits-v2+{voice.url}"
        async with stack(tmp_path, llm, label) as env:
            docker.has(
                container("preflight", "exited"),
                container("gpt-sovits", health="healthy"),
                container("megaservice", health="healthy", port=env["MEGASERVICE_PORT"]),
                container("megatalk", health="healthy", port=env["MEGATALK_PORT"]),
                env=env,
            )
            code, told = await run_json("-p", "mine", "-f", "one.yaml", path=docker.path)
    assert (code, not_ok(told)) == (0, {})
    services = ("gpt-sovits", "megaservice", "megatalk", "preflight")
    published = [(name, f"published port {env[f'{name.upper()}_PORT']}") for name in ("megaservice", "megatalk")]
    assert named(told) == [
        *((service, "container") for service in services),
        *published,
        *LLM_ROWS,
        ("voice", label),
        *SERVICE_ROWS,
        *PAGE_ROWS,
    ]
    given = f"compose --file={Path.cwd() / 'one.yaml'} --project-name=mine"
    assert docker.asked == [
        f"{given} ps --all --format json",
        f"{given} exec -T megaservice python -m endpoint_checks --page=http://megatalk:8501",
    ]


async def test_containers_that_are_not_well_and_closed_ports_fail(tmp_path: Path, taken_port: str) -> None:
    docker = Docker(tmp_path / "docker")
    async with VLLM() as llm, GPTSoVITS() as voice:
        async with stack(tmp_path, llm, f"sovits-v2+{voice.url}") as env:
            docker.has(
                container("gpt-sovits", health="starting"),
                container("vllm-openvino", "exited", code=137),
                container("megaservice", port=taken_port),
                env=env,
            )
            code, told = await run_json(path=docker.path)
    failed = {
        ("gpt-sovits", "container"),
        ("vllm-openvino", "container"),
        ("megaservice", f"published port {taken_port}"),
    }
    assert (code, not_ok(told)) == (1, dict.fromkeys(failed, "failed"))
    assert detail(told, "vllm-openvino", "container") == "exited with 137"


async def test_a_megaservice_that_ended_cannot_be_asked(tmp_path: Path) -> None:
    docker = Docker(tmp_path / "docker")
    docker.has(container("megaservice", "exited", code=2), env={"MEGATALK_PORT": "1", "MEGASERVICE_PORT": "1"})
    done = await run(path=docker.path)
    assert done.returncode == 2
    assert "exited with 2" in done.stdout
    assert "docker compose logs megaservice" in done.stderr


async def test_a_named_compose_stack_that_is_not_there_is_not_looked_for_elsewhere(no_docker: str) -> None:
    done = await run("-p", "nobody", path=no_docker)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no megaservice" in done.stderr


@pytest.mark.parametrize(
    ("error", "told"),
    [(Failed("it is red"), "it is red"), (KeyError("status"), "the answer makes no sense (KeyError('status'))")],
)
async def test_marks_behind_a_failure_are_not_asked(error: Exception, told: str) -> None:
    async def exchange() -> AsyncGenerator[str]:
        yield "green"
        raise error

    ticks = iter((10.0, 10.25, 11.0))
    came = [row async for row in rows("light", ["first", "second", "third"], exchange(), lambda: next(ticks))]
    assert came == [
        Row("light", "first", Outcome.OK, 250.0, "green"),
        Row("light", "second", Outcome.FAILED, 1000.0, told),
        Row("light", "third", Outcome.NOT_ASKED, None, ""),
    ]
