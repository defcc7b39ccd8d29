"""The voice server over HTTP, on a real socket, with a speaker that says what it was asked and waits when told to."""

import asyncio
import io
import threading
import wave
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import httpx
import numpy as np
import pytest
import uvicorn

from tests.sockets import running
from tts.abandoning import Abandoning
from tts.app import create_app
from tts.desk import Loader, Speaker
from tts.errors import Abandoned, NothingToSay, VoiceServerError
from tts.settings import Settings
from tts.sound import SAMPLE_RATE_HZ, Samples
from tts.voice import Voice

SOVITS = {"text": "你好", "text_lang": "zh", "ref_audio_path": "/voices/zh_female.wav", "prompt_lang": "zh"}
SPEECH = {"input": "你好", "voice": "zf_xiaoxiao"}


class ScriptedSpeaker:
    """Half a second for any text with a letter. While its gate is shut it is at work, as a real synthesis would be."""

    def __init__(self) -> None:
        self.spoken: list[tuple[str, str, float]] = []
        self.abandoned: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def speak(self, text: str, voice: Voice, speed: float, abandoning: Abandoning) -> Samples:
        while not self.gate.wait(0.005):
            if abandoning.is_set():
                self.abandoned.append(text)
                raise Abandoned
        if not any(character.isalpha() for character in text):
            raise NothingToSay
        self.spoken.append((text, voice.id, speed))
        return np.full(SAMPLE_RATE_HZ // 2, 0.1, dtype=np.float32)


def instantly(speaker: Speaker) -> Loader:
    return lambda tell: speaker


@asynccontextmanager
async def voice_server(loader: Loader, **settings: int) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of a running server, which may still be loading."""
    app = create_app(Settings.model_validate(settings), loader)
    config = uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1)
    async with running(uvicorn.Server(config)) as client:
        yield client


@asynccontextmanager
async def ready_server(speaker: Speaker, **settings: int) -> AsyncGenerator[httpx.AsyncClient]:
    async with voice_server(instantly(speaker), **settings) as client:
        await until(partial(client.get, "/health"), 200)
        yield client


async def until(ask: Callable[[], Awaitable[httpx.Response]], status: int) -> httpx.Response:
    while (response := await ask()).status_code != status:
        await asyncio.sleep(0.005)
    return response


async def orders_are(client: httpx.AsyncClient, number: int) -> None:
    while (await client.get("/health")).json()["orders"] != number:
        await asyncio.sleep(0.005)


@pytest.fixture
def speaker() -> ScriptedSpeaker:
    return ScriptedSpeaker()


@pytest.fixture
async def client(speaker: ScriptedSpeaker) -> AsyncGenerator[httpx.AsyncClient]:
    async with ready_server(speaker) as client:
        yield client


def wav_facts(content: bytes) -> tuple[int, int, int]:
    with wave.open(io.BytesIO(content)) as reader:
        return reader.getframerate(), reader.getnframes(), len(content)


async def test_tts_answers_a_whole_wav_file(client: httpx.AsyncClient, speaker: ScriptedSpeaker) -> None:
    response = await client.post("/tts", json=SOVITS | {"top_k": 5, "seed": 1, "speed_factor": 1.5, "batch_size": 1})
    assert (response.status_code, response.headers["content-type"]) == (200, "audio/wav")
    assert wav_facts(response.content) == (24_000, 12_000, 24_044)
    assert speaker.spoken == [("你好", "zf_xiaoxiao", 1.5)]


@pytest.mark.parametrize("mode", [True, 1, 2, 3, "true"])
async def test_tts_answers_a_streaming_mode_whole(client: httpx.AsyncClient, mode: object) -> None:
    response = await client.post("/tts", json=SOVITS | {"streaming_mode": mode})
    assert (response.status_code, len(response.content)) == (200, int(response.headers["content-length"]))
    assert wav_facts(response.content)[1] == 12_000


async def test_tts_answers_get_and_raw(client: httpx.AsyncClient) -> None:
    response = await client.get("/tts", params=SOVITS | {"media_type": "raw", "text_lang": "ZH"})
    assert (response.status_code, response.headers["content-type"]) == (200, "audio/raw")
    assert len(response.content) == 24_000


@pytest.mark.parametrize(
    ("reference", "language", "voice"),
    [
        ("/voices/zh_male.wav", "zh", "zm_yunyang"),
        ("en_male.wav", "en", "am_michael"),
        ("/anything/else.wav", "zh", "zf_xiaoxiao"),
        ("/anything/else.wav", "en", "af_heart"),
        ("/anything/else.wav", "auto", "zf_xiaoxiao"),
    ],
)
async def test_tts_takes_the_voice_of_the_reference(
    client: httpx.AsyncClient, speaker: ScriptedSpeaker, reference: str, language: str, voice: str
) -> None:
    await client.post("/tts", json=SOVITS | {"ref_audio_path": reference, "text_lang": language})
    assert speaker.spoken == [("你好", voice, 1.0)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ref_audio_path": None}, {"message": "ref_audio_path is required"}),
        ({"text": ""}, {"message": "text is required"}),
        ({"text_lang": None}, {"message": "text_lang is required"}),
        ({"text_lang": "ja"}, {"message": "text_lang: ja is not supported by the embedded voice"}),
        ({"prompt_lang": ""}, {"message": "prompt_lang is required"}),
        ({"media_type": "ogg"}, {"message": "media_type: ogg is not supported"}),
        ({"text_split_method": "cut9"}, {"message": "text_split_method:cut9 is not supported"}),
        (
            {"streaming_mode": 4},
            {"message": "the value of streaming_mode must be 0, 1, 2, 3(int) or true/false(bool)"},
        ),
        ({"speed_factor": 9}, {"message": "speed_factor: 9.0 is not between 0.5 and 2.0"}),
        (
            {"text": "。！"},
            {
                "message": "tts failed",
                "Exception": "The text holds nothing that can be spoken in Chinese or English.",
            },
        ),
        (
            {"text": "好" * 2001},
            {
                "message": "tts failed",
                "Exception": "The text has 2001 characters; at most 2000 are spoken at once.",
            },
        ),
    ],
)
async def test_tts_refuses_as_gpt_sovits_does(
    client: httpx.AsyncClient, change: dict[str, object], message: dict[str, str]
) -> None:
    response = await client.post("/tts", json=SOVITS | change)
    assert (response.status_code, response.json()) == (400, message)


async def test_tts_calls_a_wrong_type_unprocessable(client: httpx.AsyncClient) -> None:
    response = await client.post("/tts", json=SOVITS | {"speed_factor": "fast"})
    assert (response.status_code, response.json()["detail"][0]["type"]) == (422, "float_parsing")


async def test_openai_speech_is_wav_or_pcm(client: httpx.AsyncClient, speaker: ScriptedSpeaker) -> None:
    wav = await client.post("/v1/audio/speech", json=SPEECH | {"model": "tts-1", "speed": 0.5})
    pcm = await client.post("/v1/audio/speech", json=SPEECH | {"response_format": "pcm"})
    assert (wav.headers["content-type"], wav_facts(wav.content)) == ("audio/wav", (24_000, 12_000, 24_044))
    assert (pcm.headers["content-type"], pcm.content) == ("audio/pcm", wav.content[44:])
    assert speaker.spoken == [("你好", "zf_xiaoxiao", 0.5), ("你好", "zf_xiaoxiao", 1.0)]


@pytest.mark.parametrize(("text", "voice"), [("你好 OK", "zf_xiaoxiao"), ("OK 你好", "af_heart")])
async def test_without_a_voice_the_text_chooses(
    client: httpx.AsyncClient, speaker: ScriptedSpeaker, text: str, voice: str
) -> None:
    await client.post("/v1/audio/speech", json={"input": text})
    assert speaker.spoken == [(text, voice, 1.0)]


@pytest.mark.parametrize(
    ("change", "param", "message"),
    [
        (
            {"response_format": "mp3"},
            "response_format",
            "response_format 'mp3' cannot be made here; use 'wav' or 'pcm'.",
        ),
        (
            {"voice": "alloy"},
            "voice",
            "There is no voice 'alloy'. Known are: zf_xiaoxiao, zm_yunyang, af_heart, am_michael.",
        ),
        ({"speed": 3}, "speed", "speed: Input should be less than or equal to 2"),
        ({"input": None}, "input", "input: Input should be a valid string"),
        ({"input": "😀"}, "input", "The text holds nothing that can be spoken in Chinese or English."),
        ({"input": "", "voice": None}, "input", "The text holds nothing that can be spoken in Chinese or English."),
    ],
)
async def test_openai_speech_refuses_in_openais_words(
    client: httpx.AsyncClient, change: dict[str, object], param: str, message: str
) -> None:
    response = await client.post("/v1/audio/speech", json=SPEECH | change)
    told = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    assert (response.status_code, response.json()) == (400, {"error": told})


async def test_voices_and_models_are_listed(client: httpx.AsyncClient) -> None:
    voices = (await client.get("/v1/audio/voices")).json()["voices"]
    assert [(voice["id"], voice["language"]) for voice in voices] == [
        ("zf_xiaoxiao", "zh"),
        ("zm_yunyang", "zh"),
        ("af_heart", "en"),
        ("am_michael", "en"),
    ]
    assert all(voice["name"] for voice in voices)
    assert (await client.get("/v1/models")).json()["data"][0]["id"] == "kokoro-82m-v1.0-int8"
    assert (await client.get("/v1/audio/models")).json() == {"models": [{"id": "kokoro-82m-v1.0-int8"}]}


async def test_while_it_loads_it_says_with_what(speaker: ScriptedSpeaker) -> None:
    loaded = threading.Event()

    def load(tell: Callable[[str], None]) -> Speaker:
        tell("Downloading a voice: 3 of 63 MB.")
        loaded.wait()
        return speaker

    async with voice_server(load) as client:
        health = await until(partial(client.get, "/health"), 503)
        while health.json()["detail"] == "The voice is starting.":
            health = await client.get("/health")
        refused = await client.post("/tts", json=SOVITS)
        also_refused = await client.post("/v1/audio/speech", json=SPEECH)
        loaded.set()
        ready = await until(partial(client.get, "/health"), 200)
    assert health.json() == {
        "status": "loading",
        "detail": "Downloading a voice: 3 of 63 MB.",
        "model": "kokoro-82m-v1.0-int8",
        "orders": 0,
    }
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json() == {"message": "Downloading a voice: 3 of 63 MB."}
    assert (also_refused.status_code, also_refused.json()["error"]["type"]) == (503, "server_error")
    assert ready.json()["status"] == "ready"


async def test_what_keeps_it_from_loading_is_told() -> None:
    def load(tell: Callable[[str], None]) -> Speaker:
        raise VoiceServerError("EMBEDDED_TTS_MODEL_PATH names nothing, which is no file.")

    async with voice_server(load) as client:
        health = await client.get("/health")
        while health.json()["status"] == "loading":
            health = await client.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "failed")
    assert health.json()["detail"] == "EMBEDDED_TTS_MODEL_PATH names nothing, which is no file."


async def test_more_than_the_queue_holds_is_sent_away(speaker: ScriptedSpeaker) -> None:
    speaker.gate.clear()
    async with ready_server(speaker, queue_limit=1) as client:
        asked = [asyncio.create_task(client.post("/tts", json=SOVITS | {"text": text})) for text in "一二三"]
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        health = await client.get("/health")
        speaker.gate.set()
        statuses = sorted([(await answer).status_code for answer in asked])
        after = await client.post("/tts", json=SOVITS | {"text": "四"})
    refused = done.pop().result()
    assert (refused.status_code, refused.headers["retry-after"], refused.json()) == (
        503,
        "1",
        {"message": "1 texts wait for the voice already; try again shortly."},
    )
    assert (health.status_code, statuses, after.status_code) == (200, [200, 200, 503], 200)


async def test_a_caller_that_leaves_is_not_spoken_for(client: httpx.AsyncClient, speaker: ScriptedSpeaker) -> None:
    speaker.gate.clear()
    first = asyncio.create_task(client.post("/tts", json=SOVITS | {"text": "一"}))
    await orders_are(client, 1)
    second = asyncio.create_task(client.post("/v1/audio/speech", json=SPEECH | {"input": "二"}))
    await orders_are(client, 2)
    second.cancel()
    await orders_are(client, 1)
    third = asyncio.create_task(client.post("/tts", json=SOVITS | {"text": "三"}))
    speaker.gate.set()
    assert [(await first).status_code, (await third).status_code] == [200, 200]
    assert [text for text, _, _ in speaker.spoken] == ["一", "三"]


async def test_speech_that_is_under_way_stops_when_its_caller_leaves(
    client: httpx.AsyncClient, speaker: ScriptedSpeaker
) -> None:
    speaker.gate.clear()
    leaving = asyncio.create_task(client.post("/tts", json=SOVITS | {"text": "一"}))
    await orders_are(client, 1)
    leaving.cancel()
    await orders_are(client, 0)
    speaker.gate.set()
    await client.post("/tts", json=SOVITS | {"text": "二"})
    assert (speaker.abandoned, [text for text, _, _ in speaker.spoken]) == (["一"], ["二"])
