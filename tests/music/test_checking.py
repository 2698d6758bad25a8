"""The checker names what is wrong with a tune, and nothing else."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.tunes import ABC_TEXTS, TUNE
from wordgen.music.abc_parsing import parse_tune
from wordgen.music.checking import check

HEAD = "M:4/4\nL:1/8\nK:C\n"


def kinds(text: str) -> list[str]:
    return [fault.kind for fault in check(text)]


def test_a_tune_that_is_right_has_no_faults():
    assert check(TUNE) == ()
    assert parse_tune(TUNE).ends_on_tonic
    assert [bar.number for bar in parse_tune(TUNE).played] == [*range(1, 6)] * 2 + [*range(6, 11)] * 2


@pytest.mark.parametrize(
    "music",
    [
        "CDEF GABc|c8|]",
        "G2|c8|d6:|",
        "C4 C4|[1 D8:|[2 E8||",
        "|:C8|D8|1 E8:|2 F8|]",
        "(3CDE (3FGA B4|c>d e<f g4|]",
        "[CEG]2 [C2E2] z4|]",
        "C8|Z2|C8|]",
        "C4|D4 E4|\nM:3/4\nC6|D6|[M:4/4]E8|F4|]",
        "C8 & E4 G4|]",
        "C2 D6\n|E8\\\n|F8|]",
        "{gab}c8|!trill!c8|~c8|]",
        "C/D/E/F/ G2 z2 d3/2e/|]",
        "|:G2|c8|d6:||:E2|f8|g6:|",
        "C8:|D8:|",
        "|:C8||D8:|\n|:E8::F8:|",
        "|:C8|1,3 D8:|2,4 E8:|",
    ],
)
def test_good_bars(music: str):
    assert check(HEAD + music) == ()


@pytest.mark.parametrize(
    ("music", "kind", "part"),
    [
        ("C8|D7|E8|]", "bar", "Bar 2 lasts only 7/8, but a full bar lasts 8/8."),
        ("C8|D9|E8|]", "bar", "Bar 2 lasts 9/8"),
        ("C8|D8|E7 G2|]", "bar", "Bar 3 lasts 9/8"),
        ("G2|c8|d7|]", "repeat", "Bar 3 ends the tune with 7/8"),
        ("|:G2|c8|d8:|e8|]", "repeat", "Bar 1 has 2/8 where a part begins"),
        ("C8|D6:|", "repeat", "Bar 2 and bar 1"),
        ("|:C8|D8|]", "repeat", "The repeat that begins with |: before bar 1 has no end: it needs a :| after it."),
        ("|:C8|:D8:|", "repeat", "begins with |: before bar 1 has no end"),
        ("C8:|:D8|]", "repeat", "begins with |: before bar 2 has no end"),
        ("C8|D8|:", "repeat", "begins with |: before bar 3 has no end"),
        ("C8|D8", "end", "It does not end with a bar line: its last bar, 2,"),
        ("", "end", "It has no notes."),
        ("C8|$8|C8|]", "sign", "Line 4: '$' is no sign of ABC."),
        ("C8|[CE 8|C8|]", "sign", "a [ has no ]"),
        ("C8|(3C4D4|C8|]", "sign", "a tuplet has fewer notes than it says"),
        (">C8|C8|]", "sign", "> is not between two notes"),
        ("C8| 2C8|]", "sign", "the length 2 follows no note"),
        ("C/0|C8|]", "sign", "/0 is no length of a note"),
    ],
)
def test_broken_bars_are_named(music: str, kind: str, part: str):
    faults = check(HEAD + music)
    assert any(fault.kind == kind and part in fault.sentence for fault in faults), faults


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("M:4/4\nabc|]", "there is music before the key"),
        ("M:4/4\n", "it has no key"),
        ("Y:1\nM:none\nK:C\nabc|]", "Y: is no header that ABC knows"),
        ("M:x\nK:C\nabc|]", "'x' is no metre"),
        ("L:1/0\nM:none\nK:C\nabc|]", "'1/0' is no length of a note"),
        ("M:none\nK:Hm\nabc|]", "'Hm' is no key"),
    ],
)
def test_broken_headers_are_named(text: str, part: str):
    assert any(fault.kind == "header" and part in fault.sentence for fault in check(text))


LENGTHS = st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=6)


@given(st.lists(LENGTHS, min_size=2, max_size=6), st.data())
def test_a_change_of_one_note_is_found(bars: list[list[int]], data: st.DataObject):
    """Bars that are filled up to eight eighths add up; with one note longer, that bar is named."""
    filled = [[*bar, 8 - sum(bar)] if sum(bar) < 8 else [8] for bar in bars]
    assert check(HEAD + "|".join("".join(f"C{n}" for n in bar) for bar in filled) + "|]") == ()
    number = data.draw(st.integers(0, len(filled) - 1))
    filled[number][0] += data.draw(st.integers(1, 9))
    faults = check(HEAD + "|".join("".join(f"C{n}" for n in bar) for bar in filled) + "|]")
    assert [fault.kind for fault in faults] == ["bar"]
    assert faults[0].sentence.startswith(f"Bar {number + 1} lasts")


@settings(deadline=None)
@given(ABC_TEXTS | st.text())
def test_any_text_has_faults_in_sentences(text: str):
    for fault in check(text):
        assert fault.sentence.endswith(".")
        assert len(fault.sentence) < 200
    assert len(parse_tune(text).played) <= 10 * max(1, len(parse_tune(text).bars))


@pytest.mark.parametrize(
    "part",
    ["|:A:|", "(3", "[", "{", "A>", "A/999", '"', "[1A:|", "&A", "|:", "\n", "K:G\n", "M:6/8\n", "A999/999", "!"],
)
def test_a_long_text_takes_no_long_time(part: str):
    began = time.process_time()
    check("M:4/4\nK:C\n" + part * (60_000 // len(part)))
    assert time.process_time() - began < 4
