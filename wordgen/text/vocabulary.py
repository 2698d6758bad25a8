"""The tokens of a vocabulary: marks, special tokens, bytes that spell words, and the ids of all of them."""

import codecs
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from wordgen.errors import CorpusError

UNKNOWN, START, END = range(3)
"""The ids of the special tokens."""
JOINER = "\uffed"  # ￭, as in OpenNMT's tokenizer
UNKNOWN_TOKEN = "UNKNOWN_TOKEN"
START_TOKEN = "START_TOKEN"
END_TOKEN = "END_TOKEN"
RESERVED = (UNKNOWN_TOKEN, START_TOKEN, END_TOKEN)
BYTES = tuple(f"<0x{value:02X}>" for value in range(256))
"""The tokens for the bytes of a word that is spelled out."""
WORD_END = "</w>"
"""The token for the end of a word that is spelled out."""
SPELLING = (*BYTES, WORD_END)
"""All tokens that a vocabulary needs to spell words out."""
SPECIAL_WITH_SPELLING = len(RESERVED) + len(SPELLING)
"""The number of special tokens in a vocabulary that spells words out."""
OTHER_APOSTROPHE = "<'’>"
"""The mark before a word whose apostrophes have the form that is less frequent in the text."""
LINE_BREAK = "\n"
TYPED_APOSTROPHE, PRINTED_APOSTROPHE = "'", "’"

_NAMES = frozenset((*RESERVED, *SPELLING, OTHER_APOSTROPHE))
_BYTE_OF_TOKEN = {token: value for value, token in enumerate(BYTES)}
_ESCAPE = "\ue000"
_TEXT_OF_ESCAPE = {"e": _ESCAPE, "j": JOINER, "n": ""}
_ESCAPED = re.compile(_ESCAPE + "(.)", re.DOTALL)


def protect(piece: str) -> str:
    """Escape a piece of text, so that it can be part of a token and is not mistaken for a mark or a special token."""
    if piece in _NAMES:
        return f"{_ESCAPE}n{piece}"
    if _ESCAPE in piece or JOINER in piece:
        return piece.replace(_ESCAPE, _ESCAPE + "e").replace(JOINER, _ESCAPE + "j")
    return piece


def restore(piece: str) -> str:
    """Return the text that an escaped piece represents. This is the inverse of `protect`."""
    if _ESCAPE not in piece:
        return piece
    return _ESCAPED.sub(lambda found: _TEXT_OF_ESCAPE.get(found[1], found[0]), piece)


def with_typed_apostrophes(text: str) -> str:
    """Return the text with typewriter apostrophes. The length and all positions stay the same."""
    return text.replace(PRINTED_APOSTROPHE, TYPED_APOSTROPHE)


def with_other_apostrophe(token: str) -> str | None:
    """Return the word with its apostrophes in the other form, or None if it has no apostrophe or both forms.

    A single apostrophe that touches no other token is not a word, so the result is None. Where tokens are characters,
    each form therefore stays a separate token.
    """
    if (TYPED_APOSTROPHE in token) == (PRINTED_APOSTROPHE in token) or not (JOINER in token or is_word(token)):
        return None
    typed = with_typed_apostrophes(token)
    return token.replace(TYPED_APOSTROPHE, PRINTED_APOSTROPHE) if typed == token else typed


