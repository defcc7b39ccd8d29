"""What was said before, by conversation; kept in memory, the least lately used forgotten first."""

from collections import OrderedDict, deque

from megaservice.models import Message, Role

_TURNS_KEPT = 50  # of one conversation


class Conversations:
    def __init__(self, *, kept: int) -> None:
        self._kept = kept
        self._messages: OrderedDict[str, deque[Message]] = OrderedDict()

    def history(self, conversation_id: str) -> tuple[Message, ...]:
        """Oldest first; empty for a conversation that is new or forgotten."""
        return tuple(self._messages.get(conversation_id, ()))

    def add(self, conversation_id: str, message: str, reply: str) -> None:
        messages = self._messages.setdefault(conversation_id, deque(maxlen=2 * _TURNS_KEPT))
        messages += (Message(Role.USER, message), Message(Role.ASSISTANT, reply))
        self._messages.move_to_end(conversation_id)
        while len(self._messages) > self._kept:
            self._messages.popitem(last=False)
