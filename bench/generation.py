"""How fast text is written: wordgen, the loop that most tutorials have, and PyTorch's LSTM, in turns.

PYTHONPATH=. python bench/generation.py [PYTHON]

PYTHON is an interpreter that has PyTorch (its CPU build); without one that row is left out. Every way is a process
of its own that takes its turn of words; LSTM 3 x 512, vocabulary 10,000, random weights, sampling. The other ways
just draw from the softmax; wordgen does all that it does for its users, at its defaults and then with each option;
and one text once more by one thread, and by beam search.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

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
LONGEST_OF_BEAM = 2000


def wordgen_ways(folder: Path) -> dict[str, Callable[[int], int]]:
    """For each number of texts and each option: write for a while, and say how many words it were."""
    from wordgen.generation.settings import GenerationSettings
    from wordgen.run_folder import load

    model = load(folder)

    def write(texts: int, options: dict[str, Any], words: int) -> int:
        length = max(1, words // texts)
        chosen = {"length": length, "random_seed": 1, **options}
        chosen["at_least"] = min(chosen.get("at_least", 1), length)
        chosen["length"] = length
        written = model.write([""], GenerationSettings(**chosen, count=texts))
        return sum(len(text.symbols) for text in written)

    ways = {
        f"{texts} {name}": lambda words, t=texts, o=options: write(t, o, words)
        for texts in (1, 16, 64)
        for name, options in OPTIONS.items()
    }
    return {**ways, "1 beam": lambda words: write(1, BEAM, min(words, LONGEST_OF_BEAM))}


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
                odds = torch.softmax(output(hidden[0]) / 0.7, dim=-1)
                ids = torch.multinomial(odds, 1).T
        return max(1, words // texts) * texts

    return {f"{texts} defaults": lambda words, t=texts: write(t, words) for texts in (1, 16, 64)}


def predict_ways() -> dict[str, Callable[[int], int]]:
    import wordgen.model  # noqa: F401 - first, for it keeps TensorFlow's start-up notes off the screen

    # isort: split
    import keras
    import numpy as np

    layers = [keras.layers.LSTM(UNITS, return_sequences=n < LAYERS - 1) for n in range(LAYERS)]
    model = keras.Sequential(
        [keras.layers.Embedding(VOCABULARY, UNITS), *layers, keras.layers.Dense(VOCABULARY, activation="softmax")]
    )
    dice, predict = np.random.default_rng(1), cast(Any, model).predict

    def write(words: int) -> int:
        ids = dice.integers(VOCABULARY, size=15).tolist()
        for _ in range(words):
            odds = predict(np.array([ids[-15:]]), verbose=0)[0].astype(np.float64) ** (1 / 0.7)
            ids.append(int(dice.choice(VOCABULARY, p=odds / odds.sum())))
        return words

    return {"1 defaults": write}


def serve(ways: dict[str, Callable[[int], int]]) -> None:
    """Answer each line `way words` with the words written, wall seconds and CPU seconds."""
    print("ready", flush=True)
    for line in sys.stdin:
        way, _, words = line.strip().rpartition(" ")
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        written = ways[way](int(words))
        wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(json.dumps({"words": written, "wall": wall, "cpu": cpu}), flush=True)


@dataclass(frozen=True)
class Pace:
    words_a_second: float
    cpu_ms_a_word: float


class Way:
    """A process that writes when it is told to."""

    def __init__(self, python: str, *arguments: str, **environment: str) -> None:
        self._process = subprocess.Popen(
            [python, __file__, *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.there = self._read() == "ready\n"

    def write(self, way: str, words: int) -> Pace:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{way} {words}\n")
        self._process.stdin.flush()
        told = json.loads(self._read())
        return Pace(told["words"] / told["wall"], 1000 * told["cpu"] / told["words"])

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def main(torch_python: str | None) -> None:
    with tempfile.TemporaryDirectory() as room:
        folder = make_model(Path(room))
        # As generate.py does it: one text has four threads at most, several have all.
        one = Way(sys.executable, "wordgen", str(folder), OPENBLAS_NUM_THREADS="4")
        many = Way(sys.executable, "wordgen", str(folder))
        ways = {"predict": [Way(sys.executable, "predict")]}
        if torch_python is not None:
            ways["torch"] = [Way(torch_python, "torch", str(threads)) for threads in (1, 2)]
        print("texts | wordgen | PyTorch (better of 1 and 2 threads) | predict: words/s, medians")
        for texts in (1, 16, 64):
            side_by_side(texts, {"wordgen": [one if texts == 1 else many], **ways})
        print("option | 1 text | 16 texts | 64 texts: words/s, medians")
        for option in OPTIONS:
            told = [in_turns({option: lambda w, t=t, o=option: (one if t == 1 else many).write(f"{t} {o}", w)})
                    for t in (1, 16, 64)]  # fmt: skip
            print(option, *(f"{each[option].words_a_second:,.0f}" for each in told), sep=" | ", flush=True)
        one_text(one, Way(sys.executable, "wordgen", str(folder), OPENBLAS_NUM_THREADS="1"))
        cold_start(folder)


def one_text(one: Way, single: Way) -> None:
    """One text by several threads, by one, and by beam search, in turns."""
    print("one text | words/s | CPU ms a word: medians")
    ways = {
        "defaults, four threads at most": lambda words: one.write("1 defaults", words),
        "defaults, one thread": lambda words: single.write("1 defaults", words),
        "beam of 5, four threads at most": lambda words: one.write("1 beam", words),
        "beam of 5, one thread": lambda words: single.write("1 beam", words),
    }
    for name, pace in in_turns(ways).items():
        print(name, f"{pace.words_a_second:,.0f}", f"{pace.cpu_ms_a_word:.2f}", sep=" | ", flush=True)


def side_by_side(texts: int, ways: dict[str, list[Way]]) -> None:
    chosen: dict[str, Callable[[int], Pace]] = {}
    for name, processes in ways.items():
        for number, way in enumerate(processes):
            if way.there and (name != "predict" or texts == 1):
                chosen[f"{name} {number}"] = lambda words, w=way: w.write(f"{texts} defaults", words)
    told = {name: pace.words_a_second for name, pace in in_turns(chosen).items()}
    best = {name: max((told[each] for each in told if each.startswith(name)), default=0.0) for name in ways}
    ours = best["wordgen"]
    others = [best.get(name, 0.0) for name in ("torch", "predict")]
    shown = (f"{other:,.0f} ({ours / other:.1f} times)" if other else "-" for other in others)
    print(texts, f"{ours:,.0f}", *shown, sep=" | ", flush=True)


def in_turns(ways: dict[str, Callable[[int], Pace]]) -> dict[str, Pace]:
    """Each in its turn writes for about as long; the medians of its paces."""
    enough = {name: max(64, int(write(64).words_a_second * SECONDS_A_TURN)) for name, write in ways.items()}
    paces: dict[str, list[Pace]] = {name: [] for name in ways}
    for _ in range(TURNS):
        for name, write in ways.items():
            paces[name].append(write(enough[name]))
    return {
        name: Pace(
            statistics.median(pace.words_a_second for pace in each),
            statistics.median(pace.cpu_ms_a_word for pace in each),
        )
        for name, each in paces.items()
    }


def make_model(room: Path) -> Path:
    """A bundle with random weights, and a copy index of two million random symbols beside it."""
    import numpy as np

    from wordgen.architecture import Architecture, NetworkSettings
    from wordgen.bundle import Bundle, TextConfig, save_bundle
    from wordgen.dataset.encoding import Dataset
    from wordgen.generation.copies import COPY_INDEX
    from wordgen.generation.indexing import write_copy_index
    from wordgen.text.escapes import RESERVED
    from wordgen.text.vocabulary import Vocabulary

    architecture = Architecture.of(NetworkSettings(layers=LAYERS, units=UNITS), VOCABULARY)
    dice = np.random.default_rng(1)
    weights = {
        name: dice.normal(scale=0.05, size=shape).astype(np.float32)
        for name, shape in architecture.weight_shapes().items()
    }
    words = [f"word{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}" for n in range(VOCABULARY - 3)]
    vocabulary = Vocabulary((symbol, 1) for symbol in (*RESERVED, *words))
    text = TextConfig(corpus="bench", tokenizer="english", unit="paragraph", line_breaks="joined", starts=True)
    bundle = Bundle(architecture, text, vocabulary, weights)
    save_bundle(bundle, room / "model")
    ids: Any = {"train": (dice.zipf(1.2, 2_000_000) % (VOCABULARY - 3) + 3).astype(np.uint16)}
    lines = np.array([[0, 1, 0]], np.uint32)
    began = time.monotonic()
    write_copy_index(Dataset(bundle.codec, ids, "", {}, True, 0, ("bench.txt",), lines), room / "model" / COPY_INDEX)
    print(f"copy index of 2,000,000 symbols: {time.monotonic() - began:.1f} s")
    return room / "model"


def cold_start(folder: Path) -> None:
    """A whole process up to its first word: CPU seconds and peak memory, medians of five."""
    print("cold start to the first word | s wall | s CPU | MB at the most")
    for name, more in {"empty seed": [], "with a seed": ["--seed", "wordaab wordaac"]}.items():
        told = [_first_word(folder, more) for _ in range(TURNS)]
        print(name, *(f"{statistics.median(each):.2f}" for each in zip(*told, strict=True)), sep=" | ", flush=True)


def _first_word(folder: Path, more: list[str]) -> tuple[float, float, float]:
    command = [sys.executable, "-m", "wordgen", "generate", "--model", str(folder), "--length", "1", *more]
    # A process has the peak of the one that it was forked from: so a small one stands in between.
    between = [sys.executable, "-S", "-c", _IN_BETWEEN, *command]
    wall, cpu, peak = subprocess.run(between, capture_output=True, text=True, check=True).stdout.split()
    return float(wall), float(cpu), float(peak)


_IN_BETWEEN = """
import resource, subprocess, sys, time
began = time.monotonic()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""

if __name__ == "__main__":
    if sys.argv[1:2] == ["wordgen"]:
        serve(wordgen_ways(Path(sys.argv[2])))
    elif sys.argv[1:2] == ["torch"]:
        serve(torch_ways(int(sys.argv[2])))
    elif sys.argv[1:2] == ["predict"]:
        serve(predict_ways())
    else:
        main(sys.argv[1] if len(sys.argv) > 1 else None)
