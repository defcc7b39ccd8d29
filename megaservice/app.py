"""create_app(): the one place that builds things and hands them to those who need them."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from megaservice.audio.store import ClipStore
from megaservice.checks import check, make_folder
from megaservice.clip_maker import ClipMaker
from megaservice.hsk import Grader, Lexicon, Standard
from megaservice.hsk.constraint import Constraints
from megaservice.llm import ChatClient
from megaservice.logs import PayloadLog, fields
from megaservice.models import Language
from megaservice.pipeline import run_turn
from megaservice.repair import Ladders, RepairRules, parse_levels, parse_rungs
from megaservice.routes.audio import audio_routes
from megaservice.routes.chat import chat_routes
from megaservice.routes.conversations import conversation_routes
from megaservice.routes.debug import debug_routes
from megaservice.routes.health import health_routes
from megaservice.routes.hsk import hsk_routes
from megaservice.routes.problems import BodyLimit, install_problems
from megaservice.routes.requests import TurnMaker
from megaservice.routes.sentences import sentence_routes
from megaservice.routes.turns import turn_routes
from megaservice.routes.words import word_routes
from megaservice.sentences import Sentences
from megaservice.settings import Settings
from megaservice.speech import build_chain
from megaservice.store import SQLStore, open_database
from megaservice.turns import Turns
from megaservice.warmup import look_after
from megaservice.words import WordBook

log = logging.getLogger(__name__)

_BODY_BYTES = 1_048_576  # some 340,000 Chinese characters


def create_app(settings: Settings) -> FastAPI:
    """MegaService as an ASGI application. Raises SettingsError and OSError for what cannot work."""
    voices = check(settings)
    default_voices = {Language.ZH: settings.TTS_VOICE_ZH, Language.EN: settings.TTS_VOICE_EN}
    payload_log = PayloadLog(
        enabled=settings.LOG_PAYLOADS,
        text_characters=settings.LOG_PAYLOAD_CHARACTERS,
        secrets=(settings.LLM_API_KEY.get_secret_value(), settings.TTS_API_KEY.get_secret_value()),
    )
    chat = ChatClient.from_settings(settings, payload_log)
    translator = ChatClient.from_settings(settings.model_copy(update={"LLM_TEMPERATURE": 0.0}), payload_log)
    speech = build_chain(settings, payload_log)
    make_folder("AUDIO_DIR", settings.AUDIO_DIR)
    clips = ClipStore(
        settings.AUDIO_DIR,
        max_age_seconds=settings.AUDIO_MAX_AGE_HOURS * 3600,
        max_bytes=settings.AUDIO_MAX_MEGABYTES * 1e6,
    )
    store = SQLStore(open_database(settings.DATABASE_URL.get_secret_value(), audio_dir=settings.AUDIO_DIR))
    lexicon = Lexicon.load()
    grader = Grader(lexicon)
    ladders = Ladders(
        grader,
        RepairRules(
            parse_rungs(settings.HSK_REPAIR),
            settings.HSK_REPAIR_SAMPLES,
            settings.HSK_REPAIR_BUDGET_SECONDS,
            parse_rungs(settings.HSK_REPAIR_UNCONSTRAINED),
            parse_levels(settings.HSK_JUDGE),
        ),
        {standard: Constraints(lexicon, grader, standard) for standard in Standard},
        parse_levels(settings.HSK_CONSTRAINT),
        parse_levels(settings.HSK_OWN_WORDS),
    )
    ladders.warm_up()
    turns = Turns(
        partial(run_turn, chat=chat, speech=speech, clips=clips, max_tokens=settings.LLM_MAX_TOKENS, ladders=ladders),
        store,
        kept=settings.MEGASERVICE_TURNS_KEPT,
        max_running=settings.MEGASERVICE_MAX_RUNNING_TURNS,
    )
    clip_maker = ClipMaker(speech, clips)
    sentences = Sentences(turns, store, clip_maker, translator, voices, default_voices)
    words = WordBook(store, grader, sentences, clip_maker, clips, voices[settings.TTS_VOICE_ZH])
    maker = TurnMaker(voices, default_voices, turns.history, max_characters=settings.MEGASERVICE_MAX_MESSAGE_CHARACTERS)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        background = [asyncio.create_task(_sweep(clips, settings.AUDIO_SWEEP_SECONDS))]
        if settings.TTS_WARM_UP:
            background.append(asyncio.create_task(speech.warm_up([voices[v] for v in default_voices.values()])))
        if settings.LLM_WARM_UP or ladders.constrained_levels:
            looking = look_after(chat, ladders, lambda: turns.are_running, warms=settings.LLM_WARM_UP)
            background.append(asyncio.create_task(looking))
        try:
            yield
        finally:
            for task in background:
                task.cancel()
            await asyncio.wait(background)
            await sentences.close()
            await clip_maker.close()
            await speech.aclose()
            await translator.aclose()
            await chat.aclose()
            store.close()

    # No page of docs: FastAPI's loads its scripts from the net.
    app = FastAPI(title="MegaService", version="0.1.0", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.end_turns = turns.close
    app.add_middleware(BodyLimit, max_bytes=_BODY_BYTES)
    install_problems(app)
    app.include_router(chat_routes(turns, maker))
    app.include_router(turn_routes(turns, maker, store))
    app.include_router(sentence_routes(sentences))
    app.include_router(word_routes(store, words))
    app.include_router(conversation_routes(store, turns, clips))
    app.include_router(audio_routes(clips, voices))
    app.include_router(debug_routes(chat, speech, voices[settings.TTS_VOICE_ZH]))
    app.include_router(health_routes(chat, speech))
    app.include_router(hsk_routes(grader))
    return app


async def _sweep(clips: ClipStore, interval_seconds: float) -> None:
    while True:
        try:
            if removed := await asyncio.to_thread(clips.sweep):
                log.info("clips swept", extra=fields(removed=removed))
        except OSError as exc:
            log.warning("clips could not be swept", extra=fields(why=exc))
        await asyncio.sleep(interval_seconds)
