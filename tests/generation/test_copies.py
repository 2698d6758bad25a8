"""The index finds what a search through the whole text finds."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordgen.corpus.finding import open_corpus
from wordgen.dataset.dataset import Dataset, TextConfig
from wordgen.dataset.encoding import prepare
from wordgen.errors import BundleError, StorageError
from wordgen.generation import copies
from wordgen.generation import copies as indexing
from wordgen.generation.copies import CopyIndex, Match, write_copy_index
from wordgen.text.settings import TextSettings
from wordgen.text.tokenizers import Codec, tokenizer_named
from wordgen.text.vocabulary import END, RESERVED, START, Vocabulary


@pytest.fixture(scope="module")
def fables(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepare(open_corpus("fables"), TextSettings(), tmp_path_factory.mktemp("encoded"))


@pytest.fixture(scope="module")
def index(fables: Dataset, tmp_path_factory: pytest.TempPathFactory) -> CopyIndex:
    folder = tmp_path_factory.mktemp("run") / "copy_index"
    write_copy_index(fables, folder)
    return CopyIndex(folder, fables.codec.vocabulary)


def training(dataset: Dataset) -> list[int]:
    ids = np.asarray(dataset.ids["train"])
    return ids[ids != START].tolist()


def places_of(run: list[int], text: list[int]) -> list[int]:
    return [place for place in range(len(text) - len(run) + 1) if text[place : place + len(run)] == run]


def test_followers_are_those_of_the_text(fables: Dataset, index: CopyIndex):
    text = training(fables)
    dice = np.random.default_rng(3)
    for length in (1, 2, 3, 5, 12, 60):
        for place in dice.integers(len(text) - length, size=15).tolist():
            run = text[place : place + length]
            expected = {text[at + length] for at in places_of(run, text) if at + length < len(text)}
            assert set(index.followers(run).tolist()) == expected
            assert len(index.positions(run)) == len(places_of(run, text))
    assert index.followers([END, END, END, 5]).tolist() == []


def test_a_piece_of_the_text_is_found_with_its_line(index: CopyIndex, fables: Dataset):
    lines = Path(open_corpus("fables").files[0]).read_text(encoding="utf-8").split("\n")
    codec = fables.codec
    found = 0
    for number, line in enumerate(lines, 1):
        ids = [codec.vocabulary.id_of(token) for token in codec.tokenizer.tokenize(line)]
        if len(ids) < 8 or 0 in ids:
            continue
        for run in index.matches(ids):
            if run.tokens == len(ids) and len(index.positions(ids[:60])) == 1:
                assert (run.file, run.line) == ("fables.txt", number)
                found += 1
    assert found > 5


def test_runs_are_the_longest_there_are(index: CopyIndex, fables: Dataset):
    text = training(fables)
    mixed = [*text[100:112], *text[50:53], *text[700:790], 5, *text[30:34]]
    runs = index.matches(mixed)
    assert (15, 90) in [(run.start, run.tokens) for run in runs] or any(
        run.start < 15 and run.start + run.tokens >= 105 for run in runs
    )
    for run in runs:
        assert places_of(mixed[run.start : run.start + run.tokens], text)
    ends = [run.start + run.tokens for run in runs]
    assert all(run.start >= end for run, end in zip(runs[1:], ends, strict=False))


LETTERS = Vocabulary([(token, 1) for token in (*RESERVED, *"abcde")])


def tiny_index(folder: Path, ids: list[int]) -> CopyIndex:
    """An index of a text that needs no corpus."""
    codec = Codec(tokenizer_named("characters"), LETTERS, "\n")
    split_ids = {"train": np.array(ids, np.uint8)}
    lines = np.array([[0, 1, 0]], np.uint32)
    text = TextConfig(corpus="tale", tokenizer="characters", passage="line", line_breaks="joined", starts=True)
    dataset = Dataset(codec, split_ids, "", {}, text, 5, ("a.txt",), lines)  # pyright: ignore[reportArgumentType]
    write_copy_index(dataset, folder)
    return CopyIndex(folder, LETTERS)


@settings(max_examples=60)
@given(
    st.lists(st.integers(3, 7), min_size=1, max_size=150) | st.lists(st.just(3), min_size=1, max_size=150),
    st.lists(st.integers(3, 7), min_size=1, max_size=30) | st.lists(st.just(3), min_size=1, max_size=90),
)
def test_any_text_is_searched_rightly(tmp_path_factory: pytest.TempPathFactory, text: list[int], written: list[int]):
    index = tiny_index(tmp_path_factory.mktemp("index") / "copy_index", text)
    for run in (written[:1], written[:2], written[:5]):
        places = places_of(run, text)
        ends = [at + len(run) for at in places]
        assert len(index.positions(run)) == len(places)
        assert set(index.followers(run).tolist()) == {text[end] for end in ends if end < len(text)}
    starts = range(len(written))
    lengths = [n for at in starts for n in range(1, len(written) - at + 1) if places_of(written[at : at + n], text)]
    longest = max(lengths, default=0)
    runs = index.matches(written)
    assert max((run.tokens for run in runs), default=0) == (longest if longest >= copies.FEWEST_TOKENS else 0)
    for run in runs:
        assert places_of(written[run.start : run.start + run.tokens], text)


def test_what_follows_more_tokens_than_the_index_sorts_by_is_found(tmp_path: Path):
    """Spelled words need many tokens. Where 64 tokens occur again and again, only the tokens after them differ."""
    dice = np.random.default_rng(4)
    beginning = dice.integers(3, 8, copies.DEPTH).tolist()
    endings = [dice.integers(3, 8, 4).tolist() for _ in range(60)]
    text = [token for ending in endings for token in (*beginning, *ending)]
    index = tiny_index(tmp_path / "copy_index", text)
    for ending in endings:
        for more in (1, 2, 3):
            run = [*beginning, *ending[:more]]
            places = places_of(run, text)
            assert len(index.positions(run)) == len(places)
            assert set(index.followers(run).tolist()) == {text[place + len(run)] for place in places}
    assert len(index.positions([*beginning, END])) == 0
    whole = [*beginning, *endings[-1]]
    assert len(index.positions(whole)) == len(places_of(whole, text))
    assert len(index.positions([*whole, 3, 3])) == len(places_of([*whole, 3, 3], text))


@settings(max_examples=60)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=200) | st.lists(st.integers(3, 4), min_size=1, max_size=200))
def test_all_places_are_sorted_by_what_stands_there_however_small_the_parts(
    tmp_path_factory: pytest.TempPathFactory, text: list[int]
):
    text = [*text, 3]  # an index of nothing cannot be opened
    folder = tmp_path_factory.mktemp("index")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexing, "_BLOCK", 16)
        for size in (1, 7, 10**6):
            patch.setattr(indexing, "_PLACES_AT_ONCE", size)
            tiny_index(folder / str(size), text)
    kept = [token for token in text if token != START]
    expected = sorted(range(len(kept)), key=lambda place: (kept[place : place + copies.DEPTH], place))
    for path in folder.glob("*/order.bin"):
        assert np.fromfile(path, "<u4").tolist() == expected


def test_what_is_told_while_it_is_made_can_end_it_and_nothing_is_left(fables: Dataset, tmp_path: Path):
    told: list[tuple[int, int]] = []
    write_copy_index(fables, tmp_path / "whole", lambda done, size: told.append((done, size)))
    size = len(training(fables))
    assert told[0] == (0, size)
    assert told[-1] == (size, size)
    for most in range(len(told)):
        calls = [0]

        def stop(done: int, size: int, most: int = most, calls: list[int] = calls) -> None:
            calls[0] += 1
            if calls[0] > most:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_copy_index(fables, tmp_path / "stopped", stop)
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_an_index_that_would_need_too_much_memory_is_not_made(tmp_path: Path, fables: Dataset):
    with pytest.raises(StorageError, match=r"Making it needs .* of memory, but only 1 kB is available"):
        write_copy_index(fables, tmp_path / "copy_index", most_memory=1000)
    assert list(tmp_path.iterdir()) == []


def test_repetition_takes_no_time(tmp_path: Path):
    """A text of rules, searched in a text of rules: each place matches at each other."""
    index = tiny_index(tmp_path / "copy_index", ([3] * 200 + [4]) * 60)
    began = time.monotonic()
    (run,) = index.matches([3] * 2000)[:1]
    assert run.tokens == 200
    assert time.monotonic() - began < 5  # every pair compared took minutes


def test_an_end_at_the_side_of_a_copy_is_no_part_of_it(tmp_path: Path):
    index = tiny_index(tmp_path / "copy_index", [3, 4, END, 5, 6, 7, 5, 4, END, 3])
    assert index.matches([7, 7, END, 5, 6, 7, 5, 4, END, 7]) == [Match(3, 5, "a.txt", 1)]


def test_copies_across_two_passages_count_without_the_start_between(tmp_path: Path):
    index = tiny_index(tmp_path / "copy_index", [START, 3, 4, END, START, 5, 6, 7, END])
    assert index.matches([3, 4, END, 5, 6, 7]) == [Match(0, 6, "a.txt", 1)]


@pytest.mark.parametrize("name", ["ids.bin", "order.bin", "lines.npy", "index.json"])
def test_a_damaged_index_is_named(tmp_path: Path, name: str):
    folder = tmp_path / "copy_index"
    tiny_index(folder, [3, 4, 5, 3, 4])
    (folder / name).write_bytes((folder / name).read_bytes()[:-3])
    with pytest.raises(BundleError, match="is damaged: delete this folder to write without it"):
        CopyIndex(folder, LETTERS)


def test_a_changed_byte_in_an_index_is_seen(tmp_path: Path):
    folder = tmp_path / "copy_index"
    tiny_index(folder, [3, 4, 5, 3, 4])
    (folder / "order.bin").write_bytes(b"\0" * 20)
    with pytest.raises(BundleError, match="is damaged"):
        CopyIndex(folder, LETTERS)


def test_an_index_of_another_model_is_refused(tmp_path: Path, fables: Dataset):
    tiny_index(tmp_path / "copy_index", [3, 4, 5])
    with pytest.raises(BundleError, match="belongs to another model"):
        CopyIndex(tmp_path / "copy_index", fables.codec.vocabulary)
