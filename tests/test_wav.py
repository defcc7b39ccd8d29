"""WAV parsing and repair, and what counts as speech."""

import io
import math
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megaservice.audio import wav
from megaservice.errors import TTSBadAudio
from megaservice.models import Language
from megaservice.upstreams import Dialect

TONE = [round(9000 * math.sin(i / 7)) for i in range(32_000)]


def pcm(samples: list[int]) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples)


def tone(seconds: float, rate_hz: int = 32_000) -> bytes:
    return wav.write(pcm([TONE[i % len(TONE)] for i in range(int(seconds * rate_hz))]), rate_hz)


def riff(
    data: bytes,
    *,
    code: int = 1,
    channels: int = 1,
    rate: int = 24_000,
    bits: int = 16,
    riff_bytes: int | None = None,
    data_bytes: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    width = channels * bits // 8
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, code, channels, rate, rate * width, width, bits)
    size = len(data) if data_bytes is None else data_bytes
    rest = b"WAVE" + before + fmt + struct.pack("<4sI", b"data", size) + data + after
    return struct.pack("<4sI", b"RIFF", len(rest) if riff_bytes is None else riff_bytes) + rest


LIST = b"LIST" + struct.pack("<I", 5) + b"INFOx" + b"\0"  # an odd chunk is padded


def read_back(body: bytes) -> tuple[int, int, int, bytes]:
    with wave.open(io.BytesIO(body)) as file:
        return file.getframerate(), file.getnchannels(), file.getsampwidth(), file.readframes(file.getnframes())


@pytest.mark.parametrize(
    "body",
    [
        riff(pcm(TONE)),
        riff(pcm(TONE), before=LIST, after=LIST),
        riff(pcm(TONE), riff_bytes=36, data_bytes=0),
        riff(pcm(TONE), riff_bytes=0xFFFFFFFF, data_bytes=0xFFFFFFFF),
        riff(pcm(TONE), riff_bytes=0x7FFFF024, data_bytes=0x7FFFF000),
        riff(pcm(TONE) + b"\x07", riff_bytes=36, data_bytes=0),
        riff(b"".join(struct.pack("<i", sample << 16 | 0xABC) for sample in TONE), bits=32),
        riff(b"".join(struct.pack("<i", sample << 8)[:3] for sample in TONE), bits=24),
        riff(b"".join(struct.pack("<hh", sample, sample) for sample in TONE), channels=2),
        riff(b"".join(struct.pack("<f", sample / 32767) for sample in TONE), bits=32, code=3),
    ],
    ids=["plain", "list", "sizes 36/0", "sizes ffffffff", "sox", "odd byte", "int32", "int24", "stereo", "float32"],
)
def test_repair_gives_the_same_sound_under_a_plain_header(body: bytes) -> None:
    assert not wav.parse(body).is_cut
    repaired = wav.repair(body)
    assert read_back(repaired) == (24_000, 1, 2, pcm(TONE))
    assert len(repaired) == 44 + 2 * len(TONE)
    assert struct.unpack_from("<I", repaired, 4)[0] == len(repaired) - 8


def test_repair_reads_an_extensible_header() -> None:
    data = pcm(TONE)
    fmt = struct.pack("<HHIIHH", 0xFFFE, 1, 24_000, 48_000, 2, 16) + struct.pack("<HHI", 22, 16, 4)
    fmt += struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    rest = b"WAVE" + struct.pack("<4sI", b"fmt ", len(fmt)) + fmt + struct.pack("<4sI", b"data", len(data)) + data
    assert read_back(wav.repair(struct.pack("<4sI", b"RIFF", len(rest)) + rest)) == (24_000, 1, 2, data)


def test_facts_of_an_empty_file_with_a_chunk_behind_it_are_zero_frames() -> None:
    assert wav.parse(riff(b"", after=LIST)).frames == 0


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused_as_bad_audio(tail: bytes) -> None:
    for body in (tail, b"RIFF\0\0\0\0WAVE" + tail, riff(pcm(TONE[:20]))[: len(tail)]):
        try:
            facts = wav.parse(body)
        except TTSBadAudio:
            continue
        assert 0 <= facts.data_bytes <= len(body) - facts.data_offset


