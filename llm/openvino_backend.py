"""The Backend over OpenVINO GenAI's continuous batching pipeline."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import openvino as ov
import openvino_genai as genai
from openvino_genai.py_openvino_genai import GenerationHandle

from llm.backend import ChatMessage, Generation, Sampling
from llm.errors import GenerationFailed, ModelUnusable
from llm.judge import Question
from llm.prefix import StandIns
from llm.settings import Settings
from llm.text import BROKEN, ends_in_half

# A step holds the interpreter and all other replies: 64 tokens take up to a second on two cores, 256 took four.
_PROMPT_TOKENS_PER_STEP = 64
_BLOCK_TOKENS = {"CPU": 32}  # tokens of one KV cache block
_OTHER_BLOCK_TOKENS = 16
_TOKENS_OF_A_CHARACTER = 4  # at most: one a byte
_WARM_UP = "你好！" * 40  # longer than a step takes, so that both kinds of step are tried
_FINISH_REASONS = {genai.GenerationFinishReason.STOP: "stop", genai.GenerationFinishReason.LENGTH: "length"}


class _Reply:
    def __init__(self, handle: GenerationHandle, question: Question | None) -> None:
        self._handle = handle
        self._question = question
        self.log_odds: float | None = None

    def read(self) -> tuple[list[int], str | None]:
        token_ids: list[int] = []
        reason = None
        while self._handle.can_read():
            for output in self._handle.read().values():
                token_ids += output.generated_ids
                if self._question is not None and output.generated_ids:
                    self.log_odds = self._question.log_odds(output.generated_ids[0], output.generated_log_probs[0])
                reason = _FINISH_REASONS.get(output.finish_reason, reason)
        if reason is None and self._handle.get_status() == genai.GenerationStatus.IGNORED:
            reason = "abort"  # the cache has no room for it
        return token_ids, reason

    def cancel(self) -> None:
        self._handle.cancel()


class OpenVINOBackend:
    """A model folder on a device. Making it takes seconds. Raises ModelUnusable."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        scheduler = genai.SchedulerConfig()
        scheduler.enable_prefix_caching = True
        scheduler.max_num_batched_tokens = _PROMPT_TOKENS_PER_STEP
        scheduler.max_num_seqs = settings.llm_running_limit
        block_tokens = _BLOCK_TOKENS.get(settings.device, _OTHER_BLOCK_TOKENS)
        scheduler.num_kv_blocks = max(settings.llm_cache_tokens, settings.llm_max_model_len) // block_tokens + 1
        try:
            self._question, self._stand_ins = Question.of(folder), StandIns.of(folder)
            self._pipeline = genai.ContinuousBatchingPipeline(
                str(folder), scheduler, settings.device, _properties(settings)
            )
        except (RuntimeError, ValueError, TypeError) as exc:
            raise ModelUnusable(
                f"OpenVINO cannot load {folder} on {settings.device} ({_reason(exc)}). "
                "Check EMBEDDED_DEVICE; if the folder is damaged, delete it and start again."
            ) from exc
        self._tokenizer = self._pipeline.get_tokenizer()
        self._token_bytes = {number: token for token, number in self._tokenizer.get_vocab().items()}
        self._numbers = itertools.count()

    def warm_up(self) -> None:
        """Make the kernels and pack the weights, which the first step else does for seconds; frees the interpreter."""
        config = self._config(Sampling(max_tokens=2))
        prompt_ids = self.encode_chat([ChatMessage("user", _WARM_UP)])
        self._pipeline.generate([ov.Tensor(np.array([prompt_ids], dtype=np.int64))], [config])

    @property
    def judges(self) -> bool:
        return self._question is not None

    def encode_chat(self, messages: Sequence[ChatMessage], reply: str = "") -> list[int]:
        prompt = self._tokenizer.apply_chat_template(
            genai.ChatHistory([asdict(message) for message in messages]), add_generation_prompt=True
        )
        ids = self._encode(prompt)
        for stand_ins in self._stand_ins:
            ids = stand_ins.replace_in(ids)
        return [*ids, *(self._encode(reply) if reply else ())]

    def decode(self, token_ids: Sequence[int]) -> str:
        text = str(self._tokenizer.decode(list(token_ids)))
        last = (self._token_bytes.get(token_id, b"") for token_id in token_ids[-_TOKENS_OF_A_CHARACTER:])
        return text + BROKEN if ends_in_half(last) else text  # the tokenizer passes over half a character

    def add(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        question = self._question if sampling.is_judgement else None
        ids = [*prompt_ids, question.ask_id] if question else prompt_ids
        tensor = ov.Tensor(np.array([ids], dtype=np.int64))
        return _Reply(self._pipeline.add_request(next(self._numbers), tensor, self._config(sampling)), question)

    def step(self) -> None:
        try:
            self._pipeline.step()
        except RuntimeError as exc:
            raise GenerationFailed(_reason(exc)) from exc

    @property
    def has_work(self) -> bool:
        return bool(self._pipeline.has_non_finished_requests())

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).input_ids.data[0].tolist()
        return ids

    def _config(self, sampling: Sampling) -> genai.GenerationConfig:
        config = genai.GenerationConfig()
        config.set_eos_token_id(self._tokenizer.get_eos_token_id())
        config.max_new_tokens = sampling.max_tokens
        config.repetition_penalty = sampling.repetition_penalty
        config.presence_penalty = sampling.presence_penalty
        config.frequency_penalty = sampling.frequency_penalty
        config.logprobs = int(sampling.is_judgement)
        if sampling.temperature > 0:
            config.do_sample = True
            config.temperature = sampling.temperature
            config.top_p = sampling.top_p
            config.min_p = sampling.min_p
            config.rng_seed = sampling.seed
            if sampling.top_k > 0:
                config.top_k = sampling.top_k
        if sampling.regex is not None:
            config.structured_output_config = genai.StructuredOutputConfig(regex=sampling.regex)
        elif sampling.grammar is not None:
            config.structured_output_config = genai.StructuredOutputConfig(grammar=sampling.grammar)
        return config


def _properties(settings: Settings) -> dict[str, object]:
    if settings.device != "CPU":
        return {}
    # The voice works on the same cores: a thread that is pinned to one waits for it while another core idles.
    properties: dict[str, object] = {"ENABLE_CPU_PINNING": False}
    if settings.llm_threads:
        properties["INFERENCE_NUM_THREADS"] = settings.llm_threads
    return properties


def _reason(exc: Exception) -> str:
    """The runtime's last line without the time and the source file in front of it."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return re.sub(r"^\[[\d:]+\] \S+:\d+: ", "", lines[-1]) if lines else type(exc).__name__
