"""What a voice server's answer means, as a table."""

import pytest

from megaservice.errors import TTSBadAudio, TTSError, TTSRejected, TTSUnavailable
from megaservice.models import Language
from megaservice.speech.answers import Answer, refusal, speech_in
from megaservice.upstreams import Dialect
from tests.doubles.speech_faults import sound, wav

V2, V1, OPENAI = Dialect.SOVITS_V2, Dialect.SOVITS_V1, Dialect.OPENAI
OUT_OF_RANGE = '{"message":"tts failed","Exception":"参考音频在3~10秒范围外，请更换！"}'
WRONG_KIND = (
    "(it may be the wrong kind of server, as {} needs POST /x: in TTS_ENDPOINTS the api_v2.py of GPT-SoVITS is "
    "sovits-v2, its api.py sovits-v1, a server with /v1/audio/speech openai)"
)


def answer(
    status: int, body: bytes | str = b"", content_type: str = "application/json", *, wait: bool = False
) -> Answer:
    raw = body.encode() if isinstance(body, str) else body
    return Answer(status, content_type, "content-length", wait, raw)


@pytest.mark.parametrize(
    ("status", "body", "dialect", "kind", "code", "message"),
    [
        (400, '{"message":"text is required"}', V2, TTSRejected, "tts_rejected", "answered 400: text is required"),
        (
            400,
            OUT_OF_RANGE,
            V2,
            TTSRejected,
            "tts_rejected",
            "answered 400: tts failed: 参考音频在3~10秒范围外，请更换！ "
            "(the voice's reference recording must be 3 to 10 s long)",
        ),
        (
            422,
            '{"detail":[{"loc":["body","top_k"],"msg":"wants an integer"}]}',
            V2,
            TTSRejected,
            "tts_rejected",
            'answered 422: [{"loc": ["body", "top_k"], "msg": "wants an integer"}]',
        ),
        (
            400,
            '{"error":{"message":"No such voice.","code":null}}',
            OPENAI,
            TTSRejected,
            "tts_rejected",
            "answered 400: No such voice.",
        ),
        (413, "<html>\n too large", OPENAI, TTSRejected, "tts_rejected", "answered 413: <html> too large"),
        (
            404,
            '{"detail":"Not Found"}',
            V1,
            TTSRejected,
            "tts_rejected",
            f"answered 404: Not Found {WRONG_KIND.format('sovits-v1')}",
        ),
        (301, "", OPENAI, TTSRejected, "tts_rejected", f"answered 301: nothing {WRONG_KIND.format('openai')}"),
        (405, "no", V2, TTSRejected, "tts_rejected", f"answered 405: no {WRONG_KIND.format('sovits-v2')}"),
        (401, "no", OPENAI, TTSRejected, "tts_rejected", "answered 401 (is TTS_API_KEY right?)"),
        (403, "no", V2, TTSRejected, "tts_rejected", "answered 403 (it wants a login)"),
        (429, "slow down", OPENAI, TTSUnavailable, "tts_busy", "answered 429: slow down"),
        (500, "[]", V1, TTSUnavailable, "tts_unavailable", "answered 500: [] (its own log says why)"),
        (503, "no", OPENAI, TTSUnavailable, "tts_unavailable", "answered 503: no (its own log says why)"),
    ],
)
def test_refusal_says_what_the_server_said_and_what_helps(
    status: int, body: str, dialect: Dialect, kind: type[TTSError], code: str, message: str
) -> None:
    error = refusal(answer(status, body), dialect, "/x")
    assert (type(error), error.code, error.message) == (kind, code, message)


def test_server_that_asks_to_wait_is_busy() -> None:
    assert refusal(answer(503, "full", wait=True), OPENAI, "/x").code == "tts_busy"


def test_long_words_are_cut() -> None:
    assert refusal(answer(400, "x" * 5000), V2, "/x").message == f"answered 400: {'x' * 300}…"


SPEECH = wav(sound(2.0, 24_000), 24_000)


@pytest.mark.parametrize(
    ("content_type", "dialect", "is_taken"),
    [
        ("audio/wav", V2, True),
        ("Audio/X-WAV; rate=24000", V1, True),
        ("", OPENAI, True),
        ("application/octet-stream", OPENAI, True),
        ("", V2, False),
        ("application/octet-stream", V1, False),
        ("application/json", OPENAI, False),
        ("text/html", V2, False),
    ],
)
def test_sound_comes_with_its_type_but_for_openai_servers_without_one(
    content_type: str, dialect: Dialect, is_taken: bool
) -> None:
    told = answer(200, SPEECH, content_type)
    if is_taken:
        assert speech_in(told, dialect, "你好！你叫什么名字？", Language.ZH).wav == SPEECH
    else:
        with pytest.raises(TTSBadAudio, match="instead of sound"):
            speech_in(told, dialect, "你好！你叫什么名字？", Language.ZH)


def test_what_is_no_speech_is_told_as_the_answer() -> None:
    with pytest.raises(TTSBadAudio) as caught:
        speech_in(answer(200, wav(bytes(64_000), 32_000), "audio/wav"), V2, "你好！", Language.ZH)
    assert caught.value.message == "answered with 1.0 s of silence"


def test_format_is_told_in_words() -> None:
    assert answer(200, SPEECH, "audio/wav").format == (
        "200 audio/wav, WAV PCM16 mono 24000 Hz, content-length, 96044 bytes"
    )
    assert answer(502).format == "502 application/json, content-length, 0 bytes"


def test_sound_is_no_text_for_the_payload_log() -> None:
    assert answer(200, SPEECH, "audio/wav").text is None
    assert answer(200, SPEECH, "").text is None
    assert answer(200, "{}").text == "{}"
    assert answer(500, b"\xff", "audio/wav").text == "\ufffd"
