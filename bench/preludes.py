"""Writes the 24 piano pieces of the corpus `preludes`, one in each key, by rules and with fixed random seeds.

PYTHONPATH=. python bench/preludes.py [FOLDER]

Each piece has the form A A B A and a coda. A is a period: four bars that end on the dominant, four that end on the
tonic. B goes to the relative key and comes back. The left hand plays one figure of eight; the right hand plays a melody
of two motifs, which follow the harmony. The same command writes the same bytes.
"""

import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, TypeVar

from wordgen.music.harmony import Key, Metre
from wordgen.music.midi import midi_bytes
from wordgen.music.piece import Note, Piece

Choice = TypeVar("Choice")
FOLDER = Path(__file__).parents[1] / "data" / "preludes"
QUARTER = 12
MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
FIFTHS = (0, 1, 2, 3, 4, 5, 6, -5, -4, -3, -2, -1)

OPENINGS = {
    False: ("1 6 4 5", "1 4 2 5", "1 5 6 5", "1 1 4 5", "1 3 4 5", "6 4 1 5"),
    True: ("1 6 4 5", "1 7 6 5", "1 4 1 5", "1 4 2 5", "1 5 6 5", "1 1 4 5"),
}
CLOSINGS = {
    False: ("1 4 5 1", "1 6 2+5 1", "4 2 5 1", "6 2 1+5 1", "3 6 4+5 1"),
    True: ("1 4 5 1", "6 4 5 1", "1 6 2+5 1", "4 1 4+5 1", "7 3 4+5 1"),
}
WAYS_BACK = {False: ("3 6 2 5", "4 3 2 5", "6 2 4 5"), True: ("4 7 3 5", "6 4 2 5", "1 4 2 5")}
CODA = "4 1 5 1 1"
"""The degrees of a scale, a bar each. Two in one bar share it."""

RHYTHMS: dict[Metre, tuple[str, ...]] = {
    Metre(4, 4): ("12 12 12 12", "18 6 12 12", "24 12 12", "12 6 6 24", "6 6 6 6 12 12", "12 24 12", "4 4 4 12 24"),
    Metre(3, 4): ("12 12 12", "24 12", "18 6 12", "12 6 6 12", "6 6 6 6 12", "12 24", "4 4 4 12 12"),
    Metre(2, 4): ("12 12", "6 6 12", "12 6 6", "18 6", "6 6 6 6", "9 3 12", "3 3 6 12"),
    Metre(6, 8): ("18 18", "12 6 18", "12 6 12 6", "6 6 6 18", "18 6 6 6", "6 6 6 12 6"),
    Metre(12, 8): ("36 36", "30 6 36", "18 18 36", "12 6 18 36", "54 18", "36 18 12 6"),
}


class Harmony(NamedTuple):
    """A chord that sounds for a time, and the scale around it."""

    begin: int
    length: int
    root: int
    tones: tuple[int, ...]
    scale: tuple[int, ...]

    def near(self, pitch: float) -> int:
        """The chord's note that is nearest to a pitch."""
        return min((p for p in range(128) if p % 12 in self.tones), key=lambda p: abs(p - pitch))

    def bass(self) -> int:
        return min((p for p in range(33, 48) if p % 12 == self.root), key=lambda p: abs(p - 40))

    def above(self, lowest: int) -> list[int]:
        """Its notes from a pitch on, from low to high."""
        return [p for p in range(lowest, lowest + 30) if p % 12 in self.tones]

    def step(self, pitch: int, steps: int) -> int:
        """A pitch so many steps of the scale higher."""
        scale = [p for p in range(128) if p % 12 in self.scale]
        place = min(range(len(scale)), key=lambda n: abs(scale[n] - pitch))
        return scale[max(0, min(len(scale) - 1, place + steps))]


Played = list[tuple[int, int, int]]
"""Begin, length and pitch of each note."""
Figure = Callable[[Harmony], Played]
"""What the left hand plays to a chord."""


