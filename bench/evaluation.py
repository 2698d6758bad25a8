"""What it costs to measure a model: to count n-grams, and to run networks over a text with NumPy and with TensorFlow.

PYTHONPATH=. python bench/evaluation.py [CORPUS]

The corpus is the bundled lotr by default; docs/experiments.md has the figures of wikitext-2. Each way is a process,
measured from its beginning to its end, because users wait for all of it. The networks have random weights, and their
text is random, too.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass

_COUNT = """
import resource, sys, time
from wordgen.corpus.catalogue import user_data
from wordgen.corpus.finding import open_corpus
from wordgen.dataset.encoding import prepare
from wordgen.evaluation.text_loss import ngram_loss
from wordgen.generation.prediction import NgramModel
from wordgen.text.settings import TextSettings
dataset = prepare(open_corpus(sys.argv[1]), TextSettings(), user_data() / "encoded")
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, began = peak(), time.process_time()
model = NgramModel(dataset.ids["train"], len(dataset.codec.vocabulary), int(sys.argv[2]))
seconds = time.process_time() - began
valid, test = (ngram_loss(model, dataset.ids[split]).perplexity for split in ("valid", "test"))
print(f"{sys.argv[2]}-gram: valid {valid:.2f}, test {test:.2f}, {len(dataset.ids['train']):,} tokens counted in "
      f"{seconds:.1f} s of CPU, peak {peak():,.0f} MB ({before:,.0f} MB before)")
"""
_NETWORK = """
import sys
import numpy as np
from wordgen.model.architecture import Architecture, NetworkSettings
layers, units, vocabulary, tokens = map(int, sys.argv[2:])
architecture = Architecture.of(NetworkSettings(layers=layers, units=units), vocabulary)
rng = np.random.default_rng(1)
weights = {name: rng.normal(0, 0.05, shape).astype(np.float32) for name, shape in architecture.weight_shapes().items()}
ids = rng.integers(2, vocabulary, tokens).astype(np.uint32)
if sys.argv[1] == "NumPy":
    from wordgen.evaluation.text_loss import network_loss
    from wordgen.generation.prediction import NumpyNetwork
    print(network_loss(NumpyNetwork(architecture, weights), ids).perplexity)
else:
    import wordgen.network
    from wordgen.evaluation.perplexity import Evaluator
    from wordgen.network.network import Network
    from wordgen.network.replicas import single_replica
    network = Network(architecture)
    network.set_weights_by_name(weights)
    print(Evaluator(network, ids, single_replica()).perplexity())
"""


@dataclass(frozen=True)
class Case:
    layers: int
    units: int
    vocabulary: int
    tokens: int


_CASES = (Case(2, 48, 800, 600), Case(3, 512, 1335, 1500), Case(3, 512, 8000, 16_000), Case(2, 200, 33_279, 60_000))


def run(program: str, *arguments: object) -> tuple[str, float]:
    """Return what a process prints, and its seconds. NumPy's products have one thread, as in the command."""
    began = time.monotonic()
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    return said.strip(), time.monotonic() - began


def main() -> None:
    corpus = sys.argv[1] if len(sys.argv) > 1 else "lotr"
    for order in range(1, 6):
        print(run(_COUNT, corpus, order)[0], flush=True)
    for case in _CASES:
        for way in ("NumPy", "TensorFlow"):
            said, seconds = run(_NETWORK, way, case.layers, case.units, case.vocabulary, case.tokens)
            print(f"{case}: {way} {seconds:.1f} s, perplexity {float(said):.3f}", flush=True)


if __name__ == "__main__":
    main()
