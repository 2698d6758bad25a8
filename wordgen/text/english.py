"""English and other spaced scripts: NLTK's word tokenizer, with the spacing kept.

NLTK says where words begin and end but not which of them touched. A joiner mark on a symbol says on
which side it is glued to its neighbour, so the text comes back as it was:

    "Well," he didn't say.   ->   "￭  Well  ￭,  ￭"  he  did  ￭n't  say  ￭.

The mark sits on the punctuation wherever one side is a word, so that a word is the same symbol
whether or not it stands beside a quotation mark.
"""

import re
from collections.abc import Iterator
from functools import cache

from wordgen.text.escapes import JOINER, protect, restore
from wordgen.text.lines import LINE_BREAK, tokenize_lines

Span = tuple[int, int]

# NLTK splits a final "." only from the end of its string, so it is fed sentences. They end right behind
# the stop; the few abbreviations are those after which a capital letter is usual.
_SENTENCE_END = re.compile(
    r"(?<![\s.](?:[A-Z]))(?<!\bMr)(?<!\bDr)(?<!\bSt)(?<!\bMrs)(?<!\bJr)(?<!\bMs)[.](?=[\"'”’)\]]*\s+[^a-z])"
)
_LAST_STOP = re.compile(r"[.](?=[\"'”’)\]]*\s*$)")
_ANY_SPANS = re.compile(r"\w+|[^\w\s]+")


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


def _line_symbols(line: str) -> Iterator[str]:
    previous_end = -1
    glued_by_previous = False
    spans = _line_spans(line)
    for number, (start, end) in enumerate(spans):
        word = line[start:end]
        touches_previous = start == previous_end and not glued_by_previous
        follower = spans[number + 1] if number + 1 < len(spans) else None
        glued_by_previous = (
            follower is not None
            and follower[0] == end
            and not _is_word(word)
            and _is_word(line[follower[0] : follower[1]])
        )
        yield (JOINER if touches_previous else "") + protect(word) + (JOINER if glued_by_previous else "")
        previous_end = end


def _is_word(piece_of_text: str) -> bool:
    return any(character.isalnum() for character in piece_of_text)


def _line_spans(line: str) -> list[Span]:
    spans: list[Span] = []
    for start, end in _sentences(line):
        spans += ((start + a, start + b) for a, b in _word_spans(line[start:end]))
    return spans


def _sentences(line: str) -> Iterator[Span]:
    start = 0
    ends = [found.end() for found in _SENTENCE_END.finditer(line)]
    ends += [found.end() for found in _LAST_STOP.finditer(line)]
    for end in [*ends, len(line)]:
        if end > start:
            yield start, end
            start = end


def _word_spans(sentence: str) -> list[Span]:
    """NLTK's spans, or plain ones for the rare string that NLTK cannot align with itself."""
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
