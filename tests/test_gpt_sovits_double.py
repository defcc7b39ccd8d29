"""The GPT-SoVITS double is held to what the real servers answered (tests/data/gpt-sovits-captures)."""

import asyncio
import json
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from tests.doubles.gpt_sovits import Fault, Flavour, GPTSoVITS, Reference

CAPTURES = Path(__file__).parent / "data" / "gpt-sovits-captures"
FILES = {"/ref/ref_en.wav": 4.46, "/ref/short.wav": 2.0, "/ref/long.wav": 18.0, "/ref/probe_v2.py": 0.0}


@dataclass(frozen=True)
class Answer:
    """What both servers must share; the length of real audio is not among it."""

    status: int
    content_type: str | None
    is_chunked: bool
    is_cut: bool
    text: str | None  # of what is no audio
    audio: str | None  # its kind: header sizes, rate, silence


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: bytes | None = None
    content_type: str = "application/json"


def captured(file: str) -> dict[str, Answer]:
    rows = re.findall(
        r"^\[(.+?)\] (\d+) (\{.*?\}) hdr@.*? bytes=(\d+) nchunks=\d+ ?(\w*).*?\n     (.*)((?:\n     .*)*)",
        (CAPTURES / file).read_text(),
        re.MULTILINE,
    )
    return {row[0]: _captured_answer(*row[1:]) for row in rows}


def _captured_answer(status: str, headers: str, size: str, error: str, start: str, facts: str) -> Answer:
    sent: dict[str, str] = json.loads(headers.replace("'", '"'))
    kind = sent.get("content-type")
    audio = None
    if kind is not None and kind.startswith("audio/") and int(size):
        sizes = re.search(r"riff size field=(\d+) data size field=(\d+) rate=(\d+) ?(allzero)?", facts)
        audio = "bare"
        if sizes is not None:
            audio = _audio_kind(int(size), int(sizes[1]), int(sizes[2]), int(sizes[3]), bool(sizes[4]))
    text = start if not (audio or (kind or "").startswith("audio/")) else None
    return Answer(int(status), kind, "transfer-encoding" in sent, error == "IncompleteRead", _readable(text), audio)


def _readable(text: str | None) -> str | None:
    """The probe printed bodies that are no JSON text as hex, and at most 230 characters."""
    if text is not None and re.fullmatch("[0-9a-f]+", text):
        return bytes.fromhex(text).decode()
    return None if text is None else text[:230]


def _audio_kind(size: int, riff_bytes: int, data_bytes: int, rate_hz: int, silent: bool) -> str:
    sizes = "right sizes" if (riff_bytes, data_bytes) == (size - 8, size - 44) else f"sizes {riff_bytes} {data_bytes}"
    return f"{sizes}, {rate_hz} Hz" + (f", {size} bytes of silence" if silent else "")


def asked(url: str, request: Request) -> Answer:
    body, is_cut = b"", False
    headers = {"content-type": request.content_type} if request.body is not None else {}
    # Without verify=False each call would load the certificates of https, which take longer than the call.
    with httpx.stream(
        request.method, url + request.path, content=request.body, headers=headers, verify=False
    ) as answer:
        try:
            for piece in answer.iter_raw():
                body += piece
        except httpx.RemoteProtocolError:
            is_cut = True
    kind = answer.headers.get("content-type")
    audio = text = None
    if kind is None or not kind.startswith("audio/"):
        text = body.decode()[: 16 if body[:1] not in b"{I" else 230]
    elif body[:4] == b"RIFF":
        riff_bytes, data_bytes = struct.unpack_from("<I", body, 4)[0], struct.unpack_from("<I", body, 40)[0]
        rate_hz = struct.unpack_from("<I", body, 24)[0]
        audio = _audio_kind(len(body), riff_bytes, data_bytes, rate_hz, not any(body[44:]))
    elif body:
        audio = "bare"
    return Answer(answer.status_code, kind, "transfer-encoding" in answer.headers, is_cut, text, audio)


BASE = {
    "text": "Hello there.",
    "text_lang": "en",
    "ref_audio_path": "/ref/ref_en.wav",
    "prompt_text": "The quick brown fox jumps over the lazy dog near the river bank.",
    "prompt_lang": "en",
}


def tts(*left_out: str, **changed: object) -> Request:
    fields = {name: value for name, value in {**BASE, **changed}.items() if name not in left_out}
    return Request("POST", "/tts", json.dumps(fields).encode())


