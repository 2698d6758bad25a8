"""The upper half of the page: what the run has reached, how it went, and what its model wrote."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

from wordgen.commands import evaluating_command, resuming_command
from wordgen.page import figures
from wordgen.page.chart import Level, Line, chart, swatch
from wordgen.page.facts import Epoch, Facts, Score, WrittenText
from wordgen.page.markup import Content, Markup, element, joined
from wordgen.page.tables import table
from wordgen.training.reports import shown_duration

_MOST_POINTS = 2000
_MOST_ROWS = 500
_MOST_FOLDED = 60
"""Epochs whose samples are on the page without being shown at once."""
_MODES = {"greedy": "Greedy, always the likeliest word", "sample": "Sampled, words drawn by their odds"}
Item = TypeVar("Item")


def beginning(facts: Facts) -> Markup:
    return element(
        "header",
        element("h1", facts.run),
        element("p", "A model that has learned ", element("strong", facts.corpus), " with wordgen", class_="faint"),
        element("p", facts.verdict, class_="lead") if facts.verdict else [],
        element("p", _state(facts)),
    )


def headline(facts: Facts) -> Markup:
    """The figures that one asks for first, all of the valid part."""
    return element("dl", [_figure(*each) for each in _headline(facts)], class_="figures")


def _headline(facts: Facts) -> Iterator[tuple[str, str, str]]:
    best, valid = facts.best, facts.measured.get("valid")
    if best is not None:
        yield "valid perplexity", figures.perplexity(best.valid), f"epoch {best.number}, the best"
    if facts.ngram is not None:
        order, perplexity = facts.ngram
        yield f"{order}-gram", figures.perplexity(perplexity), "counting word groups"
    if facts.word_frequencies is not None:
        yield "word frequencies", figures.perplexity(facts.word_frequencies), "counting words"
    if valid is not None and valid.model.bits_per_character is not None:
        yield "bits per character", figures.bits(valid.model.bits_per_character), "on the valid part"
    yield "parameters", figures.rough(facts.report["parameters"]), "weights of the network"
    yield "time", shown_duration(facts.seconds), f"for {figures.many(len(facts.epochs), 'epoch')}"


def _figure(name: str, value: str, told: str) -> Markup:
    return element("div", element("dt", name), element("dd", value, element("small", told)))


def _state(facts: Facts) -> Content:
    done, of = len(facts.epochs), facts.settings.epochs
    ended = facts.report.get("ended")
    reached = f"after {figures.many(done, 'epoch')}" if done else "before its first epoch was measured"
    if ended == "stopped":
        whole = sum(epoch.whole for epoch in facts.epochs)
        told = f"It was stopped in epoch {min(whole + 1, of)} of at most {of}. This goes on with it: "
        return [told, element("code", resuming_command(facts.run))]
    if ended == "diverged":
        return f"It diverged {reached}: its loss left all bounds. The best model before that is kept."
    if ended is None:
        return f"When this page was written, {reached}, the run had not come to its end."
    return f"It ended {reached} of at most {of}: {ended}."


def comparison(facts: Facts) -> Markup:
    """The model beside what counting reaches, on each part that it was measured on."""
    return element("section", element("h2", "How good is it?"), _comparison(facts))


def _comparison(facts: Facts) -> Iterator[Content]:
    if not facts.measured:
        yield element("p", "The model has not been measured beside counting yet.")
    else:
        yield element(
            "p",
            "Perplexity is the number of symbols (words and punctuation) between which the model hesitates, on text "
            "that it has not learned; less is better. It was chosen by "
            "the valid part, and has never met the test part.",
            class_="faint",
        )
        parts = [f"{part} part" for part in facts.measured]
        yield table(["", *parts], list(_scores(facts, _perplexity)), caption="Perplexity", strong=0)
        yield table(["", *parts], list(_scores(facts, _bits)), caption="Bits per character", strong=0)
        notes = dict.fromkeys(note for measured in facts.measured.values() for note in measured.notes)
        yield (element("p", note, class_="faint") for note in notes)
    valid = facts.measured.get("valid")
    if valid is not None and valid.ngram is None and not valid.notes:
        yield element(
            "p",
            "The text is large, so its word groups were not counted at the end of the training. This counts them: ",
            element("code", f"{evaluating_command(facts.run)} --split valid"),
        )
    if "test" not in facts.measured and facts.best is not None:
        yield element(
            "p",
            "This measures it on the test part, and how new what it writes is: ",
            element("code", evaluating_command(facts.run)),
        )


def _scores(facts: Facts, shown: Callable[[Score], str]) -> Iterator[list[str]]:
    """One figure of the model and of what it is compared with, for each part."""
    measured = facts.measured.values()
    order = next((each.order for each in measured if each.ngram), 0)
    size = next((each.cache_size for each in measured if each.cache), 0)
    rows = (
        ("the model", [each.model for each in measured]),
        (f"with a cache of {size:,}", [each.cache for each in measured]),
        ("learning as it reads", [each.dynamic for each in measured]),
        (f"{order}-gram, Kneser-Ney", [each.ngram for each in measured]),
        ("word frequencies", [each.unigram for each in measured]),
    )
    for name, scores in rows:
        if any(scores):
            yield [name, *("\N{EN DASH}" if score is None else shown(score) for score in scores)]


def _perplexity(score: Score) -> str:
    return figures.perplexity(score.perplexity)


def _bits(score: Score) -> str:
    return figures.bits(score.bits_per_character)


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
            f"{epoch.number}{_remark(epoch, facts)}",
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


def _remark(epoch: Epoch, facts: Facts) -> str:
    remarks = ["the best"] if epoch is facts.best else []
    remarks += ["averaged weights"] if epoch.averaged else []
    remarks += [] if epoch.whole else ["broken off"]
    return f" ({', '.join(remarks)})" if remarks else ""


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
    heading = f"Epoch {epoch.number}{_remark(epoch, facts)}: valid perplexity {figures.perplexity(epoch.valid)}"
    texts = [
        element("figure", element("figcaption", _caption(each, facts)), _quoted(facts, each.text))
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


def _quoted(facts: Facts, text: str) -> Markup:
    return element("blockquote", text, lang=_language(facts), dir="auto")


def _in_its_language(facts: Facts, text: str | None) -> Markup:
    return joined() if text is None else element("bdi", text, lang=_language(facts))


def _language(facts: Facts) -> str:
    """So that Japanese is shown in Japanese letter forms; of other texts nobody knows their language."""
    return "ja" if facts.text.get("tokenizer") == "japanese" else ""


def novelty(facts: Facts) -> Content:
    """How much of what the model writes stands in its training text, where that was measured."""
    found = next((m.novelty for part in ("test", "valid") if (m := facts.measured.get(part)) and m.novelty), None)
    if found is None:
        return []
    own, held_out = found["samples"], found["held_out"]
    both = (("its texts", own), ("the held-out text", held_out))
    lengths = list(own["shares"])
    copied = [[name, *(figures.share(each["shares"].get(length)) for length in lengths)] for name, each in both]
    varied = [
        [
            name,
            *(figures.share(each[what]) for what in ("distinct_1", "distinct_2", "repetition", "self_bleu")),
            f"{each['longest']['symbols'] if each['longest'] else 0:,}",
        ]
        for name, each in both
    ]
    return element(
        "section",
        element("h2", "Is what it writes new?"),
        element("p", found["verdict"]) if found["verdict"] else [],
        element(
            "p",
            f"{own['symbols']:,} symbols in {figures.many(own['texts'], 'text')} that it wrote at temperature 1, "
            "beside "
            f"{held_out['symbols']:,} in {figures.many(held_out['texts'], 'piece')} of the held-out text. "
            + ("What has an UNKNOWN in it counts as new." if facts.splits["train"].unknown else ""),
            class_="faint",
        ),
        table(["", *lengths], copied, caption="Share of runs of so many symbols that stand in the training text"),
        table(
            ["", "distinct-1", "distinct-2", "repetition", "self-BLEU", "longest run"],
            varied,
            caption="Different symbols and pairs of all; runs of four that stood in the same text before; how much "
            "each text is like the others; the longest run that stands in the training text",
        ),
        _longest(own["longest"], facts),
    )


def _longest(run: dict[str, object] | None, facts: Facts) -> Content:
    if not run or not run.get("text"):
        return []
    told = f"The longest run that it copied, {run['symbols']} symbols ({run['file']}, line {run['line']})"
    return element("figure", element("figcaption", told), _quoted(facts, str(run["text"])))


def thinned(items: Sequence[Item], most: int, kept: Item | None) -> list[Item]:
    """All, or every so many-th where they are too many; the first, the last, and one that must stay."""
    every = -(-len(items) // most)
    last = len(items) - 1
    return [each for at, each in enumerate(items) if at % every == 0 or at == last or each is kept]
