"""From log odds to the next symbol.

What changes the odds is a pure function of a batch of log odds and of what stands already, and the one
order in which the changes are made stands in `odds_changes`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wordgen.generation.odds import NO_SYMBOL, LogOdds, OddsChange, Past
from wordgen.generation.settings import GenerationSettings
from wordgen.generation.spelled import SpellingIds, forbid_repeated_words, spell_well
from wordgen.text.vocabulary import END, START, UNKNOWN

_REMEMBERED = 64
_BLOCK = 128

Followers = Callable[[Sequence[int]], NDArray[np.integer]]
"""The symbols that follow on some others in the training text."""


@dataclass(frozen=True)
class SymbolKinds:
    """What the changes must know of a vocabulary."""

    words: NDArray[np.bool_]
    """Which symbols are words: neither punctuation nor END nor a line break."""
    line_break: int
    """The id of the line break, or NO_SYMBOL."""
    empty_units: bool = True
    """Whether the corpus has units with nothing in them, as the blank lines between verses."""
    spelling: SpellingIds | None = None
    """The ids that words are spelled with, if the vocabulary has them."""
    fills: bool = False
    """Whether a word is put in where UNKNOWN is chosen."""


def odds_changes(
    settings: GenerationSettings, kinds: SymbolKinds, followers: Followers | None = None
) -> tuple[list[OddsChange], list[OddsChange]]:
    """What is done to the log odds, in this order; the second list only matters where symbols are drawn.

    First what must not be: forbidden symbols, then a weight on repeated words, n-grams that stand already, copies. Then
    what shapes the draw: temperature, top-k, top-p, min-p, each on what the one before has left.
    """
    bans: list[OddsChange] = [forbid([START] if settings.allow_unknown or kinds.fills else [UNKNOWN, START])]
    if kinds.fills and not settings.allow_unknown:
        bans.append(forbid_unknown_twice)
    if kinds.spelling is not None:
        bans.append(spell_well(kinds.spelling))
    stops = {"end": [END], "line": [END, kinds.line_break]}.get(settings.stop, [])
    if not kinds.empty_units:
        bans.append(forbid_empty_units)
    if stops:
        bans.append(forbid_before(settings.at_least, [each for each in stops if each != NO_SYMBOL]))
    if settings.repetition_penalty != 1:
        bans.append(weigh_repeated(settings.repetition_penalty, kinds.words))
    if settings.no_repeat_ngram:
        if kinds.spelling is None:
            bans.append(forbid_repeated_ngrams(settings.no_repeat_ngram))
        else:
            bans.append(forbid_repeated_words(settings.no_repeat_ngram, kinds.spelling))
    if settings.max_copy:
        assert followers is not None
        bans.append(forbid_copies(settings.max_copy, followers, kinds.spelling))
    return bans, draw_changes(settings)


def draw_changes(settings: GenerationSettings) -> list[OddsChange]:
    """What shapes a draw."""
    shapes: list[OddsChange] = []
    if settings.temperature != 1:
        shapes.append(warm(settings.temperature))
    if settings.top_k:
        shapes.append(keep_top_k(settings.top_k))
    if settings.top_p < 1:
        shapes.append(keep_top_p(settings.top_p))
    if settings.min_p > 0:
        shapes.append(keep_min_p(settings.min_p))
    return shapes


def forbid(ids: Sequence[int]) -> OddsChange:
    def change(log_odds: LogOdds, past: Past) -> LogOdds:
        changed = log_odds.copy()
        changed[:, list(ids)] = -np.inf
        return changed

    return change


def forbid_before(written: int, ids: Sequence[int]) -> OddsChange:
    never = forbid(ids)

    def change(log_odds: LogOdds, past: Past) -> LogOdds:
        return never(log_odds, past) if past.written < written else log_odds

    return change


def forbid_unknown_twice(log_odds: LogOdds, past: Past) -> LogOdds:
    """No UNKNOWN right behind another: a word that is put in needs a neighbour to go by."""
    if not past.symbols.shape[1]:
        return log_odds
    changed = log_odds.copy()
    changed[past.symbols[:, -1] == UNKNOWN, UNKNOWN] = -np.inf
    return changed


def forbid_empty_units(log_odds: LogOdds, past: Past) -> LogOdds:
    """No END right behind another, nor at the very beginning."""
    last = past.symbols[:, -1] if past.symbols.shape[1] else np.full(len(log_odds), NO_SYMBOL)
    changed = log_odds.copy()
    changed[(last == END) | (last == NO_SYMBOL), END] = -np.inf
    return changed


def weigh_repeated(penalty: float, words: NDArray[np.bool_]) -> OddsChange:
    """Raise the odds of words that stood a short while ago to a power; punctuation may come again as it likes."""

    def change(log_odds: LogOdds, past: Past) -> LogOdds:
        recent = past.symbols[:, -_REMEMBERED:]
        rows, columns = np.nonzero((recent != NO_SYMBOL) & words[recent])
        repeated = np.zeros(log_odds.shape, np.bool_)
        repeated[rows, recent[rows, columns]] = True
        return np.where(repeated, log_odds * np.float32(penalty), log_odds)

    return change


def forbid_repeated_ngrams(n: int) -> OddsChange:
    def change(log_odds: LogOdds, past: Past) -> LogOdds:
        symbols = past.symbols
        starts = symbols.shape[1] - n + 1
        if starts < 1:
            return log_odds
        alike = symbols[:, :starts] != NO_SYMBOL
        for place in range(n - 1):  # an n-gram that would come again begins as the text ends now
            if not alike.any():
                return log_odds
            alike &= symbols[:, place : place + starts] == symbols[:, starts + place, None]
        rows, begins = np.nonzero(alike)
        changed = log_odds.copy()
        changed[rows, symbols[rows, begins + n - 1]] = -np.inf
        return changed

    return change


def forbid_copies(most: int, followers: Followers, spelling: SpellingIds | None = None) -> OddsChange:
    """Forbid what would make more than `most` symbols in a row stand as in the training text.

    A word that is spelled out counts as one, and may be ended once it is begun.
    """

    def change(log_odds: LogOdds, past: Past) -> LogOdds:
        if past.symbols.shape[1] < most:
            return log_odds
        changed = log_odds.copy()
        for row, symbols in enumerate(past.symbols):
            last = symbols[-most:].tolist() if spelling is None else spelling.last_words(symbols.tolist(), most)
            if last and last[0] != NO_SYMBOL:
                changed[row, followers(last)] = -np.inf
        return changed

    return change


def warm(temperature: float) -> OddsChange:
    """Divide by the temperature; the likeliest is set to 0 first, so that no temperature overflows."""

    def change(log_odds: LogOdds, past: Past) -> LogOdds:
        changed = log_odds - log_odds.max(axis=1, keepdims=True)
        with np.errstate(over="ignore"):  # minus a large number divided by a small one: never, and that is meant
            changed /= np.float32(temperature)
        return changed

    return change


def keep_top_k(k: int) -> OddsChange:
    """The k likeliest; of equally likely ones those with the lower ids, which are the commoner words."""

    def change(log_odds: LogOdds, past: Past) -> LogOdds:
        size = log_odds.shape[1]
        if k >= size:
            return log_odds
        least = np.partition(log_odds, size - k, axis=1)[:, size - k]
        return _keep(log_odds, _likeliest(log_odds, least, np.full(len(log_odds), k)))

    return change


def keep_top_p(p: float) -> OddsChange:
    """The fewest of the likeliest whose odds add up to p, at least one; equally likely ones by their ids."""

    def change(log_odds: LogOdds, past: Past) -> LogOdds:
        falling = np.sort(log_odds, axis=1)[:, ::-1]
        sums = np.exp(falling - falling[:, :1]).cumsum(axis=1, dtype=np.float64)
        counts = 1 + (sums[:, :-1] < p * sums[:, -1:]).sum(axis=1)
        return _keep(log_odds, _likeliest(log_odds, falling[np.arange(len(falling)), counts - 1], counts))

    return change


def _likeliest(log_odds: LogOdds, least: LogOdds, counts: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which symbols are so many of the likeliest in each row, when the last of them has `least`."""
    kept = log_odds >= least[:, None]
    for row in np.flatnonzero(kept.sum(axis=1) > counts):
        equal = np.flatnonzero(log_odds[row] == least[row])
        kept[row, equal[counts[row] - np.count_nonzero(log_odds[row] > least[row]) :]] = False
    return kept


