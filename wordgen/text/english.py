"""English and other spaced scripts: NLTK's word tokenizer, with the spacing kept.

NLTK says where words begin and end but not which of them touched. A joiner mark on a symbol says on
which side it is glued to its neighbour, so the text comes back as it was:

    "Well," he didn't say.   ->   "￭  Well  ￭,  ￭"  he  did  ￭n't  say  ￭.

The mark sits on the punctuation wherever one side is a word, so that a word is the same symbol
whether or not it stands beside a quotation mark.

NLTK looks no further than the white space around a chunk of text, but for a full stop, which it splits
off from the end of its string alone. So each chunk goes to it by itself, up to its stop where a sentence ends
there, and what became of it is remembered: a text has far fewer different chunks than chunks.

NLTK gives up on what takes it five seconds. So a chunk that no word is as long as, a megabyte of quotation marks, say,
goes to it in slices.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache

from wordgen.text.apostrophes import as_typed
from wordgen.text.escapes import JOINER, protect, restore
from wordgen.text.lines import LINE_BREAK, tokenize_lines

Span = tuple[int, int]

_STOP = re.compile(r"[.](?=[\"'”’)\]]*\Z)")
_LAST_STOP = re.compile(r"[.](?=[\"'”’)\]}>»]*\Z)")  # what NLTK lets stand behind the stop that ends its string
_CLOSING = "\"'”’)]}>»"
_OPENING_FOR_NLTK = ('"', "''", "’’", "'’", "’'")  # behind a space
_MAY_HAVE_STOP = frozenset("." + _CLOSING)
# The few abbreviations after which a capital letter is usual; and initials, but for one that begins a line.
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Dr|St|Mrs|Jr|Ms)|[.][A-Z])\Z")
_INITIAL = re.compile(r"[A-Z]")
_SMALL_LETTER = re.compile(r"[a-z]")
_TWO_WORDS = frozenset(("cannot", "gimme", "gonna", "gotta", "lemme", "wanna"))  # the words of letters that NLTK splits
_ANY_SPANS = re.compile(r"\w+|[^\w\s]+")
_REMEMBERED = 2**16  # WikiText-2 has 40,000 different chunks; so many take 30 MB in each process
_LONGEST_REMEMBERED = 100  # characters: many longer ones would be too much to keep
# What NLTK cuts in a few thousandths of a second, whatever it is; if there is more, up to a place between words.
_SLICE = re.compile(r".{1,1000}(?:\Z|(?<![\w'’]))|.{1,1000}", re.DOTALL)
_SLICES_REMEMBERED = 100


def tokenize(text: str) -> list[str]:
    return tokenize_lines(text, _line_symbols)


def piece(symbol: str, previous: str | None) -> str:
    """What a symbol adds to the text when it comes after `previous`."""
    if symbol == LINE_BREAK:
        return LINE_BREAK
    glued = previous is None or previous == LINE_BREAK or _glued_behind(previous)
    space = "" if glued or symbol.startswith(JOINER) else " "
    return space + restore(symbol.strip(JOINER))


def _glued_behind(symbol: str) -> bool:
    return symbol.endswith(JOINER)


def _line_symbols(line: str) -> list[str]:
    symbols: list[str] = []
    chunks = line.split()
    last = len(chunks) - 1
    while last > 0 and not chunks[last].strip(_CLOSING) and not chunks[last].startswith(_OPENING_FOR_NLTK):
        last -= 1
    for number, chunk in enumerate(chunks):
        end = 0
        if chunk[-1] in _MAY_HAVE_STOP:
            follower = chunks[number + 1] if number < last else None
            end = _sentence_end(chunk, follower, first=number == 0 and not line[0].isspace())
        symbols += _chunk_symbols(chunk, end) if len(chunk) <= _LONGEST_REMEMBERED else _long_symbols(chunk, end)
    return symbols


def _sentence_end(chunk: str, follower: str | None, *, first: bool) -> int:
    """Where in a chunk a sentence ends: behind its stop, if what follows may begin one or if nothing does; else 0."""
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
    # With a word behind it, the rest does not stand at the end of NLTK's string.
    rest = f"{chunk[sentence_end:]} x"
    spans += ((sentence_end + a, sentence_end + b) for a, b in _word_spans(rest)[:-1])
    return tuple(_symbols(chunk, spans))


_chunk_symbols = lru_cache(_REMEMBERED)(_cut)
_slice_symbols = lru_cache(_SLICES_REMEMBERED)(_cut)


def _long_symbols(chunk: str, sentence_end: int) -> Iterator[str]:
    """The symbols of a chunk of any length; where it had to be sliced, the later slice is glued to the earlier."""
    for found in _SLICE.finditer(chunk):
        end = sentence_end - found.start()
        first, *others = _slice_symbols(found[0], end if 0 < end <= len(found[0]) else 0)
        yield JOINER + first if found.start() else first
        yield from others


def _symbols(chunk: str, spans: list[Span]) -> Iterator[str]:
    glued_by_previous = False
    for number, (start, end) in enumerate(spans):
        word = chunk[start:end]
        touches_previous = number > 0 and not glued_by_previous
        last = number + 1 == len(spans)
        glued_by_previous = not last and not _is_word(word) and _is_word(chunk[slice(*spans[number + 1])])
        yield (JOINER if touches_previous else "") + protect(word) + (JOINER if glued_by_previous else "")


def _is_word(piece_of_text: str) -> bool:
    return any(character.isalnum() for character in piece_of_text)


def _word_spans(sentence: str) -> list[Span]:
    """NLTK's spans, or plain ones for the rare string that NLTK cannot align with itself.

    Of apostrophes NLTK knows those of a typewriter alone, and would cut don’t into don, ’ and t.
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
def _nltk():  # noqa: ANN202 - NLTK is imported late because it costs most of a second
    from nltk.tokenize import NLTKWordTokenizer

    return NLTKWordTokenizer()
