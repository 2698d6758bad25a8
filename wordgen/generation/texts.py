"""Texts that are built token by token, the words that replace UNKNOWN in them, and finished texts.

UNKNOWN is replaced by a word that was UNKNOWN in the training text and that fits between its neighbours. The first
group that has a suitable word is used: words that the training text has between the same two tokens, then those after
the same left token, then those before the same right token, then all words. If the right token is not known, the groups
that need it are left out. Within a group, the probability of a word is proportional to how often it occurs there, times
how strongly the network expects known words of the same kind at this position. The kind of a word is its form:
capitalisation and ending.
"""

import math
import re
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from html import escape
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.dataset import UnknownWords, begins_sentence
from wordgen.generation.prompt import UnknownWord
from wordgen.generation.sampling import LogProbs, Past, changed_by, draw, draw_changes
from wordgen.generation.settings import GenerationSettings
from wordgen.text.tokenizers import Codec
from wordgen.text.vocabulary import END, JOINER, LINE_BREAK, UNKNOWN, Vocabulary, is_word, restore

_ENDINGS = ("ing", "ed", "ly", "s")
_SMOOTHING = 0.01
"""Added to the share of each kind of word, so that words that the network does not expect remain possible."""
_MIN_EXPECTED = 0.3
"""A word is left out if the network expects its kind less than this share of the usual, unless all would be."""
_TIE_BREAK = 0.1
_TOKENS_BEFORE_WORD = 16
"""How many tokens before a word may decide which word replaces UNKNOWN."""
_EMPTY_PAST = Past(np.zeros((1, 0), np.intp), 0)

Choose = Callable[[LogProbs], int]
"""Chooses one of several words by their log-probabilities, shape (1, words), and returns its index."""

Shares = NDArray[np.float64]


