"""Words outside the vocabulary spelled out of bytes: any text becomes ids, none of them UNKNOWN, and comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.errors import SettingError
from wordgen.text.settings import TextSettings, TokenizerName
from wordgen.text.tokenizers import Codec, tokenizer_named
from wordgen.text.vocabulary import (
    BYTES,
    END,
    END_TOKEN,
    JOINER,
    RESERVED,
    SPELLING,
    UNKNOWN,
    WORD_END,
    Vocabulary,
    may_follow,
    protect,
    restore,
    spell,
    spelled,
)

NAMES: list[TokenizerName] = ["english", "japanese", "characters", "whitespace"]
TEXT = 'The king said, "Go on." The road went on and on. 夜の街'


def codec_of(name: TokenizerName, size: int = 270) -> Codec:
    tokenizer = tokenizer_named(name)
    counts = dict.fromkeys(tokenizer.tokenize(TEXT), 2)
    return Codec(tokenizer, Vocabulary.from_counts(counts, size, 1, spelling=True), "\n")


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
CODECS = {name: codec_of(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
@given(text=ANY_TEXT | st.sampled_from([*SPELLING, *RESERVED, JOINER, "\ue000b"]))
def test_any_text_comes_back_through_ids(name: TokenizerName, text: str):
    codec = CODECS[name]
    ids = codec.encode(text)
    meant = text.split().count("<unk>") if name == "whitespace" else 0
    assert ids.count(UNKNOWN) == meant
    if name == "whitespace" and "<eos>" in text.split():
        return
    assert " ".join(codec.decode(ids).split()) == " ".join(text.split())


@given(ANY_TEXT.filter(bool))
def test_a_token_is_spelled_and_read(token: str):
    *letters, end = spell(token)
    assert end == WORD_END
    assert spelled(bytes(BYTES.index(each) for each in letters)) == token


@given(ANY_TEXT.filter(bool))
def test_every_spelling_is_allowed_from_letter_to_letter(token: str):
    word = b""
    for each in spell(token):
        assert each in may_follow(word)
        word += bytes([BYTES.index(each)]) if each != WORD_END else b""


@given(st.randoms(use_true_random=False), st.integers(0, 12))
def test_whatever_is_allowed_is_text_in_the_end(dice, length: int):
    word = b""
    while True:
        allowed = sorted(may_follow(word))
        token = WORD_END if len(word) >= length and WORD_END in allowed else dice.choice(allowed)
        if token == WORD_END:
            break
        word += bytes([BYTES.index(token)])
    assert word.decode("utf-8")


def test_all_first_bytes_of_text_and_no_others_may_begin_a_word():
    begins = {chr(code).encode()[0] for code in range(0x110000) if not 0xD800 <= code < 0xE000}
    assert {BYTES.index(each) for each in may_follow(b"")} == begins


def test_a_word_is_one_piece_with_its_spacing():
    codec = CODECS["english"]
    ids = codec.encode('He said "never" (twice).')
    pieces = list(codec.pieces(ids))
    assert "".join(pieces) == 'He said "never" (twice).'
    assert " twice" not in pieces
    assert {'"', "never", "He"} <= {piece.strip() for piece in pieces}


def test_two_spelled_words_in_a_row_are_two():
    codec = CODECS["english"]
    assert codec.decode(codec.encode("xyz abc")) == "xyz abc"


def test_a_word_that_is_broken_off_is_said_with_what_follows_and_bytes_that_are_no_text_show():
    codec = CODECS["english"]
    ids = codec.encode("xyz")[:-1] + codec.encode("king")
    assert codec.decode(ids) == "xyz king"
    lone = codec.vocabulary.id_of(BYTES[0xC3])
    assert codec.decode([lone, *codec.encode("king")]) == "\ufffd king"
    assert codec.decode([lone, END, *codec.encode("king")]) == "\ufffd\nking"


@given(st.sampled_from([*SPELLING, END_TOKEN]))
def test_names_of_ours_in_a_text_are_no_names(name: str):
    assert protect(name) != name
    assert restore(protect(name)) == name


def test_the_vocabulary_counts_what_it_spells():
    vocabulary = Vocabulary.from_counts({"road": 5, "ab": 3, "b": 1}, 261, 2, spelling=True)
    assert vocabulary.spells
    assert vocabulary.tokens[3:] == (*SPELLING, "road")
    counts = dict(zip(vocabulary.tokens, vocabulary.counts, strict=True))
    assert (counts["<0x61>"], counts["<0x62>"], counts[WORD_END], counts[RESERVED[UNKNOWN]]) == (3, 4, 4, 0)
    assert vocabulary.ids_of("road") == [260]
    assert vocabulary.ids_of("b") == [vocabulary.id_of("<0x62>"), vocabulary.id_of(WORD_END)]


def test_a_vocabulary_too_small_to_spell_is_refused():
    with pytest.raises(SettingError, match="--unknown spell needs 260 tokens"):
        TextSettings(unknown="spell", vocab_size=260)
    assert TextSettings(unknown="spell", vocab_size=261).limits(all_words=False) == (261, 2)


@pytest.mark.parametrize("name", RESERVED)
def test_a_name_of_ours_that_is_spelled_is_a_word(name: str):
    codec = CODECS["english"]
    ids = [codec.vocabulary.id_of(each) for each in spell(name)]
    assert codec.decode([*ids, *codec.encode("king")]) == f"{name} king"


def test_a_word_of_any_length_may_end():
    for letters in range(60, 110):
        assert WORD_END in may_follow(("吾" * letters).encode()[-200:]), letters
