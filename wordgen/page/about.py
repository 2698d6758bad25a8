"""The lower half of the page: the text, the network, all settings, and how to do it again."""

from collections.abc import Iterator, Sequence
from dataclasses import Field, fields
from typing import Any

from wordgen.architecture import Architecture, shown_units
from wordgen.commands import commands_about
from wordgen.page import figures
from wordgen.page.facts import Facts
from wordgen.page.markup import Content, Markup, element
from wordgen.page.tables import facts_table, table
from wordgen.settings import flag_name

_CELLS = {"lstm": "LSTM", "gru": "GRU", "rnn": "plain recurrent"}
_VERSIONS = (
    ("wordgen", "wordgen"),
    ("python", "Python"),
    ("tensorflow", "TensorFlow"),
    ("keras", "Keras"),
    ("numpy", "NumPy"),
)


def text(facts: Facts) -> Markup:
    splits = [
        [name, f"{of.units:,}", f"{of.symbols:,}", f"{of.all_characters:,}", f"{of.unknown_share:.1%}"]
        for name, of in facts.splits.items()
    ]
    unknown = "spelled out" if any(of.spelled for of in facts.splits.values()) else "UNKNOWN"
    return element(
        "section",
        element("h2", "The text"),
        facts_table(list(_of_the_text(facts))),
        table(["part", "units", "symbols", "characters", unknown], splits),
    )


def _of_the_text(facts: Facts) -> Iterator[tuple[str, Content]]:
    yield "corpus", facts.corpus
    read = facts.text
    if read:
        breaks = " with its line breaks" if read["line_breaks"] == "kept" and read["unit"] != "line" else ""
        yield "source", read["source"]
        yield "cut", f"{read['tokenizer']}, by the {read['unit']}{breaks}"
        notes = [*read["notes"], *(["wide and narrow letters read as the usual ones"] if read["fold_width"] else [])]
        if notes:
            yield "read", "; ".join(notes)
    dataset, train = facts.report["dataset"], facts.splits["train"]
    known = dataset["vocabulary"] - dataset.get("special_symbols", 0)
    yield (
        "vocabulary",
        f"{known:,} of {dataset['types']:,} different symbols, "
        f"covering {1 - train.unknown_share:.1%} of the training text",
    )


def settings(facts: Facts) -> Markup:
    """What was chosen first, what was left as it is folded beneath."""
    chosen = facts.settings.chosen()
    others = [each for each in fields(facts.settings) if each not in chosen]
    recipe = facts.report.get("recipe")
    return element(
        "section",
        element("h2", "The network and its settings"),
        element("p", f"{_network(facts.architecture)}, {figures.many(facts.report['parameters'], 'parameter')}."),
        element("p", "Recipe: ", recipe) if recipe else [],
        element("p", f"It began from {facts.head_start.describe()}.") if facts.head_start else [],
        _settings_table(facts, chosen, "What is not as by default"),
        element("details", element("summary", "All that is as by default"), _settings_table(facts, others, None)),
    )


def _network(a: Architecture) -> str:
    layers = f"{figures.many(a.layers, 'layer')} of {shown_units(a.units)} {_CELLS[a.cell]} units"
    return f"{layers}, word vectors of {a.embedding:,}, {'tied' if a.tied else 'free'} output"


def _settings_table(facts: Facts, which: Sequence[Field[Any]], caption: str | None) -> Markup:
    rows = [
        element(
            "tr",
            element("th", element("code", flag_name(each.name)), scope="row"),
            element("td", figures.value(getattr(facts.settings, each.name))),
            element("td", each.metadata["help"], class_="help"),
        )
        for each in which
    ]
    heads = [element("th", name, scope="col") for name in ("setting", "value", "what it is")]
    return element(
        "table",
        [] if caption is None else element("caption", caption),
        element("thead", element("tr", heads)),
        element("tbody", rows),
        class_="settings",
    )


def again(facts: Facts) -> Markup:
    seed, stopped = facts.report.get("word_to_try"), facts.report.get("ended") == "stopped"
    commands = commands_about(
        facts.run, facts.settings, seed, can_be_resumed=stopped, has_model=True, evaluation=facts.evaluation
    )
    same = "" if facts.settings.time_budget else " On the same machine the same random seed gives the same model."
    return element(
        "section",
        element("h2", "To do it again"),
        element(
            "p",
            "To be typed in the folder that holds ",
            element("code", "saved_models"),
            f".{same}",
            class_="faint",
        ),
        [[element("h3", told), element("pre", element("code", command))] for told, command in commands],
        facts_table(list(_circumstances(facts))),
    )


def _circumstances(facts: Facts) -> Iterator[tuple[str, Content]]:
    report = facts.report
    versions = [f"{name} {report[key]}" for key, name in _VERSIONS if report.get(key)]
    if report.get("began"):
        yield "begun", figures.date(str(report["began"]))
    yield "random seed", str(facts.settings.random_seed)
    if report.get("devices"):
        yield "learned on", f"{report['devices']}, in {facts.settings.precision}"
    if versions:
        yield "versions", ", ".join(versions)
