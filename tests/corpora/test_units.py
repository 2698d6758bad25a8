import pytest

from wordgen.corpora.units import guess_layout, units_of

WRAPPED = "\n\n".join("\n".join(["It was a long road and they all knew it"] * 3 + ["so they sang."]) for _ in range(5))
VERSE = "\n\n".join("Rain\nfalls on the roof\nwhere nobody sleeps\nnow" for _ in range(5))
PLAY = "\n\n".join("First Citizen:\nBefore we proceed any further, hear me speak.\nAll:\nSpeak." for _ in range(5))


def test_lines_are_units():
    assert list(units_of(" one \ntwo\n\n\nthree\n", "line", "joined")) == ["one", "two", "three"]


def test_a_song_keeps_its_verses():
    assert list(units_of("\n\none\ntwo\n\n\n\nthree\n\n", "line", "kept")) == ["one", "two", "", "three"]


def test_hard_wraps_are_joined():
    assert list(units_of("one\ntwo\n  \nthree", "paragraph", "joined")) == ["one two", "three"]


def test_japanese_wraps_are_joined_without_a_space():
    assert list(units_of("夜の\n街に", "paragraph", "joined")) == ["夜の街に"]


def test_line_breaks_can_stay():
    assert list(units_of("one\ntwo\n\nthree", "paragraph", "kept")) == ["one\ntwo", "three"]


def test_a_document_is_one_unit():
    assert list(units_of("one\ntwo\n\nthree\n", "document", "kept")) == ["one\ntwo\n\nthree"]


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        (WRAPPED, ("paragraph", "joined")),
        ("A whole paragraph a line.\n\n" * 10, ("paragraph", "joined")),
        (VERSE, ("document", "kept")),
        (PLAY, ("document", "kept")),
        ("a spell\nanother spell\na third one\n", ("line", "joined")),
        ("only one line", ("paragraph", "joined")),
    ],
)
def test_the_layout_is_found_from_the_text(text: str, layout: tuple[str, str]):
    assert guess_layout(text) == layout
