import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wordgen.errors import CorpusError
from wordgen.text.vocabulary import OTHER_FORM, RESERVED, UNKNOWN, BaseVocabulary, Vocabulary

COUNTS = {"road": 5, "fire": 3, "water": 3, "king": 2, "once": 1}


def test_special_tokens_come_first_then_common_ones_and_ties_by_spelling():
    vocabulary = Vocabulary.from_counts(COUNTS, size=100, min_count=2)
    assert vocabulary.tokens == (*RESERVED, "road", "fire", "water", "king")


def test_size_counts_the_special_tokens_too():
    assert len(Vocabulary.from_counts(COUNTS, size=5, min_count=1)) == 5


def test_what_is_left_out_is_unknown_and_counted():
    vocabulary = Vocabulary.from_counts(COUNTS, size=5, min_count=1)
    assert vocabulary.id_of("king") == vocabulary.id_of("never seen") == UNKNOWN
    assert vocabulary.counts[UNKNOWN] == COUNTS["water"] + COUNTS["king"] + COUNTS["once"]


def test_min_count_one_keeps_every_word():
    assert "once" in Vocabulary.from_counts(COUNTS, size=100, min_count=1)


@given(st.dictionaries(st.text(min_size=1), st.integers(1, 5), min_size=1), st.integers(4, 20), st.randoms())
def test_the_order_of_counting_does_not_matter(counts: dict[str, int], size: int, dice: random.Random):
    assume(set(counts) - set(RESERVED))
    pairs = list(counts.items())
    dice.shuffle(pairs)
    assert Vocabulary.from_counts(dict(pairs), size, 1) == Vocabulary.from_counts(counts, size, 1)


def test_a_text_without_any_repeated_word_is_told_what_to_do():
    with pytest.raises(CorpusError, match="--min-count 1"):
        Vocabulary.from_counts({"a": 1, "b": 1}, size=100, min_count=2)


def test_json_brings_it_back():
    vocabulary = Vocabulary.from_counts(COUNTS, size=100, min_count=1)
    assert Vocabulary((s, n) for s, n in vocabulary.to_json()) == vocabulary


MIXED = {"do": 5, "￭n't": 2, "￭n’t": 3, "￭'": 4, "￭’": 1, "rock’n'roll": 2}


def test_words_that_differ_in_the_form_of_their_apostrophe_are_one_entry_in_the_commoner_form():
    vocabulary = Vocabulary.from_counts(MIXED, 100, 1, one_apostrophe=True)
    assert dict(vocabulary.to_json()[3:]) == {"do": 5, "￭n’t": 5, "￭'": 5, OTHER_FORM: 3, "rock’n'roll": 2}
    assert vocabulary.id_of("￭n't") == vocabulary.id_of("￭n’t") != UNKNOWN
    mark = vocabulary.id_of(OTHER_FORM)
    assert vocabulary.ids_of("￭n't") == [mark, *vocabulary.ids_of("￭n’t")]
    assert vocabulary.ids_of("￭’") == [mark, *vocabulary.ids_of("￭'")]
    assert vocabulary.ids_of("rock'n’roll") == [UNKNOWN]


@pytest.mark.parametrize(("written", "asked"), [("￭n't", "￭n’t"), ("￭n’t", "￭n't")])
@pytest.mark.parametrize("spelling", [False, True])
def test_a_text_of_one_form_needs_no_mark_and_knows_the_other(written: str, asked: str, spelling: bool):
    counts = {"do": 2, written: 2}
    vocabulary = Vocabulary.from_counts(counts, 1000, 1, spelling=spelling, one_apostrophe=True)
    assert OTHER_FORM not in vocabulary
    assert vocabulary.ids_of(asked) == vocabulary.ids_of(written) == [vocabulary.id_of(written)]


def test_a_full_vocabulary_counts_the_mark_too():
    assert len(Vocabulary.from_counts(MIXED, size=5, min_count=1, one_apostrophe=True)) == 5


@pytest.mark.parametrize("tokens", [["a", "b", "c"], [*RESERVED, "a", "a"], []])
def test_a_list_that_is_no_vocabulary_is_refused(tokens: list[str]):
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
def test_with_a_base_its_words_need_to_occur_once_and_others_come_last(counts: dict[str, int], words: int, size: int):
    assume(any(n >= 2 or BASE.nearest(word) is not None for word, n in counts.items()))
    vocabulary = Vocabulary.from_counts(counts, size, 2, base=BaseVocabulary(BASE, 1, words))
    assert len(vocabulary) <= size
    own = [word for word in vocabulary.tokens[3:] if word in counts]
    besides = list(vocabulary.tokens[3 + len(own) :])
    assert all(counts[word] >= 2 or word in ("fire", "Fire", "once", "far") for word in own)
    assert [vocabulary.counts[vocabulary.id_of(word)] for word in own] == sorted((counts[w] for w in own), reverse=True)
    assert besides == [word for word in BASE.tokens[3 : 3 + words] if word not in counts][: size - 3 - len(own)]
    if len(vocabulary) < size:
        wanted = {word for word, n in counts.items() if n >= 2 or BASE.nearest(word) is not None}
        assert set(own) == wanted
