"""The sidebar: conversations by day, with what can be done with each, and the settings of voice and display."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from itertools import groupby
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from megatalk.answers import Conversation, Conversations
from megatalk.client import MegaServiceClient, MegaServiceError
from megatalk.texts import LANGUAGES, Texts

PAGE = 6
LIST_SECONDS = 30.0  # after that other tabs may have said something
PAUSE_SECONDS = 10.0  # a MegaService that is away is not asked at every click
RENAME, MARKDOWN, JSON, DELETE = "rename", "export_markdown", "export_json", "delete"


@dataclass(frozen=True, slots=True)
class Asked:
    """The list as MegaService told it last; `found` is None where it did not."""

    search: str
    limit: int
    found: Conversations | None
    until: float


def forget_list() -> None:
    """What is shown no longer holds: it is asked for again in the next run."""
    st.session_state.pop("asked", None)


def listed(client: MegaServiceClient, search: str, limit: int) -> Conversations | None:
    before: Asked | None = st.session_state.get("asked")
    if before and (before.search, before.limit) == (search, limit) and time.monotonic() < before.until:
        return before.found
    try:
        found, seconds = client.conversations(search, limit), LIST_SECONDS
    except MegaServiceError:
        found, seconds = None, PAUSE_SECONDS
    st.session_state.asked = Asked(search, limit, found, time.monotonic() + seconds)
    return found


def conversations(client: MegaServiceClient, texts: Texts, move: Callable[[Conversation | None], None]) -> None:
    """`move` opens a conversation, or with None a new one."""
    st.button(texts["new_conversation"], icon=":material/add:", key="new", on_click=move, args=[None], width="stretch")
    state = st.session_state
    search = st.text_input(
        texts["search"],
        key="search",
        type="search",
        live="300ms",
        placeholder=texts["search"],
        icon=":material/search:",
        label_visibility="collapsed",
    )
    limit = state.setdefault("limit", PAGE)
    found = listed(client, search or "", limit)
    with st.container(key="talks", gap=None):
        if found is None:
            st.caption(texts["conversations_away"])
            return
        if not found.conversations:
            st.caption(texts["nothing_found" if search else "no_conversations"])
        zone = _zone()
        today = datetime.now(zone).date()
        for day, talks in groupby(found.conversations, lambda talk: day_of(talk.updated_at, today, zone)):
            st.caption(texts[day])
            for talk in talks:
                _entry(talk, texts, move)
        if found.next:
            st.button(texts["more"], key="more", type="tertiary", on_click=_show_more)
    if chosen := state.get("chosen"):
        choice, talk = chosen
        _dialog(client, texts, choice, talk, move)


def _show_more() -> None:
    st.session_state.limit += 4 * PAGE


def _entry(talk: Conversation, texts: Texts, move: Callable[[Conversation | None], None]) -> None:
    is_open = st.session_state.conversation == talk.conversation_id
    kind = "open" if is_open else "talk"
    with st.container(
        key=f"{kind}-{talk.conversation_id}", horizontal=True, wrap=False, gap=None, vertical_alignment="center"
    ):
        st.button(
            plain(talk.title),
            key=f"go-{talk.conversation_id}",
            type="tertiary",
            width="stretch",
            on_click=move,
            args=[talk],
        )
        menu = f"menu-{talk.conversation_id}"
        st.menu_button(
            texts["conversation_menu"],
            [RENAME, MARKDOWN, JSON, DELETE],
            format_func=texts.__getitem__,
            key=menu,
            type="tertiary",
            icon=":material/more_horiz:",
            on_click=_choose,
            args=[menu, talk],
        )


def _choose(menu: str, talk: Conversation) -> None:
    choice = st.session_state[menu]
    if choice in (MARKDOWN, JSON):
        name = choice.removeprefix("export_")
        url = f"/api/conversations/{talk.conversation_id}/export?format={name}"
        st.session_state.download = {"url": url, "number": time.time_ns()}
    elif choice:
        st.session_state.chosen = (choice, talk)


def _close() -> None:
    st.session_state.chosen = None


def _dialog(
    client: MegaServiceClient,
    texts: Texts,
    choice: str,
    talk: Conversation,
    move: Callable[[Conversation | None], None],
) -> None:
    if choice == RENAME:
        st.dialog(texts["rename_title"], on_dismiss=_close)(_rename)(client, texts, talk)
    else:
        st.dialog(texts["delete_title"], on_dismiss=_close)(_delete)(client, texts, talk, move)


def _rename(client: MegaServiceClient, texts: Texts, talk: Conversation) -> None:
    title = st.text_input(texts["title"], talk.title, key=f"title-{talk.conversation_id}", max_chars=200)
    if st.button(texts["save"], key="rename", type="primary", disabled=not (title or "").strip()):
        try:
            client.rename(talk.conversation_id, (title or "").strip())
        except MegaServiceError as exc:
            st.error(plain(fault(exc, texts, client.base_url)))
            return
        forget_list()
        _close()
        st.rerun()


def _delete(
    client: MegaServiceClient, texts: Texts, talk: Conversation, move: Callable[[Conversation | None], None]
) -> None:
    st.write(plain(texts["delete_warning"].format(title=talk.title)))
    with st.container(horizontal=True):
        is_sure = st.button(texts["delete"], key="delete", type="primary")
        if st.button(texts["cancel"], key="keep"):
            _close()
            st.rerun()
    if is_sure:
        try:
            client.delete(talk.conversation_id)
        except MegaServiceError as exc:
            st.error(plain(fault(exc, texts, client.base_url)))
            return
        forget_list()
        if st.session_state.conversation == talk.conversation_id:
            move(None)
        _close()
        st.rerun()


def settings(texts: Texts, voices: dict[str, str]) -> None:
    """`voices` by id, for the tutor's language; each control is known by its key in the session's state."""
    with st.expander(texts["settings"], icon=":material/tune:"):
        st.selectbox(
            texts["voice"],
            ["", *voices],
            format_func=lambda voice: voices.get(voice, texts["voice_default"]),
            key="voice",
        )
        st.toggle(texts["autoplay"], key="autoplay")
        st.toggle(texts["marks"], key="marks")
        st.segmented_control(texts["standard"], ["2025", "2.0"], key="standard", required=True)
        st.toggle(texts["shortcuts"], key="shortcuts")
        st.caption(texts["shortcuts_help"])
        st.segmented_control(
            texts["interface"], list(LANGUAGES), format_func=LANGUAGES.__getitem__, key="interface", required=True
        )


def plain(text: str) -> str:
    """Text that Streamlit shows as it is: no link, and no picture that the browser would fetch from elsewhere."""
    return "".join(f"\\{c}" if c.isascii() and not c.isalnum() and not c.isspace() else c for c in text)


def fault(exc: MegaServiceError, texts: Texts, url: str) -> str:
    """What is told of it in the interface's language; of a rare one MegaService's own words."""
    known = texts.get(f"fault_{exc.code}")
    return known.format(url=url) if known else exc.message


def day_of(updated_at: str, today: date, zone: tzinfo) -> str:
    """Under which heading a conversation stands: a key of texts.py."""
    day = datetime.fromisoformat(updated_at).astimezone(zone).date()
    if day >= today:
        return "today"
    if day == today - timedelta(days=1):
        return "yesterday"
    return "this_week" if day > today - timedelta(days=7) else "earlier"


def _zone() -> tzinfo:
    """The learner's, as her browser says."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
