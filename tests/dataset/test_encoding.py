import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from tests.helpers.texts import passage_texts
from wordgen.corpus.catalogue import SPLITS, Split
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.settings import ReadingSettings
from wordgen.dataset.dataset import Dataset
from wordgen.dataset.encoding import fingerprint, prepare
from wordgen.dataset.splits import splits_of
from wordgen.errors import CorpusError
from wordgen.text.settings import TextSettings, TokenizerName
from wordgen.text.vocabulary import END, START, UNKNOWN


def all_splits(passages: int) -> list[Split]:
    return [SPLITS[split] for split in splits_of(np.arange(passages), passages)]


@pytest.fixture(scope="module")
def encoded_spells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spells")
    prepare(open_corpus("spells"), TextSettings(), folder)
    return folder


@pytest.fixture
def spells(encoded_spells: Path, tmp_path: Path) -> Dataset:
    """The dataset of the spells, which lies in the folder of the test."""
    shutil.copytree(encoded_spells, tmp_path, dirs_exist_ok=True)
    return prepare(open_corpus("spells"), TextSettings(), tmp_path)


def one_line_corpus(tmp_path: Path, lines: list[str]) -> str:
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def test_each_split_holds_its_passages_as_they_were(spells: Dataset, tmp_path: Path):
    everything = prepare(open_corpus("spells"), TextSettings(min_count=1, vocab_size=10**6), tmp_path)
    passages = passage_texts(open_corpus("spells"))
    for split in SPLITS:
        mine = [passage for passage, of in zip(passages, all_splits(len(passages)), strict=True) if of == split]
        decoded = everything.codec.decode(everything.ids[split]).split("\n")
        assert len(decoded) == len(mine) == spells.statistics[split].passages
        if split == "train":
            assert decoded == mine


def test_passages_are_enclosed(spells: Dataset):
    ids = np.asarray(spells.ids["train"])
    assert ids[0] == START
    assert ids[-1] == END
    assert (ids == START).sum() == (ids == END).sum() == spells.statistics["train"].passages


def test_the_vocabulary_is_that_of_the_training_passages_alone(tmp_path: Path):
    lines = ["the road goes on and on"] * 40
    valid = [number for number, split in enumerate(all_splits(40)) if split == "valid"]
    for number in valid:
        lines[number] = "strange strange strange words words"
    dataset = prepare(open_corpus(one_line_corpus(tmp_path, lines)), TextSettings(), tmp_path / "encoded")
    assert "road" in dataset.codec.vocabulary
    assert "strange" not in dataset.codec.vocabulary
    assert dataset.statistics["valid"].unknown == 5 * len(valid)


def test_statistics_are_those_of_the_ids(spells: Dataset):
    for split in SPLITS:
        ids = np.asarray(spells.ids[split])
        assert spells.statistics[split].tokens == (ids != START).sum()
        assert spells.statistics[split].unknown == (ids == UNKNOWN).sum()
    assert spells.statistics["train"].unknown_share > 0.05  # so UNKNOWN is learned


def test_ids_lie_in_the_smallest_type_that_holds_them(spells: Dataset, tmp_path: Path):
    few = prepare(open_corpus("spells"), TextSettings(vocab_size=200), tmp_path)
    assert few.ids["train"].dtype == np.uint8
    assert spells.ids["train"].dtype == np.uint16
    assert isinstance(spells.ids["train"], np.memmap)


def test_a_second_time_nothing_is_encoded(spells: Dataset, tmp_path: Path):
    def refuse(done: int, passages: int) -> None:
        raise AssertionError("encoded again")

    again = prepare(open_corpus("spells"), TextSettings(), tmp_path, progress=refuse)
    np.testing.assert_array_equal(again.ids["train"], spells.ids["train"])
    assert again.statistics == spells.statistics


