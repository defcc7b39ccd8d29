"""The whole stack on the embedded LLM and voice: a real turn in each language, written, spoken, and heard back."""

import io
import re
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from megaservice.models import Language
from megaservice.settings import Settings
from megaservice.text.transcript import spoken
from tests.embedded import running
from tests.listening import character_error_rate, transcribe
from tests.serving import megaservice, settings_for

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def llm_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running("llm", tmp_path_factory.mktemp("llm"), "EMBEDDED_LLM_PORT") as url:
        yield url


@pytest.fixture(scope="module")
def voice_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running("tts", tmp_path_factory.mktemp("tts"), "EMBEDDED_TTS_PORT") as url:
        yield url


@pytest.mark.parametrize(
    ("language", "message"),
    [
        (Language.ZH, "你好！你叫什么名字？你喜欢吃什么？"),
        (Language.EN, "Hello! What is your name? What do you like to eat?"),
    ],
)
async def test_a_live_reply_is_heard_as_it_was_written(
    tmp_path: Path, llm_url: str, voice_url: str, language: Language, message: str
) -> None:
    async with megaservice(_settings(tmp_path, llm_url, voice_url)) as client:
        response = await client.post(
            "/chat", json={"message": message, "language": language, "hsk_level": 2}, timeout=120
        )
    reply = response.json()
    assert (response.status_code, reply["errors"]) == (200, [])
    # Whisper makes words up around a clip of two syllables, so the reply is heard as a listener hears it: whole.
    utterance = tmp_path / "utterance.wav"
    _join([tmp_path / "audio" / clip.removeprefix("/audio/") for clip in reply["audio"]], utterance)
    heard = transcribe(utterance, language)
    rate = character_error_rate(" ".join(spoken(sentence["text"], language) for sentence in reply["sentences"]), heard)
    print(f"{reply['reply']!r} heard as {heard!r}: {rate:.2f}")
    assert rate <= 0.10


async def test_a_sentence_comes_slower_and_translated_and_its_words_as_a_deck(
    tmp_path: Path, llm_url: str, voice_url: str
) -> None:
    async with megaservice(_settings(tmp_path, llm_url, voice_url)) as client:
        reply = (await client.post("/chat", json={"message": "你喜欢喝茶吗？", "hsk_level": 2}, timeout=120)).json()
        sentence = max(reply["sentences"], key=lambda sentence: len(sentence["text"]))
        where = f"/turns/{reply['turn_id']}/sentences/{sentence['index']}"
        slow = (await client.post(f"{where}/speech", json={"speed": 0.75})).json()["clip"]
        translated = (await client.post(f"{where}/translation", timeout=120)).json()
        word = (await client.get("/words/喝茶", timeout=60)).json()
        await client.put("/words/喝茶", json={"turn_id": reply["turn_id"], "sentence_index": sentence["index"]})
        deck = (await client.get("/words/export")).content
    heard = transcribe(tmp_path / slow["url"][1:], "zh")
    print(f"{sentence['text']!r} heard slowly as {heard!r}, translated as {translated!r}; {word!r}")
    assert slow["duration_seconds"] == pytest.approx(sentence["clip"]["duration_seconds"] / 0.75, abs=0.01)
    assert character_error_rate(spoken(sentence["text"], Language.ZH), heard) <= 0.2
    assert re.search("[A-Za-z]{2}", translated["translation"])
    assert not re.search("[\u4e00-\u9fff]", translated["translation"])
    assert word["clip"]["duration_seconds"] > 0.8
    assert f"megatalk-{reply['turn_id']}-{sentence['index']}.wav".encode() in zipfile.ZipFile(io.BytesIO(deck)).read(
        "media"
    )


def _settings(directory: Path, llm_url: str, voice_url: str) -> Settings:
    return settings_for(
        directory,
        LLM_ENDPOINT=llm_url,
        LLM_MODEL_ID=httpx.get(f"{llm_url}/v1/models", trust_env=False).json()["data"][0]["id"],
        LLM_TEMPERATURE=0,
        TTS_ENDPOINTS=f"openai+{voice_url}/v1",
        TTS_VOICES_FILE=ROOT / "tts" / "voices.toml",
    )


def _join(clips: list[Path], utterance: Path) -> None:
    with wave.open(str(utterance), "wb") as out:
        for number, path in enumerate(clips):
            with wave.open(str(path)) as clip:
                if not number:
                    out.setparams(clip.getparams())
                out.writeframes(clip.readframes(clip.getnframes()))
                out.writeframes(bytes(2 * clip.getframerate() // 4))  # a breath
