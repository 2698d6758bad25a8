"""A survey counts the tokens that training would see, without holding the text in memory."""

import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from tests.helpers.texts import passage_texts
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.settings import ReadingSettings
from wordgen.dataset.dataset import MAX_SAMPLE_TOKENS, Survey, survey
from wordgen.errors import CorpusError
from wordgen.text.tokenizers import tokenizer_named
from wordgen.text.vocabulary import UNKNOWN, Vocabulary


@pytest.fixture(scope="module")
def lotr() -> Survey:
    return survey(open_corpus("lotr"), "english")


def survey_text(tmp_path: Path, text: str, **reading: str) -> Survey:
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    settings = ReadingSettings(**reading)  # pyright: ignore[reportArgumentType]
    return survey(open_corpus(str(tmp_path / "text.txt"), settings), "whitespace")


def test_survey_counts_all_tokens_of_all_passages(lotr: Survey):
    passages = [tokenizer_named("english").tokenize(text) for text in passage_texts(open_corpus("lotr"))]
    assert lotr.counts == Counter(token for passage in passages for token in passage)
    assert lotr.lengths == Counter(map(len, passages))
    assert (lotr.passages, lotr.tokens, lotr.types) == (len(passages), sum(map(len, passages)), len(lotr.counts))


@pytest.mark.parametrize("size", [4, 100, 1000, 2000, 10**6])
def test_coverage_is_share_of_tokens_known_to_vocabulary(lotr: Survey, size: int):
    vocabulary = Vocabulary.from_counts(lotr.counts, size, min_count=1)
    known = sum(count for token, count in lotr.counts.items() if vocabulary.id_of(token) != UNKNOWN)
    assert lotr.coverage(size) == pytest.approx(known / lotr.tokens)
    assert 0 < lotr.coverage(size) <= 1


def test_unk_in_text_counts_as_unknown(tmp_path: Path):
    result = survey_text(tmp_path, "a b <unk> c <eos>\na <unk> d e <eos>\n", passage="line")
    assert result.coverage(100) == pytest.approx(8 / 10)
    assert (result.tokens, result.types, result.seen_once) == (10, 5, 4)


def test_length_at_share_of_passages(tmp_path: Path):
    result = survey_text(tmp_path, "\n".join(" ".join("x" * length) for length in range(1, 11)), passage="line")
    assert [result.length_at(share) for share in (0, 0.1, 0.11, 0.5, 0.9, 1)] == [1, 1, 2, 5, 9, 10]


def test_blank_passages_are_counted_separately(tmp_path: Path):
    result = survey_text(tmp_path, "one\n\ntwo\n\nthree\n", passage="line", line_breaks="kept")
    assert (result.passages, result.blank_passages, result.lengths) == (5, 2, {1: 3})


def test_samples_are_repeatable_and_spread_over_text(lotr: Survey):
    assert survey(open_corpus("lotr"), "english").samples == lotr.samples
    passages = [
        tuple(tokenizer_named("english").tokenize(text)[: MAX_SAMPLE_TOKENS + 1]) for text in passage_texts(lotr.corpus)
    ]
    positions = [passages.index(sample) for sample in lotr.samples]
    assert positions == sorted(positions)
    assert len(positions) == 5
    assert max(positions) > len(passages) / 3


def test_few_passages_are_all_samples(tmp_path: Path):
    assert survey_text(tmp_path, "one\n\ntwo\n\nthree\n").samples == (("one",), ("two",), ("three",))


def test_text_is_not_held_in_memory(tmp_path: Path):
    """The text has 8 MB. Its few words are long, so that they are counted quickly."""
    line = " ".join(word * 20 for word in ["the", "road", "goes", "ever", "on", "and", "on"] * 10) + "\n"
    (tmp_path / "long.txt").write_text(line * (8_000_000 // len(line)))
    corpus = open_corpus(str(tmp_path / "long.txt"))
    reports: list[tuple[int, int]] = []
    tracemalloc.start()
    result = survey(corpus, "whitespace", lambda done, total: reports.append((done, total)) if not reports else None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.tokens > 100_000
    assert peak < 6_000_000
    assert reports[0][1] == corpus.bytes


def test_progress_is_reported_in_bytes(lotr: Survey):
    reports: list[tuple[int, int]] = []
    survey(lotr.corpus, "characters", lambda *report: reports.append(report))
    size = lotr.corpus.files[0].stat().st_size
    assert reports[-1] == (size, size)
    assert len(reports) == lotr.passages - lotr.blank_passages


def test_notes_name_encoding(tmp_path: Path):
    (tmp_path / "old.txt").write_bytes("雨が降る夜の街で、きみを待っていた。\n".encode("cp932") * 20)
    assert survey(open_corpus(str(tmp_path / "old.txt")), "japanese").notes == ("read as Shift JIS",)


def test_text_of_white_space_is_refused(tmp_path: Path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "a.txt").write_text("x")
    corpus = open_corpus(str(tmp_path / "book"))
    (tmp_path / "book" / "a.txt").write_text(" \n")
    with pytest.raises(CorpusError, match="is empty"):
        survey(corpus, "english")