def merge_apostrophe_forms(counts: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Merge the two apostrophe forms of each word into one token.

    Returns the merged counts, and for each merged token how often it had the other form. The more frequent form is
    kept. It is found separately for apostrophes in words and for those on their own (most of them are quotation marks),
    because many texts print the one and type the other.
    """
    balance = Counter[bool]()
    for token, count in counts.items():
        if with_other_apostrophe(token) is not None:
            balance[is_word(token)] += count if PRINTED_APOSTROPHE in token else -count
    merged, others = Counter[str](), Counter[str]()
    for token, count in counts.items():
        other = with_other_apostrophe(token)
        common = PRINTED_APOSTROPHE if balance[is_word(token)] > 0 else TYPED_APOSTROPHE
        if other is not None and common not in token:
            merged[other] += count
            others[other] += count
        else:
            merged[token] += count
    return dict(merged), dict(others)


def is_word(token: str) -> bool:
    return any(map(str.isalnum, token))


def spell(token: str) -> list[str]:
    """Return the tokens that spell a token: one for each of its UTF-8 bytes, then WORD_END."""
    return [*(BYTES[value] for value in token.encode("utf-8", "surrogatepass")), WORD_END]


def byte_of(token: str) -> int | None:
    """Return the value of a token that represents a byte, or None for any other token."""
    return _BYTE_OF_TOKEN.get(token)


def spelled(values: bytes) -> str:
    """Return the token that the bytes spell.

    It is never UNKNOWN, START or END. Bytes that are not valid UTF-8 become the replacement character U+FFFD.
    """
    token = values.decode("utf-8", "replace")
    return protect(token) if token in RESERVED else token


def incomplete_character(values: bytes) -> bytes:
    """Return the bytes at the end of a word that are only the beginning of a character."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(values)
    return decoder.getstate()[0]


def allowed_after(values: bytes) -> frozenset[str]:
    """Return the spelling tokens that may follow the bytes of a word so far, if the word is to be valid UTF-8.

    Only the first byte of a character restricts its second byte. All later bytes have the same range.
    """
    incomplete = incomplete_character(values)
    if not incomplete:
        end = (WORD_END,) if values else ()
        return frozenset((*BYTES[:0x80], *BYTES[0xC2:0xF5], *end))
    if len(incomplete) > 1:
        return frozenset(BYTES[0x80:0xC0])
    low = {0xE0: 0xA0, 0xF0: 0x90}.get(incomplete[0], 0x80)
    high = {0xED: 0x9F, 0xF4: 0x8F}.get(incomplete[0], 0xBF)
    return frozenset(BYTES[low : high + 1])


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
        merge_apostrophes: bool = False,
        base: "BaseVocabulary | None" = None,
    ) -> "Vocabulary":
        """Return a vocabulary of at most `size` tokens: the most frequent ones with a count of at least `min_count`.

        Tokens with equal counts are sorted by code point. `size` includes the special tokens. If `spelling` is true,
        the bytes are also included, and other words are spelled out instead of being UNKNOWN. If `merge_apostrophes` is
        true, words that differ only in the form of their apostrophes are one token. If there is a base, the tokens that
        it knows only need a count of `base.min_count`, and the most frequent words of the base are added at the end, if
        there is room. Raises CorpusError if no token remains and words are not spelled out.
        """
        counts, others = merge_apostrophe_forms(counts) if merge_apostrophes else (counts, {})
        room = size - (SPECIAL_WITH_SPELLING if spelling else len(RESERVED))

        def needed_count(token: str) -> int:
            return min_count if base is None or base.vocabulary.nearest(token) is None else base.min_count

        ordinary = [(s, n) for s, n in counts.items() if s not in RESERVED and n >= needed_count(s)]
        ordinary.sort(key=_by_frequency)
        kept = ordinary[:room]
        marked = sum(others.get(s, 0) for s, _ in kept[: room - 1])
        if marked >= min_count:
            kept = sorted([*kept[: room - 1], (OTHER_APOSTROPHE, marked)], key=_by_frequency)
        base_words = [] if base is None else base.words_to_add(counts, room - len(kept))
        if not kept and not spelling:
            raise CorpusError(
                f"No word of the text occurs {min_count} times, so the vocabulary would be empty: "
                "use more text, or --min-count 1."
            )
        known = {*RESERVED[START:], *(token for token, _ in kept)}
        left_out = {s: n for s, n in counts.items() if s not in known}
        special = _counts_of_special(left_out, counts.get(RESERVED[END], 0), spelling=spelling)
        return cls([*special.items(), *kept, *((word, 0) for word in base_words)])

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
    def special_count(self) -> int:
        """The number of tokens that are not words: UNKNOWN, START, END, and the tokens for spelling."""
        return SPECIAL_WITH_SPELLING if self.spells else len(RESERVED)

    def id_of(self, token: str) -> int:
        """Return the id of a token, or of the same word with the other form of apostrophe, else UNKNOWN."""
        number = self._ids.get(token)
        if number is None and (other := with_other_apostrophe(token)) is not None:
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
            return [self._ids[OTHER_APOSTROPHE], number] if OTHER_APOSTROPHE in self._ids else [number]
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


def _by_frequency(counted: tuple[str, int]) -> tuple[int, str]:
    return -counted[1], counted[0]


@dataclass(frozen=True)
class BaseVocabulary:
    """The vocabulary of the base that a run begins from, and how much of it the run takes over."""

    vocabulary: Vocabulary
    min_count: int
    """The minimum count in the new text for a token that the base knows."""
    words: int
    """How many of the most frequent words of the base are added even if the new text does not contain them."""

    def words_to_add(self, counts: Mapping[str, int], limit: int) -> list[str]:
        """Return the words of the base to add that are not in `counts`, at most `limit` of them."""
        ordinary = self.vocabulary.tokens[self.vocabulary.special_count :][: self.words]
        return [word for word in ordinary if word not in counts and word != OTHER_APOSTROPHE][: max(0, limit)]


def _variants(token: str) -> Iterator[str]:
    """Yield the token itself, then with other joiner marks, then with other capitals and with at most one mark."""
    word = token.strip(JOINER)
    marked = (token, word, JOINER + word, word + JOINER, JOINER + word + JOINER)
    yield from marked
    for other in dict.fromkeys((word.lower(), word.capitalize(), word.upper())):
        yield from (other, JOINER + other, other + JOINER)
