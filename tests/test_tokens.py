"""The token estimate leans upwards, and what is kept of a history always fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megaservice.models import Message, Role
from megaservice.text.tokens import estimate_tokens, fit_history, prompt_tokens

# Counted with Qwen2.5's own tokenizer.
QWEN_COUNTS = [
    ("你好！很高兴认识你。你叫什么名字？", 11),
    ("我家有四口人：爸爸、妈妈、哥哥和我。我哥哥今年二十五岁，在北京工作。", 23),
    ("随着科技的发展，人工智能正在改变我们的生活方式。", 10),
    ("臺灣繁體字測試：學習漢語很難嗎？", 14),
    ("Hello! How are you today?", 7),
    ("I went to the park with my friends yesterday, and we had a really good time.", 18),
    ("Nevertheless, the committee unanimously acknowledged responsibility.", 8),
    ("一共1,234,567个，2024-03-05见面。", 24),
    ("https://example.com/a/b?c=1&d=2", 14),
    ("nǐ hǎo, wǒ xǐhuan chī píngguǒ", 19),
    ("こんにちは、元気ですか？", 6),
    ("Привет, как дела?", 7),
    ("🎉😊👍🏽", 4),
    ("gpyqZSr4maPh8WvcRcyOJoY9Xzt", 19),
    ("def f(x):\n    return [i**2 for i in range(x)]\n", 16),
]
SYSTEM = Message(Role.SYSTEM, "你是中文老师。" * 10)


@pytest.mark.parametrize(("text", "tokens"), QWEN_COUNTS)
def test_the_estimate_is_not_under_qwens_count(text: str, tokens: int) -> None:
    assert estimate_tokens(text) >= tokens


def test_the_estimate_for_chat_is_not_far_over_qwens_count() -> None:
    chat = [(text, tokens) for text, tokens in QWEN_COUNTS if text.startswith(("你好", "我家", "Hello", "I went"))]
    assert len(chat) == 4
    assert sum(estimate_tokens(text) for text, _ in chat) <= 1.6 * sum(tokens for _, tokens in chat)


def test_nothing_is_no_token() -> None:
    assert estimate_tokens("") == 0


@given(st.text(), st.text())
def test_more_text_is_never_fewer_tokens(text: str, more: str) -> None:
    assert estimate_tokens(text + "\n" + more) >= max(estimate_tokens(text), estimate_tokens(more))


@given(st.text(min_size=1))
def test_the_estimate_is_at_most_a_token_a_byte(text: str) -> None:
    assert 1 <= estimate_tokens(text) <= len(text.encode())


def conversation(turns: list[tuple[str, str]]) -> list[Message]:
    return [
        message for said, replied in turns for message in (Message(Role.USER, said), Message(Role.ASSISTANT, replied))
    ]


TURNS = st.lists(st.tuples(st.text(max_size=30), st.text(max_size=60)), max_size=30)


@given(TURNS, st.text(max_size=30), st.integers(100, 1000))
def test_the_prompt_fits_and_at_least_half_of_what_could_stay_stays(
    turns: list[tuple[str, str]], text: str, budget_tokens: int
) -> None:
    history, message = conversation(turns), Message(Role.USER, text)
    kept = fit_history([SYSTEM], history, message, budget_tokens)
    assert list(kept) == history[len(history) - len(kept) :]
    assert not kept or kept[0].role is Role.USER
    smallest = prompt_tokens([SYSTEM, message])
    assert prompt_tokens([SYSTEM, *kept, message]) <= max(budget_tokens, smallest)
    could_stay = next(
        (len(history) - start)
        for start in range(0, len(history) + 1, 2)
        if prompt_tokens([SYSTEM, *history[start:], message]) <= max(budget_tokens, smallest)
    )
    assert len(kept) >= could_stay / 2
    assert len(kept) == len(history) or could_stay < len(history)


def test_the_oldest_turn_kept_changes_seldom() -> None:
    turns = [(f"我今天去了第{number}个地方。", f"第{number}个地方好玩儿吗？你和谁一起去的？") for number in range(60)]
    firsts = []
    for number in range(30, 60):
        history = conversation(turns[max(0, number - 50) : number])
        kept = fit_history([SYSTEM], history, Message(Role.USER, "你好！"), 1000)
        assert 10 <= len(kept) < len(history)
        firsts.append(kept[0])
    assert len(set(firsts)) <= 10  # dropping just what must go would change it in each of the 30 turns


def test_no_history_is_kept_when_the_message_alone_is_too_long() -> None:
    assert fit_history([SYSTEM], conversation([("你好", "你好！")]), Message(Role.USER, "好" * 500), 400) == ()
