"""The word book: what a word is and how it sounds, which ones are saved, and all of them as a deck."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import IO

from megaservice.anki import write_deck
from megaservice.audio.store import ClipStore, clip_id_of
from megaservice.clip_maker import ClipMaker
from megaservice.errors import MegaserviceError, NotFound, TooBusy
from megaservice.hsk import DEFAULT_STANDARD, Grader, Standard, WordFacts
from megaservice.hsk.reading import toneless
from megaservice.models import Clip, Language, Problem, Voice
from megaservice.protocols import WordStore
from megaservice.records import SavedWord
from megaservice.saved_words import WordReply
from megaservice.sentences import Sentences
from megaservice.text.transcript import spoken

_EXPORTED_WORDS = 5000
_EXPORTED_BYTES = 200_000_000  # of sound
_EXPORT_SPEECH_SECONDS = 30.0  # for clips that are not there


class WordBook:
    def __init__(
        self,
        store: WordStore,
        grader: Grader,
        sentences: Sentences,
        maker: ClipMaker,
        clips: ClipStore,
        voice: Voice,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`voice` speaks Chinese."""
        self._store = store
        self._grader = grader
        self._sentences = sentences
        self._maker = maker
        self._clips = clips
        self._voice = voice
        self._clock = clock
        self._exporting = asyncio.Lock()

    async def look_up(self, text: str, standard: Standard, *, speak: bool) -> WordReply:
        """Without a sound where no voice answers. Raises StoreError."""
        facts = await self._facts(text, standard)
        saved = await self._store.word(facts.word)
        if saved and saved.sentence:
            facts = await self._facts(facts.word, standard, saved.sentence)
        sentence = _sentence(facts.word, saved)
        clip: Clip | None = None
        errors: tuple[Problem, ...] = ()
        if speak:
            try:
                clip = await self._speak(sentence)
            except MegaserviceError as exc:
                errors = (Problem("speech", exc.code, exc.message),)
        return WordReply(
            word=facts.word,
            pinyin=facts.pinyin,
            level=facts.level,
            standard=standard,
            gloss=facts.gloss,
            sentence=sentence,
            clip=clip,
            saved=saved is not None,
            errors=errors,
        )

    async def save(self, text: str, turn_id: str | None, index: int | None, standard: Standard) -> SavedWord:
        """One that is saved already keeps its time, and its sentence unless another is named.

        Raises NotFound for an unknown sentence, and StoreError.
        """
        sentence: str | None = None
        if turn_id is not None and index is not None:
            sentence = await self._sentences.text(turn_id, index)
        elif known := await self._store.word((await self._facts(text, standard)).word):
            sentence, turn_id, index = known.sentence, known.turn_id, known.sentence_index
        facts = await self._facts(text, standard, sentence or "")
        now_ms = round(self._clock() * 1000)
        word = SavedWord(facts.word, standard, facts.pinyin, facts.level, facts.gloss, sentence, turn_id, index, now_ms)
        plain = toneless(facts.pinyin)
        told = (word.word, text, facts.pinyin, plain, plain.replace("ü", "v"), facts.gloss, sentence)
        return await self._store.save_word(word, "\n".join(one for one in told if one))

    async def forget(self, text: str) -> None:
        """Raises StoreError."""
        await self._store.forget_word((await self._facts(text, DEFAULT_STANDARD)).word)

    async def saved(self) -> tuple[SavedWord, ...]:
        """Those that an export has. Raises StoreError."""
        return await self._store.words(limit=_EXPORTED_WORDS)

    async def deck(self) -> IO[bytes]:
        """An Anki package, in a file that is gone when it is closed. Raises TooBusy, StoreError and OSError."""
        if self._exporting.locked():
            raise TooBusy("Another export is being made; try again in a few seconds.")
        async with self._exporting:
            words = await self.saved()
            await self._speak_missing(words)
            out = await asyncio.to_thread(self._clips.scratch)
            write = partial(write_deck, words, self._sounds(), out, seconds_since_1970=self._clock())
            await asyncio.to_thread(write)
            out.seek(0)
            return out

    async def _facts(self, text: str, standard: Standard, sentence: str = "") -> WordFacts:
        return await asyncio.to_thread(self._grader.look_up, text, standard, sentence)

    async def _speak(self, sentence: str) -> Clip:
        clip_id = self._clip_id(sentence)
        return await self._maker.make(clip_id, partial(self._found_or_spoken, clip_id, sentence))

    async def _found_or_spoken(self, clip_id: str, sentence: str) -> Clip:
        if found := await self._maker.find(clip_id, None):
            return found
        transcript = spoken(sentence, Language.ZH) or sentence
        return await self._maker.speak(clip_id, transcript, self._voice, Language.ZH)

    async def _speak_missing(self, words: Sequence[SavedWord]) -> None:
        """As far as it goes in the time; a voice that fails once is not asked again."""
        missing = [word for word in words if not any(map(self._clips.has, self._clip_ids(word)))]
        with suppress(TimeoutError, MegaserviceError):
            async with asyncio.timeout(_EXPORT_SPEECH_SECONDS):
                for word in missing:
                    await self._speak(_sentence(word.word, word))

    def _sounds(self) -> Callable[[SavedWord], tuple[str, bytes] | None]:
        left_bytes = _EXPORTED_BYTES

        def sound_of(word: SavedWord) -> tuple[str, bytes] | None:
            nonlocal left_bytes
            for clip_id in self._clip_ids(word) if left_bytes > 0 else ():
                with suppress(NotFound):
                    body = self._clips.read(clip_id)
                    left_bytes -= len(body)
                    return f"megatalk-{clip_id}.wav", body
            return None

        return sound_of

    def _clip_ids(self, word: SavedWord) -> Iterator[str]:
        """The clip of the turn that it was met in, as long as that is there; else our own of the same sentence."""
        if word.turn_id is not None and word.sentence_index is not None:
            yield clip_id_of(word.turn_id, word.sentence_index)
        yield self._clip_id(_sentence(word.word, word))

    def _clip_id(self, sentence: str) -> str:
        return "word-" + hashlib.sha256(f"{self._voice.id}\n{sentence}".encode()).hexdigest()[:32]


def _sentence(word: str, saved: SavedWord | None) -> str:
    """The one that it was met in; else one of HSK 1, right with any word: no voice says a lone character well."""
    return saved.sentence if saved and saved.sentence else f"你会说“{word}”吗？"
