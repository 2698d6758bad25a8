"""Parses an HTML page, so that tests can search it."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

_WITHOUT_END = {"meta"}


@dataclass
class ReadPage(HTMLParser):
    """All tags with their attributes, and all texts with the tags that they are in."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[tuple[tuple[str, ...], str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self.declarations = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _WITHOUT_END:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self._open), data))

    def handle_decl(self, decl: str) -> None:
        self.declarations += 1

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"the page has a comment: {data}")

    def named(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [found for name, found in self.tags if name == tag and wanted.items() <= found.items()]

    def within(self, tag: str) -> list[str]:
        return [text for tags, text in self.texts if tag in tags]

    def points(self, kind: str) -> list[tuple[float, float]]:
        """Return the points of the curves of a kind."""
        pairs = [pair for line in self.named("polyline", class_=kind) for pair in str(line["points"]).split()]
        return [(float(x), float(y)) for x, y in (pair.split(",") for pair in pairs)]

    @property
    def shown(self) -> str:
        """All text except the style sheet, with single spaces."""
        return " ".join(" ".join(text for tags, text in self.texts if "style" not in tags).split())


def read_page(page: str) -> ReadPage:
    """Parse a page and check that every tag is closed."""
    reader = ReadPage()
    reader.feed(page)
    reader.close()
    assert not reader._open
    return reader
