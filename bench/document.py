"""Write the tables of docs/benchmarks.md and docs/records.md, and the pictures beside them, from bench/results/.

PYTHONPATH=. python bench/document.py

What was never measured has no table. A document keeps all that stands outside of the marks.
"""

import statistics
from collections.abc import Sequence
from typing import Any

from bench import curves, growth, memory, pictures, records, results, training
from bench.rows import ROWS
from bench.turns import ROOT

BENCHMARKS, RECORDS = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "records.md"
PICTURES = ROOT / "docs" / "pictures"
_NOTHING = "Nothing was measured yet."
_NAMES = {"ours": "wordgen", "pytorch": "PyTorch", "stock_keras": "Keras `fit`", "products": "products alone"}


def main() -> None:
    results.put_between(BENCHMARKS, "training", training_tables(results.load(training.NAME)))
    results.put_between(BENCHMARKS, "memory", memory_table(results.load(memory.NAME)))
    results.put_between(BENCHMARKS, "growth", growth_tables(results.load(growth.NAME)))
    pictures.draw_growth(results.load(growth.NAME), PICTURES / "growth.svg")
    results.put_between(BENCHMARKS, "curves", curves_told(results.load(curves.NAME)))
    pictures.draw_curves(results.load(curves.NAME), PICTURES / "perplexity-against-seconds.svg")
    results.put_between(RECORDS, "records", records_table(results.load(records.NAME)))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def origins(measured: Sequence[dict[str, Any]]) -> str:
    """Each command, date and commit once."""
    return "\n".join(f"- {each}" for each in dict.fromkeys(map(results.shown_origin, measured)))


def training_tables(found: dict[str, Any]) -> str:
    rows = {name: found[name] for name in ROWS if name in found}
    if not rows:
        return _NOTHING
    lines: list[list[str]] = []
    for name, measured in rows.items():
        for number, (way, told) in enumerate(measured["ways"].items()):
            where = f"`{name}`: {measured['row']}" if number == 0 else ""
            times = [training.shown(told[kind]) for kind in ("cpu", "wall")]
            lines.append([where, _shown_way(way), *times, f"{told['peak_mb']:,.0f}", str(len(told["cpu"]))])
    head = ["network, batch x seq len, vocabulary", "way", "CPU µs a token", "wall µs a token", "peak MB", "rounds"]
    ratios = [[f"`{name}`", *_ratios(measured["ways"])] for name, measured in rows.items()]
    head_of_ratios = ["network", *(f"{of} / {over}" for of, over in _COMPARED)]
    versions = {version for each in rows.values() for version in _versions(each["ways"])}
    busy = max(each["load_before"] for each in rows.values())
    return "\n\n".join(
        [
            "Medians, and from where to where they go; peak memory is above what the import took.",
            table(head, lines),
            "CPU time as ratios of medians (wall time in brackets); wordgen's is that of the precision that it takes "
            "by itself on this processor:",
            table(head_of_ratios, ratios),
            f"{', '.join(sorted(versions))}. The load before a row was {busy:.1f} at most. Measured by:",
            origins(list(rows.values())),
        ]
    )


_COMPARED = (
    ("wordgen", "PyTorch float32"),
    ("wordgen", "PyTorch bfloat16"),
    ("wordgen float32", "PyTorch float32"),
    ("wordgen", "Keras `fit` float32"),
    ("wordgen float32", "products alone float32"),
)


def _ratios(ways: dict[str, Any]) -> list[str]:
    named = {_shown_way(way): told for way, told in ways.items() if told["cpu"]}
    own = named.get("wordgen bfloat16") or named.get("wordgen float32")
    named |= {"wordgen": own} if own else {}
    return [_ratio(named.get(of), named.get(over)) for of, over in _COMPARED]


def _ratio(of: dict[str, Any] | None, over: dict[str, Any] | None) -> str:
    if of is None or over is None:
        return "-"
    cpu, wall = (statistics.median(of[kind]) / statistics.median(over[kind]) for kind in ("cpu", "wall"))
    return f"{cpu:.2f} ({wall:.2f})"


def _shown_way(way: str) -> str:
    kind, precision = way.split("-")
    return f"{_NAMES[kind]} {precision}"


def _versions(ways: dict[str, Any]) -> list[str]:
    return [f"{name} {version}" for told in ways.values() for name, version in told.get("versions", {}).items()]


def memory_table(found: dict[str, Any]) -> str:
    measured = {name: found[name] for name in memory.CASES if name in found}
    if not measured:
        return _NOTHING
    head = ["training", "parameters", "GiB planned", "GiB measured", "planned / measured", "commit"]
    lines = [[*memory.columns(name, told), told["commit"]] for name, told in measured.items()]
    return f"{table(head, lines)}\n\nMeasured by:\n\n{origins(list(measured.values()))}"


def growth_tables(found: dict[str, Any]) -> str:
    if not found:
        return _NOTHING
    parts = ["![CPU time and memory of trainings, one panel for each sweep](pictures/growth.svg)"]
    head = ["CPU", "wall", "peak MB", "s of the first step", "parameters"]
    for sweep in growth.SWEEPS:
        points = growth.points_of(found, sweep)
        if not points:
            continue
        told = [[told[name] for name in ("cpu", "wall", "peak_mb", "first_step", "parameters")] for _, told in points]
        rows = [[f"{value:,g}", *map(_shown, figures)] for (value, _), figures in zip(points, told, strict=True)]
        values = [value for value, _ in points]
        unit = "seconds to the first step" if sweep == "corpus" else "µs a token"
        named = sweep.replace("_", " ") + (" (MB)" if sweep == "corpus" else "")
        parts.append(table([named, *(f"{name}, {unit}" for name in head[:2]), *head[2:]], rows))
        words = [
            growth.in_words(name, values, [each[k] for each in told]) for k, name in ((0, "CPU time"), (2, "memory"))
        ]
        parts.append(f"Of {named}: {'; '.join(words)}.")
    return "\n\n".join([*parts, "Measured by:", origins(list(found.values()))])


def _shown(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:,.1f}"


def curves_told(found: dict[str, Any]) -> str:
    if not found:
        return _NOTHING
    parts = ["![Valid perplexity over CPU seconds](pictures/perplexity-against-seconds.svg)"]
    parts += [f"{kept['corpus']}, recipe `{kept['recipe']}`: {curves.in_words(kept)}" for kept in found.values()]
    return "\n\n".join([*parts, "Measured by:", origins(list(found.values()))])


def records_table(found: dict[str, Any]) -> str:
    rows = [row for kept in found.values() if (row := records.columns(kept)) is not None]
    if not rows:
        return _NOTHING
    head = ["text", "test perplexity", "seeds", "CPU s", "wall s", "recipe", "date", "commit"]
    # Of each text the older first: a ladder.
    rows.sort(key=lambda row: (row[0], row[-2]))
    return f"{table(head, rows)}\n\nMeasured by:\n\n{origins(list(found.values()))}"


if __name__ == "__main__":
    main()
