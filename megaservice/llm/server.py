"""LLMServer: the server at LLM_ENDPOINT, which models it lists, and whether it can write now."""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx
import openai

from megaservice.errors import LLMError, LLMProtocolError, LLMUnavailable
from megaservice.llm.constraining import Constraining
from megaservice.llm.faults import Faults
from megaservice.loading import Loading, loading_in
from megaservice.logs import fields
from megaservice.models import Message
from megaservice.upstreams import Readiness

# Where servers write the tokens of prompt and reply together: vLLM; then names that others use.
_LENGTH_NAMES = ("max_model_len", "context_length", "max_context_length", "n_ctx")

_CLASSES = ("fails", "answers")

# As a model id: whatever the server lists first.
_AUTO = "auto"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The first token may take as long as a model takes to load; then only a dead stream is silent for long."""

    connect_seconds: float = 2.0
    first_token_seconds: float = 90.0
    between_tokens_seconds: float = 30.0
    models_seconds: float = 2.0  # a turn waits for the list of models before its prompt is cut to length
    judge_seconds: float = 2.0  # and a sentence, before it is spoken, for the judge


class LLMServer:
    """One server as far as it is known: it may go, and another may come back at its address.

    The model id `auto` asks for what the server lists first; `model_id` names that one once it is known.
    The environment's proxies are not used: the LLM is the deployer's own, at the address she wrote.
    """

    def __init__(self, base_url: str, model_id: str, *, api_key: str, max_model_len: int, timeouts: Timeouts) -> None:
        scheme, _, rest = base_url.rstrip("/").partition("://")
        self.endpoint = f"{scheme}://{rest.rpartition('@')[2]}"  # without user and password, for people
        self.model_id = model_id
        self.faults = Faults(self.endpoint, model_id)
        self.constraining = Constraining()
        self._takes_any_model = model_id == _AUTO
        self._root_url = base_url.rstrip("/").removesuffix("/v1")
        self._max_model_len = max_model_len
        self._models_seconds = timeouts.models_seconds
        self._judge_seconds = timeouts.judge_seconds
        self._served: tuple[str, ...] = ()
        self._context_tokens: int | None = None
        # Only connecting is timed by httpx: its read timeout starts anew with each byte, and a comment is bytes.
        timeout = httpx.Timeout(None, connect=timeouts.connect_seconds)
        self._http = httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=True)
        self.api = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=api_key or "EMPTY",  # the SDK wants one; servers without a key ignore it
            max_retries=0,
            timeout=timeout,
            http_client=self._http,
        )
        self.api.organization = self.api.project = None  # else taken from OPENAI_* of the environment

    async def aclose(self) -> None:
        await self.api.close()

    async def readiness(self) -> Readiness:
        """A server that answers to any name lists another one than ours, so only an empty list is not ready."""
        try:
            served = await self._served_models(self._models_seconds)
        except LLMError as exc:
            if isinstance(exc, LLMUnavailable):  # else it is there, and busy
                self.constraining.doubt()
            return Readiness(ready=False, detail=exc.message, endpoint=self.endpoint)
        if not served and (loading := await self._loading()):
            return Readiness(False, loading.doing, self.endpoint, progress=loading.progress)
        names = ", ".join(served) or "no model"
        detail = f"The LLM at {self.endpoint} serves {names}"
        if self.model_id not in served:
            detail += f", LLM_MODEL_ID is {self.model_id}"
        return Readiness(ready=bool(served), detail=f"{detail}.", endpoint=self.endpoint)

    async def context_tokens(self) -> int:
        if self._context_tokens is None:
            try:
                await self._served_models(self._models_seconds)
            except LLMError as exc:
                _log.info("context length unknown", extra=fields(code=exc.code, cause=exc.message))
        return self._context_tokens or self._max_model_len

    async def settle_model(self, timeout_seconds: float) -> None:
        """Have a name to ask for, where the list of models came too late before: no server knows `auto`."""
        if self.model_id == _AUTO:
            await self._served_models(timeout_seconds)
            if self.model_id == _AUTO:
                raise self.faults.serves_nothing()

    def note_failure(self, error: LLMError) -> None:
        """A reply failed: what comes back may be another server."""
        self._context_tokens = None
        if isinstance(error, LLMUnavailable | LLMProtocolError):
            self.constraining.doubt()

    def unanswered(self, exc: Exception, seconds: float) -> LLMError:
        """The error of a request that did not get as far as a 2xx."""
        if isinstance(exc, openai.APIStatusError):
            return self.faults.refused(exc.status_code, exc.body)
        if isinstance(exc, TimeoutError):
            return self.faults.silent(seconds)
        if isinstance(exc.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
            return self.faults.not_connected()
        return self.faults.not_answered()

    async def _served_models(self, timeout_seconds: float) -> dict[str, int | None]:
        """Each model of GET /models with its length, where told. Keeps the length of ours."""
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await self.api.models.with_raw_response.list()
            listed = json.loads(answer.http_response.text)["data"] or []
            served = {str(model["id"]): _length(model) for model in listed}
        except (TimeoutError, openai.APIConnectionError, openai.APIStatusError, httpx.HTTPError) as exc:
            raise self.unanswered(exc, timeout_seconds) from exc
        except (ValueError, KeyError, TypeError) as exc:
            raise self.faults.makes_no_sense("a list of models") from exc
        if tuple(served) != self._served:
            self._served = tuple(served)
            self.constraining.doubt()
        if self._takes_any_model and served:
            self.model_id = next(iter(served))
            self.faults = Faults(self.endpoint, self.model_id)
        # A server of one model answers to any name, and its length is then ours too.
        only = next(iter(served.values())) if len(served) == 1 else None
        self._context_tokens = served.get(self.model_id, only) or self._max_model_len
        return served

    async def likelihood(self, messages: Sequence[Message], *, within_seconds: float | None = None) -> float | None:
        """How likely the last message, a reply, answers what stands before it, from 0 to 1.

        By vLLM's Classification API (https://docs.vllm.ai/en/latest/models/pooling_models), where the model's classes
        are `fails` and `answers`. None where the server has no such model, or does not tell in time.
        """
        conversation = [{"role": message.role.value, "content": message.content} for message in messages]
        try:
            async with asyncio.timeout(within_seconds or self._judge_seconds):
                answer = await self._http.post(
                    f"{self._root_url}/classify",
                    json={"model": self.model_id, "messages": conversation},
                    headers=self.api.auth_headers,
                )
            judgement = answer.raise_for_status().json()["data"][0]
            _, likelihood = map(float, judgement["probs"])
            return likelihood if judgement["label"] == _CLASSES[likelihood >= 0.5] else None
        except (TimeoutError, httpx.HTTPError, ValueError, KeyError, IndexError, TypeError) as exc:
            _log.debug("no judgement", extra=fields(cause=repr(exc)))
            return None

    async def _loading(self) -> Loading | None:
        """The embedded server lists no model until it can write; its /health tells what it does meanwhile."""
        try:
            async with asyncio.timeout(self._models_seconds):
                answer = await self._http.get(f"{self._root_url}/health")
        except (TimeoutError, httpx.HTTPError):
            return None
        return loading_in(answer.content)


def _length(model: Mapping[str, object]) -> int | None:
    meta = model.get("meta")  # llama.cpp keeps its n_ctx in there
    for source in (model, meta if isinstance(meta, Mapping) else {}):
        for name in _LENGTH_NAMES:
            value = source.get(name)
            if isinstance(value, int) and value > 0:
                return value
    return None
