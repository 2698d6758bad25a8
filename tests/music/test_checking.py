"""The faults of a tune, whether its parts have eight bars, and which bars repeat earlier ones."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.texts import passage_texts
from tests.helpers.tunes import ABC_TEXTS, TUNE, check
from wordgen.corpus.finding import open_corpus
from wordgen.music.abc_parsing import parse_tune
from wordgen.music.tune import bars_heard_before, has_eight_bar_form

HEAD = "M:4/4\nL:1/8\nK:C\n"


def fault_kinds(text: str) -> list[str]:
    return [fault.kind for fault in check(text)]


def test_valid_tune_has_no_faults():
    assert check(TUNE) == ()
    assert parse_tune(TUNE).ends_on_tonic
    assert [bar.number for bar in parse_tune(TUNE).played_bars] == [*range(1, 6)] * 2 + [*range(6, 11)] * 2


@pytest.mark.parametrize(
    "music",
    [
        "CDEF GABc|c8|]",
        "G2|c8|d6:|",
        "C4 C4|[1 D8:|[2 E8||",
        "|:C8|D8|1 E8:|2 F8|]",
        "(3CDE (3FGA B4|c>d e<f g4|]",
        "[CEG]2 [C2E2] z4|]",
        "+CEG+2 +C2E2+ +f+z4|]",
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
        "C4-C4|^F8-|F8|[CE]8-|[EG]8|]",
        "C8-|C8 & E8|D8|]",
    ],
)
def test_valid_bars_have_no_faults(music: str):
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
        ("C8-|D8|]", "tie", "Bar 1 has a tie without an equal note after it"),
        ("C8|D4- z4|]", "tie", "Bar 2 has a tie"),
        ("C8|D8-|]", "tie", "Bar 2 has a tie"),
        ("C8|D8", "end", "It does not end with a bar line: its last bar, 2,"),
        ("", "end", "It has no notes."),
        ("C8|$8|C8|]", "sign", "Line 4: '$' is no sign of ABC."),
        ("C8|[CE 8|C8|]", "sign", "a [ has no ]"),
        ("C8|(3C4D4|C8|]", "sign", "a tuplet has fewer notes than it says"),
        (">C8|C8|]", "sign", "> is not between two notes"),
        ("C8| 2C8|]", "sign", "the length 2 follows no note"),
        ("C/0|C8|]", "sign", "/0 is no length of a note"),
        ("C8|+D2+ D8|C8|]", "sign", "'+D2+' is neither a decoration nor a chord of different notes"),
        ("C8|+B,,B,,+ D8|C8|]", "sign", "'+B,,B,,+' is neither"),
    ],
)
def test_faults_name_bars_and_lines(music: str, kind: str, part: str):
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
        ("M:none\nK:Hm\nabc|]", "'Hm' is no key that wordgen knows."),
    ],
)
def test_faults_name_headers(text: str, part: str):
    assert any(fault.kind == "header" and part in fault.sentence for fault in check(text))


NOTE_LENGTHS = st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=6)


@given(st.lists(NOTE_LENGTHS, min_size=2, max_size=6), st.data())
def test_one_longer_note_is_found(bars: list[list[int]], data: st.DataObject):
    """Bars of eight eighths have no fault; with one longer note, the only fault names that bar."""
    filled = [[*bar, 8 - sum(bar)] if sum(bar) < 8 else [8] for bar in bars]
    assert check(HEAD + "|".join("".join(f"C{n}" for n in bar) for bar in filled) + "|]") == ()
    number = data.draw(st.integers(0, len(filled) - 1))
    filled[number][0] += data.draw(st.integers(1, 9))
    faults = check(HEAD + "|".join("".join(f"C{n}" for n in bar) for bar in filled) + "|]")
    assert [fault.kind for fault in faults] == ["bar"]
    assert faults[0].sentence.startswith(f"Bar {number + 1} lasts")


@settings(deadline=None)
@given(ABC_TEXTS | st.text())
def test_faults_of_any_text_are_short_sentences(text: str):
    for fault in check(text):
        assert fault.sentence.endswith(".")
        assert len(fault.sentence) < 200
    assert len(parse_tune(text).played_bars) <= 10 * max(1, len(parse_tune(text).bars))


@pytest.mark.parametrize(
    "part",
    ["|:A:|", "(3", "[", "{", "A>", "A/999", '"', "[1A:|", "&A", "|:", "\n", "K:G\n", "M:6/8\n", "A999/999", "!"],
)
def test_check_takes_bounded_time(part: str):
    start = time.process_time()
    check("M:4/4\nK:C\n" + part * (60_000 // len(part)))
    assert time.process_time() - start < 4


HEAD_IN_2_4 = "M:2/4\nL:1/8\nK:C\n"


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("C2D2|" * 8, True),
        ("C2D2|" * 16, True),
        ("C2D2|" * 12, False),
        ("C2D2|" * 7, False),
        ("|:" + "C2D2|" * 3 + "C4:|", True),
        ("C2D2|" * 3 + "C4||", False),
        ("|:" + "C2D2|" * 7 + "C4:|" + "|:" + "C2D2|" * 9 + "C4:|", False),
        ("|:" + "C2D2|" * 7 + "C4::" + "C2D2|" * 7 + "C4:|", True),
        ("|:" + "C2D2|" * 7 + "[1C4:|[2D4||" + "C2D2|" * 8, True),
        ("|:" + "C2D2|" * 6 + "[1C4:|[2D4||", False),
        ("C|" + "|:" + "C2D2|" * 7 + "C3:|", True),
        ("|:C|" + "C2D2|" * 7 + "C3:|", True),
        ("C2D2|" * 8 + "C2D2|" * 8 + "\nP:B\n" + "C2D2|" * 8, True),
        ("Z8|", True),
        ("", False),
    ],
)
def test_eight_bar_form(music: str, expected: bool):
    assert has_eight_bar_form(parse_tune(HEAD_IN_2_4 + music)) is expected


def test_bundled_tunes_have_eight_bar_form():
    assert has_eight_bar_form(parse_tune(TUNE))
    assert all(has_eight_bar_form(parse_tune(text)) for text in passage_texts(open_corpus("airs")))


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("C2D2|E2F2|C2D2|C2D2|", (2, 4)),
        ("C2D2|c2D2|C2^D2|C2D2|", (1, 4)),
        ("|:C2D2|E2F2:|", (0, 2)),
        ("C2D2|C3D|CD z2|C4|C4|", (0, 3)),
        ("C2D2|[CE]2D2|[CE]2D2|", (1, 3)),
        ("", (0, 0)),
    ],
)
def test_bars_heard_before_are_counted(music: str, expected: tuple[int, int]):
    assert bars_heard_before(parse_tune(HEAD_IN_2_4 + music)) == expected
