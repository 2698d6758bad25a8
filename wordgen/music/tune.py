"""A tune in ABC as values: its notes in bars, the order in which the bars sound, its form, and its faults.

A bar must be as long as the metre says. It may be shorter where a part begins or ends. There, when the tune is played
with all repeats and endings, the rest of one bar and the beginning of the next must make a full bar. A tune may begin
with a pickup. Its last bar is then full, or shorter by the length of the pickup.

A repeat that begins with `|:` must end. By the standard (ABC 2.1, section 4.8), only the sign for its beginning may be
missing.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import chain, islice, pairwise
from math import lcm
from operator import or_
from typing import Literal, NamedTuple

from wordgen.music.harmony import Key, Metre, Pitch
from wordgen.music.piece import MelodyNote

_MAX_PARTS = 100
_MAX_PLAYED_BARS = 100_000
_MAX_ENDINGS = 9
_ORDER = re.compile(r"[A-Z][0-9]{0,2}|\(|\)[0-9]{0,2}")

FaultKind = Literal["header", "sign", "bar", "repeat", "tie", "end"]


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with a tune."""

    kind: FaultKind
    """header: a field; sign: a sign without a meaning; bar: a bar that is too long or too short; repeat: bars that do
    not add up between two parts, or a repeat without an end; tie: two notes that cannot be tied; end:
    the tune does not end."""
    sentence: str


@dataclass(slots=True)
class Note:
    """A note, several at once, or a rest. It does not change after its bar is complete."""

    pitches: tuple[Pitch, ...]
    """The pitches that sound, after the key and earlier accidentals. Empty for a rest."""
    length: Fraction
    """In whole notes."""
    tied: bool = False
    """Whether it is tied to the next note."""
    chord: str | None = None
    """The name of the chord above it."""
    graces: tuple[tuple[Pitch, Fraction], ...] = ()
    """The grace notes before it, with the lengths that they sound. They take their time from this note."""
    staccato: bool = False


class BarLine(NamedTuple):
    """The sign between two bars."""

    begins_repeat: bool = False
    ends_repeat: bool = False
    double: bool = False

    @classmethod
    def of(cls, sign: str) -> "BarLine":
        return cls(sign.endswith(":"), sign.lstrip(".").startswith(":"), any(each in sign for each in ("||", "[", "]")))

    def __or__(self, other: "BarLine") -> "BarLine":
        return BarLine(*map(or_, self, other))

    @property
    def bounds_a_part(self) -> bool:
        return any(self)


@dataclass(frozen=True)
class Bar:
    """A bar, with what is valid in it."""

    number: int
    """From 1, in the order in which they are written."""
    voices: tuple[tuple[Note, ...], ...]
    """Voices that sound at the same time: one, and one more for each `&`."""
    length: Fraction
    """The length of the longest voice, in whole notes."""
    metre: Metre | None
    """None if the tune is in free time."""
    key: Key | None
    tempo: Fraction | None
    """Quarter notes per minute; None if the tune names no tempo."""
    before: BarLine
    after: BarLine | None
    """The bar line after it; None if there is none."""
    ending: frozenset[int]
    """The numbers of the ending that begins with it (1 for the first time); empty if none begins."""
    is_whole_rest: bool
    """Whether it stands for whole bars of rest."""
    part: str
    """The label of its part (`P:A`); empty if there is none."""

    @property
    def line_after(self) -> BarLine:
        """The bar line after it; a plain one if there is none."""
        return self.after or BarLine()

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """The notes of all voices, one voice after another."""
        return tuple(chain.from_iterable(self.voices))

    @cached_property
    def full_length(self) -> Fraction | None:
        """The length that the metre requires; None in free time."""
        return None if self.metre is None else Fraction(*self.metre)


