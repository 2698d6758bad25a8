"""A row of docs/records.md: how many seconds a recipe takes to its test perplexity on a text, with three random seeds.

PYTHONPATH=. python bench/records.py wikitext-2 small [--random-seeds 1,2,3] [--minutes 480]

Seconds are those of the whole process, with the reading of the text, validation and saving. Each epoch is saved in
bench/results/records.json. A run that was stopped continues from the last one, if the commit is the same.
"""

import statistics
from contextlib import closing
from pathlib import Path
from typing import Any

from bench import results
from bench.curves import Curve, parser_for_trainings, recipe_way
from bench.turns import can_continue
from wordgen.files import make_folder

NAME = "records"


def main() -> None:
    parser = parser_for_trainings(__doc__, minutes=480)
    parser.add_argument("recipe")
    parser.add_argument("--random-seeds", default="1,2,3")
    options = parser.parse_args()
    where = results.circumstances()
    key = f"{options.corpus}/{options.recipe}/{where['commit']}"
    room: Path = options.room.resolve() / where["commit"]
    make_folder(room)
    found: dict[str, Any] = results.load(NAME).get(key) or {"seeds": {}}
    found |= {**where, "corpus": options.corpus, "recipe": options.recipe}
    with can_continue():
        for seed in options.random_seeds.split(","):
            of_seed = found["seeds"].setdefault(seed, {})
            if of_seed.get("ended"):
                continue
            with closing(recipe_way(options.corpus, options.recipe, int(seed), room, options.until)) as way:
                curve = Curve(way, of_seed)
                while curve.epoch():
                    results.save(NAME, key, found)
            results.save(NAME, key, found)
            spent = f"{of_seed['points'][-1]['cpu']:,.0f} CPU seconds"
            print(f"{key}, random seed {seed}: test perplexity {of_seed['test']:.2f} in {spent}", flush=True)


def columns(found: dict[str, Any]) -> list[str] | None:
    """Return a row of the table, for the random seeds whose training has ended.

    It has mean and standard deviation of the test perplexity, and the medians of the seconds.
    """
    ended = [each for each in found["seeds"].values() if each.get("ended")]
    if not ended:
        return None
    tests = [each["test"] for each in ended]
    spread = f" ± {statistics.stdev(tests):.2f}" if len(tests) > 1 else ""
    cpu, wall = (statistics.median(each["points"][-1][kind] for each in ended) for kind in ("cpu", "wall"))
    perplexity, seconds = f"{statistics.fmean(tests):.2f}{spread}", [f"{cpu:,.0f}", f"{wall:,.0f}"]
    return [found["corpus"], perplexity, str(len(ended)), *seconds, found["recipe"], found["date"], found["commit"]]


if __name__ == "__main__":
    main()
