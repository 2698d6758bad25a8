"""What one sees in the terminal while a model is evaluated: what takes long, and how far it is."""

from collections.abc import Callable
from contextlib import ExitStack

from wordgen.cli.output import tell
from wordgen.cli.waiting import SymbolProgress, fetching, reading
from wordgen.evaluation.watcher import Watcher

_MANY_SYMBOLS = 500_000  # counting more takes longer than one likes to wait without a word
_MANY_TO_SEARCH = 10_000_000


class EvaluationScreen(Watcher):
    """One thing after another, each with a bar or a line of its own."""

    def __init__(self, closing: ExitStack) -> None:
        """What is shown last is closed by the stack."""
        self._closing = closing
        self._fetched: Callable[[str, int, int], None] | None = None
        self._read: dict[str, Callable[[int, int], None]] = {}
        self._predicted: SymbolProgress | None = None
        self._weighed: SymbolProgress | None = None
        self._written: SymbolProgress | None = None
        self._tried: SymbolProgress | None = None
        self._tried_so_far = 0
        self._adapted: SymbolProgress | None = None

    def fetching(self, file: str, done: int, total: int) -> None:
        self._fetched = self._fetched or self._closing.enter_context(fetching())
        self._fetched(file, done, total)

    def reading(self, name: str, done: int, size: int) -> None:
        if name not in self._read:
            self._closing.close()
            self._read[name] = self._closing.enter_context(reading(name))
        self._read[name](done, size)

    def predicting(self, done: int, symbols: int) -> None:
        self._predicted = self._predicted or self._symbols("Predicting", "Predicted")
        self._predicted(done, symbols)

    def trying(self, done: int, symbols: int) -> None:
        if self._tried is None or done < self._tried_so_far:  # the next try
            self._tried = self._symbols("Trying out", "Tried out")
        self._tried_so_far = done
        self._tried(done, symbols)

    def adapting(self, done: int, symbols: int) -> None:
        if self._adapted is None or self._tried is not None:
            self._adapted, self._tried = self._symbols("Getting used to", "Got used to"), None
        self._adapted(done, symbols)

    def counting(self, symbols: int, order: int) -> None:
        self._closing.close()
        if symbols > _MANY_SYMBOLS:
            tell(f"Counting the {order}-grams of {symbols:,} symbols.")

    def weighing(self, done: int, symbols: int) -> None:
        self._weighed = self._weighed or self._symbols("Predicting the valid part", "Predicted the valid part:")
        self._weighed(done, symbols)

    def writing(self, done: int, symbols: int) -> None:
        self._written = self._written or self._symbols("Writing", "Written")
        self._written(done, symbols)

    def searching(self, symbols: int) -> None:
        self._closing.close()
        if symbols > _MANY_TO_SEARCH:
            tell(f"Searching {symbols:,} symbols for what it wrote.")

    def _symbols(self, doing: str, done: str) -> SymbolProgress:
        self._closing.close()
        progress = SymbolProgress.here(doing, done)
        self._closing.callback(progress.close)
        return progress
