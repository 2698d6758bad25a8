"""Lines of a text become passages: lines, paragraphs, documents, or sections with two blank lines between them."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.texts import passage_texts, write_text
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.layout import Layout, guess_layout
from wordgen.corpus.passages import Passage, passages_of, visible_width
from wordgen.corpus.settings import LineBreaks, PassageKind, ReadingSettings
from wordgen.dataset.dataset import TextConfig
from wordgen.dataset.encoding import prepare
from wordgen.errors import CorpusError
from wordgen.text.settings import TextSettings

WRAPPED = "\n\n".join("\n".join(["It was a long road and they all knew it"] * 3 + ["so they sang."]) for _ in range(5))
VERSE = "\n\n".join("Rain\nfalls on the roof\nwhere nobody sleeps\nnow" for _ in range(5))
PLAY = "\n\n".join("First Citizen:\nBefore we proceed any further, hear me speak.\nAll:\nSpeak." for _ in range(5))


def texts(passages: Iterable[Passage]) -> list[str]:
    return [passage.text for passage in passages]


def cut(lines: list[str], passage: PassageKind, line_breaks: LineBreaks) -> list[Passage]:
    return list(passages_of(enumerate(lines, 1), passage, line_breaks))


def test_each_line_is_a_passage():
    assert texts(cut([" one ", "two", "", "", "three", ""], "line", "joined")) == ["one", "two", "three"]


def test_blank_lines_between_verses_are_kept():
    assert texts(cut(["", "", "one", "two", "", "", "", "three", "", ""], "line", "kept")) == [
        "one",
        "two",
        "",
        "three",
    ]


def test_wrapped_lines_are_joined():
    assert texts(cut(["one", "two", "  ", "three"], "paragraph", "joined")) == ["one two", "three"]


@pytest.mark.parametrize("passage", ["section", "document"])
@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        (["one", "two", "", "three"], "one two three"),
        (["one-", "", "two "], "one- two"),
        (["第一章", "", "夜の", "街"], "第一章 夜の街"),
    ],
)
def test_paragraphs_of_a_passage_are_joined_with_one_space(passage: PassageKind, lines: list[str], joined: str):
    """Two spaces would be two tokens of a model of characters."""
    found = cut(lines, passage, "joined")
    assert texts(found) == [joined]
    assert sum(found[0].widths) == visible_width(joined)
    assert len(found[0].widths) == len(lines)


@given(st.lists(st.text("ab .あ", max_size=8), max_size=12), st.sampled_from(["paragraph", "section", "document"]))
def test_joined_lines_have_at_most_one_space_between_them(lines: list[str], passage: PassageKind):
    """Words of scripts with spaces stay whole."""
    words = [word for line in lines for word in line.split()]
    found = " ".join(texts(cut([" ".join(line.split()) for line in lines], passage, "joined")))
    assert "  " not in found
    assert found.replace(" ", "") == "".join(words)
    assert list(filter(str.isascii, found.split())) == list(filter(str.isascii, words))


@pytest.mark.parametrize(
    ("wrapped", "joined"),
    [
        ("夜の\n街に", "夜の街に"),
        ("夜だ。\n「街」", "夜だ。「街」"),
        ("Tokyoの\n街 3\n4", "Tokyoの街 3 4"),
        ("우리는\n공원에", "우리는 공원에"),
        ("0 1\n4 9", "0 1 4 9"),
    ],
)
def test_japanese_lines_are_joined_without_space(wrapped: str, joined: str):
    assert texts(cut(wrapped.split("\n"), "paragraph", "joined")) == [joined]


def test_line_breaks_are_kept_if_wanted():
    assert texts(cut(["one", "two", "", "three"], "paragraph", "kept")) == ["one\ntwo", "three"]


def test_document_is_one_passage():
    assert texts(cut(["one", "two", "", "three", ""], "document", "kept")) == ["one\ntwo\n\nthree"]


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        (WRAPPED, ("paragraph", "joined")),
        ("A whole paragraph a line.\n\n" * 10, ("paragraph", "joined")),
        (VERSE, ("document", "kept")),
        ("\n\n".join(["CONTENTS", "\n".join(["A CHAPTER"] * 60), *[WRAPPED] * 10]), ("paragraph", "joined")),
        (PLAY, ("document", "kept")),
        ("\n\n".join(["夜の街に雨が降る\n君の声が聞こえない\n朝の光を待っている\nひとりで"] * 5), ("document", "kept")),
        ("a spell\nanother spell\na third one\n", ("line", "joined")),
        ("only one line", ("paragraph", "joined")),
        ("\u3000雨が降る。\n\u3000夜になった。\n「行こう」\n\n\u3000朝。\n\u3000昼。", ("line", "joined")),
        ("\n".join(["a very long line that is a whole paragraph " * 5] * 4), ("line", "joined")),
        ("\n\n".join(["a very long line that is a whole paragraph " * 5] * 4), ("paragraph", "joined")),
    ],
)
def test_layout_is_detected(text: str, layout: tuple[PassageKind, LineBreaks]):
    assert guess_layout(text) == Layout(*layout)


@pytest.mark.parametrize("passage", ["line", "paragraph", "section", "document"])
@pytest.mark.parametrize("line_breaks", ["joined", "kept"])
def test_passages_have_their_line_numbers(passage: PassageKind, line_breaks: LineBreaks):
    lines = ["", "one two", "  three", "", " ", "four", "", "", "five", "six"]
    for each in cut(lines, passage, line_breaks):
        assert sum(each.widths) == visible_width(each.text)
        source_lines = lines[each.line - 1 : each.line - 1 + len(each.widths)]
        assert [visible_width(line) for line in source_lines] == list(each.widths) or not each.text
        assert each.text.startswith(source_lines[0].strip()) or not each.text


@pytest.mark.parametrize("passage", ["paragraph", "section", "document"])
def test_very_long_passage_is_cut_at_a_line(passage: PassageKind):
    lines = ["forty characters of one line without end"] * 70_000
    passages = cut(lines, passage, "kept")
    assert "\n".join(texts(passages)).split("\n") == lines
    assert 1 < len(passages) < 4
    assert [each.line for each in passages] == [1, 1 + len(passages[0].widths)][: len(passages)]


@pytest.mark.parametrize(
    ("passage", "expected"), [("line", ["a b", "c"]), ("paragraph", ["a bc"]), ("document", ["a bc"])]
)
def test_pieces_of_long_line_are_joined_except_by_line(passage: PassageKind, expected: list[str]):
    passages = list(passages_of([(7, "a b"), (7, "c"), (8, "")], passage, "kept"))
    assert texts(passages) == expected
    assert [each.line for each in passages] == [7] * len(passages)
    assert sum(sum(each.widths) for each in passages) == 3


LINES = st.lists(st.sampled_from(["", " ", "one", "two words", "\u3000三"]), max_size=14)
SECTIONS = ReadingSettings(passage="section", line_breaks="kept")


@given(lines=LINES)
def test_two_or_more_blank_lines_separate_sections(lines: list[str]):
    expected: list[list[str]] = [[]]
    blank = 0
    for line in lines:
        if line.strip():
            if blank > 1:
                expected.append([])
            expected[-1] += [""] * (blank if expected[-1] else 0) + [line]
        blank = 0 if line.strip() else blank + 1
    sections = list(passages_of(enumerate(lines, 1), "section", "kept"))
    stripped = [[line.strip() for line in section.text.split("\n")] for section in sections]
    assert stripped == [[line.strip() for line in section] for section in expected if section]
    for section in sections:
        assert sum(section.widths) == visible_width(section.text)
        assert lines[section.line - 1].strip() == section.text.split("\n")[0].strip()


@given(lines=LINES)
def test_sections_written_and_read_again_are_equal(lines: list[str]):
    sections = texts(passages_of(enumerate(lines, 1), "section", "kept"))
    separator = TextConfig(corpus="", tokenizer="english", passage="section", line_breaks="kept", starts=True).separator
    written = separator.join(sections).split("\n")
    assert texts(passages_of(enumerate(written, 1), "section", "kept")) == sections


def test_lyrics_have_songs_verses_and_lines():
    songs = passage_texts(open_corpus("lyrics", ReadingSettings(passage="section")))
    verses = passage_texts(open_corpus("lyrics", ReadingSettings(passage="paragraph", line_breaks="kept")))
    lines = passage_texts(open_corpus("lyrics"))
    assert len(songs) == 59
    assert all(3 < len(song.split("\n\n")) < 7 for song in songs)
    assert [verse for song in songs for verse in song.split("\n\n")] == verses
    assert [line for verse in verses for line in verse.split("\n")] == [line for line in lines if line]
    assert lines.count("") == len(verses) - 1


def test_too_few_sections_are_refused_with_advice(in_empty_folder: Path):
    path = write_text(in_empty_folder / "song.txt", "one\n\ntwo\n\nthree\n\nfour\n")
    with pytest.raises(CorpusError, match="or put two blank lines between its sections"):
        prepare(open_corpus(path, SECTIONS), TextSettings(), in_empty_folder / "encoded")
