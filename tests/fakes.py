"""Fakes of the pipeline's Protocols: they play a script and record what they were asked."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from megaservice.errors import AllEnginesFailed, MegaserviceError, TTSError
from megaservice.hsk.constraint import Constraint
from megaservice.models import Attempt, FinishReason, Language, Message, ReplyDelta, ReplyEnd, Speech, Voice
from megaservice.upstreams import EndpointState, LLMInfo, Readiness, TurnAttempt

SPEECH = Speech(b"RIFF....WAVE", 24000, 1.5)
VOICE = Voice("zh_female", "Xiaoxiao", Language.ZH, openai_voice="zf_xiaoxiao")

Step = str | FinishReason | MegaserviceError | asyncio.Event


class FakeChat:
    """Plays `script` for each stream: text is a delta, a FinishReason the end, an error is raised, an Event awaited."""

    model_id = "fake-model"

    def __init__(self, *scripts: Sequence[Step], context_tokens: int = 2048) -> None:
        self._scripts = list(scripts)
        self._context_tokens = context_tokens
        self.prompts: list[list[Message]] = []
        self.max_tokens: list[int] = []
        self.constraints: list[Constraint | None] = []
        self.likelihoods: dict[str, float] = {}
        self.judged: list[str] = []
        self.obeys = False
        self.met = False
        self.closed = 0
        self.not_ready_for = 0

    async def stream(
        self, messages: Sequence[Message], *, max_tokens: int, constraint: Constraint | None = None
    ) -> AsyncGenerator[ReplyDelta | ReplyEnd]:
        script = self._scripts[min(len(self.prompts), len(self._scripts) - 1)]
        self.prompts.append(list(messages))
        self.max_tokens.append(max_tokens)
        self.constraints.append(constraint)
        try:
            for step in script:
                match step:
                    case FinishReason():
                        yield ReplyEnd(step)
                    case str():
                        yield ReplyDelta(step)
                    case asyncio.Event():
                        await step.wait()
                    case _:
                        raise step
        finally:
            self.closed += 1

    async def several(
        self, messages: Sequence[Message], *, count: int, max_tokens: int, constraint: Constraint | None = None
    ) -> tuple[tuple[str, FinishReason], ...]:
        """Of the next script each text is a reply."""
        stream = self.stream(messages, max_tokens=max_tokens, constraint=constraint)
        texts = [part.text async for part in stream if isinstance(part, ReplyDelta)]
        return tuple((text, FinishReason.STOP) for text in texts[:count])

    @property
    def judges(self) -> bool:
        return bool(self.likelihoods)

    async def likelihood(self, messages: Sequence[Message]) -> float | None:
        self.judged.append(messages[-1].content)
        return self.likelihoods.get(messages[-1].content)

    async def meet(self) -> bool:
        was_met, self.met = self.met, (await self.readiness()).ready
        return self.met and not was_met

    def takes_constraint(self, level: int) -> bool:
        return self.obeys

    async def info(self) -> LLMInfo:
        raise NotImplementedError

    async def context_tokens(self) -> int:
        return self._context_tokens

    async def readiness(self) -> Readiness:
        self.not_ready_for -= 1
        return Readiness(self.not_ready_for < 0, "")


class FakeSpeech:
    """A chain of one endpoint. `script` has a step a sentence: a Speech, an error, or an Event to wait for first."""

    endpoint = "openai+http://tts:9088/v1"

    def __init__(self, *script: Speech | TTSError | asyncio.Event) -> None:
        self._script = script
        self.transcripts: list[str] = []
        self.cancelled = 0
        self._attempts: list[Attempt] = []

    def speaker(self) -> "FakeSpeech":
        return self

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        return tuple(self._attempts)

    async def speak(self, sentence: int, transcript: str, voice: Voice, language: Language) -> tuple[Speech, str]:
        step = self._script[len(self.transcripts)] if len(self.transcripts) < len(self._script) else SPEECH
        self.transcripts.append(transcript)
        if isinstance(step, asyncio.Event):
            try:
                await step.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            step = SPEECH
        outcome = step.code if isinstance(step, TTSError) else "ok"
        self._attempts.append(Attempt(sentence, self.endpoint, outcome, 1.0))
        if isinstance(step, TTSError):
            raise AllEnginesFailed(((self.endpoint, step),))
        return step, self.endpoint

    async def readiness(self) -> Readiness:
        return Readiness(True, "")

    def states(self, voice: Voice) -> tuple[EndpointState, ...]:
        return ()

    def recent_attempts(self) -> tuple[TurnAttempt, ...]:
        return ()
