"""A word in the place of UNKNOWN: one that was UNKNOWN in the training text, and that fits between its neighbours.

What stood between the same neighbours goes before what stood behind the same left one, that before what stood before
the same right one, and that before all others. Among those, words count as often as they stood there, and the more the
likelier the network finds known words of their kind at this place: capital or small, with this ending or that.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.unknown_words import UnknownWords, begins_sentence
from wordgen.generation.choosing import draw, draw_changes, likeliest
from wordgen.generation.odds import LogOdds, Past
from wordgen.generation.settings import GenerationSettings
from wordgen.text.escapes import JOINER, restore
from wordgen.text.vocabulary import END, UNKNOWN, Vocabulary

_ENDINGS = ("ing", "ed", "ly", "s")
_LEAST = 0.01
"""Of all words, so that none of a kind that the network does not expect is ruled out."""
_PLAUSIBLE = 0.3
"""A word whose kind is expected less than this share of the usual must not stand there, if there is any other."""
_TIE = 0.1
_LOOKED_AT = 16
_NOTHING = Past(np.zeros((1, 0), np.intp), 0)

Choose = Callable[[LogOdds], int]
"""One of several words, by the log odds of each in a row."""

Shares = NDArray[np.float64]


class Filler:
    """Chooses by what stands before, and by the symbol behind where that is known."""

    def __init__(self, unknown: UnknownWords, vocabulary: Vocabulary) -> None:
        self._words = unknown.words
        self._vocabulary = vocabulary
        self._before, self._word, self._behind, begins = np.array(unknown.places, np.int64).reshape(-1, 4).T
        self._within = ~begins.astype(np.bool_)
        capitals = [_capitalised(word) for word in unknown.words]
        # A word that is known with a capital would be another symbol.
        self._capitals = [word if vocabulary.id_of(word) == UNKNOWN else None for word in capitals]
        self._has_capital = np.array([word is not None for word in self._capitals], np.bool_)
        kinds: dict[str, int] = {}
        self._kind = np.array([kinds.setdefault(_kind(word), len(kinds)) for word in unknown.words], np.int64)
        ids = [kinds.setdefault(_kind(each), len(kinds)) for each in vocabulary.symbols[END + 1 :]]
        self._kind_of_id = np.array(ids, np.int64)
        self._kinds = len(kinds)
        counts = np.array(vocabulary.counts[END + 1 :], np.float64)
        # By the rarer half of the text: the commonest words are the ones that stand where no rare word does.
        self._rare = counts.cumsum() - counts >= counts.sum() / 2
        self._usual = self._shares(counts)
        self._all = frozenset((*unknown.words, *filter(None, self._capitals)))
        self._stood = {(before, unknown.words[word], behind) for before, word, behind, _ in unknown.places}

    def __contains__(self, word: str) -> bool:
        return word in self._all

    def stood(self, before: int, word: str, behind: int) -> bool:
        """Whether a word stood between these two in the training text, as far as that is kept."""
        return (before, word, behind) in self._stood

    def expected(self, log_odds: LogOdds) -> Shares:
        """How much more than usual the network expects known words of each kind, by its odds of all symbols."""
        return self._shares(np.exp(log_odds[END + 1 :].astype(np.float64))) / self._usual

    def word(self, ids: Sequence[int], expected: Shares, choose: Choose, behind: int | None = None) -> str:
        """For the place behind some symbols."""
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
        chosen = int(words[choose(self._log_odds(counts * expected[self._kind[words]], ids))])
        return (self._capitals[chosen] if capital else None) or self._words[chosen]

    def _log_odds(self, weights: Shares, ids: Sequence[int]) -> LogOdds:
        """Of some words; which of equals is a little likelier follows from what stands before."""
        order = np.random.default_rng(list(ids[-_LOOKED_AT:])).permutation(len(weights))
        weights = weights * (1 + _TIE * order / len(weights))
        return np.log(weights / weights.sum()).astype(np.float32)[None]

    def _begins_sentence(self, ids: Sequence[int]) -> bool:
        recent = list(ids[-3:])
        if END in recent:
            recent = recent[len(recent) - recent[::-1].index(END) :]
        return begins_sentence([self._vocabulary.symbols[each] for each in recent])

    def _shares(self, odds: Shares) -> Shares:
        shares = np.bincount(self._kind_of_id, odds * self._rare, self._kinds)
        return shares / max(shares.sum(), 1e-300) + _LEAST


def chooser(settings: GenerationSettings, number: int, place: int) -> Choose:
    """One of several words as symbols are chosen: drawn in the same way, or the likeliest. A draw follows from the
    random seed of the text, `number`, and the place in it, so no other draw depends on it."""
    if settings.mode != "sample" or settings.random_seed is None:
        return lambda log_odds: int(likeliest(log_odds)[0])

    def choose(log_odds: LogOdds) -> int:
        for change in draw_changes(settings):
            log_odds = change(log_odds, _NOTHING)
        assert settings.random_seed is not None
        return int(draw(log_odds, [np.random.default_rng([settings.random_seed + number, place])])[0])

    return choose


def _kind(symbol: str) -> str:
    """How a symbol looks: words of a kind stand in like places."""
    text = restore(symbol.strip(JOINER))
    glued = symbol.startswith(JOINER)
    if not any(map(str.isalnum, text)):
        return f"{glued} marks"
    if not any(map(str.isalpha, text)):
        return f"{glued} digits"
    if text[-1] > "\u2e7f":  # kana and kanji, which inflect by their last letter
        return "kana" if "\u3040" <= text[-1] <= "\u30ff" else "kanji"
    capital = text[:1].isupper()
    ending = next((each for each in _ENDINGS if len(text) > len(each) + 2 and text.endswith(each)), "")
    return f"{glued} {capital} {ending}"


def _capitalised(symbol: str) -> str:
    """With a capital where its text begins."""
    begin = len(symbol) - len(symbol.lstrip(JOINER))
    return symbol[:begin] + symbol[begin : begin + 1].upper() + symbol[begin + 1 :]
