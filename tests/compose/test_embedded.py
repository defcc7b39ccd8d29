"""The stack with the embedded LLM and voice, in containers on the real engine, from empty volumes on."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from launcher.say import clip_faults
from tests.compose.stack import Stack, docker, stack

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1800)]

SERVICES = {"llm", "megaservice", "megatalk", "preflight", "tts"}
BACK_SECONDS = 300  # the LLM loads its model again, on two cores beside everything else
LONG = "请用很多句子介绍一下你的家。"


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack("embedded") as made:
        made.compose("build")
        made.compose("up", "-d", "--wait", "--wait-timeout", "1200")
        yield made


def chat(running: Stack, message: str = "你好！你叫什么名字？") -> dict[str, Any]:
    body = {"message": message, "language": "zh", "hsk_level": 1}
    response = httpx.post(f"{running.megaservice_url}/chat", json=body, timeout=180, trust_env=False)
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


def get(url: str) -> httpx.Response:
    return httpx.get(url, timeout=30, trust_env=False)


def page_health(running: Stack) -> dict[str, Any]:
    told: dict[str, Any] = get(f"{running.page_url}/api/health").json()["megaservice"]
    return told


def until(holds: Callable[[], object], what: str, seconds: float = BACK_SECONDS) -> None:
    """Connections that fail meanwhile are part of the wait."""
    deadline = time.monotonic() + seconds
    seen: object = None
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except (httpx.TransportError, AssertionError) as exc:
            seen = exc
        time.sleep(0.5)
    pytest.fail(f"not within {seconds} s: {what}; last fault: {seen}")


def is_spoken(running: Stack) -> bool:
    reply = chat(running)
    return bool(reply["audio"]) and not reply["errors"]


def assert_spoken(running: Stack, reply: dict[str, Any], tmp_path: Path) -> None:
    assert any("\u4e00" <= character <= "\u9fff" for character in reply["reply"])
    assert reply["errors"] == []
    assert reply["audio"]
    for number, url in enumerate(reply["audio"]):
        file = tmp_path / f"{number}.wav"
        file.write_bytes(get(running.megaservice_url + url).content)
        assert clip_faults(file) == []


def test_it_comes_up_healthy_from_nothing_and_without_what_was_replaced(running: Stack) -> None:
    states = {service: (told["State"], told["Health"]) for service, told in running.containers().items()}
    expected = dict.fromkeys(SERVICES, ("running", "healthy")) | {"preflight": ("exited", "")}
    assert states == expected


def test_a_chinese_turn_gives_text_and_speech(running: Stack, tmp_path: Path) -> None:
    assert_spoken(running, chat(running), tmp_path)


def test_tts_info_lists_the_endpoint(running: Stack) -> None:
    told = get(f"{running.megaservice_url}/debug/tts-info").json()
    assert [endpoint["endpoint"] for endpoint in told["endpoints"]] == ["openai+http://tts:9088/v1"]


def test_the_page_answers_under_its_own_port(running: Stack) -> None:
    assert "<title>" in get(running.page_url).text
    assert page_health(running)["status"] == "ready"


def test_every_part_answers_test_endpoints(running: Stack) -> None:
    def all_is_well() -> bool:
        done = running.script("test_endpoints", "--json")
        failed = [row for row in json.loads(done.stdout)["checks"] if row["outcome"] != "ok"]
        assert (done.returncode, failed, done.stderr) == (0, [], "")
        return True

    until(all_is_well, "each check passes")  # the LLM may still read its prompts, with all cores


def test_what_was_spoken_and_logged_outlives_the_containers(running: Stack, tmp_path: Path) -> None:
    clip = chat(running)["audio"][0]
    running.compose("up", "-d", "--force-recreate", "--no-deps", "--wait", "megaservice")
    assert get(running.megaservice_url + clip).status_code == 200
    log = running.compose("exec", "-T", "megaservice", "cat", "/logs/megaservice.log")
    assert len(log) > 0


def test_a_second_stack_runs_beside_it(running: Stack, tmp_path: Path) -> None:
    small = {"EMBEDDED_REGISTRY_MODEL": "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"}
    with stack("embedded", settings=small) as second:
        second.compose("up", "-d", "--wait", "--wait-timeout", "1200")
        assert_spoken(second, chat(second), tmp_path)
        assert_spoken(running, chat(running), tmp_path)
    for kind in ("container", "volume", "network"):
        of_second = docker(kind, "ls", "-q", "--filter", f"label=com.docker.compose.project={second.project}")
        assert of_second == "", f"down -v left a {kind}"


@pytest.mark.parametrize(
    ("service", "resting"),
    [
        ("llm", lambda health: not health["llm"]["ready"]),
        ("tts", lambda health: not health["tts"]["ready"]),
        ("megaservice", lambda health: health["status"] == "unreachable"),
    ],
)
def test_a_part_killed_in_mid_chat_is_named_and_missed_until_it_is_back(
    running: Stack, tmp_path: Path, service: str, resting: Callable[[dict[str, Any]], bool]
) -> None:
    container = running.container_id(service)
    until(lambda: page_health(running)["status"] == "ready", "ready before the kill")
    events = follow_and_kill(running, container)
    if service == "tts":
        assert events[-1] == "turn_completed"  # the text is whole, without the rest of its sound
    else:
        assert "turn_completed" not in events
    until(lambda: resting(page_health(running)), f"the page says that {service} rests", 30)
    docker("start", container)
    until(lambda: page_health(running)["status"] == "ready", f"ready after {service} is back")
    until(lambda: is_spoken(running), "a spoken turn")


def follow_and_kill(running: Stack, container: str) -> list[str]:
    """The names of a turn's events; the container is killed at the first text."""
    body = {"message": LONG, "language": "zh", "hsk_level": 6, "stream": True}
    events: list[str] = []
    client = httpx.Client(timeout=180, trust_env=False)
    try:
        with client, client.stream("POST", f"{running.megaservice_url}/chat", json=body) as response:
            for line in response.iter_lines():
                if line.startswith("event:"):
                    events.append(line.removeprefix("event:").strip())
                    if events.count("text_delta") == 1 and events[-1] == "text_delta":
                        docker("kill", container)
    except httpx.TransportError:
        events.append("connection lost")
    return events


