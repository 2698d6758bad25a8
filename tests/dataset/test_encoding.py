import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from tests.helpers.texts import passage_texts
from wordgen.corpus.catalogue import SPLITS, Split
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.settings import ReadingSettings
from wordgen.dataset import encoding
from wordgen.dataset.dataset import Dataset
from wordgen.dataset.encoding import fingerprint, prepare
from wordgen.dataset.splits import splits_of
from wordgen.errors import CorpusError
from wordgen.text.settings import TextSettings, TokenizerName
from wordgen.text.vocabulary import END, START, UNKNOWN


def all_splits(passages: int) -> list[Split]:
    return [SPLITS[split] for split in splits_of(np.arange(passages), passages)]


def passages_of_split(passages: list[str], split: Split) -> list[str]:
    return [passage for passage, name in zip(passages, all_splits(len(passages)), strict=True) if name == split]


@pytest.fixture(scope="module")
def encoded_spells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spells")
    prepare(open_corpus("spells"), TextSettings(), folder)
    return folder


@pytest.fixture
def spells(encoded_spells: Path, tmp_path: Path) -> Dataset:
    """The dataset of the spells, in a copy for this test."""
    shutil.copytree(encoded_spells, tmp_path, dirs_exist_ok=True)
    return prepare(open_corpus("spells"), TextSettings(), tmp_path)


def write_lines(tmp_path: Path, lines: list[str]) -> str:
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def test_splits_decode_to_their_passages(spells: Dataset, tmp_path: Path):
    all_words = prepare(open_corpus("spells"), TextSettings(min_count=1, vocab_size=10**6), tmp_path)
    passages = passage_texts(open_corpus("spells"))
    for split in SPLITS:
        expected = passages_of_split(passages, split)
        decoded = all_words.codec.decode(all_words.ids[split]).split("\n")
        assert len(decoded) == len(expected) == spells.statistics[split].passages
        if split == "train":
            assert decoded == expected


def test_passages_begin_with_start_and_end_with_end(spells: Dataset):
    ids = np.asarray(spells.ids["train"])
    assert ids[0] == START
    assert ids[-1] == END
    assert (ids == START).sum() == (ids == END).sum() == spells.statistics["train"].passages


def test_vocabulary_is_from_training_set_only(tmp_path: Path):
    lines = ["the road goes on and on"] * 40
    valid = [number for number, split in enumerate(all_splits(40)) if split == "valid"]
    for number in valid:
        lines[number] = "strange strange strange words words"
    dataset = prepare(open_corpus(write_lines(tmp_path, lines)), TextSettings(), tmp_path / "encoded")
    assert "road" in dataset.codec.vocabulary
    assert "strange" not in dataset.codec.vocabulary
    assert dataset.statistics["valid"].unknown == 5 * len(valid)


def test_statistics_agree_with_ids(spells: Dataset):
    for split in SPLITS:
        ids = np.asarray(spells.ids[split])
        assert spells.statistics[split].tokens == (ids != START).sum()
        assert spells.statistics[split].unknown == (ids == UNKNOWN).sum()
    assert spells.statistics["train"].unknown_share > 0.05  # so UNKNOWN is learned


def test_ids_are_mapped_in_smallest_integer_type(spells: Dataset, tmp_path: Path):
    few = prepare(open_corpus("spells"), TextSettings(vocab_size=200), tmp_path)
    assert few.ids["train"].dtype == np.uint8
    assert spells.ids["train"].dtype == np.uint16
    assert isinstance(spells.ids["train"], np.memmap)


def test_encoded_text_is_reused(spells: Dataset, tmp_path: Path):
    def refuse(done: int, passages: int) -> None:
        raise AssertionError("encoded again")

    reused = prepare(open_corpus("spells"), TextSettings(), tmp_path, on_progress=refuse)
    np.testing.assert_array_equal(reused.ids["train"], spells.ids["train"])
    assert reused.statistics == spells.statistics


@pytest.mark.parametrize(
    "settings", [TextSettings(vocab_size=50), TextSettings(min_count=3), TextSettings(tokenizer="characters")]
)
def test_other_settings_give_another_dataset(spells: Dataset, tmp_path: Path, settings: TextSettings):
    assert len(prepare(open_corpus("spells"), settings, tmp_path).codec.vocabulary) != len(spells.codec.vocabulary)
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[: len(content) // 2], lambda content: content[:-9] + b"\1" * 9, lambda content: b""],
)
@pytest.mark.parametrize("name", ["train.npy", "vocabulary.json", "dataset.json"])
def test_damaged_file_is_written_again(spells: Dataset, tmp_path: Path, name: str, damage: Callable[[bytes], bytes]):
    (folder,) = tmp_path.iterdir()
    content = (folder / name).read_bytes()
    (folder / name).unlink()  # the mapped array of the fixture keeps its bytes
    (folder / name).write_bytes(damage(content))
    repaired = prepare(open_corpus("spells"), TextSettings(), tmp_path)
    assert (folder / name).read_bytes() == content
    np.testing.assert_array_equal(repaired.ids["train"], spells.ids["train"])


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", "{}", '{"sums": 3}'])
def test_record_with_other_content_is_written_again(spells: Dataset, tmp_path: Path, content: str):
    (record,) = tmp_path.glob("*/dataset.json")
    record.write_text(content)
    assert prepare(open_corpus("spells"), TextSettings(), tmp_path).statistics == spells.statistics
    assert record.read_text() != content


def test_dataset_that_another_process_completes_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    load, corpus, files = encoding._load, open_corpus("spells"), list[os.stat_result]()

    def load_while_another_process_encodes(folder: Path, *others: Any) -> Dataset | None:
        dataset = load(folder, *others)
        if dataset is None:
            monkeypatch.setattr(encoding, "_load", load)
            prepare(corpus, TextSettings(), tmp_path)
            files.append((folder / "dataset.json").stat())
        return dataset

    monkeypatch.setattr(encoding, "_load", load_while_another_process_encodes)
    prepare(corpus, TextSettings(), tmp_path)
    (record,) = tmp_path.glob("*/dataset.json")
    assert (record.stat().st_ino, record.stat().st_mtime_ns) == (files[0].st_ino, files[0].st_mtime_ns)


def test_text_with_eos_tokens_has_no_start(tmp_path: Path):
    path = write_lines(tmp_path, ["the <unk> goes on <eos>"] * 30)
    dataset = prepare(open_corpus(path), TextSettings(), tmp_path / "encoded")
    assert dataset.codec.tokenizer.name == "whitespace"
    assert not dataset.text.starts
    ids = np.asarray(dataset.ids["train"])
    assert (ids == START).sum() == 0
    assert (ids == END).sum() == dataset.statistics["train"].passages
    assert (ids == UNKNOWN).sum() == dataset.statistics["train"].passages


def write_benchmark(folder: Path, ends: str = "") -> str:
    folder.mkdir()
    lines = {"train": 30, "valid": 4, "test": 5}
    for split, count in lines.items():
        text = f" {ends}\n = A <unk> title = {ends}\n {ends}\n" + f" the {split} goes on {ends}\n" * count
        (folder / f"wiki.{split}.tokens").write_text(text, encoding="utf-8")
    return str(folder)


def test_benchmark_is_counted_as_published(tmp_path: Path):
    """Each line, also a blank one, ends with <eos>. The vocabulary is all words of the training file."""
    dataset = prepare(open_corpus(write_benchmark(tmp_path / "bench")), TextSettings(), tmp_path / "encoded")
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


def test_few_eos_tokens_do_not_replace_end_tokens(tmp_path: Path):
    path = write_lines(tmp_path, ["the <unk> goes <eos> on", *["the <unk> goes on"] * 30])
    dataset = prepare(open_corpus(path), TextSettings(), tmp_path / "encoded")
    ids = np.asarray(dataset.ids["train"])
    assert dataset.text.starts
    assert (ids == START).sum() == dataset.statistics["train"].passages
    assert (ids == END).sum() == dataset.statistics["train"].passages + 1


