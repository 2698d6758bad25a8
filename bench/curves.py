"""Perplexity against seconds: wordgen by a recipe and PyTorch with its example's settings, an epoch each in turns.

PYTHONPATH=. python bench/curves.py wikitext-2 [--recipe small] [--epochs 6] [--minutes 240]

Both learn the same ids of a text of the catalogue. CPU seconds are those of the whole process from its beginning,
with the reading of the text, validation and saving. Each epoch is kept in bench/results/curves.json; a run that was
stopped goes on from the last epoch of each, in the folder --room. `python bench/document.py` draws both.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench import results
from bench.turns import ROOT, FailedError, TimeUpError, Way
from wordgen.complete_settings import settings_of
from wordgen.corpora.catalogue import user_data
from wordgen.corpora.finding import open_corpus
from wordgen.dataset.encoding import prepare
from wordgen.evaluation.measures import streams_for
from wordgen.files import make_folder
from wordgen.text.settings import TextSettings
from wordgen.text.vocabulary import START

NAME = "curves"
RECIPES = {"wikitext-2": "small", "shakespeare": "book"}
ROOM = ROOT / "bench" / "work"
PEER = "pytorch"


class Curve:
    """One training, epoch by epoch, of which what was measured is kept by whoever gave it the dictionary."""

    def __init__(self, way: Way, kept: dict[str, Any], until: float) -> None:
        self._way, self._until, self.kept = way, until, kept
        told = way.answer(until)
        self._points: list[dict[str, float]] = kept.setdefault("points", [])
        self._over = "ended" in told  # it had come to its end, and was stopped before it could say so
        if self._over:
            kept |= told
        else:
            del self._points[told["done"] :]  # what was measured of an epoch whose checkpoint was never written
        self._before = self._points[-1] if self._points else {"cpu": 0.0, "wall": 0.0}

    def epoch(self) -> bool:
        """Go through one; whether there was one left."""
        if self._over:
            return False
        told = self._way.turn(self._until)
        if "ended" in told:
            self.kept |= told
            self._way.end()
            return False
        spent = {kind: told[kind] + self._before[kind] for kind in ("cpu", "wall")}
        self._points.append({**told, **spent})
        return True

    def end(self) -> None:
        self._way.end()


def recipe_way(corpus: str, recipe: str, random_seed: int, room: Path) -> Way:
    """wordgen by a recipe, with random weights at first."""
    name = f"{corpus}-{Path(recipe).stem}-{random_seed}"
    settings = {"corpus": corpus, "recipe": recipe, "random_seed": random_seed, "name": name, "from_scratch": True}
    environment = {"WORDGEN_DATA": str(user_data().resolve())}
    return Way(sys.executable, "bench.ways.recipe", [json.dumps(settings)], room, environment)


def main() -> None:
    options = _options()
    until = time.monotonic() + 60 * options.minutes
    key = f"{options.corpus}/{options.recipe}/{options.random_seed}"
    room = options.room.resolve()
    make_folder(room)
    kept: dict[str, Any] = results.load(NAME).get(key) or {"ours": {}, PEER: {}}
    kept |= {**results.circumstances(), "corpus": options.corpus, "recipe": options.recipe}
    curves: dict[str, Curve] = {}
    try:
        for name in ("ours", PEER):
            if not kept[name].get("ended"):
                curves[name] = Curve(_begin(name, options, room), kept[name], until)
        while curves:
            for name in list(curves):
                if not curves[name].epoch():
                    del curves[name]
                _keep(key, kept, name)
    except TimeUpError:
        print("The time is up; the next run goes on from here.", file=sys.stderr)
    except KeyboardInterrupt:
        print("Stopped; the next run goes on from here.", file=sys.stderr)
    except FailedError as error:
        print(error, file=sys.stderr)
    finally:
        for curve in curves.values():
            curve.end()


def _keep(key: str, kept: dict[str, Any], name: str) -> None:
    results.save(NAME, results.load(NAME) | {key: kept})
    if kept[name].get("ended"):
        print(f"{name}: test perplexity {kept[name]['test']:.2f}", flush=True)
        return
    point = kept[name]["points"][-1]
    print(
        f"{name}: epoch {point['epoch']}, {point['cpu']:,.0f} CPU s, valid perplexity {point['valid']:.2f}", flush=True
    )


def _begin(name: str, options: argparse.Namespace, room: Path) -> Way:
    if name == "ours":
        return recipe_way(options.corpus, options.recipe, options.random_seed, room)
    folder = room / f"{options.corpus}-{PEER}-{options.random_seed}"
    if not (folder / "about.json").exists():
        _write_ids(options, folder)
    precision = "bfloat16" if results.has_bfloat16() else "float32"
    arguments = [str(folder), str(options.epochs), precision, str(options.random_seed)]
    return Way(options.peer_python, "bench.ways.word_language_model", arguments, room)


def _write_ids(options: argparse.Namespace, folder: Path) -> None:
    """What wordgen makes of the text, for the peer."""
    make_folder(folder)
    settings = settings_of({"corpus": options.corpus, "recipe": options.recipe, "from_scratch": True})
    dataset = prepare(open_corpus(options.corpus), TextSettings.part_of(settings), user_data() / "encoded")
    for split, ids in dataset.ids.items():
        np.save(folder / f"{split}.npy", ids)
    about = {
        "vocabulary": len(dataset.codec.vocabulary),
        "never_counted": START,
        "streams": {split: streams_for(len(ids)) for split, ids in dataset.ids.items()},
    }
    (folder / "about.json").write_text(json.dumps(about))


def in_words(kept: Mapping[str, Any]) -> str:
    """When wordgen had the peer's last valid perplexity, and both test perplexities."""
    ours, peer = kept["ours"].get("points", []), kept[PEER].get("points", [])
    if not (ours and peer):
        return "Not measured to an end yet."
    goal, needed = min(point["valid"] for point in peer), peer[-1]["cpu"]
    reached = next((point["cpu"] for point in ours if point["valid"] <= goal), None)
    told = f"PyTorch's best valid perplexity of {len(peer)} epochs, {goal:.2f}, took it {needed:,.0f} CPU seconds; "
    told += (
        "wordgen has not reached it. "
        if reached is None
        else (f"wordgen was below it after {reached:,.0f}, which is {reached / needed:.2f} of that. ")
    )
    tests = {name: kept[way].get("test") for name, way in (("wordgen", "ours"), ("PyTorch", PEER))}
    measured = [f"{name} {test:.2f}" for name, test in tests.items() if test is not None]
    return told + (f"Test perplexity: {', '.join(measured)}." if measured else "")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("corpus", help="a name of the catalogue")
    parser.add_argument("--recipe", help="wordgen's; by default small for WikiText-2, book for Shakespeare")
    parser.add_argument("--epochs", type=int, default=6, help="PyTorch's")
    parser.add_argument("--random-seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=240, help="when to stop, whatever is left")
    parser.add_argument("--room", type=Path, default=ROOM, help="where the trainings and their checkpoints lie")
    parser.add_argument(results.PEER_PYTHON, default=str(ROOT / ".peers" / "bin" / "python"))
    options = parser.parse_args()
    options.recipe = options.recipe or RECIPES.get(options.corpus, "auto")
    return options


if __name__ == "__main__":
    main()
