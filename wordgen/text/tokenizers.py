"""The tokenizers, the choice of one for a text, and the codec, which turns text into ids and back.

English, and other scripts with spaces, is cut by NLTK, which says where words begin and end, but not which of them
touch. A joiner mark on a token says on which side the token is attached to its neighbour, so the original text can be
restored:

    "Well," he didn't say.   ->   "￭  Well  ￭,  ￭"  he  did  ￭n't  say  ￭.

If one of two neighbours is a word, the mark is put on the punctuation. So a word is the same token with or without a
quotation mark beside it.

NLTK never looks beyond the white space around a chunk of text, with one exception: it splits off a full stop only at
the end of its string. So each chunk is passed to NLTK separately, and only up to its full stop if a sentence ends in
the chunk. The results are cached, because a text repeats most of its chunks many times. A chunk that is longer than any
word, for example a megabyte of quotation marks, is passed to it in slices, because NLTK fails on input that takes it
five seconds.

Japanese is cut by TinySegmenter, which for each position of a line adds up about forty weights to decide whether a word
begins there. This module gets the same sums from the tables of TinySegmenter, but faster: it computes most of them once
for each pair of characters, and for each sequence of character kinds, and caches them. TinySegmenter was trained on
text with almost no Latin letters, so each Latin word becomes one token, whatever TinySegmenter decided inside it and at
its edges. The tokens of a line, joined together, are the line.

The whitespace tokenizer is for text that is already tokenized, like the public benchmarks. It splits at white space
only. Such texts contain `<unk>` where a word was left out, and some contain `<eos>` at the end of a sentence. These
become UNKNOWN and END, and are written again as `<unk>` and `<eos>`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import compress, pairwise
from typing import Generic, TypeVar

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
    is_word,
    merge_apostrophe_forms,
    protect,
    restore,
    spelled,
    with_other_apostrophe,
    with_typed_apostrophes,
)

_Span = tuple[int, int]

_STOP = re.compile(r"[.](?=[\"'”’)\]]*\Z)")
_LAST_STOP = re.compile(r"[.](?=[\"'”’)\]}>»]*\Z)")  # what NLTK allows after the stop that ends its string
_CLOSING = "\"'”’)]}>»"
_OPENING_FOR_NLTK = ('"', "''", "’’", "'’", "’'")  # after a space
_MAY_HAVE_STOP = frozenset("." + _CLOSING)
# The few abbreviations that a capital letter often follows, and initials, except for one that begins a line.
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Dr|St|Mrs|Jr|Ms)|[.][A-Z])\Z")
_INITIAL = re.compile(r"[A-Z]")
_SMALL_LETTER = re.compile(r"[a-z]")
_TWO_WORDS = frozenset(("cannot", "gimme", "gonna", "gotta", "lemme", "wanna"))  # all words of letters that NLTK splits
_FALLBACK_SPANS = re.compile(r"\w+|[^\w\s]+")
_CACHED_CHUNKS = 2**16  # WikiText-2 has 40,000 different chunks; this many take 30 MB in each process
_MAX_CACHED_CHUNK = 100  # characters; to cache many longer chunks would take too much memory
# A slice that NLTK splits in a few milliseconds, whatever it contains. A longer chunk is cut between words if possible.
_SLICE = re.compile(r".{1,1000}(?:\Z|(?<![\w'’]))|.{1,1000}", re.DOTALL)
_CACHED_SLICES = 100


def english_tokens(line: str) -> list[str]:
    tokens: list[str] = []
    chunks = line.split()
    last = len(chunks) - 1
    while last > 0 and not chunks[last].strip(_CLOSING) and not chunks[last].startswith(_OPENING_FOR_NLTK):
        last -= 1
    for number, chunk in enumerate(chunks):
        end = 0
        if chunk[-1] in _MAY_HAVE_STOP:
            next_chunk = chunks[number + 1] if number < last else None
            end = _sentence_end(chunk, next_chunk, first=number == 0 and not line[0].isspace())
        tokens += _chunk_tokens(chunk, end) if len(chunk) <= _MAX_CACHED_CHUNK else _long_tokens(chunk, end)
    return tokens


def _sentence_end(chunk: str, next_chunk: str | None, *, first: bool) -> int:
    """Return the position in a chunk where a sentence ends, or 0 if none ends there.

    A sentence ends after a full stop if the next chunk may begin a sentence, or if there is no next chunk. The stop of
    an abbreviation ends no sentence unless it is the last one.
    """
    if next_chunk is None:
        stop = _LAST_STOP.search(chunk)
        return stop.end() if stop else 0
    stop = _STOP.search(chunk)
    if stop is None or _SMALL_LETTER.match(next_chunk):
        return 0
    before = chunk[: stop.start()]
    abbreviated = _ABBREVIATION.search(before) or (_INITIAL.fullmatch(before) and not first)
    return 0 if abbreviated else stop.end()


def _split_chunk(chunk: str, sentence_end: int) -> tuple[str, ...]:
    if chunk.isalpha() and chunk.lower() not in _TWO_WORDS:
        return (chunk,)
    spans = _word_spans(chunk[:sentence_end]) if sentence_end else []
    # A word is appended, so that the rest is not at the end of NLTK's string.
    rest = f"{chunk[sentence_end:]} x"
    spans += ((sentence_end + a, sentence_end + b) for a, b in _word_spans(rest)[:-1])
    return tuple(_with_joiners(chunk, spans))


_chunk_tokens = lru_cache(_CACHED_CHUNKS)(_split_chunk)
_slice_tokens = lru_cache(_CACHED_SLICES)(_split_chunk)


def _long_tokens(chunk: str, sentence_end: int) -> Iterator[str]:
    """Yield the tokens of a chunk of any length.

    If the chunk is sliced, a joiner mark attaches each later slice to the one before it.
    """
    for found in _SLICE.finditer(chunk):
        end = sentence_end - found.start()
        first, *others = _slice_tokens(found[0], end if 0 < end <= len(found[0]) else 0)
        yield JOINER + first if found.start() else first
        yield from others


def _with_joiners(chunk: str, spans: list[_Span]) -> Iterator[str]:
    glued_by_previous = False
    for number, (start, end) in enumerate(spans):
        word = chunk[start:end]
        touches_previous = number > 0 and not glued_by_previous
        last = number + 1 == len(spans)
        glued_by_previous = not last and not is_word(word) and is_word(chunk[slice(*spans[number + 1])])
        yield (JOINER if touches_previous else "") + protect(word) + (JOINER if glued_by_previous else "")


def _word_spans(sentence: str) -> list[_Span]:
    """Return the spans that NLTK finds in a sentence.

    In the rare case that NLTK cannot align its tokens with the text, the spans come from a simple rule. NLTK only knows
    the typewriter apostrophe, and would split don’t into don, ’ and t. So the apostrophes are replaced first.
    """
    sentence = with_typed_apostrophes(sentence)
    try:
        spans = list(_nltk().span_tokenize(sentence))
    except ValueError:
        spans = []
    loses_text = "".join(sentence.split()) != "".join("".join(sentence[a:b].split()) for a, b in spans)
    are_words = all(a < b and not any(c.isspace() for c in sentence[a:b]) for a, b in spans)
    if loses_text or not are_words:
        return [found.span() for found in _FALLBACK_SPANS.finditer(sentence)]
    return spans


@cache
def _nltk():  # noqa: ANN202 - imported late, because importing NLTK takes most of a second
    from nltk.tokenize import NLTKWordTokenizer

    return NLTKWordTokenizer()


# TinySegmenter puts B3 B2 B1 before a line and E1 E2 E3 after it. This module uses one character for each of them,
# from those that no text can contain.
_EDGE_NAMES = ("B3", "B2", "B1", "E1", "E2", "E3")
_EDGES = [chr(0xD800 + number) for number in range(6)]
_LINE_START, _LINE_END = "".join(_EDGES[:3]), "".join(_EDGES[3:5])  # E3 is never used
_MAX_CACHE_SIZE = 200_000
_LETTERS_AT_ONCE = 10_000  # limits the memory for a line as long as a book
_LATIN = "A-Za-zÀ-ÖØ-öø-ʯḀ-ỿＡ-Ｚａ-ｚ"
_LATIN_LETTERS = rf"[{_LATIN}][{_LATIN}\u0300-\u036f]*+"  # including combining marks that have no composed form
_LATIN_WORD = re.compile(f"{_LATIN_LETTERS}(?:['’＇]{_LATIN_LETTERS})*+")


def japanese_tokens(line: str) -> list[str]:
    cuts = _segmenter().cuts(line)
    for found in _LATIN_WORD.finditer(line):
        begin, end = found.span()
        cuts[begin:end] = bytes(end - begin)
        cuts[begin] = cuts[end] = True
    return [_SHARED_TOKENS[line[begin:end]] for begin, end in pairwise(compress(range(len(cuts)), cuts))]


_Result = TypeVar("_Result")


class _BoundedCache(dict[str, _Result], Generic[_Result]):
    """A cache of the results of a function. It is emptied when it becomes too large."""

    def __init__(self, function: Callable[[str], _Result]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, text: str) -> _Result:
        if len(self) >= _MAX_CACHE_SIZE:
            self.clear()
        found = self[text] = self._function(text)
        return found


_SHARED_TOKENS = _BoundedCache(protect)
"""Tokens by the text that they stand for. Equal tokens share one string in memory."""


class _Segmenter:
    """Makes the decisions of TinySegmenter from its tables."""

    def __init__(self) -> None:
        from tinysegmenter import TinySegmenter

        tiny = TinySegmenter()
        # The tables have names such as _UW1, and map a character, a pair or a triple to a weight.
        tables = {name[1:]: table for name, table in vars(tiny).items() if isinstance(table, dict)}
        self._weights: dict[str, dict[str, int]] = {name: _with_edges(name, table) for name, table in tables.items()}
        self._bias: int = tiny._BIAS  # pyright: ignore[reportPrivateUsage]
        self._kind = _BoundedCache(tiny._ctype)  # pyright: ignore[reportPrivateUsage]
        # Of the six characters around a position, w1 to w6, the pairs are w2 w3, w3 w4 and w4 w5.
        self._second = _BoundedCache(lambda pair: self._weigh(UW2=pair[0], UW3=pair[1], BW1=pair))
        self._third = _BoundedCache(lambda pair: self._weigh(UW4=pair[1], BW2=pair))
        self._fourth = _BoundedCache(lambda pair: self._weigh(UW5=pair[1], BW3=pair))
        self._kinds = _BoundedCache(self._sum_over_kinds)

    def cuts(self, line: str) -> bytearray:
        """Return for each position of a line, both ends included, whether a word begins or ends there (1 or 0)."""
        cuts = bytearray(len(line) + 1)
        cuts[0] = cuts[-1] = True
        letters = _LINE_START + line + _LINE_END
        kind, kinds_sums = self._kind, self._kinds
        last_decisions = "UUU"
        for begin in range(1, len(line), _LETTERS_AT_ONCE):
            part = letters[begin : begin + _LETTERS_AT_ONCE + 5]
            kinds = "".join([kind[letter] for letter in part])
            for at, letters_sum in enumerate(self._sums_over_letters(part)):
                if letters_sum + kinds_sums[last_decisions + kinds[at : at + 6]] > 0:
                    cuts[begin + at] = True
                    last_decisions = last_decisions[1:] + "B"
                else:
                    last_decisions = last_decisions[1:] + "O"
        return cuts

    def _sums_over_letters(self, letters: str) -> list[int]:
        """Return the sum of the character weights for each position that has three characters on both sides."""
        pairs = [letters[at : at + 2] for at in range(len(letters) - 1)]
        triples = [letters[at : at + 3] for at in range(len(letters) - 2)]
        first, last = self._weights["UW1"].get, self._weights["UW6"].get
        one, two, three, four = (self._weights[name].get for name in ("TW1", "TW2", "TW3", "TW4"))
        second, third, fourth = self._second, self._third, self._fourth
        return [
            first(letters[at], 0) + second[pairs[at + 1]] + third[pairs[at + 2]] + fourth[pairs[at + 3]]
            + last(letters[at + 5], 0)
            + one(triples[at], 0) + two(triples[at + 1], 0) + three(triples[at + 2], 0) + four(triples[at + 3], 0)
            for at in range(len(letters) - 5)
        ]  # fmt: skip

    def _weigh(self, **features: str) -> int:
        return sum(self._weights[name].get(key, 0) for name, key in features.items())

    def _sum_over_kinds(self, context: str) -> int:
        """Return the bias, plus the weights of the last three decisions and of the kinds of the six characters.

        `context` holds the decisions p1 to p3 before the position, then the kinds c1 to c6.
        """
        p1, p2, p3, c1, c2, c3, c4, c5, c6 = context
        features = {
            "UP1": p1, "UP2": p2, "UP3": p3, "BP1": p1 + p2, "BP2": p2 + p3,
            "UC1": c1, "UC2": c2, "UC3": c3, "UC4": c4, "UC5": c5, "UC6": c6,
            "BC1": c2 + c3, "BC2": c3 + c4, "BC3": c4 + c5,
            "TC1": c1 + c2 + c3, "TC2": c2 + c3 + c4, "TC3": c3 + c4 + c5, "TC4": c4 + c5 + c6,
            "UQ1": p1 + c1, "UQ2": p2 + c2, "UQ3": p3 + c3,
            "BQ1": p2 + c2 + c3, "BQ2": p2 + c3 + c4, "BQ3": p3 + c2 + c3, "BQ4": p3 + c3 + c4,
            "TQ1": p2 + c1 + c2 + c3, "TQ2": p2 + c2 + c3 + c4, "TQ3": p3 + c1 + c2 + c3, "TQ4": p3 + c2 + c3 + c4,
        }  # fmt: skip
        return self._bias + self._weigh(**features)


def _with_edges(name: str, table: dict[str, int]) -> dict[str, int]:
    """Return the table with one character for each edge name in its keys.

    A key with an edge name is longer than the number of characters that it stands for.
    """
    letters = {"U": 1, "B": 2, "T": 3}[name[0]] if name[1] == "W" else 0
    if not letters:
        return table
    changed: dict[str, int] = {}
    for key, weight in table.items():
        if len(key) > letters:
            for edge, character in zip(_EDGE_NAMES, _EDGES, strict=True):
                key = key.replace(edge, character)
        changed[key] = weight
    return changed


@cache
def _segmenter() -> _Segmenter:
    return _Segmenter()


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
    Tokenizer("characters", lambda line: map(_SHARED_TOKENS.__getitem__, line), spaced=False),
    Tokenizer(
        "whitespace", lambda line: (_BENCHMARK_TOKENS.get(word, protect(word)) for word in line.split()), spaced=True
    ),
    Tokenizer("abc", lambda line: map(_SHARED_TOKENS.__getitem__, line_tokens(line)), spaced=False),
    Tokenizer("notes", lambda line: map(_SHARED_TOKENS.__getitem__, line.split()), spaced=True),
    Tokenizer("chords", lambda line: map(_SHARED_TOKENS.__getitem__, line.split()), spaced=True),
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
