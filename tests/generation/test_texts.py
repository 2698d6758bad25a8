"""Where sentences end, and the words that replace UNKNOWN in written texts."""

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
from wordgen.generation.texts import SentenceEndFinder, UnknownReplacer, chooser
from wordgen.generation.trained import TrainedModel
from wordgen.model.bundle import UNKNOWN_WORDS, load_bundle, save_bundle
from wordgen.text.settings import TextSettings, TokenizerName
from wordgen.text.tokenizers import tokenizer_named
from wordgen.text.vocabulary import END, START, UNKNOWN, UNKNOWN_TOKEN, Vocabulary


def sentences(tokenizer: TokenizerName, text: str) -> list[str]:
    """Split a text at the ends of its sentences. The last sentence may be incomplete."""
    chosen = tokenizer_named(tokenizer)
    tokens = chosen.tokenize(text)
    pieces = [chosen.piece(token, before) for token, before in zip(tokens, [None, *tokens], strict=False)]
    ends, cuts = SentenceEndFinder(stops_in_words=tokenizer == "whitespace"), [0]
    for piece in pieces:
        end = ends.add_piece(piece)
        if end is not None:
            cuts.append(end)
    last = ends.add_end()
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
def test_english_sentences(expected: list[str]):
    assert sentences("english", " ".join(expected)) == expected


def test_japanese_sentences():
    assert sentences("japanese", "雨が降る。「行こう！」と彼は言った。夜だ") == [
        "雨が降る。",
        "「行こう！」",
        "と彼は言った。",
        "夜だ",
    ]


def test_sentences_of_whitespace_tokens():
    assert sentences("whitespace", "He went home. Then he “slept.” All was well") == [
        "He went home.",
        "Then he “slept.”",
        "All was well",
    ]
    assert sentences("whitespace", "tokenized <unk> . Next ,") == ["tokenized <unk> .", "Next ,"]


def test_sentences_of_characters():
    assert sentences("characters", "It is 3.5. “No!” Then") == ["It is 3.5.", "“No!”", "Then"]


def test_end_of_passage_ends_any_sentence():
    ends = SentenceEndFinder()
    assert ends.add_end() is None
    for piece in ("A", " title"):
        assert ends.add_piece(piece) is None
    assert ends.add_end() == 3  # the first end of a passage counts as a piece


def test_sentence_ends_before_a_spelled_word_of_the_next_line():
    """The bytes of a spelled word have empty pieces. Its last piece is the word."""
    ends = SentenceEndFinder()
    assert [ends.add_piece(piece) for piece in ("Stop", ".", "\n", "", "", "Xylophones")] == [None] * 5 + [2]
    ends = SentenceEndFinder()
    assert [ends.add_piece(piece) for piece in ("example", ".", "", "", "org")] == [None] * 5


@given(st.lists(st.sampled_from(["a", " B", ".", " .", "!", "”", " ", "\n", "。", "", " c"]), max_size=20))
def test_sentence_ends_are_in_order_and_within_text(pieces: list[str]):
    ends, last = SentenceEndFinder(), 0
    for number, piece in enumerate(pieces):
        end = ends.add_piece(piece)
        if end is not None:
            assert last < end <= number
            last = end


COUNTS = {"the": 40, "a": 30, "￭.": 20, "of": 9, "with": 8, "cat": 7, "Anna": 6, "ran": 5, "walked": 4, "cats": 3}
VOCABULARY = Vocabulary.from_counts(COUNTS, 100, 1)
THE, A, STOP, OF, WITH = (VOCABULARY.id_of(word) for word in ("the", "a", "￭.", "of", "with"))
GREEDY = chooser(GenerationSettings(mode="greedy"), 0, 0)


def make_unknown_replacer(*places: tuple[int, str, int] | tuple[int, str, int, bool]) -> UnknownReplacer:
    """Each place: the token before, the unknown word, the token after, and whether a sentence begins there."""
    words = list(dict.fromkeys(place[1] for place in places))
    begins = [place[3] if len(place) > 3 else False for place in places]
    rows = [(place[0], words.index(place[1]), place[2], begin) for place, begin in zip(places, begins, strict=True)]
    return UnknownReplacer(UnknownWords(tuple(words), tuple(rows)), VOCABULARY)


