"""GPT-SoVITS's own container with random weights: MegaService speaks through it, and without it while it rests."""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.compose.stack import ROOT, Stack, docker, stack
from tests.doubles.vllm import MODEL_ID, VLLM, Script
from tests.embedded import running
from tests.serving import megaservice, settings_for
from tests.sockets import free_port

pytestmark = [pytest.mark.compose, pytest.mark.full, pytest.mark.timeout(1800)]

WEIGHTS = "megatalk-random-gpt-sovits"
START_SECONDS = 300  # 30 s with two cores to itself
REPLY = "我喜欢喝绿茶，你呢？"

# The second voice is reached beside it, and the random weights take the place of the volume that a hub would fill.
OVERRIDE = """
services:
  gpt-sovits:
    ports: ["127.0.0.1:${GPT_SOVITS_TEST_PORT}:9880"]
volumes:
  gpt-sovits-models:
    external: true
    name: ${GPT_SOVITS_TEST_VOLUME}
"""


@dataclass(frozen=True, slots=True)
class Speaker:
    """The gpt-sovits service of a stack in which nothing else runs."""

    stack: Stack
    url: str

    def up(self) -> None:
        self.stack.compose("up", "-d", "--no-deps", "--wait", "--wait-timeout", str(START_SECONDS), "gpt-sovits")

    @property
    def container(self) -> str:
        return self.stack.container_id("gpt-sovits")


@contextmanager
def gpt_sovits(directory: Path, volume: str, settings: dict[str, str] | None = None) -> Iterator[Speaker]:
    override = directory / "override.yaml"
    override.write_text(OVERRIDE, encoding="utf-8")
    port = str(free_port())
    with stack(settings=settings) as made:
        env = {**made.env, "GPT_SOVITS_TEST_PORT": port, "GPT_SOVITS_TEST_VOLUME": volume}
        yield Speaker(replace(made, files=(*made.files, str(override)), env=env), f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speaker]:
    with gpt_sovits(tmp_path_factory.mktemp("gpt-sovits"), WEIGHTS) as made:
        build(made)
        fill(WEIGHTS)
        made.up()
        yield made


def build(made: Speaker) -> None:
    """TORCH_WHEEL_DIR: a folder with a torch wheel, where PyTorch's own index is out of reach."""
    if wheels := os.environ.get("TORCH_WHEEL_DIR"):
        file = str(ROOT / "tts" / "Dockerfile.gpt-sovits")
        docker("build", "--build-context", f"torch={wheels}", "-f", file, "-t", "megatalk-gpt-sovits:0.1.0", str(ROOT))
    else:
        made.stack.compose("build", "gpt-sovits")


def fill(volume: str) -> None:
    """Kept from run to run: 1.8 GB, half a minute of work."""
    if volume in docker("volume", "ls", "--quiet").split():
        return
    docker("volume", "create", volume)
    maker = (Path(__file__).parent / "random_gpt_sovits.py").read_bytes()
    argv = ["docker", "run", "--rm", "-i", "-v", f"{volume}:/models", "megatalk-gpt-sovits:0.1.0", "python", "-"]
    done = subprocess.run(argv, input=maker, capture_output=True)
    if done.returncode:
        docker("volume", "rm", volume)
        pytest.fail(done.stderr.decode())


@pytest.fixture(scope="module")
def embedded_voice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running("tts", tmp_path_factory.mktemp("tts"), "EMBEDDED_TTS_PORT") as url:
        yield f"openai+{url}/v1"


Say = Callable[[], Awaitable[str | None]]


@asynccontextmanager
async def conversation(directory: Path, *endpoints: str) -> AsyncGenerator[Say]:
    """Says something, and tells which of the endpoints spoke the reply."""
    async with VLLM(Script(REPLY)) as llm:
        settings = settings_for(
            directory,
            LLM_ENDPOINT=llm.url,
            LLM_MODEL_ID=MODEL_ID,
            TTS_ENDPOINTS=",".join(endpoints),
            TTS_VOICES_FILE=ROOT / "tts" / "voices.toml",
            TTS_TIMEOUT_BASE_SECONDS=40,  # a sentence takes 6 s on two cores, and more when they are busy
            TTS_COOLDOWN_SECONDS=1,
            TTS_COOLDOWN_MAX_SECONDS=1,
        )
        async with megaservice(settings) as client:

            async def say() -> str | None:
                response = await client.post("/chat", json={"message": "你好", "language": "zh"}, timeout=200)
                reply = response.json()
                assert (response.status_code, reply["errors"]) == (200, []), reply
                assert reply["audio"]
                endpoint: str | None = reply["endpoint"]
                return endpoint

            yield say


