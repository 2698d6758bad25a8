"""One text while it is being written: what stands, what is sure to stay, and whether it has ended."""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Literal

from wordgen.generation.decoding import Writer
from wordgen.generation.filling import Filler, Shares, chooser
from wordgen.generation.odds import LogOdds
from wordgen.generation.sentences import SentenceEnds
from wordgen.generation.settings import GenerationSettings
from wordgen.text.codec import Codec
from wordgen.text.lines import LINE_BREAK
from wordgen.text.vocabulary import END, UNKNOWN

Ended = Literal["length", "end", "sentence", "line", "until", "nothing left"]
"""Why a text ended; at `nothing left`, every symbol was forbidden (by the copy guard, or no-repeat-ngram)."""


@dataclass(frozen=True)
class _Unfilled:
    """An UNKNOWN whose word waits for the symbol behind it."""

    log_probability: float
    expected: Shares


class Draft:
    """Takes symbol by symbol; what it ends on (END, a line break, the next sentence) is no part of it."""

    def __init__(
        self,
        seed: tuple[int, ...],
        settings: GenerationSettings,
        codec: Codec,
        filler: Filler | None = None,
        number: int = 0,
    ) -> None:
        """With a filler, a word is put in for each UNKNOWN, once the symbol behind it is known.

        `number` says which of several texts it is, whose random seeds follow on each other.
        """
        self.seed = seed
        self.ids: list[int] = []
        self.symbols: list[str] = []
        """What each id stands for: the vocabulary's symbol, or the word that was put in for UNKNOWN."""
        self.log_probabilities: list[float] = []
        self.pieces: list[str] = []
        self.ended: Ended | None = None
        self.log_probability_of_the_end = 0.0
        """Of the END or line break that the text ended on, which is no part of it."""
        self._filler = filler
        self._number = number
        self._unfilled: _Unfilled | None = None
        self._settings = settings
        self._vocabulary = codec.vocabulary
        self._speaker = codec.speaker()
        self.seed_pieces = [self._speaker.say(each) for each in seed]
        self._sentences = SentenceEnds(stops_in_words=codec.tokenizer.name == "whitespace")
        for symbol, piece in zip(seed, self.seed_pieces, strict=True):
            _ = self._sentences.end() if symbol == END else self._sentences.see(piece)
        self._whole_sentences = 0
        self._tail = ""

    def branch(self) -> "Draft":
        """A draft of its own that goes on from here."""
        other = copy(self)
        other.ids, other.pieces, other.symbols = list(self.ids), list(self.pieces), list(self.symbols)
        other.log_probabilities = list(self.log_probabilities)
        other._speaker, other._sentences = copy(self._speaker), copy(self._sentences)
        return other

    @property
    def text(self) -> str:
        return "".join(self.seed_pieces) + "".join(self.pieces)

    @property
    def settled(self) -> int:
        """How many symbols are sure to stay."""
        return len(self.ids) if self.ended or self._settings.stop != "sentence" else self._whole_sentences

    @property
    def chosen(self) -> int:
        """How many symbols are chosen, one whose word is still waited for among them."""
        return len(self.ids) + (self._unfilled is not None)

    @property
    def put_in(self) -> list[int]:
        """The places of the words that were put in."""
        return [place for place, each in enumerate(self.ids) if each == UNKNOWN] if self._filler else []

    def add(self, symbol: int, log_probability: float, log_odds: LogOdds) -> None:
        """One more symbol; the log odds are the network's, of all symbols at that place."""
        if self._unfilled is not None:
            self._fill(symbol)
        if self.ended:
            return
        if symbol != UNKNOWN or self._filler is None:
            self._add(symbol, self._vocabulary.symbols[symbol], log_probability)
            return
        self._unfilled = _Unfilled(log_probability, self._filler.expected(log_odds))
        if len(self.ids) + 1 == self._settings.length:
            self._fill(None)

    def _fill(self, behind: int | None) -> None:
        unfilled, self._unfilled = self._unfilled, None
        if unfilled is not None:
            assert self._filler is not None
            before = [*self.seed, *self.ids]
            choose = chooser(self._settings, self._number, len(before))
            word = self._filler.word(before, unfilled.expected, choose, behind)
            self._add(UNKNOWN, word, unfilled.log_probability)

    def _add(self, number: int, symbol: str, log_probability: float) -> None:
        settings = self._settings
        if settings.stop in ("end", "line") and self._stops_at(number):
            self.ended = settings.stop
            self.log_probability_of_the_end = log_probability
            return
        piece = self._speaker.say_symbol(symbol)
        if settings.stop == "sentence" and self._sentence_over(number, piece):
            return
        self.ids.append(number)
        self.symbols.append(symbol)
        self.log_probabilities.append(log_probability)
        self.pieces.append(piece)
        if settings.until is not None and self._until_found(settings.until):
            self.ended = "until"
        elif len(self.ids) == settings.length:
            self._length_is_up()

    def nothing_left(self) -> None:
        """No symbol is allowed next."""
        self._fill(None)
        if not self.ended:
            self._length_is_up()
        if self.ended == "length":
            self.ended = "nothing left"

    def _stops_at(self, symbol: int) -> bool:
        line_over = self._settings.stop == "line" and self._vocabulary.symbols[symbol] == LINE_BREAK
        return len(self.ids) >= self._settings.at_least and (symbol == END or line_over)

    def _sentence_over(self, symbol: int, piece: str) -> bool:
        """Whether a sentence has ended that is enough; then the text goes up to its end."""
        end = self._sentences.end() if symbol == END else self._sentences.see(piece)
        if end is None or end <= len(self.seed):
            return False
        self._whole_sentences = end - len(self.seed)
        if self._whole_sentences < self._settings.at_least:
            return False
        self._end_with_sentences()
        return True

    def _length_is_up(self) -> None:
        self.ended = "length"
        if self._settings.stop != "sentence":
            return
        # At the very end the last stop counts, though no next word has confirmed it.
        self._whole_sentences = max(self._whole_sentences, (self._sentences.open_end or 0) - len(self.seed))
        if self._whole_sentences > 0:
            self._end_with_sentences()

    def _end_with_sentences(self) -> None:
        kept = self._whole_sentences
        self.ids, self.pieces, self.symbols = self.ids[:kept], self.pieces[:kept], self.symbols[:kept]
        self.log_probabilities = self.log_probabilities[:kept]
        self.ended = "sentence"

    def _until_found(self, until: str) -> bool:
        """Whether the text wanted has just been written; the text then ends right behind it."""
        piece = self.pieces[-1]
        whole = self._tail + piece
        at = whole.find(until)
        self._tail = whole[-(len(until) - 1) :] if len(until) > 1 else ""
        if at < 0:
            return False
        surplus = len(whole) - at - len(until)
        if surplus:
            self.pieces[-1] = piece[:-surplus]
        return True


def write_to_the_end(drafts: Sequence[Draft], writer: Writer) -> Iterator[None]:
    """Let a writer of as many texts write on in all drafts, symbol by symbol, until each has ended."""
    alive = len(drafts)
    while alive:
        chosen = writer.write_one_symbol()
        for text in chosen.stuck:
            drafts[text].nothing_left()
        rows = zip(chosen.texts, chosen.ids, chosen.log_probabilities, chosen.log_odds, strict=True)
        for text, symbol, odds, of_all in rows:
            drafts[text].add(symbol, odds, of_all)
        over = [text for text in chosen.texts if drafts[text].ended]
        writer.end(over)
        alive -= len(over) + len(chosen.stuck)
        yield
