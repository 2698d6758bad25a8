"""How good music is: real tunes are right, copies are found, histograms overlap themselves by 1."""

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
from tests.helpers.tunes import ABC_TEXTS, TUNE
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
from wordgen.music.abc_parsing import check, parse_tune
from wordgen.music.abc_text import COPIES, copy_of, numbered
from wordgen.music.piece import Piece, piece_of_notes
from wordgen.text.tokenizers import tokenizer_named

AIRS = passages_by_split(open_corpus("airs"))
PRELUDES = {chords: passages_by_split(open_corpus("preludes"), chords=chords) for chords in (False, True)}


def written(texts: Sequence[str], ended: Ended = "end") -> list[Text]:
    return [Text("", text, (), (), (), ended, (), GenerationSettings(), 1, 0) for text in texts]


def compared(texts: Sequence[str], kind: MusicKind = "tunes", ended: Ended = "end", beside: str = "b.abc") -> Music:
    sets = AIRS if kind == "tunes" else PRELUDES[kind == "chords"]
    return compared_music(kind, written(texts, ended), sets["test"], sets["train"], 400, beside)


def test_held_out_tunes_parse_and_add_up_and_each_set_has_its_tunes():
    found = compared(AIRS["valid"])
    of_sets = (found.generated, AIRS["valid"]), (found.held_out, AIRS["test"]), (found.training, AIRS["train"])
    for figures, tunes in of_sets:
        assert isinstance(figures, TuneFigures)
        assert figures.tunes == len(tunes)
        assert figures.notes == notes_in("tunes", tunes)
        assert [share for _, share in figures.form()] == [1] * 5
    assert sum(map(len, AIRS.values())) == 132


def test_tunes_of_the_training_set_in_another_key_are_copies():
    copies = [copy for tune in AIRS["train"] if (copy := copy_of(tune, 4)) is not None]
    found = compared(copies)
    assert len(copies) == len(AIRS["train"])
    assert found.generated.copied is not None
    assert found.generated.copied.share == 1
    assert found.generated.overlap == Overlap(1, 1, 1)
    assert found.verdict is not None
    assert "they copy more than the tunes of b.abc (100.0% of their notes" in found.verdict


@pytest.mark.parametrize("kind", ["notes", "chords"])
def test_pieces_have_the_figures_that_mean_something(kind: MusicKind):
    sets = PRELUDES[kind == "chords"]
    found = compared(sets["train"][:3], kind, beside="the held-out text")
    own, held_out, training = found.generated, found.held_out, found.training
    assert isinstance(own, PieceFigures)
    assert isinstance(held_out, PieceFigures)
    assert own.copied is not None
    assert own.copied.share == 1
    assert held_out.notes == notes_in(kind, sets["test"]) > 100
    assert training is not None
    assert training.overlap is None
    names = [row[0] for row in found.rows()]
    timed = kind == "notes"
    assert ("overlap of lengths" in names) == ("notes per quarter note" in names) == timed
    assert "parse" not in names
    assert held_out.notes_at_once is not None
    assert held_out.notes_at_once > 1
    assert all(len(row) == len(found.columns) + 1 == 4 for row in found.rows())
    assert found.verdict is not None
    assert "the held-out pieces" in found.verdict


def test_tunes_with_faults_are_counted_by_their_faults():
    broken = [TUNE, TUNE.removesuffix(":|"), TUNE.replace("|:", "|:$", 1), TUNE.replace("cBA", "cB"), "", "X"]
    found = compared(broken, ended="length").generated
    assert isinstance(found, TuneFigures)
    shares = [found.parse, found.bars_add_up, found.repeats_add_up, found.never_end]
    assert shares == pytest.approx([2 / 6, 1 / 6, 1 / 6, 1])
    assert found.end_on_tonic == pytest.approx(4 / 6)


@given(st.lists(ABC_TEXTS, max_size=3), st.booleans())
def test_any_text_has_figures_between_none_and_all(texts: list[str], alone: bool):
    training = None if alone else AIRS["train"][:3]
    found = compared_music("tunes", written(texts), texts[:1], training, 400)
    for figures in (found.generated, found.held_out):
        assert isinstance(figures, TuneFigures)
        assert all(share is None or 0 <= share <= 1 for _, share in figures.form())
        assert (figures.copied is None) == (figures.overlap is None) == alone
        assert (figures.parse is None) == (figures.tunes == 0)
    assert not any(set(row[1:]) == {NONE} for row in found.rows())
    assert found.verdict is None or found.verdict.endswith(".")
    assert len(found.columns) == (2 if alone else 3)


@given(st.floats(1, 1e6), st.integers(1, 10**6), st.integers(1, 10**6))
def test_bits_a_note_times_the_notes_are_the_nats(nats: float, tokens: int, notes: int):
    told = Loss(nats, tokens).to_mapping(10, notes)["bits_per_note"]
    assert told is not None
    assert told * notes * 0.6931471805599453 == pytest.approx(nats)
    assert Loss(nats, tokens).to_mapping(10)["bits_per_note"] is None


GOOD = TuneFigures(50, 5000, 1.0, 1.0, 0.95, 0.9, None, 0.9, 0.3, Copied(0.03, 20), Overlap(0.95, 0.95, 0.95))
PIECE = PieceFigures(50, 5000, 3.0, 1.5, Copied(0.03, 20), Overlap(0.9, 0.9, None))


