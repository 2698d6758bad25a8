"""The word vectors of a model, as TensorBoard's Projector wants them."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from wordgen.bundle import Bundle
from wordgen.files import write_whole

_CONFIG = "projector_config.pbtxt"
_VECTORS = "word_vectors.tsv"
_WORDS = "words.tsv"
_CONFIGURATION = f'embeddings {{ tensor_name: "words" tensor_path: "{_VECTORS}" metadata_path: "{_WORDS}" }}'
_MOST_WORDS = 10_000
"""More than these a browser shows but slowly."""


def write_projector(bundle: Bundle, folder: Path) -> None:
    """The vectors of the commonest words, and how often each stands in the training text."""
    vectors = bundle.weights["embedding"][:_MOST_WORDS].tolist()
    words = zip(bundle.vocabulary.symbols, bundle.vocabulary.counts, strict=True)
    lines = [f"{_in_one_cell(symbol)}\t{count}" for symbol, count in islice(words, _MOST_WORDS)]
    folder.mkdir(parents=True, exist_ok=True)
    # Plain numbers, not their bytes: TensorBoard 2.21 may take a file of bytes for text.
    _write(folder / _VECTORS, ("\t".join(map("%.4g".__mod__, vector)) for vector in vectors))
    _write(folder / _WORDS, ["word\tcount", *lines])
    _write(folder / _CONFIG, [_CONFIGURATION])


def _write(path: Path, lines: Iterable[str]) -> None:
    write_whole(path, "".join(line + "\n" for line in lines).encode("utf-8", "replace"))


def _in_one_cell(symbol: str) -> str:
    """A symbol may be a line break, and a table knows no other way to say so."""
    return symbol.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