def fill(replacer: UnknownReplacer, ids: list[int], after: int | None, *, expected: str = "") -> str:
    """Return the most probable word. The network expects no word more than others, or `expected`."""
    log_probs = np.full(len(VOCABULARY), np.log(1 / len(VOCABULARY)), np.float32)
    if expected:
        log_probs -= 5
        log_probs[VOCABULARY.id_of(expected)] = np.log(0.9)
    return replacer.word(ids, replacer.expected(log_probs), GREEDY, after)


def test_neighbors_then_frequency_choose_the_word():
    replacer = make_unknown_replacer(
        (THE, "crow", OF), (THE, "wren", A), (THE, "wren", WITH), (WITH, "gnat", OF), *[(A, "mole", A)] * 5
    )
    assert fill(replacer, [THE], OF) == "crow"
    assert fill(replacer, [THE], STOP) == "wren"  # twice after "the"
    assert fill(replacer, [THE], None) == "wren"
    assert fill(replacer, [OF], WITH) == "wren"
    assert fill(replacer, [STOP, OF], STOP) == "mole"
    assert not replacer.is_new(THE, "crow", OF)
    assert replacer.is_new(THE, "wren", OF)


def test_filled_word_is_capitalized_only_at_sentence_start():
    replacer = make_unknown_replacer(
        (END, "Crows", THE, True), (STOP, "Owls", THE, True), (THE, "wren", OF), (A, "Gwen", OF)
    )
    assert fill(replacer, [], THE) == "Crows"
    assert fill(replacer, [THE, STOP], THE) == "Owls"
    assert fill(replacer, [THE, STOP], A) in ("Owls", "Crows", "Wren", "Gwen")
    assert fill(replacer, [A, END], OF)[0].isupper()
    assert fill(replacer, [OF], THE) in ("wren", "Gwen")
    assert "Wren" in replacer


@pytest.mark.parametrize(
    ("expected", "chosen"), [("cat", "crow"), ("cats", "wrens"), ("walked", "hopped"), ("Anna", "Gwen")]
)
def test_filled_word_has_the_kind_that_network_expects(expected: str, chosen: str):
    replacer = make_unknown_replacer(*((THE, word, A) for word in ("crow", "wrens", "hopped", "Gwen")))
    assert fill(replacer, [THE], OF, expected=expected) == chosen


def test_filled_word_is_unknown_also_when_capitalized():
    assert fill(make_unknown_replacer((THE, "anna", OF), (THE, "gnat", OF)), [STOP], OF) == "Gnat"


@given(st.lists(st.integers(2, len(VOCABULARY) - 1), max_size=5), st.none() | st.integers(2, 9), st.integers(0, 99))
def test_filled_word_is_never_in_the_vocabulary(ids: list[int], after: int | None, random_seed: int):
    replacer = make_unknown_replacer((THE, "anna", OF, True), (A, "￭-bird", STOP), (OF, "7", THE))
    choose = chooser(GenerationSettings(random_seed=random_seed), 0, len(ids))
    log_probs = np.full(len(VOCABULARY), np.log(1 / len(VOCABULARY)), np.float32)
    word = replacer.word(ids, replacer.expected(log_probs), choose, after)
    assert word in replacer
    assert VOCABULARY.id_of(word) == UNKNOWN
    assert replacer.word(ids, replacer.expected(log_probs), choose, after) == word


# With a trained model

FREE: dict[str, Any] = {"length": 40, "temperature": 1.0, "random_seed": 4}


@pytest.mark.parametrize("mode", ["sample", "greedy", "beam"])
@pytest.mark.parametrize("stop", ["none", "sentence"])
def test_text_has_words_instead_of_unknown(model: TrainedModel, mode: Mode, stop: str):
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
        assert 1 not in np.diff(text.unknown_replacements)
        assert [n for n, each in enumerate(text.tokens) if model.vocabulary.id_of(each) == UNKNOWN] == [
            *text.unknown_replacements
        ]
        one = {**options, "count": 1, "random_seed": text.random_seed}
        assert "".join(model.stream("The caster", **one)) == text.text == model.generate("The caster", **one)[0].text
    assert mode != "sample" or sum(len(text.unknown_replacements) for text in texts) > 0


