"""The curves of a run as an SVG drawing: lines by epoch, levels to compare them with, and one point that is marked.

Numbers stand outside of the frame and names in a legend beneath, so nothing can lie on a curve.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wordgen.page.axes import Axis, axis_around, axis_from_zero, shown_tick
from wordgen.page.markup import Markup, element

Point = tuple[float, float]
"""An epoch and a perplexity."""

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 88, 32, 44, 66
_MOST_TICKS = 8
_GREATEST = 1e100
"""Beyond this no drawing tells anything."""
_MOST_DOTS = 50
"""More points are not drawn one by one."""


@dataclass(frozen=True)
class Line:
    kind: str
    """The class that the style sheet knows it by."""
    points: Sequence[Point]


@dataclass(frozen=True)
class Level:
    kind: str
    value: float


def chart(lines: Sequence[Line], levels: Sequence[Level], marked: Point | None, *, title: str, told: str) -> Markup:
    """`told` says in words what is to be seen."""
    values = [value for line in lines for _, value in line.points if _can_be_drawn(value)]
    values += [level.value for level in levels if _can_be_drawn(level.value)]
    frame = _Frame(
        axis_from_zero(max(epoch for line in lines for epoch, _ in line.points), _MOST_TICKS),
        axis_around(values, _MOST_TICKS),
    )
    return element(
        "svg",
        element("title", title, id="chart-title"),
        element("desc", told, id="chart-told"),
        frame.drawn(),
        [frame.level(level) for level in levels if _can_be_drawn(level.value)],
        [frame.mark(marked)] if marked is not None and _can_be_drawn(marked[1]) else [],
        [frame.line(line) for line in lines],
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_labelledby="chart-title chart-told",
    )


def swatch(kind: str) -> Markup:
    """How a line or level looks, for the legend."""
    drawn = element("circle", cx=16, cy=6, r=5, class_="best") if kind == "best" else _stroke(0, 6, 32, 6, kind)
    return element("svg", drawn, viewBox="0 0 32 12", width=32, height=12, aria_hidden="true")


@dataclass(frozen=True)
class _Frame:
    epochs: Axis
    values: Axis

    def x(self, epoch: float) -> float:
        return round(_LEFT + self.epochs.place(epoch) * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        return round(_HEIGHT - _BOTTOM - self.values.place(value) * (_HEIGHT - _TOP - _BOTTOM), 1)

    def drawn(self) -> Iterator[Markup]:
        for value in self.values.ticks:
            y = self.y(value)
            yield _stroke(_LEFT, y, _WIDTH - _RIGHT, y, "grid")
            yield element("text", shown_tick(value), x=_LEFT - 8, y=y, dy="0.35em", text_anchor="end")
        for epoch in self.epochs.ticks:
            x = self.x(epoch)
            yield _stroke(x, _HEIGHT - _BOTTOM, x, _HEIGHT - _BOTTOM + 5, "axis")
            yield element("text", shown_tick(epoch), x=x, y=_HEIGHT - _BOTTOM + 26, text_anchor="middle")
        yield _stroke(_LEFT, _HEIGHT - _BOTTOM, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM, "axis")
        scale = " (logarithmic)" if self.values.logarithmic else ""
        yield element("text", f"perplexity{scale}", x=4, y=22)
        yield element("text", "epoch", x=_WIDTH - _RIGHT, y=_HEIGHT - 8, text_anchor="end")

    def line(self, line: Line) -> Iterator[Markup]:
        """A value that no drawing can hold leaves a gap."""
        for run in _unbroken(line.points):
            yield element("polyline", points=" ".join(f"{self.x(e)},{self.y(v)}" for e, v in run), class_=line.kind)
            if len(line.points) <= _MOST_DOTS:
                for epoch, value in run:
                    yield element("circle", cx=self.x(epoch), cy=self.y(value), r=3, class_=f"dot {line.kind}")

    def level(self, level: Level) -> Markup:
        y = self.y(level.value)
        return _stroke(_LEFT, y, _WIDTH - _RIGHT, y, level.kind)

    def mark(self, point: Point) -> Iterator[Markup]:
        x, y = self.x(point[0]), self.y(point[1])
        yield _stroke(x, y, x, _HEIGHT - _BOTTOM, "to-best")
        yield element("circle", cx=x, cy=y, r=7, class_="best")


def _stroke(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def _can_be_drawn(value: float) -> bool:
    return 0 < value < _GREATEST


def _unbroken(points: Sequence[Point]) -> Iterator[list[Point]]:
    run: list[Point] = []
    for point in points:
        if _can_be_drawn(point[1]):
            run.append(point)
        elif run:
            yield run
            run = []
    if run:
        yield run