async def until_it_speaks_again(say: Say, name: str | None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while await say() != name:
        assert time.monotonic() < deadline, f"{name} did not come back"


def test_it_is_locked_up(speaker: Speaker) -> None:
    told = json.loads(docker("inspect", speaker.container))[0]
    assert told["State"]["Health"]["Status"] == "healthy"
    assert told["Config"]["User"] == "10001:10001"
    assert told["HostConfig"]["ReadonlyRootfs"]
    assert told["HostConfig"]["CapDrop"] == ["ALL"]


@pytest.mark.parametrize("voice", ["zh_female", "zh_male", "en_female", "en_male"])
def test_it_takes_every_reference_voice_that_ships(speaker: Speaker, voice: str) -> None:
    language = voice[:2]
    body = {
        "text": {"zh": REPLY, "en": "I like green tea; may I record it?"}[language],
        "text_lang": language,
        "ref_audio_path": f"/voices/{voice}.wav",
        "prompt_text": "",
        "prompt_lang": language,
        "text_split_method": "cut0",
    }
    response = httpx.post(f"{speaker.url}/tts", json=body, timeout=200, trust_env=False)
    assert (response.status_code, response.headers["content-type"]) == (200, "audio/wav"), response.text[:300]
    assert response.content[24:28] == (32000).to_bytes(4, "little")  # 16000 would be its mark of a failure inside


@contextmanager
def stopped(speaker: Speaker) -> Iterator[None]:
    speaker.stack.compose("stop", "gpt-sovits")
    yield
    speaker.up()


@contextmanager
def killed(speaker: Speaker) -> Iterator[None]:
    """As the kernel does when memory is short; it comes back by itself."""
    find_and_kill = (
        "import os, signal\n"
        "own = [int(p) for p in os.listdir('/proc') if p.isdigit()"
        " and b'tts.gpt_sovits' in open(f'/proc/{p}/cmdline', 'rb').read() and int(p) > 1]\n"
        "[os.kill(pid, signal.SIGKILL) for pid in own if pid != os.getpid()]"
    )
    docker("exec", speaker.container, "python", "-c", find_and_kill)
    yield


@contextmanager
def paused(speaker: Speaker) -> Iterator[None]:
    docker("pause", speaker.container)
    try:
        yield
    finally:
        docker("unpause", speaker.container)


@pytest.mark.parametrize("resting", [stopped, killed, paused])
async def test_the_embedded_voice_speaks_while_it_rests(
    speaker: Speaker,
    embedded_voice: str,
    tmp_path: Path,
    resting: Callable[[Speaker], AbstractContextManager[None]],
) -> None:
    async with conversation(tmp_path, f"sovits-v2+{speaker.url}", embedded_voice) as say:
        own = await say()
        assert "sovits" in str(own)
        with resting(speaker):
            assert "openai" in str(await say())
        await until_it_speaks_again(say, own)


class Spoiler(ThreadingHTTPServer):
    """Stands before GPT-SoVITS and, when told, makes it fail inside: it then answers 200 with a second of silence."""

    daemon_threads = True

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), SpoilerHandler)
        self.behind = behind
        self.spoils = False
        self.silences = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class SpoilerHandler(BaseHTTPRequestHandler):
    server: Spoiler

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.spoils:
            body["top_k"] = 0
            self.server.silences += 1
        request = urllib.request.Request(
            self.server.behind + self.path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as response:
            content = response.read()
            self.send_response(response.status)
            self.send_header("Content-Type", response.headers["Content-Type"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def spoiler_before(speaker: Speaker) -> Iterator[Spoiler]:
    with Spoiler(speaker.url) as spoiler:
        thread = Thread(target=spoiler.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield spoiler
        finally:
            spoiler.shutdown()
            thread.join()


async def test_the_embedded_voice_speaks_while_it_gives_silence(
    speaker: Speaker, embedded_voice: str, tmp_path: Path
) -> None:
    with spoiler_before(speaker) as spoiler:
        async with conversation(tmp_path, f"sovits-v2+{spoiler.url}", embedded_voice) as say:
            own = await say()
            assert "sovits" in str(own)
            spoiler.spoils = True
            assert "openai" in str(await say())
            assert spoiler.silences > 0
            spoiler.spoils = False
            await until_it_speaks_again(say, own)


def test_without_weights_and_hub_it_says_what_is_missing_and_lives(speaker: Speaker, tmp_path: Path) -> None:
    volume = docker("volume", "create")
    try:
        with gpt_sovits(tmp_path, volume, {"GPT_SOVITS_HUB_URL": "http://127.0.0.1:1"}) as empty:
            empty.stack.compose("up", "-d", "--no-deps", "gpt-sovits")
            deadline = time.monotonic() + 60
            while "The next try is in 30 s." not in (log := empty.stack.compose("logs", "gpt-sovits")):
                assert time.monotonic() < deadline, log
                time.sleep(0.5)
            assert "/models/pretrained_models/gsv-v2final-pretrained/s2G2333k.pth" in log
            told = json.loads(docker("inspect", empty.container))[0]
            assert (told["State"]["Status"], told["RestartCount"]) == ("running", 0)
            assert told["State"]["Health"]["Status"] != "healthy"
    finally:
        docker("volume", "rm", "--force", volume)
