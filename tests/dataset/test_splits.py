"""Each passage is in one split, near duplicates of a tune are in the same one, and splits spread over the text."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.texts import write_text
from wordgen.corpus.catalogue import SPLITS, Split
from wordgen.corpus.corpus import Corpus
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.settings import ReadingSettings
from wordgen.dataset.encoding import prepare
from wordgen.dataset.splits import MIN_PASSAGES, NO_SPLIT, Shares, Splitting, splits_of
from wordgen.errors import CorpusError, SettingError
from wordgen.music.abc_text import numbered, transposed
from wordgen.music.harmony import Key
from wordgen.text.settings import TextSettings

DEFAULT_SHARES: Shares = (0.05, 0.05)
SHARES = st.tuples(st.floats(0.005, 0.5), st.floats(0.005, 0.5)).filter(lambda pair: sum(pair) <= 0.9)


def all_splits(passages: int, split_shares: Shares = DEFAULT_SHARES) -> list[Split]:
    return [SPLITS[split] for split in splits_of(np.arange(passages), passages, split_shares)]


def measured_shares(passages: int, split_shares: Shares = DEFAULT_SHARES) -> dict[str, float]:
    counted = Counter(all_splits(passages, split_shares))
    return {split: counted[split] / passages for split in ("train", "valid", "test")}


@given(st.integers(MIN_PASSAGES, 3000))
def test_training_set_has_at_least_a_third_by_default(passages: int):
    assert measured_shares(passages)["train"] >= 1 / 3


@given(st.integers(2, 40), st.integers(2000, 5000))
def test_periodic_text_is_spread_over_splits(period: int, passages: int):
    """If a book repeats title, story and moral, its validation set must not be only titles."""
    counts = Counter(passage % period for passage, split in enumerate(all_splits(passages)) if split == "valid")
    assert max(counts.values()) < 0.75 * counts.total()


def test_splits_never_change():
    """Else runs of different versions of wordgen could not be compared."""
    splits = all_splits(60)
    assert [passage for passage in range(60) if splits[passage] == "valid"] == [9, 22, 55]
    assert [passage for passage in range(60) if splits[passage] == "test"] == [19, 32, 45]


@given(st.integers(MIN_PASSAGES, 3000), st.integers(0, 2999), st.integers(1, 500))
def test_splits_of_some_passages_equal_splits_of_all(passages: int, first: int, count: int):
    part = np.arange(min(first, passages - 1), min(first + count, passages))
    assert [SPLITS[split] for split in splits_of(part, passages)] == all_splits(passages)[part[0] : part[-1] + 1]


@given(st.integers(MIN_PASSAGES, 3000), st.just(DEFAULT_SHARES) | SHARES)
def test_no_split_is_empty(passages: int, split_shares: Shares):
    assert set(all_splits(passages, split_shares)) == {"train", "valid", "test"}


@given(st.integers(400, 100_000), st.just(DEFAULT_SHARES) | SHARES)
def test_splits_have_the_given_shares(passages: int, split_shares: Shares):
    measured = measured_shares(passages, split_shares)
    for split, share in zip(("valid", "test"), split_shares, strict=True):
        assert abs(measured[split] - share) < 0.01, split


@given(st.integers(1000, 20_000), st.just(DEFAULT_SHARES) | st.tuples(st.floats(0.05, 0.5), st.floats(0.05, 0.4)))
def test_every_tenth_of_text_has_passages_of_all_splits(passages: int, split_shares: Shares):
    splits = all_splits(passages, split_shares)
    for tenth in range(10):
        assert set(splits[tenth * passages // 10 : (tenth + 1) * passages // 10]) == {"train", "valid", "test"}


@given(st.integers(MIN_PASSAGES, 3000), SHARES, st.floats(0.005, 0.2))
def test_validation_share_does_not_change_test_set(passages: int, split_shares: Shares, validation_share: float):
    """A larger validation set takes passages only from the training set, so test figures can be compared."""
    if passages < 20:
        return
    one, other = all_splits(passages, (validation_share, split_shares[1])), all_splits(passages, split_shares)
    assert [split == "test" for split in one] == [split == "test" for split in other]


@pytest.mark.parametrize(("valid", "test"), [(0.0, 0.1), (0.1, 0.6), (0.001, 0.1)])
def test_share_out_of_bounds_is_refused(valid: float, test: float):
    with pytest.raises(SettingError, match=r"--(validation|test)-share must be at least 0\.005 and at most 0\.5"):
        TextSettings(validation_share=valid, test_share=test)


def test_shares_that_leave_too_little_training_text_are_refused():
    with pytest.raises(SettingError, match="together take 95% of the text: leave at least 10% for training"):
        TextSettings(validation_share=0.5, test_share=0.45)


def random_tune(seed: int) -> str:
    rng = np.random.default_rng(seed)
    music = "|".join("".join(rng.choice(list("DEFGABcdefg"), 8)) for _ in range(8))
    return f"T:{seed}\nM:4/4\nL:1/8\nK:G\n{music}|]"


def splits_of_corpus(corpus: Corpus) -> list[int]:
    files = [file for file, _ in corpus.reading().passages()]
    return Splitting(corpus).assign(np.arange(len(files)), np.array(files, np.uint32), len(files)).tolist()


def test_near_duplicates_are_in_same_split_in_any_key(tmp_path: Path):
    tunes = [random_tune(seed) for seed in range(60)]
    duplicates = [transposed(tune, Key.of_signature(-3)) or "" for tune in tunes]
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", numbered([*tunes, *duplicates])))
    splits = splits_of_corpus(corpus)
    assert splits[:60] == splits[60:]
    assert set(splits) == {0, 1, 2}
    assert splits[:60].count(0) > 48


def test_transposed_copies_of_held_out_tunes_are_in_no_split(tmp_path: Path):
    tunes = [random_tune(seed) for seed in range(40)]
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", numbered(tunes)), ReadingSettings(transpose="augment"))
    splits = splits_of_corpus(corpus)
    held_out = sum(split > 0 for split in splits[:40])
    assert len(splits) == 5 * 40
    assert set(splits[40:]) == {0, NO_SPLIT}
    assert splits[40:].count(NO_SPLIT) == 4 * held_out
    dataset = prepare(corpus, TextSettings(min_count=1), tmp_path / "encoded")
    passages = {split: dataset.statistics[split].passages for split in SPLITS}
    assert passages["train"] == 5 * (40 - held_out)
    assert passages["valid"] + passages["test"] == held_out
    assert dataset.codec.tokenizer.name == "abc"
    assert dataset.text.transpose == "augment"


def test_tunes_round_trip_through_dataset(tmp_path: Path):
    tunes = [random_tune(seed) for seed in range(10)]
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", numbered(tunes)), ReadingSettings(transpose="none"))
    dataset = prepare(corpus, TextSettings(min_count=1), tmp_path / "encoded")
    assert dataset.codec.decode(dataset.ids["train"]).strip() == "\n\n".join(tunes[:8])
    assert dataset.text.transpose == "none"


def test_line_numbers_of_tunes_count_removed_lines(tmp_path: Path):
    tunes = [random_tune(seed).replace("\nK:G", "\n% a remark\nK:G") for seed in range(10)]
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", numbered(tunes)))
    dataset = prepare(corpus, TextSettings(min_count=1), tmp_path / "encoded")
    key = dataset.codec.vocabulary.tokens.index("K:C")
    positions = np.flatnonzero(dataset.ids["train"] == key)
    lines = (tmp_path / "tunes.abc").read_text().split("\n")
    assert len(positions) == 8
    assert all(lines[dataset.file_and_line(position)[1] - 1] == "K:G" for position in positions.tolist())


def test_too_few_different_tunes_are_refused(tmp_path: Path):
    duplicates = [random_tune(1), transposed(random_tune(1), Key.of_signature(0)) or "", random_tune(2), random_tune(2)]
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", numbered(duplicates)))
    with pytest.raises(CorpusError, match=r"4 tune\(s\), 2 of them different"):
        prepare(corpus, TextSettings(), tmp_path / "encoded")


def test_file_without_tunes_is_refused(tmp_path: Path):
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", "Only words.\n\nX:1\nT:No notes\nK:G\n"))
    with pytest.raises(CorpusError, match="has no tune with a key"):
        prepare(corpus, TextSettings(), tmp_path / "encoded")
