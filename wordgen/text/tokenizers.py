"""The tokenizers, the choice of one for a text, and the codec, which turns text into ids and back.

The whitespace tokenizer is for text that is already tokenized, like the public benchmarks. It splits at white space
only. Such texts contain `<unk>` where a word was left out, and some contain `<eos>` at the end of a sentence. These
become UNKNOWN and END, and are written again as `<unk>` and `<eos>`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from wordgen.music.abc_text import line_tokens, looks_like_abc
from wordgen.music.piece import form_of
from wordgen.text.settings import TokenizerName
from wordgen.text.vocabulary import (
    END_TOKEN,
    JOINER,
    LINE_BREAK,
    OTHER_APOSTROPHE,
    RESERVED,
    START_TOKEN,
    UNKNOWN_TOKEN,
    WORD_END,
    Vocabulary,
    byte_of,
    merge_apostrophe_forms,
    protect,
    restore,
    spelled,
    with_other_apostrophe,
)
from wordgen.text.words import english_tokens, japanese_tokens

_token = cache(protect)  # equal tokens share one string in memory
_BENCHMARK_TOKENS = {"<unk>": UNKNOWN_TOKEN, "<eos>": END_TOKEN}
BENCHMARK_SPELLINGS = {meaning: spelling for spelling, meaning in _BENCHMARK_TOKENS.items()}
MUSIC_TOKENIZERS = frozenset[TokenizerName](("abc", "notes", "chords"))
"""The tokenizers of music."""
_JAPANESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f]")
_LETTER = re.compile(r"\w")
_TOKENIZED_ALREADY = re.compile(r"(?:^|\s)(?:<unk>|<eos>)(?=\s|$)")


@dataclass(frozen=True)
class Tokenizer:
    """Turns text into tokens, and tokens into text one at a time, so that text can be streamed."""

    name: TokenizerName
    line_tokens: Callable[[str], Iterable[str]]
    """Returns the tokens of one line."""
    spaced: bool
    """Whether a space separates two tokens if no joiner mark attaches one to the other."""
    merge_apostrophes: bool = False
    """Whether a vocabulary treats words that differ only in the form of their apostrophes as one token."""

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of a text, with LINE_BREAK between two lines."""
        first, *others = text.split(LINE_BREAK)
        tokens = list(self.line_tokens(first))
        for line in others:
            tokens.append(LINE_BREAK)
            tokens += self.line_tokens(line)
        return tokens

    def piece(self, token: str, previous: str | None) -> str:
        """Return the text that a token adds when it follows `previous`."""
        if token == LINE_BREAK:
            return LINE_BREAK
        written = restore(token.strip(JOINER))
        if self.name == "whitespace":
            written = BENCHMARK_SPELLINGS.get(token, written)
        if not self.spaced or previous is None or previous == LINE_BREAK:
            return written
        return written if previous.endswith(JOINER) or token.startswith(JOINER) else f" {written}"

    def ordinary_counts(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Return the counts of the tokens that a vocabulary may contain, without the special tokens.

        If `merge_apostrophes` is true, the apostrophe forms of each word are merged, and the mark for the other form is
        counted.
        """
        merged, others = merge_apostrophe_forms(counts) if self.merge_apostrophes else (counts, {})
        ordinary = {token: count for token, count in merged.items() if token not in RESERVED}
        return ordinary | ({OTHER_APOSTROPHE: sum(others.values())} if others else {})

    def detokenize(self, tokens: list[str]) -> str:
        previous: list[str | None] = [None, *tokens]
        return "".join(self.piece(token, before) for token, before in zip(tokens, previous, strict=False))


_TOKENIZERS = (
    Tokenizer("english", english_tokens, spaced=True, merge_apostrophes=True),
    Tokenizer("japanese", japanese_tokens, spaced=False, merge_apostrophes=True),
    Tokenizer("characters", lambda line: map(_token, line), spaced=False),
    Tokenizer(
        "whitespace", lambda line: (_BENCHMARK_TOKENS.get(word, protect(word)) for word in line.split()), spaced=True
    ),
    Tokenizer("abc", lambda line: map(_token, line_tokens(line)), spaced=False),
    Tokenizer("notes", lambda line: map(_token, line.split()), spaced=True),
    Tokenizer("chords", lambda line: map(_token, line.split()), spaced=True),
)


def tokenizer_named(name: TokenizerName) -> Tokenizer:
    return next(each for each in _TOKENIZERS if each.name == name)


def tokenizer_for(sample: str) -> TokenizerName:
    """Return the name of the tokenizer that suits a sample of a text."""
    if _TOKENIZED_ALREADY.search(sample):
        return "whitespace"
    if looks_like_abc(sample):
        return "abc"
    if (form := form_of(sample)) is not None:
        return form
    letters = len(_LETTER.findall(sample))
    return "japanese" if letters and len(_JAPANESE.findall(sample)) > 0.2 * letters else "english"


@dataclass(frozen=True)
class Codec:
    """Turns text into ids and back."""

    tokenizer: Tokenizer
    vocabulary: Vocabulary
    separator: str
    """The text between two passages: one, two or three line breaks."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of a single passage, without START and END."""
        return [each for token in self.tokenizer.tokenize(text) for each in self.vocabulary.ids_of(token)]

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(self.pieces(ids))

    def pieces(self, ids: Iterable[int]) -> Iterator[str]:
        """Yield the text of the ids piece by piece.

        The separator after a passage is yielded only when another passage follows.
        """
        decoder = self.decoder()
        return (piece for piece in map(decoder.decode_id, ids) if piece)

    def decoder(self) -> "StreamDecoder":
        return StreamDecoder(self)


class StreamDecoder:
    """Turns tokens into text one by one.

    The separator after a passage is returned only when another passage follows.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._previous: str | None = None
        self._pending_text = ""
        self._spelled_bytes = b""
        """The bytes so far of a word that is spelled out."""
        self._has_other_apostrophe = False
        """Whether the apostrophes of the next word have the other form."""

    @property
    def pending_text(self) -> str:
        """The text that will precede the text of the next token."""
        return self._pending_text

    def decode_id(self, token_id: int) -> str:
        return self.decode_token(self._codec.vocabulary.tokens[token_id])

    def decode_token(self, token: str) -> str:
        """Return the text that a token adds, whether or not the vocabulary contains the token.

        START, END and marks add no text. The text of a word that is spelled out is returned when the word ends, or when
        a token follows that is not a byte.
        """
        value = byte_of(token)
        if value is not None:
            self._spelled_bytes += bytes((value,))
            return ""
        word = self._decode_word(spelled(self._spelled_bytes)) if self._spelled_bytes else ""
        self._spelled_bytes = b""
        return word if token == WORD_END else word + self._decode_word(token)

    def _decode_word(self, token: str) -> str:
        if token == END_TOKEN:
            self._pending_text += self._codec.separator
        if token in (START_TOKEN, END_TOKEN):
            self._previous = None
            return ""
        if token == OTHER_APOSTROPHE:
            self._has_other_apostrophe = True
            return ""
        if self._has_other_apostrophe:
            token, self._has_other_apostrophe = with_other_apostrophe(token) or token, False
        piece = self._pending_text + self._codec.tokenizer.piece(token, self._previous)
        self._pending_text = ""
        self._previous = token
        return piece
