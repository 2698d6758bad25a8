"""Turns text into ids: a prompt, where unknown forms of words are replaced by known ones, and exact text to score."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from wordgen.corpus.layout import Layout
from wordgen.corpus.passages import folded, hyphens_of, interval_back, passages_of, tunes_in
from wordgen.corpus.reading import clean
from wordgen.dataset.dataset import TextConfig
from wordgen.music.abc_text import MAX_TUNE_CHARACTERS
from wordgen.music.harmony import Interval
from wordgen.text.tokenizers import MUSIC_TOKENIZERS, Codec
from wordgen.text.vocabulary import END_TOKEN, JOINER, UNKNOWN, with_typed_apostrophes

WARM_UP = 2000
"""The maximum number of tokens of a prompt that are fed. Earlier tokens have no visible effect."""
_PLAIN = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "—": "--", "–": "--", "…": "..."})
_MAX_READ_CHARACTERS = 20_000
_MAX_WORD_CHARACTERS = 100
_MAX_SHOWN_CHARACTERS = 60
_MAX_HINTS = 5
_SIMILARITY_CUTOFF = 0.7


@dataclass(frozen=True)
class UnknownWord:
    """A word of a prompt that the model does not know and does not read."""

    word: str
    similar: tuple[str, ...]
    """Known words that look similar, the most similar first."""


@dataclass(frozen=True)
class Seed:
    """A prompt that was turned into ids."""

    text: str
    ids: tuple[int, ...]
    unknown: tuple[UnknownWord, ...]
    cut: bool
    """Whether the prompt was too long, so that only its end was read."""
    shown: str | None = None
    """The prompt as the text shows it, for music. None if the text shows what the model reads."""
    original_key_interval: Interval | None = None
    """For a tune that was transposed: the interval back to its original key."""


class TextReader:
    """Reads text in the way the corpus was read: with the same kind of passages and the same tokenizer."""

    def __init__(self, codec: Codec, config: TextConfig) -> None:
        self._codec = codec
        self._config = config

    def tokens(self, text: str, file_layout: Layout | None = None) -> list[str]:
        """Return the tokens of all passages of a text, with END between two passages.

        `file_layout` is the layout of the file that the text comes from. It is used for prose (see `layout_for`).
        """
        if self._config.passage == "tune":
            return self._tokens_of_tunes(clean(text))
        tokens: list[str] = []
        passage_ended = True
        layout = self.layout_for(file_layout)
        lines = list(enumerate(clean(text).split("\n"), 1))
        joined = layout.passage != "line" and layout.line_breaks == "joined"
        hyphens = hyphens_of(lambda: lines) if joined and file_layout is not None else None
        for passage in passages_of(lines, layout.passage, layout.line_breaks, wrap=layout.wrap, hyphens=hyphens):
            if not passage_ended:
                tokens.append(END_TOKEN)
            of_passage = self.tokens_within(passage.text)
            passage_ended = of_passage[-1:] == [END_TOKEN]  # a text that is already tokenized may have <eos>
            tokens += of_passage
        # Passages lose the spaces at their end, but for the tokenizer "characters" each space is a token.
        spaces = len(text) - len(text.rstrip(" "))
        return tokens + self._codec.tokenizer.tokenize(" " * spaces)

    def _tokens_of_tunes(self, text: str) -> list[str]:
        """Return the tokens of tunes in the key that the model learned, with END between two tunes."""
        tokens: list[str] = []
        for number, tune in enumerate(tunes_in(text, self._config.transpose)):
            tokens += [END_TOKEN] * bool(number) + self.tokens_within(tune)
        return tokens

    @property
    def training_layout(self) -> Layout:
        """The layout of the text that the model was trained on."""
        return Layout(self._config.passage, self._config.line_breaks)

    def layout_for(self, file_layout: Layout | None) -> Layout:
        """Return the layout to read a text by: that of the training text, or `file_layout` if the text is prose.

        `file_layout` is None for a text that a person typed. A model whose corpus has its own <eos> reads every text by
        the layout of its corpus, and a model of tunes reads every text as tunes.
        """
        if file_layout is None or not self._config.starts or self._config.passage == "tune":
            return self.training_layout
        return file_layout.for_model(self.training_layout)

    def tokens_within(self, text: str) -> list[str]:
        """Return the tokens of a text that is part of a passage."""
        return self._codec.tokenizer.tokenize(folded(text) if self._config.fold_width else text)

    def seed(self, text: str) -> Seed:
        """Return the prompt `text` as ids.

        A word that is not known in any form (see `ids_in_any_form`) is left out and listed in `unknown`.
        """
        is_tune = self._config.passage == "tune"
        read = _end_that_is_read(text.strip("\n\r"), MAX_TUNE_CHARACTERS if is_tune else _MAX_READ_CHARACTERS)
        # Nobody remembers which quotation marks the corpus has: use the reading with the fewest unknown words.
        forms = dict.fromkeys((read, read.replace("’", "'"), read.replace("'", "’"), read.translate(_PLAIN)))
        readings = ([(each, self.ids_in_any_form(each)) for each in self.tokens(form)] for form in forms)
        reading = min(readings, key=lambda each: sum(len(ids) != 1 for _, ids in each))
        ids = [each for _, of_token in reading for each in of_token]
        unknown = self.unknown_words([token for token, of_token in reading if not of_token])
        cut = len(read) < len(text.strip()) or len(ids) > WARM_UP
        original_key_interval = interval_back(clean(read), self._config.transpose) if is_tune else None
        return Seed(text, tuple(ids[-WARM_UP:]), unknown, cut, self._shown(text, ids), original_key_interval)

    def _shown(self, text: str, ids: Sequence[int]) -> str | None:
        """Return a prompt of music as the text shows it: whole, also where the model reads only a part of it."""
        if self._codec.tokenizer.name not in MUSIC_TOKENIZERS or not ids:
            return None
        lines = clean(text.strip("\n\r")).split("\n")
        return "\n".join(line for line in lines if self._config.passage != "tune" or not line.startswith("X:"))

    def ids_in_any_form(self, token: str) -> list[int]:
        """Return the ids of a token, or the id of a known token that is almost equal, or an empty list.

        Almost equal tokens differ only in case, form of apostrophes or joiner marks. Tokens with the same joiner marks
        come first, then the more frequent ones.
        """
        known = self._codec.vocabulary.ids_of(token)
        if known != [UNKNOWN]:
            return known
        if self._codec.tokenizer.name == "abc":  # a small letter is another note
            return []
        candidates = self._ids_by_plain_form.get(_plain_form(token), [])
        tokens = self._codec.vocabulary.tokens
        same_sides = (i for i in candidates if _joined_sides(tokens[i]) == _joined_sides(token))
        alike = next(same_sides, next(iter(candidates), None))
        return [] if alike is None else [alike]

    @cached_property
    def _ids_by_plain_form(self) -> dict[str, list[int]]:
        """Maps a token without case, form of apostrophes and joiner marks to the ids of such tokens, frequent first."""
        alike: dict[str, list[int]] = {}
        for number, each in enumerate(self._codec.vocabulary.tokens[3:], 3):
            alike.setdefault(_plain_form(each), []).append(number)
        return alike  # complete before it is stored: several threads may read it

    def unknown_words(self, tokens: Sequence[str]) -> tuple[UnknownWord, ...]:
        """Return each word of some unknown tokens once, the first _MAX_HINTS with similar known words."""
        shown = (self._codec.tokenizer.piece(token, None).strip() for token in tokens)
        words = [word for word in dict.fromkeys(shown) if word]
        found: list[UnknownWord] = []
        for number, word in enumerate(words):
            similar = self._similar_words(word) if number < _MAX_HINTS else ()
            found.append(UnknownWord(_shortened(word), similar))
        return tuple(found)

    def _similar_words(self, word: str) -> tuple[str, ...]:
        known = self._words_by_small_letters
        of_like_length = [each for each in known if abs(len(each) - len(word)) <= 2]
        similar = difflib.get_close_matches(word.lower(), of_like_length, n=3, cutoff=_SIMILARITY_CUTOFF)
        return tuple(known[each] for each in similar)

    @cached_property
    def _words_by_small_letters(self) -> dict[str, str]:
        """Maps each word of letters, in small letters, to its most frequent form."""
        return {each.lower(): each for each in reversed(self._codec.vocabulary.tokens[3:]) if each.isalpha()}


def word_to_try(codec: Codec) -> str | None:
    """Return a word that is a good prompt, or None if the vocabulary has none, and for models of music.

    This is the most frequent name (a capitalised word of more than three letters that the vocabulary does not have in
    small letters), else the most frequent word of several letters, else of one letter.
    """
    if codec.tokenizer.name in MUSIC_TOKENIZERS:
        return None
    vocabulary = codec.vocabulary
    words = [token for token in vocabulary.tokens[3:] if token.isalpha()]
    names = (word for word in words if len(word) > 3 and word.istitle() and word.lower() not in vocabulary)
    longer = (word for word in words if len(word) > 1)
    candidates = chain(names, longer, words)
    return next((word for word in candidates if codec.tokenizer.tokenize(word) == [word]), None)


def _end_that_is_read(text: str, longest: int) -> str:
    """Return the part of a prompt that is read: at most its last `longest` characters, from a whole word on.

    A prompt may be a whole book, and the generated text continues its end.
    """
    if len(text) <= longest:
        return text
    end = text[-longest:]
    space = re.search(r"\s", end[:_MAX_WORD_CHARACTERS])
    return end[space.end() :] if space else end


def _plain_form(token: str) -> str:
    return with_typed_apostrophes(token.strip(JOINER)).casefold()


def _joined_sides(token: str) -> tuple[bool, bool]:
    return token.startswith(JOINER), token.endswith(JOINER)


def _shortened(text: str) -> str:
    """Shorten a text for a message, because an unknown word may be very long."""
    plain = " ".join(text.split())
    return plain if len(plain) <= _MAX_SHOWN_CHARACTERS else plain[:_MAX_SHOWN_CHARACTERS] + "..."
