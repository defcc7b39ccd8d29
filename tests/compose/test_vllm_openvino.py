"""vLLM with OpenVINO, as built, on a tiny random Qwen2: its API, its one export, and MegaService's turns through it."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.compose.stack import ROOT, Stack, docker, stack
from tests.doubles.gpt_sovits import GPTSoVITS
from tests.serving import megaservice, settings_for
from tests.sockets import free_port
from tests.sse import Event, events_of

pytestmark = [pytest.mark.compose, pytest.mark.full, pytest.mark.timeout(1800)]

IMAGE = "megatalk-vllm-openvino:0.1.0"
MODEL_ID = "tiny/qwen2"
START_SECONDS = 300  # 40 s with two cores to itself, the export included
STOP_SECONDS = 45  # the service's grace and what MegaService needs to tell the end


def override(port: int, checkpoint: str) -> str:
    """It is reached from outside here, and stands beside a hub that has the model."""
    return f"""
services:
  vllm-openvino:
    ports: ["127.0.0.1:{port}:8008"]
  hub:
    image: {IMAGE}
    init: true
    entrypoint: [python, /model_hub.py, /models/{MODEL_ID}, {MODEL_ID}, "9000"]
    volumes:
      - {checkpoint}:/models:ro
      - {ROOT}/tests/compose/model_hub.py:/model_hub.py:ro
volumes:
  {checkpoint}: {{external: true}}
"""


@dataclass(frozen=True, slots=True)
class Server:
    """The vllm-openvino service of a stack in which nothing else of ours runs."""

    stack: Stack
    url: str

    def up(self) -> None:
        self.stack.compose("up", "-d", "--no-deps", "--wait", "--wait-timeout", str(START_SECONDS), "vllm-openvino")

    def log(self) -> str:
        return self.stack.compose("logs", "--no-log-prefix", "vllm-openvino")

    @property
    def container(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(docker("inspect", self.stack.container_id("vllm-openvino")))[0]
        return told


@pytest.fixture(scope="module")
def image() -> str:
    """TORCH_WHEEL_DIR: a folder with a torch wheel, where PyTorch's own index is out of reach."""
    torch = [f"--build-context=torch={wheels}"] if (wheels := os.environ.get("TORCH_WHEEL_DIR")) else []
    docker("build", *torch, "-f", str(ROOT / "llm/Dockerfile.vllm-openvino"), "-t", IMAGE, str(ROOT))
    return IMAGE


@pytest.fixture(scope="module")
def checkpoint(image: str) -> Iterator[str]:
    """A volume with the model in a folder of its name."""
    volume = docker("volume", "create")
    try:
        maker = (ROOT / "tests" / "tiny_qwen2.py").read_bytes()
        argv = ["docker", "run", "--rm", "-i", "-v", f"{volume}:/models", "--entrypoint", "python", image]
        done = subprocess.run([*argv, "-", f"/models/{MODEL_ID}"], input=maker, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        yield volume
    finally:
        docker("volume", "rm", "--force", volume)


@contextmanager
def vllm_openvino(directory: Path, checkpoint: str, **settings: str) -> Iterator[Server]:
    port = free_port()
    over = directory / "override.yaml"
    over.write_text(override(port, checkpoint), encoding="utf-8")
    with stack(settings={"LLM_MODEL_ID": MODEL_ID, "HF_ENDPOINT": "http://hub:9000", **settings}) as made:
        with_hub = replace(made, files=(*made.files, str(over)))
        try:
            yield Server(with_hub, f"http://127.0.0.1:{port}")
        finally:
            with_hub.try_compose("rm", "--stop", "--force", "hub")


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory, checkpoint: str) -> Iterator[Server]:
    """The model comes from the hub and is exported."""
    with vllm_openvino(tmp_path_factory.mktemp("vllm"), checkpoint) as made:
        made.stack.compose("up", "-d", "--no-deps", "hub")
        made.up()
        yield made


@pytest.fixture
def server(first_start: Server) -> Server:
    """Up again where the test before took it down."""
    first_start.up()
    return first_start


def chat(**more: object) -> dict[str, object]:
    return {"model": MODEL_ID, "messages": [{"role": "user", "content": "你好！"}], "max_tokens": 60, **more}


def test_it_is_locked_up(server: Server) -> None:
    told = server.container
    assert told["State"]["Health"]["Status"] == "healthy"
    assert told["Config"]["User"] == "10001:10001"
    assert told["HostConfig"]["ReadonlyRootfs"]
    assert told["HostConfig"]["CapDrop"] == ["ALL"]


def test_the_model_has_the_name_that_was_asked_for(server: Server) -> None:
    [model] = httpx.get(f"{server.url}/v1/models", trust_env=False).json()["data"]
    assert (model["id"], model["max_model_len"]) == (MODEL_ID, 2048)


