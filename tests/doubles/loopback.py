"""A real HTTP server on a free loopback port, in a thread with a loop of its own, for doubles of other servers."""

import asyncio
import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

# Turns of the loop until a connection that was just taken is one of the server's. A server that is closed before that
# leaves it open for ever.
_TURNS_UNTIL_MADE = 3


class _Server(uvicorn.Server):
    """Ends at once, where uvicorn takes its time: tests start hundreds of these."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        await super().startup(sockets)

    async def main_loop(self) -> None:
        await self.on_tick(0)  # sets the headers that every answer has
        await self._ended.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            for listening in server.sockets:
                self._loop.remove_reader(listening.fileno())
        for _ in range(_TURNS_UNTIL_MADE):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)


class LoopbackServer:
    """Use as `with` or `async with`. While stopped, its port stays taken and refuses connections."""

    def __init__(self, port: int = 0) -> None:
        self._socket = _bound_socket(port)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def app(self) -> ASGIApp:
        """Called on each start."""
        raise NotImplementedError

    def start(self) -> None:
        config = uvicorn.Config(self.app(), log_config=None, access_log=False, ws="none", lifespan="off")
        self._server = server = _Server(config)
        self._socket.listen(128)
        self._thread = threading.Thread(target=server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        while not server.started:
            self._thread.join(0.005)
            assert self._thread.is_alive(), "the double did not start"

    def stop(self) -> None:
        """Cuts the connections that are open, as a killed process would."""
        if self._server is not None and self._thread is not None:
            self._server.end()
            self._thread.join(10)
            assert not self._thread.is_alive(), "the double did not stop"
            self._server = self._thread = None
            self._socket.close()
            self._socket = _bound_socket(self.port)

    def close(self) -> None:
        self.stop()
        self._socket.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)


def _bound_socket(port: int) -> socket.socket:
    """Bound but not listening: the port is ours and connections to it are refused."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound
