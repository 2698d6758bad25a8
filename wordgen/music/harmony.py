"""The harmony of music: pitches, intervals, keys, metres, and the names of chords (`Bbm7/F`)."""

import re
from dataclasses import dataclass
from typing import NamedTuple

LETTERS = "CDEFGAB"
NATURAL = (0, 2, 4, 5, 7, 9, 11)
"""The distance of each letter from C in half steps."""
_ORDER_OF_SHARPS = "FCGDAEB"
"""The order in which keys raise notes. They lower notes in the reverse order."""
_MAJOR, _MINOR = 0, -3
_MODE_NAMES = {
    _MAJOR: "major", -1: "mixolydian", -2: "dorian", _MINOR: "minor", -4: "phrygian", -5: "locrian", 1: "lydian",
}  # fmt: skip
"""The modes by their number of sharps, compared with the major key on the same tonic."""
_MODE_OF_PREFIX = {
    "": _MAJOR,
    "ion": _MAJOR,
    "m": _MINOR,
    "aeo": _MINOR,
    **{name[:3]: mode for mode, name in _MODE_NAMES.items()},
}
"""The modes by the first letters of their names in ABC."""
_KEY = re.compile(r"[ \t]*(?P<letter>[A-G])(?P<sign>[#b]?)[ \t]*(?P<mode>[A-Za-z]*)")
_CLEF_WORDS = frozenset(("clef", "treble", "bass", "alto", "tenor", "octave", "transpose", "middle", "stafflines"))
"""Words that may follow a key without a mode."""
ACCIDENTALS = {"": 0, "#": 1, "b": -1}
SIGNS = {0: "", 1: "#", -1: "b"}
_SIGNS_IN_WORDS = {0: "", 1: " sharp", -1: " flat"}


@dataclass(frozen=True)
class Pitch:
    """A note by its name: its position among the letters from middle C on, and how far it is raised."""

    step: int
    raised: int

    @property
    def half_steps(self) -> int:
        """The distance from middle C in half steps."""
        octave, letter = divmod(self.step, 7)
        return 12 * octave + NATURAL[letter] + self.raised


@dataclass(frozen=True)
class Interval:
    """The interval from one note to another, in letters and in half steps. Both are negative if it goes down."""

    steps: int
    half_steps: int

    def apply(self, pitch: Pitch) -> Pitch:
        step = pitch.step + self.steps
        return Pitch(step, pitch.half_steps + self.half_steps - Pitch(step, 0).half_steps)


@dataclass(frozen=True)
class Key:
    """A key, such as D minor."""

    letter: int
    """The index of the tonic's letter in LETTERS."""
    sign: int
    """1 if the tonic has a sharp, -1 if it has a flat, else 0."""
    mode: int
    """The number of sharps compared with the major key on the same tonic, for example -3 for minor."""

    @classmethod
    def of_signature(cls, sharps: int, *, minor: bool = False) -> "Key":
        """Return the major or minor key with this number of sharps (or flats, if it is negative), from -7 to 7."""
        return cls(0, 0, _MINOR if minor else _MAJOR).with_sharps(sharps)

    @property
    def sharps(self) -> int:
        """The number of notes that the key raises, or lowers if it is negative."""
        return _ORDER_OF_SHARPS.index(LETTERS[self.letter]) - 1 + 7 * self.sign + self.mode

    @property
    def is_minor(self) -> bool:
        return self.mode == _MINOR

    @property
    def mode_name(self) -> str:
        return _MODE_NAMES[self.mode]

    @property
    def tonic(self) -> Pitch:
        return Pitch(self.letter, self.sign)

    @property
    def tonic_name(self) -> str:
        return LETTERS[self.letter] + SIGNS[self.sign]

    @property
    def name(self) -> str:
        """The name in words, for example `E flat major`."""
        return f"{LETTERS[self.letter]}{_SIGNS_IN_WORDS[self.sign]} {self.mode_name}"

    def alteration_of(self, letter: int) -> int:
        """Return by how many half steps the key raises the notes of a letter: 1, 0 or -1."""
        return (self.sharps + 6 - _ORDER_OF_SHARPS.index(LETTERS[letter])) // 7

    def interval_to(self, other: "Key") -> Interval:
        """Return the interval between the tonics, up or down, whichever passes fewer letters.

        The interval back is its reverse.
        """
        steps = (other.letter - self.letter + 3) % 7 - 3
        return Interval(steps, Pitch(self.letter + steps, other.sign).half_steps - self.tonic.half_steps)

    def transposed(self, interval: Interval) -> "Key | None":
        """Return the key of the same mode at this interval; None if it would have more than seven sharps or flats."""
        step, raised = self.letter + interval.steps, interval.apply(self.tonic).raised
        return _key(step % 7, raised, self.mode)

    def with_sharps(self, sharps: int) -> "Key":
        """Return the key of the same mode with this number of sharps, or of flats if it is negative."""
        every = (Key(letter, sign, self.mode) for sign in (0, 1, -1) for letter in range(7))
        return next(key for key in every if key.sharps == sharps)

    @property
    def field(self) -> str:
        """The key as ABC writes it after `K:`."""
        mode = {_MAJOR: "", _MINOR: "m"}.get(self.mode, self.mode_name[:3])
        return self.tonic_name + mode


