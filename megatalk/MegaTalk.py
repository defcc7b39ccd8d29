"""The page. It starts turns and keeps settings; the browser draws and speaks what MegaService has (component/)."""

import hashlib
import os
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import streamlit as st

from megatalk.reload import reload_changed

reload_changed()

from megatalk import sidebar  # noqa: E402
from megatalk.answers import Conversation, Voice  # noqa: E402
from megatalk.client import MegaServiceClient, MegaServiceError, is_id, megaservice_url  # noqa: E402
from megatalk.fingerprint import fingerprint  # noqa: E402
from megatalk.openers import ENGLISH_OPENERS, OPENERS  # noqa: E402
from megatalk.texts import DEFAULT_LANGUAGE, LANGUAGES, MODEL_NOTES, TEXTS  # noqa: E402

HERE = Path(__file__).resolve().parent
TUTOR_LANGUAGES = {"zh": "中文", "en": "English"}
FREE = "Free"
LEVELS = (FREE, "1", "2", "3", "4", "5", "6")  # the address says ?hsk= with these words
PINYIN = ("all", "new", "off")
# The settings that a browser remembers (component/mount.js), with what each may be; a voice is any of the list.
CHOICES: dict[str, tuple[object, ...]] = {
    "language": tuple(TUTOR_LANGUAGES),
    "hsk": LEVELS,
    "pinyin": PINYIN,
    "translation": (False, True),
    "autoplay": (True, False),
    "marks": (True, False),
    "standard": ("2025", "2.0"),
    "shortcuts": (True, False),
    "interface": tuple(LANGUAGES),
}
SCRIPTS = (
    *("dom.js", "pinyin.js", "sentence.js", "audio.js", "voice.js", "translation.js", "foot.js", "row.js"),
    *("stored.js", "draft.js"),
    *(
        "words.js",
        "card.js",
        "legend.js",
        "openers.js",
        "status.js",
        "keys.js",
        "controls.js",
        "pages.js",
        "book.js",
        "mount.js",
    ),
)
STYLES = ("book.css", "reply.css", "card.css", "page.css")
VOICES_SECONDS, PAUSE_SECONDS = 300.0, 10.0


@st.cache_resource(on_release=MegaServiceClient.close)
def connected(base_url: str) -> MegaServiceClient:
    return MegaServiceClient(base_url)


def megaservice() -> MegaServiceClient:
    return connected(megaservice_url())


def component() -> Any:
    """The browser part, one module in the page's own DOM; read in each run, so that a file copied in shows."""
    script = "\n".join((HERE / "component" / name).read_text("utf-8") for name in SCRIPTS)
    edition = hashlib.sha256(script.encode()).hexdigest()
    return st.components.v2.component(
        "megatalk",
        html="<div class='mt-place'>\n</div>",
        css="\n".join((HERE / "component" / name).read_text("utf-8") for name in STYLES),
        js=f'const EDITION = "{edition}";\n{script}',
        isolate_styles=False,
    )


def begin(text: str) -> None:
    """Start a turn; when that fails the text goes back to where the learner can send it again."""
    state = st.session_state
    language, level = state.get("language") or "zh", state.get("hsk") or FREE
    hsk_level = int(level) if language == "zh" and level != FREE else None
    try:
        started = megaservice().start_turn(
            text,
            language=language,
            hsk_level=hsk_level,
            conversation_id=state.conversation or state.next,
            hsk_standard=state.standard,
            voice=state.voice or None,
        )
    except MegaServiceError as exc:
        state.notice = sidebar.fault(exc, texts, megaservice_url())
        state.message = text
        return
    state.notice = None
    state.conversation = started.conversation_id
    state.turn = {"id": started.turn_id, "text": text, "language": language, "level": hsk_level}
    state.turn["standard"] = state.standard
    # A reloaded page finds its conversation again by its address (docs/page.md).
    st.query_params["talk"] = started.conversation_id
    sidebar.forget_list()


def send() -> None:
    if text := (st.session_state.message or "").strip():
        begin(text)


def say() -> None:
    """What the browser sends by itself: an opener, or a failed message again."""
    asked = st.session_state.book.say
    if isinstance(asked, dict) and isinstance(text := asked.get("text"), str) and text.strip():
        begin(text.strip())


def use_settings() -> None:
    """What the browser asks for: a shortcut was pressed, or a new visit wants the settings it had."""
    asked = st.session_state.book.settings
    if not isinstance(asked, dict):
        return
    for name, value in asked.items():
        if name == "voice" and value in [voice.id for voice in voices()]:
            st.session_state.voice = value
        elif any(value == choice and type(value) is type(choice) for choice in CHOICES.get(name, ())):
            st.session_state[name] = value


