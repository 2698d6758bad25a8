"""Novelty of texts: shares of copied sequences, longest matches, held-out pieces, and the verdict."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wordgen.corpus.finding import open_corpus
from wordgen.dataset.dataset import Dataset, TextConfig
from wordgen.dataset.encoding import prepare
from wordgen.evaluation.measurement import LENGTHS, Match, Novelty
from wordgen.evaluation.novelty import PASSAGE_END, Texts, distinct, novelty, pieces_like, self_bleu
from wordgen.text.settings import TextSettings
from wordgen.text.tokenizers import Codec, tokenizer_named
from wordgen.text.vocabulary import END, RESERVED, START, UNKNOWN, Vocabulary

LETTERS = Vocabulary([(token, 1) for token in (*RESERVED, *"abcdefghijklmnopqrstuvwxyz")])
A = LETTERS.id_of("a")
SPELLING = Vocabulary.from_counts({"a": 9, "b": 9}, 1000, 2, spelling=True)
SPELLED_WORDS = [SPELLING.ids_of(word) for word in ("oak", "ash", "elm")]


def ids_of(text: str) -> list[int]:
    """Return the ids of letters. * is UNKNOWN; / ends a passage and begins the next."""
    special = {"*": [UNKNOWN], "/": [END, START]}
    return [token for letter in text for token in special.get(letter, [LETTERS.id_of(letter)])]


ONE_LINE = ((0, 1, 0),)


def dataset_of(
    ids: Sequence[int], lines: Sequence[tuple[int, int, int]] = ONE_LINE, *, spelling: bool = False
) -> Dataset:
    codec = Codec(tokenizer_named("characters"), SPELLING if spelling else LETTERS, "\n")
    train = {"train": np.array(ids, np.uint16)}
    line_index = np.array(lines, np.uint32)
    text = TextConfig(corpus="tale", tokenizer="characters", passage="line", line_breaks="joined", starts=True)
    return Dataset(codec, train, "", {}, text, 5, ("a.txt", "b.txt"), line_index)  # pyright: ignore[reportArgumentType]


def novelty_of(samples: Sequence[Sequence[int]], held_out: Sequence[int], dataset: Dataset) -> Novelty:
    return novelty([np.array(sample, np.int64) for sample in samples], np.array(held_out, np.int64), dataset)


def random_letters(count: int, random_seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(random_seed).integers(A, len(LETTERS), count)


def words_of(ids: Sequence[int]) -> list[list[tuple[int, ...]]]:
    """Return the words of each passage. A spelled word is one word; an incomplete word at the end is left out."""
    letters = {token for word in SPELLED_WORDS for token in word[:-1]}
    passages: list[list[tuple[int, ...]]] = [[]]
    word: list[int] = []
    for token in ids:
        if token == START:
            continue
        if token == END:
            passages.append([])
            continue
        word.append(token)
        if token not in letters:
            passages[-1].append(tuple(word))
            word = []
    return passages


def sequences_of(passages: list[list[tuple[int, ...]]], length: int) -> list[tuple[tuple[int, ...], ...]]:
    return [tuple(passage[at : at + length]) for passage in passages for at in range(len(passage) - length + 1)]


LETTER_TEXTS = st.lists(st.sampled_from([[UNKNOWN], [END, START], [3], [3], [4], [4], [5]]), max_size=60)
SPELLED_TEXTS = st.lists(st.sampled_from([[UNKNOWN], [END, START], [SPELLING.id_of("a")], *SPELLED_WORDS]), max_size=40)


def flat(words: list[list[int]]) -> list[int]:
    return [token for word in words for token in word]


@settings(max_examples=150)
@given(data=st.data(), spelling=st.booleans(), incomplete=st.integers(0, 2))
def test_shares_match_naive_counts(data: st.DataObject, spelling: bool, incomplete: int):
    texts = SPELLED_TEXTS if spelling else LETTER_TEXTS
    train = [START, *flat(data.draw(texts)), END]
    samples = [flat(words) for words in data.draw(st.lists(texts, min_size=1, max_size=4))]
    held_out = [START, *flat(data.draw(texts)), END]
    if spelling:
        samples[0] += SPELLED_WORDS[0][:incomplete]
    result = novelty_of(samples, held_out, dataset_of(train, spelling=spelling))
    longest = 0
    for length in range(1, 41):
        in_training = set(sequences_of(words_of(train), length))
        sequences = [sequence for sample in samples for sequence in sequences_of(words_of(sample), length)]
        copied = [sequence in in_training and (UNKNOWN,) not in sequence for sequence in sequences]
        longest = length if any(copied) else longest
        if length in LENGTHS:
            assert result.samples.shares[length] == (pytest.approx(sum(copied) / len(copied)) if copied else None)
    assert (0 if result.samples.longest is None else result.samples.longest.tokens) == longest


@given(begin=st.integers(0, 340), length=st.integers(8, 50))
def test_longest_match_has_file_and_line_of_copied_text(begin: int, length: int):
    train = [START, *random_letters(400, 1), END]  # 40 lines of 10 letters; the last 20 lines are of another file
    lines = [(0, 1, 0), *((1 + 10 * n, 1 + n % 20, n // 20) for n in range(1, 40))]
    cut = train[1 + begin : 1 + begin + length]
    result = novelty_of([cut], random_letters(100, 2).tolist(), dataset_of(train, lines))
    assert set(result.samples.shares.values()) == {1}
    line = begin // 10
    file_and_line = ("a.txt", line + 1) if line < 20 else ("b.txt", line - 19)
    assert result.samples.longest == Match(length, "".join(LETTERS.tokens[token] for token in cut), *file_and_line)
    assert result.originality == "recites"


def test_longest_match_counts_spelled_words_as_one():
    a, (oak, ash, elm) = SPELLING.id_of("a"), SPELLED_WORDS
    train = [START, a, a, a, *oak, *ash, a, *elm, END]
    lines = [(0, 1, 0), (4, 7, 1), (5, 8, 1)]
    sample = [a, a, *elm, *oak, *ash, a, *elm, *oak[:2]]
    samples = novelty_of([sample], [a], dataset_of(train, lines, spelling=True)).samples
    assert samples.longest == Match(4, "oakashaelm", "b.txt", 7)
    assert samples.tokens == 7
    assert samples.shares[3] == pytest.approx(2 / 5)


@pytest.mark.parametrize("corpus", ["spells", "fables"])
def test_counting_unknown_words_as_new_is_nearly_exact(corpus: str, tmp_path: Path):
    """The exact figures come from a vocabulary that spells unknown words, and from one that knows all words."""
    results: list[Novelty] = []
    for text_settings in (TextSettings(), TextSettings(unknown="spell"), TextSettings(min_count=1)):
        dataset = prepare(open_corpus(corpus), text_settings, tmp_path)
        word = dataset.codec.vocabulary.id_of("the")
        results.append(novelty([np.full(100, word)] * 5, dataset.ids["test"], dataset))
    with_unknown, *without_unknown = [result.held_out for result in results]
    for exact in without_unknown:
        assert (exact.texts, exact.tokens) == (5, 500)
        for length in LENGTHS:
            assert with_unknown.shares[length] == pytest.approx(exact.shares[length], abs=0.005)
        assert with_unknown.distinct_1 == pytest.approx(exact.distinct_1, abs=0.02)
        assert with_unknown.self_bleu == pytest.approx(exact.self_bleu, abs=0.005)
        assert with_unknown.longest == exact.longest


def test_matches_do_not_cross_passage_ends_or_unknown_words():
    dataset = dataset_of([START, *ids_of("abc/defgh*ijk"), END])
    samples = novelty_of([ids_of("abc/def"), ids_of("gh*ijk"), ids_of("abcdef")], ids_of("xyz"), dataset).samples
    assert samples.longest is not None
    assert samples.longest.tokens == 3
    # Copied: abc, def, ijk, abc and def, of: abc def | gh* h*i *ij ijk | abc bcd cde def
    assert samples.shares[3] == pytest.approx(5 / 10)


NUMBERS = st.integers(1, 30)


@given(lengths=st.lists(NUMBERS, min_size=1, max_size=8), passages=st.lists(NUMBERS, min_size=1, max_size=12))
def test_held_out_pieces_have_lengths_of_texts(lengths: list[int], passages: list[int]):
    held_out = np.arange(1000, 1000 + sum(passages))
    held_out[np.cumsum(passages) - 1] = PASSAGE_END
    positions = np.arange(len(held_out))
    written = [np.zeros(length, np.int64) for length in lengths]
    pieces = pieces_like(written, held_out)
    # The same pieces of a text whose words are their positions show where each piece begins.
    located = pieces_like(written, np.where(held_out == PASSAGE_END, PASSAGE_END, positions))
    begins = [
        next((position - at for at, position in enumerate(piece.tolist()) if position != PASSAGE_END), None)
        for piece in located
    ]
    if lengths[0] > len(held_out):
        assert [piece.tolist() for piece in pieces] == [held_out.tolist()]
        return
    fitting = sum(total <= len(held_out) for total in np.cumsum(lengths))
    assert [len(piece) for piece in pieces] == lengths[:fitting]
    end = 0
    for begin, piece in zip(begins, pieces, strict=True):
        if begin is not None:
            assert begin >= end
            assert piece.tolist() == held_out[begin : begin + len(piece)].tolist()
            end = begin + len(piece)
    assert end <= len(held_out)


def test_held_out_pieces_are_spread_and_begin_with_passages():
    held_out = np.arange(1000)
    written = [np.zeros(50, np.int64)] * 4
    assert [piece[0] for piece in pieces_like(written, held_out)] == [0, 250, 500, 750]
    held_out[[99, 299, 519, 760, 949]] = PASSAGE_END  # passages begin at 0, 100, 300, 520, 761, 950
    assert [piece[0] for piece in pieces_like(written, held_out)] == [0, 300, 520, 761]
    held_out[299] = 299
    assert [piece[0] for piece in pieces_like(written, held_out)] == [0, 250, 520, 761]


def test_held_out_text_and_samples_are_measured_alike():
    train = [START, *random_letters(300, 1), END]
    text = [*train[10:40], *random_letters(70, 2).tolist()]
    result = novelty_of([text], [START, *text, END], dataset_of(train))
    assert result.samples == result.held_out
    assert (result.held_out.texts, result.held_out.tokens) == (1, 100)
    assert result.originality == "as original"


def test_distinct_and_self_bleu_use_equal_numbers_of_texts():
    dataset = dataset_of([START, *random_letters(300, 1), END])
    samples = [random_letters(50, seed) for seed in range(7)]
    two_pieces = novelty_of([sample.tolist() for sample in samples], random_letters(120, 9).tolist(), dataset)
    assert two_pieces.held_out.texts == 2
    pairs = [Texts(samples[first : first + 2]) for first in (0, 2, 4)]
    assert two_pieces.samples.distinct_2 == pytest.approx(np.mean([distinct(pair, 2) or 0 for pair in pairs]))
    assert two_pieces.samples.self_bleu == pytest.approx(np.mean([self_bleu(pair) or 0 for pair in pairs]))
    one_piece = novelty_of([sample.tolist() for sample in samples], random_letters(60, 9).tolist(), dataset)
    assert one_piece.held_out.self_bleu is None
    assert one_piece.samples.self_bleu == pytest.approx(self_bleu(Texts(samples)))


def texts_with_copies(share: float, train: Sequence[int], random_seed: int, count: int = 20) -> list[list[int]]:
    """Return texts of 100 letters. About this share of each is copied."""
    rng = np.random.default_rng(random_seed)
    texts = [random_letters(100, 1000 * random_seed + number) for number in range(count)]
    for text in texts:
        copied = min(100, round(float(rng.uniform(0.8, 1.2)) * 100 * share))
        begin = int(rng.integers(1, len(train) - 100))
        text[:copied] = train[begin : begin + copied]
    return [text.tolist() for text in texts]


@pytest.mark.parametrize(
    ("own", "of_held_out", "originality", "expected"),
    [
        (0.95, 0.2, "recites", "The model recites: "),
        (0.5, 0.1, "recites", "The model recites: "),
        (0.35, 0.0, "recites", "The model recites: "),
        (0.8, 0.9, "recites", "which is hardly new either."),
        (0.3, 0.15, "less original", "The model is less original than the held-out text: "),
        (0.3, 0.3, "as original", "The model is as original as the held-out text: "),
        (0.0, 0.0, "as original", "The model is as original as the held-out text: "),
        (0.1, 0.4, "more original", "The model is more original than the held-out text, and less similar to the "),
    ],
)
def test_verdict_compares_shares_of_copies(own: float, of_held_out: float, originality: str, expected: str):
    train = [START, *random_letters(2000, 1).tolist(), END]
    samples = texts_with_copies(own, train, 2)
    held_out = [each for text in texts_with_copies(of_held_out, train, 3) for each in (*text, END)]
    result = novelty_of(samples, held_out, dataset_of(train))
    assert result.originality == originality
    assert result.verdict is not None
    assert expected in result.verdict
    for figures in (result.samples, result.held_out):
        assert f"{figures.shares[result.decided_by]:.1%} of " in result.verdict


def test_one_copy_in_few_texts_does_not_change_originality():
    train = [START, *random_letters(2000, 1).tolist(), END]
    samples = texts_with_copies(0, train, 2, count=5)
    samples[0][:60] = train[1:61]
    held_out = [token for text in texts_with_copies(0, train, 3, count=5) for token in text]
    result = novelty_of(samples, held_out, dataset_of(train))
    share = result.samples.shares[8]
    assert share is not None
    assert share > 0.1
    assert result.originality == "as original"


def texts_that_begin_with_copies(lengths: Sequence[int], train: Sequence[int], random_seed: int) -> list[list[int]]:
    """Return texts of 107 letters (100 sequences of 8). Each begins with a copy of the given length."""
    texts = [random_letters(107, 1000 * random_seed + number).tolist() for number in range(len(lengths))]
    return [[*train[1 : 1 + length], *text[length:]] for length, text in zip(lengths, texts, strict=True)]


@pytest.mark.parametrize(
    ("own", "of_held_out", "originality"),
    [
        ([27, 0] * 10, [32, 32], "as original"),  # by chance, both pieces could have more copies than usual
        ([27, 0] * 10, [32, 32] * 10, "more original"),
        ([27, 0] * 10, [0] * 3, "as original"),  # by chance, all three could have no copies
        ([27], [0], "as original"),  # one text does not show how much texts differ
        ([27], [0] * 10, "as original"),
        ([27] * 10, [27], "as original"),
        ([27] * 10, [0], "less original"),
        ([8, 7] * 150, [7] * 300, "as original"),  # significant, but only half a percent
    ],
)
def test_originality_differs_only_if_significant_and_large(own: list[int], of_held_out: list[int], originality: str):
    train = [START, *random_letters(2000, 1).tolist(), END]
    held_out = [token for text in texts_that_begin_with_copies(of_held_out, train, 3) for token in text]
    samples = texts_that_begin_with_copies(own, train, 2)
    assert novelty_of(samples, held_out, dataset_of(train)).originality == originality


def test_short_sequences_decide_if_nothing_long_is_copied():
    train = [START, *random_letters(2000, 1).tolist(), END]
    held_out = [token for text in texts_with_copies(0, train, 3) for token in text]
    short_copies = novelty_of(texts_with_copies(0, train, 2), held_out, dataset_of(train))
    assert (short_copies.originality, short_copies.decided_by) == ("as original", 3)
    no_copies = novelty_of([ids_of("abc" * 9)], ids_of("def" * 9), dataset_of(ids_of("xyz")))
    assert (no_copies.originality, no_copies.decided_by) == ("as original", 3)


def test_short_passages_use_short_sequences_or_get_no_verdict():
    train = [START, *ids_of("abcde/" * 20 + "fghij/" * 20), END]
    short = novelty_of([ids_of("abcde/fghij/" * 8)] * 10, ids_of("kmnop/" * 40), dataset_of(train))
    assert (short.originality, short.decided_by) == ("less original", 5)
    assert short.samples.shares[6] is None
    shorter = novelty_of([ids_of("ab/" * 30)] * 3, ids_of("cd/" * 30), dataset_of(train))
    assert (shorter.originality, shorter.verdict) == (None, None)
    assert shorter.samples.longest == Match(2, "ab", "a.txt", 1)
    assert shorter.held_out.longest == Match(2, "cd", "a.txt", 1)


def test_new_text_has_no_longest_match():
    result = novelty_of([ids_of("xyz")], ids_of("*uv"), dataset_of(ids_of("abc")))
    assert result.samples.longest is None
    assert result.held_out.longest is None
    assert result.samples.shares[3] == 0
