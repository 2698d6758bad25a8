"""Replaces UNKNOWN by a word that was UNKNOWN in the training text and that fits between its neighbours.

The first group that has a suitable word is used: words that the training text has between the same two tokens, then
those after the same left token, then those before the same right token, then all words. If the right token is not
known, the groups that need it are left out. Within a group, the probability of a word is proportional to how often it
occurs there, times how strongly the network expects known words of the same kind at this position. The kind of a word
is its form: capitalisation and ending.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.dataset import UnknownWords, begins_sentence
from wordgen.generation.sampling import LogProbs, Past, changed_by, draw, draw_changes, likeliest
from wordgen.generation.settings import GenerationSettings
from wordgen.text.vocabulary import END, JOINER, UNKNOWN, Vocabulary, restore

_ENDINGS = ("ing", "ed", "ly", "s")
_LEAST = 0.01
"""Added to the share of each kind of word, so that words of a kind that the network does not expect remain
possible."""
_PLAUSIBLE = 0.3
"""A word is left out if the network expects its kind less than this share of the usual, unless no other word is
left."""
_TIE = 0.1
_LOOKED_AT = 16
_NOTHING = Past(np.zeros((1, 0), np.intp), 0)

Choose = Callable[[LogProbs], int]
"""Chooses one of several words by their log-probabilities, shape (1, words), and returns its index."""

Shares = NDArray[np.float64]


class Filler:
    """Chooses a word to replace UNKNOWN, by the tokens before it and, if known, by the token after it."""

    def __init__(self, unknown: UnknownWords, vocabulary: Vocabulary) -> None:
        self._words = unknown.words
        self._vocabulary = vocabulary
        self._before, self._word, self._behind, begins = np.array(unknown.places, np.int64).reshape(-1, 4).T
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
        self._usual = self._shares(counts)
        self._all = frozenset((*unknown.words, *filter(None, self._capitals)))
        self._stood = {(before, unknown.words[word], behind) for before, word, behind, _ in unknown.places}

    def __contains__(self, word: str) -> bool:
        return word in self._all

    def is_new(self, before: int | None, word: str, behind: int | None) -> bool:
        """Return whether a word may replace UNKNOWN, and the training text does not have it between these two ids.

        Of a large text, only part of its unknown words are kept and can be found. None stands for the end of a text.
        """
        return word in self and (before, word, behind) not in self._stood

    def expected(self, log_probs: LogProbs) -> Shares:
        """Return for each kind how much more than usual the network expects known words of this kind (1 is usual).

        `log_probs` has the log-probabilities of all tokens at this position, shape (vocabulary,).
        """
        return self._shares(np.exp(log_probs[END + 1 :].astype(np.float64))) / self._usual

    def word(self, ids: Sequence[int], expected: Shares, choose: Choose, behind: int | None = None) -> str:
        """Return the word for the position after `ids`.

        `expected` comes from the method of this name. `behind` is the id after the word, or None if it is not known.
        """
        before = ids[-1] if ids else END
        capital = self._begins_sentence(ids)
        fits = self._has_capital[self._word] if capital else self._within
        left = self._before == before
        levels = [left, np.ones_like(left)]
        if behind is not None:
            right = self._behind == behind
            levels = [left & right, left, right, levels[-1]]
        plausible = expected[self._kind[self._word]] >= _PLAUSIBLE
        found = next(filter(len, (self._word[level & fits & plausible] for level in levels)), self._word)
        words, counts = np.unique(found, return_counts=True)
        chosen = int(words[choose(self._log_probs(counts * expected[self._kind[words]], ids))])
        return (self._capitals[chosen] if capital else None) or self._words[chosen]

    def _log_probs(self, weights: Shares, ids: Sequence[int]) -> LogProbs:
        """Return the log-probabilities of words with these weights, shape (1, words).

        Words of equal weight get slightly different probabilities, in an order that depends on the last _LOOKED_AT
        tokens. Otherwise the same word would always win a tie.
        """
        order = np.random.default_rng(list(ids[-_LOOKED_AT:])).permutation(len(weights))
        weights = weights * (1 + _TIE * order / len(weights))
        return np.log(weights / weights.sum()).astype(np.float32)[None]

    def _begins_sentence(self, ids: Sequence[int]) -> bool:
        recent = list(ids[-3:])
        if END in recent:
            recent = recent[len(recent) - recent[::-1].index(END) :]
        return begins_sentence([self._vocabulary.tokens[each] for each in recent])

    def _shares(self, probs: Shares) -> Shares:
        shares = np.bincount(self._kind_of_id, probs * self._rare, self._kinds)
        return shares / max(shares.sum(), 1e-300) + _LEAST


def chooser(settings: GenerationSettings, number: int, place: int) -> Choose:
    """Return a function that chooses a word as the settings choose tokens: by sampling, or the most probable one.

    A draw depends only on the random seed of the text (`settings.random_seed + number`) and on the position of the word
    in it (`place`), so it does not change any other draw.
    """
    if settings.mode != "sample" or settings.random_seed is None:
        return lambda log_probs: int(likeliest(log_probs)[0])

    def choose(log_probs: LogProbs) -> int:
        log_probs = changed_by(draw_changes(settings), log_probs, _NOTHING)
        assert settings.random_seed is not None
        return int(draw(log_probs, [np.random.default_rng([settings.random_seed + number, place])])[0])

    return choose


def _kind(token: str) -> str:
    """Return the kind of a token by its form. Words of the same kind occur in similar positions.

    For most words it is made of three things: whether the token begins with a joiner mark, whether the word begins
    with a capital, and its ending.
    """
    text = restore(token.strip(JOINER))
    glued = token.startswith(JOINER)
    if not any(map(str.isalnum, text)):
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
