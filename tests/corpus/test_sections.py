"""Sections have two or more blank lines between them, like the songs of one file, each with its verses."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.texts import passage_texts, write_text
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.passages import passages_of, visible_width
from wordgen.corpus.settings import ReadingSettings
from wordgen.dataset.dataset import TextConfig
from wordgen.dataset.encoding import prepare
from wordgen.errors import CorpusError
from wordgen.text.settings import TextSettings

LINES = st.lists(st.sampled_from(["", " ", "one", "two words", "\u3000三"]), max_size=14)
SECTIONS = ReadingSettings(passage="section", line_breaks="kept")


@given(lines=LINES)
def test_two_or_more_blank_lines_separate_them(lines: list[str]):
    expected: list[list[str]] = [[]]
    blank = 0
    for line in lines:
        if line.strip():
            if blank > 1:
                expected.append([])
            expected[-1] += [""] * (blank if expected[-1] else 0) + [line]
        blank = 0 if line.strip() else blank + 1
    found = list(passages_of(enumerate(lines, 1), "section", "kept"))
    stripped = [[line.strip() for line in each.text.split("\n")] for each in found]
    assert stripped == [[line.strip() for line in each] for each in expected if each]
    for each in found:
        assert sum(each.widths) == visible_width(each.text)
        assert lines[each.line - 1].strip() == each.text.split("\n")[0].strip()


@given(lines=LINES)
def test_written_one_after_another_they_are_read_as_the_same(lines: list[str]):
    texts = [each.text for each in passages_of(enumerate(lines, 1), "section", "kept")]
    separator = TextConfig(corpus="", tokenizer="english", passage="section", line_breaks="kept", starts=True).separator
    again = separator.join(texts).split("\n")
    assert [each.text for each in passages_of(enumerate(again, 1), "section", "kept")] == texts


def test_the_bundled_lyrics_are_songs_verses_and_lines():
    songs = passage_texts(open_corpus("lyrics", ReadingSettings(passage="section")))
    verses = passage_texts(open_corpus("lyrics", ReadingSettings(passage="paragraph", line_breaks="kept")))
    lines = passage_texts(open_corpus("lyrics"))
    assert len(songs) == 59
    assert all(3 < len(song.split("\n\n")) < 7 for song in songs)
    assert [verse for song in songs for verse in song.split("\n\n")] == verses
    assert [line for verse in verses for line in verse.split("\n")] == [line for line in lines if line]
    assert lines.count("") == len(verses) - 1


def test_too_few_of_them_are_refused_with_what_to_do(in_empty_folder: Path):
    path = write_text(in_empty_folder / "song.txt", "one\n\ntwo\n\nthree\n\nfour\n")
    with pytest.raises(CorpusError, match="or put two blank lines between its sections"):
        prepare(open_corpus(path, SECTIONS), TextSettings(), in_empty_folder / "encoded")
