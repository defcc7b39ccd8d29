"""Docs are held to the code."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

import llm.settings
import tts.settings
from megaservice import errors
from megaservice.settings import SHARED_NAMES, Settings

ROOT = Path(__file__).parent.parent
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
ENV_EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOTICE = (ROOT / "NOTICE.md").read_text(encoding="utf-8")
DOCS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def _defaults() -> dict[str, tuple[object, str]]:
    """Every setting of every program: its variable, default and description."""
    embedded = (llm.settings.Settings, tts.settings.Settings)
    found = {name: (field.default, field.description or "") for name, field in Settings.model_fields.items()}
    for program in embedded:
        prefix = str(program.model_config["env_prefix"])
        found |= {prefix + n.upper(): (f.default, f.description or "") for n, f in program.model_fields.items()}
    return found


def _shown(default: object) -> str:
    match default:
        case None | SecretStr():
            return ""
        case bool():
            return str(default).lower()
        case tuple():
            return ",".join(f"{endpoint.dialect}+{endpoint.url}" for endpoint in default)
        case float() if default.is_integer():
            return str(int(default))
    return str(default)


@pytest.mark.parametrize("name", sorted(SHARED_NAMES))
def test_every_shared_variable_is_documented(name: str) -> None:
    assert f"| `{name}` |" in CONFIGURATION
    assert re.search(rf"^#?{name}=", ENV_EXAMPLE, re.MULTILINE)


@pytest.mark.parametrize(("name", "default", "description"), [(n, *told) for n, told in _defaults().items()])
def test_every_setting_is_documented_with_its_default(name: str, default: object, description: str) -> None:
    shown = _shown(default)
    assert f"| `{name}` | {f'`{shown}`' if shown else '(empty)'} | {description} |" in CONFIGURATION
    assert f"# {description}\n#{name}={shown}\n" in ENV_EXAMPLE


def test_every_variable_of_the_compose_files_is_known() -> None:
    used = set()
    for path in ROOT.glob("docker-compose*.yaml"):
        used |= set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", path.read_text(encoding="utf-8")))
    assert used - {*_defaults(), *SHARED_NAMES} == {"COMPOSE_ENV_FILES"}


def test_settings_of_the_embedded_programs_are_known_by_name() -> None:
    assert {name for name in _defaults() if name.startswith("EMBEDDED_")} <= SHARED_NAMES


@pytest.mark.parametrize("name", re.findall(r"^#?([A-Z_]+)=", ENV_EXAMPLE, re.MULTILINE))
def test_every_example_is_a_variable(name: str) -> None:
    assert name in {*_defaults(), *SHARED_NAMES}


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


@pytest.mark.parametrize("path", re.findall(r"`((?:docs|llm|megaservice|megatalk|scripts|tests|tts)/[^`]+)`", NOTICE))
def test_what_the_notice_names_is_there(path: str) -> None:
    assert list(ROOT.glob(path))


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_no_figure_is_left_out(path: Path) -> None:
    assert re.findall(r"@[A-Z_]+@", path.read_text(encoding="utf-8")) == []


def test_readme_is_short() -> None:
    assert len(README.splitlines()) < 200


@pytest.mark.parametrize("command", sorted(set(re.findall(r"scripts/[a-z_.]+(?<!\.)", README))))
def test_commands_of_the_readme_exist(command: str) -> None:
    assert (ROOT / command).is_file()
    assert (ROOT / command).stat().st_mode & 0o111
