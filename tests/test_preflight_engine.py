"""What scripts/preflight asks the Docker engine, of a `docker` that is a script."""

import os
from pathlib import Path

import pytest

from preflight.engine import Engine

_DOCKER = """#!/bin/sh
echo "${{COMPOSE_ENV_FILES:+COMPOSE_ENV_FILES=$COMPOSE_ENV_FILES }}$*" >>"$(dirname "$0")/asked"
case "$*" in
{cases}
    *) exit 1 ;;
esac
"""


def docker(folder: Path, monkeypatch: pytest.MonkeyPatch, **said: str) -> None:
    """Words of a command line, joined by `_`, and what is printed to a command line that has them."""
    cases = "\n".join(f"    *{words.replace('_', '*')}*) printf '%s\\n' '{text}' ;;" for words, text in said.items())
    program = folder / "docker"
    program.write_text(_DOCKER.format(cases=cases), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def asked(folder: Path) -> list[str]:
    return (folder / "asked").read_text(encoding="utf-8").replace(str(folder), "DIR").splitlines()


def test_without_docker_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = Engine(tmp_path, tmp_path / ".env", ())
    assert not engine.stack_is_running()
    assert not engine.has_models()
    assert engine.folder() is None
    assert engine.check_in_container() is None


def test_compose_gets_the_overlays_and_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker(tmp_path, monkeypatch, ps="3f1c")
    file = tmp_path / "settings"
    assert Engine(tmp_path, file, ("embedded",)).stack_is_running()
    file.touch()
    assert Engine(tmp_path, file, ()).stack_is_running()
    assert asked(tmp_path) == [
        "compose --file DIR/docker-compose.yaml --file DIR/docker-compose.embedded.yaml ps --quiet",
        "COMPOSE_ENV_FILES=DIR/settings compose --file DIR/docker-compose.yaml ps --quiet",
    ]


@pytest.mark.parametrize(("volumes", "has"), [("mine_models", True), ("", False)])
def test_models_are_sought_in_the_projects_volumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, volumes: str, has: bool
) -> None:
    docker(tmp_path, monkeypatch, config='{"name": "mine"}', volume_project=volumes)
    assert Engine(tmp_path, tmp_path / ".env", ()).has_models() is has
    assert asked(tmp_path)[-1] == "volume ls --quiet --filter label=com.docker.compose.project=mine"


def test_what_compose_refuses_is_told_in_its_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(tmp_path, tmp_path / ".env", ())
    docker(tmp_path, monkeypatch, config="")
    assert engine.config_fault() is None
    docker(tmp_path, monkeypatch)
    assert engine.config_fault() is None  # without a word
    docker(tmp_path, monkeypatch, config="'; echo a warning >&2; echo invalid project >&2; exit 15; '")
    assert engine.config_fault() == "docker compose: invalid project"


def test_folder_of_an_engine_elsewhere_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker(tmp_path, monkeypatch, info=str(tmp_path))
    assert Engine(tmp_path, tmp_path / ".env", ()).folder() == tmp_path
    docker(tmp_path, monkeypatch, info=str(tmp_path / "elsewhere"))
    assert Engine(tmp_path, tmp_path / ".env", ()).folder() is None


def test_container_is_asked_where_its_image_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(tmp_path, tmp_path / ".env", ())
    config = '{"name": "mine"}'
    docker(tmp_path, monkeypatch, config=config, run="LLM_TOP_P: got 7")
    assert engine.check_in_container() is None
    docker(tmp_path, monkeypatch, config=config, image_inspect="1", run="LLM_TOP_P: got 7\nTTS_VOICE_ZH: got 8")
    assert engine.check_in_container() == ["LLM_TOP_P: got 7", "TTS_VOICE_ZH: got 8"]
    docker(tmp_path, monkeypatch, config=config, image_inspect="1")  # an old image, which says nothing on stdout
    assert engine.check_in_container() is None


def test_what_the_container_was_asked_in_leaves_no_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker(tmp_path, monkeypatch, config='{"name": "mine"}', image_inspect="1", run="LLM_TOP_P: got 7")
    Engine(tmp_path, tmp_path / ".env", ()).check_in_container()
    own = "compose --file DIR/docker-compose.yaml --project-name mine-preflight"
    assert asked(tmp_path)[-2:] == [f"{own} run --rm --no-deps -T preflight", f"{own} down --volumes"]
