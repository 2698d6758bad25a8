"""How fast a large text becomes ids, and in how much memory, beside the plain way.

PYTHONPATH=. python bench/encoding.py --megabytes 70 TEXT...

The passages of the English or Japanese texts (by default the bundled lotr) are repeated, each time in another order, up
to that size. The plain way reads the whole file, calls NLTK or TinySegmenter once for each line, counts in a dict, and
makes a list of ids.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.results import parser_for, print_row
from bench.turns import ROOT
from wordgen.corpus.catalogue import bundled_data
from wordgen.corpus.finding import open_corpus
from wordgen.dataset.numbering import useful_processes
from wordgen.text.settings import TokenizerName
from wordgen.text.tokenizers import tokenizer_for

_VOCABULARY = 30_000
_OURS = f"""
import sys
from pathlib import Path
from wordgen.corpus.finding import open_corpus
from wordgen.dataset.encoding import prepare
from wordgen.text.settings import TextSettings
settings = TextSettings(tokenizer=sys.argv[2], vocab_size={_VOCABULARY})
dataset = prepare(open_corpus(sys.argv[1]), settings, Path(sys.argv[3]))
print(sum(split.tokens for split in dataset.statistics.values()))
"""
_PLAIN = f"""
import sys
from collections import Counter
from pathlib import Path
import numpy as np
if sys.argv[2] == "japanese":
    from tinysegmenter import TinySegmenter
    tokenize = TinySegmenter().tokenize
else:
    from nltk.tokenize import NLTKWordTokenizer
    tokenize = NLTKWordTokenizer().tokenize
words = []
for line in Path(sys.argv[1]).read_text(encoding="utf-8").split("\\n"):
    words += tokenize(line)
known = {{word: n for n, (word, _) in enumerate(Counter(words).most_common({_VOCABULARY}), 1)}}
ids = np.array([known.get(word, 0) for word in words], np.uint16)
print(len(ids))
"""


@dataclass(frozen=True)
class Measured:
    seconds: float
    cpu_seconds: float
    peak_megabytes: float
    """The memory of the process and all that it started, at one moment."""
    output: str


def measure(command: Sequence[str]) -> Measured:
    before, began = os.times(), time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(_megabytes(each) for each in _family(process.pid)))
        time.sleep(0.1)
    assert process.stdout is not None
    output = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{command} has failed")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Measured(time.monotonic() - began, cpu, peak, output)


def _family(process: int) -> list[int]:
    """Return a process and all its descendants."""
    try:
        threads = list(Path(f"/proc/{process}/task").iterdir())
        children = [int(each) for thread in threads for each in (thread / "children").read_text().split()]
    except OSError:  # it has just ended
        return []
    return [process, *(each for child in children for each in _family(child))]


def _megabytes(process: int) -> float:
    """Return the memory of a process, with its share of the memory that several have in common."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().split("\n")
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("Pss:")), 0.0)


def write_large(texts: Sequence[str], size: int, path: Path) -> float:
    """Write the passages of some texts again and again, and return how many megabytes they have once."""
    corpus = open_corpus(list(texts) if len(texts) > 1 else texts[0])
    passages = [passage.text for _, passage in corpus.reading().passages() if passage.text]
    separator = "\n" if corpus.effective_passage == "line" else "\n\n"
    generator = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            generator.shuffle(passages)
            for first in range(0, len(passages), 1000):
                file.write(separator.join(passages[first : first + 1000]) + separator)
                if file.tell() >= size:
                    break
    return sum(len(passage.encode()) for passage in passages) / 1e6


def seconds_to_tensorflow(text: Path, tokenizer: str, folder: Path) -> float:
    """Return the seconds from the start of a training to the moment when it starts TensorFlow."""
    settings = ["--corpus", str(text), "--tokenizer", tokenizer, "--vocab-size", str(_VOCABULARY)]
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "wordgen", "train", *settings, "--dry-run"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "WORDGEN_DATA": str(folder)},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Starting TensorFlow"):
            break
    seconds = time.monotonic() - began
    process.kill()
    process.communicate()
    return seconds


def main() -> None:
    parser = parser_for(__doc__)
    parser.add_argument("texts", nargs="*", default=[str(bundled_data() / "lotr.txt")])
    parser.add_argument("--megabytes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = folder / "large.txt"
        once = write_large(arguments.texts, int(arguments.megabytes * 1e6), text)
        size = text.stat().st_size / 1e6
        looks_japanese = tokenizer_for(open_corpus(str(text)).sample()) == "japanese"
        tokenizer: TokenizerName = "japanese" if looks_japanese else "english"
        print(f"{tokenizer}, {size:.1f} MB ({once:.1f} MB repeated), {useful_processes()} processes\n")
        print_row("way", "MB/s", "CPU seconds", "tokens/s", "MB at the most")
        for number in range(arguments.rounds):
            encoded = folder / f"encoded{number}"
            ours = measure([sys.executable, "-c", _OURS, str(text), tokenizer, str(encoded)])
            plain = measure([sys.executable, "-c", _PLAIN, str(text), tokenizer])
            for who, found in (("wordgen", ours), ("the plain way", plain)):
                figures = f"{size / found.seconds:.2f}", f"{found.cpu_seconds:.0f}"
                tokens_a_second = f"{int(found.output) / found.seconds:,.0f}"
                print_row(who, *figures, tokens_a_second, f"{found.peak_megabytes:,.0f}")
        first = seconds_to_tensorflow(text, tokenizer, folder)
        again = [seconds_to_tensorflow(text, tokenizer, folder) for _ in range(3)]
        print(f"\nFrom the command to TensorFlow: {first:.1f} s the first time, then {sorted(again)[1]:.2f} s.")


if __name__ == "__main__":
    main()