def test_benchmark_with_eos_tokens_gets_no_further_ones(tmp_path: Path):
    plain = prepare(open_corpus(write_benchmark(tmp_path / "bench")), TextSettings(), tmp_path / "encoded")
    with_eos = prepare(
        open_corpus(write_benchmark(tmp_path / "with_eos", "<eos>")), TextSettings(), tmp_path / "encoded"
    )
    for split in SPLITS:
        np.testing.assert_array_equal(plain.ids[split], with_eos.ids[split])


def test_vocabulary_of_benchmark_can_be_smaller(tmp_path: Path):
    settings = TextSettings(min_count=2, vocab_size=6)
    dataset = prepare(open_corpus(write_benchmark(tmp_path / "bench")), settings, tmp_path / "encoded")
    assert len(dataset.codec.vocabulary) == 6


def test_published_splits_of_untokenized_text_are_kept(tmp_path: Path):
    for split in SPLITS:
        (tmp_path / "own").mkdir(exist_ok=True)
        (tmp_path / "own" / f"{split}.txt").write_text(f"About {split}, in words.\n\nAnd more.\n" * 9, encoding="utf-8")
    dataset = prepare(open_corpus(str(tmp_path / "own")), TextSettings(), tmp_path / "encoded")
    assert dataset.text.starts
    assert {split: each.passages for split, each in dataset.statistics.items()} == dict.fromkeys(SPLITS, 10)
    assert "test" not in dataset.codec.vocabulary


def test_shares_have_no_effect_on_published_splits(tmp_path: Path):
    corpus = open_corpus(write_benchmark(tmp_path / "bench"))
    plain = prepare(corpus, TextSettings(), tmp_path / "encoded")
    with_share = prepare(corpus, TextSettings(validation_share=0.3), tmp_path / "encoded")
    assert with_share.fingerprint == plain.fingerprint
    note = "the text has its own validation and test set: --validation-share and --test-share have no effect"
    assert with_share.notes == (*plain.notes, note)


def test_other_shares_give_another_dataset(spells: Dataset, tmp_path: Path):
    settings = TextSettings(validation_share=0.2, test_share=0.1)
    dataset = prepare(open_corpus("spells"), settings, tmp_path)
    assert fingerprint(open_corpus("spells"), settings) == dataset.fingerprint != spells.fingerprint
    assert fingerprint(open_corpus("spells"), TextSettings(test_share=0.05)) == spells.fingerprint
    passages = {split: each.passages for split, each in dataset.statistics.items()}
    assert passages["valid"] / sum(passages.values()) == pytest.approx(0.2, abs=0.02)
    assert passages["test"] / sum(passages.values()) == pytest.approx(0.1, abs=0.02)
    assert sum(passages.values()) == sum(each.passages for each in spells.statistics.values())
    reused = prepare(
        open_corpus("spells"), settings, tmp_path, on_progress=lambda done, size: pytest.fail("was encoded")
    )
    assert reused.statistics == dataset.statistics


def test_empty_validation_set_is_refused(tmp_path: Path):
    path = write_lines(tmp_path, ["a b <eos> " * 300, "a", "b"])
    with pytest.raises(CorpusError, match="nothing of lines is left for the validation set"):
        prepare(open_corpus(path), TextSettings(), tmp_path / "encoded")


def test_two_passages_are_refused(tmp_path: Path):
    corpus = open_corpus(write_lines(tmp_path, ["one paragraph", "", "another paragraph"]))
    with pytest.raises(CorpusError, match="at least 3 are needed"):
        prepare(corpus, TextSettings(), tmp_path / "encoded")
    assert list((tmp_path / "encoded").iterdir()) == []


@pytest.mark.parametrize("tokenizer", ["english", "characters"])
def test_training_ids_have_line_numbers_of_source(tmp_path: Path, tokenizer: TokenizerName):
    """The token at each recorded position is the first one of that line of that file."""
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
    for position, number, file in dataset.lines.tolist():
        first = next(i for i in ids[position:] if i != START and dataset.codec.decode([i]).strip())
        assert lines[file][number - 1].strip().startswith(dataset.codec.decode([first]))


