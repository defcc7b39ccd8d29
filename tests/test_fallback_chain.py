"""The fallback chain: order, cool-downs, a turn's voice, and what is kept of each endpoint."""

import asyncio
from contextlib import suppress

import pytest

from megaservice.errors import AllEnginesFailed, TTSBadAudio, TTSError, TTSRejected, TTSTimeout, TTSUnavailable
from megaservice.loading import Loading
from megaservice.logs import current_turn
from megaservice.models import Attempt, Language, Speech, Voice
from megaservice.speech.chain import FallbackChain
from megaservice.upstreams import Dialect, EndpointState, Readiness, TurnAttempt

SPEECH = Speech(b"RIFF", 32_000, 2.0)
VOICE = Voice("zh_female", "Xiaoxiao", Language.ZH, "/voices/zh.wav", "你好。")

Step = Speech | TTSError


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeEngine:
    """Plays its script, then speaks well; each try takes 0.25 s of the clock."""

    dialect = Dialect.SOVITS_V2

    def __init__(self, name: str, clock: Clock, *script: Step, takes_connections: bool = True) -> None:
        self.endpoint = f"sovits-v2+http://{name}:9880"
        self.script = list(script)
        self.spoken: list[str] = []
        self.busy_seconds_left = 0.0
        self.last_format: str | None = None
        self.is_closed = False
        self._clock = clock
        self.is_listening = takes_connections
        self.load: Loading | None = None

    async def synthesise(self, transcript: str, voice: Voice, language: Language) -> Speech:
        self.spoken.append(transcript)
        self._clock.now += 0.25
        step = self.script.pop(0) if self.script else SPEECH
        if isinstance(step, TTSError):
            raise step
        self.last_format = "200 audio/wav"
        return step

    def curl(self, voice: Voice) -> str:
        if voice.reference_path is None:
            raise TTSRejected("needs a reference")
        return f"curl {voice.reference_path}"

    async def takes_connections(self) -> bool:
        return self.is_listening

    async def loading(self) -> Loading | None:
        return self.load

    async def aclose(self) -> None:
        self.is_closed = True


class Bench:
    """A chain of engines a, b, c... that play the scripts given."""

    def __init__(self, *scripts: list[Step], cooldown_max_seconds: float = 60.0) -> None:
        self.clock = Clock()
        self.engines = [FakeEngine(name, self.clock, *script) for name, script in zip("abc", scripts, strict=False)]
        self.chain = FallbackChain(
            self.engines, clock=self.clock, cooldown_seconds=5.0, cooldown_max_seconds=cooldown_max_seconds
        )
        self.speaker = self.chain.speaker()
        self.sentence = 0

    async def speak(self, *, new_turn: bool = False) -> str:
        """One sentence; tells who was tried with what outcome: "a:tts_timeout b:ok"."""
        if new_turn:
            self.speaker = self.chain.speaker()
        before = len(self.speaker.attempts)
        with suppress(AllEnginesFailed):
            await self.speaker.speak(self.sentence, f"句{self.sentence}", VOICE, Language.ZH)
        self.sentence += 1
        return " ".join(f"{x.endpoint[17]}:{x.outcome}" for x in self.speaker.attempts[before:])


async def test_first_endpoint_speaks_while_it_is_well() -> None:
    bench = Bench([], [])
    speech, endpoint = await bench.speaker.speak(3, "你好。", VOICE, Language.ZH)
    assert (speech, endpoint) == (SPEECH, "sovits-v2+http://a:9880")
    assert bench.speaker.attempts == (Attempt(3, "sovits-v2+http://a:9880", "ok", 250.0),)
    assert bench.engines[1].spoken == []


@pytest.mark.parametrize("error", [TTSUnavailable("x"), TTSTimeout("x"), TTSBadAudio("x"), TTSRejected("x")])
async def test_any_failure_goes_on_to_the_next_endpoint(error: TTSError) -> None:
    bench = Bench([error], [])
    assert await bench.speak() == f"a:{error.code} b:ok"


async def test_turn_stays_on_the_endpoint_it_fell_back_to() -> None:
    bench = Bench([TTSTimeout("x")], [])
    assert await bench.speak() == "a:tts_timeout b:ok"
    bench.clock.now += 3600
    assert await bench.speak() == "b:ok"
    assert await bench.speak(new_turn=True) == "a:ok"


async def test_kept_endpoint_that_fails_is_followed_by_those_below_and_then_above() -> None:
    bench = Bench([TTSRejected("x")], [SPEECH, TTSBadAudio("x")], [TTSBadAudio("x")])
    assert await bench.speak() == "a:tts_rejected b:ok"
    assert await bench.speak() == "b:tts_bad_audio c:tts_bad_audio a:ok"
    assert await bench.speak() == "a:ok"


