from megaservice.conversations import Conversations
from megaservice.models import Message, Role


def test_history_is_the_last_fifty_turns() -> None:
    conversations = Conversations(kept=2)
    for turn in range(60):
        conversations.add("a", f"message {turn}", f"reply {turn}")
    expected = [
        message
        for turn in range(10, 60)
        for message in (Message(Role.USER, f"message {turn}"), Message(Role.ASSISTANT, f"reply {turn}"))
    ]
    assert list(conversations.history("a")) == expected


def test_the_least_lately_used_is_forgotten() -> None:
    conversations = Conversations(kept=2)
    conversations.add("a", "1", "2")
    conversations.add("b", "3", "4")
    conversations.add("a", "5", "6")
    conversations.add("c", "7", "8")
    assert [len(conversations.history(conversation)) for conversation in "abc"] == [4, 0, 2]
