"""Tokenize English and other scripts with spaces: NLTK's word tokenizer, with the spacing kept.

NLTK says where words begin and end, but not which of them touch. A joiner mark on a token says on which side the token
is attached to its neighbour, so the original text can be restored:

    "Well," he didn't say.   ->   "￭  Well  ￭,  ￭"  he  did  ￭n't  say  ￭.

If one of two neighbours is a word, the mark is put on the punctuation. So a word is the same token with or without a
quotation mark beside it.

NLTK never looks beyond the white space around a chunk of text, with one exception: it splits off a full stop only at
the end of its string. So each chunk is passed to NLTK separately, and only up to its full stop if a sentence ends in
the chunk. The results are cached, because a text repeats most of its chunks many times.

NLTK fails on input that takes it five seconds. So a chunk that is longer than any word, for example a megabyte of
quotation marks, is passed to it in slices.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache

from wordgen.text.marks import JOINER, as_typed, is_word, protect

Span = tuple[int, int]

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
_ANY_SPANS = re.compile(r"\w+|[^\w\s]+")
_REMEMBERED = 2**16  # WikiText-2 has 40,000 different chunks; this many take 30 MB in each process
_LONGEST_REMEMBERED = 100  # characters; to cache many longer chunks would take too much memory
# A slice that NLTK splits in a few milliseconds, whatever it contains. A longer chunk is cut between words if possible.
_SLICE = re.compile(r".{1,1000}(?:\Z|(?<![\w'’]))|.{1,1000}", re.DOTALL)
_SLICES_REMEMBERED = 100


def line_tokens(line: str) -> list[str]:
    tokens: list[str] = []
    chunks = line.split()
    last = len(chunks) - 1
    while last > 0 and not chunks[last].strip(_CLOSING) and not chunks[last].startswith(_OPENING_FOR_NLTK):
        last -= 1
    for number, chunk in enumerate(chunks):
        end = 0
        if chunk[-1] in _MAY_HAVE_STOP:
            follower = chunks[number + 1] if number < last else None
            end = _sentence_end(chunk, follower, first=number == 0 and not line[0].isspace())
        tokens += _chunk_tokens(chunk, end) if len(chunk) <= _LONGEST_REMEMBERED else _long_tokens(chunk, end)
    return tokens


def _sentence_end(chunk: str, follower: str | None, *, first: bool) -> int:
    """Return the position in a chunk where a sentence ends, or 0 if none ends there.

    A sentence ends after a full stop if the next chunk may begin a sentence, or if there is no next chunk. The stop of
    an abbreviation ends no sentence unless it is the last one.
    """
    if follower is None:
        stop = _LAST_STOP.search(chunk)
        return stop.end() if stop else 0
    stop = _STOP.search(chunk)
    if stop is None or _SMALL_LETTER.match(follower):
        return 0
    before = chunk[: stop.start()]
    abbreviated = _ABBREVIATION.search(before) or (_INITIAL.fullmatch(before) and not first)
    return 0 if abbreviated else stop.end()


def _cut(chunk: str, sentence_end: int) -> tuple[str, ...]:
    if chunk.isalpha() and chunk.lower() not in _TWO_WORDS:
        return (chunk,)
    spans = _word_spans(chunk[:sentence_end]) if sentence_end else []
    # A word is appended, so that the rest is not at the end of NLTK's string.
    rest = f"{chunk[sentence_end:]} x"
    spans += ((sentence_end + a, sentence_end + b) for a, b in _word_spans(rest)[:-1])
    return tuple(_tokens(chunk, spans))


_chunk_tokens = lru_cache(_REMEMBERED)(_cut)
_slice_tokens = lru_cache(_SLICES_REMEMBERED)(_cut)


def _long_tokens(chunk: str, sentence_end: int) -> Iterator[str]:
    """Yield the tokens of a chunk of any length.

    If the chunk is sliced, a joiner mark attaches each later slice to the one before it.
    """
    for found in _SLICE.finditer(chunk):
        end = sentence_end - found.start()
        first, *others = _slice_tokens(found[0], end if 0 < end <= len(found[0]) else 0)
        yield JOINER + first if found.start() else first
        yield from others


def _tokens(chunk: str, spans: list[Span]) -> Iterator[str]:
    glued_by_previous = False
    for number, (start, end) in enumerate(spans):
        word = chunk[start:end]
        touches_previous = number > 0 and not glued_by_previous
        last = number + 1 == len(spans)
        glued_by_previous = not last and not is_word(word) and is_word(chunk[slice(*spans[number + 1])])
        yield (JOINER if touches_previous else "") + protect(word) + (JOINER if glued_by_previous else "")


def _word_spans(sentence: str) -> list[Span]:
    """Return the spans that NLTK finds in a sentence.

    In the rare case that NLTK cannot align its tokens with the text, the spans come from a simple rule. NLTK only knows
    the typewriter apostrophe, and would split don’t into don, ’ and t. So the apostrophes are replaced first.
    """
    sentence = as_typed(sentence)
    try:
        spans = list(_nltk().span_tokenize(sentence))
    except ValueError:
        spans = []
    lost = "".join(sentence.split()) != "".join("".join(sentence[a:b].split()) for a, b in spans)
    whole = all(a < b and not any(c.isspace() for c in sentence[a:b]) for a, b in spans)
    if lost or not whole:
        return [found.span() for found in _ANY_SPANS.finditer(sentence)]
    return spans


@cache
def _nltk():  # noqa: ANN202 - imported late, because importing NLTK takes most of a second
    from nltk.tokenize import NLTKWordTokenizer

    return NLTKWordTokenizer()
