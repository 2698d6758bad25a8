"""Tunes that are nearly the same are on one side of the split, and copies are learned from alone."""

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.texts import write_text
from wordgen.corpus.catalogue import SPLITS
from wordgen.corpus.corpus import Corpus
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.settings import ReadingSettings
from wordgen.dataset.encoding import prepare
from wordgen.dataset.splits import NO_SPLIT, Splitting
from wordgen.errors import CorpusError
from wordgen.music.abc_text import numbered, transposed
from wordgen.music.harmony import Key
from wordgen.text.settings import TextSettings


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