def keep_min_p(share: float) -> OddsChange:
    """Those that have at least this share of the likeliest's odds."""

    def change(log_odds: LogOdds, past: Past) -> LogOdds:
        return _keep(log_odds, log_odds >= log_odds.max(axis=1, keepdims=True) + np.float32(np.log(share)))

    return change


def _keep(log_odds: LogOdds, kept: NDArray[np.bool_]) -> LogOdds:
    return np.where(kept, log_odds, np.float32(-np.inf))


def possible(log_odds: LogOdds) -> NDArray[np.bool_]:
    """For each text whether anything may be written at all."""
    return log_odds.max(axis=1) > -np.inf


def likeliest(log_odds: LogOdds) -> NDArray[np.intp]:
    return log_odds.argmax(axis=1)


def draw(log_odds: LogOdds, dice: Sequence[np.random.Generator]) -> NDArray[np.intp]:
    """One symbol a row, by its odds; every row has dice of its own, so rows do not depend on each other.

    The odds are summed in blocks first, and within the block that the throw falls into: of a large vocabulary most
    is never summed one by one.
    """
    odds = log_odds - log_odds.max(axis=1, keepdims=True)
    np.exp(odds, out=odds)
    starts = np.arange(0, odds.shape[1], _BLOCK)
    sums = np.add.reduceat(odds, starts, axis=1).cumsum(axis=1, dtype=np.float64)
    drawn = np.empty(len(odds), np.intp)
    for row, row_dice in enumerate(dice):
        thrown = min(row_dice.random() * sums[row, -1], np.nextafter(sums[row, -1], 0))  # a product may be rounded up
        block = int(sums[row].searchsorted(thrown, side="right"))
        in_block = odds[row, starts[block] : starts[block] + _BLOCK]
        before = sums[row, block - 1] if block else 0.0
        place = int(in_block.cumsum(dtype=np.float64).searchsorted(thrown - before, side="right"))
        # Summed as a block and one by one they may differ in the last digit; what has no odds is never drawn.
        drawn[row] = starts[block] + min(place, int(in_block.nonzero()[0][-1]))
    return drawn
