"""`python model_hub.py FOLDER MODEL_ID PORT`: a model hub with one model, as far as the hub's own client asks.

Standard library only, as it runs in whichever image has a python.
"""

import hashlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = hashlib.sha1(b"the only one").hexdigest()


class Hub(ThreadingHTTPServer):
    def __init__(self, folder: Path, model_id: str, port: int) -> None:
        super().__init__(("0.0.0.0", port), Handler)
        self.model_id = model_id
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()}


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        hub, path = self.server, self.path.partition("?")[0]
        content, is_file = hub.files.get(path.removeprefix(f"/{hub.model_id}/resolve/{COMMIT}/")), True
        if path in (f"/api/models/{hub.model_id}", f"/api/models/{hub.model_id}/revision/{COMMIT}"):
            files = [{"rfilename": name, "size": len(held)} for name, held in hub.files.items()]
            content, is_file = json.dumps({"id": hub.model_id, "sha": COMMIT, "siblings": files}).encode(), False
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        if is_file:
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if with_body:
            self.wfile.write(content)


if __name__ == "__main__":
    Hub(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])).serve_forever()
