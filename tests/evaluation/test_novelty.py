"""How new texts are: plain counts, texts cut from the training text, held-out pieces, and what is said of it."""

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
SPELLED = [SPELLING.ids_of(word) for word in ("oak", "ash", "elm")]


def ids_of(text: str) -> list[int]:
    """Of letters: * is UNKNOWN, / ends a passage, which begins anew behind it."""
    special = {"*": [UNKNOWN], "/": [END, START]}
    return [each for letter in text for each in special.get(letter, [LETTERS.id_of(letter)])]


ONE_LINE = ((0, 1, 0),)


def learned(ids: Sequence[int], lines: Sequence[tuple[int, int, int]] = ONE_LINE, *, spelling: bool = False) -> Dataset:
    codec = Codec(tokenizer_named("characters"), SPELLING if spelling else LETTERS, "\n")
    train = {"train": np.array(ids, np.uint16)}
    places = np.array(lines, np.uint32)
    text = TextConfig(corpus="tale", tokenizer="characters", passage="line", line_breaks="joined", starts=True)
    return Dataset(codec, train, "", {}, text, 5, ("a.txt", "b.txt"), places)  # pyright: ignore[reportArgumentType]


def novelty_of(samples: Sequence[Sequence[int]], held_out: Sequence[int], dataset: Dataset) -> Novelty:
    return novelty([np.array(each, np.int64) for each in samples], np.array(held_out, np.int64), dataset)


