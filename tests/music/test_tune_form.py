"""Whether the parts of a tune have eight bars, and which bars are heard again."""

import pytest

from tests.helpers.texts import passage_texts
from tests.helpers.tunes import TUNE
from wordgen.corpus.finding import open_corpus
from wordgen.music.abc_parsing import parse_tune
from wordgen.music.tune import bars_heard_before, has_eight_bar_form

HEAD = "M:2/4\nL:1/8\nK:C\n"


@pytest.mark.parametrize(
    ("music", "by_eight"),
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
def test_parts_of_eight_bars(music: str, by_eight: bool):
    assert has_eight_bar_form(parse_tune(HEAD + music)) is by_eight


def test_the_bundled_tunes_have_it():
    assert has_eight_bar_form(parse_tune(TUNE))
    assert all(has_eight_bar_form(parse_tune(text)) for text in passage_texts(open_corpus("airs")))


@pytest.mark.parametrize(
    ("music", "heard"),
    [
        ("C2D2|E2F2|C2D2|C2D2|", (2, 4)),
        ("C2D2|c2D2|C2^D2|C2D2|", (1, 4)),
        ("|:C2D2|E2F2:|", (0, 2)),
        ("C2D2|C3D|CD z2|C4|C4|", (0, 3)),
        ("C2D2|[CE]2D2|[CE]2D2|", (1, 3)),
        ("", (0, 0)),
    ],
)
def test_bars_that_are_heard_again(music: str, heard: tuple[int, int]):
    assert bars_heard_before(parse_tune(HEAD + music)) == heard
