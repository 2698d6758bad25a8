"""Each tune of a file becomes a passage in a common key, and notes say what was left out."""

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
from wordgen.music.abc_text import MAX_TUNE_CHARACTERS, numbered
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


def test_tunes_are_passages_and_notes_say_what_is_left_out(tmp_path: Path):
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", FILE), AS_WRITTEN)
    reading = corpus.reading()
    assert [(passage.text, passage.line) for _, passage in reading.passages()] == [(FIRST, 5), (SECOND, 15)]
    assert (corpus.passage, corpus.line_breaks, corpus.effective_transpose) == ("tune", "kept", "none")
    assert tokenizer_name(corpus, TokenizerSettings()) == "abc"
    (parts_note, tunes_note) = reading.notes[-2:]
    assert parts_note.startswith("left out of the tunes: ")
    for part in ("2 sources", "2 numbers", "2 comments", "1 line of words", "2 lines outside of tunes"):
        assert part in parts_note
    assert "1 field that ABC does not know" in parts_note
    assert tunes_note == "left out 1 tune without a key (K:), or without notes"


def test_lines_of_tunes_have_their_line_numbers(tmp_path: Path):
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", FILE), AS_WRITTEN)
    lines = FILE.split("\n")
    for _, passage in corpus.reading().passages():
        kept = [number for number, width in enumerate(passage.widths, passage.line) if width]
        assert len(kept) == len(passage.text.split("\n"))
        for number, line in zip(kept, passage.text.split("\n"), strict=True):
            assert lines[number - 1].replace(" ", "").startswith(line.replace(" ", ""))
        assert sum(passage.widths) == visible_width(passage.text)


def test_tunes_are_transposed_to_common_key_by_default(tmp_path: Path):
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", numbered([TUNE, SECOND, "K:HP\nabc|]"])))
    reading = corpus.reading()
    texts = [passage.text for _, passage in reading.passages()]
    assert texts[0].startswith("T:Test\nM:6/8\nL:1/8\nK:C\n|:G|")
    assert texts[1:] == [SECOND, "K:HP\nabc|]"]
    assert "2 tunes transposed to C major, A minor, each within its mode" in reading.notes
    assert "1 tune stays in its own key, because it is unusual or cannot be transposed" in reading.notes


def test_digest_depends_on_transposition(tmp_path: Path):
    path = write_text(tmp_path / "tunes.abc", numbered([TUNE]))
    choices: tuple[Transpose, ...] = ("common", "none", "augment")
    assert len({open_corpus(path, ReadingSettings(transpose=choice)).digest() for choice in choices}) == 3
    prose = write_text(tmp_path / "prose.txt", "One.\n\nTwo.\n")
    assert open_corpus(prose).digest() == open_corpus(prose, AS_WRITTEN).digest()


def test_augment_appends_transposed_copies(tmp_path: Path):
    corpus = open_corpus(
        write_text(tmp_path / "tunes.abc", numbered([TUNE, FIRST])), ReadingSettings(transpose="augment")
    )
    texts = passage_texts(corpus)
    keys = [line for text in texts for line in text.split("\n") if line.startswith("K:")]
    assert keys == ["K:G", "K:G", "K:F", "K:F", "K:C", "K:C", "K:D", "K:D", "K:A", "K:A"]


def test_only_tunes_of_mixed_folder_are_read(tmp_path: Path):
    write_text(tmp_path / "deep" / "b.abc", numbered([SECOND]))
    write_text(tmp_path / "a.ABC", numbered([FIRST]))
    write_text(tmp_path / "README.md", "About these tunes.")
    corpus = open_corpus(str(tmp_path), AS_WRITTEN)
    assert sorted(passage_texts(corpus)) == sorted([FIRST, SECOND])
    assert corpus.notes == ("left out README.md, a text: a model learns either music or text, so give it alone",)


def test_tunes_combined_with_text_settings_are_refused(tmp_path: Path):
    tunes, text = write_text(tmp_path / "a.abc", FILE), write_text(tmp_path / "b.txt", "One.\n\nTwo.\n\nThree.")
    with pytest.raises(CorpusError, match=r"a\.abc contains tunes and .*b\.txt contains text: a model learns only one"):
        open_corpus([tunes, text])
    with pytest.raises(CorpusError, match="--transpose augment is for tunes in ABC"):
        open_corpus(text, ReadingSettings(transpose="augment"))
    with pytest.raises(CorpusError, match=r"--drop-latin leaves out letters, which are the notes of .*a\.abc"):
        open_corpus(tunes, ReadingSettings(drop_latin=True))


def test_tunes_can_be_read_as_plain_text(tmp_path: Path):
    path = write_text(tmp_path / "tunes.abc", FILE)
    lines = open_corpus(path, ReadingSettings(passage="line", line_breaks="joined"))
    assert "X: 2" in passage_texts(lines)
    assert lines.effective_transpose == "none"


def test_tunes_in_text_file_are_recognized(tmp_path: Path):
    corpus = open_corpus(write_text(tmp_path / "standard-input.txt", numbered([FIRST, SECOND])), AS_WRITTEN)
    assert passage_texts(corpus) == [FIRST, SECOND]


def test_very_long_tune_is_left_out(tmp_path: Path):
    endless = "X:1\nK:G\n" + "GABc|\n" * (MAX_TUNE_CHARACTERS // 5)
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", f"{endless}\n\nX:2\n{FIRST}\n"), AS_WRITTEN)
    reading = corpus.reading()
    assert [passage.text for _, passage in reading.passages()] == [FIRST]
    assert f"left out 1 tune of more than {MAX_TUNE_CHARACTERS:,} characters" in reading.notes


@given(st.lists(ABC_TEXTS | st.text(), max_size=3).map("\n\n".join))
def test_numbered_tunes_round_trip(text: str):
    tunes = [tune for tune in tunes_in(text, "none") if "\nK:" in f"\n{tune}"]
    reread = tunes_in(numbered(tunes), "none") if tunes else []
    assert reread == tunes or not any(line.startswith("X:") for line in text.split("\n")) or tunes == [text]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400) | ABC_TEXTS.map(str.encode))
def test_any_bytes_give_tunes_or_error(tmp_path: Path, content: bytes):
    path = tmp_path / "tunes.abc"
    path.write_bytes(content)
    error = ""
    try:
        passage_texts(open_corpus(str(path)))
    except CorpusError as caught:
        error = str(caught)
    assert not error or "tunes.abc" in error
