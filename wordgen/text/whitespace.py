"""Text that somebody tokenized already, as the public benchmarks are: split at white space, no more.

Such texts write `<unk>` where a word was left out and some write `<eos>` at the end of a sentence;
these are our UNKNOWN and END, and are written back as they were found.
"""

from wordgen.text.escapes import END_TOKEN, UNKNOWN_TOKEN, protect, restore
from wordgen.text.lines import LINE_BREAK, tokenize_lines

_MEANINGS = {"<unk>": UNKNOWN_TOKEN, "<eos>": END_TOKEN}
SPELLINGS = {meaning: spelling for spelling, meaning in _MEANINGS.items()}


def tokenize(text: str) -> list[str]:
    return tokenize_lines(text, _line_symbols)


def piece(symbol: str, previous: str | None) -> str:
    """What a symbol adds to the text when it comes after `previous`."""
    if symbol == LINE_BREAK:
        return LINE_BREAK
    space = "" if previous is None or previous == LINE_BREAK else " "
    return space + SPELLINGS.get(symbol, restore(symbol))


def _line_symbols(line: str) -> list[str]:
    return [_MEANINGS.get(word, protect(word)) for word in line.split()]
