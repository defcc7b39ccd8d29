"""The three kinds of speech engine against protocol-true servers: what they send, and what each failure becomes."""

import asyncio
import json
import logging
import shlex
from collections.abc import Callable

import pytest

from megaservice.audio import wav
from megaservice.errors import TTSBadAudio, TTSError, TTSRejected, TTSTimeout, TTSUnavailable
from megaservice.logs import PayloadLog
from megaservice.models import Language, Voice
from megaservice.settings import Settings
from megaservice.speech import FallbackChain, build_chain, build_engine
from megaservice.speech.http_engine import HTTPEngine, Limits
from megaservice.upstreams import Dialect, Readiness, SpeechEndpoint
from tests.doubles.gpt_sovits import Fault, Flavour, GPTSoVITS
from tests.doubles.openai_speech import OpenAISpeechServer

ZH = Voice("zh_female", "Xiaoxiao", Language.ZH, "/voices/zh.wav", "你好，欢迎你。", "zf_xiaoxiao")
EN = Voice("en_female", "Heart", Language.EN, "/voices/en.wav", "Hello, and welcome.")
TEXT = "你好！你叫什么名字？"

QUICK = Limits(base_seconds=0.4, seconds_per_character=0.0)

Server = GPTSoVITS | OpenAISpeechServer


def server_for(dialect: Dialect, fault: Fault | None = None, seconds: float = 0.0) -> Server:
    if dialect is Dialect.OPENAI:
        return OpenAISpeechServer(faults=fault, seconds_per_sentence=seconds)
    return GPTSoVITS("v2" if dialect is Dialect.SOVITS_V2 else "v1", faults=fault, seconds_per_sentence=seconds)


def engine_for(dialect: Dialect, url: str, limits: Limits | None = None, api_key: str = "") -> HTTPEngine:
    endpoint = SpeechEndpoint(dialect, url)
    return build_engine(endpoint, limits=limits or Limits(), payloads=PayloadLog(enabled=True), api_key=api_key)


async def spoken(engine: HTTPEngine, transcript: str = TEXT, voice: Voice = ZH) -> float:
    """Seconds of speech; closes the engine."""
    try:
        return (await engine.synthesise(transcript, voice, voice.language)).duration_seconds
    finally:
        await engine.aclose()


async def failure(engine: HTTPEngine, transcript: str = TEXT, voice: Voice = ZH) -> TTSError:
    with pytest.raises(TTSError) as caught:
        await spoken(engine, transcript, voice)
    return caught.value


@pytest.mark.parametrize(
    ("dialect", "voice", "text", "sent"),
    [
        (
            Dialect.SOVITS_V2,
            ZH,
            TEXT,
            {
                "text": TEXT,
                "text_lang": "zh",
                "ref_audio_path": "/voices/zh.wav",
                "prompt_text": "你好，欢迎你。",
                "prompt_lang": "zh",
                "text_split_method": "cut0",
                "batch_size": 1,
                "media_type": "wav",
                "streaming_mode": False,
            },
        ),
        (
            Dialect.SOVITS_V1,
            EN,
            "How do you do?",
            {
                "text": "How do you do?",
                "text_language": "en",
                "refer_wav_path": "/voices/en.wav",
                "prompt_text": "Hello, and welcome.",
                "prompt_language": "en",
            },
        ),
        (
            Dialect.OPENAI,
            ZH,
            TEXT,
            {"model": "tts-1", "input": TEXT, "voice": "zf_xiaoxiao", "response_format": "wav"},
        ),
        (
            Dialect.OPENAI,
            EN,
            "How do you do?",
            {"model": "tts-1", "input": "How do you do?", "voice": "en_female", "response_format": "wav"},
        ),
    ],
)
async def test_request_is_what_the_dialect_wants(
    dialect: Dialect, voice: Voice, text: str, sent: dict[str, object]
) -> None:
    async with server_for(dialect) as server:
        await spoken(engine_for(dialect, server.url), text, voice)
        assert server.process.requests == [sent]


