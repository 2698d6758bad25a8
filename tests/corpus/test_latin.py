"""--drop-latin leaves out words in Latin letters, and the punctuation and lines that belong to them."""

import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.texts import passage_texts, write_text
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.passages import Changes, drop_latin_words, passages_of, visible_width, without_latin
from wordgen.corpus.settings import LineBreaks, PassageKind, ReadingSettings
from wordgen.dataset.encoding import fingerprint, prepare
from wordgen.errors import CorpusError
from wordgen.text.settings import TextSettings

DROP = ReadingSettings(drop_latin=True, passage="line", line_breaks="kept")
LINES = st.text(st.sampled_from("aZé９Ｂ'’-、。「」!( )\u3000君の歌\u0301"), max_size=20)


@pytest.mark.parametrize(
    ("line", "expected", "words"),
    [
        ("君の声が聞こえる", "君の声が聞こえる", 0),
        ("Oh baby, 君の声が聞こえる", "君の声が聞こえる", 2),
        ("君の声が聞こえる, all night long", "君の声が聞こえる", 3),
        ("夜の BLUE に沈む", "夜の に沈む", 1),
        ("夜のBLUEに沈む", "夜のに沈む", 1),
        ("「I love you」と書いた", "と書いた", 3),
        ("君と (don't cry) 歩く", "君と 歩く", 2),
        ("ＬＯＶＥを歌う 24時", "を歌う 24時", 1),
        ("Let's go! Let's go!", "", 4),
        ("café で待つ", "で待つ", 1),
        ("B2の階段", "の階段", 1),
        ("！？", "！？", 0),
    ],
)
def test_dropping_latin_words_from_a_line(line: str, expected: str, words: int):
    assert drop_latin_words(line) == (expected, words)


@pytest.mark.parametrize("passage", ["line", "paragraph", "section", "document"])
@pytest.mark.parametrize("line_breaks", ["joined", "kept"])
@given(lines=st.lists(LINES, max_size=8))
def test_only_latin_words_are_dropped_from_passages(passage: PassageKind, line_breaks: LineBreaks, lines: list[str]):
    before = list(passages_of(enumerate(lines, 1), passage, line_breaks))
    after = list(without_latin(before, Changes()))
    texts = [each.text for each in after]
    for each in after:
        assert not any(letter.isascii() and letter.isalpha() for letter in each.text)
        assert sum(each.widths) == visible_width(each.text)
        assert each.text == each.text.strip()
    japanese = "".join(letter for each in before for letter in each.text if letter in "君の歌")
    assert "".join(letter for text in texts for letter in text if letter in "君の歌") == japanese
    changes = Changes()
    assert list(without_latin(after, changes)) == after
    assert changes.latin_words == 0
    assert texts[:1] != [""]
    assert ("", "") not in pairwise(texts)


def test_verses_stay_separate_if_whole_lines_are_dropped():
    text = "君の声\nOh yeah\n\nLa la la\n遠い空\n\nBaby\nCome on\n\n夜の街"
    documents = list(without_latin(passages_of(enumerate(text.split("\n"), 1), "document", "kept"), Changes()))
    assert [document.text for document in documents] == ["君の声\n\n遠い空\n\n夜の街"]
    lines = list(without_latin(passages_of(enumerate(text.split("\n"), 1), "line", "kept"), Changes()))
    assert [line.text for line in lines] == ["君の声", "", "遠い空", "", "夜の街"]
    assert [line.line for line in lines if line.text] == [1, 5, 10]


def test_corpus_counts_dropped_words_and_has_another_dataset(in_empty_folder: Path):
    song = "".join(f"{n}番の歌 my love\nOh baby\n君と歩く\n\n" for n in range(40))
    path = write_text(in_empty_folder / "song.txt", song)
    kept, without = open_corpus(path, ReadingSettings(passage="line", line_breaks="kept")), open_corpus(path, DROP)
    assert [text for text in passage_texts(without) if text][:3] == ["0番の歌", "君と歩く", "1番の歌"]
    assert len(passage_texts(kept)) == len(passage_texts(without)) + 40
    assert fingerprint(kept, TextSettings()) != fingerprint(without, TextSettings())
    dataset = prepare(without, TextSettings(tokenizer="japanese"), in_empty_folder / "encoded")
    assert "left out 160 words in Latin letters" in dataset.notes
    assert "love" not in dataset.codec.vocabulary


def test_text_without_latin_words_does_not_change():
    assert passage_texts(open_corpus("lyrics", ReadingSettings(drop_latin=True))) == passage_texts(
        open_corpus("lyrics")
    )


def test_text_of_only_latin_words_is_refused(in_empty_folder: Path):
    english = write_text(in_empty_folder / "english.txt", "All of it.\n\nIs English.\n\nTo the end.\n")
    with pytest.raises(CorpusError, match="--drop-latin leaves no text of the corpus english"):
        prepare(open_corpus(english, ReadingSettings(drop_latin=True)), TextSettings(), in_empty_folder / "encoded")


@pytest.mark.parametrize("part", [" ", "(", "a ", "a,", "('", "a(", "あ ", "\u3000,", "-", "a-"])
def test_long_lines_take_little_time(part: str):
    began = time.process_time()
    drop_latin_words(part * (100_000 // len(part)))
    assert time.process_time() - began < 3
