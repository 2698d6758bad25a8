"""The copy index finds the same matches as a naive search through the training text."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordgen.corpus.finding import open_corpus
from wordgen.dataset.dataset import Dataset, TextConfig
from wordgen.dataset.encoding import prepare
from wordgen.errors import BundleError, StorageError
from wordgen.generation import copies as copies_module
from wordgen.generation.copies import CopyIndex, Match, write_copy_index
from wordgen.text.settings import TextSettings
from wordgen.text.tokenizers import Codec, tokenizer_named
from wordgen.text.vocabulary import BYTES, END, RESERVED, START, WORD_END, Vocabulary


@pytest.fixture(scope="module")
def fables(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepare(open_corpus("fables"), TextSettings(), tmp_path_factory.mktemp("encoded"))


@pytest.fixture(scope="module")
def index(fables: Dataset, tmp_path_factory: pytest.TempPathFactory) -> CopyIndex:
    folder = tmp_path_factory.mktemp("run") / "copy_index"
    write_copy_index(fables, folder)
    return CopyIndex(folder, fables.codec.vocabulary)


def training_ids(dataset: Dataset) -> list[int]:
    ids = np.asarray(dataset.ids["train"])
    return ids[ids != START].tolist()


def positions_of(tokens: list[int], text: list[int]) -> list[int]:
    return [at for at in range(len(text) - len(tokens) + 1) if text[at : at + len(tokens)] == tokens]


def test_followers_and_positions_equal_naive_search(fables: Dataset, index: CopyIndex):
    text = training_ids(fables)
    rng = np.random.default_rng(3)
    for length in (1, 2, 3, 5, 12, 60):
        for begin in rng.integers(len(text) - length, size=15).tolist():
            tokens = text[begin : begin + length]
            positions = positions_of(tokens, text)
            expected = {text[at + length] for at in positions if at + length < len(text)}
            assert set(index.followers(tokens).tolist()) == expected
            assert len(index.positions(tokens)) == len(positions)
    assert index.followers([END, END, END, 5]).tolist() == []


def test_match_has_file_and_line(index: CopyIndex, fables: Dataset):
    lines = Path(open_corpus("fables").files[0]).read_text(encoding="utf-8").split("\n")
    codec = fables.codec
    checked = 0
    for number, line in enumerate(lines, 1):
        ids = [codec.vocabulary.id_of(token) for token in codec.tokenizer.tokenize(line)]
        if len(ids) < 8 or 0 in ids:
            continue
        for match in index.matches(ids):
            if match.tokens == len(ids) and len(index.positions(ids[:60])) == 1:
                assert index.file_and_line(match.place) == ("fables.txt", number)
                checked += 1
    assert checked > 5


def test_matches_are_the_longest_and_do_not_overlap(index: CopyIndex, fables: Dataset):
    text = training_ids(fables)
    mixed = [*text[100:112], *text[50:53], *text[700:790], 5, *text[30:34]]
    matches = index.matches(mixed)
    assert (15, 90) in [(match.start, match.tokens) for match in matches] or any(
        match.start < 15 and match.start + match.tokens >= 105 for match in matches
    )
    for match in matches:
        assert positions_of(mixed[match.start : match.start + match.tokens], text)
    ends = [match.start + match.tokens for match in matches]
    assert all(match.start >= end for match, end in zip(matches[1:], ends, strict=False))


LETTERS = Vocabulary([(token, 1) for token in (*RESERVED, *"abcde")])


def tiny_index(
    folder: Path, ids: list[int], vocabulary: Vocabulary = LETTERS, lines: Sequence[tuple[int, int, int]] = ((0, 1, 0),)
) -> CopyIndex:
    """Write and open the index of a text of letters."""
    codec = Codec(tokenizer_named("characters"), vocabulary, "\n")
    split_ids = {"train": np.array(ids, np.uint16)}
    text = TextConfig(corpus="tale", tokenizer="characters", passage="line", line_breaks="joined", starts=True)
    dataset = Dataset(codec, split_ids, "", {}, text, 5, ("a.txt",), np.array(lines, np.uint32))  # pyright: ignore[reportArgumentType]
    write_copy_index(dataset, folder)
    return CopyIndex(folder, vocabulary)


@settings(max_examples=60)
@given(
    st.lists(st.integers(3, 7), min_size=1, max_size=150) | st.lists(st.just(3), min_size=1, max_size=150),
    st.lists(st.integers(3, 7), min_size=1, max_size=30) | st.lists(st.just(3), min_size=1, max_size=90),
)
def test_search_in_any_text_equals_naive_search(
    tmp_path_factory: pytest.TempPathFactory, text: list[int], written: list[int]
):
    index = tiny_index(tmp_path_factory.mktemp("index") / "copy_index", text)
    for tokens in (written[:1], written[:2], written[:5]):
        positions = positions_of(tokens, text)
        ends = [at + len(tokens) for at in positions]
        assert len(index.positions(tokens)) == len(positions)
        assert set(index.followers(tokens).tolist()) == {text[end] for end in ends if end < len(text)}
    starts = range(len(written))
    lengths = [n for at in starts for n in range(1, len(written) - at + 1) if positions_of(written[at : at + n], text)]
    longest = max(lengths, default=0)
    matches = index.matches(written)
    assert max((match.tokens for match in matches), default=0) == (
        longest if longest >= copies_module.MIN_TOKENS else 0
    )
    for match in matches:
        assert positions_of(written[match.start : match.start + match.tokens], text)


def test_search_for_more_tokens_than_sorting_depth(tmp_path: Path):
    """Queries with spelled words are that long. Here, 60 positions have the same first 64 tokens."""
    rng = np.random.default_rng(4)
    beginning = rng.integers(3, 8, copies_module.DEPTH).tolist()
    endings = [rng.integers(3, 8, 4).tolist() for _ in range(60)]
    text = [token for ending in endings for token in (*beginning, *ending)]
    index = tiny_index(tmp_path / "copy_index", text)
    for ending in endings:
        for more in (1, 2, 3):
            tokens = [*beginning, *ending[:more]]
            positions = positions_of(tokens, text)
            assert len(index.positions(tokens)) == len(positions)
            assert set(index.followers(tokens).tolist()) == {text[at + len(tokens)] for at in positions}
    assert len(index.positions([*beginning, END])) == 0
    last = [*beginning, *endings[-1]]
    assert len(index.positions(last)) == len(positions_of(last, text))
    assert len(index.positions([*last, 3, 3])) == len(positions_of([*last, 3, 3], text))


@settings(max_examples=60)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=200) | st.lists(st.integers(3, 4), min_size=1, max_size=200))
def test_index_is_sorted_whatever_the_chunk_size(tmp_path_factory: pytest.TempPathFactory, text: list[int]):
    text = [*text, 3]  # an empty index cannot be opened
    folder = tmp_path_factory.mktemp("index")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copies_module, "_IDS_AT_ONCE", 16)
        for size in (1, 7, 10**6):
            patch.setattr(copies_module, "_PLACES_AT_ONCE", size)
            tiny_index(folder / str(size), text)
    kept = [token for token in text if token != START]
    expected = sorted(range(len(kept)), key=lambda at: (kept[at : at + copies_module.DEPTH], at))
    for path in folder.glob("*/order.bin"):
        assert np.fromfile(path, "<u4").tolist() == expected


def test_writing_reports_progress_and_can_be_interrupted(fables: Dataset, tmp_path: Path):
    reports: list[tuple[int, int]] = []
    write_copy_index(fables, tmp_path / "whole", lambda done, size: reports.append((done, size)))
    size = len(training_ids(fables))
    assert reports[0] == (0, size)
    assert reports[-1] == (size, size)
    for most in range(len(reports)):
        calls = [0]

        def stop(done: int, size: int, most: int = most, calls: list[int] = calls) -> None:
            calls[0] += 1
            if calls[0] > most:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_copy_index(fables, tmp_path / "stopped", stop)
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_index_larger_than_memory_is_an_error(tmp_path: Path, fables: Dataset):
    with pytest.raises(StorageError, match=r"Making it needs .* of memory, but only 1 kB is available"):
        write_copy_index(fables, tmp_path / "copy_index", most_memory=1000)
    assert list(tmp_path.iterdir()) == []


def test_search_in_repetitive_text_is_fast(tmp_path: Path):
    """Each position matches almost every other."""
    index = tiny_index(tmp_path / "copy_index", ([3] * 200 + [4]) * 60)
    began = time.process_time()
    (match,) = index.matches([3] * 2000)[:1]
    assert match.tokens == 200
    assert time.process_time() - began < 5  # comparing all pairs takes minutes


def test_match_does_not_begin_or_end_with_end_token(tmp_path: Path):
    index = tiny_index(tmp_path / "copy_index", [3, 4, END, 5, 6, 7, 5, 4, END, 3])
    assert index.matches([7, 7, END, 5, 6, 7, 5, 4, END, 7]) == [Match(3, 5, 3)]


def test_match_across_passages_does_not_count_start(tmp_path: Path):
    index = tiny_index(tmp_path / "copy_index", [START, 3, 4, END, START, 5, 6, 7, END])
    assert index.matches([3, 4, END, 5, 6, 7]) == [Match(0, 6, 0)]


def test_new_words_divide_a_long_match(tmp_path: Path):
    text = np.random.default_rng(1).integers(3, 8, 300).tolist()
    index = tiny_index(tmp_path / "copy_index", text)
    matches = index.matches(text, [3, 30, 150])
    assert [(match.start, match.tokens) for match in matches] == [(4, 26), (31, 119), (151, 149)]


def test_match_after_the_end_of_a_spelled_word_begins_with_its_own_line(tmp_path: Path):
    vocabulary = Vocabulary([(token, 1) for token in (*RESERVED, *BYTES, WORD_END, *"abcde")])
    x, y, word_end = map(vocabulary.id_of, (BYTES[120], BYTES[121], WORD_END))
    words = [vocabulary.id_of(letter) for letter in "abcdea"]
    text = [START, x, y, word_end, END, START, *words, END]
    index = tiny_index(tmp_path / "copy_index", text, vocabulary, [(0, 1, 0), (5, 2, 0)])
    for other_word in ([y, y, word_end], [x, x, y, word_end]):
        assert index.matches([*other_word, END, *words]) == [Match(len(other_word) + 1, 6, 4)]
    assert index.matches([x, y, word_end, END, *words]) == [Match(0, 10, 0)]
    assert index.file_and_line(0) == ("a.txt", 1)
    assert index.file_and_line(4) == ("a.txt", 2)


@pytest.mark.parametrize("name", ["ids.bin", "order.bin", "lines.npy", "index.json"])
def test_truncated_index_file_is_an_error(tmp_path: Path, name: str):
    folder = tmp_path / "copy_index"
    tiny_index(folder, [3, 4, 5, 3, 4])
    (folder / name).write_bytes((folder / name).read_bytes()[:-3])
    with pytest.raises(BundleError, match="is damaged: delete this folder to write without it"):
        CopyIndex(folder, LETTERS)


def test_changed_bytes_of_index_are_an_error(tmp_path: Path):
    folder = tmp_path / "copy_index"
    tiny_index(folder, [3, 4, 5, 3, 4])
    (folder / "order.bin").write_bytes(b"\0" * 20)
    with pytest.raises(BundleError, match="is damaged"):
        CopyIndex(folder, LETTERS)


def test_index_of_another_model_is_an_error(tmp_path: Path, fables: Dataset):
    tiny_index(tmp_path / "copy_index", [3, 4, 5])
    with pytest.raises(BundleError, match="belongs to another model"):
        CopyIndex(tmp_path / "copy_index", fables.codec.vocabulary)
