"""The LLM side: ChatClient asks any OpenAI-compatible server, faults.py puts its errors into our words."""

from megaservice.llm.client import ChatClient, Timeouts
from megaservice.llm.faults import PROMPT_TOO_LONG

__all__ = ["PROMPT_TOO_LONG", "ChatClient", "Timeouts"]
