"""The page. It keeps turn ids and what the learner wrote; the browser streams and speaks the replies (component/)."""

import hashlib
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import streamlit as st

from megatalk.client import MegaServiceClient, MegaServiceError, is_id, megaservice_url
from megatalk.fingerprint import fingerprint

HERE = Path(__file__).resolve().parent
LANGUAGES = {"zh": "中文", "en": "English"}
FREE = "Free"
LEVELS = (FREE, "1", "2", "3", "4", "5", "6")  # the address says ?hsk= with these words
PLACEHOLDERS = {"zh": "用中文说点什么…", "en": "Say something in English…"}
GREETINGS = {
    "zh": ("今天想聊什么？", "Write in Chinese, and your tutor answers aloud."),
    "en": ("What shall we talk about?", "Write in English, and your tutor answers aloud."),
}
# A first line for who does not know how to begin, in words of the level.
STARTERS = {
    FREE: ("你好！我想学中文。", "我们聊聊天气吧。", "你喜欢吃什么？"),
    "1": ("你好！", "你叫什么名字？", "你喜欢喝茶吗？"),
    "2": ("你今天忙吗？", "我们一起去公园吧。", "你最喜欢什么颜色？"),
    "3": ("周末你打算做什么？", "你喜欢什么季节？", "我想学做中国菜。"),
    "4": ("你对什么工作感兴趣？", "我打算去中国旅行。", "最近有什么好看的电影？"),
    "5": ("你觉得城市生活怎么样？", "怎样才能养成好习惯？", "谈谈中国的传统节日吧。"),
    "6": ("你怎么看人工智能？", "谈谈环境保护的难处。", "成语故事你最欣赏哪一个？"),
}
ENGLISH_STARTERS = ("Hello! How are you today?", "Let's talk about food.", "Tell me about your favourite season.")


@st.cache_resource(on_release=MegaServiceClient.close)
def client(base_url: str) -> MegaServiceClient:
    return MegaServiceClient(base_url)


def turns_component() -> Any:
    """The browser part, one module in the page's own DOM; read in each run, so that a file copied in shows."""
    script = "\n".join((HERE / "component" / name).read_text("utf-8") for name in ("audio.js", "row.js", "turn.js"))
    edition = hashlib.sha256(script.encode()).hexdigest()
    css = (HERE / "component" / "turn.css").read_text("utf-8")
    return st.components.v2.component(
        "megatalk_turns",
        html="<div class='mt-book'>\n</div>",
        css=css,
        js=f'const EDITION = "{edition}";\n{script}',
        isolate_styles=False,
    )


def begin(text: str) -> None:
    """Start a turn; when that fails the text goes back to where the learner can send it again."""
    state = st.session_state
    language, level = state.get("language") or "zh", state.get("hsk") or FREE
    hsk_level = int(level) if language == "zh" and level != FREE else None
    try:
        started = client(megaservice_url()).start_turn(
            text, language=language, hsk_level=hsk_level, conversation_id=state.conversation
        )
    except MegaServiceError as exc:
        state.notice = exc.message
        state.message = text
        return
    state.notice = None
    state.conversation = started.conversation_id
    state.turns = [*state.turns, {"id": started.turn_id, "text": text, "language": language}]
    # A reloaded page finds its conversation again by its address (docs/page.md).
    st.query_params["talk"] = started.conversation_id


def send() -> None:
    if text := (st.session_state.message or "").strip():
        begin(text)


def send_starter() -> None:
    if text := st.session_state.starter:
        begin(text)


def send_again() -> None:
    """The learner asks for a failed turn once more: it takes the place of the failed one."""
    asked = st.session_state.book.again
    if isinstance(asked, dict) and isinstance(text := asked.get("text"), str) and text.strip():
        st.session_state.turns = [turn for turn in st.session_state.turns if turn["id"] != asked.get("id")]
        begin(text.strip())


def new_conversation() -> None:
    st.session_state.update(turns=[], conversation=None, notice=None)
    st.query_params.pop("talk", None)


def plain(text: str) -> str:
    """Text that st.error shows as it is: no link, and no picture that the browser would fetch from elsewhere."""
    return re.sub(r"([^\w\s])", r"\\\1", text, flags=re.ASCII)


def remember() -> None:
    """What a session holds. A conversation named in the address is gone on with; the browser still has its text."""
    talk = st.query_params.get("talk", "")
    st.session_state.setdefault("turns", [])
    st.session_state.setdefault("notice", None)
    st.session_state.setdefault("conversation", talk if is_id(talk) else None)


@st.fragment(run_every=timedelta(days=1))
def come_back() -> None:
    """Nothing by itself: only a page with a timed part is drawn anew when the browser finds a server that was away."""


def bar() -> str:
    """Title, language, level, new conversation; returns the language."""
    with st.container(key="bar", horizontal=True, vertical_alignment="center"):
        st.title("声 MegaTalk", anchor=False, width="content")
        language = st.segmented_control(
            "Language",
            list(LANGUAGES),
            format_func=LANGUAGES.__getitem__,
            default="zh",
            required=True,
            key="language",
            label_visibility="collapsed",
            bind="query-params",
        )
        if language == "zh":
            st.segmented_control(
                "HSK",
                LEVELS,
                default=FREE,
                required=True,
                key="hsk",
                bind="query-params",
            )
        st.button("New", icon=":material/add:", key="new", on_click=new_conversation)
    return language or "zh"


def greeting(language: str) -> None:
    question, caption = GREETINGS[language]
    starters = STARTERS[st.session_state.get("hsk") or FREE] if language == "zh" else ENGLISH_STARTERS
    with st.container(key="greeting", horizontal_alignment="center"):
        st.header(question, anchor=False, text_alignment="center")
        st.caption(caption, text_alignment="center")
        st.pills("Begin with", starters, key="starter", on_change=send_starter, label_visibility="collapsed")


st.set_page_config(page_title="MegaTalk", page_icon=str(HERE / "static" / "icon.png"), layout="wide")
remember()
come_back()
language = bar()
with st.container(key="pages"):
    turns_component()(
        key="book",
        data={name: st.session_state[name] for name in ("conversation", "turns", "notice")}
        | {"modelNote": os.environ.get("MEGATALK_MODEL_NOTE", ""), "code": fingerprint(HERE)},
        on_again_change=send_again,
    )
if st.session_state.conversation is None:
    greeting(language)
with st.bottom:
    if st.session_state.notice:
        st.error(plain(st.session_state.notice), icon=":material/error:")
    st.chat_input(PLACEHOLDERS[language], key="message", on_submit=send)
