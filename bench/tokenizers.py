"""How fast text is cut into symbols: NLTK and TinySegmenter as they are, and wordgen by them, in turns.

PYTHONPATH=. python bench/tokenizers.py [TEXT ...]

The bundled texts, or other text files in UTF-8. The libraries are called once a line, as wordgen's symbols know their
lines. Cold is a text cut by a wordgen that remembers nothing yet; warm is the same text once more. CPU time alone is
told, for the machine may have others to serve.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from nltk.tokenize import NLTKWordTokenizer
from tinysegmenter import TinySegmenter

from wordgen.text import english, japanese
from wordgen.text.tokenizers import tokenizer_for

BUNDLED = [Path(__file__).parents[1] / "data" / f"{name}.txt" for name in ("lotr", "fables", "spells", "lyrics")]
ROUNDS = 9
LEAST_BYTES_A_ROUND = 500_000


def main(texts: list[Path]) -> None:
    print("text | library | its MB/s | wordgen cold (times) | warm (times): CPU time, medians")
    for path in texts:
        text = path.read_text(encoding="utf-8")
        is_japanese = tokenizer_for(text) == "japanese"
        library = TinySegmenter() if is_japanese else NLTKWordTokenizer()
        speeds = in_turns(ways_of(japanese if is_japanese else english, library.tokenize), text)
        plain = speeds.pop("library")
        told = (f"{speed:.2f} ({speed / plain:.1f})" for speed in speeds.values())
        print(path.stem, type(library).__name__, f"{plain:.2f}", *told, sep=" | ", flush=True)


def ways_of(module: ModuleType, plain: Callable[[str], list[str]]) -> dict[str, Callable[[str], None]]:
    """The library line by line, then a module of wordgen, cold and warm."""

    def library(text: str) -> None:
        for line in text.split("\n"):
            plain(line)

    def cold(text: str) -> None:
        for each in vars(module).values():
            if hasattr(each, "cache_clear"):
                each.cache_clear()
        module.tokenize(text)

    return {"library": library, "cold": cold, "warm": module.tokenize}


def in_turns(ways: dict[str, Callable[[str], None]], text: str) -> dict[str, float]:
    """The median speed of each way, in megabytes a second."""
    size = len(text.encode())
    times = -(-LEAST_BYTES_A_ROUND // size)
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