class UnknownReplacer:
    """Chooses a word to replace UNKNOWN, by the tokens before it and, if known, by the token after it."""

    def __init__(self, unknown: UnknownWords, vocabulary: Vocabulary) -> None:
        self._words = unknown.words
        self._vocabulary = vocabulary
        self._previous_ids, self._word, self._next_ids, begins = np.array(unknown.places, np.int64).reshape(-1, 4).T
        self._within = ~begins.astype(np.bool_)
        capitals = [_capitalised(word) for word in unknown.words]
        # None if the capitalised word is in the vocabulary: it would be a different token.
        self._capitals = [word if vocabulary.id_of(word) == UNKNOWN else None for word in capitals]
        self._has_capital = np.array([word is not None for word in self._capitals], np.bool_)
        kinds: dict[str, int] = {}
        self._kind = np.array([kinds.setdefault(_kind(word), len(kinds)) for word in unknown.words], np.int64)
        ids = [kinds.setdefault(_kind(each), len(kinds)) for each in vocabulary.tokens[END + 1 :]]
        self._kind_of_id = np.array(ids, np.int64)
        self._kinds = len(kinds)
        counts = np.array(vocabulary.counts[END + 1 :], np.float64)
        # Only the rarer tokens that make up half of the training text count: the most frequent tokens occur where rare
        # words do not.
        self._rare = counts.cumsum() - counts >= counts.sum() / 2
        self._usual_shares = self._shares(counts)
        self._all_words = frozenset((*unknown.words, *filter(None, self._capitals)))
        self._training_contexts = {
            (before, unknown.words[word], next_id) for before, word, next_id, _ in unknown.places
        }

    def __contains__(self, word: str) -> bool:
        return word in self._all_words

    def is_new(self, before: int | None, word: str, next_id: int | None) -> bool:
        """Return whether a word may replace UNKNOWN, and the training text does not have it between these two ids.

        None stands for the end of a text. Of a large text, only part of the unknown words are known here.
        """
        return word in self and (before, word, next_id) not in self._training_contexts

    def expected(self, log_probs: LogProbs) -> Shares:
        """Return for each kind how much more than usual the network expects known words of this kind (1 is usual).

        `log_probs` has the log-probabilities of all tokens at this position, shape (vocabulary,).
        """
        return self._shares(np.exp(log_probs[END + 1 :].astype(np.float64))) / self._usual_shares

    def word(self, ids: Sequence[int], expected: Shares, choose: Choose, next_id: int | None = None) -> str:
        """Return the word for the position after `ids`, of which the last _TOKENS_BEFORE_WORD are enough.

        `expected` comes from the method of this name. `next_id` is the id after the word, or None if it is not known.
        """
        before = ids[-1] if ids else END
        capital = self._begins_sentence(ids)
        fits = self._has_capital[self._word] if capital else self._within
        left = self._previous_ids == before
        levels = [left, np.ones_like(left)]
        if next_id is not None:
            right = self._next_ids == next_id
            levels = [left & right, left, right, levels[-1]]
        plausible = expected[self._kind[self._word]] >= _MIN_EXPECTED
        found = next(filter(len, (self._word[level & fits & plausible] for level in levels)), self._word)
        words, counts = np.unique(found, return_counts=True)
        chosen = int(words[choose(self._log_probs(counts * expected[self._kind[words]], ids))])
        return (self._capitals[chosen] if capital else None) or self._words[chosen]

    def _log_probs(self, weights: Shares, ids: Sequence[int]) -> LogProbs:
        """Return the log-probabilities of words with these weights, shape (1, words).

        So that not always the same word wins a tie, the last _TOKENS_BEFORE_WORD tokens change the weights slightly.
        """
        order = np.random.default_rng(list(ids[-_TOKENS_BEFORE_WORD:])).permutation(len(weights))
        weights = weights * (1 + _TIE_BREAK * order / len(weights))
        return np.log(weights / weights.sum()).astype(np.float32)[None]

    def _begins_sentence(self, ids: Sequence[int]) -> bool:
        recent = list(ids[-3:])
        if END in recent:
            recent = recent[len(recent) - recent[::-1].index(END) :]
        return begins_sentence([self._vocabulary.tokens[each] for each in recent])

    def _shares(self, probs: Shares) -> Shares:
        shares = np.bincount(self._kind_of_id, probs * self._rare, self._kinds)
        return shares / max(shares.sum(), 1e-300) + _SMOOTHING


def chooser(settings: GenerationSettings, number: int, place: int) -> Choose:
    """Return a function that chooses a word as the settings choose tokens: by sampling, or the most probable one.

    A draw depends only on the random seed of the text (`settings.random_seed + number`) and on the place of the word in
    it, so it does not change any other draw.
    """
    random_seed = settings.random_seed
    if settings.mode != "sample" or random_seed is None:
        return lambda log_probs: int(log_probs.argmax())

    def choose(log_probs: LogProbs) -> int:
        log_probs = changed_by(draw_changes(settings), log_probs, _EMPTY_PAST)
        return int(draw(log_probs, [np.random.default_rng([random_seed + number, place])])[0])

    return choose


def _kind(token: str) -> str:
    """Return the kind of a token by its form. Words of the same kind occur in similar positions.

    For most words it says whether there are a joiner mark and a capital at the beginning, and what the ending is.
    """
    text = restore(token.strip(JOINER))
    glued = token.startswith(JOINER)
    if not is_word(text):
        return f"{glued} marks"
    if not any(map(str.isalpha, text)):
        return f"{glued} digits"
    if text[-1] > "\u2e7f":  # kana and kanji: the last character shows the inflection
        return "kana" if "\u3040" <= text[-1] <= "\u30ff" else "kanji"
    capital = text[:1].isupper()
    ending = next((each for each in _ENDINGS if len(text) > len(each) + 2 and text.endswith(each)), "")
    return f"{glued} {capital} {ending}"


