import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from megaservice.audio.store import ClipStore
from megaservice.errors import LLMProtocolError, LLMRejected, LLMUnavailable, TTSUnavailable
from megaservice.hsk import Grader, Lexicon
from megaservice.models import (
    Attempt,
    ChatEvent,
    Clip,
    ClipFailed,
    ClipReady,
    FinishReason,
    Language,
    Message,
    Problem,
    Role,
    Sentence,
    SentenceReady,
    TextDelta,
    Timings,
    Turn,
    TurnCompleted,
    TurnFailed,
    TurnStarted,
)
from megaservice.pipeline import run_turn
from megaservice.repair import Ladders, RepairRules, parse_rungs
from tests.fakes import SPEECH, VOICE, FakeChat, FakeSpeech

TURN_ID = "0123456789abcdef0123456789abcdef"
TURN = Turn(TURN_ID, "c1", "你好！", Language.ZH, None, VOICE)
STARTED = TurnStarted(TURN_ID, "c1", "fake-model")
ENDPOINT = FakeSpeech.endpoint
LEXICON = Lexicon.load()
LADDERS = Ladders(Grader(LEXICON), RepairRules(parse_rungs("retry,kept,stock")))


async def events_of(
    chat: FakeChat,
    speech: FakeSpeech,
    directory: Path,
    turn: Turn = TURN,
    max_tokens: int = 64,
    ladders: Ladders = LADDERS,
) -> list[ChatEvent]:
    """All events of a turn, timings removed."""
    store = ClipStore(directory, max_age_seconds=3600, max_bytes=1e9)
    events = []
    running = run_turn(turn, chat=chat, speech=speech, clips=store, max_tokens=max_tokens, ladders=ladders)
    async with aclosing(running):
        async for event in running:
            events.append(replace(event, timings=Timings()) if isinstance(event, TurnCompleted | TurnFailed) else event)
    return events


def ready(index: int, text: str, *, spoken: bool = True) -> SentenceReady:
    return SentenceReady(Sentence(index, text), spoken, tokens=LADDERS.words(TURN, text))


def clip(index: int) -> ClipReady:
    return ClipReady(
        index, Clip(f"/audio/{TURN_ID}-{index}.wav", SPEECH.duration_seconds, SPEECH.sample_rate_hz, ENDPOINT)
    )


def attempt(sentence: int, outcome: str = "ok") -> Attempt:
    return Attempt(sentence, ENDPOINT, outcome, 1.0)


def by_kind(events: Sequence[ChatEvent], *kinds: type) -> list[ChatEvent]:
    return [event for event in events if isinstance(event, kinds)]


