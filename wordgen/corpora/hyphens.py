"""Words that were hyphenated where a line was wrapped: which lose the hyphen, by what stands elsewhere in the text."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from wordgen.corpora.reading import Line

_HEAD = re.compile(r"(\w+)-$")
_TAIL = re.compile(r"\w+")
_WORD = re.compile(r"\w+(?:-\w+)*")
_MOST_CANDIDATES = 200_000

Halves = tuple[str, str]


@dataclass
class Hyphens:
    """The words of a text whose halves are joined without their hyphen."""

    solid: frozenset[Halves] = frozenset()
    joined: int = field(default=0, init=False)
    """How many words have been, so far."""

    def join(self, line: str, following: str) -> tuple[str, str] | None:
        """A line, perhaps without its hyphen, and what stands between it and the next; None where no word goes on."""
        halves = _halves(line, following)
        if halves is None:
            return None
        if halves not in self.solid:
            return line, ""
        self.joined += 1
        return line[:-1], ""


def hyphens_of(read: Callable[[], Iterable[Line]]) -> Hyphens:
    """The hyphenated words of a text that stand in it more often in one piece than with a hyphen.

    The text is read twice, so memory does not grow with it; once only where no line ends with a hyphen.
    """
    candidates: dict[str, Halves] = {}
    for (_, line), (_, following) in pairwise(read()):
        halves = _halves(line.rstrip(), following.lstrip())
        if halves is not None and len(candidates) < _MOST_CANDIDATES:
            candidates["".join(halves)] = halves
    if not candidates:
        return Hyphens()
    wanted = {*candidates, *("-".join(halves) for halves in candidates.values())}
    counts: Counter[str] = Counter()
    for _, line in read():
        counts.update(wanted.intersection(_WORD.findall(line.lower())))
    return Hyphens(frozenset(halves for word, halves in candidates.items() if counts[word] > counts["-".join(halves)]))


def _halves(line: str, following: str) -> Halves | None:
    if not line.endswith("-"):
        return None
    head = _HEAD.search(line[-60:])
    tail = _TAIL.match(following) if head else None
    return (head[1].lower(), tail[0].lower()) if head and tail else None
