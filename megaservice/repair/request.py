"""The request that names the words: what the LLM is told about a sentence that may not be said. No I/O."""

from megaservice.hsk import Grade
from megaservice.models import Message, Role

_WORDS_NAMED = 6


def retry_request(rejected: str, grade: Grade | None) -> list[Message]:
    """It follows the turn's prompt, so that the server's prefix cache holds all but these few tokens."""
    words = [flag.word for flag in grade.flagged][:_WORDS_NAMED] if grade else []
    avoid = f"不要用：{'、'.join(words)}。" if words else "只说中文。"
    order = f"这句话太难了。{avoid}请用更简单的话再说一次，最多两句。"
    return [Message(Role.ASSISTANT, rejected), Message(Role.USER, order)]
