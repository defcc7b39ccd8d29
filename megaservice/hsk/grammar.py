"""Writes a grammar in GBNF, which xgrammar and llama.cpp read: sentences of given words, but for the chains that must
not come about. No I/O.

A rule ends where the next word may begin and goes on there by itself, so that a server never has to look back: `a7` is
what may follow when the words before it begin a forbidden chain. What all have in common is written once.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from megaservice.hsk.astray import Chain

_SHARED_CHARACTERS = 12  # first characters of one shared rule: fewer make more references, more make longer copies
_FORBIDDEN = -1
_Odd = Mapping[str, int]  # where it goes on behind a word, or _FORBIDDEN, if not as at the beginning


def gbnf(words: Collection[str], forbidden: Collection[Chain], *, sentences: int, clauses: int) -> str:
    """At most so many sentences of at most so many clauses; a clause is one or more words."""
    rules = _Rules(words, _Places(words, forbidden))
    end = "[。！？]"
    lines = [f"root ::= {_nested('s', sentences)}", f"s ::= n {_clause(end, clauses)}"]
    return "\n".join([*lines, *(f"{name} ::= {body}" for name, body in rules.written)])


def _nested(rule: str, times: int) -> str:
    return rule if times == 1 else f"{rule} ({_nested(rule, times - 1)})?"


def _clause(end: str, clauses: int) -> str:
    return end if clauses == 1 else f"({end} | [，、：；] n {_clause(end, clauses - 1)})"


class _Places:
    """Places in a clause, told apart by what may come next: 0 is its beginning, and every place like that."""

    def __init__(self, words: Collection[str], forbidden: Collection[Chain]) -> None:
        self._forbidden = frozenset(forbidden)
        self._begun = {chain[:length] for chain in forbidden for length in range(len(chain))} | {()}
        next_words: dict[Chain, set[str]] = defaultdict(set)
        for chain in (*self._forbidden, *(begun for begun in self._begun if begun)):
            next_words[chain[:-1]].add(chain[-1])
        first = {word: self._behind((), word) for word in words}
        odd = {
            begun: {
                word: to
                for start in range(len(begun))
                for word in next_words.get(begun[start:], ())
                if (to := self._behind(begun, word)) != first[word]
            }
            for begun in sorted(self._begun, key=lambda begun: (len(begun), begun))
        }
        place = _alike(odd, first)
        self.behind = {word: _FORBIDDEN if to is None else place[to] for word, to in first.items()}
        self.odd: dict[int, _Odd] = {}
        for begun, elsewhere in odd.items():
            behind = {word: _FORBIDDEN if to is None else place[to] for word, to in elsewhere.items()}
            self.odd[place[begun]] = {word: at for word, at in behind.items() if at != self.behind[word]}

    def _behind(self, begun: Chain, word: str) -> Chain | None:
        """The longest end that begins a forbidden chain; None where there is one."""
        said = (*begun, word)
        ends = [said[start:] for start in range(len(said) + 1)]
        return None if not self._forbidden.isdisjoint(ends) else next(end for end in ends if end in self._begun)


def _alike(odd: Mapping[Chain, Mapping[str, Chain | None]], first: Mapping[str, Chain | None]) -> dict[Chain, int]:
    """One number for all behind which it goes on alike."""
    place = dict.fromkeys(odd, 0)
    while True:
        kinds: dict[object, int] = {}
        finer = {}
        for begun, words in odd.items():
            forbidden = frozenset(word for word, to in words.items() if to is None)
            on = ((word, place[to], first[word]) for word, to in words.items() if to is not None)
            others = frozenset((word, to) for word, to, usual in on if usual is None or place[usual] != to)
            finer[begun] = kinds.setdefault((place[begun], forbidden, others), len(kinds))
        if len(kinds) == len(set(place.values())):
            return finer
        place = finer


class _Rules:
    def __init__(self, words: Iterable[str], places: _Places) -> None:
        self.written: list[tuple[str, str]] = []
        self._names: dict[str, str] = {}
        self._behind = places.behind
        self._by_first: dict[str, list[str]] = defaultdict(list)
        for word in sorted(words):
            self._by_first[word[0]].append(word)
        told_apart = {word[0] for odd in places.odd.values() for word in odd}
        common = [first for first in self._by_first if first not in told_apart]
        shared = {
            self._rule(self._choices(firsts, {})): firsts
            for firsts in (common, *_sliced(sorted(told_apart), _SHARED_CHARACTERS))
            if firsts
        }
        for place, odd in places.odd.items():
            choices = list(self._next(shared, odd))
            if place == 0:
                self.written.append(("n", " | ".join(choices)))
                choices = ["n"]
            self.written.append((f"a{place}", " | ".join([*choices, '""'])))

    def _next(self, shared: Mapping[str, Sequence[str]], odd: _Odd) -> Iterator[str]:
        told_apart = {word[0] for word in odd}
        own: list[str] = []
        for name, firsts in shared.items():
            if told_apart.isdisjoint(firsts):
                yield name
            else:
                own += firsts
        yield from self._choices(own, odd)

    def _choices(self, firsts: Iterable[str], odd: _Odd) -> list[str]:
        characters = defaultdict(list)
        for first in firsts:
            behind = {word[1:]: odd.get(word, self._behind[word]) for word in self._by_first[first]}
            if allowed := {rest: place for rest, place in behind.items() if place != _FORBIDDEN}:
                characters[self._rest(allowed)].append(first)
        return _written(characters)

    def _rest(self, behind: Mapping[str, int]) -> str:
        """The rule for what is left of words whose first characters are said; `behind` each the clause goes on."""
        if set(behind) == {""}:
            return f"a{behind['']}"
        longer: dict[str, dict[str, int]] = defaultdict(dict)
        for rest, place in behind.items():
            if rest:
                longer[rest[0]][rest[1:]] = place
        characters = defaultdict(list)
        for character, rests in longer.items():
            characters[self._rest(rests)].append(character)
        return self._rule([*_written(characters), *([f"a{behind['']}"] if "" in behind else [])])

    def _rule(self, choices: Sequence[str]) -> str:
        """The name of the one rule that has these choices."""
        body = " | ".join(choices)
        if body not in self._names:
            self._names[body] = f"w{len(self._names)}"
            self.written.append((self._names[body], body))
        return self._names[body]


def _written(characters: Mapping[str, Sequence[str]]) -> list[str]:
    return [f'"{of[0]}" {rest}' if len(of) == 1 else f"[{''.join(of)}] {rest}" for rest, of in characters.items()]


def _sliced(items: Sequence[str], size: int) -> list[Sequence[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