async def test_a_turn_is_written_cut_and_spoken(tmp_path: Path) -> None:
    speech = FakeSpeech()
    chat = FakeChat(["你好！", "今天", "你想吃", "什么东西呢？", FinishReason.STOP])
    events = await events_of(chat, speech, tmp_path)
    assert by_kind(events, TurnStarted, TextDelta) == [
        STARTED,
        TextDelta("你好！"),
        TextDelta("今天"),
        TextDelta("你想吃"),
        TextDelta("什么东西呢？"),
    ]
    assert by_kind(events, SentenceReady, TurnFailed) == [ready(0, "你好！"), ready(1, "今天你想吃什么东西呢？")]
    assert by_kind(events, ClipReady) == [clip(0), clip(1)]
    assert events[-1] == TurnCompleted(
        "你好！今天你想吃什么东西呢？", FinishReason.STOP, ENDPOINT, (attempt(0), attempt(1)), Timings(), ()
    )
    assert speech.transcripts == ["你好！", "今天你想吃什么东西呢？"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{TURN_ID}-0.wav", f"{TURN_ID}-1.wav"]


async def test_the_first_sentence_is_spoken_while_the_llm_still_writes(tmp_path: Path) -> None:
    more = asyncio.Event()
    chat = FakeChat(["你好！", "我", more, "们走吧。", FinishReason.STOP])
    store = ClipStore(tmp_path, max_age_seconds=3600, max_bytes=1e9)
    running = run_turn(TURN, chat=chat, speech=FakeSpeech(), clips=store, max_tokens=64, ladders=LADDERS)
    async with aclosing(running):
        async for event in running:
            if event == clip(0):
                break
    assert not more.is_set()
    assert chat.closed == 1


async def test_a_dead_voice_still_gives_the_text(tmp_path: Path) -> None:
    dead = TTSUnavailable("no connection")
    events = await events_of(FakeChat(["你好！", FinishReason.STOP]), FakeSpeech(dead), tmp_path)
    told = f"No speech endpoint could speak this sentence: {ENDPOINT}: no connection."
    assert events == [
        STARTED,
        TextDelta("你好！"),
        ready(0, "你好！"),
        ClipFailed(0, "all_engines_failed", told),
        TurnCompleted(
            "你好！",
            FinishReason.STOP,
            None,
            (attempt(0, "tts_unavailable"),),
            Timings(),
            (Problem("speech", "all_engines_failed", told),),
        ),
    ]


async def test_a_full_disk_still_gives_the_text(tmp_path: Path) -> None:
    (tmp_path / f"{TURN_ID}-0.wav").mkdir()
    events = await events_of(FakeChat(["你好！", FinishReason.STOP]), FakeSpeech(), tmp_path)
    assert by_kind(events, ClipFailed) == [
        ClipFailed(0, "clip_not_stored", "The clip could not be stored in AUDIO_DIR: Is a directory.")
    ]
    assert isinstance(events[-1], TurnCompleted)
    assert events[-1].endpoint is None


async def test_a_dead_llm_is_the_only_event(tmp_path: Path) -> None:
    events = await events_of(FakeChat([LLMUnavailable("no connection")]), FakeSpeech(), tmp_path)
    assert events == [TurnFailed(Problem("llm", "llm_unavailable", "no connection"), True, "", (), Timings())]


@pytest.mark.parametrize(
    ("end", "problem"),
    [
        (LLMProtocolError("cut"), Problem("llm", "llm_protocol_error", "cut")),
        (
            FinishReason.ABORT,
            Problem("llm", "llm_aborted", "The LLM server ended the reply before it was whole."),
        ),
    ],
)
async def test_an_llm_cut_in_mid_reply_fails_with_the_text_so_far(
    tmp_path: Path, end: LLMProtocolError | FinishReason, problem: Problem
) -> None:
    never = asyncio.Event()
    events = await events_of(FakeChat(["你好！今天", end]), FakeSpeech(never), tmp_path)
    assert events == [
        STARTED,
        TextDelta("你好！今天"),
        ready(0, "你好！"),
        ready(1, "今天", spoken=False),
        ClipFailed(0, problem.code, "The turn failed before this sentence was spoken."),
        TurnFailed(problem, True, "你好！今天", (), Timings()),
    ]


async def test_an_llm_that_heeds_no_limit_is_cut(tmp_path: Path) -> None:
    chat = FakeChat([*["好。"] * 5000, FinishReason.STOP])
    events = await events_of(chat, FakeSpeech(), tmp_path, replace(TURN, speak=False), max_tokens=16)
    last = events[-1]
    assert isinstance(last, TurnCompleted)
    assert (last.finish_reason, len(last.reply) <= 260, chat.closed) == (FinishReason.LENGTH, True, 1)


async def test_an_empty_reply_is_a_failure(tmp_path: Path) -> None:
    events = await events_of(FakeChat([FinishReason.STOP]), FakeSpeech(), tmp_path)
    assert events == [
        TurnFailed(Problem("llm", "llm_empty_reply", "The LLM wrote an empty reply."), True, "", (), Timings())
    ]


async def test_the_unfinished_tail_is_shown_and_not_spoken(tmp_path: Path) -> None:
    speech = FakeSpeech()
    events = await events_of(FakeChat(["你好！今天天气很好，我们一起", FinishReason.LENGTH]), speech, tmp_path)
    assert by_kind(events, SentenceReady)[-1] == ready(1, "今天天气很好，我们一起", spoken=False)
    assert speech.transcripts == ["你好！"]


async def test_the_unfinished_tail_is_spoken_when_it_is_all_there_is(tmp_path: Path) -> None:
    speech = FakeSpeech()
    await events_of(FakeChat(["今天天气", FinishReason.LENGTH]), speech, tmp_path)
    assert speech.transcripts == ["今天天气"]


async def test_a_silent_turn_asks_no_voice(tmp_path: Path) -> None:
    speech = FakeSpeech()
    events = await events_of(FakeChat(["你好！", FinishReason.STOP]), speech, tmp_path, replace(TURN, speak=False))
    assert by_kind(events, SentenceReady, ClipReady) == [ready(0, "你好！", spoken=False)]
    assert speech.transcripts == []


async def test_what_cannot_be_said_is_shown_only(tmp_path: Path) -> None:
    speech = FakeSpeech()
    events = await events_of(FakeChat(["你好！", "\n\n😀😀😀", FinishReason.STOP]), speech, tmp_path)
    assert "".join(event.sentence.text for event in events if isinstance(event, SentenceReady)) == "你好！\n\n😀😀😀"
    assert speech.transcripts == ["你好！"]


async def test_closing_the_turn_stops_llm_and_voice(tmp_path: Path) -> None:
    never = asyncio.Event()
    chat, speech = FakeChat(["你好！我", never]), FakeSpeech(asyncio.Event())
    store = ClipStore(tmp_path, max_age_seconds=3600, max_bytes=1e9)
    running = run_turn(TURN, chat=chat, speech=speech, clips=store, max_tokens=64, ladders=LADDERS)
    async with aclosing(running):
        async for event in running:
            if isinstance(event, SentenceReady):
                await asyncio.sleep(0)
                break
    assert (chat.closed, speech.cancelled) == (1, 1)


async def test_a_prompt_that_the_server_finds_too_long_is_shortened(tmp_path: Path) -> None:
    history = tuple(Message(role, "我们昨天去了公园。" * 5) for _ in range(40) for role in (Role.USER, Role.ASSISTANT))
    too_long = LLMRejected("too long", code="llm_prompt_too_long")
    chat = FakeChat([too_long], ["好。", FinishReason.STOP])
    events = await events_of(chat, FakeSpeech(), tmp_path, replace(TURN, history=history))
    assert isinstance(events[-1], TurnCompleted)
    first, second = chat.prompts
    assert len(second) < len(first) < len(history)
    assert first[0] == second[0]
    assert first[-1] == second[-1] == Message(Role.USER, "你好！")


async def test_a_message_that_never_fits_is_told(tmp_path: Path) -> None:
    chat = FakeChat([LLMRejected("too long", code="llm_prompt_too_long")])
    events = await events_of(chat, FakeSpeech(), tmp_path)
    told = "The message is too long for the LLM's context; write a shorter one."
    assert events == [TurnFailed(Problem("llm", "message_too_long", told), False, "", (), Timings())]
    assert len(chat.prompts) == 1


async def test_an_error_of_our_own_ends_the_turn(tmp_path: Path) -> None:
    class Broken(FakeSpeech):
        async def speak(self, *_: object) -> tuple[object, str]:  # type: ignore[override]
            raise ZeroDivisionError

    never = asyncio.Event()
    events = await events_of(FakeChat(["你好！我", never]), Broken(), tmp_path)
    told = "MegaService met an error of its own; its log has the details."
    assert events[-1] == TurnFailed(Problem("turn", "internal", told), False, "你好！我", (), Timings())


async def test_timings_are_milliseconds_from_the_start(tmp_path: Path) -> None:
    ticks = iter(range(100))
    store = ClipStore(tmp_path, max_age_seconds=3600, max_bytes=1e9)
    chat = FakeChat(["你好！", FinishReason.STOP])
    turn = run_turn(
        TURN,
        chat=chat,
        speech=FakeSpeech(),
        clips=store,
        max_tokens=64,
        ladders=LADDERS,
        clock=lambda: float(next(ticks)),
    )
    last = [event async for event in turn][-1]
    assert isinstance(last, TurnCompleted)
    assert last.timings == Timings(first_token=1000.0, first_sentence=2000.0, first_audio=3000.0, total=4000.0)
