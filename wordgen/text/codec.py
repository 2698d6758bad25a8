"""A tokenizer and a vocabulary together: from ids back to text."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wordgen.text.apostrophes import other_form
from wordgen.text.escapes import END_TOKEN, OTHER_FORM, START_TOKEN, WORD_END
from wordgen.text.spelling import byte_of, spelled
from wordgen.text.tokenizers import Tokenizer
from wordgen.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Codec:
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    separator: str
    """What stands between two units of the text: one line break, or two around a paragraph."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text of one unit, without what stands around units."""
        return [each for symbol in self.tokenizer.tokenize(text) for each in self.vocabulary.ids_of(symbol)]

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(self.pieces(ids))

    def pieces(self, ids: Iterable[int]) -> Iterator[str]:
        """The text of ids, piece by piece as they come; what separates units only once a unit follows."""
        speaker = self.speaker()
        return (piece for piece in map(speaker.say, ids) if piece)

    def speaker(self) -> "Speaker":
        return Speaker(self)


class Speaker:
    """Turns symbols into text one by one; what separates units is said once a unit follows."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._previous: str | None = None
        self._waiting = ""
        self._spelled = b""
        """The bytes so far of a word that is being spelled out."""
        self._in_other_form = False
        """Whether the next word has its apostrophes in the other form."""

    @property
    def waiting(self) -> str:
        """What will be said before the next symbol."""
        return self._waiting

    def say(self, symbol_id: int) -> str:
        return self.say_symbol(self._codec.vocabulary.symbols[symbol_id])

    def say_symbol(self, symbol: str) -> str:
        """What a symbol adds to the text, known to the vocabulary or not; START, END and marks add nothing.

        A word that is spelled out is said when it ends; or when anything else than a byte follows.
        """
        value = byte_of(symbol)
        if value is not None:
            self._spelled += bytes((value,))
            return ""
        word = self._say_word(spelled(self._spelled)) if self._spelled else ""
        self._spelled = b""
        return word if symbol == WORD_END else word + self._say_word(symbol)

    def _say_word(self, symbol: str) -> str:
        if symbol == END_TOKEN:
            self._waiting += self._codec.separator
        if symbol in (START_TOKEN, END_TOKEN):
            self._previous = None
            return ""
        if symbol == OTHER_FORM:
            self._in_other_form = True
            return ""
        if self._in_other_form:
            symbol, self._in_other_form = other_form(symbol) or symbol, False
        piece = self._waiting + self._codec.tokenizer.piece(symbol, self._previous)
        self._waiting = ""
        self._previous = symbol
        return piece