@pytest.mark.parametrize("dialect", Dialect)
async def test_speech_is_a_whole_wav_file(dialect: Dialect) -> None:
    async with server_for(dialect) as server:
        engine = engine_for(dialect, server.url)
        speech = await engine.synthesise(TEXT, ZH, Language.ZH)
        await engine.aclose()
    facts = wav.parse(speech.wav)
    assert (facts.sample_rate_hz, facts.duration_seconds) == (speech.sample_rate_hz, speech.duration_seconds)
    assert speech.sample_rate_hz == server.process.sample_rate_hz
    assert 1.5 < speech.duration_seconds < 2.5
    assert len(speech.wav) == 44 + facts.data_bytes


FAULTS: list[tuple[Fault, type[TTSError], str]] = [
    (Fault.REFUSE, TTSUnavailable, "takes no connection (is it running, and is its address in TTS_ENDPOINTS right?)"),
    (Fault.HANG, TTSTimeout, "did not speak 10 characters within 0.4 s"),
    (Fault.SLOW, TTSTimeout, "higher TTS_TIMEOUT_PER_CHARACTER_SECONDS"),
    (Fault.REJECT_400, TTSRejected, "answered 400: "),
    (Fault.REJECT_422, TTSRejected, "answered 422: "),
    (Fault.ERROR_500, TTSUnavailable, "answered 500: "),
    (Fault.SILENT, TTSBadAudio, "answered with "),
    (Fault.CUT_AT_0, TTSBadAudio, "broke its answer off after 0 bytes"),
    (Fault.CUT_IN_MIDDLE, TTSBadAudio, "broke its answer off after "),
    (Fault.EMPTY, TTSBadAudio, "answered with no WAV file (it is empty)"),
    (Fault.HEADER_ONLY, TTSBadAudio, "answered with an empty WAV file (0 frames)"),
    (Fault.JSON_200, TTSBadAudio, "answered 200 with application/json instead of sound: "),
    (Fault.SHORT, TTSBadAudio, "answered with 0."),
]


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(("fault", "kind", "told"), FAULTS, ids=[fault for fault, _, _ in FAULTS])
async def test_failure_becomes_the_error_that_tells_it(
    dialect: Dialect, fault: Fault, kind: type[TTSError], told: str
) -> None:
    async with server_for(dialect, fault) as server:
        limits = QUICK if kind is TTSTimeout else Limits()
        error = await failure(engine_for(dialect, server.url, limits))
    assert type(error) is kind
    assert error.code == kind.code
    assert error.message.startswith(told) or told in error.message
    assert error.retryable is (kind is not TTSRejected)


@pytest.mark.parametrize("dialect", Dialect)
async def test_endless_speech_is_refused(dialect: Dialect) -> None:
    async with server_for(dialect, Fault.ENDLESS) as server:
        error = await failure(engine_for(dialect, server.url))
    assert (type(error), error.message[:14], error.message[-14:]) == (TTSBadAudio, "sent more than", "endless speech")


async def test_v2_server_that_lacks_the_reference_is_told_of() -> None:
    async with GPTSoVITS("v2", references={"/voices/short.wav": 2.0}) as server:
        missing = await failure(engine_for(Dialect.SOVITS_V2, server.url))
        short = Voice("v", "v", Language.ZH, "/voices/short.wav", "你好。")
        too_short = await failure(engine_for(Dialect.SOVITS_V2, server.url), voice=short)
    remedy = "the voice's reference_path in TTS_VOICES_FILE must be a path that it sees"
    assert missing.message == f"answered 400: tts failed: /voices/zh.wav not exists ({remedy})"
    assert too_short.message.endswith("(the voice's reference recording must be 3 to 10 s long)")


async def test_v2_voice_without_a_reference_is_rejected_before_it_is_sent() -> None:
    bare = Voice("bare", "Bare", Language.ZH)
    async with GPTSoVITS("v2") as server:
        error = await failure(engine_for(Dialect.SOVITS_V2, server.url), voice=bare)
        assert (error.code, server.process.requests) == ("tts_rejected", [])


async def test_v1_voice_without_a_reference_leaves_it_to_the_server() -> None:
    bare = Voice("bare", "Bare", Language.ZH)
    async with GPTSoVITS("v1") as server:
        error = await failure(engine_for(Dialect.SOVITS_V1, server.url), voice=bare)
        assert error.message == (
            "answered 400: 未指定参考音频且接口无预设 (start it with -dr, -dt and -dl, or give the voice a "
            "reference_path and transcript)"
        )
    async with GPTSoVITS("opea") as server:  # has a default reference
        assert await spoken(engine_for(Dialect.SOVITS_V1, server.url), voice=bare) > 1
        assert server.process.requests == [{"text": TEXT, "text_language": "zh"}]


