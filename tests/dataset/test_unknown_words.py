"""The words that a vocabulary leaves out of a training text, each with its neighbours."""

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


def found(*passages: str) -> list[tuple[str, str, str, bool]]:
    """For each unknown word of some passages: what stands before and behind it, and whether it begins a sentence."""
    tokens = list(dict.fromkeys(token for passage in passages for token in passage.split()))
    numbered = [np.array([tokens.index(token) for token in passage.split()]) for passage in passages]
    known = unknown_words(numbered, tokens, VOCABULARY)
    names = VOCABULARY.tokens
    return [(names[left], known.words[word], names[right], begins) for left, word, right, begins in known.places]


def test_each_is_kept_with_its_neighbours():
    assert found("the crow ￭. Mice a heron", "Owls") == [
        ("the", "crow", "￭.", False),
        ("￭.", "Mice", "a", True),
        ("a", "heron", "END_TOKEN", False),
        ("END_TOKEN", "Owls", "END_TOKEN", True),
    ]


def test_what_the_text_itself_calls_unknown_is_no_word():
    assert found(f"the {UNKNOWN_TOKEN} a") == []


@pytest.mark.parametrize(
    ("before", "begins"),
    [
        ("", True), ('"￭', True), ("the", False), ("the ￭.", True), ('the ￭. ￭"', True), ('the ￭. "￭', True),
        ("the ￭,", False), ('the ￭, "￭', False), ("a ￭! ￭” “￭", True), ("a b c", False), ("夜 。", True),
    ],
)  # fmt: skip
def test_a_sentence_begins_behind_a_stop_and_quotation_marks(before: str, begins: bool):
    assert begins_sentence(before.split()) == begins


def test_a_dataset_has_one_place_for_each_unknown_of_its_training_text(tmp_path: Path):
    dataset = prepare(open_corpus("fables"), TextSettings(), tmp_path)
    unknown, ids = dataset.unknown_words, np.asarray(dataset.ids["train"], np.int64)
    places = np.flatnonzero(ids == UNKNOWN)
    assert len(unknown.places) == len(places) == dataset.statistics["train"].unknown > 500
    pairs = Counter((int(ids[at - 1]), int(ids[at + 1])) for at in places)
    assert Counter((left if left != END else 1, right) for left, _, right, _ in unknown.places) == pairs
    assert all(dataset.codec.vocabulary.id_of(word) == UNKNOWN for word in unknown.words)


@pytest.mark.parametrize("settings", [TextSettings(min_count=1), TextSettings(unknown="spell")])
def test_where_nothing_is_unknown_nothing_is_kept(settings: TextSettings, tmp_path: Path):
    assert not prepare(open_corpus("spells"), settings, tmp_path).unknown_words


@given(st.integers(0, 200), st.integers(1, 20))
def test_of_many_some_are_kept_evenly(count: int, most: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_KEPT", most)
        passage = np.arange(count)
        kept = unknown_words([passage], [f"w{number}" for number in passage], VOCABULARY)
    numbers = [int(kept.words[word][1:]) for _, word, _, _ in kept.places]
    assert len(numbers) == min(count, len(numbers)) <= most
    assert count <= most or 2 * len(numbers) >= most
    assert len(set(np.diff(numbers).tolist())) <= 1


WHOLE = UnknownWords(("crow", "Mice"), ((3, 0, END, False), (END, 1, 4, True)))


def test_json_brings_them_back():
    assert UnknownWords.from_json(WHOLE.to_json(), VOCABULARY) == WHOLE


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
def test_json_that_is_anything_else_is_refused(value: object):
    with pytest.raises(ValueError, match=r".+"):
        UnknownWords.from_json(value, VOCABULARY)
