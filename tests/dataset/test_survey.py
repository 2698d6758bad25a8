"""A survey counts what training would see, and holds no more of the text than that."""

import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from tests.helpers.texts import passage_texts
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.settings import ReadingSettings
from wordgen.dataset.dataset import LONGEST_SAMPLE, Survey, survey
from wordgen.errors import CorpusError
from wordgen.text.tokenizers import tokenizer_named
from wordgen.text.vocabulary import UNKNOWN, Vocabulary


@pytest.fixture(scope="module")
def lotr() -> Survey:
    return survey(open_corpus("lotr"), "english")


def of_text(tmp_path: Path, text: str, **how: str) -> Survey:
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    settings = ReadingSettings(**how)  # pyright: ignore[reportArgumentType]
    return survey(open_corpus(str(tmp_path / "text.txt"), settings), "whitespace")


def test_it_counts_every_token_of_every_passage(lotr: Survey):
    passages = [tokenizer_named("english").tokenize(text) for text in passage_texts(open_corpus("lotr"))]
    assert lotr.counts == Counter(token for passage in passages for token in passage)
    assert lotr.lengths == Counter(map(len, passages))
    assert (lotr.passages, lotr.tokens, lotr.types) == (len(passages), sum(map(len, passages)), len(lotr.counts))


@pytest.mark.parametrize("size", [4, 100, 1000, 2000, 10**6])
def test_coverage_is_what_a_vocabulary_of_that_size_knows(lotr: Survey, size: int):
    vocabulary = Vocabulary.from_counts(lotr.counts, size, min_count=1)
    known = sum(count for token, count in lotr.counts.items() if vocabulary.id_of(token) != UNKNOWN)
    assert lotr.coverage(size) == pytest.approx(known / lotr.tokens)
    assert 0 < lotr.coverage(size) <= 1


def test_what_was_unknown_to_whoever_tokenized_it_stays_so(tmp_path: Path):
    found = of_text(tmp_path, "a b <unk> c <eos>\na <unk> d e <eos>\n", passage="line")
    assert found.coverage(100) == pytest.approx(8 / 10)
    assert (found.tokens, found.types, found.seen_once) == (10, 5, 4)


def test_lengths_are_told_by_share(tmp_path: Path):
    found = of_text(tmp_path, "\n".join(" ".join("x" * length) for length in range(1, 11)), passage="line")
    assert [found.length_at(share) for share in (0, 0.1, 0.11, 0.5, 0.9, 1)] == [1, 1, 2, 5, 9, 10]


def test_blank_passages_are_counted_apart(tmp_path: Path):
    found = of_text(tmp_path, "one\n\ntwo\n\nthree\n", passage="line", line_breaks="kept")
    assert (found.passages, found.blank_passages, found.lengths) == (5, 2, {1: 3})


def test_samples_are_from_all_over_the_text_in_its_order_and_the_same_again(lotr: Survey):
    assert survey(open_corpus("lotr"), "english").samples == lotr.samples
    passages = [
        tuple(tokenizer_named("english").tokenize(text)[: LONGEST_SAMPLE + 1]) for text in passage_texts(lotr.corpus)
    ]
    places = [passages.index(sample) for sample in lotr.samples]
    assert places == sorted(places)
    assert len(places) == 5
    assert max(places) > len(passages) / 3


def test_few_passages_are_all_samples(tmp_path: Path):
    assert of_text(tmp_path, "one\n\ntwo\n\nthree\n").samples == (("one",), ("two",), ("three",))


def test_the_text_itself_is_not_held(tmp_path: Path):
    """Eight megabytes of which only a few words are different, and long, so that they are soon counted."""
    line = " ".join(word * 20 for word in ["the", "road", "goes", "ever", "on", "and", "on"] * 10) + "\n"
    (tmp_path / "long.txt").write_text(line * (8_000_000 // len(line)))
    corpus = open_corpus(str(tmp_path / "long.txt"))
    told: list[tuple[int, int]] = []
    tracemalloc.start()
    found = survey(corpus, "whitespace", lambda done, total: told.append((done, total)) if not told else None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.tokens > 100_000
    assert peak < 6_000_000
    assert told[0][1] == corpus.bytes


def test_how_far_it_is_is_told_in_bytes(lotr: Survey):
    told: list[tuple[int, int]] = []
    survey(lotr.corpus, "characters", lambda *far: told.append(far))
    size = lotr.corpus.files[0].stat().st_size
    assert told[-1] == (size, size)
    assert len(told) == lotr.passages - lotr.blank_passages


def test_how_it_was_read_is_noted(tmp_path: Path):
    (tmp_path / "old.txt").write_bytes("雨が降る夜の街で、きみを待っていた。\n".encode("cp932") * 20)
    assert survey(open_corpus(str(tmp_path / "old.txt")), "japanese").notes == ("read as Shift JIS",)


def test_what_is_nothing_but_white_space_is_refused(tmp_path: Path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "a.txt").write_text("x")
    corpus = open_corpus(str(tmp_path / "book"))
    (tmp_path / "book" / "a.txt").write_text(" \n")
    with pytest.raises(CorpusError, match="is empty"):
        survey(corpus, "english")