@pytest.mark.parametrize(
    ("dialect", "flavour", "suffix"),
    [(Dialect.SOVITS_V2, "v1", ""), (Dialect.SOVITS_V1, "v2", ""), (Dialect.OPENAI, "v2", "/v1")],
)
async def test_wrong_kind_of_server_is_rejected_with_a_hint(dialect: Dialect, flavour: Flavour, suffix: str) -> None:
    async with GPTSoVITS(flavour) as server:
        error = await failure(engine_for(dialect, server.url + suffix))
    assert (type(error), error.message[:13]) == (TTSRejected, "answered 404:")
    assert f"wrong kind of server, as {dialect} needs POST" in error.message


async def test_opea_speaks_through_its_openai_route() -> None:
    async with GPTSoVITS("opea") as server:
        assert 1.5 < await spoken(engine_for(Dialect.OPENAI, server.url + "/v1")) < 2.5


@pytest.mark.parametrize("media_type", ["", "application/octet-stream", "audio/x-wav"])
async def test_openai_server_may_be_vague_about_the_type(media_type: str) -> None:
    async with OpenAISpeechServer(media_type=media_type, is_streamed=True) as server:
        assert 1.5 < await spoken(engine_for(Dialect.OPENAI, server.url)) < 2.5


async def test_overloaded_server_is_busy() -> None:
    async with OpenAISpeechServer(is_overloaded=True) as server:
        error = await failure(engine_for(Dialect.OPENAI, server.url))
    assert (type(error), error.code) == (TTSUnavailable, "tts_busy")


async def test_key_is_sent_and_appears_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="megaservice")
    async with OpenAISpeechServer(api_key="top-secret") as server:
        engine = engine_for(Dialect.OPENAI, server.url, api_key="top-secret")
        assert await spoken(engine) > 1
        error = await failure(engine_for(Dialect.OPENAI, server.url, api_key="wrong-secret"))
    assert error.message == "answered 401 (is TTS_API_KEY right?)"
    assert '-H "Authorization: Bearer $TTS_API_KEY"' in engine.curl(ZH)
    shown = engine.curl(ZH) + str([record.__dict__ for record in caplog.records])
    assert "secret" not in shown


def test_key_does_not_go_to_gpt_sovits() -> None:
    assert "Authorization" not in engine_for(Dialect.SOVITS_V2, "http://h:9880", api_key="top-secret").curl(ZH)


async def test_password_in_the_url_is_used_and_never_shown() -> None:
    async with GPTSoVITS("v2") as server:
        engine = engine_for(Dialect.SOVITS_V2, server.url.replace("://", "://me:hidden@"))
        assert await spoken(engine) > 1
    assert engine.endpoint == f"sovits-v2+{server.url}"
    assert "hidden" not in engine.curl(ZH)


async def test_payloads_are_logged_with_format_and_size(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="megaservice.payload")
    async with GPTSoVITS("v2", faults=[None, Fault.REJECT_400]) as server:
        engine = engine_for(Dialect.SOVITS_V2, server.url)
        await engine.synthesise(TEXT, ZH, Language.ZH)
        await failure(engine)
    logged = [record.__dict__["fields"] for record in caplog.records if record.name == "megaservice.payload"]
    assert [(entry.get("status"), entry.get("format")) for entry in logged] == [
        (None, None),
        (200, "audio/wav"),
        (None, None),
        (400, "application/json"),
    ]
    assert json.loads(logged[0]["body"])["text"] == TEXT
    assert "body" not in logged[1]
    assert logged[1]["bytes"] > 100_000
    assert "not exists" in logged[3]["body"]
    assert engine.last_format == "400 application/json, content-length, 64 bytes"


async def test_one_request_is_in_flight_and_the_others_wait_their_turn() -> None:
    async with GPTSoVITS("v2", seconds_per_sentence=0.05) as server:
        engine = engine_for(Dialect.SOVITS_V2, server.url)
        texts = ["你好，你叫什么名字？", "我叫大卫，你呢？", "你是哪国人？"]
        await asyncio.gather(*(engine.synthesise(text, ZH, Language.ZH) for text in texts))
        await engine.aclose()
        assert [request["text"] for request in server.process.requests] == texts
        assert server.process.most_in_flight == 1


