"""Figures of music: bundled tunes have no faults, copies are found, a histogram overlaps itself by 1."""

import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.music import pieces
from tests.helpers.texts import passage_texts
from tests.helpers.tunes import ABC_TEXTS, TUNE, check
from wordgen.corpus.finding import open_corpus
from wordgen.dataset.splits import passages_by_split
from wordgen.evaluation.figures import NONE
from wordgen.evaluation.measurement import Loss
from wordgen.evaluation.music import (
    Copied,
    Histograms,
    Music,
    MusicKind,
    Overlap,
    PieceFigures,
    TuneFigures,
    compared_music,
    notes_in,
    overlap,
)
from wordgen.generation.settings import GenerationSettings
from wordgen.generation.texts import Ended, Text
from wordgen.music.abc_parsing import parse_tune
from wordgen.music.abc_text import COPIES, copy_in_other_key, numbered
from wordgen.music.piece import Piece, piece_of_notes
from wordgen.text.tokenizers import tokenizer_named

AIRS = passages_by_split(open_corpus("airs"))
PRELUDES = {chords: passages_by_split(open_corpus("preludes"), chords=chords) for chords in (False, True)}


def generated_texts(texts: Sequence[str], ended: Ended = "end") -> list[Text]:
    return [Text("", text, (), (), (), ended, (), GenerationSettings(), 1, 0) for text in texts]


def compare(
    texts: Sequence[str], kind: MusicKind = "tunes", ended: Ended = "end", held_out_name: str = "b.abc"
) -> Music:
    sets = AIRS if kind == "tunes" else PRELUDES[kind == "chords"]
    return compared_music(kind, generated_texts(texts, ended), sets["test"], sets["train"], 400, held_out_name)


def test_bundled_tunes_of_all_sets_have_no_faults():
    music = compare(AIRS["valid"])
    for figures, tunes in (
        (music.generated, AIRS["valid"]),
        (music.held_out, AIRS["test"]),
        (music.training, AIRS["train"]),
    ):
        assert isinstance(figures, TuneFigures)
        assert figures.tunes == len(tunes)
        assert figures.notes == notes_in("tunes", tunes)
        assert [share for _, share in figures.form_shares()] == [1] * 5
    assert sum(map(len, AIRS.values())) == 132


def test_transposed_training_tunes_are_copied_whole():
    copies = [copy for tune in AIRS["train"] if (copy := copy_in_other_key(tune, 4)) is not None]
    music = compare(copies)
    assert len(copies) == len(AIRS["train"])
    assert music.generated.copied is not None
    assert music.generated.copied.share == 1
    assert music.generated.overlap == Overlap(1, 1, 1)
    assert music.verdict is not None
    assert "they copy more than the tunes of b.abc (100.0% of their notes" in music.verdict


@pytest.mark.parametrize("kind", ["notes", "chords"])
def test_pieces_have_only_figures_of_their_kind(kind: MusicKind):
    sets = PRELUDES[kind == "chords"]
    music = compare(sets["train"][:3], kind, held_out_name="the held-out text")
    own, held_out, training = music.generated, music.held_out, music.training
    assert isinstance(own, PieceFigures)
    assert isinstance(held_out, PieceFigures)
    assert own.copied is not None
    assert own.copied.share == 1
    assert held_out.notes == notes_in(kind, sets["test"]) > 100
    assert training is not None
    assert training.overlap is None
    names = [row[0] for row in music.rows()]
    has_lengths = kind == "notes"
    assert ("overlap of lengths" in names) == ("notes per quarter note" in names) == has_lengths
    assert "parse" not in names
    assert held_out.notes_at_once is not None
    assert held_out.notes_at_once > 1
    assert all(len(row) == len(music.columns) + 1 == 4 for row in music.rows())
    assert music.verdict is not None
    assert "the held-out pieces" in music.verdict


def test_figures_count_tunes_by_their_faults():
    texts = [TUNE, TUNE.removesuffix(":|"), TUNE.replace("|:", "|:$", 1), TUNE.replace("cBA", "cB"), "", "X"]
    figures = compare(texts, ended="length").generated
    assert isinstance(figures, TuneFigures)
    shares = [figures.parse, figures.bars_add_up, figures.repeats_add_up, figures.never_end]
    assert shares == pytest.approx([2 / 6, 1 / 6, 1 / 6, 1])
    assert figures.end_on_tonic == pytest.approx(4 / 6)


