import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wordgen.errors import CorpusError
from wordgen.text.vocabulary import OTHER_APOSTROPHE, RESERVED, UNKNOWN, BaseVocabulary, Vocabulary

COUNTS = {"road": 5, "fire": 3, "water": 3, "king": 2, "once": 1}
MIXED = {"do": 5, "￭n't": 2, "￭n’t": 3, "￭'": 4, "￭’": 1, "rock’n'roll": 2}  # both forms of the apostrophe


def test_tokens_are_special_ones_then_by_count_then_alphabetical():
    assert Vocabulary.from_counts(COUNTS, size=100, min_count=2).tokens == (*RESERVED, "road", "fire", "water", "king")
    assert Vocabulary.from_counts(COUNTS, size=100, min_count=1).tokens[-1] == "once"


def test_size_includes_special_tokens_and_apostrophe_mark():
    assert len(Vocabulary.from_counts(COUNTS, size=5, min_count=1)) == 5
    assert len(Vocabulary.from_counts(MIXED, size=5, min_count=1, merge_apostrophes=True)) == 5


def test_other_tokens_are_unknown_and_counted():
    vocabulary = Vocabulary.from_counts(COUNTS, size=5, min_count=1)
    assert vocabulary.id_of("king") == vocabulary.id_of("never seen") == UNKNOWN
    assert vocabulary.counts[UNKNOWN] == COUNTS["water"] + COUNTS["king"] + COUNTS["once"]


@given(st.dictionaries(st.text(min_size=1), st.integers(1, 5), min_size=1), st.integers(4, 20), st.randoms())
def test_vocabulary_does_not_depend_on_order_of_counts(counts: dict[str, int], size: int, rng: random.Random):
    assume(set(counts) - set(RESERVED))
    pairs = list(counts.items())
    rng.shuffle(pairs)
    assert Vocabulary.from_counts(dict(pairs), size, 1) == Vocabulary.from_counts(counts, size, 1)


def test_text_without_repeated_words_is_refused():
    with pytest.raises(CorpusError, match="--min-count 1"):
        Vocabulary.from_counts({"a": 1, "b": 1}, size=100, min_count=2)


def test_json_round_trips():
    vocabulary = Vocabulary.from_counts(COUNTS, size=100, min_count=1)
    assert Vocabulary((s, n) for s, n in vocabulary.to_json()) == vocabulary


def test_forms_of_apostrophe_share_one_entry():
    vocabulary = Vocabulary.from_counts(MIXED, 100, 1, merge_apostrophes=True)
    assert dict(vocabulary.to_json()[3:]) == {"do": 5, "￭n’t": 5, "￭'": 5, OTHER_APOSTROPHE: 3, "rock’n'roll": 2}
    assert vocabulary.id_of("￭n't") == vocabulary.id_of("￭n’t") != UNKNOWN
    mark = vocabulary.id_of(OTHER_APOSTROPHE)
    assert vocabulary.ids_of("￭n't") == [mark, *vocabulary.ids_of("￭n’t")]
    assert vocabulary.ids_of("￭’") == [mark, *vocabulary.ids_of("￭'")]
    assert vocabulary.ids_of("rock'n’roll") == [UNKNOWN]


@pytest.mark.parametrize(("seen", "other"), [("￭n't", "￭n’t"), ("￭n’t", "￭n't")])
@pytest.mark.parametrize("spelling", [False, True])
def test_text_with_one_form_of_apostrophe_needs_no_mark(seen: str, other: str, spelling: bool):
    counts = {"do": 2, seen: 2}
    vocabulary = Vocabulary.from_counts(counts, 1000, 1, spelling=spelling, merge_apostrophes=True)
    assert OTHER_APOSTROPHE not in vocabulary
    assert vocabulary.ids_of(other) == vocabulary.ids_of(seen) == [vocabulary.id_of(seen)]


@pytest.mark.parametrize("tokens", [["a", "b", "c"], [*RESERVED, "a", "a"], []])
def test_invalid_token_list_is_refused(tokens: list[str]):
    with pytest.raises(ValueError, match="begins with the special tokens"):
        Vocabulary((token, 1) for token in tokens)


BASE = Vocabulary([*((special, 0) for special in RESERVED), ("fire", 90), ("once", 80), ("far", 70), ("away", 60)])


@given(
    counts=st.dictionaries(
        st.sampled_from(["road", "fire", "Fire", "once", "twice", "far"]), st.integers(1, 5), min_size=1
    ),
    words=st.integers(0, 4),
    size=st.integers(4, 12),
)
def test_words_of_base_need_one_occurrence_and_unused_come_last(counts: dict[str, int], words: int, size: int):
    assume(any(n >= 2 or BASE.nearest(word) is not None for word, n in counts.items()))
    vocabulary = Vocabulary.from_counts(counts, size, 2, base=BaseVocabulary(BASE, 1, words))
    assert len(vocabulary) <= size
    own = [word for word in vocabulary.tokens[3:] if word in counts]
    unused = list(vocabulary.tokens[3 + len(own) :])
    assert all(counts[word] >= 2 or word in ("fire", "Fire", "once", "far") for word in own)
    assert [vocabulary.counts[vocabulary.id_of(word)] for word in own] == sorted((counts[w] for w in own), reverse=True)
    assert unused == [word for word in BASE.tokens[3 : 3 + words] if word not in counts][: size - 3 - len(own)]
    if len(vocabulary) < size:
        expected = {word for word, n in counts.items() if n >= 2 or BASE.nearest(word) is not None}
        assert set(own) == expected
