"""Near duplicates are found in any key; tunes that have little in common are not."""

import random

from tests.helpers.tunes import TUNE
from wordgen.music.abc_parsing import parse_tune
from wordgen.music.copied_notes import Families, are_near, parts_of, sequences
from wordgen.music.transposing import COPIES, copy_of


def made_up(seed: int, bars: int = 16) -> str:
    draw = random.Random(seed)
    music = "|".join("".join(draw.choice("CDEFGABcdefg") for _ in range(8)) for _ in range(bars))
    return f"M:4/4\nL:1/8\nK:C\n{music}|]"


def groups(tunes: list[str]) -> list[int]:
    families = Families()
    for tune in tunes:
        families.add(parse_tune(tune))
    return families.groups()


def test_a_copy_in_another_key_is_near():
    for number in range(COPIES):
        copy = copy_of(made_up(1), number)
        if copy is not None:
            assert sequences(parse_tune(copy).melody) == sequences(parse_tune(made_up(1)).melody)
            assert groups([made_up(1), made_up(2), copy]) == [0, 1, 0]


def test_half_of_a_tune_is_near_it_and_a_fifth_is_not():
    one, other = made_up(1), made_up(2)
    bars, others = one.split("|"), other.split("|")
    half, fifth = "|".join([*bars[:9], *others[9:]]), "|".join([*bars[:3], *others[3:]])
    assert are_near(parts_of(parse_tune(one)), parts_of(parse_tune(half)))
    assert not are_near(parts_of(parse_tune(one)), parts_of(parse_tune(fifth)))
    assert groups([one, fifth]) == [0, 1]
    assert groups([one, half]) == [0, 0]


def test_what_is_near_in_pairs_is_near_in_families():
    tunes = [made_up(seed) for seed in range(30)] + [TUNE]
    assert groups(tunes) == list(range(31))
    assert groups([*tunes, tunes[7], tunes[3], TUNE]) == [*range(31), 7, 3, 30]


def test_many_copies_of_one_tune_are_one_family():
    assert set(groups([made_up(1)] * 200)) == {0}


def test_tunes_without_notes_are_by_themselves():
    assert groups(["K:C\n", "K:C\n", "", made_up(1)]) == [0, 1, 2, 3]
    assert groups([]) == []
