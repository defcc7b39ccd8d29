"""The table of docs/architecture.md: who may import whom."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAMS = ("megaservice", "megatalk", "llm", "tts", "weights", "launcher", "preflight", "endpoint_checks")

# Row of each part of MegaService; a part may import its own row and those above it.
ROWS = {
    "models": 1,
    "errors": 1,
    "upstreams": 1,
    "hsk": 1,
    "records": 1,
    "text": 2,
    "audio": 2,
    "repair": 2,
    "prompts": 2,
    "settings": 2,
    "schemas": 2,
    "logs": 2,
    "loading": 2,
    "voices": 2,
    "once": 2,
    "checks": 2,
    "conversations": 2,
    "saved_words": 2,
    "anki": 2,
    "protocols": 2,
    "llm": 3,
    "speech": 3,
    "store": 3,
    "running_turn": 4,
    "turns": 4,
    "clip_maker": 4,
    "sentences": 4,
    "words": 4,
    "pipeline": 4,
    "writer": 4,
    "warmup": 4,
    "routes": 5,
    "app": 6,
    "__main__": 7,
}
UPSTREAM_LIBRARIES = {"httpx", "openai", "sqlalchemy", "alembic", "psycopg"}  # row 3 alone talks to other servers
ALLOWED_BETWEEN_PROGRAMS = {
    "llm": {"weights", "preflight"},
    "tts": {"weights"},
    "launcher": {"weights", "preflight"},
    "endpoint_checks": {"megaservice"},
}


def modules() -> list[Path]:
    return [path for program in PROGRAMS for path in sorted((ROOT / program).rglob("*.py"))]


def imports(path: Path) -> set[str]:
    """Full names of all that a module imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: write imports in full"
            names.add(node.module or "")
    return names


def part(name: str) -> str | None:
    """The part of MegaService that `name` belongs to; None outside it and for the package itself."""
    pieces = name.split(".")
    return pieces[1] if pieces[0] == "megaservice" and len(pieces) > 1 else None


def faults(path: Path) -> list[str]:
    relative = path.relative_to(ROOT)
    program = relative.parts[0]
    own_part = part(".".join(relative.with_suffix("").parts)) if program == "megaservice" else None
    found = []
    for name in sorted(imports(path)):
        other_program = name.split(".")[0]
        if other_program in PROGRAMS and other_program != program:
            if other_program not in ALLOWED_BETWEEN_PROGRAMS.get(program, set()):
                found.append(f"{relative} imports {name}: programs share HTTP contracts only")
        elif own_part not in (None, "__init__"):
            assert own_part is not None
            row, other = ROWS[own_part], part(name)
            if other is not None and other != own_part and not _may_import(row, ROWS[other]):
                found.append(f"{relative} (row {row}) imports {name} (row {ROWS[other]})")
            if other_program in UPSTREAM_LIBRARIES and row != 3:
                found.append(f"{relative} (row {row}) imports {name}: only row 3 talks to other servers")
    return found


def _may_import(row: int, other: int) -> bool:
    if row == 4 and other == 3:
        return False  # through Protocols only
    return other <= row and not (row == 3 == other)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_module_keeps_to_its_row(path: Path) -> None:
    assert faults(path) == []


def test_a_wrong_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.test_imports.ROOT", tmp_path)
    module = tmp_path / "megaservice" / "text" / "splitter.py"
    module.parent.mkdir(parents=True)
    module.write_text("import httpx\nfrom megaservice.turns import Turns\nimport tts.app\n", encoding="utf-8")
    assert faults(module) == [
        "megaservice/text/splitter.py (row 2) imports httpx: only row 3 talks to other servers",
        "megaservice/text/splitter.py (row 2) imports megaservice.turns (row 4)",
        "megaservice/text/splitter.py imports tts.app: programs share HTTP contracts only",
    ]
