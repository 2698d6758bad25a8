"""Tables with heads that a screen reader can name."""

from collections.abc import Sequence

from wordgen.page.markup import Content, Markup, element


def table(
    heads: Sequence[Content],
    rows: Sequence[Sequence[Content]],
    *,
    caption: str | None = None,
    strong: int | None = None,
) -> Markup:
    """Names in the first column, figures in the others; `strong` is the row that matters most."""
    first, *others = heads
    head = element(
        "tr",
        element("th", first, scope="col"),
        [element("th", each, scope="col", class_="number") for each in others],
    )
    body = [
        element(
            "tr",
            element("th", name, scope="row"),
            [element("td", each, class_="number") for each in figures],
            class_="strong" if number == strong else None,
        )
        for number, (name, *figures) in enumerate(rows)
    ]
    told = [] if caption is None else [element("caption", caption)]
    return element("div", element("table", told, element("thead", head), element("tbody", body)), class_="scroll")


def facts_table(rows: Sequence[tuple[Content, Content]]) -> Markup:
    """What is what, in two columns of words."""
    body = [element("tr", element("th", name, scope="row"), element("td", told)) for name, told in rows]
    return element("table", element("tbody", body))
