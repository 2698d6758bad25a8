"""Transpose tunes in ABC as text. Only notes, names of chords and keys change, and the way back gives the same text.

Each note keeps its place in the scale. A note without an accidental has none in the new key, and a note that is half a
step above its key is so in the new key, too. So nothing is lost. One thing changes for good: octaves are written in one
way, so that `c,` becomes `C`.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from wordgen.music.abc_grammar import ACCIDENTAL_SIGNS, CHORD_NAME, Token, lexed, music, parse_note, written_note
from wordgen.music.keys import (
    ACCIDENTALS,
    CHANGES_NOTES,
    LETTERS,
    SIGNS,
    Interval,
    Key,
    Pitch,
    parse_key,
    tonic_written,
)

_SHARPS_OF_COPIES = (-1, 0, 1, 2, 3)
"""The sharps of the keys that copies of a tune have: F, C, G, D and A major, or the keys of its mode with as many."""
COPIES = len(_SHARPS_OF_COPIES)


class _NotInThatKeyError(Exception):
    """A tune has something that cannot be written in another key."""


def key_of(text: str) -> Key | None:
    """Return the first key of a tune; None if it is not known."""
    for line in text.split("\n"):
        if line.startswith("K:"):
            return parse_key(line[2:])
    return None


def transposed(text: str, key: Key) -> str | None:
    """Return a tune in another key of its mode; None if it cannot be written there, or its own key is not known."""
    own = key_of(text)
    return None if own is None else moved(text, own.to(key))


def to_common_key(text: str) -> str | None:
    """Return a tune in the key of its mode without sharps and flats; None if that is not possible."""
    own = key_of(text)
    return None if own is None else moved(text, own.to(own.with_sharps(0)))


def copy_of(text: str, number: int) -> str | None:
    """Return a copy of a tune for training, given its number (from 0); None if the tune has that key already."""
    own, sharps = key_of(text), _SHARPS_OF_COPIES[number]
    return None if own is None or own.sharps == sharps else transposed(text, own.with_sharps(sharps))


def moved(text: str, interval: Interval) -> str | None:
    """Return a tune moved by an interval; None if its notes or keys cannot be written there."""
    pieces = moved_pieces("", [text], interval)
    return None if pieces is None else pieces[0]


def moved_pieces(beginning: str, pieces: Sequence[str], interval: Interval) -> list[str] | None:
    """Return the pieces of text that follow the beginning of a tune, moved by an interval; None if that is impossible.

    Joined, they are the same text as the end of the whole tune, moved. A sign that changes, for example a note, is in
    the piece where it begins.
    """
    whole = beginning + "".join(pieces)
    written = list(whole)
    try:
        for begin, end, becomes in _Moving(interval).changes(whole):
            if begin >= len(beginning):
                written[begin:end] = [becomes, *[""] * (end - begin - 1)]
    except _NotInThatKeyError:
        return None
    rest = iter(written[len(beginning) :])
    return ["".join(islice(rest, len(piece))) for piece in pieces]


class _Moving:
    """Moves a tune line by line, and keeps track of its key."""

    def __init__(self, interval: Interval) -> None:
        self._interval = interval
        self._keys: tuple[Key, Key] | None = None
        """The key that is valid in the current line, and the key that it becomes."""

    def changes(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield where each sign that changes begins and ends in a text, and what it becomes."""
        at = 0
        for line in text.split("\n"):
            tokens = list(lexed(line))
            for token, becomes in zip(tokens, self._tokens(tokens), strict=True):
                if becomes != token.text:
                    yield at, at + len(token.text), becomes
                at += len(token.text)
            at += 1

    def _tokens(self, tokens: Iterable[Token]) -> Iterator[str]:
        for kind, text in tokens:
            if kind == "note":
                yield self._note(text)
            elif kind == "chord":
                yield self._chord(text)
            elif kind == "grace":
                yield "{" + "".join(self._tokens(music(text[1:-1]))) + "}"
            elif kind == "inline" and text.startswith("[K:"):
                yield f"[K:{self._key(text[3:-1])}]"
            elif kind == "field" and text.startswith("K:"):
                yield f"K:{self._key(text[2:])}" if text != "K:" else self._refuse()
            else:
                yield text

    def _refuse(self) -> str:
        raise _NotInThatKeyError

    def _key(self, value: str) -> str:
        key, place = parse_key(value), tonic_written(value)
        becomes = key and key.moved(self._interval)
        if key is None or becomes is None or place is None or CHANGES_NOTES.search(value):
            raise _NotInThatKeyError
        self._keys = key, becomes
        return value[: place[0]] + LETTERS[becomes.letter] + SIGNS[becomes.sign] + value[place[1] :]

    def _note(self, text: str) -> str:
        if self._keys is None:
            raise _NotInThatKeyError
        step, raised = parse_note(text)
        there = step + self._interval.steps
        if raised is None:
            return written_note(there)
        key, becomes = self._keys
        raised += becomes.raises(there % 7) - key.raises(step % 7)
        if raised not in ACCIDENTAL_SIGNS or not -4 <= there // 7 <= 5:
            raise _NotInThatKeyError
        return written_note(there, raised)

    def _chord(self, text: str) -> str:
        found = CHORD_NAME.search(text)
        assert found is not None
        name = self._name(found["root"], found["sign"]) + found["kind"]
        if found["bass"]:
            bass = self._name(found["bass"].upper(), found["bass_sign"].replace("+", "#"))
            name += "/" + (bass.lower().replace("#", "+") if found["bass"].islower() else bass)
        return text[: found.start()] + name + text[found.end() :]

    def _name(self, letter: str, sign: str) -> str:
        moved = self._interval.applied(Pitch(LETTERS.index(letter), ACCIDENTALS[sign]))
        if moved.raised not in SIGNS:
            raise _NotInThatKeyError
        return LETTERS[moved.step % 7] + SIGNS[moved.raised]