@dataclass(frozen=True)
class Tune:
    """A tune. Its faults are what the parser could not understand; `faults_of` also finds bars that do not add up."""

    fields: tuple[tuple[str, str], ...]
    """Letter and value of each field of the header, in their order."""
    bars: tuple[Bar, ...]
    key: Key | None
    """The first key."""
    metre: Metre | None
    """The first metre."""
    has_several_voices: bool
    """Whether it has several voices (`V:`). Their bars follow each other here."""
    faults: tuple[Fault, ...]

    def field(self, letter: str) -> str | None:
        return next((value for each, value in self.fields if each == letter), None)

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        return tuple(note for bar in self.bars for note in bar.notes)

    @cached_property
    def melody(self) -> tuple[MelodyNote, ...]:
        """The notes without rests, in half steps from middle C; of several at once the one that is written first."""
        return tuple(MelodyNote(note.pitches[0].half_steps, note.length) for note in self.notes if note.pitches)

    @property
    def ends_on_tonic(self) -> bool:
        """Whether the last written note is the tonic of the key that is valid there, in any octave."""
        key = self.bars[-1].key if self.bars else None
        return key is not None and bool(self.melody) and (self.melody[-1].pitch - key.tonic.half_steps) % 12 == 0

    @cached_property
    def played_bars(self) -> tuple[Bar, ...]:
        """The bars in the order in which they sound, with all repeats and endings. At most 100,000 of them."""
        return tuple(islice(chain.from_iterable(map(_in_playing_order, self._parts())), _MAX_PLAYED_BARS))

    def _parts(self) -> Iterator[Sequence[Bar]]:
        """Yield the parts in the order that the header gives (`P:AAB`).

        If it gives none, or names a part that is not labelled, yield all bars as they are written.
        """
        labelled: dict[str, list[Bar]] = {}
        for bar in self.bars:
            labelled.setdefault(bar.part, []).append(bar)
        order = _order_of(self.field("P") or "")
        if not order or not set(order) <= labelled.keys():
            yield self.bars
            return
        yield labelled.get("", [])
        for label in order:
            yield labelled[label]


def _order_of(value: str) -> str:
    """Return the labels of the parts in their order: `AABAB` for `A(AB)2`. Empty if it is not understood."""
    groups = [""]
    for sign in _ORDER.findall(value):
        if sign == "(":
            groups.append("")
            continue
        group, times = sign[0], int(sign[1:] or 1)
        if group == ")":
            if len(groups) == 1:
                return ""
            group = groups.pop()
        groups[-1] += group * times
        if len(groups[-1]) > _MAX_PARTS:
            return ""
    return groups[0] if len(groups) == 1 else ""


def _in_playing_order(bars: Sequence[Bar]) -> Iterator[Bar]:
    """Yield bars in the order in which they sound.

    A repeat goes back to its `|:`. The first one of a tune may lack that, and goes back to the beginning; a later one
    goes back to the last double bar line or end of a repeat. A `|:` before the end of an earlier repeat also ends that.
    """
    at = start = 0
    nth_time, opened, in_ending = 1, _begins_with_repeat(bars), False
    while at < len(bars):
        bar = bars[at]
        if bar.ending and nth_time not in bar.ending:
            at = _after_ending(bars, at)
            if at < len(bars) and bars[at].ending:
                continue
        else:
            yield bar
            in_ending = in_ending or bool(bar.ending)
            line = bar.line_after
            repeat_ends = line.ends_repeat or (line.begins_repeat and opened and nth_time == 1)
            if repeat_ends and nth_time < _times_played(bars, start, at):
                at, nth_time, in_ending = start, nth_time + 1, False
                continue
            at += 1
        line = bars[at - 1].line_after
        closed = not opened or (nth_time > 1 and in_ending)
        if line.begins_repeat or line.ends_repeat or (line.double and closed):
            start, nth_time, opened, in_ending = at, 1, line.begins_repeat, False


def _begins_with_repeat(bars: Sequence[Bar]) -> bool:
    """Return whether a repeat begins with the first bar: it has the sign, or a repeat ends before another begins."""
    if bars and bars[0].before.begins_repeat:
        return True
    lines = (bar.line_after for bar in bars)
    first = next((line for line in lines if line.begins_repeat or line.ends_repeat), BarLine())
    return first.ends_repeat


def _after_ending(bars: Sequence[Bar], at: int) -> int:
    """Return the index of the bar after the ending that begins at `at`."""
    while at < len(bars):
        at += 1
        if bars[at - 1].line_after.bounds_a_part or (at < len(bars) and bars[at].ending):
            break
    return at


