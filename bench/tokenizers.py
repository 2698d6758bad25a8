"""How fast text is cut into tokens: NLTK and TinySegmenter as they are, and wordgen by them, in turns.

PYTHONPATH=. python bench/tokenizers.py [TEXT ...]

The texts are the bundled ones, or files in UTF-8. The libraries are called once for each line, because the tokens of
wordgen know their lines. Cold is a text with empty caches; warm is the same text once more. Only CPU time counts, so
the machine may be busy.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nltk.tokenize import NLTKWordTokenizer
from tinysegmenter import TinySegmenter

from bench.results import print_row
from wordgen.text import tokenizers
from wordgen.text.tokenizers import tokenizer_for, tokenizer_named

BUNDLED = [Path(__file__).parents[1] / "data" / f"{name}.txt" for name in ("lotr", "fables", "spells", "lyrics")]
ROUNDS = 9
MIN_BYTES_A_ROUND = 500_000


def main(texts: list[Path]) -> None:
    print_row("text", "library", "its MB/s", "wordgen cold (times)", "warm (times): CPU time, medians")
    for path in texts:
        text = path.read_text(encoding="utf-8")
        name = tokenizer_for(text)
        library = TinySegmenter() if name == "japanese" else NLTKWordTokenizer()
        speeds = in_turns(ways_of(tokenizer_named(name).tokenize, library.tokenize), text)
        plain = speeds.pop("library")
        columns = (f"{speed:.2f} ({speed / plain:.1f})" for speed in speeds.values())
        print_row(path.stem, type(library).__name__, f"{plain:.2f}", *columns)


def ways_of(own: Callable[[str], object], plain: Callable[[str], list[str]]) -> dict[str, Callable[[str], object]]:
    """Return the library, line by line, and a tokenizer of wordgen, cold and warm."""

    def library(text: str) -> None:
        for line in text.split("\n"):
            plain(line)

    def cold(text: str) -> None:
        for each in vars(tokenizers).values():
            if hasattr(each, "cache_clear"):
                each.cache_clear()
        tokenizers._SHARED_TOKENS.clear()
        own(text)

    return {"library": library, "cold": cold, "warm": own}


def in_turns(ways: dict[str, Callable[[str], object]], text: str) -> dict[str, float]:
    """Return the median speed of each way, in megabytes per second."""
    size = len(text.encode())
    times = -(-MIN_BYTES_A_ROUND // size)
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.process_time()
            for _ in range(times):
                way(text)
            speeds[name].append(times * size / 1e6 / (time.process_time() - began))
    return {name: statistics.median(each) for name, each in speeds.items()}


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]] or BUNDLED)
