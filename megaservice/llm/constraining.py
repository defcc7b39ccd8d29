"""Which constraint an LLM server obeys, and how a level's words are written for it. Some take the field and write what
they like, so each server is asked for words that it would not write by itself."""

import re
from collections.abc import Mapping

from megaservice.hsk.constraint import Constraint
from megaservice.models import Message, Role
from megaservice.upstreams import ConstraintKind, ConstraintState

OBEYED = "obeyed"
IGNORED = "ignored"
PROBE = (Message(Role.USER, "你好！"),)
PROBE_TOKENS = 4
_PROBE = Constraint(1, regex="(七|八)+", grammar='root ::= ("七" | "八")+', plain_grammar='root ::= ("七" | "八")+')
_PROBED = re.compile("[七八]+")
_HIGHEST_GBNF_LEVEL = 2  # llama.cpp tries each token against all that may follow: from level 3 on for 20 s and more


class Constraining:
    """One server's, as far as it is known; a server that comes back is asked again, and trusted until then."""

    def __init__(self) -> None:
        self._kind: ConstraintKind | None = None
        self._probes: dict[ConstraintKind, str] = {}
        self._first_token_seconds: dict[str, float] = {}
        self._refused: dict[str, str] = {}
        self.is_known = False

    def doubt(self) -> None:
        """What answers next may be another server."""
        self.is_known = False

    def learn(self, probes: Mapping[ConstraintKind, str]) -> None:
        self._probes = dict(probes)
        self._kind = next((kind for kind, outcome in probes.items() if outcome == OBEYED), None)
        self._first_token_seconds = {}
        self._refused = {}
        self.is_known = True

    def takes(self, level: int) -> bool:
        return self._kind is not None and (self._kind is not ConstraintKind.GBNF or level <= _HIGHEST_GBNF_LEVEL)

    def body(self, constraint: Constraint | None) -> dict[str, object]:
        """What a request has beside what all have."""
        if constraint is None or not self.takes(constraint.level) or constraint.label in self._refused:
            return {}
        assert self._kind is not None
        return _body(self._kind, constraint)

    def wrote(self, constraint: Constraint, seconds: float) -> None:
        """Note that a reply's first token came, after so many seconds."""
        self._first_token_seconds.setdefault(constraint.label, round(seconds, 2))

    def was_refused(self, constraint: Constraint, why: str) -> None:
        self._refused[constraint.label] = why

    def state(self) -> ConstraintState:
        return ConstraintState(
            self._kind, self.is_known, dict(self._probes), dict(self._first_token_seconds), dict(self._refused)
        )


def probe_body(kind: ConstraintKind) -> dict[str, object]:
    return _body(kind, _PROBE)


def outcome_of(written: str) -> str:
    """What a reply under `probe_body` tells."""
    return OBEYED if _PROBED.fullmatch(written) else IGNORED


def _body(kind: ConstraintKind, constraint: Constraint) -> dict[str, object]:
    match kind:
        case ConstraintKind.GRAMMAR:
            return {"structured_outputs": {"grammar": constraint.grammar}}
        case ConstraintKind.REGEX:
            return {"structured_outputs": {"regex": constraint.regex}}
        case ConstraintKind.GBNF:
            return {"grammar": constraint.plain_grammar}