async def test_dialects_of_one_process_share_its_one_request_in_flight() -> None:
    async with GPTSoVITS("opea", seconds_per_sentence=0.05) as server:
        endpoints = f"sovits-v1+{server.url},openai+{server.url}/v1"
        chain = build_chain(Settings.model_validate({"TTS_ENDPOINTS": endpoints}), PayloadLog())
        await chain.warm_up([ZH, EN])  # every endpoint at once
        await chain.aclose()
        assert (len(server.process.requests), server.process.most_in_flight) == (4, 1)


async def test_full_queue_is_busy_at_once() -> None:
    async with GPTSoVITS("v2", seconds_per_sentence=0.3) as server:
        engine = engine_for(Dialect.SOVITS_V2, server.url, Limits(waiting=1))
        running = [asyncio.create_task(engine.synthesise(TEXT, ZH, Language.ZH)) for _ in range(2)]
        await asyncio.to_thread(server.process.wait_for_requests, 1)
        with pytest.raises(TTSUnavailable, match="1 sentences waiting") as caught:
            await engine.synthesise(TEXT, ZH, Language.ZH)
        assert caught.value.code == "tts_busy"
        assert [speech.sample_rate_hz for speech in await asyncio.gather(*running)] == [32_000, 32_000]
        await engine.aclose()


async def test_waiting_for_a_turn_ends_as_busy() -> None:
    async with GPTSoVITS("v1", seconds_per_sentence=0.3) as server:
        patient = Limits(base_seconds=0.0, seconds_per_character=0.1)  # 1 s for TEXT, 0.2 s for the short one
        engine = engine_for(Dialect.SOVITS_V1, server.url, patient)
        running = asyncio.create_task(engine.synthesise(TEXT, ZH, Language.ZH))
        await asyncio.to_thread(server.process.wait_for_requests, 1)
        with pytest.raises(TTSUnavailable, match="was busy with other sentences") as caught:
            await engine.synthesise("你好", ZH, Language.ZH)
        assert caught.value.code == "tts_busy"
        assert (await running).sample_rate_hz == 32_000
        await engine.aclose()


