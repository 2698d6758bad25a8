"""Each passage is in one split, near duplicates of a tune in the same one, and each split is spread over the text."""

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
from wordgen.dataset.splits import FEWEST_PASSAGES, NO_SPLIT, Shares, Splitting, splits_of
from wordgen.errors import CorpusError, SettingError
from wordgen.music.abc_text import numbered, transposed
from wordgen.music.harmony import Key
from wordgen.text.settings import TextSettings

USUAL: Shares = (0.05, 0.05)
SHARES = st.tuples(st.floats(0.005, 0.5), st.floats(0.005, 0.5)).filter(lambda each: sum(each) <= 0.9)


def all_splits(passages: int, of: Shares = USUAL) -> list[Split]:
    return [SPLITS[split] for split in splits_of(np.arange(passages), passages, of)]


def shares(passages: int, of: Shares = USUAL) -> dict[str, float]:
    counted = Counter(all_splits(passages, of))
    return {split: counted[split] / passages for split in ("train", "valid", "test")}


@given(st.integers(FEWEST_PASSAGES, 3000))
def test_no_split_is_empty_and_most_is_for_training(passages: int):
    found = shares(passages)
    assert found["valid"] > 0
    assert found["test"] > 0
    assert found["train"] >= 1 / 3


@given(st.integers(400, 100_000))
def test_ninety_five_five(passages: int):
    found = shares(passages)
    assert abs(found["valid"] - 0.05) < 0.01
    assert abs(found["test"] - 0.05) < 0.01