def test_allow_unknown_changes_nothing_before_the_first_unknown(model: TrainedModel):
    with_unknown = model.generate("", **FREE, count=12, allow_unknown=True)
    assert any(UNKNOWN_TOKEN in text.tokens for text in with_unknown)
    assert not any(text.unknown_replacements for text in with_unknown)
    for expected, text in zip(with_unknown, model.generate("", **FREE, count=12), strict=True):
        tokens = tuple(
            UNKNOWN_TOKEN if n in text.unknown_replacements else token for n, token in enumerate(text.tokens)
        )
        equal = (
            1 + text.unknown_replacements[0] if text.unknown_replacements else len(tokens)
        )  # then the texts differ: no two UNKNOWN in a row
        assert tokens[:equal] == expected.tokens[:equal]


def test_score_of_filled_text_equals_its_log_probabilities(model: TrainedModel):
    tokenize = tokenizer_named("english").tokenize
    texts = model.generate("", **FREE, count=20, stop="end")
    text = next(each for each in texts if each.unknown_replacements and [*tokenize(each.text)] == [*each.tokens])
    scored = model.score(text.text).tokens
    assert [each.token for each in scored] == [*text.tokens]
    assert [each.log_probability for each in scored] == pytest.approx(text.log_probabilities, abs=1e-3)
    assert [n for n, each in enumerate(scored) if not each.known] == [*text.unknown_replacements]


def test_model_without_unknown_words_file_fills_nothing(model: TrainedModel, trained_folder: Path, tmp_path: Path):
    bundle = load_bundle(trained_folder / "saved_models" / "small")
    assert bundle.unknown_words
    save_bundle(bundle, tmp_path / "bundle")
    (tmp_path / "bundle" / UNKNOWN_WORDS).unlink()
    without_words = TrainedModel(load_bundle(tmp_path / "bundle"))
    assert without_words.fingerprint != model.fingerprint
    assert not any(text.unknown_replacements for text in without_words.generate("", **FREE, count=6))
    assert without_words.generate("", **FREE, allow_unknown=True) == model.generate("", **FREE, allow_unknown=True)


def test_filled_word_is_part_of_a_copy_only_in_its_place(model: TrainedModel, trained_folder: Path, tmp_path: Path):
    unknown = load_bundle(trained_folder / "saved_models" / "small").unknown_words
    train = np.asarray(prepare(open_corpus("spells"), TextSettings(), tmp_path).ids["train"])
    ids = train[train != START].tolist()
    at = next(
        n
        for n in range(8, len(ids))
        if ids[n] == UNKNOWN and not {UNKNOWN, END} & {*ids[n - 5 : n], *ids[n + 1 : n + 6]}
    )
    (original,) = {
        unknown.words[word] for left, word, right, _ in unknown.places if (left, right) == (ids[at - 1], ids[at + 1])
    }
    other = next(word for word in unknown.words if word != original)
    tokens = [model.vocabulary.tokens[token] for token in ids[at - 5 : at + 6]]
    copied, changed = ([*tokens[:5], word, *tokens[6:]] for word in (original, other))
    assert [copy.tokens for copy in model.copies_in(copied)] == [11]
    assert [copy.tokens for copy in model.copies_in(changed)] == [5, 5]


def test_next_words_have_a_word_instead_of_unknown(model: TrainedModel):
    session = model.session("The caster's")
    words = session.next_words(10**6)
    (filled,) = (word for word in words if model.may_replace_unknown(word.token))
    assert UNKNOWN_TOKEN not in [word.token for word in words]
    assert filled.probability > 0.01
    session.pick(filled)
    assert session.text == "The caster's" + filled.piece
    assert session.ids[-1] == UNKNOWN
    assert not any(model.may_replace_unknown(word.token) for word in session.next_words(10**6))
    pieces = "".join(session.write(GenerationSettings(length=5, random_seed=1)))
    assert session.text == "The caster's" + filled.piece + pieces
