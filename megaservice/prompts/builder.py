"""Builds the prompt of a turn: system prompt, example turns and what fits of the history, then the learner's message.

What never changes stands first, so that a server with a prefix cache reads it once. The texts lie beside this module:
`zh.txt` for the language; `zh_1.txt` for the level and, behind its `---`, example turns, which teach a small model more
than rules do. `zh_1_topics.txt` has more of them: those on what the learner speaks of stand right before her message.
"""

from collections.abc import Iterable
from functools import cache
from importlib import resources

from megaservice.models import Language, Message, Role, Turn
from megaservice.prompts.similar import ExampleTurn, Similar
from megaservice.text.tokens import fit_history, prompt_tokens

# Tokens a reply may have: about twice what the level's limits on sentences allow, so that a good reply is never cut.
_REPLY_TOKENS = {1: 64, 2: 80, 3: 120, 4: 160, 5: 200, 6: 256}
_FREE_REPLY_TOKENS = {Language.ZH: 200, Language.EN: 160}
_MOST_ON_THE_TOPIC = 3  # the LLM reads each anew


def build_prompt(turn: Turn, budget_tokens: int) -> list[Message]:
    """The messages for the LLM, at most `budget_tokens` by our estimate as long as dropping history can help."""
    before = opening(turn.language, turn.hsk_level)
    message = Message(Role.USER, turn.message)
    on_topic = _on_the_topic(turn)
    if prompt_tokens([*before, *on_topic, message]) > budget_tokens:
        on_topic = []
    history = fit_history([*before, *on_topic], turn.history, message, budget_tokens)
    return [*before, *history, *on_topic, message]


@cache
def opening(language: Language, hsk_level: int | None) -> tuple[Message, ...]:
    """The system prompt and the example turns; `hsk_level` counts for Chinese only."""
    level = "free" if hsk_level is None or language is Language.EN else str(hsk_level)
    rules, _, examples = _text(f"{language}_{level}.txt").partition("---\n")
    system = Message(Role.SYSTEM, (_text(f"{language}.txt") + rules).strip())
    return (system, *_messages(_turns(examples)))


def _on_the_topic(turn: Turn) -> list[Message]:
    topics = _topics(turn.hsk_level) if turn.language is Language.ZH else None
    return _messages(reversed(topics.nearest(turn.message, _MOST_ON_THE_TOPIC))) if topics else []


@cache
def _topics(hsk_level: int | None) -> Similar | None:
    """The level's further example turns, where it has some."""
    name = f"zh_{hsk_level}_topics.txt"
    return Similar(example_turns(name)) if resources.files(__package__).joinpath(name).is_file() else None


def translation_prompt(text: str, language: Language) -> list[Message]:
    """Asks for `text`, which is in `language`, in the other one."""
    rules, _, examples = _text(f"translate_{language}.txt").partition("---\n")
    return [Message(Role.SYSTEM, rules.strip()), *_messages(_turns(examples)), Message(Role.USER, text)]


def example_turns(name: str) -> list[ExampleTurn]:
    """Those of a text that has nothing else."""
    return _turns(_text(name))


def reply_limit(language: Language, hsk_level: int | None) -> int:
    """How many tokens a reply may have at this level."""
    if hsk_level is None or language is Language.EN:
        return _FREE_REPLY_TOKENS[language]
    return _REPLY_TOKENS[hsk_level]


def _messages(turns: Iterable[ExampleTurn]) -> list[Message]:
    return [
        message for said, replied in turns for message in (Message(Role.USER, said), Message(Role.ASSISTANT, replied))
    ]


def _turns(text: str) -> list[ExampleTurn]:
    """Turns stand apart by an empty line: the learner's line, then the tutor's."""
    return [ExampleTurn(*turn.split("\n")) for turn in text.strip().split("\n\n")]


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
