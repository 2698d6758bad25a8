"""Unknown words: words of the training text outside the vocabulary, each with the tokens before and after it."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.corpus.finding import open_corpus
from wordgen.dataset import dataset as module
from wordgen.dataset.dataset import UnknownWords, begins_sentence, unknown_words
from wordgen.dataset.encoding import prepare
from wordgen.text.settings import TextSettings
from wordgen.text.vocabulary import END, UNKNOWN, UNKNOWN_TOKEN, Vocabulary

VOCABULARY = Vocabulary.from_counts({"the": 9, "a": 8, "￭.": 7, '"￭': 6}, 100, 1)


def find_unknown_words(*passages: str) -> list[tuple[str, str, str, bool]]:
    """Return the unknown words of passages: token before, word, token after, and whether the word begins a sentence."""
    tokens = list(dict.fromkeys(token for passage in passages for token in passage.split()))
    numbered = [np.array([tokens.index(token) for token in passage.split()]) for passage in passages]
    unknown = unknown_words(numbered, tokens, VOCABULARY)
    names = VOCABULARY.tokens
    return [(names[left], unknown.words[word], names[right], begins) for left, word, right, begins in unknown.places]


def test_unknown_words_are_kept_with_neighbours():
    assert find_unknown_words("the crow ￭. Mice a heron", "Owls") == [
        ("the", "crow", "￭.", False),
        ("￭.", "Mice", "a", True),
        ("a", "heron", "END_TOKEN", False),
        ("END_TOKEN", "Owls", "END_TOKEN", True),
    ]


def test_unknown_token_in_text_is_not_a_word():
    assert find_unknown_words(f"the {UNKNOWN_TOKEN} a") == []


@pytest.mark.parametrize(
    ("before", "begins"),
    [
        ("", True), ('"￭', True), ("the", False), ("the ￭.", True), ('the ￭. ￭"', True), ('the ￭. "￭', True),
        ("the ￭,", False), ('the ￭, "￭', False), ("a ￭! ￭” “￭", True), ("a b c", False), ("夜 。", True),
    ],
)  # fmt: skip
def test_sentence_begins_after_stop_and_quotation_marks(before: str, begins: bool):
    assert begins_sentence(before.split()) == begins


def test_dataset_has_one_place_for_each_unknown_token(tmp_path: Path):
    dataset = prepare(open_corpus("fables"), TextSettings(), tmp_path)
    unknown, ids = dataset.unknown_words, np.asarray(dataset.ids["train"], np.int64)
    positions = np.flatnonzero(ids == UNKNOWN)
    assert len(unknown.places) == len(positions) == dataset.statistics["train"].unknown > 500
    pairs = Counter((int(ids[n - 1]), int(ids[n + 1])) for n in positions)
    assert Counter((left if left != END else 1, right) for left, _, right, _ in unknown.places) == pairs
    assert all(dataset.codec.vocabulary.id_of(word) == UNKNOWN for word in unknown.words)


@pytest.mark.parametrize("settings", [TextSettings(min_count=1), TextSettings(unknown="spell")])
def test_dataset_without_unknown_tokens_has_no_unknown_words(settings: TextSettings, tmp_path: Path):
    assert not prepare(open_corpus("spells"), settings, tmp_path).unknown_words


@given(st.integers(0, 200), st.integers(1, 20))
def test_evenly_spaced_words_are_kept_if_there_are_too_many(count: int, most: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_PLACES", most)
        passage = np.arange(count)
        kept = unknown_words([passage], [f"w{number}" for number in passage], VOCABULARY)
    numbers = [int(kept.words[word][1:]) for _, word, _, _ in kept.places]
    assert len(numbers) == min(count, len(numbers)) <= most
    assert count <= most or 2 * len(numbers) >= most
    assert len(set(np.diff(numbers).tolist())) <= 1


EXAMPLE = UnknownWords(("crow", "Mice"), ((3, 0, END, False), (END, 1, 4, True)))


def test_json_round_trips():
    assert UnknownWords.from_json(EXAMPLE.to_json(), VOCABULARY) == EXAMPLE


@pytest.mark.parametrize(
    "value",
    [
        {"words": ["the"], "places": []},
        {"words": [3], "places": []},
        {"words": ["crow"], "places": [[3, 1, 2, 0]]},
        {"words": ["crow"], "places": [[3, 0, 99, 0]]},
        {"words": ["crow"], "places": [[3, 0, -1, 0]]},
        {"words": ["crow"], "places": [[3, 0, 2, 7]]},
        {"words": ["crow"], "places": [[3.0, 0, 2, 0]]},
        {"words": ["crow"], "places": [[3, 0, 2]]},
    ],
)
def test_invalid_json_is_refused(value: object):
    with pytest.raises(ValueError, match=r".+"):
        UnknownWords.from_json(value, VOCABULARY)