class AheadClock:
    """The loop's time and what the test adds."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead_seconds


def engine_with_clock(dialect: Dialect, url: str, limits: Limits, clock: Callable[[], float]) -> HTTPEngine:
    kind = type(engine_for(dialect, url))
    return kind(SpeechEndpoint(dialect, url), limits=limits, clock=clock)


async def test_gpt_sovits_that_took_too_long_is_busy_for_a_while() -> None:
    clock = AheadClock()
    async with GPTSoVITS("v2", faults=[Fault.HANG]) as server:
        engine = engine_with_clock(Dialect.SOVITS_V2, server.url, QUICK, clock)
        with pytest.raises(TTSTimeout):
            await engine.synthesise(TEXT, ZH, Language.ZH)
        assert 0.0 < engine.busy_seconds_left < 0.4  # half of what it took
        with pytest.raises(TTSUnavailable, match="still works on a sentence that took too long") as caught:
            await engine.synthesise(TEXT, ZH, Language.ZH)
        assert (caught.value.code, len(server.process.requests)) == ("tts_busy", 1)
        clock.ahead_seconds = engine.busy_seconds_left
        assert engine.busy_seconds_left == 0
        assert await spoken(engine) > 1


async def test_openai_server_that_took_too_long_is_asked_again() -> None:
    async with OpenAISpeechServer(faults=[Fault.HANG]) as server:
        engine = engine_for(Dialect.OPENAI, server.url, QUICK)
        with pytest.raises(TTSTimeout):
            await engine.synthesise(TEXT, ZH, Language.ZH)
        assert engine.busy_seconds_left == 0
        assert await spoken(engine) > 1


async def test_cancelling_closes_the_request_and_the_next_one_gets_the_time_left() -> None:
    """GPT-SoVITS speaks a cancelled sentence to its end; the one behind it must not time out for that."""
    async with GPTSoVITS("v2", seconds_per_sentence=0.7) as server:
        engine = engine_for(Dialect.SOVITS_V2, server.url, Limits(base_seconds=1.1, seconds_per_character=0.0))
        await engine.synthesise(TEXT, ZH, Language.ZH)
        cancelled = asyncio.create_task(engine.synthesise(TEXT, ZH, Language.ZH))
        await asyncio.to_thread(server.process.wait_for_requests, 2)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert await spoken(engine) > 1
        assert server.process.disconnects == 1


async def test_slow_text_gets_more_time() -> None:
    limits = Limits(base_seconds=0.1, seconds_per_character=0.05)
    async with GPTSoVITS("v2", seconds_per_character=0.03) as server:
        engine = engine_for(Dialect.SOVITS_V2, server.url, limits)
        assert await spoken(engine, TEXT * 2) > 3


async def test_curl_line_repeats_a_request() -> None:
    async with GPTSoVITS("v2") as server:
        engine = engine_for(Dialect.SOVITS_V2, server.url)
        words = shlex.split(engine.curl(ZH))
        await spoken(engine, "你好！")
        assert words[-1] == server.url + "/tts"
        assert json.loads(words[words.index("-d") + 1]) == server.process.requests[0]


async def test_open_port_is_told_from_a_closed_one() -> None:
    async with GPTSoVITS("v2") as server:
        engine = engine_for(Dialect.SOVITS_V2, server.url)
        assert await engine.takes_connections()
        await asyncio.to_thread(server.stop)
        assert not await engine.takes_connections()
        assert not await engine_for(Dialect.SOVITS_V2, "http://no-such-host.invalid:9880").takes_connections()


async def test_unknown_host_takes_no_connection() -> None:
    error = await failure(engine_for(Dialect.OPENAI, "http://no-such-host.invalid:9088/v1"))
    assert error.message.startswith("takes no connection")


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with GPTSoVITS("v2") as server:
        assert await spoken(engine_for(Dialect.SOVITS_V2, server.url)) > 1


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("fault", [fault for fault, _, _ in FAULTS])
async def test_second_endpoint_speaks_whatever_befalls_the_first(dialect: Dialect, fault: Fault) -> None:
    async with server_for(dialect, fault) as first, GPTSoVITS("v2") as second:
        chain = FallbackChain([engine_for(dialect, first.url, QUICK), engine_for(Dialect.SOVITS_V2, second.url)])
        speaker = chain.speaker()
        spoke = [(await speaker.speak(index, TEXT, ZH, Language.ZH))[1] for index in range(2)]
        await chain.aclose()
    assert spoke == [f"sovits-v2+{second.url}"] * 2
    assert [attempt.outcome for attempt in speaker.attempts[1:]] == ["ok", "ok"]
    assert speaker.attempts[0].endpoint == f"{dialect}+{first.url}"


async def test_dead_server_that_comes_back_speaks_again() -> None:
    clock = AheadClock()
    async with GPTSoVITS("v2") as first, GPTSoVITS("v1") as second:
        engines = [engine_for(Dialect.SOVITS_V2, first.url), engine_for(Dialect.SOVITS_V1, second.url)]
        chain = FallbackChain(engines, clock=clock)
        await asyncio.to_thread(first.stop)
        spoke = [(await chain.speaker().speak(0, TEXT, ZH, Language.ZH))[1]]
        await asyncio.to_thread(first.start)
        for clock.ahead_seconds in (0.0, 5.0):
            spoke.append((await chain.speaker().speak(0, TEXT, ZH, Language.ZH))[1])
        await chain.aclose()
    assert spoke == [engines[1].endpoint, engines[1].endpoint, engines[0].endpoint]


async def test_chain_is_built_from_the_settings_in_their_order() -> None:
    async with GPTSoVITS("v2") as first, GPTSoVITS("v1") as second, OpenAISpeechServer(api_key="k") as third:
        endpoints = f"sovits-v2+{first.url},sovits-v1+{second.url},openai+{third.url}"
        chain = build_chain(
            Settings.model_validate({"TTS_ENDPOINTS": endpoints, "TTS_API_KEY": "k"}), PayloadLog(enabled=False)
        )
        await chain.warm_up([ZH, EN])
        states = chain.states()
        told = Readiness(True, f"{states[0].endpoint} takes connections.", states[0].endpoint)
        assert await chain.readiness() == told
        await chain.aclose()
    assert [state.endpoint for state in states] == endpoints.split(",")
    assert [(state.state, state.successes, state.failures) for state in states] == [("ok", 2, 0)] * 3