def random_letters(count: int, random_seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(random_seed).integers(A, len(LETTERS), count)


def words_of(ids: Sequence[int]) -> list[list[tuple[int, ...]]]:
    """The words of each passage, spelled ones as one; half a word at the end is left out."""
    letters = {each for word in SPELLED for each in word[:-1]}
    passages: list[list[tuple[int, ...]]] = [[]]
    word: list[int] = []
    for each in ids:
        if each == START:
            continue
        if each == END:
            passages.append([])
            continue
        word.append(each)
        if each not in letters:
            passages[-1].append(tuple(word))
            word = []
    return passages


def runs_of(passages: list[list[tuple[int, ...]]], length: int) -> list[tuple[tuple[int, ...], ...]]:
    return [tuple(passage[at : at + length]) for passage in passages for at in range(len(passage) - length + 1)]


LETTER_TEXTS = st.lists(st.sampled_from([[UNKNOWN], [END, START], [3], [3], [4], [4], [5]]), max_size=60)
SPELLED_TEXTS = st.lists(st.sampled_from([[UNKNOWN], [END, START], [SPELLING.id_of("a")], *SPELLED]), max_size=40)


def flat(words: list[list[int]]) -> list[int]:
    return [each for word in words for each in word]


@settings(max_examples=150)
@given(data=st.data(), spelling=st.booleans(), half=st.integers(0, 2))
def test_shares_are_plain_counts(data: st.DataObject, spelling: bool, half: int):
    texts = SPELLED_TEXTS if spelling else LETTER_TEXTS
    train = [START, *flat(data.draw(texts)), END]
    samples = [flat(each) for each in data.draw(st.lists(texts, min_size=1, max_size=4))]
    held_out = [START, *flat(data.draw(texts)), END]
    if spelling:
        samples[0] += SPELLED[0][:half]
    found = novelty_of(samples, held_out, learned(train, spelling=spelling))
    longest = 0
    for length in range(1, 41):
        in_training = set(runs_of(words_of(train), length))
        runs = [run for sample in samples for run in runs_of(words_of(sample), length)]
        stand = [run in in_training and (UNKNOWN,) not in run for run in runs]
        longest = length if any(stand) else longest
        if length in LENGTHS:
            assert found.samples.shares[length] == (pytest.approx(sum(stand) / len(stand)) if stand else None)
    assert (0 if found.samples.longest is None else found.samples.longest.tokens) == longest


@given(begin=st.integers(0, 340), length=st.integers(8, 50))
def test_a_text_cut_from_the_training_text_is_all_of_it_there_with_its_line(begin: int, length: int):
    train = [START, *random_letters(400, 1), END]  # in lines of ten letters, the last twenty lines of another file
    lines = [(0, 1, 0), *((1 + 10 * n, 1 + n % 20, n // 20) for n in range(1, 40))]
    cut = train[1 + begin : 1 + begin + length]
    found = novelty_of([cut], random_letters(100, 2).tolist(), learned(train, lines))
    assert set(found.samples.shares.values()) == {1}
    line = begin // 10
    place = ("a.txt", line + 1) if line < 20 else ("b.txt", line - 19)
    assert found.samples.longest == Match(length, "".join(LETTERS.tokens[each] for each in cut), *place)
    assert found.originality == "recites"


def test_a_run_of_spelled_words_has_their_number_and_their_place():
    a = SPELLING.id_of("a")
    train = [START, a, a, a, *SPELLED[0], *SPELLED[1], a, *SPELLED[2], END]
    lines = [(0, 1, 0), (4, 7, 1), (5, 8, 1)]
    sample = [a, a, *SPELLED[2], *SPELLED[0], *SPELLED[1], a, *SPELLED[2], *SPELLED[0][:2]]
    found = novelty_of([sample], [a], learned(train, lines, spelling=True))
    assert found.samples.longest == Match(4, "oakashaelm", "b.txt", 7)
    assert found.samples.tokens == 7
    assert found.samples.shares[3] == pytest.approx(2 / 5)


@pytest.mark.parametrize("corpus", ["spells", "fables"])
def test_to_count_an_unknown_word_as_new_is_next_to_the_truth(corpus: str, tmp_path: Path):
    """What spelling or knowing every word finds, where nothing is UNKNOWN."""
    found: list[Novelty] = []
    for how in (TextSettings(), TextSettings(unknown="spell"), TextSettings(min_count=1)):
        dataset = prepare(open_corpus(corpus), how, tmp_path)
        word = dataset.codec.vocabulary.id_of("the")
        found.append(novelty([np.full(100, word)] * 5, dataset.ids["test"], dataset))
    as_new, *truths = [each.held_out for each in found]
    for truth in truths:
        assert (truth.texts, truth.tokens) == (5, 500)
        for length in LENGTHS:
            assert as_new.shares[length] == pytest.approx(truth.shares[length], abs=0.005)
        assert as_new.distinct_1 == pytest.approx(truth.distinct_1, abs=0.02)
        assert as_new.self_bleu == pytest.approx(truth.self_bleu, abs=0.005)
        assert as_new.longest == truth.longest


def test_no_run_goes_over_the_end_of_a_passage_nor_over_an_unknown_word():
    dataset = learned([START, *ids_of("abc/defgh*ijk"), END])
    found = novelty_of([ids_of("abc/def"), ids_of("gh*ijk"), ids_of("abcdef")], ids_of("xyz"), dataset)
    assert found.samples.longest is not None
    assert found.samples.longest.tokens == 3
    # abc, def | gh* h*i *ij ijk | abc bcd cde def
    assert found.samples.shares[3] == pytest.approx(5 / 10)


NUMBERS = st.integers(1, 30)


@given(lengths=st.lists(NUMBERS, min_size=1, max_size=8), passages=st.lists(NUMBERS, min_size=1, max_size=12))
def test_pieces_are_as_long_as_the_texts_and_do_not_overlap(lengths: list[int], passages: list[int]):
    held_out = np.arange(1000, 1000 + sum(passages))
    held_out[np.cumsum(passages) - 1] = PASSAGE_END
    places = np.arange(len(held_out))
    written = [np.zeros(length, np.int64) for length in lengths]
    pieces = pieces_like(written, held_out)
    cut = pieces_like(written, np.where(held_out == PASSAGE_END, PASSAGE_END, places))
    # Of the same text with places for words it shows where a piece lies, but for the ends of passages.
    begins = [next((each - at for at, each in enumerate(piece.tolist()) if each != PASSAGE_END), None) for piece in cut]
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


def test_pieces_are_spread_over_the_text_and_begin_with_passages_where_they_can():
    held_out = np.arange(1000)
    four = [np.zeros(50, np.int64)] * 4
    assert [piece[0] for piece in pieces_like(four, held_out)] == [0, 250, 500, 750]
    held_out[[99, 299, 519, 760, 949]] = PASSAGE_END  # passages begin at 0, 100, 300, 520, 761, 950
    assert [piece[0] for piece in pieces_like(four, held_out)] == [0, 300, 520, 761]
    held_out[299] = 299
    assert [piece[0] for piece in pieces_like(four, held_out)] == [0, 250, 520, 761]


def test_held_out_text_is_measured_as_samples_are():
    train = [START, *random_letters(300, 1), END]
    text = [*train[10:40], *random_letters(70, 2).tolist()]
    found = novelty_of([text], [START, *text, END], learned(train))
    assert found.samples == found.held_out
    assert (found.held_out.texts, found.held_out.tokens) == (1, 100)
    assert found.originality == "as original"


def test_what_depends_on_the_number_of_texts_is_taken_of_as_many():
    dataset = learned([START, *random_letters(300, 1), END])
    samples = [random_letters(50, seed) for seed in range(7)]
    found = novelty_of([each.tolist() for each in samples], random_letters(120, 9).tolist(), dataset)
    assert found.held_out.texts == 2
    pairs = [Texts(samples[first : first + 2]) for first in (0, 2, 4)]
    assert found.samples.distinct_2 == pytest.approx(np.mean([distinct(pair, 2) or 0 for pair in pairs]))
    assert found.samples.self_bleu == pytest.approx(np.mean([self_bleu(pair) or 0 for pair in pairs]))
    one = novelty_of([each.tolist() for each in samples], random_letters(60, 9).tolist(), dataset)
    assert one.held_out.self_bleu is None
    assert one.samples.self_bleu == pytest.approx(self_bleu(Texts(samples)))


def texts_with_copies(share: float, train: Sequence[int], random_seed: int, count: int = 20) -> list[list[int]]:
    """Texts of a hundred letters; of each so large a part, more or less, is copied."""
    dice = np.random.default_rng(random_seed)
    texts = [random_letters(100, 1000 * random_seed + number) for number in range(count)]
    for text in texts:
        copied = min(100, round(float(dice.uniform(0.8, 1.2)) * 100 * share))
        begin = int(dice.integers(1, len(train) - 100))
        text[:copied] = train[begin : begin + copied]
    return [text.tolist() for text in texts]


@pytest.mark.parametrize(
    ("own", "others", "originality", "said"),
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
def test_the_verdict(own: float, others: float, originality: str, said: str):
    train = [START, *random_letters(2000, 1).tolist(), END]
    samples = texts_with_copies(own, train, 2)
    held_out = [each for text in texts_with_copies(others, train, 3) for each in (*text, END)]
    found = novelty_of(samples, held_out, learned(train))
    assert found.originality == originality
    assert found.verdict is not None
    assert said in found.verdict
    for figures in (found.samples, found.held_out):
        assert f"{figures.shares[found.told_by]:.1%} of " in found.verdict


def test_one_copy_in_few_texts_may_be_chance():
    train = [START, *random_letters(2000, 1).tolist(), END]
    samples = texts_with_copies(0, train, 2, count=5)
    samples[0][:60] = train[1:61]
    held_out = [each for text in texts_with_copies(0, train, 3, count=5) for each in text]
    found = novelty_of(samples, held_out, learned(train))
    share = found.samples.shares[8]
    assert share is not None
    assert share > 0.1
    assert found.originality == "as original"


def copying(lengths: Sequence[int], train: Sequence[int], random_seed: int) -> list[list[int]]:
    """Texts of 107 letters, a hundred runs of eight, that begin with so long copies each."""
    texts = [random_letters(107, 1000 * random_seed + number).tolist() for number in range(len(lengths))]
    return [[*train[1 : 1 + length], *text[length:]] for length, text in zip(lengths, texts, strict=True)]


@pytest.mark.parametrize(
    ("own", "others", "originality"),
    [
        ([27, 0] * 10, [32, 32], "as original"),  # two pieces could be of those that have more
        ([27, 0] * 10, [32, 32] * 10, "more original"),
        ([27, 0] * 10, [0] * 3, "as original"),  # three could be of those that have none
        ([27], [0], "as original"),  # nobody knows how much such texts differ
        ([27], [0] * 10, "as original"),
        ([27] * 10, [27], "as original"),
        ([27] * 10, [0], "less original"),
        ([8, 7] * 150, [7] * 300, "as original"),  # sure, but half a percent is no difference
    ],
)
def test_what_is_said_is_sure_and_worth_saying(own: list[int], others: list[int], originality: str):
    train = [START, *random_letters(2000, 1).tolist(), END]
    held_out = [each for text in copying(others, train, 3) for each in text]
    assert novelty_of(copying(own, train, 2), held_out, learned(train)).originality == originality


def test_where_nothing_long_is_copied_the_verdict_goes_by_what_there_is():
    train = [START, *random_letters(2000, 1).tolist(), END]
    held_out = [each for text in texts_with_copies(0, train, 3) for each in text]
    found = novelty_of(texts_with_copies(0, train, 2), held_out, learned(train))
    assert (found.originality, found.told_by) == ("as original", 3)
    nothing = novelty_of([ids_of("abc" * 9)], ids_of("def" * 9), learned(ids_of("xyz")))
    assert (nothing.originality, nothing.told_by) == ("as original", 3)


def test_short_passages_are_told_by_short_runs_and_shorter_ones_not_at_all():
    train = [START, *ids_of("abcde/" * 20 + "fghij/" * 20), END]
    short = novelty_of([ids_of("abcde/fghij/" * 8)] * 10, ids_of("kmnop/" * 40), learned(train))
    assert (short.originality, short.told_by) == ("less original", 5)
    assert short.samples.shares[6] is None
    shorter = novelty_of([ids_of("ab/" * 30)] * 3, ids_of("cd/" * 30), learned(train))
    assert (shorter.originality, shorter.verdict) == (None, None)
    assert shorter.samples.longest == Match(2, "ab", "a.txt", 1)
    assert shorter.held_out.longest == Match(2, "cd", "a.txt", 1)


def test_a_text_of_which_nothing_stands_there_has_no_longest_run():
    found = novelty_of([ids_of("xyz")], ids_of("*uv"), learned(ids_of("abc")))
    assert found.samples.longest is None
    assert found.held_out.longest is None
    assert found.samples.shares[3] == 0