TWO = "Hello there my friend. This is the second sentence, a bit longer."

V2_ROWS = {
    "GET /health": Request("GET", "/health"),
    "GET /": Request("GET", "/"),
    "POST /v1/audio/speech": Request("POST", "/v1/audio/speech", b'{"input": "x"}'),
    "no ref": tts("ref_audio_path"),
    "no text": tts(text=""),
    "no text_lang": tts("text_lang"),
    "bad lang": tts(text_lang="fr"),
    "upper lang POST": tts(text_lang="EN"),
    "no prompt_lang": tts("prompt_lang"),
    "bad media": tts(media_type="mp3"),
    "bad cut": tts(text_split_method="cut9"),
    "stream=4": tts(streaming_mode=4),
    "bad json": Request("POST", "/tts", b"{oops"),
    "form": Request("POST", "/tts", b"a=1", "application/x-www-form-urlencoded"),
    "type": tts(top_k="x"),
    "ref missing file": tts(ref_audio_path="/nope.wav"),
    "ref missing file, stream": tts(ref_audio_path="/nope.wav", streaming_mode=True),
    "short ref": tts(ref_audio_path="/ref/short.wav"),
    "long ref": tts(ref_audio_path="/ref/long.wav"),
    "ref not audio": tts(ref_audio_path="/ref/probe_v2.py"),
    "GET no text_lang": Request("GET", "/tts?" + urlencode({**BASE, "text": "hi"}).replace("text_lang=en&", "")),
    "GET no params": Request("GET", "/tts"),
    "PUT": Request("PUT", "/tts", b"{}"),
    "punct only": tts(text="...!?"),
    "emoji only": tts(text="\U0001f600\U0001f600"),
    "newline only": tts(text="\n\n"),
    "space": tts(text="   "),
    "unknown field": tts(frobnicate=1, text="Hi there friend."),
    "post": tts(),
    "get": Request("GET", "/tts?" + urlencode(BASE)),
    "no prompt_text": tts("prompt_text"),
    "raw": tts(media_type="raw"),
    "ogg": tts(media_type="ogg"),
    "stream=True wav": tts(streaming_mode=True, text=TWO),
    "stream=1 wav": tts(streaming_mode=1, text=TWO),
    "stream=2 wav": tts(streaming_mode=2, text=TWO),
    "stream=3 wav": tts(streaming_mode=3, text=TWO),
    "stream=1 ogg": tts(streaming_mode=1, media_type="ogg", text=TWO),
    "stream=1 raw": tts(streaming_mode=1, media_type="raw", text=TWO),
    "set_gpt none": Request("GET", "/set_gpt_weights"),
    "set_gpt bad": Request("GET", "/set_gpt_weights?weights_path=/nope.ckpt"),
    "set_sovits bad": Request("GET", "/set_sovits_weights?weights_path=/nope.pth"),
    "set_refer bad": Request("GET", "/set_refer_audio?refer_audio_path=/nope.wav"),
    "set_refer": Request("GET", "/set_refer_audio?refer_audio_path=/ref/ref_en.wav"),
    "control none": Request("GET", "/control"),
    "control bad": Request("GET", "/control?command=zzz"),
    "control POST": Request("POST", "/control", b'{"command": "x"}'),
    "after": tts(),
    "markdown": tts(text="# Title\n\n* **Bold** item with `code`"),
    "zh": tts(text="你好，这是一个测试。今天是2024年3月5日，温度23.5度。", text_lang="zh"),
    "auto": tts(text="Hello 你好 world 世界。", text_lang="auto"),
    "zh text under en": tts(text="你好世界"),
    "ja": tts(text="こんにちは", text_lang="ja"),
    "yue": tts(text="你好呀，今日天氣好好。", text_lang="yue"),
}
V2_EXCUSED = {
    "docs": "FastAPI's own page; its paths are compared below",
    "aac": "the double has no encoder",
    "stream=1 aac": "the double has no encoder",
    "ko": "a file was missing on the captured machine",
}


@pytest.fixture(scope="module")
def v2() -> Iterator[str]:
    with GPTSoVITS("v2", references=FILES) as server:
        yield server.url


@pytest.mark.parametrize("row", V2_ROWS)
def test_v2_answers_as_captured(v2: str, row: str) -> None:
    assert asked(v2, V2_ROWS[row]) == captured("api_v2.txt")[row]


