"""Keys: their tonic and mode, the notes that they raise or lower, and the intervals between them."""

import re
from dataclasses import dataclass

LETTERS = "CDEFGAB"
NATURAL = (0, 2, 4, 5, 7, 9, 11)
"""The distance of each letter from C in half steps."""
_SHARPS = "FCGDAEB"
"""The order in which keys raise notes. They lower notes in the reverse order."""
_MAJOR, _MINOR = 0, -3
_MODES = {
    "": _MAJOR, "maj": _MAJOR, "ion": _MAJOR, "mix": -1, "dor": -2, "m": _MINOR, "min": _MINOR, "aeo": _MINOR,
    "phr": -4, "loc": -5, "lyd": 1,
}  # fmt: skip
"""The number of sharps of a mode, compared with the major key on the same tonic."""
_NAMED = {
    _MAJOR: "major", -1: "mixolydian", -2: "dorian", _MINOR: "minor", -4: "phrygian", -5: "locrian", 1: "lydian",
}  # fmt: skip
_KEY = re.compile(r"[ \t]*(?P<letter>[A-G])(?P<sign>[#b]?)[ \t]*(?P<mode>[A-Za-z]*)")
_MOST_SHARPS = 7
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

    def applied(self, pitch: Pitch) -> Pitch:
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
        return _SHARPS.index(LETTERS[self.letter]) - 1 + 7 * self.sign + self.mode

    @property
    def minor(self) -> bool:
        return self.mode == _MINOR

    @property
    def mode_name(self) -> str:
        return _NAMED[self.mode]

    @property
    def tonic(self) -> Pitch:
        return Pitch(self.letter, self.sign)

    @property
    def name(self) -> str:
        """The name in words, for example `E flat major`."""
        return f"{LETTERS[self.letter]}{_SIGNS_IN_WORDS[self.sign]} {self.mode_name}"

    def raises(self, letter: int) -> int:
        """Return by how many half steps the key raises the notes of a letter: 1, 0 or -1."""
        return (self.sharps + 6 - _SHARPS.index(LETTERS[letter])) // 7

    def to(self, other: "Key") -> Interval:
        """Return the interval between the tonics, up or down, whichever passes fewer letters.

        The interval back is its reverse.
        """
        steps = (other.letter - self.letter + 3) % 7 - 3
        return Interval(steps, Pitch(self.letter + steps, other.sign).half_steps - self.tonic.half_steps)

    def moved(self, interval: Interval) -> "Key | None":
        """Return the key of the same mode at this interval; None if it would have more than seven sharps or flats."""
        step, raised = self.letter + interval.steps, interval.applied(self.tonic).raised
        return _key(step % 7, raised, self.mode)

    def with_sharps(self, sharps: int) -> "Key":
        """Return the key of the same mode with this number of sharps, or of flats if it is negative."""
        every = (Key(letter, sign, self.mode) for sign in (0, 1, -1) for letter in range(7))
        return next(key for key in every if key.sharps == sharps)

    @property
    def field(self) -> str:
        """The key as ABC writes it after `K:`."""
        mode = {_MAJOR: "", _MINOR: "m"}.get(self.mode, self.mode_name[:3])
        return f"{LETTERS[self.letter]}{SIGNS[self.sign]}{mode}"


def _key(letter: int, sign: int, mode: int) -> Key | None:
    if sign not in SIGNS:
        return None
    key = Key(letter, sign, mode)
    return key if abs(key.sharps) <= _MOST_SHARPS else None


def parse_key(value: str) -> Key | None:
    """Return the key that is written after `K:`, as `G`, `Bb`, `F#m` or `D dorian`; None if it is no such key."""
    found = _KEY.match(value)
    if found is None:
        return None
    word = found["mode"].lower()
    if found["mode"] == "M":
        word = "maj"
    mode = _MODES.get(word if word in ("", "m") else word[:3])
    if mode is None or (word not in ("", "m") and len(word) < 3):
        mode = _MAJOR if word in _AFTER_A_KEY else None
    return None if mode is None else _key(LETTERS.index(found["letter"]), ACCIDENTALS[found["sign"]], mode)


_AFTER_A_KEY = frozenset(("clef", "treble", "bass", "alto", "tenor", "octave", "transpose", "middle", "stafflines"))
"""Words that may follow a key without a mode."""


def tonic_written(value: str) -> tuple[int, int] | None:
    """Return where the tonic begins and ends in the value of `K:`; None if there is none."""
    found = _KEY.match(value)
    return None if found is None else (found.start("letter"), found.end("sign"))


CHANGES_NOTES = re.compile(r"(?:^|[ \t])(?:exp\b|\^|_|=)|transpose|octave|middle")
"""What may follow a key and gives the notes another meaning."""
