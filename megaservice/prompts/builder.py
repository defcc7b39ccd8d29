"""Builds the prompt of a turn: system prompt, example turns and what fits of the history, then the learner's message.

What never changes stands first, so that a server with a prefix cache reads it once. The texts lie beside this module:
`zh.txt` for the language; `zh_1.txt` for the level and, behind its `---`, example turns, which teach a small model more
than rules do.
"""

from functools import cache
from importlib import resources

from megaservice.models import Language, Message, Role, Turn
from megaservice.text.tokens import fit_history

# Tokens a reply may have: about twice what the level's limits on sentences allow, so that a good reply is never cut.
_REPLY_TOKENS = {1: 64, 2: 80, 3: 120, 4: 160, 5: 200, 6: 256}
_FREE_REPLY_TOKENS = {Language.ZH: 200, Language.EN: 160}


def build_prompt(turn: Turn, budget_tokens: int) -> list[Message]:
    """The messages for the LLM, at most `budget_tokens` by our estimate as long as dropping history can help."""
    before = opening(turn.language, turn.hsk_level)
    message = Message(Role.USER, turn.message)
    return [*before, *fit_history(before, turn.history, message, budget_tokens), message]


@cache
def opening(language: Language, hsk_level: int | None) -> tuple[Message, ...]:
    """The system prompt and the example turns; `hsk_level` counts for Chinese only."""
    level = "free" if hsk_level is None or language is Language.EN else str(hsk_level)
    rules, _, examples = _text(f"{language}_{level}.txt").partition("---\n")
    system = Message(Role.SYSTEM, (_text(f"{language}.txt") + rules).strip())
    return (system, *_example_turns(examples))


def translation_prompt(text: str, language: Language) -> list[Message]:
    """Asks for `text`, which is in `language`, in the other one."""
    rules, _, examples = _text(f"translate_{language}.txt").partition("---\n")
    return [Message(Role.SYSTEM, rules.strip()), *_example_turns(examples), Message(Role.USER, text)]


def reply_limit(language: Language, hsk_level: int | None) -> int:
    """How many tokens a reply may have at this level."""
    if hsk_level is None or language is Language.EN:
        return _FREE_REPLY_TOKENS[language]
    return _REPLY_TOKENS[hsk_level]


def _example_turns(text: str) -> list[Message]:
    """Turns stand apart by an empty line: the learner's line, then the tutor's."""
    messages = []
    for turn in text.strip().split("\n\n"):
        said, replied = turn.split("\n")
        messages += [Message(Role.USER, said), Message(Role.ASSISTANT, replied)]
    return messages


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
