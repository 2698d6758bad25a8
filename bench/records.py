"""A row of docs/records.md: how many seconds a recipe takes to its test perplexity on a text, by three random seeds.

PYTHONPATH=. python bench/records.py wikitext-2 small [--random-seeds 1,2,3] [--minutes 480]

Seconds are those of the whole process, with the reading of the text, validation and saving. Each epoch is kept in
bench/results/records.json; a run that was stopped goes on from the last one, if the commit is the same.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from bench import results
from bench.curves import ROOM, Curve, recipe_way
from bench.turns import FailedError, TimeUpError
from wordgen.files import make_folder

NAME = "records"


def main() -> None:
    options = _options()
    until = time.monotonic() + 60 * options.minutes
    where = results.circumstances()
    key = f"{options.corpus}/{options.recipe}/{where['commit']}"
    room: Path = options.room.resolve() / where["commit"]
    make_folder(room)
    kept: dict[str, Any] = results.load(NAME).get(key) or {"seeds": {}}
    kept |= {**where, "corpus": options.corpus, "recipe": options.recipe}
    try:
        for seed in options.random_seeds.split(","):
            _train(seed, options, kept, room, until, key)
    except TimeUpError:
        print("The time is up; the next run goes on from here.", file=sys.stderr)
    except KeyboardInterrupt:
        print("Stopped; the next run goes on from here.", file=sys.stderr)
    except FailedError as error:
        print(error, file=sys.stderr)


def _train(seed: str, options: argparse.Namespace, kept: dict[str, Any], room: Path, until: float, key: str) -> None:
    found = kept["seeds"].setdefault(seed, {})
    if found.get("ended"):
        return
    way = recipe_way(options.corpus, options.recipe, int(seed), room)
    try:
        curve = Curve(way, found, until)
        while curve.epoch():
            results.save(NAME, results.load(NAME) | {key: kept})
        results.save(NAME, results.load(NAME) | {key: kept})
    finally:
        way.end()
    last = found["points"][-1]
    print(f"{key}, seed {seed}: test perplexity {found['test']:.2f} in {last['cpu']:,.0f} CPU seconds", flush=True)


def columns(kept: dict[str, Any]) -> list[str] | None:
    """Of the seeds that came to their end: mean and spread of the test perplexity, median of the seconds."""
    ended = [each for each in kept["seeds"].values() if each.get("ended")]
    if not ended:
        return None
    tests = [each["test"] for each in ended]
    spread = f" ± {statistics.stdev(tests):.2f}" if len(tests) > 1 else ""
    cpu, wall = (statistics.median(each["points"][-1][kind] for each in ended) for kind in ("cpu", "wall"))
    where = [kept["date"], kept["commit"]]
    return [
        kept["corpus"],
        f"{statistics.fmean(tests):.2f}{spread}",
        str(len(ended)),
        f"{cpu:,.0f}",
        f"{wall:,.0f}",
        kept["recipe"],
        *where,
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("corpus", help="a name of the catalogue")
    parser.add_argument("recipe")
    parser.add_argument("--random-seeds", default="1,2,3")
    parser.add_argument("--minutes", type=float, default=480, help="when to stop, whatever is left")
    parser.add_argument("--room", type=Path, default=ROOM, help="where the trainings and their checkpoints lie")
    return parser.parse_args()


if __name__ == "__main__":
    main()