async def test_failed_endpoint_is_left_out_until_its_cooldown_ends() -> None:
    bench = Bench([TTSUnavailable("x")], [])
    await bench.speak()
    bench.clock.now += 4.5
    assert await bench.speak(new_turn=True) == "b:ok"
    bench.clock.now += 0.5
    assert await bench.speak(new_turn=True) == "a:ok"


async def test_cooldown_doubles_up_to_its_limit_and_a_success_ends_that() -> None:
    script: list[Step] = [*[TTSTimeout("x")] * 5, SPEECH, TTSTimeout("x")]
    bench = Bench(script, [], cooldown_max_seconds=30.0)
    seconds = []
    for _ in range(7):
        await bench.speak(new_turn=True)
        state = bench.chain.states()[0]
        bench.clock.now += state.cooldown_seconds_left
        seconds.append(state.cooldown_seconds_left)
    # The second endpoint's 0.25 s have passed when it is looked at.
    assert seconds == [4.8, 9.8, 19.8, 29.8, 29.8, 0.0, 4.8]


async def test_rejection_and_a_busy_server_are_no_reason_for_a_cooldown() -> None:
    bench = Bench([TTSRejected("x"), TTSUnavailable("x", code="tts_busy"), SPEECH], [])
    assert await bench.speak(new_turn=True) == "a:tts_rejected b:ok"
    assert await bench.speak(new_turn=True) == "a:tts_busy b:ok"
    assert await bench.speak(new_turn=True) == "a:ok"


async def test_all_on_cooldown_are_all_tried() -> None:
    bench = Bench([TTSUnavailable("x")] * 2, [TTSTimeout("x")])
    assert await bench.speak() == "a:tts_unavailable b:tts_timeout"
    assert await bench.speak() == "a:tts_unavailable b:ok"


async def test_all_failing_names_every_cause_in_order() -> None:
    bench = Bench([TTSUnavailable("takes no connection")], [TTSBadAudio("answered with 1.0 s of silence")])
    with pytest.raises(AllEnginesFailed) as caught:
        await bench.speaker.speak(0, "你好。", VOICE, Language.ZH)
    assert caught.value.message == (
        "No speech endpoint could speak this sentence: sovits-v2+http://a:9880: takes no connection; "
        "sovits-v2+http://b:9880: answered with 1.0 s of silence."
    )


async def test_no_endpoints_at_all_fail_in_words() -> None:
    bench = Bench()
    with pytest.raises(AllEnginesFailed, match="none is configured"):
        await bench.speaker.speak(0, "你好。", VOICE, Language.ZH)
    assert await bench.chain.readiness() == Readiness(False, "None is configured.")


async def test_failures_of_one_moment_count_once() -> None:
    clock = Clock()
    arrived, release = asyncio.Event(), asyncio.Event()

    class Slow(FakeEngine):
        async def synthesise(self, transcript: str, voice: Voice, language: Language) -> Speech:
            if len(self.spoken) == 1:
                arrived.set()
            self.spoken.append(transcript)
            await release.wait()
            clock.now += 1
            raise TTSUnavailable("x")

    chain = FallbackChain([Slow("a", clock)], clock=clock, cooldown_seconds=5.0)
    speakers = [chain.speaker(), chain.speaker()]
    tries = [asyncio.create_task(speaker.speak(0, "你好。", VOICE, Language.ZH)) for speaker in speakers]
    await arrived.wait()
    release.set()
    await asyncio.gather(*tries, return_exceptions=True)
    assert chain.states()[0].cooldown_seconds_left == 5.0
    assert chain.states()[0].failures == 2


async def test_cancelled_try_is_no_failure() -> None:
    clock, arrived = Clock(), asyncio.Event()

    class Hanging(FakeEngine):
        async def synthesise(self, transcript: str, voice: Voice, language: Language) -> Speech:
            arrived.set()
            await asyncio.Event().wait()
            raise AssertionError

    chain = FallbackChain([Hanging("a", clock)], clock=clock)
    speaker = chain.speaker()
    trying = asyncio.create_task(speaker.speak(0, "你好。", VOICE, Language.ZH))
    await arrived.wait()
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    assert speaker.attempts == ()
    assert (chain.states()[0].state, chain.states()[0].failures) == ("unknown", 0)