def test_the_page_killed_in_mid_chat_costs_the_chat_nothing(running: Stack) -> None:
    container = running.container_id("megatalk")
    assert follow_and_kill(running, container)[-1] == "turn_completed"
    docker("start", container)
    until(lambda: page_health(running)["status"] == "ready", "the page is back")


@pytest.mark.parametrize("service", ["llm", "tts", "megaservice", "megatalk"])
def test_a_program_that_dies_is_started_again(running: Stack, service: str) -> None:
    """`docker kill` counts as a wish and is kept to; a crash is not."""
    before = docker("inspect", "-f", "{{.RestartCount}}", running.container_id(service))
    running.try_compose("exec", "-T", service, "python", "-c", "import os, signal; os.kill(-1, signal.SIGKILL)")
    container = running.container_id(service)
    until(lambda: docker("inspect", "-f", "{{.RestartCount}}", container) != before, f"{service} was started again")
    until(lambda: docker("inspect", "-f", "{{.State.Health.Status}}", container) == "healthy", f"{service} is healthy")


def test_a_wrong_setting_stops_the_stack_before_anything_starts() -> None:
    with stack("embedded", settings={"LLM_MAX_MODEL_LEN": "1", "TTS_VOICE_ZH": "nobody"}) as wrong:
        up = wrong.try_compose("up", "-d", "--wait")
        assert up.returncode != 0
        told = wrong.compose("logs", "--no-log-prefix", "preflight")
        assert "LLM_MAX_MODEL_LEN: got 1" in told or "LLM_MAX_MODEL_LEN: got '1'" in told
        running = json.loads(wrong.compose("ps", "--format", "json") or "{}")
        assert running == {}