def _times_played(bars: Sequence[Bar], start: int, end: int) -> int:
    """Return how often a part is played: twice, or as often as its endings say."""
    endings = {number for bar in bars[start : end + 1] for number in bar.ending}
    following = end + 1
    for _ in range(_MAX_ENDINGS):
        if not endings or following >= len(bars) or not bars[following].ending:
            break
        endings |= bars[following].ending
        following = _after_ending(bars, following)
    return max(2, *endings) if endings else 2


@dataclass
class _Part:
    """A part of a tune as it is written."""

    bars: Fraction = Fraction(0)
    """Its length in bars. Of several endings, the first one counts."""
    endings: int = 0
    repeated: bool = False

    @property
    def has_eight_bars(self) -> bool:
        bars = round(self.bars)
        return bars > 0 and (bars % 8 == 0 or (bars == 4 and self.repeated))


def has_eight_bar_form(tune: Tune) -> bool:
    """Return whether each part of a tune has eight bars, or 16, 24 and so on, or four bars that are repeated.

    Parts are between double bar lines and repeats, or have a label (`P:A`). A pickup belongs to the part after it, also
    if it stands before the sign of the repeat.
    """
    parts = list(_written_parts(tune))
    return bool(parts) and all(part.has_eight_bars for part in parts)


def _written_parts(tune: Tune) -> Iterator[_Part]:
    part, before = _Part(), None
    for bar in tune.bars:
        if part.bars >= 1 and before is not None and _begins_a_part(before, bar):
            yield part
            part = _Part()
        part.endings += bool(bar.ending)
        if part.endings < 2:
            part.bars += Fraction(1) if bar.full_length is None else bar.length / bar.full_length
        part.repeated = part.repeated or bool(part.endings) or bar.line_after.ends_repeat
        before = bar
    if before is not None:
        yield part


def _begins_a_part(before: Bar, bar: Bar) -> bool:
    """Return whether a part begins with a bar. A second ending belongs to the part before it."""
    bounded = before.line_after.bounds_a_part or bar.before.bounds_a_part
    return before.part != bar.part or (bounded and not bar.ending)


def bars_heard_before(tune: Tune) -> tuple[int, int]:
    """Return how many bars of a tune are the same as an earlier one, and how many there are with two notes or more.

    Each bar counts once, as it is written. A bar with one note, such as a long last note, does not count.
    """
    contents = (tuple((note.pitches, note.length) for note in bar.notes) for bar in tune.bars)
    bars = [content for content in contents if sum(bool(pitches) for pitches, _ in content) >= 2]
    return len(bars) - len(set(bars)), len(bars)


def faults_of(tune: Tune) -> tuple[Fault, ...]:
    """Return all faults of a tune: those that the parser found, and bars that do not add up."""
    bars = tuple(_wrong_bars(tune.bars))
    joints = () if bars else tuple(_wrong_joints(tune.played_bars))
    written = () if tune.has_several_voices else (*_open_repeats(tune.bars), *_wrong_ties(tune.bars))
    return (*tune.faults, *bars, *joints, *written, *_missing_end(tune))


def _missing_end(tune: Tune) -> Iterator[Fault]:
    if not any(note.pitches for note in tune.notes):
        yield Fault("end", "It has no notes.")
    elif tune.bars[-1].after is None:
        yield Fault("end", f"It does not end with a bar line: its last bar, {tune.bars[-1].number}, stays open.")


def _open_repeats(bars: Sequence[Bar]) -> Iterator[Fault]:
    """Find each `|:` that has no `:|` before the next `|:` or the end."""
    signs: list[int | None] = [1] if bars and bars[0].before.begins_repeat else []  # |: before a bar, or :|
    for bar in bars:
        if bar.line_after.ends_repeat:
            signs.append(None)
        if bar.line_after.begins_repeat:
            signs.append(bar.number + 1)
    for bar_number, following in pairwise([*signs, 0]):
        if bar_number is not None and following is not None:
            sentence = f"The repeat that begins with |: before bar {bar_number} has no end: it needs a :| after it."
            yield Fault("repeat", sentence)


