"""The prompts: in the language, within the level's limits, small enough, and the same from turn to turn."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from llm import judge, prefix
from llm.judge import Judge
from llm.prefix import Prefix, fingerprint
from megaservice.hsk import Grader, Lexicon
from megaservice.models import Language, Message, Role, Turn, Voice
from megaservice.prompts import build_prompt, opening, reply_limit
from megaservice.prompts.builder import example_turns
from megaservice.text.splitter import is_finished
from megaservice.text.tokens import estimate_tokens, prompt_tokens
from megaservice.text.transcript import spoken
from tests.level_bench import messages

ROOT = Path(__file__).parent.parent
GRADER = Grader(Lexicon.load())
ZH, EN = Language.ZH, Language.EN
LEVELS = (1, 2, 3, 4, 5, 6)
ALL = [*((ZH, level) for level in (*LEVELS, None)), (EN, None)]
LONGEST_SENTENCE = {1: 12, 2: 16, 3: 18, 4: 24, 5: 30, 6: 36}
MOST_SENTENCES = {1: 2, 2: 2, 3: 3, 4: 4, 5: 4, 6: 5}
TURN = Turn(
    turn_id="t1",
    conversation_id=None,
    message="你好！",
    language=ZH,
    hsk_level=2,
    voice=Voice(id="v", name="V", language=ZH),
)


TOPICS = example_turns("zh_1_topics.txt")
REGISTRY_MODEL = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"


def replies(language: Language, level: int | None) -> list[str]:
    return [message.content for message in opening(language, level) if message.role is Role.ASSISTANT]


@pytest.mark.parametrize(("language", "level"), ALL)
def test_an_opening_is_rules_and_then_whole_turns(language: Language, level: int | None) -> None:
    roles = [message.role for message in opening(language, level)]
    assert roles == [Role.SYSTEM, *[Role.USER, Role.ASSISTANT] * (len(roles) // 2)]
    assert 7 <= len(roles) <= 59


@pytest.mark.parametrize(("language", "level"), ALL)
def test_an_opening_leaves_room_for_a_conversation(language: Language, level: int | None) -> None:
    assert prompt_tokens(opening(language, level)) + 2 * reply_limit(language, level) <= 1500


@pytest.mark.parametrize(("language", "level"), ALL)
def test_example_replies_can_be_read_aloud_as_they_stand(language: Language, level: int | None) -> None:
    assert [spoken(reply, language) for reply in replies(language, level)] == replies(language, level)
    assert all(is_finished(reply) for reply in replies(language, level))


@pytest.mark.parametrize("level", [*LEVELS, None])
def test_chinese_examples_answer_in_chinese_only_even_to_english(level: int | None) -> None:
    assert not re.search("[A-Za-z]", "".join(replies(ZH, level)))
    said = [message.content for message in opening(ZH, level) if message.role is Role.USER]
    assert any(message.isascii() for message in said)


def test_english_examples_answer_in_english_only_even_to_chinese() -> None:
    assert "".join(replies(EN, None)).isascii()
    assert not all(message.content.isascii() for message in opening(EN, None))


@pytest.mark.parametrize("level", LEVELS)
def test_example_replies_keep_the_limits_of_their_level(level: int) -> None:
    for reply in replies(ZH, level):
        sentences = [sentence for sentence in re.split("[。！？]", reply) if sentence]
        assert len(sentences) <= MOST_SENTENCES[level], reply
        assert max(len(re.sub(r"\W", "", sentence)) for sentence in sentences) <= LONGEST_SENTENCE[level], reply


@pytest.mark.parametrize("level", LEVELS)
def test_example_replies_are_in_level(level: int) -> None:
    above = {
        reply: [flag.word for flag in grade.flagged]
        for reply in replies(ZH, level)
        if not (grade := GRADER.grade(reply, level)).in_level
    }
    assert above == {}


@pytest.mark.parametrize("level", LEVELS)
def test_a_reply_that_uses_its_level_up_is_not_cut(level: int) -> None:
    longest = "好" * LONGEST_SENTENCE[level] + "。"
    assert estimate_tokens(longest * (MOST_SENTENCES[level])) <= reply_limit(ZH, level)


def test_higher_levels_may_say_more() -> None:
    limits = [reply_limit(ZH, level) for level in LEVELS]
    assert all(lower < higher for lower, higher in pairwise(limits))


def test_all_levels_begin_with_the_same_rules() -> None:
    common = opening(ZH, None)[0].content.rpartition("\n")[0]
    assert len(common) > 50
    assert all(opening(ZH, level)[0].content.startswith(common) for level in LEVELS)


def test_english_ignores_the_hsk_level() -> None:
    assert opening(EN, 3) == opening(EN, None)
    assert reply_limit(EN, 3) == reply_limit(EN, None)


def test_a_prompt_is_opening_history_message() -> None:
    history = (Message(Role.USER, "你是谁？"), Message(Role.ASSISTANT, "我是老师。"))
    prompt = build_prompt(replace(TURN, history=history), 1500)
    assert prompt == [*opening(ZH, 2), *history, Message(Role.USER, "你好！")]


def on_topic(message: str, level: int = 1, budget_tokens: int = 2048) -> list[Message]:
    prompt = build_prompt(replace(TURN, message=message, hsk_level=level), budget_tokens)
    assert prompt[-1] == Message(Role.USER, message)
    return prompt[len(opening(ZH, level)) : -1]


def test_turns_on_the_learners_topic_stand_right_before_her_message_the_nearest_last() -> None:
    turn = next(turn for turn in TOPICS if "污染" in turn.said)
    shown = on_topic(turn.said)
    assert shown[-2:] == [Message(Role.USER, turn.said), Message(Role.ASSISTANT, turn.replied)]
    assert [message.role for message in shown] == [Role.USER, Role.ASSISTANT] * (len(shown) // 2)
    assert 2 <= len(shown) <= 6
    history = (Message(Role.USER, "你是谁？"), Message(Role.ASSISTANT, "我是老师。"))
    prompt = build_prompt(replace(TURN, message=turn.said, hsk_level=1, history=history), 2048)
    assert prompt == [*opening(ZH, 1), *history, *shown, Message(Role.USER, turn.said)]


@pytest.mark.parametrize("message", ["你好！", "你喜欢吃什么？", "我家有四个人。", "Hello!", "……", ""])
def test_easy_words_have_no_topic(message: str) -> None:
    assert on_topic(message) == []


def test_turns_on_a_topic_are_left_out_where_there_is_no_room_or_no_such_text() -> None:
    said = TOPICS[0].said
    assert on_topic(said)
    assert on_topic(said, budget_tokens=0) == []
    assert on_topic(said, level=2) == []
    english = build_prompt(replace(TURN, message=said, hsk_level=1, language=EN), 2048)
    assert english == [*opening(EN, None), Message(Role.USER, said)]


def test_replies_on_a_topic_are_in_level_and_short() -> None:
    """A word and a sentence longer than elsewhere: it takes easy words more of them to speak of hard things."""
    for _, reply in TOPICS:
        sentences = re.findall("[^。！？]+[。！？]", reply)
        assert "".join(sentences) == reply == spoken(reply, ZH)
        assert len(sentences) <= MOST_SENTENCES[1] + 1, reply
        assert max(len(re.sub(r"\W", "", sentence)) for sentence in sentences) <= LONGEST_SENTENCE[1] + 2, reply
        assert GRADER.grade(reply, 1).in_level, reply


def test_no_topic_and_no_reply_stands_twice() -> None:
    for texts in zip(*TOPICS, strict=True):
        assert len(set(texts)) == len(texts) > 300


def test_trained_turns_are_those_of_the_prompt_as_it_is() -> None:
    """They are trained after these very texts: scripts/train_prefix, when they change (docs/models.md)."""
    paths = prefix.paths_for(REGISTRY_MODEL)
    assert [path.stem for path in paths] == ["zh_1", "zh_2"]
    ids = [Judge.load(judge.path_for(REGISTRY_MODEL)).question.ask_id]
    for level, path in enumerate(paths, start=1):
        trained = Prefix.load(path)
        assert trained.opening_sha256 == fingerprint(message.content for message in opening(ZH, level))
        assert trained.keys.shape == trained.values.shape == (16, len(trained.stand_ins.token_ids), 256)
        assert np.isfinite(trained.keys).all()
        assert np.isfinite(trained.values).all()
        ids += range(trained.stand_ins.first_id, trained.stand_ins.first_id + len(trained.stand_ins.token_ids))
    assert len(ids) == len(set(ids))
    assert max(ids) < 151_936  # the rows of Qwen2.5's embeddings


@pytest.mark.parametrize(("level", "messages_at_least", "most_above"), [(1, 1000, 1 / 200), (2, 400, 1 / 40)])
def test_what_is_trained_on_is_in_level_and_none_of_it_is_measured(
    level: int, messages_at_least: int, most_above: float
) -> None:
    paths = sorted((ROOT / "scripts" / "data").glob(f"zh_{level}_replies*.txt"))
    blocks = [block.split("\n") for path in paths for block in path.read_text(encoding="utf-8").strip().split("\n\n")]
    assert {reply[:2] for _, *replies in blocks for reply in replies} == {"+ ", "- "}
    better = [[reply[2:] for reply in replies if reply.startswith("+")] for _, *replies in blocks]
    assert all(better)
    above = [reply for replies in better for reply in replies if not GRADER.grade(reply, level).in_level]
    assert len(above) < len(blocks) * most_above, above  # the learner's own words; easy ones that meet as another
    said = {block[0] for block in blocks}
    assert len(said) > messages_at_least
    learner_messages = (ROOT / "tests" / "data" / "learner_messages.txt").read_text(encoding="utf-8").splitlines()
    assert said.isdisjoint([*messages(), *learner_messages])


def test_no_turn_was_written_from_a_message_that_is_measured() -> None:
    said = {message.content for message in opening(ZH, 1)} | {turn.said for turn in TOPICS}
    assert said.isdisjoint(messages())


def test_sixty_turns_at_hsk_2_fit_into_2048_tokens() -> None:
    history: tuple[Message, ...] = ()
    budget = 2048 - reply_limit(ZH, 2)
    for number in range(60):
        turn = replace(TURN, message=f"我今天学了{number}个汉字，学了很多。", history=history)
        prompt = build_prompt(turn, budget)
        assert prompt_tokens(prompt) <= budget
        assert prompt[-1] == Message(Role.USER, turn.message)
        reply = Message(Role.ASSISTANT, "你学得真快！今天的汉字难不难？明天我们再学几个，好不好？")
        history = (*history, prompt[-1], reply)[-100:]
    assert prompt[: len(opening(ZH, 2))] == list(opening(ZH, 2))
    assert 20 <= len(prompt) < 100