@given(st.lists(ABC_TEXTS, max_size=3), st.booleans())
def test_shares_of_any_texts_are_between_zero_and_one(texts: list[str], without_training: bool):
    training = None if without_training else AIRS["train"][:3]
    music = compared_music("tunes", generated_texts(texts), texts[:1], training, 400)
    for figures in (music.generated, music.held_out):
        assert isinstance(figures, TuneFigures)
        assert all(share is None or 0 <= share <= 1 for _, share in figures.form_shares())
        assert (figures.copied is None) == (figures.overlap is None) == without_training
        assert (figures.parse is None) == (figures.tunes == 0)
    assert not any(set(row[1:]) == {NONE} for row in music.rows())
    assert music.verdict is None or music.verdict.endswith(".")
    assert len(music.columns) == (2 if without_training else 3)


@given(st.floats(1, 1e6), st.integers(1, 10**6), st.integers(1, 10**6))
def test_bits_per_note_times_notes_are_bits_of_all_tokens(nats: float, tokens: int, notes: int):
    bits = Loss(nats, tokens).to_mapping(10, notes)["bits_per_note"]
    assert bits is not None
    assert bits * notes * 0.6931471805599453 == pytest.approx(nats)
    assert Loss(nats, tokens).to_mapping(10)["bits_per_note"] is None


GOOD = TuneFigures(50, 5000, 1.0, 1.0, 0.95, 0.9, None, 0.9, 0.3, Copied(0.03, 20), Overlap(0.95, 0.95, 0.95))
PIECE = PieceFigures(50, 5000, 3.0, 1.5, Copied(0.03, 20), Overlap(0.9, 0.9, None))


@pytest.mark.parametrize(
    ("own", "held_out", "expected"),
    [
        (GOOD, GOOD, "The generated tunes are as well formed as the held-out tunes; they copy as much as"),
        (
            replace(GOOD, parse=0.8, end_on_tonic=0.4),
            GOOD,
            "worse than the held-out tunes: 80% against 100% parse, 40% against 90% end on the tonic; they",
        ),
        (replace(GOOD, tunes=5, parse=0.8), replace(GOOD, tunes=5), "may be worse than the held-out tunes, but"),
        (replace(GOOD, tunes=30, parse=0.8), replace(GOOD, tunes=2), "worse than the training tunes: 80% against"),
        (replace(GOOD, copied=Copied(0.4, 50)), GOOD, "they copy more than the held-out tunes (40.0% of their notes"),
        (GOOD, replace(GOOD, copied=Copied(0.5, 50)), "they copy less than the held-out tunes (3.0% of their notes"),
        (
            replace(GOOD, tunes=3, copied=Copied(0.1, 20)),
            GOOD,
            "whether they copy more than the held-out tunes (10.0% of their notes, against 3.0%) cannot be told",
        ),
        (
            PIECE,
            PIECE,
            "at least as similar to the training pieces as the held-out pieces (pitch classes, intervals); they copy",
        ),
        (
            replace(PIECE, overlap=Overlap(0.5, 0.9, None)),
            PIECE,
            "less similar to the training pieces than the held-out pieces: 50% against 90% in pitch classes; they",
        ),
    ],
)
def test_verdict_says_what_differs(
    own: TuneFigures | PieceFigures, held_out: TuneFigures | PieceFigures, expected: str
):
    training = replace(GOOD if isinstance(own, TuneFigures) else PIECE, overlap=None)
    verdict = Music(own, held_out, training, "the held-out text", 400).verdict
    assert verdict is not None
    assert expected in verdict


def mutated_tunes(count: int) -> list[str]:
    """Return tunes in which one or two tokens of the music are deleted, replaced or inserted."""
    rng = random.Random(1)
    tunes: list[str] = []
    for _ in range(count):
        tokens, others = (tokenizer_named("abc").tokenize(rng.choice(AIRS["train"])) for _ in range(2))
        begin = next(at for at, token in enumerate(tokens) if token.startswith("K:")) + 2
        for _ in range(rng.choice([1, 2])):
            at = rng.randrange(begin, len(tokens))
            tokens[at : at + rng.randrange(2)] = [rng.choice(others)] if rng.randrange(3) else []
        tunes.append("".join(tokens))
    return tunes


