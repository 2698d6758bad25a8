"""A text that a person and a model write in turns."""

from collections.abc import Iterator
from copy import copy
from typing import TYPE_CHECKING

from wordgen.generation.reading import TextReader, UnknownWord
from wordgen.generation.settings import GenerationSettings
from wordgen.text.codec import Codec

if TYPE_CHECKING:
    from wordgen.generation.texts import NextWord
    from wordgen.generation.trained import TrainedModel


class Manuscript:
    """Remembers what stands symbol by symbol, so that nothing is lost between the screen and the network."""

    def __init__(self, model: "TrainedModel", codec: Codec, reader: TextReader, beginning: str) -> None:
        self._model = model
        self._codec = codec
        self._reader = reader
        self._speaker = codec.speaker()
        self.ids: list[int] = []
        self._pieces: list[str] = []
        for each in reader.seed(beginning).ids:
            self._add(each)

    @property
    def text(self) -> str:
        return "".join(self._pieces) + self._speaker.waiting

    def duplicate(self) -> "Manuscript":
        other = copy(self)
        other.ids, other._pieces, other._speaker = list(self.ids), list(self._pieces), copy(self._speaker)
        return other

    def type(self, line: str) -> tuple[UnknownWord, ...]:
        """Add what a person typed, as it is; what the model does not know it will not see, and it is named."""
        symbols = [(symbol, self._reader.ids_in_any_form(symbol)) for symbol in self._reader.symbols_within(line)]
        for symbol, ids in symbols:
            for each in ids:
                self._add(each)
            if not ids:
                self._pieces.append(self._speaker.say_symbol(symbol))
        return self._reader.unknown_words([symbol for symbol, ids in symbols if not ids])

    def pick(self, word: "NextWord") -> None:
        self._add(self._codec.vocabulary.id_of(word.symbol), word.symbol)

    def next_words(self, count: int) -> "tuple[NextWord, ...]":
        return self._model.next_after(self.ids, count)

    def write(self, settings: GenerationSettings) -> Iterator[str]:
        """Let the model write on; its pieces as they become sure, and each stands in the text when it is told."""
        for written in self._model.go_on(self.ids, settings):
            self.ids.append(written.id)
            self._pieces.append(written.piece)
            self._speaker.say_symbol(written.symbol)
            yield written.piece

    def _add(self, number: int, symbol: str | None = None) -> None:
        self.ids.append(number)
        self._pieces.append(self._speaker.say_symbol(symbol or self._codec.vocabulary.symbols[number]))