@pytest.mark.parametrize(
    ("corpus", "tokenizer"), [("lotr", "english"), ("lyrics", "japanese"), ("fables", "characters")]
)
def test_spelled_text_has_no_unknown_and_round_trips(tmp_path: Path, corpus: str, tokenizer: TokenizerName):
    settings = TextSettings(tokenizer=tokenizer, unknown="spell", vocab_size=400)
    dataset = prepare(open_corpus(corpus), settings, tmp_path)
    plain = prepare(open_corpus(corpus), TextSettings(tokenizer=tokenizer, min_count=1, vocab_size=10**6), tmp_path)
    passages = passage_texts(open_corpus(corpus))
    for split in SPLITS:
        expected = passages_of_split(passages, split)
        assert dataset.codec.decode(dataset.ids[split]).split(dataset.codec.separator) == expected
        with_spelling, without_spelling = dataset.statistics[split], plain.statistics[split]
        assert with_spelling.unknown == 0
        assert with_spelling.tokens - with_spelling.letters + with_spelling.spelled == without_spelling.tokens
        assert with_spelling.passages == without_spelling.passages


@pytest.mark.parametrize("unknown", ["token", "spell"])
def test_line_numbers_do_not_depend_on_spelling(tmp_path: Path, unknown: Literal["token", "spell"]):
    (tmp_path / "text.txt").write_text(
        "\n\n".join(f"alpha{n} one\nbeta{n} two,\ngamma{n}." for n in range(60)), "utf-8"
    )
    corpus = open_corpus(str(tmp_path / "text.txt"), ReadingSettings(passage="paragraph", line_breaks="joined"))
    dataset = prepare(corpus, TextSettings(unknown=unknown, min_count=2, vocab_size=300), tmp_path / "encoded")
    ids = np.asarray(dataset.ids["train"])
    lines = (tmp_path / "text.txt").read_text("utf-8").split("\n")
    assert len(dataset.lines) == 3 * dataset.statistics["train"].passages
    for position, number, _ in dataset.lines.tolist():
        text = dataset.codec.decode(ids[position : position + 30]).strip()
        first, *_ = lines[number - 1].split()
        assert text.startswith(first if unknown == "spell" else "UNKNOWN_TOKEN")


def test_text_that_changes_while_read_is_refused(tmp_path: Path):
    path = Path(write_lines(tmp_path, ["the road goes on"] * 40))

    def grow(done: int, size: int) -> None:
        path.write_text(path.read_text() + "and on\n")

    with pytest.raises(CorpusError, match="changed while it was read"):
        prepare(open_corpus(str(path)), TextSettings(), tmp_path / "encoded", grow)
    assert list((tmp_path / "encoded").iterdir()) == []


def test_characters_per_split_do_not_depend_on_tokenizer(tmp_path: Path):
    """END counts as the separator after a passage, so bits per character of all tokenizers can be compared."""
    letters = prepare(open_corpus("spells"), TextSettings(tokenizer="characters", min_count=1), tmp_path)
    words = prepare(open_corpus("spells"), TextSettings(), tmp_path)
    for split in SPLITS:
        assert letters.statistics[split].all_characters == letters.statistics[split].tokens
        assert words.statistics[split].all_characters == letters.statistics[split].all_characters


@pytest.mark.parametrize("encoded", [False, True])
def test_progress_function_can_stop_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoded: bool):
    """Also if the text is encoded already, because checksums take seconds per gigabyte."""
    if encoded:
        prepare(open_corpus("spells"), TextSettings(), tmp_path)
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr("wordgen.dataset.encoding._SECONDS_BETWEEN_CALLS", -1)
    for limit in (0, 1, 3):
        reports: list[int] = []

        def stop(done: int, size: int, limit: int = limit, reports: list[int] = reports) -> None:
            reports.append(done)
            if len(reports) > limit:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            prepare(open_corpus("spells"), TextSettings(), tmp_path, stop)
        assert len(reports) == limit + 1
    assert sorted(tmp_path.iterdir()) == before
