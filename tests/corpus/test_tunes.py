"""Files of tunes are read tune by tune, in one key, and what is left out is told."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.texts import passage_texts, write_text
from tests.helpers.tunes import ABC_TEXTS, TUNE
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.passages import tunes_in, visible_width
from wordgen.corpus.settings import ReadingSettings, Transpose
from wordgen.dataset.encoding import tokenizer_name
from wordgen.errors import CorpusError
from wordgen.music.abc_text import LONGEST_TUNE, numbered
from wordgen.text.settings import TokenizerSettings

FILE = """\
% A collection
Some words about it.

X:1
T:First
S:An old book
N:and a note
M: 6/8
Y:AB
K:G % two sharps? one
GAB c3|% a comment
w:la la la
d6|]
X: 2
T:Second

K: Am
A6|]

X:3
T:No key
abc|]
"""
FIRST, SECOND = "T:First\nM:6/8\nK:G\nGAB c3|\nd6|]", "T:Second\nK:Am\nA6|]"
AS_WRITTEN = ReadingSettings(transpose="none")


def test_a_tune_is_a_passage_and_what_is_left_out_is_told(tmp_path: Path):
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", FILE), AS_WRITTEN)
    reading = corpus.reading()
    assert [(passage.text, passage.line) for _, passage in reading.passages()] == [(FIRST, 5), (SECOND, 15)]
    assert (corpus.passage, corpus.line_breaks, corpus.transposes) == ("tune", "kept", "none")
    assert tokenizer_name(corpus, TokenizerSettings()) == "abc"
    (lines, tunes) = reading.notes[-2:]
    assert lines.startswith("left out of the tunes: ")
    for part in ("2 sources", "2 numbers", "2 comments", "1 line of words", "2 lines outside of tunes"):
        assert part in lines
    assert "1 field that ABC does not know" in lines
    assert tunes == "left out 1 tune without a key (K:), or without notes"


def test_each_line_is_known_by_its_place_in_the_file(tmp_path: Path):
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", FILE), AS_WRITTEN)
    lines = FILE.split("\n")
    for _, passage in corpus.reading().passages():
        kept = [number for number, width in enumerate(passage.widths, passage.line) if width]
        assert len(kept) == len(passage.text.split("\n"))
        for number, line in zip(kept, passage.text.split("\n"), strict=True):
            assert lines[number - 1].replace(" ", "").startswith(line.replace(" ", ""))
        assert sum(passage.widths) == visible_width(passage.text)


def test_tunes_are_read_in_a_common_key_by_default(tmp_path: Path):
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", numbered([TUNE, SECOND, "K:HP\nabc|]"])))
    reading = corpus.reading()
    texts = [passage.text for _, passage in reading.passages()]
    assert texts[0].startswith("T:Test\nM:6/8\nL:1/8\nK:C\n|:G|")
    assert texts[1:] == [SECOND, "K:HP\nabc|]"]
    assert "2 tunes transposed to C major, A minor, each within its mode" in reading.notes
    assert "1 tune stays in its own key, because it is unusual or cannot be transposed" in reading.notes


def test_how_tunes_are_transposed_is_part_of_the_digest(tmp_path: Path):
    path = write_text(tmp_path / "tunes.abc", numbered([TUNE]))
    ways: tuple[Transpose, ...] = ("common", "none", "augment")
    assert len({open_corpus(path, ReadingSettings(transpose=way)).digest() for way in ways}) == 3
    prose = write_text(tmp_path / "prose.txt", "One.\n\nTwo.\n")
    assert open_corpus(prose).digest() == open_corpus(prose, AS_WRITTEN).digest()


def test_copies_come_behind_all_tunes_in_four_or_five_other_keys(tmp_path: Path):
    corpus = open_corpus(
        write_text(tmp_path / "tunes.abc", numbered([TUNE, FIRST])), ReadingSettings(transpose="augment")
    )
    texts = passage_texts(corpus)
    keys = [line for text in texts for line in text.split("\n") if line.startswith("K:")]
    assert keys == ["K:G", "K:G", "K:F", "K:F", "K:C", "K:C", "K:D", "K:D", "K:A", "K:A"]


def test_a_folder_with_tunes_is_read_for_its_tunes(tmp_path: Path):
    write_text(tmp_path / "deep" / "b.abc", numbered([SECOND]))
    write_text(tmp_path / "a.ABC", numbered([FIRST]))
    write_text(tmp_path / "README.md", "About these tunes.")
    corpus = open_corpus(str(tmp_path), AS_WRITTEN)
    assert sorted(passage_texts(corpus)) == sorted([FIRST, SECOND])
    assert corpus.notes == ("left out README.md, a text: a model learns either music or text, so give it alone",)


def test_tunes_and_other_texts_are_not_learned_together(tmp_path: Path):
    tunes, text = write_text(tmp_path / "a.abc", FILE), write_text(tmp_path / "b.txt", "One.\n\nTwo.\n\nThree.")
    with pytest.raises(CorpusError, match=r"a\.abc contains tunes and .*b\.txt contains text: a model learns only one"):
        open_corpus([tunes, text])
    with pytest.raises(CorpusError, match="--transpose augment is for tunes in ABC"):
        open_corpus(text, ReadingSettings(transpose="augment"))
    with pytest.raises(CorpusError, match=r"--drop-latin leaves out letters, which are the notes of .*a\.abc"):
        open_corpus(tunes, ReadingSettings(drop_latin=True))


def test_tunes_may_be_read_as_any_other_text(tmp_path: Path):
    path = write_text(tmp_path / "tunes.abc", FILE)
    lines = open_corpus(path, ReadingSettings(passage="line", line_breaks="joined"))
    assert "X: 2" in passage_texts(lines)
    assert lines.transposes == "none"


def test_a_text_file_that_holds_tunes_is_known_by_what_stands_in_it(tmp_path: Path):
    corpus = open_corpus(write_text(tmp_path / "standard-input.txt", numbered([FIRST, SECOND])), AS_WRITTEN)
    assert passage_texts(corpus) == [FIRST, SECOND]


def test_a_tune_without_an_end_is_left_out(tmp_path: Path):
    endless = "X:1\nK:G\n" + "GABc|\n" * (LONGEST_TUNE // 5)
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", f"{endless}\n\nX:2\n{FIRST}\n"), AS_WRITTEN)
    reading = corpus.reading()
    assert [passage.text for _, passage in reading.passages()] == [FIRST]
    assert f"left out 1 tune of more than {LONGEST_TUNE:,} characters" in reading.notes


@given(st.lists(ABC_TEXTS | st.text(), max_size=3).map("\n\n".join))
def test_what_is_read_is_read_again_as_it_is(text: str):
    """Tunes written to a file with numbers are the same tunes when that file is read."""
    tunes = [tune for tune in tunes_in(text, "none") if "\nK:" in f"\n{tune}"]
    again = tunes_in(numbered(tunes), "none") if tunes else []
    assert again == tunes or not any(line.startswith("X:") for line in text.split("\n")) or tunes == [text]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400) | ABC_TEXTS.map(str.encode))
def test_no_bytes_end_in_a_traceback(tmp_path: Path, content: bytes):
    path = tmp_path / "tunes.abc"
    path.write_bytes(content)
    with suppress(CorpusError):
        passage_texts(open_corpus(str(path)))
