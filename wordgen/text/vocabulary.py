"""The vocabulary: which tokens have an id, and which id that is."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from wordgen.errors import CorpusError
from wordgen.text.marks import (
    JOINER,
    OTHER_FORM,
    RESERVED,
    SPECIAL_WITH_SPELLING,
    SPELLING,
    in_one_form,
    other_form,
    spell,
)

UNKNOWN, START, END = range(3)


class Vocabulary:
    """The special tokens, followed by the tokens of the training text from the most to the least frequent."""

    def __init__(self, counted_tokens: Iterable[tuple[str, int]]) -> None:
        """Take pairs of a token and its count in the training text, with the special tokens first.

        Raises ValueError if the special tokens are missing or a token occurs twice.
        """
        pairs = list(counted_tokens)
        self.tokens = tuple(token for token, _ in pairs)
        self.counts = tuple(count for _, count in pairs)
        self._ids = {token: number for number, token in enumerate(self.tokens)}
        if self.tokens[:3] != RESERVED or len(self._ids) != len(self.tokens):
            raise ValueError("a vocabulary begins with the special tokens and holds each token once")

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int],
        size: int,
        min_count: int,
        *,
        spelling: bool = False,
        one_apostrophe: bool = False,
        base: "BaseVocabulary | None" = None,
    ) -> "Vocabulary":
        """Return a vocabulary of at most `size` tokens: the most frequent ones with a count of at least `min_count`.

        Tokens with equal counts are sorted by code point. `size` includes the special tokens. If `spelling` is true,
        the bytes are also included, and other words are spelled out instead of being UNKNOWN. If `one_apostrophe` is
        true, words that differ only in the form of their apostrophes are one token. If there is a base, the tokens that
        it knows only need a count of `base.min_count`, and the most frequent words of the base are added at the end, if
        there is room. Raises CorpusError if no token remains and words are not spelled out.
        """
        counts, others = in_one_form(counts) if one_apostrophe else (counts, {})
        room = size - (SPECIAL_WITH_SPELLING if spelling else len(RESERVED))

        def least(token: str) -> int:
            return min_count if base is None or base.vocabulary.nearest(token) is None else base.min_count

        ordinary = [(s, n) for s, n in counts.items() if s not in RESERVED and n >= least(s)]
        ordinary.sort(key=_common_first)
        kept = ordinary[:room]
        marked = sum(others.get(s, 0) for s, _ in kept[: room - 1])
        if marked and marked >= min_count:
            kept = sorted([*kept[: room - 1], (OTHER_FORM, marked)], key=_common_first)
        more = [] if base is None else base.words_besides(counts, room - len(kept))
        if not kept and not spelling:
            raise CorpusError(
                f"No word of the text occurs {min_count} times, so the vocabulary would be empty: "
                "use more text, or --min-count 1."
            )
        known = {*RESERVED[START:], *(token for token, _ in kept)}
        left_out = {s: n for s, n in counts.items() if s not in known}
        special = _counts_of_special(left_out, counts.get(RESERVED[END], 0), spelling=spelling)
        return cls([*special.items(), *kept, *((word, 0) for word in more)])

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: str) -> bool:
        return token in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.to_json() == other.to_json()

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    @property
    def spells(self) -> bool:
        """Whether words outside the vocabulary are spelled out."""
        return SPELLING[0] in self._ids

    @property
    def special(self) -> int:
        """The number of tokens that are not words: UNKNOWN, START, END, and the tokens for spelling."""
        return SPECIAL_WITH_SPELLING if self.spells else len(RESERVED)

    def id_of(self, token: str) -> int:
        """Return the id of a token, or of the same word with the other form of apostrophe, else UNKNOWN."""
        number = self._ids.get(token)
        if number is None and (other := other_form(token)) is not None:
            number = self._ids.get(other)
        return UNKNOWN if number is None else number

    def nearest(self, token: str) -> int | None:
        """Return the id of a token, or of the same word with other joiner marks or capitals, else None."""
        if token in self._ids:
            return self._ids[token]
        return next((number for each in _variants(token) if (number := self.id_of(each)) != UNKNOWN), None)

    def ids_of(self, token: str) -> list[int]:
        """Return the ids that represent any token.

        This is the id of the token, with a mark before it if the token has the other form of apostrophe. A token
        outside the vocabulary becomes the ids of its spelling, or UNKNOWN.
        """
        number = self.id_of(token)
        if token in self._ids or not (self.spells or number):
            return [number]
        if number:
            return [self._ids[OTHER_FORM], number] if OTHER_FORM in self._ids else [number]
        return [self._ids[each] for each in spell(token)]

    def digest(self) -> str:
        """Return a hash of the tokens and their order. Counts do not change it."""
        return hashlib.sha256("\0".join(self.tokens).encode()).hexdigest()

    def to_json(self) -> list[tuple[str, int]]:
        return list(zip(self.tokens, self.counts, strict=True))


def _counts_of_special(left_out: dict[str, int], ends: int, *, spelling: bool) -> dict[str, int]:
    """Return how often each special token occurs, given the counts of all tokens that the vocabulary leaves out."""
    if not spelling:
        return {RESERVED[UNKNOWN]: sum(left_out.values()), RESERVED[START]: 0, RESERVED[END]: ends}
    in_text = left_out.pop(RESERVED[UNKNOWN], 0)
    special = {RESERVED[UNKNOWN]: in_text, RESERVED[START]: 0, RESERVED[END]: ends, **dict.fromkeys(SPELLING, 0)}
    for token, count in left_out.items():
        for each in spell(token):
            special[each] += count
    return special


def _common_first(counted: tuple[str, int]) -> tuple[int, str]:
    return -counted[1], counted[0]


@dataclass(frozen=True)
class BaseVocabulary:
    """The vocabulary of the base that a run begins from, and how much of it the run takes over."""

    vocabulary: Vocabulary
    min_count: int
    """The minimum count in the new text for a token that the base knows."""
    words: int
    """How many of the most frequent words of the base are added even if the new text does not contain them."""

    def words_besides(self, counts: Mapping[str, int], most: int) -> list[str]:
        """Return the words of the base to add that are not in `counts`, at most `most` of them."""
        ordinary = self.vocabulary.tokens[self.vocabulary.special :][: self.words]
        return [word for word in ordinary if word not in counts and word != OTHER_FORM][: max(0, most)]


def _variants(token: str) -> Iterator[str]:
    """Yield the token itself, then with other joiner marks, then all of these with other capitals."""
    word = token.strip(JOINER)
    marked = (token, word, JOINER + word, word + JOINER, JOINER + word + JOINER)
    yield from marked
    for other in dict.fromkeys((word.lower(), word.capitalize(), word.upper())):
        yield from (other, JOINER + other, other + JOINER)
