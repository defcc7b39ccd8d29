"""What only a model says that has lost its way: it wants a word above the level, is let begin it because words of the
level begin like that, and then has to go on with one of them: 很了不 of 了不起 becomes 很了不起床. No I/O."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from megaservice.hsk.wordset import word_set

Chain = tuple[str, ...]  # words that stand side by side

_MARGIN = 4.5  # how much likelier the word above the level is, as the difference of two logs
_UNKNOWN_COST = 12.0
# Behind these a verb or an adjective is likelier than the words' frequencies say: 不便宜, 也好吃, 再说话.
_BEFORE_VERBS = word_set("不 也 都 没 就 还 再 很 要 会 能 可")
_COUNTED = word_set("天 点")  # 那天下午


def astray(
    words: Collection[str], above: Iterable[str], costs: Mapping[str, float], parts_of_speech: Mapping[str, str]
) -> Iterator[Chain]:
    """The chains of `words` in which one of `above` stands across where words meet and only begins the last of them,
    when by its frequency it is the one that is meant."""
    beginning, ending = parts(words)
    for word in above:
        for at in range(1, len(word)):
            heads = [(word[:at], 0.0)] if word[:at] in words else []
            for head in ending.get(word[:at], ()):  # 好看 and 法国 for 看法: 好 and 看法
                before = head[:-at]
                if head in costs and before in words:
                    heads.append((head, costs.get(before, _UNKNOWN_COST)))
            if not heads:
                continue
            for rest in _begun(word[at:], words, beginning):
                cost = sum(costs.get(part, _UNKNOWN_COST) for part in rest)
                for head, cost_before in heads:
                    is_meant = costs[word] + cost_before + _MARGIN < costs.get(head, _UNKNOWN_COST) + cost
                    if is_meant and not _is_grammar(head, rest[0], parts_of_speech):
                        yield (head, *rest)


def _is_grammar(word: str, after: str, parts_of_speech: Mapping[str, str]) -> bool:
    if word in _COUNTED:
        return True
    of_speech = parts_of_speech.get(after, "")
    return word in _BEFORE_VERBS and ("动" in of_speech or "形" in of_speech)


def _begun(text: str, words: Collection[str], beginning: Mapping[str, list[str]]) -> Iterator[Chain]:
    """Words that have `text`, the last of them more."""
    yield from ((word,) for word in beginning.get(text, ()))
    for at in range(1, len(text)):
        if text[:at] in words:
            yield from ((text[:at], *rest) for rest in _begun(text[at:], words, beginning))


def parts(words: Collection[str]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The words that begin with a part, and those that end with one."""
    beginning, ending = defaultdict(list), defaultdict(list)
    for word in words:
        for at in range(1, len(word)):
            beginning[word[:at]].append(word)
            ending[word[at:]].append(word)
    return beginning, ending