async def test_states_tell_all_that_is_known() -> None:
    bench = Bench([TTSBadAudio("answered with 1.0 s of silence")], [], [])
    await bench.speak()
    bench.engines[2].busy_seconds_left = 3.0
    bare = Voice("bare", "Bare", Language.ZH)
    assert bench.chain.states(bare) == (
        EndpointState(
            endpoint="sovits-v2+http://a:9880",
            dialect=Dialect.SOVITS_V2,
            state="cooling_down",
            cooldown_seconds_left=4.8,
            last_error_code="tts_bad_audio",
            last_error_message="answered with 1.0 s of silence",
            last_milliseconds=250.0,
            successes=0,
            failures=1,
            payload_format=None,
            curl="curl /voices/zh.wav",
        ),
        EndpointState(
            endpoint="sovits-v2+http://b:9880",
            dialect=Dialect.SOVITS_V2,
            state="ok",
            cooldown_seconds_left=0.0,
            last_error_code=None,
            last_error_message=None,
            last_milliseconds=250.0,
            successes=1,
            failures=0,
            payload_format="200 audio/wav",
            curl="curl /voices/zh.wav",
        ),
        EndpointState(
            endpoint="sovits-v2+http://c:9880",
            dialect=Dialect.SOVITS_V2,
            state="busy",
            cooldown_seconds_left=0.0,
            last_error_code=None,
            last_error_message=None,
            last_milliseconds=None,
            successes=0,
            failures=0,
            payload_format=None,
            curl=None,
        ),
    )
    assert bench.chain.states(VOICE)[2].curl == "curl /voices/zh.wav"


async def test_endpoint_is_unknown_until_it_speaks_again() -> None:
    bench = Bench([SPEECH, TTSTimeout("x")], [])
    states = []
    for _ in range(3):
        states.append(bench.chain.states()[0].state)
        await bench.speak(new_turn=True)
        bench.clock.now += 60
    assert [*states, bench.chain.states()[0].state] == ["unknown", "ok", "unknown", "ok"]


async def test_last_attempts_of_all_turns_are_kept() -> None:
    bench = Bench([TTSTimeout("x")], [])
    await bench.chain.warm_up([VOICE])
    token = current_turn.set("t1")
    await bench.speak()
    current_turn.reset(token)
    a, b = (engine.endpoint for engine in bench.engines)
    assert bench.chain.recent_attempts() == (
        TurnAttempt(None, 0, a, "tts_timeout", 250.0),
        TurnAttempt(None, 0, b, "ok", 250.0),
        TurnAttempt("t1", 0, a, "ok", 250.0),
    )


async def test_warm_up_speaks_each_voice_everywhere_and_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench([TTSUnavailable("x")], [])
    english = Voice("en_female", "Heart", Language.EN)
    await bench.chain.warm_up([VOICE, english])
    assert [len(engine.spoken) for engine in bench.engines] == [2, 2]
    assert [state.state for state in bench.chain.states()] == ["ok", "ok"]
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "speech endpoint is not ready"
    ]


async def test_warm_up_waits_for_an_endpoint_that_starts_or_loads() -> None:
    busy = TTSUnavailable("loading", code="tts_busy")
    bench = Bench([busy, busy])
    (engine,) = bench.engines
    engine.is_listening = False
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        engine.is_listening = True

    chain = FallbackChain(bench.engines, clock=bench.clock, sleep=sleep)
    await chain.warm_up([VOICE])
    assert (slept, len(engine.spoken), [state.state for state in chain.states()]) == ([2.0] * 3, 3, ["ok"])


async def test_readiness_names_the_first_endpoint_that_takes_connections() -> None:
    clock = Clock()
    engines = [FakeEngine("a", clock, takes_connections=False), FakeEngine("b", clock), FakeEngine("c", clock)]
    chain = FallbackChain(engines, clock=clock)
    b = "sovits-v2+http://b:9880"
    a = "sovits-v2+http://a:9880"
    told = f"{b} takes connections, but not {a}."
    assert await chain.readiness() == Readiness(True, told, b, resting=(a,))
    well = FallbackChain(engines[1:], clock=clock)
    assert await well.readiness() == Readiness(True, f"{b} takes connections.", b)
    alone = FallbackChain(engines[:1], clock=clock)
    assert await alone.readiness() == Readiness(False, f"No speech endpoint takes connections: {a}.", resting=(a,))


async def test_endpoint_that_loads_is_not_ready_and_tells_how_far() -> None:
    clock = Clock()
    engines = [FakeEngine("a", clock), FakeEngine("b", clock)]
    a, b = (engine.endpoint for engine in engines)
    engines[0].load = Loading("Downloading kokoro: 40 % of 88 MB.", 0.4)
    chain = FallbackChain(engines, clock=clock)
    assert await chain.readiness() == Readiness(True, f"{b} takes connections, but not {a}.", b, resting=(a,))
    alone = FallbackChain(engines[:1], clock=clock)
    assert await alone.readiness() == Readiness(False, "Downloading kokoro: 40 % of 88 MB.", resting=(a,), progress=0.4)


async def test_closing_the_chain_closes_its_engines() -> None:
    bench = Bench([], [])
    await bench.chain.aclose()
    assert [engine.is_closed for engine in bench.engines] == [True, True]
