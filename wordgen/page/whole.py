"""The page of a run, whole: one file that needs nothing else, neither a network nor a script."""

from wordgen.page import about, curves, results, samples
from wordgen.page.facts import Facts
from wordgen.page.markup import Markup, element, joined
from wordgen.page.style import STYLE


def page_of(facts: Facts) -> str:
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{facts.run}: a model of {facts.corpus}"),
        element("style", Markup(STYLE)),
    )
    body = element(
        "main",
        results.beginning(facts),
        results.headline(facts),
        results.comparison(facts),
        curves.curves(facts),
        samples.samples(facts),
        results.novelty(facts),
        about.text(facts),
        about.settings(facts),
        about.again(facts),
        element("footer", "Written by wordgen, from report.json in the same folder."),
    )
    return joined(Markup("<!DOCTYPE html>\n"), element("html", head, element("body", body), lang="en"), "\n")
