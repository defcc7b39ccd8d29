"""Which tests can run here: the large ones only when asked for, those with containers only where an engine answers."""

import subprocess
from functools import cache

import pytest

NO_ENGINE = (
    "The tests marked 'compose' DID NOT RUN: no Docker engine with Compose answers on this machine.\n"
    "They build the images and run the containers of docker-compose.yaml."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also build and run the large images (30 minutes more)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if item.get_closest_marker("full") and not config.getoption("--full")]
    if any(item.get_closest_marker("compose") for item in items) and not has_engine():
        left_out = [item for item in items if item in left_out or item.get_closest_marker("compose")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out = terminalreporter.stats.get("deselected", [])
    if any(item.get_closest_marker("compose") for item in left_out) and not has_engine():
        terminalreporter.section("NOT RUN", sep="*", red=True, bold=True)
        terminalreporter.line(NO_ENGINE, red=True)


@cache
def has_engine() -> bool:
    try:
        asked = [
            subprocess.run(["docker", *command], capture_output=True) for command in (["compose", "version"], ["info"])
        ]
    except FileNotFoundError:
        return False
    return all(done.returncode == 0 for done in asked)
