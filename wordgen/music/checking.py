"""Check a tune, and say in sentences what is wrong with it.

A bar must be as long as the metre says. It may be shorter where a part begins or ends. There, when the tune is played
with all repeats and endings, the rest of one bar and the beginning of the next must make a full bar. A tune may begin
with a pickup. Its last bar is then full, or shorter by the length of the pickup.

A repeat that begins with `|:` must end. By the standard (ABC 2.1, section 4.8), only the sign for its beginning may be
missing.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import lcm

from wordgen.music.abc_parsing import parse_tune
from wordgen.music.tune import Bar, Fault, Tune


def check(text: str) -> tuple[Fault, ...]:
    """Return all faults of a tune."""
    return faults_of(parse_tune(text))


def faults_of(tune: Tune) -> tuple[Fault, ...]:
    """Return all faults of a tune: those that the parser found, and bars that do not add up."""
    bars = tuple(_wrong_bars(tune.bars))
    joints = () if bars else tuple(_wrong_joints(tune.played))
    repeats = () if tune.several_voices else tuple(_open_repeats(tune.bars))
    return (*tune.faults, *bars, *joints, *repeats, *_missing_end(tune))


def _missing_end(tune: Tune) -> Iterator[Fault]:
    if not any(note.pitches for note in tune.notes):
        yield Fault("end", "It has no notes.")
    elif tune.bars[-1].after is None:
        yield Fault("end", f"It does not end with a bar line: its last bar, {tune.bars[-1].number}, stays open.")


def _open_repeats(bars: Sequence[Bar]) -> Iterator[Fault]:
    """Find each `|:` that has no `:|` before the next `|:` or the end."""
    began = bars[0].number if bars and bars[0].before.begins_repeat else None
    for bar in bars:
        if bar.line_after.ends_repeat:
            began = None
        if bar.line_after.begins_repeat:
            if began is not None:
                yield _open_repeat(began)
            began = bar.number + 1
    if began is not None:
        yield _open_repeat(began)


def _open_repeat(began: int) -> Fault:
    return Fault("repeat", f"The repeat that begins with |: before bar {began} has no end: it needs a :| after it.")


def _wrong_bars(bars: Sequence[Bar]) -> Iterator[Fault]:
    for at, bar in enumerate(bars):
        if bar.full is None or bar.rests or bar.length == bar.full:
            continue
        if bar.length > bar.full:
            yield _wrong_bar(bar, "lasts", bar.full)
        elif not (_begins_a_part(bars, at) or _ends_a_part(bars, at)):
            yield _wrong_bar(bar, "lasts only", bar.full)


def _wrong_bar(bar: Bar, lasts: str, full: Fraction) -> Fault:
    return Fault("bar", f"Bar {bar.number} {lasts} {_eighths(bar.length)}, but a full bar lasts {_eighths(full)}.")


def _eighths(length: Fraction) -> str:
    """Return a length as musicians write it: in eighths or shorter notes."""
    below = lcm(8, length.denominator)
    return f"{length.numerator * (below // length.denominator)}/{below}"


def _begins_a_part(bars: Sequence[Bar], at: int) -> bool:
    return at == 0 or bars[at].before.bounds_a_part or bool(bars[at].ending)


def _ends_a_part(bars: Sequence[Bar], at: int) -> bool:
    after = bars[at].after
    return at == len(bars) - 1 or after is None or after.bounds_a_part or bool(bars[at + 1].ending)


def _wrong_joints(played: Sequence[Bar]) -> Iterator[Fault]:
    """Follow the tune as it is played, and check wherever a part ends that the bars around the joint add up."""
    reported = set[tuple[int, int]]()
    passed = missing = _missing_from_pickup(played)
    for at, bar in enumerate(played):
        following = played[at + 1] if at + 1 < len(played) else None
        if bar.full is None or bar.rests:
            passed = Fraction(0)
            continue
        begun, passed = passed, passed + bar.length
        if following is not None and passed < bar.full and _between_parts(bar, following):
            continue  # the next bar completes it
        if passed != bar.full and not (following is None and passed == missing):
            before = played[at - 1] if begun and at else None
            if (joint := (before.number if before else 0, bar.number)) not in reported:
                reported.add(joint)
                yield _wrong_joint(before, bar, passed, bar.full, last=following is None)
        passed = Fraction(0)


def _missing_from_pickup(played: Sequence[Bar]) -> Fraction:
    """Return how much shorter than a full bar the first bar is."""
    first = played[0] if played else None
    if first is None or first.full is None or first.rests:
        return Fraction(0)
    return max(first.full - first.length, Fraction(0))


def _between_parts(bar: Bar, following: Bar) -> bool:
    return following.number != bar.number + 1 or bar.line_after.bounds_a_part or bool(following.ending)


def _wrong_joint(before: Bar | None, bar: Bar, passed: Fraction, full: Fraction, *, last: bool) -> Fault:
    if before is not None:
        which = f"Bar {before.number} and bar {bar.number}, which is played next where a part ends,"
        return Fault("repeat", f"{which} last {_eighths(passed)} together, but a full bar lasts {_eighths(full)}.")
    if last:
        return Fault("repeat", f"Bar {bar.number} ends the tune with {_eighths(passed)} of a bar of {_eighths(full)}.")
    alone = f"Bar {bar.number} has {_eighths(passed)} where a part begins"
    return Fault("repeat", f"{alone}, and no other bar completes it to {_eighths(full)}.")
