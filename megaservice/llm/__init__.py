"""The LLM side: ChatClient asks any OpenAI-compatible server for replies; server.py knows the server, stream.py reads a
reply, faults.py puts its errors into our words."""

from megaservice.llm.client import ChatClient
from megaservice.llm.faults import PROMPT_TOO_LONG
from megaservice.llm.server import Timeouts

__all__ = ["PROMPT_TOO_LONG", "ChatClient", "Timeouts"]
