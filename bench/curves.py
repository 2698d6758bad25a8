"""Perplexity against seconds: wordgen with a recipe, and PyTorch's example with its settings, an epoch each in turns.

PYTHONPATH=. python bench/curves.py wikitext-2 [--recipe small] [--epochs 6] [--minutes 240]

Both learn the same ids of a text of the catalogue. CPU seconds are those of the whole process from its beginning,
with the reading of the text, validation and saving. Each epoch is saved in bench/results/curves.json. A run that was
stopped continues from the last epoch of each, in the folder --room. `python bench/document.py` draws both.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from bench import results
from bench.turns import ROOT, Way, can_continue
from wordgen.corpus.catalogue import user_data
from wordgen.corpus.finding import open_corpus
from wordgen.dataset.encoding import prepare
from wordgen.evaluation.measurement import streams_for
from wordgen.files import make_folder
from wordgen.run.defaults import complete_settings
from wordgen.text.settings import TextSettings
from wordgen.text.vocabulary import START

NAME = "curves"
RECIPES = {"wikitext-2": "small", "shakespeare": "book"}
PEER = "pytorch"


class Curve:
    """One training, epoch by epoch. Its results are collected in the dictionary that it was made with."""

    def __init__(self, way: Way, found: dict[str, Any]) -> None:
        self.found, self._way = found, way
        answer = way.answer()
        self._points: list[dict[str, float]] = found.setdefault("points", [])
        self._ended = "ended" in answer  # the training had ended, but the script was stopped before it could be saved
        if self._ended:
            found |= answer
        else:
            del self._points[answer["done"] :]  # the results of an epoch whose checkpoint was never written
        self._before = self._points[-1] if self._points else {"cpu": 0.0, "wall": 0.0}

    def epoch(self) -> bool:
        """Train for an epoch. Return whether there was one left."""
        if self._ended:
            return False
        answer = self._way.turn()
        if "ended" in answer:
            self.found |= answer
            return False
        spent = {kind: answer[kind] + self._before[kind] for kind in ("cpu", "wall")}
        self._points.append({**answer, **spent})
        return True


def recipe_way(corpus: str, recipe: str, random_seed: int, room: Path, until: float) -> Way:
    """Return a training of wordgen with a recipe, from random weights."""
    name = f"{corpus}-{Path(recipe).stem}-{random_seed}"
    settings = {"corpus": corpus, "recipe": recipe, "random_seed": random_seed, "name": name, "from_scratch": True}
    environment = {"WORDGEN_DATA": str(user_data().resolve())}
    return Way(sys.executable, "bench.ways.recipe", [json.dumps(settings)], room, environment, until)


def main() -> None:
    options = _options()
    key = f"{options.corpus}/{options.recipe}/{options.random_seed}"
    room = options.room.resolve()
    make_folder(room)
    found: dict[str, Any] = results.load(NAME).get(key) or {"ours": {}, PEER: {}}
    found |= {**results.circumstances(), "corpus": options.corpus, "recipe": options.recipe}
    curves: dict[str, Curve] = {}
    with ExitStack() as stack, can_continue():
        for name in ("ours", PEER):
            if not found[name].get("ended"):
                way = _begun(name, options, room)
                stack.callback(way.close)
                curves[name] = Curve(way, found[name])
        while curves:
            for name in list(curves):
                if not curves[name].epoch():
                    del curves[name]
                results.save(NAME, key, found)
                print(f"{name}: {_newest(found[name])}", flush=True)


def _newest(found: dict[str, Any]) -> str:
    if found.get("ended"):
        return f"test perplexity {found['test']:.2f}"
    point = found["points"][-1]
    return f"epoch {point['epoch']}, {point['cpu']:,.0f} CPU s, validation perplexity {point['valid']:.2f}"


def _begun(name: str, options: argparse.Namespace, room: Path) -> Way:
    if name == "ours":
        return recipe_way(options.corpus, options.recipe, options.random_seed, room, options.until)
    folder = room / f"{options.corpus}-{PEER}-{options.random_seed}"
    if not (folder / "about.json").exists():
        _write_ids(options, folder)
    precision = "bfloat16" if results.has_bfloat16() else "float32"
    arguments = [str(folder), str(options.epochs), precision, str(options.random_seed)]
    return Way(options.peer_python, "bench.ways.word_language_model", arguments, room, until=options.until)


def _write_ids(options: argparse.Namespace, folder: Path) -> None:
    """Write the ids that wordgen makes of the text, for the peer."""
    make_folder(folder)
    settings = complete_settings({"corpus": options.corpus, "recipe": options.recipe, "from_scratch": True})
    dataset = prepare(open_corpus(options.corpus), TextSettings.part_of(settings), user_data() / "encoded")
    for split, ids in dataset.ids.items():
        np.save(folder / f"{split}.npy", ids)
    about = {
        "vocabulary": len(dataset.codec.vocabulary),
        "never_counted": START,
        "streams": {split: streams_for(len(ids)) for split, ids in dataset.ids.items()},
    }
    (folder / "about.json").write_text(json.dumps(about))


def in_words(found: Mapping[str, Any]) -> str:
    """Say when wordgen reached the best validation perplexity of the peer, and the test perplexities of both."""
    ours, peer = found["ours"].get("points", []), found[PEER].get("points", [])
    if not (ours and peer):
        return "The measurement has not ended yet."
    goal, needed = min(point["valid"] for point in peer), peer[-1]["cpu"]
    reached = next((point["cpu"] for point in ours if point["valid"] <= goal), None)
    best = f"PyTorch's best validation perplexity of {len(peer)} epochs is {goal:.2f}"
    sentence = f"{best}, after {needed:,.0f} CPU seconds; "
    if reached is None:
        sentence += "wordgen has not reached it."
    else:
        sentence += f"wordgen was below it after {reached:,.0f} ({reached / needed:.2f} of that)."
    tests = {name: found[way].get("test") for name, way in (("wordgen", "ours"), ("PyTorch", PEER))}
    measured = [f"{name} {test:.2f}" for name, test in tests.items() if test is not None]
    return f"{sentence} Test perplexity: {', '.join(measured)}." if measured else sentence


def parser_for_trainings(script: str | None, minutes: float) -> argparse.ArgumentParser:
    """Return a parser with the arguments of the scripts that train on a text of the catalogue to the end."""
    parser = results.parser_for(script, minutes)
    parser.add_argument("corpus", help="a name of the catalogue")
    parser.add_argument("--room", type=Path, default=ROOT / "bench" / "work", help="the folder of the trainings")
    return parser


def _options() -> argparse.Namespace:
    parser = parser_for_trainings(__doc__, minutes=240)
    parser.add_argument("--recipe", help="that of wordgen; by default small for WikiText-2, book for Shakespeare")
    parser.add_argument("--epochs", type=int, default=6, help="those of PyTorch")
    parser.add_argument("--random-seed", type=int, default=1)
    results.add_peer_python(parser)
    options = parser.parse_args()
    options.recipe = options.recipe or RECIPES.get(options.corpus, "auto")
    return options


if __name__ == "__main__":
    main()
