"""Line breaks as symbols: every tokenizer works line by line, with a break symbol in between."""

from collections.abc import Callable, Iterable

LINE_BREAK = "\n"


def tokenize_lines(text: str, line_symbols: Callable[[str], Iterable[str]]) -> list[str]:
    symbols: list[str] = []
    for number, line in enumerate(text.split(LINE_BREAK)):
        if number:
            symbols.append(LINE_BREAK)
        symbols += line_symbols(line)
    return symbols