def test_every_captured_row_of_v2_is_held_or_excused() -> None:
    assert set(captured("api_v2.txt")) == {*V2_ROWS, *V2_EXCUSED}


def root(**fields: object) -> Request:
    return Request("POST", "/", json.dumps(fields).encode())


HELLO = {"text": "Hello there.", "text_language": "en"}
GIVEN = {"refer_wav_path": "/ref/ref_en.wav", "prompt_text": "The quick brown fox.", "prompt_language": "en"}

# In the captured order: /change_refer holds for what comes after it.
V1_ROWS = {
    "GET /health": Request("GET", "/health"),
    "ok default ref": root(**HELLO),
    "cut_punc": root(**HELLO, cut_punc=".,"),
    "GET ok": Request("GET", "/?" + urlencode(HELLO)),
    "explicit ref": root(**HELLO, **GIVEN),
    "ref path only (others default -> default ref used)": root(**HELLO, refer_wav_path="/nope.wav"),
    "ref missing file": root(**HELLO, **{**GIVEN, "refer_wav_path": "/nope.wav"}),
    "short ref 2s": root(**HELLO, **{**GIVEN, "refer_wav_path": "/ref/short.wav"}),
    "no text": root(text_language="en"),
    "empty text": root(text="", text_language="en"),
    "no lang": root(text="Hello there."),
    "bad lang": root(text="Hello there.", text_language="fr"),
    "upper lang": root(text="Hello there.", text_language="EN"),
    "punct only": root(text="...!?", text_language="en"),
    "emoji only": root(text="\U0001f600", text_language="en"),
    "bad json": Request("POST", "/", b"{oops"),
    "empty body": Request("POST", "/", b""),
    "json list": Request("POST", "/", b"[1]"),
    "text is int": root(text=5, text_language="en"),
    "inp_refs str": root(**HELLO, inp_refs=["/ref/ref_en.wav"]),
    "no content-type ok": Request("POST", "/", json.dumps(HELLO).encode(), "text/plain"),
    "change_refer empty": Request("POST", "/change_refer", b"{}"),
    "change_refer partial": Request("POST", "/change_refer", b'{"prompt_text": "x"}'),
    "after partial change": root(**HELLO),
    "change_refer full": Request("POST", "/change_refer", json.dumps(GIVEN).encode()),
    "change_refer to a missing file": Request(
        "POST", "/change_refer", json.dumps({**GIVEN, "refer_wav_path": "/nope.wav"}).encode()
    ),
    "after that": root(**HELLO),
    "change_refer GET": Request("GET", "/change_refer?" + urlencode(GIVEN)),
    "set_model bad": Request("POST", "/set_model", b'{"gpt_model_path": "/no", "sovits_model_path": "/no"}'),
    "control none": Request("POST", "/control", b"{}"),
    "POST /tts": Request("POST", "/tts", b"{}"),
}


def test_v1_and_opea_answer_as_captured() -> None:
    default = Reference("/ref/ref_en.wav", "The quick brown fox.", "en")
    with GPTSoVITS("opea", references=FILES, default_reference=default) as server:
        answers = {row: asked(server.url, request) for row, request in V1_ROWS.items()}
    assert answers == captured("api_v1_and_opea.txt")


@pytest.mark.parametrize(("flavour", "file"), [("v2", "api_v2.openapi.json"), ("opea", "api_v1.openapi.json")])
def test_routes_are_the_captured_ones(flavour: Flavour, file: str) -> None:
    with GPTSoVITS(flavour) as server:
        served = httpx.get(server.url + "/openapi.json").json()["paths"]
    told = json.loads((CAPTURES / file).read_text())["paths"]
    assert set(served) == set(told)
    main_route = "/tts" if flavour == "v2" else "/"
    assert set(served[main_route]) == set(told[main_route]) == {"get", "post"}


def test_opea_speaks_only_the_input_of_its_openai_route() -> None:
    with GPTSoVITS("opea") as server:
        answer = asked(server.url, Request("POST", "/v1/audio/speech", '{"input": "你好", "voice": "x"}'.encode()))
        assert answer == Answer(200, "audio/wav", True, False, None, "right sizes, 32000 Hz")
        assert asked(server.url, Request("POST", "/v1/audio/speech", b"{}")).status == 500


