"""The bodies of requests, as vLLM takes them; what we do not know is passed over, as there."""

import re
import secrets
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from llm.backend import ChatMessage, Sampling

_LONGEST_REGEX_CHARACTERS = 400_000  # a whole HSK list is about 60,000
_LONGEST_GRAMMAR_CHARACTERS = 2_000_000
_ROOT_RULE = re.compile(r"^root ::=", re.MULTILINE)
# What Python's `re` takes and xgrammar does not: looking around, back references, named and inline-flag groups.
_UNSUPPORTED_REGEX = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?(?!:)|\\[1-9bBAZ])")


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class TextPart(_Wire):
    type: Literal["text"]
    text: str


class Message(_Wire):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    def as_chat(self) -> ChatMessage:
        content = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return ChatMessage("system" if self.role == "developer" else self.role, content)


class ClassifyRequest(_Wire):
    messages: Annotated[list[Message], Field(min_length=2)]
    model: str | None = None

    @field_validator("messages")
    @classmethod
    def _ends_with_a_reply(cls, messages: list[Message]) -> list[Message]:
        if messages[-1].role != "assistant" or not messages[-1].as_chat().content:
            raise ValueError("the last message must be the assistant's reply")
        return messages


class StreamOptions(_Wire):
    include_usage: bool = False


class StructuredOutputs(BaseModel):
    """A regular expression or a grammar: any other constraint is refused rather than passed over."""

    model_config = ConfigDict(extra="forbid")

    regex: str | None = None
    grammar: str | None = None

    @model_validator(mode="after")
    def _is_one_and_usable(self) -> Self:
        if self.grammar is None:
            return self
        if self.regex is not None:
            raise ValueError("regex and grammar cannot both be set")
        if len(self.grammar) > _LONGEST_GRAMMAR_CHARACTERS:
            raise ValueError(f"grammar is longer than {_LONGEST_GRAMMAR_CHARACTERS} characters")
        if not _ROOT_RULE.search(self.grammar):
            raise ValueError("grammar has no rule that begins with 'root ::='")
        return self


class ResponseFormat(_Wire):
    type: Literal["text"]


class ChatRequest(_Wire):
    """What is left out is as in Qwen2.5's own generation settings, but for its repetition penalty."""

    messages: Annotated[list[Message], Field(min_length=1)]
    model: str | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float = Field(0.7, ge=0, le=2)
    top_p: float = Field(0.8, gt=0, le=1)
    top_k: int = Field(20, ge=-1)
    min_p: float = Field(0, ge=0, le=1)
    # Off: it counts the words of the prompt too, and so drives replies away from the few words of a low level.
    repetition_penalty: float = Field(1, gt=0, le=2)
    presence_penalty: float = Field(0, ge=-2, le=2)
    frequency_penalty: float = Field(0.2, ge=-2, le=2)  # ends the loops that small models fall into
    seed: int | None = Field(None, ge=0)
    stop: str | list[str] = []
    n: int = Field(1, ge=1, le=8)
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    structured_outputs: StructuredOutputs = StructuredOutputs()
    guided_regex: str | None = None
    response_format: ResponseFormat | None = None
    logprobs: Literal[False] = False

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, body: object) -> object:
        return {name: value for name, value in body.items() if value is not None} if isinstance(body, dict) else body

    @model_validator(mode="after")
    def _regex_is_usable(self) -> Self:
        if (regex := self.regex) is None:
            return self
        if len(regex) > _LONGEST_REGEX_CHARACTERS:
            raise ValueError(f"regex is longer than {_LONGEST_REGEX_CHARACTERS} characters")
        try:
            re.compile(regex)
        except (re.error, RecursionError, OverflowError) as exc:
            raise ValueError(f"regex is invalid: {exc}") from exc
        if found := _UNSUPPORTED_REGEX.search(regex):
            raise ValueError(f"regex uses {found[0]!r} at position {found.start()}, which is not supported")
        return self

    @property
    def regex(self) -> str | None:
        if self.structured_outputs == StructuredOutputs():
            return self.guided_regex
        return self.structured_outputs.regex

    @property
    def stop_strings(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop

    @property
    def limit(self) -> int | None:
        """Tokens the reply may have, if the request says so."""
        return self.max_completion_tokens or self.max_tokens

    def samplings(self, max_tokens: int) -> list[Sampling]:
        """One for each of the `n` replies, alike but for the seed."""
        first_seed = secrets.randbits(31) if self.seed is None else self.seed
        sampling = Sampling(
            max_tokens=max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            regex=self.regex,
            grammar=self.structured_outputs.grammar,
        )
        return [replace(sampling, seed=first_seed + number) for number in range(self.n)]
