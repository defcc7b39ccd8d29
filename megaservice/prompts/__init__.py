"""What the LLM is told: prompts by language and HSK level, and how long its reply may be."""

from megaservice.prompts.builder import build_prompt, opening, reply_limit

__all__ = ["build_prompt", "opening", "reply_limit"]
