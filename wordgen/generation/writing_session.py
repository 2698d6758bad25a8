"""A text that a person and a model write in turns."""

from collections.abc import Iterator
from copy import copy
from typing import TYPE_CHECKING

from wordgen.errors import SettingError
from wordgen.generation.prompt import TextReader, UnknownWord
from wordgen.generation.settings import GenerationSettings
from wordgen.text.tokenizers import Codec

if TYPE_CHECKING:
    from wordgen.generation.texts import NextWord
    from wordgen.generation.trained import TrainedModel


class WritingSession:
    """A text that a person and a model write in turns.

    It keeps the tokens and not only the characters, so the network reads exactly the tokens that were written.
    """

    def __init__(self, model: "TrainedModel", codec: Codec, reader: TextReader, beginning: str) -> None:
        self._model = model
        self._codec = codec
        self._reader = reader
        self._decoder = codec.decoder()
        self.ids: list[int] = []
        self._pieces: list[str] = []
        for each in reader.seed(beginning).ids:
            self._add(each)

    @property
    def text(self) -> str:
        return "".join(self._pieces) + self._decoder.waiting

    def duplicate(self) -> "WritingSession":
        other = copy(self)
        other.ids, other._pieces, other._decoder = list(self.ids), list(self._pieces), copy(self._decoder)
        return other

    def type(self, line: str) -> tuple[UnknownWord, ...]:
        """Add text that a person typed, and return the words that the model does not know.

        These words become part of the text, but the model does not read them.
        """
        tokens = [(token, self._reader.ids_in_any_form(token)) for token in self._reader.tokens_within(line)]
        for token, ids in tokens:
            for each in ids:
                self._add(each)
            if not ids:
                self._pieces.append(self._decoder.say_token(token))
        return self._reader.unknown_words([token for token, ids in tokens if not ids])

    def pick(self, word: "NextWord") -> None:
        self._add(self._codec.vocabulary.id_of(word.token), word.token)

    def next_words(self, count: int, *, mix: float = 0.0) -> "tuple[NextWord, ...]":
        return self._model.next_after(self.ids, count, mix=mix)

    def write(self, settings: GenerationSettings) -> Iterator[str]:
        """Let the model continue the text. Yield each piece when it can no longer be removed.

        A piece is already part of the text when it is yielded. Raise SettingError for settings of whole tunes.
        """
        if settings.of_a_tune:
            raise SettingError(f"{settings.of_a_tune[0]} writes a whole tune: use generate without --interactive.")
        for written in self._model.go_on(self.ids, settings):
            self.ids.append(written.id)
            self._pieces.append(written.piece)
            self._decoder.say_token(written.token)
            yield written.piece

    def _add(self, number: int, token: str | None = None) -> None:
        self.ids.append(number)
        self._pieces.append(self._decoder.say_token(token or self._codec.vocabulary.tokens[number]))
