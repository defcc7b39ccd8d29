"""Docs are held to the code."""

import re
from pathlib import Path

import pytest

from megaservice import errors
from megaservice.settings import SHARED_NAMES, Settings

ROOT = Path(__file__).parent.parent
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
ENV_EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("name", sorted({*Settings.model_fields, *SHARED_NAMES}))
def test_every_variable_is_documented(name: str) -> None:
    assert f"| `{name}` |" in CONFIGURATION
    assert re.search(rf"^#?{name}=", ENV_EXAMPLE, re.MULTILINE)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_documented_default_is_the_default(name: str) -> None:
    field = Settings.model_fields[name]
    match = re.search(rf"^#?{name}=(.*)$", ENV_EXAMPLE, re.MULTILINE)
    assert match is not None
    shown = match[1]
    assert f"| `{name}` | {f'`{shown}`' if shown else '(empty)'} | {field.description} |" in CONFIGURATION
    if shown:
        documented = Settings.__pydantic_validator__.validate_assignment(Settings.model_construct(), name, shown)
        assert getattr(documented, name) == field.default


@pytest.mark.parametrize("name", re.findall(r"^#?([A-Z_]+)=", ENV_EXAMPLE, re.MULTILINE))
def test_every_example_is_a_variable(name: str) -> None:
    assert name in {*Settings.model_fields, *SHARED_NAMES}


def _codes(root: type[errors.MegaserviceError]) -> set[str]:
    return {root.code}.union(*(_codes(child) for child in root.__subclasses__()))


def test_every_error_code_is_documented() -> None:
    in_code = _codes(errors.MegaserviceError)
    for path in (ROOT / "megaservice").rglob("*.py"):
        in_code |= set(re.findall(r'code="([a-z_]+)"', path.read_text(encoding="utf-8")))
    assert {code for code in in_code if f"| `{code}` |" not in API} == set()


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_readme_is_short() -> None:
    assert len(README.splitlines()) < 200


@pytest.mark.parametrize("command", ["scripts/start", "scripts/test", "scripts/check", "scripts/bench"])
def test_commands_of_the_readme_exist(command: str) -> None:
    assert command in README
    assert (ROOT / command).is_file()
    assert (ROOT / command).stat().st_mode & 0o111
