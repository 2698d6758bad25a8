"""A tokenizer and a vocabulary together: from ids back to text."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wordgen.text.tokenizers import Tokenizer
from wordgen.text.vocabulary import END, START, Vocabulary


@dataclass(frozen=True)
class Codec:
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    separator: str
    """What stands between two units of the text: one line break, or two around a paragraph."""

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(self.pieces(ids))

    def pieces(self, ids: Iterable[int]) -> Iterator[str]:
        """The text of ids, piece by piece as they come; what separates units only once a unit follows."""
        symbols = self.vocabulary.symbols
        previous: str | None = None
        waiting = ""
        for each in ids:
            if each == END:
                waiting += self.separator
            if each in (START, END):
                previous = None
                continue
            yield waiting + self.tokenizer.piece(symbols[each], previous)
            waiting = ""
            previous = symbols[each]
