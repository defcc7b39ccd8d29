"""Turns at an HSK level: every sentence is graded before the learner sees or hears it, and repaired."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from megaservice.audio.store import ClipStore
from megaservice.errors import LLMUnavailable
from megaservice.hsk import DEFAULT_STANDARD, Flag, Standard, Verdict
from megaservice.hsk.constraint import Constraints
from megaservice.models import (
    ChatEvent,
    FinishReason,
    Language,
    LevelReport,
    Message,
    Role,
    Rung,
    SentenceReady,
    TextDelta,
    Turn,
    TurnCompleted,
    TurnStarted,
)
from megaservice.pipeline import run_turn
from megaservice.repair import Ladders, RepairRules, parse_rungs
from megaservice.repair.stock import stock_questions
from tests.fakes import FakeChat, FakeSpeech
from tests.test_pipeline import LADDERS, LEXICON, STARTED, TURN, by_kind, events_of

STOP, LENGTH = FinishReason.STOP, FinishReason.LENGTH
AT_1 = replace(TURN, hsk_level=1)
HARD = "环境问题非常复杂。"
HELD = replace(
    LADDERS,
    rules=RepairRules(parse_rungs("best"), 2),
    constraints={DEFAULT_STANDARD: Constraints(LEXICON, LADDERS.grader)},
    constrained_levels={1},
)
HARD_WORDS = ["环境", "复杂"]


def ladders(rungs: str, *, samples: int = 1, budget_seconds: float = 3) -> Ladders:
    return replace(LADDERS, rules=RepairRules(parse_rungs(rungs), samples, budget_seconds))


def texts(events: Sequence[ChatEvent]) -> list[str]:
    return [event.sentence.text for event in events if isinstance(event, SentenceReady)]


def report(events: Sequence[ChatEvent]) -> LevelReport:
    last = events[-1]
    assert isinstance(last, TurnCompleted)
    assert last.level is not None
    assert last.reply == "".join(texts(events)) == "".join(e.text for e in events if isinstance(e, TextDelta))
    return last.level


async def test_text_goes_out_by_graded_sentences(tmp_path: Path) -> None:
    speech = FakeSpeech()
    chat = FakeChat(["你", "好！", "你想", "吃什么", "东西呢？", STOP])
    events = await events_of(chat, speech, tmp_path, AT_1)
    shown = by_kind(events, TurnStarted, TextDelta, SentenceReady)
    assert [type(event) for event in shown] == [TurnStarted, TextDelta, SentenceReady, TextDelta, SentenceReady]
    assert texts(events) == speech.transcripts == ["你好！", "你想吃什么东西呢？"]
    assert report(events) == LevelReport(DEFAULT_STANDARD, 1, Verdict.STRICT, 1.0, Rung.WRITTEN, ())


async def test_a_sentence_carries_its_words(tmp_path: Path) -> None:
    events = await events_of(FakeChat(["你好！", STOP]), FakeSpeech(), tmp_path, AT_1)
    [sentence] = [event for event in events if isinstance(event, SentenceReady)]
    assert sentence.grade is not None
    assert [(t.text, t.start, t.end, t.level, t.pinyin) for t in sentence.grade.tokens] == [("你好", 0, 2, 1, "nǐhǎo")]


async def test_the_first_graded_sentence_is_spoken_while_the_llm_still_writes(tmp_path: Path) -> None:
    more = asyncio.Event()
    chat = FakeChat(["你好！", "我", more, STOP])
    store = ClipStore(tmp_path, max_age_seconds=3600, max_bytes=1e9)
    running = run_turn(AT_1, chat=chat, speech=FakeSpeech(), clips=store, max_tokens=64, ladders=LADDERS)
    async with aclosing(running):
        async for event in running:
            if isinstance(event, SentenceReady):
                break
    assert (more.is_set(), chat.closed) == (False, 1)


async def test_a_retry_takes_the_place_of_what_is_above(tmp_path: Path) -> None:
    never = asyncio.Event()
    chat = FakeChat(["你好！", HARD, "我们都", never], ["我", "不知道。", STOP])
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1)
    assert texts(events) == ["你好！", "我不知道。"]
    assert report(events).rung is Rung.RETRY
    assert report(events).verdict is Verdict.STRICT
    assert (len(chat.prompts), chat.closed) == (2, 2)


async def test_the_retry_names_the_words_behind_the_same_prompt(tmp_path: Path) -> None:
    chat = FakeChat(["你好！", HARD, STOP], ["我不知道。", STOP])
    await events_of(chat, FakeSpeech(), tmp_path, AT_1)
    first, second = chat.prompts
    assert second[:-2] == first
    assert second[-2] == Message(Role.ASSISTANT, f"你好！{HARD}")
    assert "不要用：环境、复杂。" in second[-1].content


async def test_what_already_stands_is_not_said_again(tmp_path: Path) -> None:
    chat = FakeChat(["你好！", HARD, STOP], ["你好！你今天想去哪儿呢？", STOP])
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1)
    assert texts(events) == ["你好！", "你今天想去哪儿呢？"]


async def test_the_best_of_several_answers_is_taken(tmp_path: Path) -> None:
    chat = FakeChat([HARD, STOP], [HARD, "我去机场。", f"好。{HARD}", "我不知道。", "好。"])
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1, ladders=ladders("best,retry,kept", samples=4))
    assert texts(events) == ["我不知道。"]  # the first that has no word above; 机场 would be accepted
    assert (report(events).rung, len(chat.prompts)) == (Rung.BEST, 2)
    assert chat.prompts[0] == chat.prompts[1]


async def test_the_retry_follows_where_none_of_several_answers_will_do(tmp_path: Path) -> None:
    chat = FakeChat([HARD, STOP], [HARD, f"好。{HARD}"], ["我不知道。", STOP])
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1, ladders=ladders("best,retry", samples=2))
    assert (texts(events), report(events).rung) == (["我不知道。"], Rung.RETRY)


async def test_a_reply_is_held_to_the_levels_words_where_the_server_obeys(tmp_path: Path) -> None:
    chat = FakeChat([HARD, STOP], ["你好！", "好。"], ["你好！", STOP])
    chat.obeys = True
    turn = replace(AT_1, message="你好，我叫Anna，在巧克力公司工作。")
    events = await events_of(chat, FakeSpeech(), tmp_path, turn, ladders=HELD)
    [constraint] = {constraint for constraint in chat.constraints if constraint}
    assert (len(chat.constraints), report(events).rung) == (2, Rung.BEST)
    assert (constraint.level, constraint.is_widened) == (1, True)
    assert ("Anna" in constraint.regex, "巧克力" in constraint.regex) == (True, False)
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1, ladders=HELD)
    assert (texts(events), report(events).rung) == (["你好！"], Rung.CONSTRAINED)
    assert chat.constraints[-1] is HELD.constraints[DEFAULT_STANDARD].at(1)


async def test_a_reply_that_is_not_held_climbs_rungs_of_its_own(tmp_path: Path) -> None:
    rules = replace(HELD.rules, unconstrained=parse_rungs("off"))
    chat = FakeChat([HARD, STOP])
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1, ladders=replace(HELD, rules=rules))
    assert (texts(events), report(events).rung, len(chat.prompts)) == ([HARD], Rung.WRITTEN, 1)


JUDGED = replace(LADDERS, rules=replace(HELD.rules, judged_levels=frozenset({1})))


async def test_a_later_sentence_that_makes_no_sense_is_left_out(tmp_path: Path) -> None:
    first, second, third = "我今天很高兴。", "你的家里有几个很好看的苹果？", "我们去学校吧！"
    chat = FakeChat([first, second, third, STOP])
    chat.likelihoods = {first + second: 0.7, first + third: 0.8}
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1, ladders=JUDGED)
    assert texts(events) == [first, third]
    assert report(events).rung is Rung.WRITTEN
    assert (chat.judged, len(chat.prompts)) == (list(chat.likelihoods), 1)


async def test_where_nobody_judges_short_sentences_stay_together(tmp_path: Path) -> None:
    chat = FakeChat(["我今天很高兴。", "我们去学校。", "你呢？", STOP])
    assert texts(await events_of(chat, FakeSpeech(), tmp_path, AT_1, ladders=JUDGED)) == [
        "我今天很高兴。",
        "我们去学校。你呢？",
    ]
    chat.likelihoods = {"我今天很高兴。": 1}
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1, ladders=JUDGED)
    assert texts(events) == ["我今天很高兴。", "我们去学校。", "你呢？"]


@pytest.mark.parametrize("turn", [TURN, replace(TURN, language=Language.EN), replace(TURN, hsk_level=2)])
async def test_other_turns_are_not_judged(tmp_path: Path, turn: Turn) -> None:
    chat = FakeChat(["我今天很高兴。", "你的家里有几个很好看的苹果？", STOP])
    chat.likelihoods = {"我今天很高兴。你的家里有几个很好看的苹果？": 0.1}
    events = await events_of(chat, FakeSpeech(), tmp_path, turn, ladders=JUDGED)
    assert (len(texts(events)), chat.judged) == (2, [])


async def test_a_judge_that_does_not_tell_is_not_asked_again(tmp_path: Path) -> None:
    chat = FakeChat(["我今天很高兴。", "我们去学校。", "你呢？", STOP])
    chat.likelihoods = {"我今天很高兴。我们去学校。你呢？": 0.1}
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1, ladders=JUDGED)
    assert texts(events) == ["我今天很高兴。", "我们去学校。", "你呢？"]
    assert chat.judged == ["我今天很高兴。我们去学校。"]


async def test_half_a_sentence_is_not_judged(tmp_path: Path) -> None:
    chat = FakeChat(["我今天很高兴。", "我们去学校", LENGTH])
    chat.likelihoods = {"我今天很高兴。我们去学校": 0.1}
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1, ladders=JUDGED)
    assert (texts(events), chat.judged) == (["我今天很高兴。", "我们去学校"], [])


@pytest.mark.parametrize("turn", [TURN, replace(TURN, language=Language.EN), replace(TURN, hsk_level=2), AT_1])
async def test_other_turns_are_not_held_to_words(tmp_path: Path, turn: Turn) -> None:
    chat = FakeChat(["你好！", STOP])
    chat.obeys = turn is not AT_1  # which has no server that obeys
    events = await events_of(chat, FakeSpeech(), tmp_path, turn, ladders=HELD)
    assert chat.constraints == [None]
    assert isinstance(events[-1], TurnCompleted)
    assert events[-1].level is None or events[-1].level.rung is Rung.WRITTEN


async def test_the_learners_own_words_may_be_said_where_that_is_set(tmp_path: Path) -> None:
    turn = replace(AT_1, message="我在巧克力公司工作。")
    chat = FakeChat(["你喜欢巧克力吗？", STOP])
    chat.obeys = True
    events = await events_of(chat, FakeSpeech(), tmp_path, turn, ladders=replace(HELD, own_words_levels={1}))
    assert (report(events).verdict, report(events).rung) == (Verdict.STRICT, Rung.CONSTRAINED)
    assert chat.constraints[0] is not None
    assert "巧克力" in chat.constraints[0].regex


async def test_when_the_retry_fails_the_sentences_in_level_are_kept(tmp_path: Path) -> None:
    chat = FakeChat(["你好！", HARD, "你今天想吃什么东西呢？", STOP], [HARD, STOP])
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1)
    assert texts(events) == ["你好！", "你今天想吃什么东西呢？"]
    assert (report(events).rung, report(events).verdict) == (Rung.KEPT, Verdict.STRICT)


async def test_when_nothing_is_in_level_what_the_retry_had_of_it_is_said(tmp_path: Path) -> None:
    chat = FakeChat([HARD, STOP], [f"你想吃什么？{HARD}", STOP])
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1)
    assert texts(events) == ["你想吃什么？"]
    assert report(events).rung is Rung.KEPT


@pytest.mark.parametrize("retry", [[HARD, STOP], [LLMUnavailable("gone")], [STOP]])
async def test_when_nothing_may_be_said_a_stock_question_is_asked(
    tmp_path: Path, retry: list[str | FinishReason]
) -> None:
    speech = FakeSpeech()
    events = await events_of(FakeChat([HARD, STOP], retry), speech, tmp_path, AT_1)
    assert texts(events) == speech.transcripts
    assert texts(events)[0] in stock_questions(1)
    assert (report(events).rung, report(events).verdict) == (Rung.STOCK, Verdict.STRICT)


async def test_a_reply_that_lost_its_question_gets_one(tmp_path: Path) -> None:
    events = await events_of(
        FakeChat(["我今天很好，", HARD, STOP]), FakeSpeech(), tmp_path, AT_1, ladders=ladders("kept,stock")
    )
    said, asked = texts(events)
    assert said == "我今天很好，"
    assert asked in stock_questions(1)


async def test_a_tag_question_whose_sentence_was_left_out_is_no_reply(tmp_path: Path) -> None:
    for rungs, is_kept in (("kept,stock", False), ("kept", True)):
        chat = FakeChat([HARD, "你呢？", STOP])
        events = await events_of(chat, FakeSpeech(), tmp_path, AT_1, ladders=ladders(rungs))
        assert (texts(events) == ["你呢？"]) is is_kept
        assert (texts(events)[0] in stock_questions(1)) is not is_kept


@pytest.mark.parametrize(("asked", "said"), [("现在几点？", "现在是几点？"), ("你喜欢吃什么？", "你喜欢吃什么呢？")])
async def test_the_question_asked_back_is_no_reply(tmp_path: Path, asked: str, said: str) -> None:
    chat = FakeChat([said, STOP], [said, "我喜欢。"])
    turn = replace(AT_1, message=asked)
    events = await events_of(chat, FakeSpeech(), tmp_path, turn, ladders=ladders("best", samples=2))
    assert (texts(events), report(events).rung) == (["我喜欢。"], Rung.BEST)


async def test_the_question_may_be_asked_back_behind_an_answer(tmp_path: Path) -> None:
    chat = FakeChat(["我喜欢吃米饭。", "你喜欢吃什么？", STOP])
    turn = replace(AT_1, message="你喜欢吃什么？")
    events = await events_of(chat, FakeSpeech(), tmp_path, turn, ladders=ladders("best", samples=2))
    assert (texts(events), len(chat.prompts)) == (["我喜欢吃米饭。", "你喜欢吃什么？"], 1)


async def test_a_greeting_may_be_returned(tmp_path: Path) -> None:
    events = await events_of(FakeChat(["你好！", STOP]), FakeSpeech(), tmp_path, replace(AT_1, message="你好！"))
    assert (texts(events), report(events).rung) == (["你好！"], Rung.WRITTEN)


async def test_the_budget_ends_the_retry(tmp_path: Path) -> None:
    never = asyncio.Event()
    chat = FakeChat([HARD, "你想吃什么？", STOP], ["我不", never])
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1, ladders=ladders("retry,kept", budget_seconds=0.01))
    assert texts(events) == ["你想吃什么？"]
    assert (report(events).rung, chat.closed) == (Rung.KEPT, 2)


async def test_only_one_retry_is_made(tmp_path: Path) -> None:
    chat = FakeChat([HARD, HARD, HARD, STOP], [HARD, STOP])
    await events_of(chat, FakeSpeech(), tmp_path, AT_1)
    assert len(chat.prompts) == 2


async def test_without_rungs_the_result_says_that_it_is_above(tmp_path: Path) -> None:
    chat = FakeChat([f"你好！{HARD}", STOP])
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1, ladders=ladders("off"))
    assert texts(events) == ["你好！", HARD]
    told = report(events)
    assert (told.rung, told.verdict, len(chat.prompts)) == (Rung.WRITTEN, Verdict.ABOVE, 1)
    assert [flag.word for flag in told.flagged] == HARD_WORDS
    assert told.flagged[0].start == 3


async def test_a_level_climbs_its_own_rungs_only(tmp_path: Path) -> None:
    chat = FakeChat([HARD, STOP], ["我不知道。", STOP])
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1, ladders=ladders("retry:2-6"))
    assert (texts(events), len(chat.prompts)) == ([HARD], 1)


async def test_one_new_word_is_accepted_and_a_second_is_not(tmp_path: Path) -> None:
    chat = FakeChat(["我去机场。", "你今天想去旅游吗？", STOP])
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1, ladders=ladders("kept"))
    told = report(events)
    assert texts(events) == ["我去机场。"]
    assert (told.verdict, told.flagged) == (
        Verdict.ACCEPT,
        (Flag("机场", 2, 2, 4, "jīchǎng", "airport; airfield"),),
    )


async def test_the_learners_name_is_no_fault(tmp_path: Path) -> None:
    turn = replace(AT_1, message="你好，我叫Anna Smith。")
    events = await events_of(FakeChat(["你好，Anna！", STOP]), FakeSpeech(), tmp_path, turn)
    assert texts(events) == ["你好，Anna！"]
    assert report(events).verdict is Verdict.STRICT


async def test_another_language_is_a_fault(tmp_path: Path) -> None:
    events = await events_of(
        FakeChat(["Hello! ", "你好吗？", STOP]), FakeSpeech(), tmp_path, AT_1, ladders=ladders("kept")
    )
    assert texts(events) == ["你好吗？"]


async def test_emoji_and_reasoning_make_no_fault(tmp_path: Path) -> None:
    speech = FakeSpeech()
    chat = FakeChat(["<think>环境很复杂。我想想。</think>", "😀\n\n", "你好吗？", STOP])
    events = await events_of(chat, speech, tmp_path, AT_1)
    assert speech.transcripts == ["你好吗？"]
    assert "环境" not in "".join(texts(events))
    assert report(events).rung is Rung.WRITTEN


async def test_a_turn_closed_in_mid_repair_stops_all_answers(tmp_path: Path) -> None:
    never = asyncio.Event()
    chat = FakeChat(["你好！", HARD, "我们都", never], ["我", never])
    store = ClipStore(tmp_path, max_age_seconds=3600, max_bytes=1e9)
    repairing = ladders("retry,kept,stock")
    running = run_turn(AT_1, chat=chat, speech=FakeSpeech(), clips=store, max_tokens=64, ladders=repairing)
    async with aclosing(running):
        async for event in running:
            if isinstance(event, SentenceReady):
                while len(chat.prompts) < 2:
                    await asyncio.sleep(0)
                break
    assert chat.closed == 2


async def test_a_stream_that_fails_behind_a_good_sentence_fails_the_turn(tmp_path: Path) -> None:
    events = await events_of(FakeChat(["你好！我", LLMUnavailable("gone")]), FakeSpeech(), tmp_path, AT_1)
    assert (texts(events), events[-1].reply) == (["你好！"], "你好！")  # type: ignore[union-attr]


async def test_a_tail_above_the_level_is_left_out(tmp_path: Path) -> None:
    chat = FakeChat(["你好吗？这个环境问题非常", LENGTH])
    events = await events_of(chat, FakeSpeech(), tmp_path, AT_1, ladders=ladders("kept,stock"))
    assert texts(events) == ["你好吗？"]


async def test_the_turns_own_word_list_is_the_measure(tmp_path: Path) -> None:
    said = "我在超市买饺子和面包。"  # level 1 of the syllabus of 2025, up to 4 of HSK 2.0
    by_list = {}
    for standard in Standard:
        turn = replace(AT_1, hsk_standard=standard)
        events = await events_of(FakeChat([said, STOP]), FakeSpeech(), tmp_path, turn, ladders=ladders("off"))
        by_list[standard] = (report(events).standard, report(events).verdict)
    assert by_list == {
        Standard.HSK_2_0: (Standard.HSK_2_0, Verdict.ABOVE),
        Standard.HSK_2025: (Standard.HSK_2025, Verdict.STRICT),
    }


@pytest.mark.parametrize("turn", [TURN, replace(TURN, language=Language.EN, hsk_level=1)])
async def test_free_chinese_and_english_are_not_graded(tmp_path: Path, turn: object) -> None:
    chat = FakeChat([HARD, "Hello there, my friend!", STOP])
    events = await events_of(chat, FakeSpeech(), tmp_path, turn)  # type: ignore[arg-type]
    assert by_kind(events, TurnStarted, TextDelta) == [STARTED, TextDelta(HARD), TextDelta("Hello there, my friend!")]
    assert [event.grade for event in events if isinstance(event, SentenceReady)] == [None, None]
    words = [[token.pinyin for token in event.tokens or ()] for event in events if isinstance(event, SentenceReady)]
    assert words == ([["huánjìng", "wèntí", "fēicháng", "fùzá"], []] if turn is TURN else [[], []])
    assert isinstance(events[-1], TurnCompleted)
    assert (events[-1].level, len(chat.prompts)) == (None, 1)