def repeated(harmony: Harmony, unit: int, pitches: Sequence[int], places: Sequence[int]) -> Played:
    """Return notes one after another: their places among some pitches, over and over."""
    begins = range(harmony.begin, harmony.begin + harmony.length // unit * unit, unit)
    return [(begin, unit, pitches[places[n % len(places)] % len(pitches)]) for n, begin in enumerate(begins)]


def beats(harmony: Harmony, length: int, first: int = 0) -> range:
    """Return the times of the beats of this length, without those before `first`."""
    return range(harmony.begin + first, harmony.begin + harmony.length, length)


def alberti(harmony: Harmony) -> Played:
    return repeated(harmony, 6, harmony.above(48)[:3], (0, 2, 1, 2))


def broken(harmony: Harmony) -> Played:
    pitches = [harmony.bass(), *harmony.above(harmony.bass() + 5)[:4]]
    return repeated(harmony, 6, pitches, (0, 1, 2, 3, 2, 1))


def waltz(harmony: Harmony) -> Played:
    chords = [(beat, 10, pitch) for beat in beats(harmony, 12, 12) for pitch in harmony.above(50)[:3]]
    return [(harmony.begin, 12, harmony.bass()), *chords]


def rocking(harmony: Harmony) -> Played:
    played: Played = []
    for beat in beats(harmony, 18):
        played += [(beat, 6, harmony.bass()), *((beat + 6, 12, pitch) for pitch in harmony.above(50)[:2])]
    return played


def chorale(harmony: Harmony) -> Played:
    held = min(harmony.length, 24)
    return [(beat, held, p) for beat in beats(harmony, held) for p in (harmony.bass(), *harmony.above(48)[:2])]


def march(harmony: Harmony) -> Played:
    played: Played = []
    for beat in beats(harmony, 24):
        played += [(beat, 9, harmony.bass()), (beat, 9, harmony.bass() - 12)]
        played += [(beat + 12, 6, pitch) for pitch in harmony.above(50)[:3]]
    return played


def rippling(harmony: Harmony) -> Played:
    pitches = [harmony.bass(), *harmony.above(48)[:4]]
    _, *ripples = repeated(harmony, 3, pitches, (1, 2, 3, 4, 3, 2, 3, 2))
    return [(harmony.begin, harmony.length, harmony.bass()), *ripples]


def syncopated(harmony: Harmony) -> Played:
    chords = [(beat + 6, 6, pitch) for beat in beats(harmony, 12) for pitch in harmony.above(50)[:3]]
    return [(harmony.begin, harmony.length, harmony.bass()), *chords]


@dataclass(frozen=True)
class Style:
    figure: Figure
    metre: Metre
    tempos: tuple[int, int]
    detached: bool = False
    """Whether short notes of the melody are played short."""
    thirds: bool = False
    """Whether long notes of the melody have a third or sixth below."""


STYLES = (
    Style(alberti, Metre(4, 4), (112, 144), detached=True),
    Style(waltz, Metre(3, 4), (120, 168)),
    Style(broken, Metre(12, 8), (60, 84)),
    Style(chorale, Metre(4, 4), (56, 76), thirds=True),
    Style(rocking, Metre(6, 8), (66, 96), thirds=True),
    Style(march, Metre(4, 4), (96, 120), detached=True),
    Style(rippling, Metre(2, 4), (60, 88)),
    Style(syncopated, Metre(3, 4), (72, 100)),
)


class Composer:
    """Writes one piece."""

    def __init__(self, number: int) -> None:
        self.generator = random.Random(2026 + number)
        self.key = Key.of_signature(FIFTHS[number // 2], minor=number % 2 == 1)
        self.style = STYLES[(3 * number + number // 8) % len(STYLES)]
        self.bar = self.style.metre.length(QUARTER)
        self.notes: set[Note] = set()
        self.time = 0

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """Return one of several, by `random()` alone, which is the same in all versions of Python."""
        return choices[int(self.generator.random() * len(choices))]

    def piece(self, title: str) -> Piece:
        minor = self.key.is_minor
        relative = Key.of_signature(self.key.sharps, minor=not minor)
        first = [(self.pick(OPENINGS[minor]), self.key), (self.pick(CLOSINGS[minor]), self.key)]
        away = [(self.pick(OPENINGS[not minor]), relative), (self.pick(WAYS_BACK[minor]), self.key)]
        motifs = [self.motif() for _ in range(4)]
        self.section(first, motifs[:2], 5)
        self.section(first, motifs[:2], 4)
        self.section(away, motifs[2:], 6)
        self.section(first, motifs[:2], 5)
        self.section([(CODA, self.key)], [motifs[1], motifs[0]], 3)
        tempo = self.style.tempos[0] + int(self.generator.random() * (self.style.tempos[1] - self.style.tempos[0]))
        slower = [(self.time - bars * self.bar, tempo * share) for bars, share in ((3, 0.9), (2, 0.8), (1, 0.65))]
        return Piece(
            tuple(sorted(self.notes)),
            QUARTER,
            ((0, float(tempo)), *slower),
            ((0, self.style.metre),),
            ((0, self.key),),
            title=title,
        )

    def motif(self) -> tuple[list[int], list[int]]:
        """The lengths of the notes of a bar, and how many steps of the scale each is above the first."""
        lengths = [int(each) for each in self.pick(RHYTHMS[self.style.metre]).split()]
        steps = [self.pick((-2, -1, -1, 0, 1, 1, 2)) for _ in lengths[1:]]
        return lengths, list(accumulate(steps, initial=0))

    def section(self, phrases: list[tuple[str, Key]], motifs: list[tuple[list[int], list[int]]], level: int) -> None:
        for number, (degrees, key) in enumerate(phrases):
            bars = degrees.split()
            for place, of_bar in enumerate(bars):
                chords = self.chords(of_bar, key)
                loud = level + (1 if place == 2 else 0)
                last = place == len(bars) - 1
                final = level == 3 and last
                self.accompany(chords, loud, final=final)
                if last:
                    self.end_phrase(chords[-1], key if number % 2 or final else None, loud)
                else:
                    self.melody(motifs[(place + number) % len(motifs)], chords, loud)
                self.time += self.bar

    def chords(self, of_bar: str, key: Key) -> list[Harmony]:
        """The chords of a bar. In minor keys the dominant has a leading note."""
        degrees = [int(each) - 1 for each in of_bar.split("+")]
        length = self.bar // len(degrees)
        found: list[Harmony] = []
        for place, degree in enumerate(degrees):
            steps = list(MINOR if key.is_minor else MAJOR)
            if key.is_minor and degree == 4:
                steps[6] = 11
            scale = [(key.tonic.half_steps + step) % 12 for step in steps]
            members = (0, 2, 4, 6) if degree == 4 and len(degrees) > 1 else (0, 2, 4)
            tones = tuple(scale[(degree + member) % 7] for member in members)
            found.append(Harmony(self.time + place * length, length, scale[degree], tones, tuple(scale)))
        return found

    def accompany(self, chords: list[Harmony], level: int, *, final: bool) -> None:
        for harmony in chords:
            held = [(harmony.begin, harmony.length, p) for p in (harmony.bass(), *harmony.above(48)[:3])]
            for begin, length, pitch in held if final else self.style.figure(harmony):
                self.play(begin, min(length, harmony.begin + harmony.length - begin), pitch, level, 3)

    def melody(self, motif: tuple[list[int], list[int]], chords: list[Harmony], level: int) -> None:
        """A bar of melody: the motif from a note of the chord on; on strong beats it has the chord's notes."""
        lengths, steps = motif
        start = chords[0].near(self.last + (0 if self.generator.random() < 0.6 else self.pick((-5, -3, 3, 5))))
        time = self.time
        for length, step in zip(lengths, steps, strict=True):
            harmony = next(each for each in reversed(chords) if each.begin <= time)
            pitch = harmony.step(start, step)
            strong = (time - self.time) % (self.bar // 2 if self.bar % 24 == 0 or self.bar == 36 else self.bar) == 0
            self.sing(time, length, harmony.near(pitch) if strong else pitch, harmony, level)
            time += length

    def end_phrase(self, harmony: Harmony, home: Key | None, level: int) -> None:
        """A long note: the tonic where the phrase comes home, else any note of the chord."""
        if home is None:
            pitch = harmony.near(self.last)
        else:
            tonic = home.tonic.half_steps % 12
            pitch = min((p for p in range(60, 84) if p % 12 == tonic), key=lambda p: abs(p - self.last))
        if harmony.root != (home or self.key).tonic.half_steps % 12:
            pitch = harmony.near(pitch)
        self.sing(self.time, self.bar if level < 4 else self.bar * 3 // 4, pitch, harmony, level)

    last = 72

    def sing(self, time: int, length: int, pitch: int, harmony: Harmony, level: int) -> None:
        while pitch > 86:
            pitch -= 12
        while pitch < 62:
            pitch += 12
        self.last = pitch
        sounding = max(2, length // 2) if self.style.detached and length <= 12 else length
        self.play(time, sounding, pitch, level, 12)
        if self.style.thirds and length >= 12:
            below = max(p for p in range(pitch - 9, pitch - 2) if p % 12 in harmony.tones)
            self.play(time, sounding, below, level, 8)

    def play(self, time: int, length: int, pitch: int, level: int, within: int) -> None:
        """Add a note. `within` says how loud it is within its class of loudness."""
        if length > 0 and not any((note.onset, note.pitch) == (time, pitch) for note in self.notes):
            self.notes.add(Note(time, pitch, length, 16 * (level - 1) + within))


def main(folder: Path = FOLDER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(2 * len(FIFTHS)):
        composer = Composer(number)
        name = composer.key.name
        piece = composer.piece(f"Prelude {number + 1} in {name}")
        (folder / f"{number + 1:02}-{name.lower().replace(' ', '-')}.mid").write_bytes(midi_bytes(piece))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
