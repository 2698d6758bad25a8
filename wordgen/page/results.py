"""What stands first on the page: what the run has reached, how good that is, and how new what its model writes."""

from collections.abc import Callable, Iterator

from wordgen.commands import evaluating_command, resuming_command
from wordgen.evaluation.in_words import OFF, means_in_words
from wordgen.page import figures
from wordgen.page.facts import Facts, Score
from wordgen.page.markup import Content, Markup, element
from wordgen.page.samples import quoted
from wordgen.page.tables import table
from wordgen.training.reports import shown_duration


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
        yield f"{order}-gram", figures.perplexity(perplexity), "counting runs of symbols"
    if facts.word_frequencies is not None:
        yield "word frequencies", figures.perplexity(facts.word_frequencies), "counting words"
    if valid is not None and valid.model.bits_per_character is not None:
        yield "bits per character", figures.bits(valid.model.bits_per_character), "on the valid part"
    yield "parameters", figures.rough(facts.report["parameters"]), "weights of the network"
    yield "time", shown_duration(facts.seconds), f"for {figures.many(len(facts.epochs), 'epoch')}"


def _figure(name: str, value: str, told: str) -> Markup:
    return element("div", element("dt", name), element("dd", value, element("small", told)))


def _state(facts: Facts) -> Content:
    done = len(facts.epochs)
    most = f" of at most {facts.settings.epochs}" if facts.settings.time_budget is None else ""
    ended = facts.report.get("ended")
    reached = f"after {figures.many(done, 'epoch')}" if done else "before its first epoch was measured"
    if ended == "stopped":
        under_way = 1 + sum(epoch.whole for epoch in facts.epochs)
        if facts.settings.time_budget is None:
            under_way = min(under_way, facts.settings.epochs)
        told = f"It was stopped in epoch {under_way}{most}. This goes on with it: "
        return [told, element("code", resuming_command(facts.run))]
    if ended == "diverged":
        return f"It diverged {reached}: its loss left all bounds. The best model before that is kept."
    if ended is None:
        return f"When this page was written, {reached}, the run had not come to its end."
    return f"It ended {reached}{most}: {ended}."


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
            "the valid part, and has never met the test part. ",
            OFF if any(each.model.perplexity_off is not None for each in facts.measured.values()) else "",
            class_="faint",
        )
        parts = [f"{part} part" for part in facts.measured]
        yield table(["", *parts], list(_scores(facts, _perplexity)), caption="Perplexity", strong=0)
        yield table(["", *parts], list(_scores(facts, _bits)), caption="Bits per character", strong=0)
        notes = dict.fromkeys(note for each in facts.measured.values() for note in (*each.set_on_valid, *each.notes))
        yield (element("p", note, class_="faint") for note in notes)
    valid = facts.measured.get("valid")
    if valid is not None and valid.ngram is None and not valid.notes:
        yield element(
            "p",
            "The text is large, so its n-grams were not counted at the end of the training. This counts them: ",
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
    orders = sorted({each.order for each in measured if each.ngram})
    ngrams = (
        (f"{order}-gram, Kneser-Ney", [each.ngram if each.order == order else None for each in measured])
        for order in orders
    )
    mixtures = (
        (f"mixed with the {order}-gram", [each.mixture if each.order == order else None for each in measured])
        for order in orders
    )
    sizes = sorted({each.cache_size for each in measured if each.cache_size is not None})
    caches = (
        (f"with a cache of {size:,}", [each.cache if each.cache_size == size else None for each in measured])
        for size in sizes
    )
    rows = (
        ("the model", [each.model for each in measured]),
        *caches,
        ("learning as it reads", [each.dynamic for each in measured]),
        *mixtures,
        *ngrams,
        ("word frequencies", [each.unigram for each in measured]),
    )
    for name, scores in rows:
        if any(scores):
            yield [name, *("\N{EN DASH}" if score is None else shown(score) for score in scores)]


def _perplexity(score: Score) -> str:
    return figures.perplexity(score.perplexity, score.perplexity_off)


def _bits(score: Score) -> str:
    return figures.bits(score.bits_per_character, score.bits_per_character_off)


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
            f"each text is like the others{means_in_words(own['texts'], held_out['texts'])}; the longest run that "
            "stands in the training text",
        ),
        _longest(own["longest"], facts),
    )


def _longest(run: dict[str, object] | None, facts: Facts) -> Content:
    if not run or not run.get("text"):
        return []
    told = f"The longest run that it copied, {run['symbols']} symbols ({run['file']}, line {run['line']})"
    return element("figure", element("figcaption", told), quoted(facts, str(run["text"])))