@pytest.mark.parametrize(
    ("own", "beside", "said"),
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
def test_the_verdict_says_what_differs(own: TuneFigures | PieceFigures, beside: TuneFigures | PieceFigures, said: str):
    training = replace(GOOD if isinstance(own, TuneFigures) else PIECE, overlap=None)
    found = Music(own, beside, training, "the held-out text", 400)
    assert found.verdict is not None
    assert said in found.verdict


def mutated(count: int) -> list[str]:
    """Tunes in which one or two tokens of the music are left out, replaced or put in."""
    dice = random.Random(1)
    tunes: list[str] = []
    for _ in range(count):
        tokens, others = (tokenizer_named("abc").tokenize(dice.choice(AIRS["train"])) for _ in range(2))
        begin = next(at for at, token in enumerate(tokens) if token.startswith("K:")) + 2
        for _ in range(dice.choice([1, 2])):
            at = dice.randrange(begin, len(tokens))
            tokens[at : at + dice.randrange(2)] = [dice.choice(others)] if dice.randrange(3) else []
        tunes.append("".join(tokens))
    return tunes


def complaints(program: str, tune: str, folder: Path) -> list[str]:
    """The errors that another program for ABC finds. What it says of missing ends of repeats is another reading."""
    (folder / "tune.abc").write_text(numbered([tune]), encoding="utf-8")
    how = ["-c"] if program == "abc2midi" else ["-O", "tune.ps"]
    ended = subprocess.run([program, "tune.abc", *how], cwd=folder, capture_output=True, check=False, timeout=60)
    lines = (ended.stdout + ended.stderr).decode("utf-8", "replace").split("\n")
    return [line for line in lines if "error" in line.lower() and "repeat" not in line and "Missing :|" not in line]


@pytest.mark.slow
@pytest.mark.parametrize("program", ["abc2midi", "abcm2ps"])
def test_outside_judges_find_no_errors_where_the_checker_finds_no_faults(program: str, tmp_path: Path):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    assert [complaints(program, tune, tmp_path) for tune in AIRS["test"]] == [[]] * len(AIRS["test"])
    changed = mutated(200)
    good = [tune for tune in changed if not check(tune)]
    bad = [tune for tune in changed if {fault.kind for fault in check(tune)} & {"header", "sign"}]
    assert min(len(good), len(bad)) > 20
    assert sum(bool(complaints(program, tune, tmp_path)) for tune in good) <= 0.05 * len(good)
    if program == "abc2midi":
        assert sum(bool(complaints(program, tune, tmp_path)) for tune in bad) > 0.5 * len(bad)


COUNTS = st.dictionaries(st.integers(0, 9), st.integers(1, 1000), min_size=1).map(Counter[object])


@given(COUNTS, COUNTS)
def test_an_overlap_is_a_share_and_the_same_in_both_directions(one: Counter[object], other: Counter[object]):
    found = overlap(one, other)
    assert found is not None
    assert 0 <= found <= 1
    assert found == overlap(other, one)
    assert (found == 0) == (not one.keys() & other.keys())


@given(COUNTS, st.integers(1, 9))
def test_an_overlap_of_a_set_with_itself_is_one_and_with_a_disjoint_set_zero(one: Counter[object], times: int):
    assert overlap(one, one) == overlap(one, Counter({each: times * count for each, count in one.items()})) == 1
    assert overlap(one, Counter({("other", each): count for each, count in one.items()})) == 0
    assert overlap(one, Counter()) is None


def test_half_of_the_notes_in_common_are_half_of_an_overlap():
    assert overlap(Counter("aabb"), Counter("bbcc")) == 0.5


@given(pieces(), st.integers(-3, 3))
def test_each_note_of_a_piece_counts_once(piece: Piece, moved: int):
    found, higher = Histograms(), Histograms()
    found.add_piece(piece)
    notes = tuple(note._replace(pitch=note.pitch + moved) for note in piece.notes)
    higher.add_piece(Piece(tuple(sorted(notes)), piece.resolution))
    onsets = len({note.onset for note in piece.notes})
    assert (found.pitch_classes.total(), found.lengths.total()) == (len(piece.notes), len(piece.notes))
    assert found.intervals.total() == onsets - 1
    assert (found.intervals, found.lengths) == (higher.intervals, higher.lengths)


def test_intervals_are_those_between_the_highest_notes():
    found = Histograms()
    found.add_piece(piece_of_notes("C3 =12 E4 =12 +12 G4 =12 +12 C3 =12 D4 =12"))
    assert found.intervals == Counter({3: 1, -5: 1})


@pytest.mark.parametrize("number", range(COPIES))
def test_a_transposed_tune_has_the_same_histograms(number: int):
    for text in passage_texts(open_corpus("airs"))[::9]:
        copy = copy_of(text, number)
        if copy is not None:
            found, moved = Histograms(), Histograms()
            found.add_tune(parse_tune(text))
            moved.add_tune(parse_tune(copy))
            assert found == moved


def test_a_tune_in_no_key_has_no_pitch_classes():
    found = Histograms()
    found.add_tune(parse_tune("M:4/4\nL:1/8\nK:none\nC4D4|]"))
    assert not found.pitch_classes
    assert found.intervals == Counter({2: 1})
