import contextlib
import os
import threading
from pathlib import Path

import pytest

from megaservice.audio import wav
from megaservice.audio.store import ClipStore, clip_id_of
from megaservice.errors import NotFound
from megaservice.models import Clip, Speech

TURN = "0123456789abcdef0123456789abcdef"
SPEECH = Speech(b"RIFF" + bytes(96), 24000, 0.5)


def a_store(directory: Path, *, max_age_seconds: float = 3600, max_bytes: float = 1e9, now: float = 0) -> ClipStore:
    return ClipStore(directory, max_age_seconds=max_age_seconds, max_bytes=max_bytes, clock=lambda: now)


def write_at(store: ClipStore, directory: Path, index: int, seconds: float) -> str:
    store.write(f"{TURN}-{index}", SPEECH, "openai+http://tts")
    os.utime(directory / f"{TURN}-{index}.wav", (seconds, seconds))
    return f"{TURN}-{index}"


def names(directory: Path) -> list[str]:
    return sorted(path.stem for path in directory.iterdir())


def test_a_written_clip_can_be_read(tmp_path: Path) -> None:
    store = a_store(tmp_path / "new")
    clip = store.write(f"{TURN}-3", SPEECH, "openai+http://tts")
    assert clip == Clip(f"/audio/{TURN}-3.wav", 0.5, 24000, "openai+http://tts")
    with store.reading(f"{TURN}-3") as path:
        assert path.read_bytes() == SPEECH.wav


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    (tmp_path / f"{TURN}-0.wav").mkdir()
    with pytest.raises(OSError, match="directory"):
        store.write(f"{TURN}-0", SPEECH, "openai+http://tts")
    assert names(tmp_path) == [f"{TURN}-0"]


def test_what_was_left_half_written_goes_at_the_start(tmp_path: Path) -> None:
    (tmp_path / f"{TURN}-0.half").write_bytes(b"RIFF")
    a_store(tmp_path)
    assert names(tmp_path) == []


def test_slowed_clips_and_words_have_names_of_their_own(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    ids = [clip_id_of(TURN, 3), clip_id_of(TURN, 3, 75), f"word-{TURN}", f"{TURN[::-1]}-0"]
    for clip_id in ids:
        store.write(clip_id, SPEECH, "openai+http://tts")
    assert names(tmp_path) == sorted(ids)
    assert ids[1] == f"{TURN}-3-75"
    store.remove({TURN})
    assert names(tmp_path) == sorted(ids[2:])


def test_a_stored_clip_is_found_with_its_facts(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    assert store.find(f"{TURN}-0", None) is None
    store.write(f"{TURN}-0", Speech(wav.write(bytes(24000), 24000), 24000, 0.5), "openai+http://tts")
    assert store.find(f"{TURN}-0", None) == Clip(f"/audio/{TURN}-0.wav", 0.5, 24000, None)
    store.write(f"{TURN}-1", SPEECH, None)
    assert store.find(f"{TURN}-1", None) is None


@pytest.mark.parametrize(
    "clip_id",
    ["../secret", "..", "", "/etc/passwd", f"{TURN}-0/../x", f"{TURN}-99999", f"{TURN}-0\n", f"{TURN}-0-7", "word-x"],
)
def test_nothing_outside_the_store_can_be_named(tmp_path: Path, clip_id: str) -> None:
    (tmp_path / "secret.wav").write_bytes(b"secret")
    store = a_store(tmp_path / "audio")
    with pytest.raises(NotFound), store.reading(clip_id):
        pass


def test_sweep_removes_what_is_too_old(tmp_path: Path) -> None:
    store = a_store(tmp_path, max_age_seconds=100, now=1000)
    write_at(store, tmp_path, 0, 899)
    kept = write_at(store, tmp_path, 1, 901)
    assert store.sweep() == 1
    assert names(tmp_path) == [kept]


def test_sweep_removes_the_oldest_until_the_rest_fits(tmp_path: Path) -> None:
    store = a_store(tmp_path, max_bytes=250, now=1000)
    clips = [write_at(store, tmp_path, index, 900 + index) for index in range(4)]
    assert store.sweep() == 2
    assert names(tmp_path) == clips[2:]


def test_sweep_leaves_a_clip_that_is_read(tmp_path: Path) -> None:
    store = a_store(tmp_path, max_bytes=0, now=1000)
    clips = [write_at(store, tmp_path, index, 900) for index in range(2)]
    with store.reading(clips[0]), store.reading(clips[0]):
        assert store.sweep() == 1
    assert names(tmp_path) == clips[:1]
    assert store.sweep() == 1


def test_whoever_begins_to_read_in_mid_sweep_keeps_the_clip(tmp_path: Path) -> None:
    store = a_store(tmp_path, max_bytes=0, now=1000)
    for _ in range(100):
        clip = write_at(store, tmp_path, 0, 900)
        sweep = threading.Thread(target=store.sweep)
        sweep.start()
        with contextlib.suppress(NotFound), store.reading(clip) as path:
            sweep.join()
            assert path.is_file()
        sweep.join()
