"""Stock questions: what is asked when nothing of a reply may be said. A test holds each to its level by both lists."""

from collections.abc import Sequence
from functools import cache
from importlib import resources
from zlib import crc32

from megaservice.models import Message


def stock_question(level: int, turn_id: str, history: Sequence[Message]) -> str:
    """Another one from turn to turn, and none that was just asked."""
    questions = stock_questions(level)
    asked = "".join(message.content for message in history)
    start = crc32(turn_id.encode()) % len(questions)
    turned = [*questions[start:], *questions[:start]]
    return next((question for question in turned if question not in asked), turned[0])


@cache
def stock_questions(level: int) -> tuple[str, ...]:
    """Those of the level; `stock.txt` has a line a question behind a line with its level."""
    text = resources.files(__package__).joinpath("stock.txt").read_text(encoding="utf-8")
    by_level = {head: body.split() for head, _, body in (part.partition("\n") for part in text.split("# ")[1:])}
    return tuple(by_level[str(level)])
