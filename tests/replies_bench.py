"""`scripts/bench replies`: what a running MegaService answers to twenty learner messages, to be read."""

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

MESSAGES_FILE = Path(__file__).parent / "data" / "learner_messages.txt"
_FREE = "free"


@dataclass(frozen=True, slots=True)
class Asked:
    language: str
    level: int | None
    message: str


def asked() -> list[Asked]:
    """A heading in the file is language and level of the messages below it."""
    found: list[Asked] = []
    for line in filter(None, MESSAGES_FILE.read_text(encoding="utf-8").splitlines()):
        if line.startswith("#"):
            _, language, level = line.split()
        else:
            found.append(Asked(language, None if level == _FREE else int(level), line))
    return found


async def run(url: str) -> None:
    """Each is asked without what was said before it, and none is kept."""
    first_sentences: list[float] = []
    first_audios: list[float] = []
    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        for number, one in enumerate(asked(), 1):
            body: dict[str, object] = {
                "message": one.message,
                "language": one.language,
                "hsk_level": one.level,
                "history": [],
            }
            answer: dict[str, Any] = (await client.post("/chat", json=body)).raise_for_status().json()
            sentence, audio = (answer["timings_ms"][name] for name in ("first_sentence", "first_audio"))
            first_sentences.append(sentence)
            first_audios += [audio] if audio is not None else []
            level = f"HSK {one.level}" if one.level else f"{one.language}, {_FREE}"
            print(f"{number}. {level}: {one.message} -> {' '.join(answer['reply'].split())}")
            print(f"   first sentence {_told(sentence)}, first audio {_told(audio)}", flush=True)
    print(f"first sentence: p50 {_told(statistics.median(first_sentences))}, most {_told(max(first_sentences))}")
    if first_audios:
        print(f"first audio: p50 {_told(statistics.median(first_audios))}, most {_told(max(first_audios))}")


def _told(milliseconds: float | None) -> str:
    return "never" if milliseconds is None else f"{milliseconds / 1000:.2f} s"
