"""A MIDI file becomes a passage of notes. Damaged files of a folder are left out, and a note says so."""

import random
from pathlib import Path

import pytest

from tests.helpers.music import write_midi
from tests.helpers.round_trip import encode_text
from tests.helpers.texts import passage_texts, write_text
from wordgen.corpus.catalogue import bundled_catalogue, bundled_data
from wordgen.corpus.finding import known_texts, open_corpus, read_through
from wordgen.dataset.encoding import tokenizer_name
from wordgen.errors import CorpusError
from wordgen.music.midi import read_midi
from wordgen.music.piece import Note, Piece, notes_text
from wordgen.text.settings import TextSettings

PRELUDES = [bundled_data() / file for file in bundled_catalogue()["preludes"].files]


def random_piece(seed: int) -> Piece:
    rng = random.Random(seed)
    return Piece(tuple(Note(6 * place, 48 + int(rng.random() * 30), 6, 80) for place in range(200)), 12)


@pytest.fixture
def folder(in_empty_folder: Path) -> Path:
    for number in range(25):
        write_midi(in_empty_folder / "tunes" / f"{number:02}.mid", random_piece(number))
    return in_empty_folder / "tunes"


def test_pieces_are_passages(folder: Path):
    corpus = open_corpus(str(folder))
    assert (corpus.passage, corpus.line_breaks, corpus.effective_passage) == ("document", "joined", "document")
    assert tokenizer_name(corpus, TextSettings()) == "notes"
    assert [" ".join(text.split()) for text in passage_texts(corpus)] == [
        notes_text(random_piece(n)) for n in range(25)
    ]


def test_few_pieces_are_split_into_parts(folder: Path):
    corpus = open_corpus([str(folder / "00.mid"), str(folder / "01.mid")])
    assert corpus.effective_passage == "paragraph"
    texts = passage_texts(corpus)
    assert len(texts) == 2 * 4  # 100 quarters are three parts of 32, and a rest
    assert " ".join(" ".join(texts).split()) == f"{notes_text(random_piece(0))} {notes_text(random_piece(1))}"


def test_damaged_files_of_folder_are_left_out_with_note(folder: Path):
    (folder / "03.mid").write_bytes(b"MThd and no more")
    (folder / "00.mid").write_bytes((folder / "00.mid").read_bytes()[:100])
    corpus = open_corpus(str(folder))
    reading, passages = read_through(corpus)
    assert passages == 23
    assert reading.notes == (
        "left out 00.mid and 03.mid, which are not MIDI, or are damaged: wordgen tune FILE says what is wrong",
        "read 23 MIDI files as notes in steps of a twelfth of a quarter",
    )
    assert tokenizer_name(corpus, TextSettings()) == "notes"
    with pytest.raises(CorpusError, match=r"03\.mid cannot be read as MIDI: it has no track"):
        open_corpus([str(folder / "03.mid"), str(folder / "04.mid")])
    with pytest.raises(CorpusError, match=r"00\.mid cannot be read as MIDI"):
        open_corpus(str(folder / "00.mid"))


def test_folder_of_damaged_files_is_refused(in_empty_folder: Path):
    for name in ("a", "b"):
        write_text(in_empty_folder / "bad" / f"{name}.mid", "no music")
    with pytest.raises(CorpusError, match=r"a\.mid cannot be read as MIDI: it does not begin like a MIDI file"):
        open_corpus("bad").sample()


def test_music_and_text_are_not_combined(folder: Path):
    write_text(folder / "readme.md", "These are tunes.")
    corpus = open_corpus(str(folder))
    assert corpus.is_midi
    assert corpus.notes == ("left out readme.md, a text: a model learns either music or text, so give it alone",)
    with pytest.raises(
        CorpusError, match=r"00\.mid contains MIDI and .*readme\.md contains text: a model learns only one"
    ):
        open_corpus([str(folder / "00.mid"), str(folder / "readme.md")])
    for number in range(2):
        write_text(folder.parent / "texts" / f"{number}.txt", "The road goes on.\n" * 20)
    write_midi(folder.parent / "texts" / "tune.mid", random_piece(1))
    corpus = open_corpus("texts")
    assert [path.name for path in corpus.files] == ["0.txt", "1.txt"]
    assert corpus.notes == ("left out tune.mid, a MIDI file: a model learns either music or text, so give it alone",)


def test_midi_with_wrong_file_name_is_refused(folder: Path):
    (folder / "00.mid").rename(folder.parent / "tune.txt")
    with pytest.raises(CorpusError, match=r"tune\.txt is a MIDI file under another name.*: end its name in \.mid"):
        open_corpus("tune.txt")


@pytest.mark.parametrize("tokenizer", ["notes", "chords", "characters"])
def test_music_round_trips_through_ids(tokenizer: str, tmp_path: Path):
    for number in range(22):
        write_midi(tmp_path / "tunes" / f"{number:02}.mid", random_piece(number))
    encoded = encode_text(tmp_path / "tunes", tmp_path / "encoded", tokenizer)  # pyright: ignore[reportArgumentType]
    tokens, dataset = encoded.dataset.codec.vocabulary.tokens, encoded.dataset
    if tokenizer == "chords":
        assert not any(token.startswith(("+", "=", "v")) for token in tokens)
        assert dataset.notes == ("read 22 MIDI files as pitches without lengths",)
    else:
        encoded.assert_round_trip()
        assert dataset.file_and_line(0) == ("00.mid", 1)


def test_preludes_are_24_different_pieces():
    files = [read_midi(path) for path in PRELUDES]
    assert not any(file.faults for file in files)
    pieces = [file.piece for file in files]
    assert len({piece.keys[0][1] for piece in pieces}) == 24
    assert len({piece.metres for piece in pieces}) >= 4
    assert len({round(piece.tempos[0][1]) for piece in pieces}) >= 12
    for piece in pieces:
        assert len(piece.notes) > 300
        assert {bar.end - bar.begin for bar in piece.bars()} == {piece.metres[0][1].length(piece.resolution)}
        last = [note.pitch for note in piece.notes if note.end == piece.end]
        assert min(last) % 12 == max(last) % 12 == piece.keys[0][1].tonic.half_steps % 12
        assert min(note.pitch for note in piece.notes) < 48 < 72 < max(note.pitch for note in piece.notes)


def test_preludes_equal_output_of_script(tmp_path: Path):
    from bench.preludes import main

    main(tmp_path)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [path.name for path in PRELUDES]
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == [path.read_bytes() for path in PRELUDES]


def test_preludes_open_by_name(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch):
    corpus = open_corpus("preludes")
    assert len(passage_texts(corpus)) == 24
    monkeypatch.chdir(bundled_data().parent)  # where data/preludes is a folder of the working folder, too
    (preludes,) = (text for text in known_texts() if text.name == "preludes")
    assert preludes.location == "bundled"
    assert open_corpus("preludes").files == corpus.files
