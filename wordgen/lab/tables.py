"""The results of a sweep as rows of words: for the screen and for Markdown."""

from collections.abc import Sequence

from wordgen.lab.results import NetworkResult, Spread

COLUMNS = ("network", "valid perplexity", "test perplexity", "epochs", "seconds", "parameters", "runs")


def as_rows(results: Sequence[NetworkResult]) -> list[tuple[str, ...]]:
    """In the order of COLUMNS, with a last one for notes; figures of several random seeds as mean ± spread."""
    return [
        (
            result.network.name,
            _shown(result.valid),
            _shown(result.test),
            _shown(result.epochs, 0),
            _shown(result.seconds, 0),
            f"{result.parameters:,}",
            f"{len(result.counted)}",
            result.note,
        )
        for result in results
    ]


def as_markdown(results: Sequence[NetworkResult]) -> str:
    rows = as_rows(results)
    noted = any(row[-1] for row in rows)
    heads = (*COLUMNS, "note") if noted else COLUMNS
    lines = [heads, ("---",) * len(heads), *(row[: len(heads)] for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _shown(spread: Spread | None, digits: int = 1) -> str:
    return "-" if spread is None else spread.shown(digits)
