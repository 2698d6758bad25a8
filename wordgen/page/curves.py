"""How the run went: its curves, and the figures of all epochs."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from wordgen.page import figures
from wordgen.page.chart import Level, Line, chart, swatch
from wordgen.page.facts import Epoch, Facts
from wordgen.page.markup import Markup, element
from wordgen.page.tables import table
from wordgen.training.reports import shown_duration

_MOST_POINTS = 2000
_MOST_ROWS = 500
Item = TypeVar("Item")


def curves(facts: Facts) -> Markup:
    title = element("h2", "How it learned")
    if not facts.epochs:
        return element("section", title, element("p", "No epoch has been measured, so there are no curves."))
    shown = thinned(facts.epochs, _MOST_POINTS, facts.best)
    lines = [
        Line("train", [(epoch.place, epoch.train) for epoch in shown]),
        Line("valid", [(epoch.place, epoch.valid) for epoch in shown]),
    ]
    levels = [Level(kind, value) for kind, _, value in _levels(facts)]
    marked = (facts.best.place, facts.best.valid) if facts.best else None
    drawn = chart(lines, levels, marked, title="Perplexity by epoch", told=_told(facts))
    return element("section", title, element("figure", drawn, _legend(facts), class_="chart"), _all_epochs(facts))


def _levels(facts: Facts) -> Iterator[tuple[str, str, float]]:
    """Kind, name and perplexity of what the curves are compared with."""
    if facts.word_frequencies is not None:
        yield "unigram", "word frequencies", facts.word_frequencies
    if facts.ngram is not None:
        yield "ngram", f"{facts.ngram[0]}-gram", facts.ngram[1]


def _legend(facts: Facts) -> Markup:
    last = facts.epochs[-1]
    entries = [
        ("train", f"train, {figures.perplexity(last.train)} at the end"),
        ("valid", f"valid, {figures.perplexity(last.valid)} at the end"),
        *((kind, f"{name}, {figures.perplexity(value)}") for kind, name, value in _levels(facts)),
    ]
    if facts.best is not None:
        entries.append(("best", f"the best, {figures.perplexity(facts.best.valid)} in epoch {facts.best.number}"))
    return element("ul", [element("li", swatch(kind), told) for kind, told in entries], class_="legend")


def _told(facts: Facts) -> str:
    """The curves for those who cannot see them."""
    first, last = facts.epochs[0], facts.epochs[-1]
    sentences = [
        f"Train perplexity goes from {figures.perplexity(first.train)} to {figures.perplexity(last.train)}, "
        f"valid perplexity from {figures.perplexity(first.valid)} to {figures.perplexity(last.valid)}, "
        f"in {figures.many(len(facts.epochs), 'epoch')}."
    ]
    if facts.best is not None:
        sentences.append(f"The best is {figures.perplexity(facts.best.valid)} in epoch {facts.best.number}.")
    sentences += [f"Level line: {name}, {figures.perplexity(value)}." for _, name, value in _levels(facts)]
    return " ".join(sentences)


def _all_epochs(facts: Facts) -> Markup:
    shown = thinned(facts.epochs, _MOST_ROWS, facts.best)
    rows = [
        [
            f"{epoch.number}{remark(epoch, facts)}",
            figures.perplexity(epoch.train),
            figures.perplexity(epoch.valid),
            shown_duration(epoch.seconds),
        ]
        for epoch in shown
    ]
    strong = next((number for number, epoch in enumerate(shown) if epoch is facts.best), None)
    name = "The figures of all epochs" if len(shown) == len(facts.epochs) else "The figures of some epochs"
    figures_by_epoch = table(["epoch", "train perplexity", "valid perplexity", "time"], rows, strong=strong)
    return element("details", element("summary", name), figures_by_epoch)


def remark(epoch: Epoch, facts: Facts) -> str:
    remarks = ["the best"] if epoch is facts.best else []
    remarks += ["averaged weights"] if epoch.averaged else []
    remarks += [] if epoch.whole else ["broken off"]
    return f" ({', '.join(remarks)})" if remarks else ""


def thinned(items: Sequence[Item], most: int, kept: Item | None) -> list[Item]:
    """All, or every so many-th where they are too many; the first, the last, and one that must stay."""
    every = -(-len(items) // most)
    last = len(items) - 1
    return [each for at, each in enumerate(items) if at % every == 0 or at == last or each is kept]
