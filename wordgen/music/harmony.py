"""Names of chords (`Bbm7/F`): their notes, how an accompaniment plays them, and how MusicXML writes them."""

from typing import NamedTuple

from wordgen.music.abc_grammar import CHORD_NAME
from wordgen.music.keys import ACCIDENTALS, LETTERS, NATURAL
from wordgen.music.piece import Metre

_BASS, _CHORD = 36, 48
"""The octaves of the bass and of the chord, as pitches of their C in MIDI."""
BASS_VELOCITY, CHORD_VELOCITY = 80, 75

_SPELLINGS = {
    "maj": "", "M": "", "min": "m", "-": "m", "M7": "maj7", "min7": "m7", "-7": "m7", "min6": "m6", "+": "aug",
    "+7": "aug7", "o": "dim", "d": "dim", "o7": "dim7", "d7": "dim7", "sus": "sus4", "4": "sus4", "2": "sus2",
    "min7b5": "m7b5", "M9": "maj9", "min9": "m9",
}  # fmt: skip
"""Other spellings of the same kind of chord."""
_KINDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "": ("major", (0, 4, 7)),
    "m": ("minor", (0, 3, 7)),
    "7": ("dominant", (0, 4, 7, 10)),
    "m7": ("minor-seventh", (0, 3, 7, 10)),
    "maj7": ("major-seventh", (0, 4, 7, 11)),
    "6": ("major-sixth", (0, 4, 7, 9)),
    "m6": ("minor-sixth", (0, 3, 7, 9)),
    "aug": ("augmented", (0, 4, 8)),
    "aug7": ("augmented-seventh", (0, 4, 8, 10)),
    "dim": ("diminished", (0, 3, 6)),
    "dim7": ("diminished-seventh", (0, 3, 6, 9)),
    "m7b5": ("half-diminished", (0, 3, 6, 10)),
    "9": ("dominant-ninth", (0, 4, 7, 10, 14)),
    "m9": ("minor-ninth", (0, 3, 7, 10, 14)),
    "maj9": ("major-ninth", (0, 4, 7, 11, 14)),
    "11": ("dominant-11th", (0, 4, 7, 10, 14, 17)),
    "sus4": ("suspended-fourth", (0, 5, 7)),
    "sus2": ("suspended-second", (0, 2, 7)),
    "7sus4": ("other", (0, 5, 7, 10)),
    "5": ("power", (0, 7)),
}
"""The name of each kind of chord in MusicXML, and its notes in half steps above the root."""

PATTERNS: dict[Metre, str] = {
    **dict.fromkeys((Metre(2, 2), Metre(4, 4)), "fzczfzcz"),
    Metre(2, 4): "fzcz",
    Metre(6, 4): "fzczfzczfzcz",
    **dict.fromkeys((Metre(3, 4), Metre(3, 8)), "fzczcz"),
    **dict.fromkeys((Metre(5, 4), Metre(5, 8)), "fzbcz"),
    **dict.fromkeys((Metre(7, 4), Metre(7, 8)), "fzbczcz"),
    **{Metre(3 * beats, 8): "fzc" * beats for beats in (2, 3, 4)},
}
"""The rhythm of the accompaniment in a bar of each metre, as the manual of abc2midi gives it.

A bar is divided into as many equal parts as the pattern has letters. f is the bass, c the chord, b both, z a rest.
"""


class ChordName(NamedTuple):
    """The name of a chord, in its parts."""

    root: str
    """A letter, with # or b."""
    kind: str
    bass: str
    """The lowest note if it is not the root; else empty."""

    def __str__(self) -> str:
        return f"{self.root}{self.kind}/{self.bass}" if self.bass else self.root + self.kind

    @property
    def _known_kind(self) -> str:
        """The kind itself, or the longest beginning of it that is known: `7` for `7b9`."""
        beginnings = (self.kind[:length] for length in range(len(self.kind), -1, -1))
        spelled = (_SPELLINGS.get(kind, kind) for kind in beginnings)
        return next(kind for kind in spelled if kind in _KINDS)

    @property
    def bass_pitch(self) -> int:
        """The pitch that an accompaniment plays as the bass."""
        return _BASS + _half_steps(self.bass or self.root)

    @property
    def chord_pitches(self) -> tuple[int, ...]:
        """The pitches that an accompaniment plays as the chord.

        If the bass is a note of the chord, the notes that come before it are an octave higher.
        """
        root, notes = _half_steps(self.root), _KINDS[self._known_kind][1]
        in_chord = [(root + note - _half_steps(self.bass or self.root)) % 12 for note in notes]
        lowest = in_chord.index(0) if 0 in in_chord else 0
        return tuple(_CHORD + root + note + 12 * (place < lowest) for place, note in enumerate(notes))

    def musicxml(self, offset: int) -> str:
        """Return the chord as an element of MusicXML. `offset` is its distance from the beginning of the bar."""
        exact = _SPELLINGS.get(self.kind, self.kind)
        kind = _KINDS[exact][0] if exact in _KINDS else "other"
        bass = f"<bass>{_step('bass', self.bass)}</bass>" if self.bass else ""
        return (
            f"<harmony><root>{_step('root', self.root)}</root>"
            f'<kind text="{self.kind}">{kind}</kind>{bass}<offset>{offset}</offset></harmony>\n'
        )


def chord_named(text: str) -> ChordName | None:
    """Return the parts of a chord's name; None if the text is no such name."""
    found = CHORD_NAME.fullmatch(text.strip(" ()"))
    if found is None:
        return None
    bass = (found["bass"] or "").upper() + (found["bass_sign"] or "").replace("+", "#")
    root = found["root"] + found["sign"]
    return ChordName(root, found["kind"], "" if bass == root else bass)


def _half_steps(note: str) -> int:
    """Return the half steps from C to a note such as `Bb`, from 0 to 11."""
    return (NATURAL[LETTERS.index(note[0])] + ACCIDENTALS[note[1:]]) % 12


def _step(element: str, note: str) -> str:
    alter = f"<{element}-alter>{ACCIDENTALS[note[1:]]}</{element}-alter>" if note[1:] else ""
    return f"<{element}-step>{note[0]}</{element}-step>{alter}"