def _wrong_ties(bars: Sequence[Bar]) -> Iterator[Fault]:
    """Find each note with a tie that has no equal note after it. Tunes with voices (`&`) in a bar are not checked."""
    if any(len(bar.voices) > 1 for bar in bars):
        return
    written = [(bar.number, note) for bar in bars for note in bar.notes]
    following = [*(note for _, note in written[1:]), Note((), Fraction(0))]  # the last note is followed by nothing
    for (number, note), after in zip(written, following, strict=False):
        if note.tied and not _written_steps(note) & _written_steps(after):
            yield Fault("tie", f"Bar {number} has a tie without an equal note after it: a tie joins two equal notes.")


def _written_steps(note: Note) -> set[int]:
    """Return letter and octave of each pitch. An accidental also holds for the note that is tied to it."""
    return {pitch.step for pitch in note.pitches}


def _wrong_bars(bars: Sequence[Bar]) -> Iterator[Fault]:
    for at, bar in enumerate(bars):
        if bar.full_length is None or bar.is_whole_rest or bar.length == bar.full_length:
            continue
        begins_part = at == 0 or bar.before.bounds_a_part or bar.ending
        ends_part = at == len(bars) - 1 or bar.after is None or bar.after.bounds_a_part or bars[at + 1].ending
        short = bar.length < bar.full_length
        if short and (begins_part or ends_part):
            continue
        lasts = f"lasts{' only' if short else ''} {_eighths(bar.length)}"
        yield Fault("bar", f"Bar {bar.number} {lasts}, but a full bar lasts {_eighths(bar.full_length)}.")


def _eighths(length: Fraction) -> str:
    """Return a length as musicians write it: in eighths or shorter notes."""
    below = lcm(8, length.denominator)
    return f"{length.numerator * (below // length.denominator)}/{below}"


def _wrong_joints(played_bars: Sequence[Bar]) -> Iterator[Fault]:
    """Follow the tune as it is played, and check wherever a part ends that the bars around the joint add up."""
    reported = set[tuple[int, int]]()
    passed = missing = _missing_from_pickup(played_bars)
    for at, bar in enumerate(played_bars):
        following = played_bars[at + 1] if at + 1 < len(played_bars) else None
        if bar.full_length is None or bar.is_whole_rest:
            passed = Fraction(0)
            continue
        begun, passed = passed, passed + bar.length
        if following is not None and passed < bar.full_length and _between_parts(bar, following):
            continue  # the next bar completes it
        if passed != bar.full_length and not (following is None and passed == missing):
            before = played_bars[at - 1] if begun and at else None
            if (joint := (before.number if before else 0, bar.number)) not in reported:
                reported.add(joint)
                yield _wrong_joint(before, bar, passed, bar.full_length, last=following is None)
        passed = Fraction(0)


def _missing_from_pickup(played_bars: Sequence[Bar]) -> Fraction:
    """Return how much shorter than a full bar the first bar is."""
    first = played_bars[0] if played_bars else None
    if first is None or first.full_length is None or first.is_whole_rest:
        return Fraction(0)
    return max(first.full_length - first.length, Fraction(0))


def _between_parts(bar: Bar, following: Bar) -> bool:
    return following.number != bar.number + 1 or bar.line_after.bounds_a_part or bool(following.ending)


def _wrong_joint(before: Bar | None, bar: Bar, passed: Fraction, full_length: Fraction, *, last: bool) -> Fault:
    if before is not None:
        which = f"Bar {before.number} and bar {bar.number}, which is played next where a part ends,"
        return Fault(
            "repeat", f"{which} last {_eighths(passed)} together, but a full bar lasts {_eighths(full_length)}."
        )
    if last:
        return Fault(
            "repeat", f"Bar {bar.number} ends the tune with {_eighths(passed)} of a bar of {_eighths(full_length)}."
        )
    alone = f"Bar {bar.number} has {_eighths(passed)} where a part begins"
    return Fault("repeat", f"{alone}, and no other bar completes it to {_eighths(full_length)}.")