@pytest.mark.parametrize(
    "settings", [TextSettings(vocab_size=50), TextSettings(min_count=3), TextSettings(tokenizer="characters")]
)
def test_other_settings_are_other_ids(spells: Dataset, tmp_path: Path, settings: TextSettings):
    assert len(prepare(open_corpus("spells"), settings, tmp_path).codec.vocabulary) != len(spells.codec.vocabulary)
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize(
    "harm", [lambda whole: whole[: len(whole) // 2], lambda whole: whole[:-9] + b"\1" * 9, lambda whole: b""]
)
@pytest.mark.parametrize("damage", ["train.npy", "vocabulary.json", "dataset.json"])
def test_damaged_ids_are_made_again(spells: Dataset, tmp_path: Path, damage: str, harm: Callable[[bytes], bytes]):
    (place,) = tmp_path.iterdir()
    whole = (place / damage).read_bytes()
    (place / damage).unlink()  # the array that is mapped keeps its bytes
    (place / damage).write_bytes(harm(whole))
    again = prepare(open_corpus("spells"), TextSettings(), tmp_path)
    assert (place / damage).read_bytes() == whole
    np.testing.assert_array_equal(again.ids["train"], spells.ids["train"])


def test_text_with_its_own_ends_has_no_start(tmp_path: Path):
    path = one_line_corpus(tmp_path, ["the <unk> goes on <eos>"] * 30)
    dataset = prepare(open_corpus(path), TextSettings(), tmp_path / "encoded")
    assert dataset.codec.tokenizer.name == "whitespace"
    assert not dataset.text.starts
    ids = np.asarray(dataset.ids["train"])
    assert (ids == START).sum() == 0
    assert (ids == END).sum() == dataset.statistics["train"].passages
    assert (ids == UNKNOWN).sum() == dataset.statistics["train"].passages


def benchmark(folder: Path, ends: str = "") -> str:
    folder.mkdir()
    lines = {"train": 30, "valid": 4, "test": 5}
    for split, count in lines.items():
        text = f" {ends}\n = A <unk> title = {ends}\n {ends}\n" + f" the {split} goes on {ends}\n" * count
        (folder / f"wiki.{split}.tokens").write_text(text, encoding="utf-8")
    return str(folder)


def test_a_benchmark_is_counted_as_it_was_published(tmp_path: Path):
    """Every line, blank or not, ends with <eos>; the words of the training file are the vocabulary."""
    dataset = prepare(open_corpus(benchmark(tmp_path / "bench")), TextSettings(), tmp_path / "encoded")
    id_of = dataset.codec.vocabulary.id_of
    assert not dataset.text.starts
    counted = {split: (each.passages, each.tokens, each.unknown) for split, each in dataset.statistics.items()}
    assert counted == {"train": (33, 158, 1), "valid": (7, 28, 5), "test": (8, 33, 6)}
    assert len(dataset.ids["valid"]) == 28
    assert list(dataset.ids["test"][:3]) == [END, id_of("="), id_of("A")]
    words = {"=", "A", "title", "the", "train", "goes", "on"}
    assert set(dataset.codec.vocabulary.tokens[3:]) == words
    assert dataset.types == len(words)
    assert "valid" not in dataset.codec.vocabulary


def test_an_end_here_and_there_does_not_take_the_others_away(tmp_path: Path):
    path = one_line_corpus(tmp_path, ["the <unk> goes <eos> on", *["the <unk> goes on"] * 30])
    dataset = prepare(open_corpus(path), TextSettings(), tmp_path / "encoded")
    ids = np.asarray(dataset.ids["train"])
    assert dataset.text.starts
    assert (ids == START).sum() == dataset.statistics["train"].passages
    assert (ids == END).sum() == dataset.statistics["train"].passages + 1


def test_a_benchmark_that_brings_its_own_ends_gets_no_others(tmp_path: Path):
    plain = prepare(open_corpus(benchmark(tmp_path / "bench")), TextSettings(), tmp_path / "encoded")
    ended = prepare(open_corpus(benchmark(tmp_path / "ended", "<eos>")), TextSettings(), tmp_path / "encoded")
    for split in SPLITS:
        np.testing.assert_array_equal(plain.ids[split], ended.ids[split])


def test_a_benchmark_has_a_smaller_vocabulary_where_it_is_asked_for(tmp_path: Path):
    settings = TextSettings(min_count=2, vocab_size=6)
    dataset = prepare(open_corpus(benchmark(tmp_path / "bench")), settings, tmp_path / "encoded")
    assert len(dataset.codec.vocabulary) == 6


def test_splits_of_its_own_are_kept_where_the_text_is_not_tokenized(tmp_path: Path):
    for split in SPLITS:
        (tmp_path / "own").mkdir(exist_ok=True)
        (tmp_path / "own" / f"{split}.txt").write_text(f"About {split}, in words.\n\nAnd more.\n" * 9, encoding="utf-8")
    dataset = prepare(open_corpus(str(tmp_path / "own")), TextSettings(), tmp_path / "encoded")
    assert dataset.text.starts
    assert {split: each.passages for split, each in dataset.statistics.items()} == dict.fromkeys(SPLITS, 10)
    assert "test" not in dataset.codec.vocabulary


def test_shares_change_nothing_in_a_text_with_its_own_sets_and_a_note_says_so(tmp_path: Path):
    corpus = open_corpus(benchmark(tmp_path / "bench"))
    plain = prepare(corpus, TextSettings(), tmp_path / "encoded")
    shared = prepare(corpus, TextSettings(validation_share=0.3), tmp_path / "encoded")
    assert shared.fingerprint == plain.fingerprint
    note = "the text has its own validation and test set: --validation-share and --test-share have no effect"
    assert shared.notes == (*plain.notes, note)


def test_other_shares_have_a_dataset_of_their_own(spells: Dataset, tmp_path: Path):
    more = TextSettings(validation_share=0.2, test_share=0.1)
    found = prepare(open_corpus("spells"), more, tmp_path)
    assert fingerprint(open_corpus("spells"), more) == found.fingerprint != spells.fingerprint
    assert fingerprint(open_corpus("spells"), TextSettings(test_share=0.05)) == spells.fingerprint
    passages = {split: each.passages for split, each in found.statistics.items()}
    assert passages["valid"] / sum(passages.values()) == pytest.approx(0.2, abs=0.02)
    assert passages["test"] / sum(passages.values()) == pytest.approx(0.1, abs=0.02)
    assert sum(passages.values()) == sum(each.passages for each in spells.statistics.values())
    again = prepare(open_corpus("spells"), more, tmp_path, progress=lambda done, size: pytest.fail("was encoded"))
    assert again.statistics == found.statistics


def test_a_split_with_nothing_to_measure_is_refused(tmp_path: Path):
    path = one_line_corpus(tmp_path, ["a b <eos> " * 300, "a", "b"])
    with pytest.raises(CorpusError, match="nothing of lines is left for the validation set"):
        prepare(open_corpus(path), TextSettings(), tmp_path / "encoded")


def test_two_passages_cannot_be_split(tmp_path: Path):
    corpus = open_corpus(one_line_corpus(tmp_path, ["one paragraph", "", "another paragraph"]))
    with pytest.raises(CorpusError, match="at least 3 are needed"):
        prepare(corpus, TextSettings(), tmp_path / "encoded")
    assert list((tmp_path / "encoded").iterdir()) == []


@pytest.mark.parametrize("tokenizer", ["english", "characters"])
def test_every_line_of_the_source_is_known_in_the_training_ids(tmp_path: Path, tokenizer: TokenizerName):
    """Hard-wrapped paragraphs in two files: the token at each place is how that line of that file begins."""
    texts = ["\n\n".join(f"alpha{n} one\n  beta{n} two,\ngamma{n}." for n in range(f, f + 30)) for f in (100, 200)]
    (tmp_path / "book").mkdir()
    for number, text in enumerate(texts):
        (tmp_path / "book" / f"{number}.txt").write_text("\n" + text, encoding="utf-8")
    corpus = open_corpus(str(tmp_path / "book"))
    dataset = prepare(corpus, TextSettings(tokenizer=tokenizer, min_count=1), tmp_path / "encoded")
    assert dataset.files == ("0.txt", "1.txt")
    lines = [("\n" + text).split("\n") for text in texts]
    ids = np.asarray(dataset.ids["train"])
    assert len(dataset.lines) == 3 * dataset.statistics["train"].passages
    assert (np.diff(dataset.lines[:, 0].astype(int)) > 0).all()
    for place, number, file in dataset.lines.tolist():
        first = next(i for i in ids[place:] if i != START and dataset.codec.decode([i]).strip())
        assert lines[file][number - 1].strip().startswith(dataset.codec.decode([first]))


@pytest.mark.parametrize(
    ("corpus", "tokenizer"), [("lotr", "english"), ("lyrics", "japanese"), ("fables", "characters")]
)
def test_spelled_out_no_token_is_unknown_and_all_of_the_text_comes_back(
    tmp_path: Path, corpus: str, tokenizer: TokenizerName
):
    settings = TextSettings(tokenizer=tokenizer, unknown="spell", vocab_size=400)
    dataset = prepare(open_corpus(corpus), settings, tmp_path)
    plain = prepare(open_corpus(corpus), TextSettings(tokenizer=tokenizer, min_count=1, vocab_size=10**6), tmp_path)
    passages = passage_texts(open_corpus(corpus))
    for split in SPLITS:
        mine = [passage for passage, of in zip(passages, all_splits(len(passages)), strict=True) if of == split]
        assert dataset.codec.decode(dataset.ids[split]).split(dataset.codec.separator) == mine
        counted, unspelled = dataset.statistics[split], plain.statistics[split]
        assert counted.unknown == 0
        assert counted.tokens - counted.letters + counted.spelled == unspelled.tokens
        assert counted.passages == unspelled.passages


@pytest.mark.parametrize("unknown", ["token", "spell"])
def test_lines_are_where_they_are_however_rare_words_are_written(tmp_path: Path, unknown: Literal["token", "spell"]):
    (tmp_path / "text.txt").write_text(
        "\n\n".join(f"alpha{n} one\nbeta{n} two,\ngamma{n}." for n in range(60)), "utf-8"
    )
    corpus = open_corpus(str(tmp_path / "text.txt"), ReadingSettings(passage="paragraph", line_breaks="joined"))
    dataset = prepare(corpus, TextSettings(unknown=unknown, min_count=2, vocab_size=300), tmp_path / "encoded")
    ids = np.asarray(dataset.ids["train"])
    lines = (tmp_path / "text.txt").read_text("utf-8").split("\n")
    assert len(dataset.lines) == 3 * dataset.statistics["train"].passages
    for place, number, _ in dataset.lines.tolist():
        text = dataset.codec.decode(ids[place : place + 30]).strip()
        first, *_ = lines[number - 1].split()
        assert text.startswith(first if unknown == "spell" else "UNKNOWN_TOKEN")


def test_a_text_that_changes_while_it_is_read_is_not_kept(tmp_path: Path):
    path = Path(one_line_corpus(tmp_path, ["the road goes on"] * 40))

    def grow(done: int, size: int) -> None:
        path.write_text(path.read_text() + "and on\n")

    with pytest.raises(CorpusError, match="changed while it was read"):
        prepare(open_corpus(str(path)), TextSettings(), tmp_path / "encoded", grow)
    assert list((tmp_path / "encoded").iterdir()) == []


def test_where_tokens_are_characters_there_are_as_many_as_bits_are_shared_by(tmp_path: Path):
    """END is one of them, and stands for the separator behind a passage: so bits are those of any other tokenizer."""
    letters = prepare(open_corpus("spells"), TextSettings(tokenizer="characters", min_count=1), tmp_path)
    words = prepare(open_corpus("spells"), TextSettings(), tmp_path)
    for split in SPLITS:
        assert letters.statistics[split].all_characters == letters.statistics[split].tokens
        assert words.statistics[split].all_characters == letters.statistics[split].all_characters


@pytest.mark.parametrize("kept", [False, True])
def test_reading_a_large_text_ends_when_it_is_told_to_be_it_new_or_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
):
    """Its fingerprint alone takes seconds a gigabyte, and so do those of what is kept of it."""
    if kept:
        prepare(open_corpus("spells"), TextSettings(), tmp_path)
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr("wordgen.dataset.encoding._SECONDS_BETWEEN_CALLS", -1)
    for most in (0, 1, 3):
        told: list[int] = []

        def stop(done: int, size: int, most: int = most, told: list[int] = told) -> None:
            told.append(done)
            if len(told) > most:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            prepare(open_corpus("spells"), TextSettings(), tmp_path, stop)
        assert len(told) == most + 1
    assert sorted(tmp_path.iterdir()) == before
