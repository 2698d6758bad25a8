"""Where sentences end, and the words that are put in where a model writes UNKNOWN."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.corpus.finding import open_corpus
from wordgen.dataset.dataset import UnknownWords
from wordgen.dataset.encoding import prepare
from wordgen.generation.settings import GenerationSettings, Mode
from wordgen.generation.texts import Filler, SentenceEnds, Text, chooser
from wordgen.generation.trained import TrainedModel
from wordgen.model.bundle import UNKNOWN_WORDS, load_bundle, save_bundle
from wordgen.text.settings import TextSettings, TokenizerName
from wordgen.text.tokenizers import tokenizer_named
from wordgen.text.vocabulary import END, START, UNKNOWN, UNKNOWN_TOKEN, Vocabulary


def sentences(tokenizer: TokenizerName, text: str) -> list[str]:
    """Cut a text where its sentences are known to end; what stays open is the last."""
    chosen = tokenizer_named(tokenizer)
    tokens = chosen.tokenize(text)
    pieces = [chosen.piece(token, before) for token, before in zip(tokens, [None, *tokens], strict=False)]
    ends, cuts = SentenceEnds(stops_in_words=tokenizer == "whitespace"), [0]
    for piece in pieces:
        end = ends.see(piece)
        if end is not None:
            cuts.append(end)
    last = ends.end()
    if last is not None and last > cuts[-1]:
        cuts.append(last)
    return ["".join(pieces[a:b]).strip() for a, b in pairwise(cuts)]


@pytest.mark.parametrize(
    "expected",
    [
        ["He went.", "She stayed."],
        ["Stop!", "Who goes there?", "I do..."],
        ["“Stop!” he said.", "“Who goes there?”", "Nobody answered."],
        ['"Stop!" he said.', '"Go."', '"No."', "They left."],
        ["It took 3.5 days (or four.)", "Then it ended."],
        ["Mr. Frodo left.", "Dr. Who did not."],
        ["Wait… what?", "Yes."],
        ["No end at all"],
    ],
)
def test_english(expected: list[str]):
    assert sentences("english", " ".join(expected)) == expected


def test_japanese_needs_no_space():
    assert sentences("japanese", "雨が降る。「行こう！」と彼は言った。夜だ") == [
        "雨が降る。",
        "「行こう！」",
        "と彼は言った。",
        "夜だ",
    ]


def test_words_that_keep_their_stops():
    assert sentences("whitespace", "He went home. Then he “slept.” All was well") == [
        "He went home.",
        "Then he “slept.”",
        "All was well",
    ]
    assert sentences("whitespace", "tokenized <unk> . Next ,") == ["tokenized <unk> .", "Next ,"]


def test_letter_by_letter():
    assert sentences("characters", "It is 3.5. “No!” Then") == ["It is 3.5.", "“No!”", "Then"]


def test_the_end_of_a_passage_ends_any_sentence():
    ends = SentenceEnds()
    assert ends.end() is None
    for piece in ("A", " title"):
        assert ends.see(piece) is None
    assert ends.end() == 3  # the first end of a passage was a piece, too


@given(st.lists(st.sampled_from(["a", " B", ".", " .", "!", "”", " ", "\n", "。", "", " c"]), max_size=20))
def test_ends_are_told_in_order_and_never_beyond_what_was_seen(pieces: list[str]):
    ends, last = SentenceEnds(), 0
    for number, piece in enumerate(pieces):
        end = ends.see(piece)
        if end is not None:
            assert last < end <= number
            last = end


COUNTS = {"the": 40, "a": 30, "￭.": 20, "of": 9, "with": 8, "cat": 7, "Anna": 6, "ran": 5, "walked": 4, "cats": 3}
VOCABULARY = Vocabulary.from_counts(COUNTS, 100, 1)
THE, A, STOP, OF, WITH = (VOCABULARY.id_of(word) for word in ("the", "a", "￭.", "of", "with"))
GREEDY = chooser(GenerationSettings(mode="greedy"), 0, 0)


def filler(*places: tuple[int, str, int] | tuple[int, str, int, bool]) -> Filler:
    words = list(dict.fromkeys(place[1] for place in places))
    begins = [place[3] if len(place) > 3 else False for place in places]
    rows = [(place[0], words.index(place[1]), place[2], each) for place, each in zip(places, begins, strict=True)]
    return Filler(UnknownWords(tuple(words), tuple(rows)), VOCABULARY)


def word(of: Filler, ids: list[int], behind: int | None, *, like: str = "") -> str:
    """The likeliest word, where the network expects some known word more than others."""
    log_probs = np.full(len(VOCABULARY), np.log(1 / len(VOCABULARY)), np.float32)
    if like:
        log_probs -= 5
        log_probs[VOCABULARY.id_of(like)] = np.log(0.9)
    return of.word(ids, of.expected(log_probs), GREEDY, behind)


def test_the_words_around_it_choose_first_the_left_one_then_the_right_one_then_frequency():
    of = filler((THE, "crow", OF), (THE, "wren", A), (THE, "wren", WITH), (WITH, "gnat", OF), *[(A, "mole", A)] * 5)
    assert word(of, [THE], OF) == "crow"
    assert word(of, [THE], STOP) == "wren"  # behind "the" twice
    assert word(of, [THE], None) == "wren"
    assert word(of, [OF], WITH) == "wren"
    assert word(of, [STOP, OF], STOP) == "mole"
    assert not of.is_new(THE, "crow", OF)
    assert of.is_new(THE, "wren", OF)


def test_a_sentence_begins_with_a_capital_and_goes_on_without_one_that_only_its_beginning_gave():
    of = filler((END, "Crows", THE, True), (STOP, "Owls", THE, True), (THE, "wren", OF), (A, "Gwen", OF))
    assert word(of, [], THE) == "Crows"
    assert word(of, [THE, STOP], THE) == "Owls"
    assert word(of, [THE, STOP], A) in ("Owls", "Crows", "Wren", "Gwen")
    assert word(of, [A, END], OF)[0].isupper()
    assert word(of, [OF], THE) in ("wren", "Gwen")
    assert "Wren" in of


@pytest.mark.parametrize(
    ("like", "chosen"), [("cat", "crow"), ("cats", "wrens"), ("walked", "hopped"), ("Anna", "Gwen")]
)
def test_of_words_that_stood_there_one_of_the_kind_that_the_network_expects_is_put_in(like: str, chosen: str):
    of = filler(*((THE, each, A) for each in ("crow", "wrens", "hopped", "Gwen")))
    assert word(of, [THE], OF, like=like) == chosen


def test_a_word_that_is_known_with_a_capital_is_not_put_where_one_is_needed():
    assert word(filler((THE, "anna", OF), (THE, "gnat", OF)), [STOP], OF) == "Gnat"


@given(st.lists(st.integers(2, len(VOCABULARY) - 1), max_size=5), st.none() | st.integers(2, 9), st.integers(0, 99))
def test_whatever_stands_around_it_some_word_is_found_that_the_vocabulary_does_not_know(
    ids: list[int], behind: int | None, random_seed: int
):
    of = filler((THE, "anna", OF, True), (A, "￭-bird", STOP), (OF, "7", THE))
    draw = chooser(GenerationSettings(random_seed=random_seed), 0, len(ids))
    log_probs = np.full(len(VOCABULARY), np.log(1 / len(VOCABULARY)), np.float32)
    chosen = of.word(ids, of.expected(log_probs), draw, behind)
    assert chosen in of
    assert VOCABULARY.id_of(chosen) == UNKNOWN
    assert of.word(ids, of.expected(log_probs), draw, behind) == chosen


# With a trained model

FREE: dict[str, Any] = {"length": 40, "temperature": 1.0, "random_seed": 4}


def put_in(text: Text) -> list[str]:
    return [text.tokens[place] for place in text.put_in]


@pytest.mark.parametrize("mode", ["sample", "greedy", "beam"])
@pytest.mark.parametrize("stop", ["none", "sentence"])
def test_no_text_shows_unknown_nor_has_two_in_a_row_and_streams_as_it_is(model: TrainedModel, mode: Mode, stop: str):
    options: dict[str, Any] = {
        **FREE,
        "mode": mode,
        "stop": stop,
        "at_least": 20,
        "count": 6 if mode == "sample" else 1,
    }
    texts = model.generate("The caster", **options)
    for text in texts:
        assert UNKNOWN_TOKEN not in text.tokens
        assert UNKNOWN_TOKEN not in text.text
        assert 1 not in np.diff(text.put_in)
        assert [n for n, each in enumerate(text.tokens) if model.vocabulary.id_of(each) == UNKNOWN] == [*text.put_in]
        alone = {**options, "count": 1, "random_seed": text.random_seed}
        assert (
            "".join(model.stream("The caster", **alone)) == text.text == model.generate("The caster", **alone)[0].text
        )
    assert mode != "sample" or sum(map(len, map(put_in, texts))) > 6


def test_the_mark_itself_is_shown_where_it_is_allowed_and_nothing_changes_before_it(model: TrainedModel):
    shown = model.generate("", **FREE, count=12, allow_unknown=True)
    assert any(UNKNOWN_TOKEN in text.tokens for text in shown)
    assert not any(text.put_in for text in shown)
    for marked, text in zip(shown, model.generate("", **FREE, count=12), strict=True):
        known = tuple(UNKNOWN_TOKEN if n in text.put_in else each for n, each in enumerate(text.tokens))
        alike = 1 + text.put_in[0] if text.put_in else len(known)  # behind an UNKNOWN another may not come
        assert known[:alike] == marked.tokens[:alike]


def test_a_text_scores_as_it_was_written(model: TrainedModel):
    cut = tokenizer_named("english").tokenize  # a stop within a text may be read with its word
    texts = model.generate("", **FREE, count=20, stop="end")
    text = next(each for each in texts if each.put_in and [*cut(each.text)] == [*each.tokens])
    scored = model.score(text.text).tokens
    assert [each.token for each in scored] == [*text.tokens]
    assert [each.log_probability for each in scored] == pytest.approx(text.log_probabilities, abs=1e-3)
    assert [n for n, each in enumerate(scored) if not each.known] == [*text.put_in]


def test_a_model_without_its_unknown_words_writes_without_them(model: TrainedModel, trained_room: Path, tmp_path: Path):
    bundle = load_bundle(trained_room / "saved_models" / "small")
    assert bundle.unknown_words
    save_bundle(bundle, tmp_path / "whole")
    (tmp_path / "whole" / UNKNOWN_WORDS).unlink()
    bare = TrainedModel(load_bundle(tmp_path / "whole"))
    assert bare.fingerprint != model.fingerprint
    assert not any(text.put_in for text in bare.generate("", **FREE, count=6))
    assert bare.generate("", **FREE, allow_unknown=True) == model.generate("", **FREE, allow_unknown=True)


def test_a_put_in_word_is_part_of_a_copy_only_where_it_stood(model: TrainedModel, trained_room: Path, tmp_path: Path):
    unknown = load_bundle(trained_room / "saved_models" / "small").unknown_words
    learned = np.asarray(prepare(open_corpus("spells"), TextSettings(), tmp_path).ids["train"])
    ids = learned[learned != START].tolist()
    at = next(
        n
        for n in range(8, len(ids))
        if ids[n] == UNKNOWN and not {UNKNOWN, END} & {*ids[n - 5 : n], *ids[n + 1 : n + 6]}
    )
    names = model.vocabulary.tokens
    (stood,) = {
        unknown.words[word] for left, word, right, _ in unknown.places if (left, right) == (ids[at - 1], ids[at + 1])
    }
    other = next(each for each in unknown.words if each != stood)
    around = [names[each] for each in ids[at - 5 : at + 6]]
    whole, broken = ([*around[:5], each, *around[6:]] for each in (stood, other))
    assert [copy.tokens for copy in model.copies_in(whole)] == [11]
    assert [copy.tokens for copy in model.copies_in(broken)] == [5, 5]


def test_offers_have_a_word_in_the_place_of_unknown_and_it_is_picked_as_it_stands(model: TrainedModel):
    session = model.session("The caster's")
    offers = session.next_words(10**6)
    (offer,) = (each for each in offers if model.stands_for_unknown(each.token))
    assert UNKNOWN_TOKEN not in [each.token for each in offers]
    assert offer.probability > 0.01
    session.pick(offer)
    assert session.text == "The caster's" + offer.piece
    assert session.ids[-1] == UNKNOWN
    assert not any(model.stands_for_unknown(each.token) for each in session.next_words(10**6))
    pieces = "".join(session.write(replace(GenerationSettings(), length=5, random_seed=1)))
    assert session.text == "The caster's" + offer.piece + pieces
