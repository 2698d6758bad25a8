"""With spelling, words outside the vocabulary become bytes, so any text round-trips through ids without UNKNOWN."""

import random

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
    allowed_after,
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
def test_any_text_round_trips_through_ids(name: TokenizerName, text: str):
    codec = CODECS[name]
    ids = codec.encode(text)
    expected = text.split().count("<unk>") if name == "whitespace" else 0
    assert ids.count(UNKNOWN) == expected
    if name == "whitespace" and "<eos>" in text.split():
        return
    assert " ".join(codec.decode(ids).split()) == " ".join(text.split())


@given(ANY_TEXT.filter(bool))
def test_spelled_token_is_read_back(token: str):
    *letters, end = spell(token)
    assert end == WORD_END
    assert spelled(bytes(BYTES.index(letter) for letter in letters)) == token


@given(ANY_TEXT.filter(bool))
def test_every_byte_of_a_spelling_may_follow(token: str):
    word = b""
    for part in spell(token):
        assert part in allowed_after(word)
        word += bytes([BYTES.index(part)]) if part != WORD_END else b""


@given(st.randoms(use_true_random=False), st.integers(0, 12))
def test_allowed_bytes_always_form_valid_text(rng: random.Random, length: int):
    word = b""
    while True:
        allowed = sorted(allowed_after(word))
        token = WORD_END if len(word) >= length and WORD_END in allowed else rng.choice(allowed)
        if token == WORD_END:
            break
        word += bytes([BYTES.index(token)])
    assert word.decode("utf-8")


def test_words_begin_with_all_first_bytes_of_utf_8_only():
    first_bytes = {chr(code).encode()[0] for code in range(0x110000) if not 0xD800 <= code < 0xE000}
    assert {BYTES.index(token) for token in allowed_after(b"")} == first_bytes


def test_spelled_word_is_one_piece_of_decoded_text():
    codec = CODECS["english"]
    ids = codec.encode('He said "never" (twice).')
    pieces = list(codec.pieces(ids))
    assert "".join(pieces) == 'He said "never" (twice).'
    assert " twice" not in pieces
    assert {'"', "never", "He"} <= {piece.strip() for piece in pieces}


def test_consecutive_spelled_words_stay_separate():
    codec = CODECS["english"]
    assert codec.decode(codec.encode("xyz abc")) == "xyz abc"


def test_incomplete_spelling_is_decoded():
    codec = CODECS["english"]
    ids = codec.encode("xyz")[:-1] + codec.encode("king")
    assert codec.decode(ids) == "xyz king"
    incomplete = codec.vocabulary.id_of(BYTES[0xC3])
    assert codec.decode([incomplete, *codec.encode("king")]) == "\ufffd king"
    assert codec.decode([incomplete, END, *codec.encode("king")]) == "\ufffd\nking"


@given(st.sampled_from([*SPELLING, END_TOKEN]))
def test_names_of_special_tokens_in_text_are_protected(name: str):
    assert protect(name) != name
    assert restore(protect(name)) == name


def test_vocabulary_counts_spelled_bytes():
    vocabulary = Vocabulary.from_counts({"road": 5, "ab": 3, "b": 1}, 261, 2, spelling=True)
    assert vocabulary.spells
    assert vocabulary.tokens[3:] == (*SPELLING, "road")
    counts = dict(zip(vocabulary.tokens, vocabulary.counts, strict=True))
    assert (counts["<0x61>"], counts["<0x62>"], counts[WORD_END], counts[RESERVED[UNKNOWN]]) == (3, 4, 4, 0)
    assert vocabulary.ids_of("road") == [260]
    assert vocabulary.ids_of("b") == [vocabulary.id_of("<0x62>"), vocabulary.id_of(WORD_END)]


def test_vocabulary_too_small_to_spell_is_refused():
    with pytest.raises(SettingError, match="--unknown spell needs 260 tokens"):
        TextSettings(unknown="spell", vocab_size=260)
    assert TextSettings(unknown="spell", vocab_size=261).limits(all_words=False) == (261, 2)


@pytest.mark.parametrize("name", RESERVED)
def test_spelled_name_of_special_token_is_a_word(name: str):
    codec = CODECS["english"]
    ids = [codec.vocabulary.id_of(part) for part in spell(name)]
    assert codec.decode([*ids, *codec.encode("king")]) == f"{name} king"


def test_long_words_may_end():
    for letters in range(60, 110):
        assert WORD_END in allowed_after(("吾" * letters).encode()[-200:]), letters
