"""A visit to the running page: one open session, as a browser has it, and what Streamlit draws in it."""

import json
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType, TracebackType
from typing import Self

from websockets.sync.client import connect

OPEN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the page: the fingerprint that it showed (docs/page.md), and the error that it ended with."""

    code: str | None
    error: str


class Visit:
    """Raises OSError or WebSocketException where nobody answers, ConnectionClosed when the server leaves."""

    def __init__(self, address: str) -> None:
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ClientState_pb2 import ClientState

        self._socket = connect(
            f"ws://{address}/_stcore/stream", open_timeout=OPEN_SECONDS, compression=None, max_size=None, proxy=None
        )
        self._socket.send(BackMsg(rerun_script=ClientState()).SerializeToString())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def next_run(self, deadline: float) -> Run:
        """The next run to its end. Raises TimeoutError at the deadline, a time of time.monotonic()."""
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        code, error = None, ""
        while True:
            message = ForwardMsg.FromString(self._receive(deadline))
            element = message.delta.new_element
            if element.HasField("bidi_component"):
                code = json.loads(element.bidi_component.json)["code"]
            elif element.HasField("exception"):
                error = "\n".join([*element.exception.stack_trace, element.exception.message])
            elif message.HasField("script_finished"):
                return Run(code, error)

    def _receive(self, deadline: float) -> bytes:
        message = self._socket.recv(timeout=max(0.0, deadline - time.monotonic()))
        assert isinstance(message, bytes)
        return message


def spare_streamlit() -> None:
    """Let Streamlit's message classes be imported without the rest of it, which takes longer than a whole update."""
    spec = find_spec("streamlit")
    assert spec is not None
    bare = ModuleType("streamlit")
    bare.__path__ = list(spec.submodule_search_locations or [])
    sys.modules["streamlit"] = bare
