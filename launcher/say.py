"""One turn from the terminal: prints the sentences as they come, and judges whether text and speech are real."""

import json
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from launcher.terminal import say

_LEAST_SECONDS = 0.3
_LEAST_PEAK = 300  # of 32767: below it a listener hears nothing


@dataclass
class Outcome:
    """What a turn left behind. `faults` is empty only if it was really written and really spoken."""

    clips: list[Path] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def run_turn(url: str, message: str, *, language: str, level: int | None, audio_dir: Path) -> Outcome:
    """Ask MegaService at `url`, print what comes, and look at every clip's file."""
    body = {"message": message, "language": language, "hsk_level": level, "stream": True}
    timeout = httpx.Timeout(5.0, read=180.0)
    started = time.monotonic()
    try:
        with (
            httpx.Client(timeout=timeout, trust_env=False) as client,
            client.stream("POST", f"{url}/chat", json=body) as response,
        ):
            if response.status_code != httpx.codes.OK:
                response.read()
                return Outcome(faults=[f"MegaService answered {response.status_code}: {response.text}"])
            return _follow(_events(response.iter_lines()), started, language, audio_dir)
    except httpx.HTTPError as exc:
        return Outcome(faults=[f"MegaService was lost in mid-turn: {exc}"])


def _follow(events: Iterator[tuple[str, dict[str, object]]], started: float, language: str, audio_dir: Path) -> Outcome:
    outcome = Outcome()
    unspoken: set[object] = set()
    ended = False
    for name, data in events:
        seconds = f"{time.monotonic() - started:5.2f} s"
        if name == "sentence":
            say(f"{seconds}  {str(data['text']).strip()}")
            if data["spoken"]:
                unspoken.add(data["index"])
        elif name == "clip":
            unspoken.discard(data["index"])
            clip = data["clip"]
            assert isinstance(clip, dict)
            path = audio_dir / str(clip["url"]).rpartition("/")[2]
            say(f"{seconds}  {path}  {clip['duration_seconds']:.2f} s at {clip['sample_rate_hz']} Hz")
            outcome.clips.append(path)
            outcome.faults += clip_faults(path)
        elif name in ("clip_failed", "turn_failed"):
            outcome.faults.append(f"{name}: {data['code']}: {data['message']}")
        elif name == "turn_completed":
            ended = True
            _tell_timings(data)
            outcome.faults += _reply_faults(str(data["reply"]), language)
    if not ended:
        outcome.faults.append("The turn did not complete.")
    if unspoken or not outcome.clips:
        outcome.faults.append("Not every sentence was spoken." if outcome.clips else "Nothing was spoken.")
    return outcome


def _tell_timings(completed: dict[str, object]) -> None:
    timings = completed["timings_ms"]
    assert isinstance(timings, dict)
    told = (f"{name.replace('_', ' ')} {value:.0f} ms" for name, value in timings.items() if value is not None)
    say(f"Timings: {', '.join(told)}; spoken by {completed['endpoint']}.")


def _reply_faults(reply: str, language: str) -> list[str]:
    if language == "zh":
        real = sum("\u4e00" <= character <= "\u9fff" for character in reply) >= 2
    else:
        real = sum(character.isascii() and character.isalpha() for character in reply) >= 2
    return [] if real else [f"The reply is no {'Chinese' if language == 'zh' else 'English'} text: {reply!r}"]


def clip_faults(path: Path) -> list[str]:
    """Why the file is no speech; empty if nothing speaks against it."""
    try:
        with wave.open(str(path)) as clip:
            seconds = clip.getnframes() / clip.getframerate()
            frames = clip.readframes(clip.getnframes())
            whole = len(frames) == clip.getnframes() * clip.getsampwidth() * clip.getnchannels()
            width = clip.getsampwidth()
    except (OSError, EOFError, wave.Error, ZeroDivisionError) as exc:
        return [f"{path} is no WAV file: {exc}"]
    if not whole or width != 2:
        return [f"{path} is not a whole 16-bit WAV file."]
    if seconds <= _LEAST_SECONDS:
        return [f"{path} is {seconds:.2f} s long; speech takes more than {_LEAST_SECONDS} s."]
    peak = max(abs(int.from_bytes(frames[i : i + 2], "little", signed=True)) for i in range(0, len(frames), 2))
    return [f"{path} is silent (peak {peak})."] if peak < _LEAST_PEAK else []


def _events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, object]]]:
    """The (event, data) pairs of a server-sent event stream."""
    name, data = "", ""
    for line in lines:
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            data += line.removeprefix("data:").strip()
        elif not line and name:
            yield name, json.loads(data)
            name, data = "", ""
