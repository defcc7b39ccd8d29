"""`scripts/start` continues here once `.venv` is whole: prepare the models, run the programs, end all of them."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from dotenv import dotenv_values

from launcher import arguments, plan, signals
from launcher.children import Children
from launcher.plan import Plan
from launcher.say import run_turn
from launcher.stack import Program, Stack, StackFailed
from launcher.terminal import say


def main(argv: Sequence[str], root: Path) -> int:
    """`root` is the repository; the exit code."""
    interrupts = signals.Interrupts()
    children = Children(interrupts)
    try:
        interrupts.install()
        return _run(arguments.parse(argv), children, root)
    except KeyboardInterrupt:
        return signals.EXIT_CODE
    except (StackFailed, plan.BadSetting) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    finally:
        interrupts.ignore()
        children.end_all()


def _run(options: argparse.Namespace, children: Children, root: Path) -> int:
    given = {name: value for name, value in dotenv_values(root / ".env").items() if value} | os.environ
    planned = plan.make(given, page=options.say is None, any_port=options.say is not None)
    env = _prepare(planned, children, root)
    if options.prepare:
        say("All is set up. `scripts/start` starts it.")
        return 0
    stack = Stack(children, cwd=root, log_dir=root / planned.log_dir)
    stack.start(list(_programs(planned)), env)
    stack.wait_until_ready()
    if options.say is None:
        say(f"MegaTalk is at {planned.page_url} (Ctrl-C ends it).")
        stack.watch()
    outcome = run_turn(
        planned.megaservice_url,
        options.say,
        language=options.language,
        level=options.level,
        audio_dir=root / planned.audio_dir,
    )
    for fault in outcome.faults:
        say(f"FAULT  {fault}")
    return 1 if outcome.faults else 0


def _prepare(planned: Plan, children: Children, root: Path) -> dict[str, str]:
    """Have the model files here and converted; the programs' environment, with the LLM's true name in it."""
    if planned.voice_url and "EMBEDDED_TTS_MODEL_PATH" not in planned.env:
        code, _ = children.run("Voice", _python("weights", "kokoro-v1.0.int8.onnx"), env=planned.env, cwd=root)
        if code:
            raise StackFailed("The voice could not be prepared; what to do stands above.")
    if not planned.llm_url:
        return planned.env
    code, told = children.run("LLM", _python("llm.prepare"), env=planned.env, cwd=root)
    if code:
        raise StackFailed("The LLM could not be prepared; what to do stands above.")
    model = {"LLM_MODEL_ID": json.loads(told)["model_id"], "MEGATALK_MODEL_NOTE": "small offline model"}
    return planned.env | model  # the embedded server answers to its true name only


def _programs(planned: Plan) -> Iterator[Program]:
    if planned.llm_url:
        yield Program("LLM", _python("llm"), f"{planned.llm_url}/health")
    if planned.voice_url:
        yield Program("Voice", _python("tts"), f"{planned.voice_url}/health")
    yield Program("MegaService", _python("megaservice"), f"{planned.megaservice_url}/ready")
    if planned.page_url:
        yield Program("MegaTalk", _page(planned), f"{planned.page_url}/_stcore/health")


def _page(planned: Plan) -> tuple[str, ...]:
    options = {
        "server.address": "127.0.0.1",
        "server.port": str(planned.ports["MEGATALK_PORT"]),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    flags = (f"--{name}={value}" for name, value in options.items())
    return (*_python("streamlit", "run", "megatalk/asgi.py"), *flags)


def _python(*module: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *module)


if __name__ == "__main__":
    signals.leave_with(main(sys.argv[1:], Path.cwd()))
