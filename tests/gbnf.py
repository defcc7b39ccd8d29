"""Reads what megaservice.hsk.grammar writes and tells which texts it lets pass."""

import re
from functools import cache
from itertools import chain

_TOKEN = re.compile(r'"(?P<text>[^"]*)"|\[(?P<one_of>[^\]]*)\]|(?P<rule>\w+)|(?P<mark>[()|?])')

Item = tuple[str, object]
Choices = tuple[tuple[Item, ...], ...]


class Grammar:
    def __init__(self, source: str) -> None:
        lines = (line.split(" ::= ", 1) for line in source.splitlines())
        self._rules = {name: _choices(list(_TOKEN.finditer(body))) for name, body in lines}

    def accepts(self, text: str) -> bool:
        @cache
        def rule(name: str, start: int) -> frozenset[int]:
            return choices(self._rules[name], start)

        def choices(items: Choices, start: int) -> frozenset[int]:
            return frozenset(chain.from_iterable(sequence(one, start) for one in items))

        def sequence(items: tuple[Item, ...], start: int) -> set[int]:
            ends = {start}
            for kind, value in items:
                ends = set(chain.from_iterable(item(kind, value, end) for end in ends))
            return ends

        def item(kind: str, value: object, start: int) -> frozenset[int]:
            if isinstance(value, tuple):
                return choices(value, start)
            assert isinstance(value, str)
            if kind == "rule":
                return rule(value, start)
            found = text.startswith(value, start) if kind == "text" else text[start : start + 1] in [*value]
            return frozenset({start + (len(value) if kind == "text" else 1)} if found else ())

        return len(text) in rule("root", 0)


def _choices(tokens: list[re.Match[str]]) -> Choices:
    """Takes its tokens off the front of the list, up to the end or a closing bracket."""
    choices: list[tuple[Item, ...]] = []
    items: list[Item] = []
    while tokens and tokens[0]["mark"] != ")":
        token = tokens.pop(0)
        kind = token.lastgroup or ""
        if token["mark"] == "|":
            choices.append(tuple(items))
            items = []
        elif token["mark"] == "(":
            inner = _choices(tokens)
            tokens.pop(0)
            if tokens and tokens[0]["mark"] == "?":
                tokens.pop(0)
                inner = (*inner, ())
            items.append(("choices", inner))
        else:
            items.append((kind, token[kind]))
    return (*choices, tuple(items))