def _capitalised(token: str) -> str:
    """Return the token with a capital as the first character of its text, after any joiner marks."""
    begin = len(token) - len(token.lstrip(JOINER))
    return token[:begin] + token[begin : begin + 1].upper() + token[begin + 1 :]


_STOP = re.compile(r"(?P<plain>[.!?…]+)?(?P<wide>[。！？]+)?[\"'”’»」』)\]]*")
_WORD_WITH_STOP = re.compile(r".*?" + _STOP.pattern, re.DOTALL)
_MAX_REPR_CHARACTERS = 60
_CLOSING = re.compile(r"[\"'”’»」』)\]]+")

Ended = Literal["length", "end", "sentence", "line", "until", "nothing left"]
"""Why a text ended. `nothing left` means that every token was forbidden, by --max-copy or --no-repeat-ngram."""


class SentenceEndFinder:
    """Takes the pieces of a text one by one and finds where sentences end.

    A stop does not end a sentence if the next word begins with a small letter ("Stop!" he said) or follows without a
    space ("3.5", "example.org"); Japanese stops need no space. Closing quotation marks belong to the sentence. So its
    end is certain only after the next piece.
    """

    def __init__(self, *, stops_in_words: bool = False) -> None:
        """Set `stops_in_words` if the tokenizer does not split stops from words."""
        self._stop = _WORD_WITH_STOP if stops_in_words else _STOP
        self.open_end: int | None = None
        """The number of pieces up to the end of a sentence that is not certain yet, or None."""
        self._needs_space = False
        self._spaced = False
        self._piece_count = 0

    def add_piece(self, piece: str) -> int | None:
        """Take one more piece. If it shows that a sentence has ended, return the number of pieces up to its end."""
        ended = None
        word = piece.strip()
        spaced = self._spaced or piece[:1].isspace()
        if self.open_end is not None and word:
            if not spaced and _CLOSING.fullmatch(word):
                self.open_end = self._piece_count + 1
            else:
                if not word[0].islower() and (spaced or not self._needs_space):
                    ended = self.open_end
                self.open_end = None
        self._piece_count += 1
        if piece:  # the bytes of a spelled word have empty pieces before its end
            self._spaced = piece[-1].isspace()
        stop = self._stop.fullmatch(word)
        if word and stop and (stop["plain"] or stop["wide"]):
            self.open_end = self._piece_count
            self._needs_space = not stop["wide"]
        return ended

    def add_end(self) -> int | None:
        """Take END, which counts as one more piece and ends the sentence. Return the number of pieces up to its end.

        Return None if the text is empty.
        """
        ended = self.open_end or self._piece_count
        self.open_end = None
        self._spaced = True
        self._piece_count += 1
        return ended or None


class WrittenToken(NamedTuple):
    """A new token of a text."""

    id: int
    token: str
    """From the vocabulary, or the word that replaced UNKNOWN."""
    piece: str
    """The characters that the token adds to the text."""
    log_probability: float
    """Log-probability by the network, before any setting changes it."""