def test_old_v2_refuses_the_new_streams() -> None:
    with GPTSoVITS("v2", old=True) as server:
        assert asked(server.url, tts(streaming_mode=3)).status == 422
        assert asked(server.url, tts(streaming_mode=True)).status == 200


FAULT_ANSWERS = {
    "v2": {
        Fault.REJECT_400: Answer(
            400,
            "application/json",
            False,
            False,
            '{"message":"tts failed","Exception":"/ref/ref_en.wav not exists"}',
            None,
        ),
        Fault.ERROR_500: Answer(500, "text/plain; charset=utf-8", False, False, "Internal Server Error", None),
        Fault.SILENT: Answer(200, "audio/wav", False, False, None, "right sizes, 16000 Hz, 32044 bytes of silence"),
        Fault.CUT_AT_0: Answer(200, "audio/wav", True, True, None, None),
        Fault.EMPTY: Answer(200, "audio/wav", False, False, None, None),
        Fault.HEADER_ONLY: Answer(200, "audio/wav", False, False, None, "right sizes, 32000 Hz, 44 bytes of silence"),
        Fault.JSON_200: Answer(200, "application/json", False, False, '{"message":"success"}', None),
    },
    "v1": {
        Fault.REJECT_400: Answer(
            400, "application/json", False, False, '{"code":400,"message":"未指定参考音频且接口无预设"}', None
        ),
        Fault.CUT_AT_0: Answer(200, "audio/wav", True, True, None, None),
        Fault.EMPTY: Answer(200, "audio/wav", True, False, None, None),
        Fault.HEADER_ONLY: Answer(200, "audio/wav", True, False, None, "right sizes, 32000 Hz, 44 bytes of silence"),
    },
}


@pytest.mark.parametrize(
    ("flavour", "fault"), [(flavour, fault) for flavour, faults in FAULT_ANSWERS.items() for fault in faults]
)
def test_faults_answer_as_told_and_then_the_server_is_well(flavour: Flavour, fault: Fault) -> None:
    with GPTSoVITS(flavour, faults=[fault]) as server:
        request = tts() if flavour == "v2" else root(**HELLO, **GIVEN)
        assert asked(server.url, request) == FAULT_ANSWERS[flavour][fault]
        assert asked(server.url, request).audio == "right sizes, 32000 Hz"


@pytest.mark.parametrize("flavour", ["v2", "v1"])
def test_body_cut_in_the_middle_is_shorter_than_its_header_says(flavour: Flavour) -> None:
    with GPTSoVITS(flavour, faults=Fault.CUT_IN_MIDDLE) as server:
        answer = asked(server.url, tts() if flavour == "v2" else root(**HELLO, **GIVEN))
    assert answer.is_cut
    assert answer.audio is not None
    assert answer.audio.startswith("sizes ")


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.SLOW])
def test_a_client_that_gives_up_is_counted(fault: Fault) -> None:
    with GPTSoVITS("v2", faults=[fault]) as server:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(server.url + "/tts", json=BASE, timeout=0.2)
        assert httpx.post(server.url + "/tts", json=BASE, timeout=10).status_code == 200
        assert (server.process.disconnects, server.process.finished) == (1, 2)


def test_refuse_is_a_port_where_nobody_listens() -> None:
    with GPTSoVITS("v2", faults=Fault.REFUSE) as server, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=2)


def test_a_stopped_server_refuses_and_comes_back_on_its_port() -> None:
    with GPTSoVITS("v2") as server:
        server.stop()
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url)
        server.start()
        assert httpx.get(server.url).status_code == 404


@pytest.mark.parametrize(("flavour", "finished"), [("v2", 1), ("v1", 0)])
async def test_v2_answers_nothing_while_it_speaks_and_v1_does(flavour: Flavour, finished: int) -> None:
    request = tts() if flavour == "v2" else root(**HELLO, **GIVEN)
    async with (
        GPTSoVITS(flavour, seconds_per_sentence=0.3) as server,
        httpx.AsyncClient(base_url=server.url, timeout=10) as client,
        asyncio.TaskGroup() as tasks,
    ):
        speech = tasks.create_task(
            client.post(request.path, content=request.body, headers={"content-type": request.content_type})
        )
        await asyncio.to_thread(server.process.wait_for_requests, 1)
        await client.get("/openapi.json")
        assert server.process.finished == finished
        assert (await speech).status_code == 200