def errors_of_program(program: str, tune: str, folder: Path) -> list[str]:
    """Return the errors that another ABC program reports, except missing ends of repeats, on which programs differ."""
    (folder / "tune.abc").write_text(numbered([tune]), encoding="utf-8")
    options = ["-c"] if program == "abc2midi" else ["-O", "tune.ps"]
    process = subprocess.run([program, "tune.abc", *options], cwd=folder, capture_output=True, check=False, timeout=60)
    lines = (process.stdout + process.stderr).decode("utf-8", "replace").split("\n")
    return [line for line in lines if "error" in line.lower() and "repeat" not in line and "Missing :|" not in line]


@pytest.mark.slow
@pytest.mark.parametrize("program", ["abc2midi", "abcm2ps"])
def test_other_abc_programs_agree_with_checker(program: str, tmp_path: Path):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    assert [errors_of_program(program, tune, tmp_path) for tune in AIRS["test"]] == [[]] * len(AIRS["test"])
    tunes = mutated_tunes(200)
    good = [tune for tune in tunes if not check(tune)]
    bad = [tune for tune in tunes if {fault.kind for fault in check(tune)} & {"header", "sign"}]
    assert min(len(good), len(bad)) > 20
    assert sum(bool(errors_of_program(program, tune, tmp_path)) for tune in good) <= 0.05 * len(good)
    if program == "abc2midi":
        assert sum(bool(errors_of_program(program, tune, tmp_path)) for tune in bad) > 0.5 * len(bad)


COUNTS = st.dictionaries(st.integers(0, 9), st.integers(1, 1000), min_size=1).map(Counter[object])


@given(COUNTS, COUNTS)
def test_overlap_is_symmetric_and_between_zero_and_one(one: Counter[object], other: Counter[object]):
    share = overlap(one, other)
    assert share is not None
    assert 0 <= share <= 1
    assert share == overlap(other, one)
    assert (share == 0) == (not one.keys() & other.keys())


@given(COUNTS, st.integers(1, 9))
def test_overlap_with_itself_is_1_and_with_disjoint_counts_0(one: Counter[object], factor: int):
    assert overlap(one, one) == overlap(one, Counter({key: factor * count for key, count in one.items()})) == 1
    assert overlap(one, Counter({("other", key): count for key, count in one.items()})) == 0
    assert overlap(one, Counter()) is None


def test_overlap_is_half_if_half_of_counts_are_shared():
    assert overlap(Counter("aabb"), Counter("bbcc")) == 0.5


@given(pieces(), st.integers(-3, 3))
def test_histograms_count_each_note_once(piece: Piece, semitones: int):
    histograms, transposed = Histograms(), Histograms()
    histograms.add_piece(piece)
    notes = tuple(note._replace(pitch=note.pitch + semitones) for note in piece.notes)
    transposed.add_piece(Piece(tuple(sorted(notes)), piece.resolution))
    onsets = len({note.onset for note in piece.notes})
    assert (histograms.pitch_classes.total(), histograms.lengths.total()) == (len(piece.notes), len(piece.notes))
    assert histograms.intervals.total() == onsets - 1
    assert (histograms.intervals, histograms.lengths) == (transposed.intervals, transposed.lengths)


def test_intervals_are_between_highest_notes():
    histograms = Histograms()
    histograms.add_piece(piece_of_notes("C3 =12 E4 =12 +12 G4 =12 +12 C3 =12 D4 =12"))
    assert histograms.intervals == Counter({3: 1, -5: 1})


@pytest.mark.parametrize("number", range(COPIES))
def test_transposed_tune_has_same_histograms(number: int):
    for text in passage_texts(open_corpus("airs"))[::9]:
        copy = copy_in_other_key(text, number)
        if copy is not None:
            histograms, transposed = Histograms(), Histograms()
            histograms.add_tune(parse_tune(text))
            transposed.add_tune(parse_tune(copy))
            assert histograms == transposed


def test_tune_without_key_has_no_pitch_classes():
    histograms = Histograms()
    histograms.add_tune(parse_tune("M:4/4\nL:1/8\nK:none\nC4D4|]"))
    assert not histograms.pitch_classes
    assert histograms.intervals == Counter({2: 1})