class TextBuilder:
    """Builds a text token by token and decides when it ends.

    The tokens that show the end (END, a line break, the beginning of the next sentence) are not part of the text.
    """

    def __init__(
        self,
        seed: tuple[int, ...],
        settings: GenerationSettings,
        codec: Codec,
        replacer: UnknownReplacer | None = None,
        number: int = 0,
    ) -> None:
        """Start a text with the ids of its prompt, `seed`.

        A `replacer` replaces each UNKNOWN by a word, once the next token is known. `number` is the position of the text
        among several ones: its random seed is `settings.random_seed + number`.
        """
        self.seed = seed
        self.written: list[WrittenToken] = []
        self.ended: Ended | None = None
        self._unknown_replacer = replacer
        self.number = number
        self._pending_unknown: tuple[float, Shares] | None = None
        """For an UNKNOWN that is not replaced yet: its log-probability, and which kinds of words are expected."""
        self._settings = settings
        self._vocabulary = codec.vocabulary
        self._decoder = codec.decoder()
        self.seed_pieces = [self._decoder.decode_id(each) for each in seed]
        self._sentences = SentenceEndFinder(stops_in_words=codec.tokenizer.name == "whitespace")
        for token, piece in zip(seed, self.seed_pieces, strict=True):
            _ = self._sentences.add_end() if token == END else self._sentences.add_piece(piece)
        self._whole_sentences = 0
        self._tail = ""

    def branch(self) -> "TextBuilder":
        """Return a copy of the builder that can take other tokens from now on."""
        other = copy(self)
        other.written = list(self.written)
        other._decoder, other._sentences = copy(self._decoder), copy(self._sentences)
        return other

    @property
    def ids(self) -> list[int]:
        return [each.id for each in self.written]

    @property
    def pieces(self) -> list[str]:
        return [each.piece for each in self.written]

    @property
    def final_count(self) -> int:
        """The number of tokens that can no longer be removed."""
        return len(self.written) if self.ended or self._settings.stop != "sentence" else self._whole_sentences

    @property
    def chosen_count(self) -> int:
        """The number of tokens chosen so far, with an UNKNOWN that is not replaced yet."""
        return len(self.written) + (self._pending_unknown is not None)

    @property
    def unknown_replacements(self) -> list[int]:
        """The positions of the words that replaced UNKNOWN."""
        return [place for place, each in enumerate(self.ids) if each == UNKNOWN] if self._unknown_replacer else []

    def add(self, token: int, log_probs: LogProbs) -> None:
        """Add a token. `log_probs` are those of all tokens at this position by the network, shape (vocabulary,)."""
        log_probability = float(log_probs[token])
        self._replace_unknown(token)
        if self.ended:
            return
        if token != UNKNOWN or self._unknown_replacer is None:
            self._add(token, self._vocabulary.tokens[token], log_probability)
            return
        self._pending_unknown = log_probability, self._unknown_replacer.expected(log_probs)
        if len(self.written) + 1 == self._settings.length:
            self._replace_unknown(None)

    def _replace_unknown(self, next_id: int | None) -> None:
        if self._pending_unknown is None:
            return
        assert self._unknown_replacer is not None
        (log_probability, expected), self._pending_unknown = self._pending_unknown, None
        last = [each.id for each in self.written[-_TOKENS_BEFORE_WORD:]]
        before = [*self.seed[-_TOKENS_BEFORE_WORD:], *last][-_TOKENS_BEFORE_WORD:]
        choose = chooser(self._settings, self.number, len(self.seed) + len(self.written))
        self._add(UNKNOWN, self._unknown_replacer.word(before, expected, choose, next_id), log_probability)

    def _add(self, number: int, token: str, log_probability: float) -> None:
        settings = self._settings
        if settings.stop in ("end", "line") and self._stops_at(number):
            self.ended = settings.stop
            return
        piece = self._decoder.decode_token(token)
        if settings.stop == "sentence" and self._end_at_sentence(number, piece):
            return
        self.written.append(WrittenToken(number, token, piece, log_probability))
        if settings.until is not None and self._cut_after_until(settings.until):
            self.ended = "until"
        elif len(self.written) == settings.length:
            self._end_at_length()

    def end_without_allowed_token(self) -> None:
        """End the text, because no token is allowed next."""
        self._replace_unknown(None)
        if not self.ended:
            self._end_at_length()
        if self.ended == "length":
            self.ended = "nothing left"

    def end_after(self, until: str, pieces: Sequence[str]) -> Sequence[str]:
        """End the text with the first `until` in its pieces in another key, and return the pieces that are left."""
        whole = "".join(pieces)
        if until not in whole:
            return pieces
        left = whole.index(until) + len(until)
        kept: list[str] = []
        for piece in pieces:
            kept.append(piece[:left])
            left -= len(piece)
            if left <= 0:
                break
        del self.written[len(kept) :]
        self.ended = "until"
        return kept

    def _stops_at(self, token: int) -> bool:
        line_over = self._settings.stop == "line" and self._vocabulary.tokens[token] == LINE_BREAK
        return len(self.written) >= self._settings.at_least and (token == END or line_over)

    def _end_at_sentence(self, token: int, piece: str) -> bool:
        """Return whether a sentence has ended after at least `at_least` tokens. If so, end the text with it."""
        end = self._sentences.add_end() if token == END else self._sentences.add_piece(piece)
        if end is None or end <= len(self.seed):
            return False
        self._whole_sentences = end - len(self.seed)
        if self._whole_sentences < self._settings.at_least:
            return False
        self._end_with_sentences()
        return True

    def _end_at_length(self) -> None:
        self.ended = "length"
        if self._settings.stop != "sentence":
            return
        # When the text cannot continue, its last stop counts, although no next word has confirmed it.
        self._whole_sentences = max(self._whole_sentences, (self._sentences.open_end or 0) - len(self.seed))
        if self._whole_sentences > 0:
            self._end_with_sentences()

    def _end_with_sentences(self) -> None:
        del self.written[self._whole_sentences :]
        self.ended = "sentence"

    def _cut_after_until(self, until: str) -> bool:
        """Return whether the text now contains `until`. If so, cut off the characters after it."""
        last = self.written[-1]
        whole = self._tail + last.piece
        at = whole.find(until)
        self._tail = whole[-(len(until) - 1) :] if len(until) > 1 else ""
        if at < 0:
            return False
        surplus = len(whole) - at - len(until)
        if surplus:
            self.written[-1] = last._replace(piece=last.piece[:-surplus])
        return True