def test_it_streams_chinese_in_openais_form(server: Server) -> None:
    body = chat(stream=True, temperature=0)
    with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body, timeout=60, trust_env=False) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        *lines, last = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert last == "[DONE]"
    choices = [json.loads(line)["choices"][0] for line in lines]
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}
    assert choices[-1]["finish_reason"] == "length"  # at temperature 0 the model has no end
    text = "".join(choice["delta"]["content"] for choice in choices)
    assert text.count("。") + text.count("？") > 1
    assert all("\u4e00" <= letter <= "\u9fff" or letter in "。，？！" for letter in text), text


def test_a_second_start_asks_no_hub_and_exports_nothing(server: Server) -> None:
    assert "100 %" in server.log()  # the first start's download
    server.stack.compose("stop", "hub")
    server.stack.compose("restart", "vllm-openvino")
    server.up()
    assert server.log().count("exporting tiny/qwen2 to OpenVINO IR, int8") == 1


async def test_megaservice_streams_a_turn_through_it(server: Server, tmp_path: Path) -> None:
    async with GPTSoVITS() as voice:
        settings = settings_for(
            tmp_path, LLM_ENDPOINT=server.url, LLM_MODEL_ID=MODEL_ID, TTS_ENDPOINTS=f"sovits-v2+{voice.url}"
        )
        async with megaservice(settings) as client:
            events = [event async for event in turn(client)]
    names = [event.name for event in events]
    assert names[0] == "turn_started"
    assert names.count("text_delta") > 1
    assert names.count("clip") == names.count("sentence") > 0
    assert names[-1] == "turn_completed", events[-1]


@pytest.fixture
def slow_server(server: Server) -> Iterator[Server]:
    """A reply takes some ten seconds."""
    container = server.stack.container_id("vllm-openvino")
    docker("update", "--cpus", "0.2", container)
    yield server
    docker("update", "--cpus", str(os.cpu_count()), container)


@pytest.mark.parametrize(("command", "end"), [("stop", "turn_completed"), ("kill", "turn_failed")])
async def test_a_turn_ends_when_the_server_is_taken_down(
    slow_server: Server, tmp_path: Path, command: str, end: str
) -> None:
    """vLLM 0.8.1 writes a running reply to its end before it goes."""
    settings = settings_for(
        tmp_path,
        LLM_ENDPOINT=slow_server.url,
        LLM_MODEL_ID=MODEL_ID,
        LLM_TEMPERATURE=0,  # a reply without end
        TTS_ENDPOINTS="",
    )
    names = []
    async with megaservice(settings) as client, asyncio.timeout(STOP_SECONDS), asyncio.TaskGroup() as tasks:
        async for event in turn(client):
            names.append(event.name)
            if names.count("text_delta") == 1 and event.name == "text_delta":
                tasks.create_task(asyncio.to_thread(slow_server.stack.compose, command, "vllm-openvino"))
    assert names[-1] == end
    assert slow_server.container["State"]["Status"] == "exited"


async def turn(client: httpx.AsyncClient) -> AsyncIterator[Event]:
    body = {"message": "你好！", "language": "zh", "hsk_level": 6, "stream": True}
    async with client.stream("POST", "/chat", json=body, timeout=60) as response:
        assert response.status_code == httpx.codes.OK, await response.aread()
        async for event in events_of(response):
            yield event


def test_bad_values_are_told_before_anything_loads(image: str) -> None:
    bad = {
        "VLLM_OPENVINO_DEVICE": "cpu",
        "VLLM_OPENVINO_KVCACHE_SPACE": "4GB",
        "VLLM_OPENVINO_CPU_KV_CACHE_PRECISION": "U8",
        "VLLM_OPENVINO_ENABLE_QUANTIZED_WEIGHTS": "OFF",
    }
    env = [part for name, value in bad.items() for part in ("-e", f"{name}={value}")]
    done = subprocess.run(["docker", "run", "--rm", *env, image], capture_output=True, text=True)
    assert done.returncode == 1
    assert [line.split(": got ")[0] for line in done.stderr.splitlines()] == list(bad)


def test_without_model_and_hub_it_says_so(tmp_path: Path, checkpoint: str) -> None:
    with vllm_openvino(tmp_path, checkpoint, HF_ENDPOINT="http://127.0.0.1:1") as lonely:
        lonely.stack.compose("up", "-d", "--no-deps", "vllm-openvino")
        deadline = time.monotonic() + 60
        while "cannot be fetched from the hub" not in (log := lonely.log()):
            assert time.monotonic() < deadline, log
            time.sleep(0.5)
        assert "Traceback" not in log
