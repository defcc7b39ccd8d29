"""Stand-ins for the programs that scripts/start runs: modules of the same names, told by FAKE_* what to do."""

from pathlib import Path

_PROGRAM = """
import http.server, io, json, os, pathlib, signal, subprocess, sys, threading, time, wave

NAME, PORT = {name!r}, {port!r}
HOW = os.environ.get("FAKE_" + NAME.upper(), "ready")
subprocess.Popen(["sleep", "1000"])  # a program of its own must be ended too
print(NAME, "begins", flush=True)
if HOW == "die":
    print("out of luck", flush=True)
    os._exit(3)
if HOW == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

def clip():
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1); file.setsampwidth(2); file.setframerate(24000)
        file.writeframes((b"\\0\\0" if HOW == "silent" else b"\\x00\\x10") * 24000)
    return out.getvalue()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        loading = HOW in ("loading", "failed")
        body = {{"status": HOW, "detail": "reading the model"}} if loading else {{"status": "ok"}}
        self.answer(503 if loading else 200, json.dumps(body).encode())

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.event("sentence", {{"index": 0, "text": "你好！", "spoken": True}})
        if HOW == "stall":
            time.sleep(1000)
        folder = pathlib.Path(os.environ["AUDIO_DIR"])
        folder.mkdir(exist_ok=True)
        (folder / "one.wav").write_bytes(clip())
        found = {{"url": "/audio/one.wav", "duration_seconds": 1.0, "sample_rate_hz": 24000, "endpoint": "fake"}}
        self.event("clip", {{"index": 0, "clip": found}})
        timings = {{"first_token": 1.0, "first_audio": None}}
        self.event("turn_completed", {{"reply": "你好！", "endpoint": "fake", "timings_ms": timings}})

    def event(self, name, data):
        self.wfile.write(f"id: 0\\nevent: {{name}}\\ndata: {{json.dumps(data)}}\\n\\n".encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

print("model", os.environ.get("LLM_MODEL_ID"), flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ[PORT])), Handler).serve_forever()
"""

_PREPARE = """
import json, os, subprocess, sys, time
print("preparing", file=sys.stderr, flush=True)
print(json.dumps({"model_id": "fake-model", "path": "nowhere"}), flush=True)
if os.environ.get("FAKE_PREPARE") == "slow":
    subprocess.Popen(["sleep", "1000"])
    time.sleep(1000)
raise SystemExit(4 if os.environ.get("FAKE_PREPARE") == "fail" else 0)
"""

_PORTS = {
    "llm": "EMBEDDED_LLM_PORT",
    "tts": "EMBEDDED_TTS_PORT",
    "megaservice": "MEGASERVICE_PORT",
    "streamlit": "MEGATALK_PORT",
}


def write(folder: Path) -> None:
    """The modules, into `folder`: a process started there runs them in place of ours."""
    for name, port in _PORTS.items():
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("")
        (folder / name / "__main__.py").write_text(_PROGRAM.format(name=name, port=port), encoding="utf-8")
    (folder / "llm" / "prepare.py").write_text(_PREPARE)