def perplexity(log_probabilities: Sequence[float]) -> float:
    """Return the exponential of the mean negative log-probability, at most exp(700); 1 for an empty sequence."""
    mean = sum(log_probabilities) / max(1, len(log_probabilities))
    return math.exp(min(-mean, 700.0))


@dataclass(frozen=True, repr=False)
class Text:
    """A generated text, with the settings and the random seed that generate it again."""

    seed: str
    text: str
    """The prompt and the text after it, with the spacing of the corpus."""
    tokens: tuple[str, ...]
    """The tokens after the prompt, as the model wrote them: those of a tune that is transposed are in another key."""
    unknown_replacements: tuple[int, ...]
    """The positions in `tokens`, from 0, of words that replaced UNKNOWN."""
    log_probabilities: tuple[float, ...]
    """The log-probability of each token by the network, before any setting changes the probabilities."""
    ended: Ended
    unknown: tuple[UnknownWord, ...]
    """The words of the prompt that were left out, because the model does not know them."""
    settings: GenerationSettings
    random_seed: int
    """The random seed of this text: that of the settings, plus `number`. With it, this text is the first one."""
    number: int
    """The position of this text among the `count` texts of its prompt, from 0."""
    draws: int = 1
    """How many texts were drawn until this one: 1, or more if a tune had to be valid."""

    @property
    def perplexity(self) -> float:
        return perplexity(self.log_probabilities)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        """Return a short description, for lists of many texts."""
        begins = " ".join(self.text[: 2 * _MAX_REPR_CHARACTERS].split())
        shown = begins if begins == self.text else f"{begins[:_MAX_REPR_CHARACTERS].rstrip()}…"
        return f"Text({shown!r}, tokens={len(self.tokens)}, random_seed={self.random_seed})"

    def _repr_html_(self) -> str:
        """Return the text as HTML for a notebook, with its line breaks."""
        return f'<div style="white-space: pre-wrap">{escape(self.text)}</div>'


@dataclass(frozen=True)
class NextWord:
    word: str
    """The word to show to the user. END, a line break and a space are named in parentheses."""
    piece: str
    """The characters that the word would add to the text, with the space before it."""
    token: str
    probability: float
