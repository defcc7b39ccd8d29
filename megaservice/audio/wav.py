"""WAV facts and repair, and the question whether a body is speech. Pure; what it refuses is TTSBadAudio."""

import re
import struct
from array import array
from dataclasses import dataclass

from megaservice.errors import TTSBadAudio
from megaservice.models import Language, Speech
from megaservice.upstreams import Dialect

HEADER_BYTES = 44
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE

# Writers that do not know the length yet leave 0 (GPT-SoVITS), 0xFFFFFFFF (OpenAI, ffmpeg) or nearly 2 GiB (sox).
_UNKNOWN_SIZE_FROM = 0x7FFF_0000

# GPT-SoVITS answers 200 with a second of silence at this rate when its inference failed; it speaks at 24, 32 or 48 kHz.
_SOVITS_FAILURE_HZ = 16_000

# Swings under this many 16-bit steps (-60 dB of full scale) are silence to a listener; digital zero and DC among them.
_QUIETEST_SWING = 66

# A clip shorter than this has no syllable in it, whatever the text.
_SHORTEST_SECONDS = 0.1

# Fastest believable speech. People read Chinese at 4 to 5 syllables a second and English at about 15 characters; these
# are twice to thrice as fast, so only skipped text falls below. A voice may drop what is in the other language, so only
# characters of the turn's own language count.
_FASTEST_SECONDS = {Language.ZH: 0.1, Language.EN: 0.025}

# Slowest believable speech: three times the usual pace, a pause for each mark, spelled letters, and room for one short
# word with its lead-in. Only endless speech and repeats lie above.
_SLOWEST_BASE_SECONDS = 3.0
_SLOWEST_SYLLABLE_SECONDS = 0.6  # a Chinese character, a digit ("seventy-seven" is two), a mark
_SLOWEST_LETTER_SECONDS = 0.2

_LARGEST_BYTES_PER_SECOND = 48_000 * 2 * 4  # stereo, 32 bit