@given(st.integers(0, 2000), st.booleans())
def test_repair_of_any_cut_is_a_whole_file(kept: int, streamed: bool) -> None:
    whole = riff(pcm(TONE[:978]), riff_bytes=36, data_bytes=0) if streamed else riff(pcm(TONE[:978]))
    body = whole[: 44 + kept]
    rate, channels, width, data = read_back(wav.repair(body))
    assert (rate, channels, width) == (24_000, 1, 2)
    assert data == body[44 : 44 + kept // 2 * 2]


def speech_of(body: bytes, dialect: Dialect = Dialect.SOVITS_V2, transcript: str = "你好！你叫什么名字？") -> float:
    return wav.check_speech(body, transcript=transcript, language=Language.ZH, dialect=dialect).duration_seconds


def test_speech_is_repaired_and_measured() -> None:
    body = tone(2.0)
    streamed = body[:4] + struct.pack("<I", 36) + body[8:40] + struct.pack("<I", 0) + body[44:]
    speech = wav.check_speech(streamed, transcript="你好！", language=Language.ZH, dialect=Dialect.SOVITS_V1)
    assert (speech.wav, speech.sample_rate_hz, speech.duration_seconds) == (body, 32_000, 2.0)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "empty"),
        (b'{"message": "tts failed"}', "JSON"),
        (b"ID3\x04" + bytes(99), "MP3"),
        (b"\xff\xf1\x54\x40", "MP3 or AAC"),
        (tone(0), "0 frames"),
        (tone(2.0)[:-1000], "a cut WAV"),
        (tone(2.0)[:30], "broken or cut"),
        (tone(2.0)[:40], "broken or cut"),
        (wav.write(bytes(32_000), 16_000), "16 kHz"),
        (tone(2.0, rate_hz=16_000), "16 kHz"),
        (wav.write(bytes(128_000), 32_000), "silence"),
        (wav.write(b"\x34\x12" * 64_000, 32_000), "silence"),
        (wav.write(b"\x01\x00\xff\xff" * 32_000, 32_000), "silence"),
        (riff(struct.pack("<f", math.nan) * 48_000, code=3, bits=32), "silence"),
        (tone(0.3), "that take 0.8 to"),
        (tone(60), "that take 0.8 to"),
        (riff(bytes(48_000), bits=8), "8 bit"),
        (riff(pcm(TONE), channels=6), "6 channels"),
        (riff(pcm(TONE), rate=100), "100 Hz"),
        (riff(pcm(TONE), code=6), "format 6"),
    ],
)
def test_what_is_no_speech_is_refused_with_its_reason(body: bytes, told: str) -> None:
    with pytest.raises(TTSBadAudio, match=told):
        speech_of(body)


def test_openai_endpoint_may_speak_at_16_khz_but_not_be_silent() -> None:
    assert speech_of(tone(2.0, rate_hz=16_000), Dialect.OPENAI) == 2.0
    with pytest.raises(TTSBadAudio, match="silence"):
        speech_of(wav.write(bytes(64_000), 16_000), Dialect.OPENAI)


@pytest.mark.parametrize(
    ("text", "language", "usual_seconds", "skipped_seconds", "endless_seconds"),
    [
        ("好。", Language.ZH, 0.4, 0.05, 5.0),
        ("你好！你叫什么名字？", Language.ZH, 2.2, 0.7, 12.0),
        ("我每天早上七点起床，然后跟妈妈一起吃早饭，八点去学校上课。", Language.ZH, 6.5, 2.0, 30.0),
        ("今天是2024年3月5日。", Language.ZH, 3.5, 0.3, 20.0),
        ("OK!", Language.EN, 0.6, 0.05, 6.0),
        ("The HSK has 6 levels, and $5.99 (20% off) buys 1,234,567 of them.", Language.EN, 9.0, 0.6, 40.0),
        ("I get up at seven every morning and have breakfast with my mother.", Language.EN, 4.5, 0.9, 20.0),
        ("在英语里，我们说 How do you do?", Language.ZH, 3.0, 0.6, 20.0),
    ],
)
def test_plausible_durations(
    text: str, language: Language, usual_seconds: float, skipped_seconds: float, endless_seconds: float
) -> None:
    shortest, longest = wav.shortest_seconds(text, language), wav.longest_seconds(text)
    assert skipped_seconds < shortest <= 0.6 * usual_seconds
    assert 1.5 * usual_seconds <= longest < endless_seconds


def test_the_largest_body_holds_the_longest_speech_in_the_widest_format() -> None:
    assert wav.largest_body_bytes("你好。") > wav.longest_seconds("你好。") * 48_000 * 8
