"""The .env file: its values, read without python-dotenv, and what in its form compose or a shell would misread."""

import re
from pathlib import Path

_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=[ \t]*(.*?)[ \t]*(?:[ \t]#.*)?$")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read(path: Path) -> dict[str, str]:
    """The plain NAME=value lines; the last of a name counts. Bytes that are no UTF-8 are told by `faults`."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        return {}
    found = (_ASSIGNMENT.match(line) for line in text.splitlines())
    return {match[1]: match[2].strip("'\"") for match in found if match}


def is_utf8(path: Path) -> bool:
    try:
        path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return True
    except UnicodeDecodeError:
        return False
    return True


def faults(path: Path) -> list[str]:
    """One line for each kind of fault, with the first line that has it and the mend."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = content[: exc.start].count(b"\n") + 1
        return [f"{path.name}: line {line} is not in UTF-8; save the file as UTF-8 without a byte order mark"]
    told = []
    if content.startswith(_BYTE_ORDER_MARK):
        told.append(f"{path.name}: begins with a byte order mark; save it as UTF-8 without one")
    if "\r" in text:
        told.append(f"{path.name}: its lines end in CRLF, wants LF; write `sed -i 's/\\r$//' {path.name}`")
    lines = text.removeprefix("\ufeff").splitlines()
    for pattern, fault in _FORM_FAULTS:
        wrong = ((number, found) for number, line in enumerate(lines, 1) if (found := pattern.match(line)))
        for number, found in wrong:
            told.append(f"{path.name}: line {number} {fault.format(*found.groups())}")
            break
    return told


_FORM_FAULTS = (
    (re.compile(r"\s*export\s+(\w+)"), "begins with `export`, which only a shell knows; begin it with {0}="),
    (
        re.compile(r"\s*(?!export\s)([A-Za-z_]\w*)(?:\s+=\s*|=\s+(?=[^\s#]))"),
        "has a space beside its `=`; write {0}=...",
    ),
    (re.compile(r"\s*(?!export\s)([^\s#=][^=]*)$"), "is no NAME=value; begin it with `#` or write the value"),
)
