"""Tokenizers round-trip any text, the right one is chosen, and the codec decodes ids to text."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.round_trip import with_single_spaces
from tests.helpers.texts import passage_texts
from wordgen.corpus.catalogue import bundled_catalogue, bundled_data
from wordgen.corpus.finding import open_corpus
from wordgen.text.settings import TokenizerName
from wordgen.text.tokenizers import Codec, tokenizer_for, tokenizer_named
from wordgen.text.vocabulary import END, JOINER, RESERVED, START, Vocabulary, protect, restore

NAMES: list[TokenizerName] = ["english", "japanese", "characters", "whitespace", "notes", "chords"]
BUNDLED = [
    name
    for name, entry in bundled_catalogue().items()
    if not (entry.downloads or entry.listing) and entry.language != "music"
]

# Texts with many characters that are difficult for tokenizers: quotation marks, stops and wordgen's own marks.
TRICKY = (
    st.text(alphabet=st.sampled_from("aB3 .,!?'\"`“”‘’()[]<>-—…\n\t\u3000" + JOINER + "\ue000" + "かナ漢é€%*&"))
    | st.text()
)
PIECES = st.lists(
    st.sampled_from(
        [
            *RESERVED,
            "<unk>",
            "<eos>",
            "<'’>",
            "don't",
            "don’t",
            "’tis",
            "’’",
            "``",
            "''",
            "Mr.",
            "cannot",
            "...",
            "U.S.",
            "\ue000n",
            JOINER,
            "\n",
        ]
    )
).map(" ".join)


def round_trip(name: TokenizerName, text: str) -> str:
    tokenizer = tokenizer_named(name)
    return tokenizer.detokenize(tokenizer.tokenize(text))


@pytest.mark.parametrize("name", NAMES)
@given(text=TRICKY | PIECES)
def test_any_text_round_trips(name: TokenizerName, text: str):
    """Runs of white space may change, but not the number of line breaks; two tokenizers keep the text exactly."""
    result = round_trip(name, text)
    assert with_single_spaces(result) == with_single_spaces(text)
    assert result.count("\n") == text.count("\n")
    if name in ("japanese", "characters"):
        assert result == text


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_texts_round_trip_exactly(name: str):
    tokenizer: TokenizerName = bundled_catalogue()[name].tokenizer  # pyright: ignore[reportAssignmentType]
    passages = passage_texts(open_corpus(str(bundled_data() / f"{name}.txt")))
    assert len(passages) > 100
    for passage in passages:
        assert round_trip(tokenizer, passage) == passage


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("corpus", ["spells", "lyrics"])
def test_bundled_texts_round_trip_with_any_tokenizer(name: TokenizerName, corpus: str):
    for passage in passage_texts(open_corpus(str(bundled_data() / f"{corpus}.txt"))):
        assert with_single_spaces(round_trip(name, passage)) == with_single_spaces(passage)


@pytest.mark.parametrize("name", NAMES)
@given(text=TRICKY | PIECES)
def test_text_never_gives_special_tokens(name: TokenizerName, text: str):
    tokens = tokenizer_named(name).tokenize(text)
    allowed = text.count("<unk>") + text.count("<eos>") if name == "whitespace" else 0
    assert sum(token in RESERVED for token in tokens) <= allowed


@given(text=st.text())
def test_protected_text_is_restored(text: str):
    assert restore(protect(text)) == text
    assert JOINER not in protect(text)


def test_whitespace_tokenizer_only_splits():
    tokenizer = tokenizer_named("whitespace")
    assert tokenizer.tokenize("the <unk> of n't , <eos>") == ["the", "UNKNOWN_TOKEN", "of", "n't", ",", "END_TOKEN"]
    assert tokenizer.detokenize(["the", "UNKNOWN_TOKEN", "END_TOKEN"]) == "the <unk> <eos>"


@pytest.mark.parametrize(
    ("sample", "name"),
    [
        ("The road goes on.", "english"),
        ("El camino sigue, señor.", "english"),
        ("夜の街に雨が降る", "japanese"),
        ("the <unk> of N", "whitespace"),
        ("a tag <unknown> in prose", "english"),
        ("", "english"),
        ("E4 =6 v5 G4 =6 +6 C5 =12 +12 D5 =6", "notes"),
        ("E4 C4.E4.G4 D4 E4 F#4 C-1 G9 C4.E4", "chords"),
        ("Is A4 paper or C4 an envelope? B5 is a book and E5 is a road to the sea.", "english"),
    ],
)
def test_tokenizer_is_chosen_by_text(sample: str, name: str):
    assert tokenizer_for(sample) == name


TEXT = 'The king said, "Go on." The road went on and on.'


def make_codec(separator: str = "\n") -> Codec:
    tokenizer = tokenizer_named("english")
    counts = dict.fromkeys(tokenizer.tokenize(TEXT), 1)
    return Codec(tokenizer, Vocabulary.from_counts(counts, 100, 1), separator)


def encode(codec: Codec, text: str) -> list[int]:
    return [codec.vocabulary.id_of(token) for token in codec.tokenizer.tokenize(text)]


FORMS = st.lists(
    st.sampled_from(["don't", "don’t", "the", "giants’", "giants'", "’Tis", "'Tis", "rock’n'roll", '"No."'])
)


@given(learned=FORMS, words=FORMS, spelling=st.booleans())
def test_any_mixture_of_apostrophes_round_trips(learned: list[str], words: list[str], spelling: bool):
    tokenizer = tokenizer_named("english")
    text = " ".join([*learned, *words, "end"])
    counts = Counter(tokenizer.tokenize(text))
    vocabulary = Vocabulary.from_counts(counts, 1000, 1, spelling=spelling, merge_apostrophes=True)
    codec = Codec(tokenizer, vocabulary, "\n")
    assert codec.decode(codec.encode(text)) == text


def test_separator_is_written_only_between_passages():
    codec = make_codec("\n\n")
    passage = [START, *encode(codec, "The king"), END]
    assert codec.decode(passage + passage) == "The king\n\nThe king"


def test_empty_passage_is_an_empty_line():
    codec = make_codec("\n")
    passage = [START, *encode(codec, "The king"), END]
    assert codec.decode([*passage, START, END, *passage]) == "The king\n\nThe king"


@given(st.lists(st.integers(0, 12)))
def test_pieces_join_to_decoded_text(ids: list[int]):
    codec = make_codec()
    assert "".join(codec.pieces(ids)) == codec.decode(ids)


def test_pieces_are_decoded_while_ids_arrive():
    codec = make_codec()
    ids = iter(encode(codec, "The king said"))
    pieces = codec.pieces(ids)
    assert next(pieces) == "The"
    assert next(pieces) == " king"
    assert len(list(ids)) == 1
