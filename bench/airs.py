"""Composes the bundled tunes of data/airs.abc by rules: `python -m bench.airs` writes the file.

Each tune has a dance with its rhythms, a key and a mode, and two parts of eight bars with a progression of chords each.
The first note of each beat is a note of the chord, the others walk there step by step. A part says a motif, answers it,
says it again, and closes on the tonic. The random seed is fixed, so the file is always the same.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from wordgen.music.abc_parsing import parse_tune
from wordgen.music.abc_text import numbered, written_note
from wordgen.music.copied_notes import Parts, are_near_duplicates, parts_of
from wordgen.music.harmony import LETTERS, SIGNS, Key, Pitch, parse_key

TUNES = 132
_RANDOM_SEED = 1917
_FILE = Path(__file__).resolve().parents[1] / "data" / "airs.abc"
_LOWEST, _HIGHEST = 0, 13
_HALF, _DOTTED = Fraction(1, 2), Fraction(3, 2)

Beat = tuple[int | Fraction, ...]
"""The lengths of the notes of a beat, in eighths."""
Degrees = tuple[int, ...]
"""The roots of the chords of a bar, as steps above the tonic."""


@dataclass(frozen=True)
class Dance:
    name: str
    metre: str
    beats: int
    """How many a bar has."""
    usual: tuple[Beat, ...]
    """Beats to choose from, the commoner ones more than once."""
    last: tuple[Beat, ...]
    """The beats of the last bar of a part."""
    pick_up: Beat
    """What may stand before the first bar."""


_JIG = ((1, 1, 1), (1, 1, 1), (1, 1, 1), (2, 1), (2, 1), (_DOTTED, _HALF, 1), (3,))
_REEL = ((1, 1, 1, 1), (1, 1, 1, 1), (2, 1, 1), (1, 1, 2), (2, 2), (3, 1))
_POLKA = ((1, 1), (1, 1), (2,), (1, _HALF, _HALF), (_HALF, _HALF, 1), (_DOTTED, _HALF), (_HALF, _HALF, _HALF, _HALF))
_WALTZ = ((2,), (2,), (2,), (1, 1), (1, 1), (_DOTTED, _HALF))
_HORNPIPE = ((_DOTTED, _HALF), (_DOTTED, _HALF), (_DOTTED, _HALF), (1, 1), (2,))
DANCES = (
    Dance("Reel", "4/4", 2, _REEL, ((2, 2), (4,)), (1, 1)),
    Dance("Jig", "6/8", 2, _JIG, ((2, 1), (3,)), (1,)),
    Dance("Waltz", "3/4", 3, _WALTZ, ((2,), (2,), (2,)), (1, 1)),
    Dance("Polka", "2/4", 2, _POLKA, ((1, 1), (2,)), (1,)),
    Dance("Slip Jig", "9/8", 3, _JIG, ((1, 1, 1), (2, 1), (3,)), (1,)),
    Dance("Hornpipe", "4/4", 4, _HORNPIPE, ((2,), (2,), (2,), (2,)), (_DOTTED, _HALF)),
    Dance("March", "2/2", 2, _REEL[2:], ((2, 2), (4,)), (2,)),
    Dance("Minuet", "3/4", 3, _WALTZ[2:], ((2,), (2,), (2,)), (2,)),
)
_KEYS = (
    "G", "D", "A", "C", "F", "Bb", "G", "D", "Am", "Em", "Dm", "Gm", "Bm", "Ador", "Edor", "Ddor", "Gdor", "Amix",
    "Dmix", "Gmix", "Emix", "E", "Eb",
)  # fmt: skip
_MAJOR = (
    ((0,), (0,), (3,), (4,), (0,), (3,), (4,), (0,)),
    ((0,), (4,), (0,), (4,), (0,), (4,), (3, 4), (0,)),
    ((0,), (5,), (3,), (4,), (0,), (5,), (1, 4), (0,)),
    ((0,), (3,), (0,), (4,), (0,), (3,), (4,), (0,)),
    ((3,), (0,), (4,), (0,), (3,), (0,), (1, 4), (0,)),
    ((5,), (5,), (3,), (4,), (0,), (3,), (3, 4), (0,)),
    ((4,), (0,), (4,), (0,), (3,), (0,), (4,), (0,)),
    ((0,), (2,), (3,), (4,), (5,), (3,), (4,), (0,)),
)
_MINOR = (
    ((0,), (0,), (3,), (4,), (0,), (5,), (4,), (0,)),
    ((0,), (6,), (5,), (4,), (0,), (3,), (4,), (0,)),
    ((0,), (3,), (0,), (4,), (0,), (3,), (3, 4), (0,)),
    ((2,), (6,), (0,), (4,), (2,), (6,), (0, 4), (0,)),
    ((5,), (2,), (6,), (0,), (5,), (3,), (4,), (0,)),
)
_DORIAN = (
    ((0,), (0,), (6,), (6,), (0,), (0,), (6,), (0,)),
    ((0,), (3,), (0,), (6,), (0,), (3,), (6,), (0,)),
    ((2,), (6,), (0,), (6,), (2,), (6,), (0, 6), (0,)),
    ((0,), (6,), (3,), (0,), (2,), (6,), (6,), (0,)),
)
_MIXOLYDIAN = (
    ((0,), (0,), (6,), (6,), (0,), (3,), (6,), (0,)),
    ((0,), (6,), (3,), (0,), (0,), (6,), (3, 6), (0,)),
    ((3,), (0,), (6,), (0,), (3,), (0,), (6,), (0,)),
    ((0,), (3,), (6,), (0,), (5,), (3,), (6,), (0,)),
)
_PROGRESSIONS: dict[int, tuple[tuple[Degrees, ...], ...]] = {0: _MAJOR, -3: _MINOR, -2: _DORIAN, -1: _MIXOLYDIAN}
_WHOSE = (
    "Miller", "Ferryman", "Weaver", "Widow", "Lamplighter", "Drover", "Cooper", "Beekeeper", "Thatcher",
    "Schoolmistress", "Carter", "Piper", "Gardener", "Shepherd", "Baker", "Clockmaker", "Glazier", "Tinker",
    "Harbour Master", "Fiddler",
)  # fmt: skip
_WHAT = (
    "Lantern", "Delight", "Return", "Orchard", "Farewell", "Kettle", "Daughter", "Boots", "Gate", "Fancy", "Supper",
    "Wager", "Umbrella", "Garden", "Holiday", "Blue Coat",
)  # fmt: skip
_SCENES = (
    "Rain on the {}", "Down by the {}", "The Road to the {}", "Leaving the {}", "Snow at the {}", "A Night at the {}",
    "The Lights of the {}", "Across the {}",
)  # fmt: skip
_PLACES = (
    "Salt Marsh", "Quarry", "Long Meadow", "Windmill", "North Pier", "Old Ford", "Hazel Wood", "Market Square",
    "Tidal Pool", "Stone Bridge", "Hill Farm", "Lighthouse",
)  # fmt: skip


@dataclass
class Voice:
    """What is settled for the whole of a tune."""

    draw: random.Random
    dance: Dance
    key: Key
    chords: bool

    @property
    def tonic(self) -> int:
        return self.key.letter if self.key.letter > 0 else 7

    def nearest(self, degree: int, to: int) -> int:
        """The note of a degree that is nearest to another, within the range."""
        first = (self.key.letter + degree) % 7
        return min((step for step in range(first, _HIGHEST + 1, 7)), key=lambda step: abs(step - to))


@dataclass
class PlayedNote:
    step: int
    length: int | Fraction
    first: bool
    """Whether it is the first of its beat."""


Rhythm = tuple[Beat, ...]


def rhythms_of_part(voice: Voice) -> list[Rhythm]:
    """A motif of two bars, its answer, the motif again, and a close."""
    draw, dance = voice.draw, voice.dance

    def bar() -> Rhythm:
        return tuple(draw.choice(dance.usual) for _ in range(dance.beats))

    one, two, three = bar(), bar(), bar()
    fourth = bar() if draw.random() < 0.5 else one
    sixth = draw.choice((two, bar()))
    return [one, two, three if draw.random() < 0.6 else one, fourth, one, sixth, bar(), dance.last]


def anchors_of_part(voice: Voice, rhythms: Sequence[Rhythm], degrees: Sequence[Degrees], start: int) -> list[list[int]]:
    """The first note of each beat: notes of the chord, along an arch; the motif again where its chords come again."""
    draw, bars = voice.draw, list[list[int]]()
    at, top = start, draw.randint(8, 12)
    for number, (rhythm, chords) in enumerate(zip(rhythms, degrees, strict=True)):
        if number in (4, 5) and degrees[number] == degrees[number - 4] and rhythm == rhythms[number - 4]:
            bars.append(list(bars[number - 4]))
            at = bars[-1][-1]
            continue
        wanted = (start + top) // 2 + (top - start) * (1 if number % 4 in (1, 2) else -1) // 3
        anchors: list[int] = []
        for beat in range(len(rhythm)):
            root = chords[beat * len(chords) // len(rhythm)]
            tones = [(voice.key.letter + root + third) % 7 for third in (0, 2, 4)]
            near = [step for step in range(max(_LOWEST, at - 4), min(_HIGHEST, at + 4) + 1) if step % 7 in tones]
            weights = [1 / (1 + abs(step - wanted)) * (0.35 if step == at else 1) for step in near]
            at = draw.choices(near, weights)[0]
            anchors.append(at)
        bars.append(anchors)
    bars[-1] = close(voice, len(rhythms[-1]), bars[-2][-1])
    return bars


def close(voice: Voice, beats: int, at: int) -> list[int]:
    """The beats of the last bar: to the tonic."""
    tonic = voice.nearest(0, at)
    before = {1: [], 2: [2], 3: [4, 2], 4: [0, 2, 1]}[beats]
    steps = [voice.nearest(degree, tonic) for degree in before]
    return [*steps, tonic]


def walked(voice: Voice, beat: Beat, at: int, to: int, *, last: bool) -> list[PlayedNote]:
    """A beat from its first note towards the first one of the next beat, mostly by step."""
    notes = [PlayedNote(at, beat[0], True)]
    step = at
    for place, length in enumerate(beat[1:], 1):
        left = len(beat) - place
        away = to - step
        if last:
            move = voice.draw.choice((-1, 1)) if step == at else at - step
        elif abs(away) > left:
            move = (2 if abs(away) > left + 1 else 1) * (1 if away > 0 else -1)
        elif away == 0 or voice.draw.random() < 0.25:
            move = voice.draw.choice((-2, -1, 1, 2))
        else:
            move = 1 if away > 0 else -1
        step = min(_HIGHEST, max(_LOWEST, step + move))
        notes.append(PlayedNote(step, length, False))
    return notes


def written_length(length: int | Fraction) -> str:
    if length == 1:
        return ""
    return "/" if length == _HALF else f"{Fraction(length)}"


def chord_name(key: Key, root: int, *, major: bool) -> str:
    letter = (key.letter + root) % 7
    third = (letter + 2) % 7
    sign = key.alteration_of(letter)
    size = (Pitch(third, key.alteration_of(third)).half_steps - Pitch(letter, sign).half_steps) % 12
    return f'"{LETTERS[letter]}{SIGNS[sign]}{"" if size == 4 or major else "m"}"'


def written_bar(voice: Voice, notes: Sequence[PlayedNote], chords: Degrees) -> str:
    """A bar as text; in minor keys the chord on the fifth is major, and its third is raised."""
    key, raised, parts = voice.key, voice.key.mode == -3 and 4 in chords, list[str]()
    beats = sum(note.first for note in notes)
    beat = -1
    last: Degrees = ()
    for note in notes:
        beat += note.first
        text = ""
        if note.first:
            text = " " if parts else ""
            root = chords[beat * len(chords) // beats : beat * len(chords) // beats + 1]
            if voice.chords and (root != last or beat == 0):
                text += chord_name(key, root[0], major=key.mode == -3 and root[0] == 4)
            last = root
        accidental = ""
        if raised and (note.step - key.letter) % 7 == 6:
            accidental = {0: "=", 1: "^"}.get(key.alteration_of(note.step % 7) + 1, "")
        parts.append(text + accidental + written_note(note.step) + written_length(note.length))
    return "".join(parts)


def part(voice: Voice, progression: Sequence[Degrees], start: int) -> list[str]:
    """The eight bars of a part."""
    rhythms = rhythms_of_part(voice)
    anchors = anchors_of_part(voice, rhythms, progression, start)
    every = [step for bar in anchors for step in bar]
    bars, place = list[str](), 0
    walks: dict[tuple[object, ...], list[PlayedNote]] = {}
    for number, (rhythm, chords) in enumerate(zip(rhythms, progression, strict=True)):
        notes: list[PlayedNote] = []
        for beat in rhythm:
            following = every[min(place + 1, len(every) - 1)]
            walk = (beat, every[place], following, chords)
            last = number == len(rhythms) - 1
            if walk not in walks:
                walks[walk] = walked(voice, beat, every[place], following, last=last)
            notes += walks[walk]
            place += 1
        bars.append(written_bar(voice, notes, chords))
    return bars


def shortened(bar: str, length: int | Fraction) -> str | None:
    """A bar whose last note is shorter, so that a pick-up fits behind it; nothing where that note is too short."""
    at = max(bar.rfind(letter) for letter in "ABCDEFGabcdefg")
    while bar[at + 1 : at + 2] in (",", "'"):
        at += 1
    left = Fraction(bar[at + 1 :] or 1) - length
    return bar[: at + 1] + written_length(left) if left > 0 else None


def lines_of(bars: Sequence[str], begins: str, ends: str) -> Iterator[str]:
    yield begins + "|".join(bars[:4]) + "|"
    yield "|".join(bars[4:]) + ends


def composed(draw: random.Random, dance: Dance, key_name: str, title: str) -> str:
    key = parse_key(key_name)
    assert key is not None
    voice = Voice(draw, dance, key, draw.random() < 0.65)
    progressions = draw.sample(_PROGRESSIONS[key.mode], 2)
    first = part(voice, progressions[0], voice.tonic + draw.choice((0, 2, 4)))
    second = part(voice, progressions[1], min(11, voice.tonic + draw.choice((4, 5, 7))))
    begins = ""
    if draw.random() < 0.45:
        short = [shortened(bars[-1], sum(dance.pick_up)) for bars in (first, second)]
        if all(short):
            pick_up = [voice.nearest(4, 5), voice.nearest(6 if key.mode != -3 else 4, 6)][: len(dance.pick_up)]
            begins = "".join(written_note(s) + written_length(n) for s, n in zip(pick_up, dance.pick_up, strict=False))
            first[-1], second[-1] = (bar or "" for bar in short)
    head = [f"T:{title}", f"R:{dance.name.lower()}", f"M:{dance.metre}", "L:1/8", f"K:{key.field}"]
    return "\n".join([*head, *_form(draw, first, second, begins)])


def _form(draw: random.Random, first: list[str], second: list[str], begins: str) -> list[str]:
    """Both parts twice; some with two endings, some with the first part once more at the end."""
    opening = f"|:{begins}|" if begins else "|:"
    kind = draw.random()
    if kind < 0.2 and not begins:
        varied = f"{'|'.join(first[4:7])}|[1{first[6]}:|[2{first[7]}||"
        return [f"{opening}{'|'.join(first[:4])}|", varied, *lines_of(second, "|:", ":|")]
    if kind < 0.35 and not begins:
        return [*lines_of(first, "", "||"), *lines_of(second, "", "||"), *lines_of(first, "", "|]")]
    return [*lines_of(first, opening, ":|"), *lines_of(second, opening, ":|")]


def titles(draw: random.Random) -> list[str]:
    """Names for all tunes, none twice."""
    made = [f"The {whose}'s {what}" for whose in _WHOSE for what in _WHAT]
    scenes = [scene.format(place) for scene in _SCENES for place in _PLACES]
    return draw.sample([*draw.sample(made, 2 * len(scenes)), *scenes], TUNES)


def airs() -> list[str]:
    """All tunes: none is nearly another."""
    draw = random.Random(_RANDOM_SEED)
    tunes, known = list[str](), list[Parts]()
    for number, title in enumerate(titles(draw)):
        dance, key = DANCES[number % len(DANCES)], _KEYS[(number * 5 + number // len(DANCES)) % len(_KEYS)]
        while True:
            tune = composed(draw, dance, key, title)
            parts = parts_of(parse_tune(tune))
            if not any(are_near_duplicates(parts, other) for other in known):
                break
        tunes.append(tune)
        known.append(parts)
    return tunes


if __name__ == "__main__":
    _FILE.write_text(numbered(airs()), encoding="utf-8")