def _key(letter: int, sign: int, mode: int) -> Key | None:
    if sign not in SIGNS:
        return None
    key = Key(letter, sign, mode)
    return key if abs(key.sharps) <= 7 else None


def parse_key(value: str) -> Key | None:
    """Return the key that is written after `K:`, as `G`, `Bb`, `F#m` or `D dorian`; None if it is no such key."""
    found = _KEY.match(value)
    if found is None:
        return None
    word = "maj" if found["mode"] == "M" else found["mode"].lower()
    mode = _MAJOR if word in _CLEF_WORDS else _MODE_OF_PREFIX.get(word[:3])
    return None if mode is None else _key(LETTERS.index(found["letter"]), ACCIDENTALS[found["sign"]], mode)


def with_tonic(value: str, tonic: str) -> str:
    """Return what is written after `K:` with another tonic."""
    return re.sub("[A-G][#b]?", tonic, value, count=1)


CHANGES_NOTES = re.compile(r"(?:^|[ \t])(?:exp\b|\^|_|=)|transpose|octave|middle")
"""What may follow a key and gives the notes another meaning."""


_MAX_BEATS, _UNITS = 64, (1, 2, 4, 8, 16, 32)


class Metre(NamedTuple):
    """A time signature: `Metre(6, 8)` has six eighths in a bar."""

    beats: int = 4
    unit: int = 4

    def length(self, resolution: int) -> int:
        """Return the length of a bar."""
        return max(1, 4 * resolution * self.beats // self.unit)

    @property
    def is_compound(self) -> bool:
        """Whether three units make a beat, as in 6/8."""
        return self.unit >= 8 and self.beats % 3 == 0

    @property
    def is_supported(self) -> bool:
        """Whether MIDI and scores can write it, and a bar is at least an eighth long and has at most 64 beats."""
        return self.unit in _UNITS and self.unit <= 8 * self.beats <= 8 * _MAX_BEATS

    def __str__(self) -> str:
        return f"{self.beats}/{self.unit}"


CHORD_NAME = re.compile(
    r"(?P<root>[A-G])(?P<sign>[#b]?)"
    r"(?P<kind>(?:maj|min|dim|aug|sus|add|m|M|d|o|\+|-|2|4|5|6|7|9|11|13|[b#][59]){0,4})"
    r"(?:/(?P<bass>[A-Ga-g])(?P<bass_sign>(?<=[A-G])[#b]?|(?<=[a-g])[+b]?))?"
)
"""The name of a chord: root, kind, and perhaps a bass. Some write the bass as a small letter, with + for a sharp."""
_BASS_OCTAVE, _CHORD_OCTAVE = 36, 48
"""The octaves of the bass and of the chord, as pitches of their C in MIDI."""
BASS_VELOCITY, CHORD_VELOCITY = 80, 75

_SYNONYMS = {
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

ACCOMPANIMENTS: dict[Metre, str] = {
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
    def bass_pitch(self) -> int:
        """The pitch that an accompaniment plays as the bass."""
        return _BASS_OCTAVE + _half_steps(self.bass or self.root)

    @property
    def chord_pitches(self) -> tuple[int, ...]:
        """The pitches that an accompaniment plays as the chord.

        If the bass is a note of the chord, the notes that come before it are an octave higher.
        """
        beginnings = (self.kind[:length] for length in range(len(self.kind), -1, -1))
        spelled = (_SYNONYMS.get(kind, kind) for kind in beginnings)
        known = next(kind for kind in spelled if kind in _KINDS)  # `7` for `7b9`
        root, notes = _half_steps(self.root), _KINDS[known][1]
        in_chord = [(root + note - _half_steps(self.bass or self.root)) % 12 for note in notes]
        lowest = in_chord.index(0) if 0 in in_chord else 0
        return tuple(_CHORD_OCTAVE + root + note + 12 * (place < lowest) for place, note in enumerate(notes))

    def musicxml(self, offset: int) -> str:
        """Return the chord as an element of MusicXML. `offset` is its distance from the beginning of the bar."""
        exact = _SYNONYMS.get(self.kind, self.kind)
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
