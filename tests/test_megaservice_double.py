"""The double of MegaService answers the page as the real one does: the same fields, the same codes."""

from pathlib import Path
from typing import Any

import httpx

from tests.doubles.gpt_sovits import GPTSoVITS
from tests.doubles.megaservice import REPLY, DoubleMegaService, create_double, serving
from tests.doubles.vllm import VLLM, Script
from tests.serving import megaservice, settings_for
from tests.sse import events_of

UNGRADED = {"verdict", "coverage", "flagged", "tokens", "level"}  # the double grades no reply


def shape(told: Any) -> Any:
    """What JSON is made of, without its values; a list is as its first entry."""
    if isinstance(told, dict):
        return {key: shape(value) for key, value in told.items() if value is not None and key not in UNGRADED}
    if isinstance(told, list):
        return [shape(one) for one in told[:1]]
    return type(told).__name__


async def asked(client: httpx.AsyncClient) -> dict[str, Any]:
    """Every call of the page about what is kept, and what came of it."""
    body = {"message": "你好", "language": "zh", "hsk_level": 1, "conversation_id": "talk"}
    turn_id = (await client.post("/turns", json=body)).json()["turn_id"]
    async with client.stream("GET", f"/turns/{turn_id}/events") as response:
        events = [event.name async for event in events_of(response)]
    sentence, where = f"/turns/{turn_id}/sentences/0", {"turn_id": turn_id, "sentence_index": 0}
    calls: dict[str, tuple[str, str, dict[str, Any] | None]] = {
        "conversations": ("GET", "/conversations", None),
        "renamed": ("PATCH", "/conversations/talk", {"title": "Tea"}),
        "conversation": ("GET", "/conversations/talk", None),
        "unknown conversation": ("GET", "/conversations/unknown", None),
        "slow": ("POST", f"{sentence}/speech", {"speed": 0.75}),
        "too slow": ("POST", f"{sentence}/speech", {"speed": 0.1}),
        "no such sentence": ("POST", f"/turns/{turn_id}/sentences/99/speech", {}),
        "translation": ("POST", f"{sentence}/translation", None),
        "word": ("GET", "/words/公园", None),
        "saved": ("PUT", "/words/公园", where),
        "words": ("GET", "/words", None),
        "forgotten": ("DELETE", "/words/公园", None),
        "voices": ("GET", "/v1/audio/voices", None),
        "deleted": ("DELETE", "/conversations/talk", None),
    }
    told: dict[str, Any] = {"events": [name for name in dict.fromkeys(events) if name != "clip"]}
    for path in ("/words/export", "/conversations/talk/export"):
        told[path] = (await client.get(path)).headers.get("content-disposition")
    for name, (method, path, sent) in calls.items():
        answer = await client.request(method, path, json=sent)
        told[name] = (answer.status_code, shape(answer.json()) if answer.is_success and answer.content else None)
    return told


async def test_the_double_tells_what_the_real_one_tells(tmp_path: Path) -> None:
    script = Script("".join(REPLY))
    async with VLLM(script) as llm, GPTSoVITS() as voice:
        settings = settings_for(tmp_path, LLM_ENDPOINT=llm.url, TTS_ENDPOINTS=f"sovits-v2+{voice.url}")
        async with megaservice(settings) as client:
            real = await asked(client)
    with serving(create_double(DoubleMegaService())) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            double = await asked(client)
    assert double == real
