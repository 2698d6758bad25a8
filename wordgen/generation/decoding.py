"""The loop: feed the last symbols, get the odds of the next, choose, again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wordgen.generation.choosing import draw, likeliest, possible
from wordgen.generation.odds import NO_SYMBOL, LogOdds, OddsChange, Past, log_odds
from wordgen.generation.step import Carry
from wordgen.text.vocabulary import END, START

_FIRST_CAPACITY = 64


class Network(Protocol):
    """What decoding sees of a network."""

    def zero_carry(self, texts: int) -> Carry: ...

    def feed(self, ids: NDArray[np.integer], carry: Carry) -> Carry: ...

    def logits(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]: ...


class Reader:
    """Texts that a network reads side by side, one row each: their state, and what stands in them.

    A new unit begins after END: its START is fed at once and does not count, where the corpus has STARTs at all.
    """

    def __init__(self, network: Network, seeds: Sequence[Sequence[int]], *, starts: bool) -> None:
        self._network = network
        self._starts = starts
        self.carry = _warmed_up(network, [_with_beginnings(seed, starts) for seed in seeds])
        width = max(map(len, seeds))
        self._symbols = np.full((len(seeds), width + _FIRST_CAPACITY), NO_SYMBOL, np.intp)
        for row, seed in enumerate(seeds):
            self._symbols[row, width - len(seed) : width] = seed
        self._width = width
        self._written = 0

    @property
    def past(self) -> Past:
        return Past(self._symbols[:, : self._width], self._written)

    def log_odds(self) -> LogOdds:
        """Of the symbol that comes next, as the network has them."""
        return log_odds(self._network.logits(self.carry[-1][0]))

    def read(self, ids: NDArray[np.intp]) -> None:
        """Read one symbol in each text."""
        self.carry = self._network.feed(ids, self.carry)
        begins = ids == END
        if self._starts and begins.any():
            begun = self._network.feed(np.full(int(begins.sum()), START), rows_of(self.carry, begins))
            _put_rows(self.carry, begins, begun)
        if self._width == self._symbols.shape[1]:
            self._symbols = np.concatenate([self._symbols, np.full_like(self._symbols, NO_SYMBOL)], axis=1)
        self._symbols[:, self._width] = ids
        self._width += 1
        self._written += 1

    def keep(self, rows: NDArray[np.integer | np.bool_]) -> None:
        """Go on with these rows only, in this order; a row may be taken more than once."""
        self.carry = rows_of(self.carry, rows)
        self._symbols = self._symbols[rows]


@dataclass(frozen=True)
class Chosen:
    """A symbol for each text, with the odds that the network itself gave it."""

    texts: list[int]
    """The numbers of the texts, as the seeds were counted."""
    ids: list[int]
    log_probabilities: list[float]
    log_odds: LogOdds
    """Of all symbols, one row for each text, as the network itself has them."""
    stuck: list[int]
    """The texts in which no symbol is allowed any more."""


class Writer:
    """Writes texts side by side, by greedy choice or by draw, until each has been ended from outside.

    Each text has dice of its own, so it does not matter which others are written with it.
    """

    def __init__(
        self,
        network: Network,
        seeds: Sequence[Sequence[int]],
        dice: Sequence[np.random.Generator] | None,
        bans: Sequence[OddsChange],
        shapes: Sequence[OddsChange],
        *,
        starts: bool,
    ) -> None:
        """Without dice the likeliest symbol is taken."""
        self._reader = Reader(network, seeds, starts=starts)
        self._dice = None if dice is None else list(dice)
        self._bans, self._shapes = bans, shapes
        self._texts = np.arange(len(seeds))

    def write_one_symbol(self) -> Chosen:
        of_network = self._reader.log_odds()
        changed = of_network
        for change in self._bans:
            changed = change(changed, self._reader.past)
        allowed = possible(changed)
        stuck: list[int] = self._texts[~allowed].tolist()
        if stuck:
            of_network, changed = of_network[allowed], changed[allowed]
            self._keep(allowed)
        ids = self._choose(changed)
        odds = of_network[np.arange(len(ids)), ids]
        if len(ids):
            self._reader.read(ids)
        return Chosen(self._texts.tolist(), ids.tolist(), odds.tolist(), of_network, stuck)

    def end(self, texts: Sequence[int]) -> None:
        """These texts are over."""
        if texts:
            self._keep(~np.isin(self._texts, texts))

    def _choose(self, changed: LogOdds) -> NDArray[np.intp]:
        if self._dice is None or not len(changed):
            return likeliest(changed)
        for shape in self._shapes:
            changed = shape(changed, self._reader.past)
        return draw(changed, self._dice)

    def _keep(self, rows: NDArray[np.bool_]) -> None:
        self._reader.keep(rows)
        self._texts = self._texts[rows]
        if self._dice is not None:
            self._dice = [dice for dice, kept in zip(self._dice, rows, strict=True) if kept]


def beginning(*, starts: bool) -> list[int]:
    """What is fed before a text: two empty units, for in training a unit has others before it (docs/experiments.md)."""
    return [END, START, END, START] if starts else [END, END]


def _with_beginnings(seed: Sequence[int], starts: bool) -> tuple[int, ...]:
    """What is fed for a seed: it stands at the beginning of a unit, and so does what follows an END in it."""
    fed = beginning(starts=starts)
    for symbol in seed:
        fed += [symbol, START] if symbol == END and starts else [symbol]
    return tuple(fed)


def _warmed_up(network: Network, seeds: Sequence[tuple[int, ...]]) -> Carry:
    """The state after each seed; the same seed is read once."""
    different = sorted(set(seeds), key=len, reverse=True)
    carry = network.zero_carry(len(different))
    for place in range(len(different[0])):
        ids = np.array([seed[place] for seed in different if place < len(seed)])
        if len(ids) == len(different):
            carry = network.feed(ids, carry)
        else:  # the shorter ones, which stand last, have been read
            longer = np.arange(len(different)) < len(ids)
            _put_rows(carry, longer, network.feed(ids, rows_of(carry, longer)))
    number = {seed: row for row, seed in enumerate(different)}
    return rows_of(carry, np.array([number[seed] for seed in seeds]))


def rows_of(carry: Carry, rows: NDArray[np.integer | np.bool_]) -> Carry:
    return tuple(tuple(state[rows] for state in states) for states in carry)


def _put_rows(carry: Carry, rows: NDArray[np.bool_], new: Carry) -> None:
    for states, new_states in zip(carry, new, strict=True):
        for state, new_state in zip(states, new_states, strict=True):
            state[rows] = new_state
