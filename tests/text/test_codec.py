from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from wordgen.text.tokenizers import Codec, tokenizer_named
from wordgen.text.vocabulary import END, START, Vocabulary

TEXT = 'The king said, "Go on." The road went on and on.'


def make_codec(separator: str = "\n") -> Codec:
    tokenizer = tokenizer_named("english")
    counts = dict.fromkeys(tokenizer.tokenize(TEXT), 1)
    return Codec(tokenizer, Vocabulary.from_counts(counts, 100, 1), separator)


def encode(codec: Codec, text: str) -> list[int]:
    return [codec.vocabulary.id_of(token) for token in codec.tokenizer.tokenize(text)]


def test_text_comes_back_through_ids():
    codec = make_codec()
    assert codec.decode(encode(codec, TEXT)) == TEXT


FORMS = st.lists(
    st.sampled_from(["don't", "don’t", "the", "giants’", "giants'", "’Tis", "'Tis", "rock’n'roll", '"No."'])
)


@given(learned=FORMS, words=FORMS, spelling=st.booleans())
def test_any_mixture_of_apostrophes_comes_back_through_ids(learned: list[str], words: list[str], spelling: bool):
    tokenizer = tokenizer_named("english")
    text = " ".join([*learned, *words, "end"])
    counts = Counter(tokenizer.tokenize(text))
    vocabulary = Vocabulary.from_counts(counts, 1000, 1, spelling=spelling, one_apostrophe=True)
    assert Codec(tokenizer, vocabulary, "\n").decode(Codec(tokenizer, vocabulary, "\n").encode(text)) == text


def test_passages_are_separated_and_a_last_end_writes_nothing():
    codec = make_codec("\n\n")
    passage = [START, *encode(codec, "The king"), END]
    assert codec.decode(passage + passage) == "The king\n\nThe king"


def test_an_empty_passage_is_an_empty_line():
    codec = make_codec("\n")
    passage = [START, *encode(codec, "The king"), END]
    assert codec.decode([*passage, START, END, *passage]) == "The king\n\nThe king"


@given(st.lists(st.integers(0, 12)))
def test_pieces_are_the_text_cut_up(ids: list[int]):
    codec = make_codec()
    assert "".join(codec.pieces(ids)) == codec.decode(ids)


def test_pieces_come_as_soon_as_their_id():
    codec = make_codec()
    ids = iter(encode(codec, "The king said"))
    pieces = codec.pieces(ids)
    assert next(pieces) == "The"
    assert next(pieces) == " king"
    assert len(list(ids)) == 1
