"""Writes the tables of docs/benchmarks.md and docs/records.md, and the pictures beside them, from bench/results/.

PYTHONPATH=. python bench/document.py

What was never measured has no table. A document keeps all that is outside of the marks.
"""

import statistics
from typing import Any

from bench import curves, growth, memory, pictures, records, results, training
from bench.rows import ROWS
from bench.turns import ROOT
from wordgen.sweep.results import markdown_table

BENCHMARKS, RECORDS = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "records.md"
PICTURES = ROOT / "docs" / "pictures"
_NAMES = {"ours": "wordgen", "pytorch": "PyTorch", "stock_keras": "Keras `fit`", "products": "products alone"}


def main() -> None:
    for document, module, text_of in (
        (BENCHMARKS, training, training_tables),
        (BENCHMARKS, memory, memory_table),
        (BENCHMARKS, growth, growth_text),
        (BENCHMARKS, curves, curves_text),
        (RECORDS, records, records_table),
    ):
        found = results.load(module.NAME)
        text = f"{text_of(found)}\n\n{_origins(found)}" if found else "Nothing was measured yet."
        results.put_between(document, module.NAME, text)
    pictures.draw_growth(results.load(growth.NAME), PICTURES, "growth")
    pictures.draw_curves(results.load(curves.NAME), PICTURES, "perplexity-against-seconds")


def _origins(found: dict[str, Any]) -> str:
    """Return each command with its date and commit once."""
    listed = "\n".join(f"- {each}" for each in dict.fromkeys(map(results.shown_origin, found.values())))
    return f"Measured by:\n\n{listed}"


def training_tables(found: dict[str, Any]) -> str:
    rows = {name: found[name] for name in ROWS if name in found}
    lines: list[list[str]] = []
    for name, measured in rows.items():
        ways = measured["ways"]
        for number, (way, result) in enumerate(ways.items()):
            where = f"`{name}`: {measured['row']}" if number == 0 else ""
            times = [training.shown(result[kind]) for kind in ("cpu", "wall")]
            ratio = _ratio(ways.get(f"ours-{way.split('-')[1]}"), result)
            lines.append([where, _shown_way(way), *times, f"{result['peak_mb']:,.0f}", ratio])
    head = ["network, batch x seq len, vocabulary", "way", "CPU µs/token", "wall µs/token", "peak MB", "wordgen/way"]
    versions = {version for each in rows.values() for version in _versions(each["ways"])}
    busy = max((each["load_before"] for each in rows.values()), default=0.0)
    rounds = min((len(result["cpu"]) for each in rows.values() for result in each["ways"].values()), default=0)
    return "\n\n".join(
        [
            f"Medians (lowest-highest) of at least {rounds} rounds. Peak memory is above that of the import. The last "
            "column is the ratio of CPU time\n(wall time) at the same precision.",
            markdown_table(head, *lines),
            f"{', '.join(sorted(versions))}. The load before a row was {busy:.1f} at most.",
        ]
    )


def _ratio(of: dict[str, Any] | None, over: dict[str, Any]) -> str:
    if of is None or of is over or not (of["cpu"] and over["cpu"]):
        return ""
    cpu, wall = (statistics.median(of[kind]) / statistics.median(over[kind]) for kind in ("cpu", "wall"))
    return f"{cpu:.2f} ({wall:.2f})"


def _shown_way(way: str) -> str:
    kind, precision = way.split("-")
    return f"{_NAMES[kind]} {precision}"


def _versions(ways: dict[str, Any]) -> list[str]:
    return [f"{name} {version}" for result in ways.values() for name, version in result.get("versions", {}).items()]


def memory_table(found: dict[str, Any]) -> str:
    head = ["training", "GiB planned", "GiB measured", "planned / measured"]
    measured = {name: found[name] for name in memory.CASES if name in found}
    return markdown_table(head, *(memory.columns(name, each) for name, each in measured.items()))


def growth_text(found: dict[str, Any]) -> str:
    lines: list[list[str]] = []
    for sweep in growth.SWEEPS:
        points = growth.points_of(found, sweep)
        if not points:
            continue
        values = [value for value, _ in points]
        named = sweep.replace("_", " ") + (" (MB)" if sweep == "corpus" else "")
        powers = [growth.in_words(values, [each[name] for _, each in points]) for name in ("cpu", "peak_mb")]
        lines.append([named, *powers])
    picture = "![CPU time and memory of trainings, one panel for each sweep](pictures/growth.svg)"
    table = markdown_table(["x", "CPU time is proportional to", "memory is proportional to"], *lines)
    return "\n\n".join([picture, table])


def curves_text(found: dict[str, Any]) -> str:
    picture = "![Validation perplexity against CPU seconds](pictures/perplexity-against-seconds.svg)"
    sentences = (f"{each['corpus']}, recipe `{each['recipe']}`: {curves.in_words(each)}" for each in found.values())
    return "\n\n".join([picture, *sentences])


def records_table(found: dict[str, Any]) -> str:
    """Return the table with the older rows of a text before the newer ones."""
    rows = [row for each in found.values() if (row := records.columns(each)) is not None]
    head = ["text", "test perplexity", "seeds", "CPU s", "wall s", "recipe", "date", "commit"]
    return markdown_table(head, *sorted(rows, key=lambda row: (row[0], row[-2])))


if __name__ == "__main__":
    main()