_HANZI = re.compile(r"[\u2e80-\u2fff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class WavFacts:
    """What a WAV's header says, checked against what came. `data_bytes` is what is there, at most what was declared."""

    sample_rate_hz: int
    channels: int
    bits: int
    is_float: bool
    data_offset: int
    data_bytes: int
    is_cut: bool

    @property
    def frames(self) -> int:
        return self.data_bytes // (self.channels * self.bits // 8)

    @property
    def duration_seconds(self) -> float:
        return self.frames / self.sample_rate_hz

    def __str__(self) -> str:
        kind = "float" if self.is_float else "PCM"
        channels = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        return f"WAV {kind}{self.bits} {channels} {self.sample_rate_hz} Hz"


def parse(body: bytes) -> WavFacts:
    """Chunks in any order before the data; a streamed header's unknown sizes mean "to the end of the body"."""
    if len(body) < 12 or body[:4] != b"RIFF" or body[8:12] != b"WAVE":
        raise TTSBadAudio(f"no WAV file ({_kind(body)})")
    riff_bytes: int = struct.unpack_from("<I", body, 4)[0]
    layout: tuple[int, int, int, bool] | None = None
    position = 12
    while position + 8 <= len(body):
        name, size = struct.unpack_from("<4sI", body, position)
        position += 8
        if name == b"fmt ":
            layout = _layout(body[position : position + size])
        elif name == b"data" and layout is not None:
            present = len(body) - position
            # An empty data chunk counts as unknown only when the RIFF size denies what follows it as well.
            unknown = size >= _UNKNOWN_SIZE_FROM or (size == 0 and riff_bytes + 8 <= position)
            rate, channels, bits, is_float = layout
            return WavFacts(
                sample_rate_hz=rate,
                channels=channels,
                bits=bits,
                is_float=is_float,
                data_offset=position,
                data_bytes=present if unknown else min(size, present),
                is_cut=not unknown and present < size,
            )
        position += size + size % 2
    raise TTSBadAudio("a WAV file with a broken or cut header")


def _layout(chunk: bytes) -> tuple[int, int, int, bool]:
    if len(chunk) < 16:
        raise TTSBadAudio("a WAV file with a broken or cut header")
    code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if code == _EXTENSIBLE and len(chunk) >= 26:
        code = struct.unpack_from("<H", chunk, 24)[0]
    known = (code == _PCM and bits in (16, 24, 32)) or (code == _FLOAT and bits == 32)
    if not known or channels not in (1, 2) or not 8_000 <= rate <= 192_000:
        raise TTSBadAudio(
            f"a WAV file in format {code}, {bits} bit, {channels} channels, {rate} Hz; "
            "wants PCM of 16, 24 or 32 bit or float of 32 bit, mono or stereo, 8 to 192 kHz"
        )
    return rate, channels, bits, code == _FLOAT


def _kind(body: bytes) -> str:
    if not body:
        return "it is empty"
    if body[:3] == b"ID3" or (body[0] == 0xFF and len(body) > 1 and body[1] & 0xE0 == 0xE0):
        return "it looks like MP3 or AAC"
    if body[:4] == b"OggS":
        return "it looks like Ogg"
    if body.lstrip()[:1] in (b"{", b"[", b"<"):
        return "it looks like JSON or HTML"
    return f"it starts with {body[:4].hex(' ')}"


def repair(body: bytes) -> bytes:
    """The same sound as PCM16 mono under a plain 44-byte header of right sizes; half a sample at the end is dropped."""
    facts = parse(body)
    data = body[facts.data_offset : facts.data_offset + facts.data_bytes]
    data = data[: facts.frames * facts.channels * facts.bits // 8]
    return write(_mono(_to_16_bit(data, facts), facts.channels), facts.sample_rate_hz)


def write(pcm: bytes, sample_rate_hz: int) -> bytes:
    """A WAV file of PCM16 mono samples."""
    return (
        struct.pack("<4sI4s4sI", b"RIFF", HEADER_BYTES - 8 + len(pcm), b"WAVE", b"fmt ", 16)
        + struct.pack("<HHIIHH", _PCM, 1, sample_rate_hz, sample_rate_hz * 2, 2, 16)
        + struct.pack("<4sI", b"data", len(pcm))
        + pcm
    )


def _to_16_bit(data: bytes, facts: WavFacts) -> bytes:
    if facts.is_float:
        values = (sample for (sample,) in struct.iter_unpack("<f", data))
        # max() before min(): a NaN, half precision's failure, then becomes a constant and so silence.
        samples = [round(min(1.0, max(-1.0, value)) * 32767) for value in values]
        return struct.pack(f"<{len(samples)}h", *samples)
    width = facts.bits // 8
    if width == 2:
        return data
    upper = bytearray(len(data) // width * 2)  # the two highest bytes of each little-endian sample
    upper[0::2] = data[width - 2 :: width]
    upper[1::2] = data[width - 1 :: width]
    return bytes(upper)


def _mono(pcm: bytes, channels: int) -> bytes:
    if channels == 1:
        return pcm
    mixed = [(left + right) // 2 for left, right in struct.iter_unpack("<hh", pcm)]
    return struct.pack(f"<{len(mixed)}h", *mixed)


def shortest_seconds(transcript: str, language: Language) -> float:
    own = _HANZI.findall(transcript) if language is Language.ZH else re.findall(r"[A-Za-z0-9]", transcript)
    return max(_SHORTEST_SECONDS, _FASTEST_SECONDS[language] * len(own))


def longest_seconds(transcript: str) -> float:
    seconds = _SLOWEST_BASE_SECONDS
    for character in transcript:
        if _LETTER_OR_DIGIT.match(character) and not _HANZI.match(character) and not character.isdigit():
            seconds += _SLOWEST_LETTER_SECONDS
        elif not character.isspace():
            seconds += _SLOWEST_SYLLABLE_SECONDS
    return seconds


def largest_body_bytes(transcript: str) -> int:
    """No believable speech of this text is larger, in any format that we take."""
    return 4096 + int(longest_seconds(transcript) * _LARGEST_BYTES_PER_SECOND)


def check_speech(body: bytes, *, transcript: str, language: Language, dialect: Dialect) -> Speech:
    """The body, repaired, when it can be that text spoken. Raises TTSBadAudio, whose message is what came instead."""
    facts = parse(body)
    if facts.frames == 0:
        raise TTSBadAudio("an empty WAV file (0 frames)")
    if facts.is_cut:
        raise TTSBadAudio(f"a cut WAV file ({facts.duration_seconds:.1f} s came, its header promises more)")
    # An OpenAI endpoint may well speak at 16 kHz; there only the silence tells.
    if facts.sample_rate_hz == _SOVITS_FAILURE_HZ and dialect is not Dialect.OPENAI:
        raise TTSBadAudio("GPT-SoVITS's mark of a failure inside (16 kHz); its own log says why")
    least, most = shortest_seconds(transcript, language), longest_seconds(transcript)
    if not least <= facts.duration_seconds <= most:
        raise TTSBadAudio(
            f"{facts.duration_seconds:.1f} s of sound for {len(transcript)} characters that take "
            f"{least:.1f} to {most:.1f} s"
        )
    wav = repair(body)
    if _is_silent(wav[HEADER_BYTES:]):
        raise TTSBadAudio(f"{facts.duration_seconds:.1f} s of silence")
    return Speech(wav=wav, sample_rate_hz=facts.sample_rate_hz, duration_seconds=facts.duration_seconds)


def _is_silent(pcm: bytes) -> bool:
    samples = array("h", pcm)
    return max(samples) - min(samples) < _QUIETEST_SWING
