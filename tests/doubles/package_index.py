"""A package index on loopback that serves wheels made here, counts what is asked for, and can stall in mid-wheel."""

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from weights.manifest import Weights, parse

NAME = "tiny.gguf"


def wheel(distribution: str, files: dict[str, bytes]) -> bytes:
    """A wheel of version 1.0 that pip accepts."""
    out = io.BytesIO()
    info = f"{distribution.replace('-', '_')}-1.0.dist-info"
    with zipfile.ZipFile(out, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return out.getvalue()


class PackageIndex:
    """Wheels by distribution. `asked` holds each download's distribution; one in `stalled` gets half its bytes."""

    def __init__(self, parts: list[bytes], beside: dict[str, bytes] | None = None) -> None:
        self.asked: list[str] = []
        self.stalled: set[str] = set()
        self.in_mid_wheel = threading.Event()
        self.client_left = threading.Event()
        self.url = ""
        self.content = b"".join(parts)
        self._files = [{"part.bin": part} for part in parts]
        self._files[0] |= beside or {}
        self.wheels = {f"tiny-part{i}": wheel(f"tiny-part{i}", files) for i, files in enumerate(self._files, 1)}

    def manifest_text(self, *, sha256: str | None = None) -> str:
        """parts.json for these wheels; `sha256` lies about the joined file."""
        parts = [
            {
                "requirement": f"{name}==1.0",
                "wheel_sha256": hashlib.sha256(self.wheels[name]).hexdigest(),
                "wheel_bytes": len(self.wheels[name]),
                **_member("part.bin", files["part.bin"]),
                "beside": [_member(path, files[path]) | {"name": path} for path in files if path != "part.bin"],
            }
            for name, files in zip(self.wheels, self._files, strict=True)
        ]
        entry = {
            "sha256": sha256 or hashlib.sha256(self.content).hexdigest(),
            "size_bytes": len(self.content),
            "licence": "none",
            "instead": "set TINY_PATH to any file",
            "parts": parts,
        }
        return json.dumps({NAME: entry})

    def manifest(self) -> Weights:
        return parse(self.manifest_text())[NAME]


def _member(path: str, content: bytes) -> dict[str, object]:
    return {"member": path, "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}


@contextmanager
def serving(index: PackageIndex) -> Iterator[PackageIndex]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, _, name = self.path.strip("/").partition("/")
            if kind == "simple" and name in index.wheels:
                filename = f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
                self._answer("text/html", f'<a href="/files/{filename}">{filename}</a>'.encode())
            elif kind == "files":
                self._wheel(name.split("-")[0].replace("_", "-"))
            else:
                self.send_error(404)

        def _wheel(self, distribution: str) -> None:
            index.asked.append(distribution)
            content = index.wheels[distribution]
            if distribution not in index.stalled:
                self._answer("application/octet-stream", content)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            index.in_mid_wheel.set()
            with suppress(ConnectionResetError):  # of a client that was killed with bytes unread
                self.rfile.read(1)  # b"" as soon as the client is gone
            index.client_left.set()
            self.close_connection = True

        def _answer(self, media_type: str, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    index.url = f"http://127.0.0.1:{server.server_address[1]}/simple"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