@given(st.integers(1000, 20_000))
def test_every_tenth_of_the_text_has_its_part(passages: int):
    splits = all_splits(passages)
    for tenth in range(10):
        assert set(splits[tenth * passages // 10 : (tenth + 1) * passages // 10]) == {"train", "valid", "test"}


@given(st.integers(2, 40), st.integers(2000, 5000))
def test_no_rhythm_of_the_text_fills_a_split(rhythm: int, passages: int):
    """A book that repeats title, story, moral must not validate on its titles alone."""
    counted = Counter(passage % rhythm for passage, split in enumerate(all_splits(passages)) if split == "valid")
    assert max(counted.values()) < 0.75 * counted.total()


def test_the_split_is_this_one_for_ever():
    """Runs of different versions must be comparable: a change here is a change of every figure."""
    splits = all_splits(60)
    assert [passage for passage in range(60) if splits[passage] == "valid"] == [9, 22, 55]
    assert [passage for passage in range(60) if splits[passage] == "test"] == [19, 32, 45]


@given(st.integers(FEWEST_PASSAGES, 3000), st.integers(0, 2999), st.integers(1, 500))
def test_a_part_of_the_passages_has_the_splits_it_has_in_the_whole(passages: int, first: int, count: int):
    some = np.arange(min(first, passages - 1), min(first + count, passages))
    assert [SPLITS[split] for split in splits_of(some, passages)] == all_splits(passages)[some[0] : some[-1] + 1]


@given(st.integers(FEWEST_PASSAGES, 3000), SHARES)
def test_no_split_is_empty_whatever_its_share(passages: int, of: Shares):
    assert set(all_splits(passages, of)) == {"train", "valid", "test"}


@given(st.integers(500, 100_000), SHARES)
def test_each_split_has_the_share_that_it_is_given(passages: int, of: Shares):
    found = shares(passages, of)
    for split, share in zip(("valid", "test"), of, strict=True):
        assert abs(found[split] - share) < 0.01, split


@given(st.integers(2000, 20_000), st.floats(0.05, 0.5), st.floats(0.05, 0.4))
def test_every_tenth_of_the_text_has_its_part_of_any_share(passages: int, valid: float, test: float):
    splits = all_splits(passages, (valid, test))
    for tenth in range(10):
        assert set(splits[tenth * passages // 10 : (tenth + 1) * passages // 10]) == {"train", "valid", "test"}


@given(st.integers(FEWEST_PASSAGES, 3000), SHARES, st.floats(0.005, 0.2))
def test_the_validation_share_does_not_change_the_test_set(passages: int, of: Shares, less: float):
    """A larger validation set takes passages only from the training set, so test figures can be compared."""
    if passages < 20:
        return
    one, other = all_splits(passages, (less, of[1])), all_splits(passages, of)
    assert [split == "test" for split in one] == [split == "test" for split in other]


@pytest.mark.parametrize(("valid", "test"), [(0.0, 0.1), (0.1, 0.6), (0.001, 0.1)])
def test_a_share_out_of_bounds_is_refused(valid: float, test: float):
    with pytest.raises(SettingError, match=r"--(validation|test)-share must be at least 0\.005 and at most 0\.5"):
        TextSettings(validation_share=valid, test_share=test)


def test_something_is_left_to_train_on():
    with pytest.raises(SettingError, match="together take 95% of the text: leave at least 10% for training"):
        TextSettings(validation_share=0.5, test_share=0.45)


def made_up(seed: int) -> str:
    draw = np.random.default_rng(seed)
    music = "|".join("".join(draw.choice(list("DEFGABcdefg"), 8)) for _ in range(8))
    return f"T:{seed}\nM:4/4\nL:1/8\nK:G\n{music}|]"


def splits(corpus: Corpus) -> list[int]:
    passages = [file for file, _ in corpus.reading().passages()]
    return Splitting(corpus).of(np.arange(len(passages)), np.array(passages, np.uint32), len(passages)).tolist()


def test_near_duplicates_are_in_one_split_in_whatever_key(tmp_path: Path):
    tunes = [made_up(seed) for seed in range(60)]
    doubles = [transposed(tune, Key.of_signature(-3)) or "" for tune in tunes]
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", numbered([*tunes, *doubles])))
    found = splits(corpus)
    assert found[:60] == found[60:]
    assert set(found) == {0, 1, 2}
    assert found[:60].count(0) > 48


def test_copies_of_what_is_held_out_are_in_no_split(tmp_path: Path):
    tunes = [made_up(seed) for seed in range(40)]
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", numbered(tunes)), ReadingSettings(transpose="augment"))
    found = splits(corpus)
    held_out = sum(split > 0 for split in found[:40])
    assert len(found) == 5 * 40
    assert set(found[40:]) == {0, NO_SPLIT}
    assert found[40:].count(NO_SPLIT) == 4 * held_out
    dataset = prepare(corpus, TextSettings(min_count=1), tmp_path / "encoded")
    counted = {split: dataset.statistics[split].passages for split in SPLITS}
    assert counted["train"] == 5 * (40 - held_out)
    assert counted["valid"] + counted["test"] == held_out
    assert dataset.codec.tokenizer.name == "abc"
    assert dataset.text.transpose == "augment"


def test_a_dataset_of_tunes_gives_them_back(tmp_path: Path):
    tunes = [made_up(seed) for seed in range(10)]
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", numbered(tunes)), ReadingSettings(transpose="none"))
    dataset = prepare(corpus, TextSettings(min_count=1), tmp_path / "encoded")
    assert dataset.codec.decode(dataset.ids["train"]).strip() == "\n\n".join(tunes[:8])
    assert dataset.text.transpose == "none"


def test_a_line_of_a_tune_is_found_again(tmp_path: Path):
    """Where a place of the ids stands in the file, with a number and a comment before it."""
    tunes = [made_up(seed).replace("\nK:G", "\n% a remark\nK:G") for seed in range(10)]
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", numbered(tunes)))
    dataset = prepare(corpus, TextSettings(min_count=1), tmp_path / "encoded")
    key = dataset.codec.vocabulary.tokens.index("K:C")
    places = np.flatnonzero(dataset.ids["train"] == key)
    lines = (tmp_path / "tunes.abc").read_text().split("\n")
    assert len(places) == 8
    assert all(lines[dataset.source(place)[1] - 1] == "K:G" for place in places.tolist())


def test_too_few_different_tunes_are_refused(tmp_path: Path):
    doubles = [made_up(1), transposed(made_up(1), Key.of_signature(0)) or "", made_up(2), made_up(2)]
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", numbered(doubles)))
    with pytest.raises(CorpusError, match=r"4 tune\(s\), 2 of them different"):
        prepare(corpus, TextSettings(), tmp_path / "encoded")


def test_a_file_without_any_tune_is_refused(tmp_path: Path):
    corpus = open_corpus(write_text(tmp_path / "tunes.abc", "Only words.\n\nX:1\nT:No notes\nK:G\n"))
    with pytest.raises(CorpusError, match="has no tune with a key"):
        prepare(corpus, TextSettings(), tmp_path / "encoded")