def move(talk: Conversation | None) -> None:
    """To another conversation, at the level it was held at; to a new one without."""
    state = st.session_state
    state.update(turn=None, notice=None, conversation=talk.conversation_id if talk else None, next=uuid4().hex)
    if talk is None:
        st.query_params.pop("talk", None)
        return
    st.query_params["talk"] = talk.conversation_id
    if talk.language in TUTOR_LANGUAGES:
        state.language = talk.language
    if talk.language == "zh":
        state.hsk = str(talk.hsk_level or FREE)


def remember() -> None:
    """What a session holds. A conversation named in the address is gone on with."""
    talk = st.query_params.get("talk", "")
    browser = (st.context.locale or DEFAULT_LANGUAGE).split("-")[0]
    first = {name: choices[0] for name, choices in CHOICES.items() if name not in ("language", "hsk")}
    first["interface"] = browser if browser in LANGUAGES else DEFAULT_LANGUAGE
    # A new conversation has its id before its first message is sent: the browser can look for it (component/draft.js).
    kept: dict[str, object] = {
        "turn": None,
        "notice": None,
        "conversation": talk if is_id(talk) else None,
        "next": uuid4().hex,
    }
    kept |= {"voice": "", **first}
    for name, value in kept.items():
        st.session_state.setdefault(name, value)


def voices() -> tuple[Voice, ...]:
    """As MegaService told them last."""
    told, until = st.session_state.get("voices", ((), 0.0))
    if time.monotonic() < until:
        return tuple(told)
    try:
        told, seconds = megaservice().voices(), VOICES_SECONDS
    except MegaServiceError:
        seconds = PAUSE_SECONDS
    st.session_state.voices = (told, time.monotonic() + seconds)
    return tuple(told)


@st.fragment(run_every=timedelta(days=1))
def come_back() -> None:
    """Nothing by itself: only a page with a timed part is drawn anew when the browser finds a server that was away."""


def bar() -> str:
    """Language, level, pinyin and translation; returns the language."""
    with st.container(key="bar", horizontal=True, vertical_alignment="center"):
        language = st.segmented_control(
            texts["language"],
            list(TUTOR_LANGUAGES),
            format_func=TUTOR_LANGUAGES.__getitem__,
            default="zh",
            required=True,
            key="language",
            bind="query-params",
        )
        if language == "zh":
            st.segmented_control(
                texts["level"],
                LEVELS,
                format_func=lambda level: texts["level_free"] if level == FREE else level,
                default=FREE,
                required=True,
                help=texts["level_help"],
                key="hsk",
                bind="query-params",
            )
            st.segmented_control(
                texts["pinyin"],
                PINYIN,
                format_func=lambda shown: texts[f"pinyin_{shown}"],
                required=True,
                key="pinyin",
                persist_state="session",
            )
        st.toggle(texts["translation"], key="translation")
    return language or "zh"


def greeting(language: str) -> None:
    openers = OPENERS[st.session_state.get("hsk") or FREE] if language == "zh" else ENGLISH_OPENERS
    with st.container(key="greeting", horizontal_alignment="center"):
        st.header(texts[f"greeting_{language}"], anchor=False, text_alignment="center")
        st.caption(texts[f"greeting_caption_{language}"], text_alignment="center")
        told = [asdict(opener) for opener in openers]
        mount(key="openers", data={"part": "openers", "openers": told, "language": language, "code": code})


st.set_page_config(page_title="MegaTalk", page_icon=str(HERE / "static" / "icon.png"), layout="wide")
remember()
state = st.session_state
texts = TEXTS[state.interface or DEFAULT_LANGUAGE]
come_back()
mount = component()
code = fingerprint(HERE)
language = bar()
own_voices = {voice.id: voice.name for voice in voices() if voice.language == language}
if state.voice not in own_voices:
    state.voice = ""
model_note = os.environ.get("MEGATALK_MODEL_NOTE", "")
with st.container(key="pages"):  # before the sidebar: a new turn is to be seen at once
    mount(
        key="book",
        data={name: state[name] for name in ("conversation", "next", "turn", "notice")}
        | {
            "part": "book",
            "settings": {name: state[name] for name in (*CHOICES, "voice") if name in state},
            "texts": texts,
            "interface": state.interface,
            "download": state.pop("download", None),
            "modelNote": MODEL_NOTES.get(state.interface, {}).get(model_note, model_note),
            "code": code,
        },
        on_say_change=say,
        on_settings_change=use_settings,
    )
if state.conversation is None:
    greeting(language)
with st.bottom:
    if state.notice:
        st.error(sidebar.plain(state.notice), icon=":material/error:")
    st.chat_input(texts[f"box_{language}"], key="message", on_submit=send)
with st.sidebar:
    st.title("声 MegaTalk", anchor=False)
    sidebar.conversations(megaservice(), texts, move)
    mount(key="words", data={"part": "words", "code": code})
    sidebar.settings(texts, own_voices)
