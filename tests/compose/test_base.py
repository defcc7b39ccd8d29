"""docker-compose.yaml alone, its model volumes filled with a tiny random Qwen2 and random GPT-SoVITS weights."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from launcher.say import clip_faults
from tests.compose.stack import ROOT, Stack, docker, stack

pytestmark = [pytest.mark.compose, pytest.mark.full, pytest.mark.timeout(3600)]

MODEL_ID = "tiny/qwen2"
# A sentence of random weights takes 6 s alone on two cores, and much more beside an LLM.
SLOW = {"TTS_TIMEOUT_BASE_SECONDS": "120"}
# Services, images' Dockerfiles and what fills their /models.
MAKERS = {
    "vllm-openvino": ("llm/Dockerfile.vllm-openvino", "tests/tiny_qwen2.py", [f"/models/{MODEL_ID}"]),
    "gpt-sovits": ("tts/Dockerfile.gpt-sovits", "tests/compose/random_gpt_sovits.py", []),
}


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    """TORCH_WHEEL_DIR: a folder with a torch wheel, where PyTorch's own index is out of reach."""
    with stack(settings={"LLM_MODEL_ID": MODEL_ID, **SLOW}) as made:
        torch = [f"--build-context=torch={wheels}"] if (wheels := os.environ.get("TORCH_WHEEL_DIR")) else []
        for service, (dockerfile, maker, arguments) in MAKERS.items():
            docker("build", *torch, "-f", str(ROOT / dockerfile), "-t", f"megatalk-{service}:0.1.0", str(ROOT))
            fill(made, service, ROOT / maker, arguments)
        made.compose("build", "tts", "megaservice", "megatalk")
        made.compose("up", "-d", "--wait", "--wait-timeout", "1800")
        yield made


def fill(made: Stack, service: str, maker: Path, arguments: list[str]) -> None:
    """Runs the maker in a container of the service, so that the project's own volume is filled."""
    run = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "python", service, "-", *arguments)
    done = made.try_compose(*run, given=maker.read_text(encoding="utf-8"))
    assert done.returncode == 0, done.stderr


def test_it_ends_healthy(running: Stack) -> None:
    states = {service: (told["State"], told["Health"]) for service, told in running.containers().items()}
    services = ("vllm-openvino", "gpt-sovits", "tts", "megaservice", "megatalk")
    assert states == dict.fromkeys(services, ("running", "healthy")) | {"preflight": ("exited", "")}


def test_a_turn_is_written_by_vllm_and_spoken_by_gpt_sovits(running: Stack, tmp_path: Path) -> None:
    body = {"message": "你好！", "language": "zh"}
    reply = httpx.post(f"{running.megaservice_url}/chat", json=body, timeout=900, trust_env=False).json()
    assert any("\u4e00" <= character <= "\u9fff" for character in reply["reply"])
    assert reply["errors"] == []
    assert reply["endpoint"] == "sovits-v2+http://gpt-sovits:9880"
    for number, url in enumerate(reply["audio"]):
        file = tmp_path / f"{number}.wav"
        file.write_bytes(httpx.get(running.megaservice_url + url, trust_env=False).content)
        assert clip_faults(file) == []


def test_both_endpoints_are_told_in_order(running: Stack) -> None:
    told = httpx.get(f"{running.megaservice_url}/debug/tts-info", trust_env=False).json()
    expected = ["sovits-v2+http://gpt-sovits:9880", "openai+http://tts:9088/v1"]
    assert [endpoint["endpoint"] for endpoint in told["endpoints"]] == expected


def test_every_part_answers_test_endpoints(running: Stack) -> None:
    done = running.script("test_endpoints", "--json")
    failed = [row for row in json.loads(done.stdout)["checks"] if row["outcome"] != "ok"]
    assert (done.returncode, failed) == (0, [])
