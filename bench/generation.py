"""How fast text is written: wordgen, the loop of most tutorials, and PyTorch's LSTM, in turns.

PYTHONPATH=. python bench/generation.py [PYTHON]

PYTHON is an interpreter that has PyTorch (its CPU build); without one, that column is empty. Every way is a process
that takes turns; LSTM 3 x 512, vocabulary 10,000, random weights, sampling. The other ways only draw from the softmax;
wordgen does all that it does for its users, with its defaults and then with each option. One text is also written by
one thread, and by beam search.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bench.results import print_row
from bench.turns import ROOT, FailedError, Turns, Way

LAYERS, UNITS, VOCABULARY = 3, 512, 10_000
TURNS = 5
SECONDS_A_TURN = 2.0
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "top-k 40": {"top_k": 40},
    "top-p 0.9": {"top_p": 0.9},
    "min-p 0.05": {"min_p": 0.05},
    "repetition penalty 1.2": {"repetition_penalty": 1.2},
    "no-repeat-ngram 3": {"no_repeat_ngram": 3},
    "max-copy 6": {"max_copy": 6},
    "stop sentence": {"stop": "sentence", "at_least": 10**6, "length": 10**6},
    "greedy": {"mode": "greedy"},
}
BEAM = {"mode": "beam"}
MAX_BEAM_WORDS = 2000


def wordgen_ways(folder: Path) -> dict[str, Callable[[int], int]]:
    """Return a function for each number of texts and each option. It writes, and returns how many words it wrote."""
    from wordgen.api import load
    from wordgen.generation.settings import GenerationSettings

    model = load(folder)

    def write(texts: int, options: dict[str, Any], words: int) -> int:
        length = max(1, words // texts)
        chosen = {"length": length, "random_seed": 1, **options}
        chosen["at_least"] = min(chosen.get("at_least", 1), length)
        chosen["length"] = length
        written = model.write([""], GenerationSettings(**chosen, count=texts))
        return sum(len(text.tokens) for text in written)

    ways = {
        f"{texts} {name}": lambda words, t=texts, o=options: write(t, o, words)
        for texts in (1, 16, 64)
        for name, options in OPTIONS.items()
    }
    return {**ways, "1 beam": lambda words: write(1, BEAM, min(words, MAX_BEAM_WORDS))}


def torch_ways(threads: int) -> dict[str, Callable[[int], int]]:
    import torch  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(threads)
    embedding = torch.nn.Embedding(VOCABULARY, UNITS)
    lstm = torch.nn.LSTM(UNITS, UNITS, LAYERS)
    output = torch.nn.Linear(UNITS, VOCABULARY)

    def write(texts: int, words: int) -> int:
        ids = torch.randint(VOCABULARY, (1, texts))
        state = None
        with torch.no_grad():
            for _ in range(max(1, words // texts)):
                hidden, state = lstm(embedding(ids), state)
                probs = torch.softmax(output(hidden[0]) / 0.7, dim=-1)
                ids = torch.multinomial(probs, 1).T
        return max(1, words // texts) * texts

    return {f"{texts} defaults": lambda words, t=texts: write(t, words) for texts in (1, 16, 64)}


def predict_ways() -> dict[str, Callable[[int], int]]:
    import wordgen.network  # noqa: F401 - first, for it keeps TensorFlow's start-up notes off the screen

    # isort: split
    import keras
    import numpy as np

    layers = [keras.layers.LSTM(UNITS, return_sequences=n < LAYERS - 1) for n in range(LAYERS)]
    model = keras.Sequential(
        [keras.layers.Embedding(VOCABULARY, UNITS), *layers, keras.layers.Dense(VOCABULARY, activation="softmax")]
    )
    generator, predict = np.random.default_rng(1), cast(Any, model).predict

    def write(words: int) -> int:
        ids = generator.integers(VOCABULARY, size=15).tolist()
        for _ in range(words):
            probs = predict(np.array([ids[-15:]]), verbose=0)[0].astype(np.float64) ** (1 / 0.7)
            ids.append(int(generator.choice(VOCABULARY, p=probs / probs.sum())))
        return words

    return {"1 defaults": write}


def serve(turns: Turns, ways: dict[str, Callable[[int], int]]) -> None:
    """Answer each line `way words` with the number of words written, and the wall and CPU seconds."""
    turns.answer()
    while True:
        way, _, words = turns.wait().rpartition(" ")
        written = ways[way](int(words))
        turns.answer(words=written, **turns.spent())


@dataclass(frozen=True)
class Pace:
    words_a_second: float
    cpu_ms_a_word: float


Writer = Callable[[int], Pace]
"""Writes about this number of words."""


def writer(way: Way, what: str) -> Writer:
    def write(words: int) -> Pace:
        answer = way.turn(f"{what} {words}")
        return Pace(answer["words"] / answer["wall"], 1000 * answer["cpu"] / answer["words"])

    return write


def main(torch_python: str | None) -> None:
    with tempfile.TemporaryDirectory() as room, ExitStack() as stack:
        folder = str(make_model(Path(room)))

        def started(python: str, *arguments: str, **environment: str) -> list[Way]:
            """Start a way. Return an empty list if it cannot be measured here."""
            way = Way(python, "bench.generation", arguments, ROOT, environment)
            stack.callback(way.close)
            try:
                way.answer()
            except FailedError as error:
                print(f"{' '.join(arguments)} is left out: {error}", file=sys.stderr)
                return []
            return [way]

        # As generate.py does it: one text has four threads at most, several have all.
        (one,) = started(sys.executable, "wordgen", folder, OPENBLAS_NUM_THREADS="4")
        (single,) = started(sys.executable, "wordgen", folder, OPENBLAS_NUM_THREADS="1")
        (many,) = started(sys.executable, "wordgen", folder)
        predict = started(sys.executable, "predict")
        torch = [way for threads in "12" for way in (started(torch_python, "torch", threads) if torch_python else [])]
        print_row("texts", "wordgen", "PyTorch (better of 1 and 2 threads)", "predict: words/s, medians")
        for texts in (1, 16, 64):
            side_by_side(texts, one if texts == 1 else many, torch, predict if texts == 1 else [])
        print_row("option", "1 text", "16 texts", "64 texts: words/s, medians")
        for option in OPTIONS:
            writers = {texts: writer(one if texts == 1 else many, f"{texts} {option}") for texts in (1, 16, 64)}
            paces = [median_paces([write])[0] for write in writers.values()]
            print_row(option, *(f"{pace.words_a_second:,.0f}" for pace in paces))
        one_text(one, single)
        cold_start(folder)


def one_text(one: Way, single: Way) -> None:
    """Write one text with several threads, with one, and by beam search, in turns."""
    print_row("one text", "words/s", "CPU ms a word: medians")
    writers = {
        "defaults, four threads at most": writer(one, "1 defaults"),
        "defaults, one thread": writer(single, "1 defaults"),
        "beam of 5, four threads at most": writer(one, "1 beam"),
        "beam of 5, one thread": writer(single, "1 beam"),
    }
    for name, pace in zip(writers, median_paces(list(writers.values())), strict=True):
        print_row(name, f"{pace.words_a_second:,.0f}", f"{pace.cpu_ms_a_word:.2f}")


def side_by_side(texts: int, wordgen: Way, torch: list[Way], predict: list[Way]) -> None:
    writers = [writer(way, f"{texts} defaults") for way in (wordgen, *torch, *predict)]
    ours, *others = [pace.words_a_second for pace in median_paces(writers)]
    best = [max(others[: len(torch)], default=0.0), max(others[len(torch) :], default=0.0)]
    print_row(texts, f"{ours:,.0f}", *(f"{other:,.0f} ({ours / other:.1f} times)" if other else "-" for other in best))


def median_paces(writers: list[Writer]) -> list[Pace]:
    """Let each write in turns, for about as long, and return the medians of its paces."""
    enough = [max(64, int(write(64).words_a_second * SECONDS_A_TURN)) for write in writers]
    rounds = [[write(words) for write, words in zip(writers, enough, strict=True)] for _ in range(TURNS)]
    return [
        Pace(
            statistics.median(pace.words_a_second for pace in paces),
            statistics.median(pace.cpu_ms_a_word for pace in paces),
        )
        for paces in zip(*rounds, strict=True)
    ]


def make_model(room: Path) -> Path:
    """Write a bundle with random weights, and a copy index of two million random tokens beside it."""
    import numpy as np

    from wordgen.dataset.dataset import Dataset, TextConfig
    from wordgen.generation.copies import COPY_INDEX, write_copy_index
    from wordgen.model.architecture import Architecture, NetworkSettings
    from wordgen.model.bundle import Bundle, save_bundle
    from wordgen.text.vocabulary import RESERVED, Vocabulary

    architecture = Architecture.of(NetworkSettings(layers=LAYERS, units=UNITS), VOCABULARY)
    generator = np.random.default_rng(1)
    weights = {
        name: generator.normal(scale=0.05, size=shape).astype(np.float32)
        for name, shape in architecture.weight_shapes().items()
    }
    words = [f"word{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}" for n in range(VOCABULARY - 3)]
    vocabulary = Vocabulary((token, 1) for token in (*RESERVED, *words))
    text = TextConfig(corpus="bench", tokenizer="english", passage="paragraph", line_breaks="joined", starts=True)
    bundle = Bundle(architecture, text, vocabulary, weights)
    save_bundle(bundle, room / "model")
    ids: Any = {"train": (generator.zipf(1.2, 2_000_000) % (VOCABULARY - 3) + 3).astype(np.uint16)}
    lines = np.array([[0, 1, 0]], np.uint32)
    began = time.monotonic()
    write_copy_index(Dataset(bundle.codec, ids, "", {}, text, 0, ("bench.txt",), lines), room / "model" / COPY_INDEX)
    print(f"copy index of 2,000,000 tokens: {time.monotonic() - began:.1f} s")
    return room / "model"


def cold_start(folder: str) -> None:
    """Measure a whole process up to its first word: wall and CPU seconds and peak memory, medians of five."""
    print_row("cold start to the first word", "s wall", "s CPU", "MB at the most")
    for name, more in {"empty prompt": [], "with a prompt": ["--seed", "wordaab wordaac"]}.items():
        measured = [_first_word(folder, more) for _ in range(TURNS)]
        print_row(name, *(f"{statistics.median(each):.2f}" for each in zip(*measured, strict=True)))


def _first_word(folder: str, more: list[str]) -> list[float]:
    command = [sys.executable, "-m", "wordgen", "generate", "--model", folder, "--length", "1", *more]
    # A process begins with the peak memory of the one that it was forked from, so a small one is in between.
    between = [sys.executable, "-S", "-c", _IN_BETWEEN, *command]
    return [float(each) for each in subprocess.run(between, capture_output=True, text=True, check=True).stdout.split()]


_IN_BETWEEN = """
import resource, subprocess, sys, time
began = time.monotonic()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["wordgen", folder]:
            serve(Turns(), wordgen_ways(Path(folder)))
        case ["torch", threads]:
            serve(Turns(), torch_ways(int(threads)))
        case ["predict"]:
            serve(Turns(), predict_ways())
        case arguments:
            main(arguments[0] if arguments else None)
