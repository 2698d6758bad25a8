"""What the model wrote, epoch by epoch."""

from collections.abc import Sequence
from itertools import groupby

from wordgen.page import figures
from wordgen.page.curves import remark, thinned
from wordgen.page.facts import Epoch, Facts, WrittenText
from wordgen.page.markup import Content, Markup, element, joined

_MOST_FOLDED = 60
"""Epochs whose samples are on the page without being shown at once."""
_MODES = {"greedy": "Greedy, always the likeliest word", "sample": "Sampled, words drawn by their odds"}


def samples(facts: Facts) -> Markup:
    """The first, the best and the last epoch's texts; those between are folded."""
    title = element("h2", "What it wrote, epoch by epoch")
    written = [epoch for epoch in facts.epochs if epoch.samples]
    if not written:
        return element("section", title, element("p", "No samples were written."))
    told = "The texts of all epochs begin alike, and are written with the same random numbers."
    shown = (written[0], written[-1], facts.best)
    kept = thinned(written, _MOST_FOLDED, facts.best)
    parts = groupby(kept, key=lambda epoch: any(epoch is each for each in shown))
    content = [_samples_of(list(epochs), facts, folded=not open_) for open_, epochs in parts]
    return element("section", title, element("p", told, class_="faint"), content)


def _samples_of(epochs: Sequence[Epoch], facts: Facts, *, folded: bool) -> Content:
    content = [_samples_of_one(epoch, facts) for epoch in epochs]
    if not folded:
        return content
    first, last = epochs[0].number, epochs[-1].number
    some = "" if len(epochs) == last - first + 1 else f", {len(epochs)} of them"
    name = f"Epoch {first}" if first == last else f"Epochs {first} to {last}{some}"
    return element("details", element("summary", name), content)


def _samples_of_one(epoch: Epoch, facts: Facts) -> Markup:
    heading = f"Epoch {epoch.number}{remark(epoch, facts)}: valid perplexity {figures.perplexity(epoch.valid)}"
    texts = [
        element("figure", element("figcaption", _caption(each, facts)), quoted(facts, each.text))
        for each in epoch.samples
    ]
    return element("div", element("h3", heading), texts, class_="best-epoch" if epoch is facts.best else None)


def _caption(written: WrittenText, facts: Facts) -> Content:
    mode = _MODES.get(written.mode, written.mode)
    if written.seed == "":
        return f"{mode}, begun anew"
    seed = facts.report.get("word_to_try") if written.seed is None else written.seed
    word = (", from \N{LEFT DOUBLE QUOTATION MARK}", _in_its_language(facts, seed), "\N{RIGHT DOUBLE QUOTATION MARK}")
    return (mode, *(word if seed else ()))


def quoted(facts: Facts, text: str) -> Markup:
    return element("blockquote", text, lang=_language(facts), dir="auto")


def _in_its_language(facts: Facts, text: str | None) -> Markup:
    return joined() if text is None else element("bdi", text, lang=_language(facts))


def _language(facts: Facts) -> str:
    """So that Japanese is shown in Japanese letter forms; of other texts nobody knows their language."""
    return "ja" if facts.text.get("tokenizer") == "japanese" else ""
