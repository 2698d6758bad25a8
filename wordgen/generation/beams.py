"""Beam search: the likeliest text as a whole, and not word by word."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wordgen.generation.choosing import possible
from wordgen.generation.decoding import Network, Reader
from wordgen.generation.drafts import Draft
from wordgen.generation.odds import LogOdds, OddsChange
from wordgen.generation.settings import GenerationSettings


@dataclass
class _Beam:
    draft: Draft
    scores: list[float]
    """The sum of log odds after each symbol."""
    greedy: bool
    """Whether it is the one that greedy choice would write. It is never dropped, so no search ends below it."""

    def final_score(self, length_penalty: float) -> float:
        """With what the text ended on; what lies behind its last whole sentence does not count."""
        length = len(self.draft.ids) + (self.draft.ended in ("end", "line"))
        return self.scores[length - 1] / length**length_penalty if length else 0.0


def search(
    network: Network,
    blank: Draft,
    settings: GenerationSettings,
    bans: Sequence[OddsChange],
    *,
    starts: bool,
    between: Callable[[], None] = lambda: None,
) -> list[Draft]:
    """The best texts that go on from a blank draft, `count` of them at most, the best first.

    `between` is called before each symbol; what it raises stops the search.
    """
    reader = Reader(network, [blank.seed], starts=starts)
    alive = [_Beam(blank, [], greedy=True)]
    finished: list[_Beam] = []
    while alive:
        between()
        of_network = reader.log_odds()
        changed = of_network
        for change in bans:
            changed = change(changed, reader.past)
        reached = np.array([beam.scores[-1] if beam.scores else 0.0 for beam in alive])[:, None] + changed
        rows, ids = _best(reached, settings.beams)
        greedy_row = next((row for row, beam in enumerate(alive) if beam.greedy), None)
        greedy_id = -1 if greedy_row is None else int(changed[greedy_row].argmax())
        if greedy_row is not None and np.isfinite(changed[greedy_row, greedy_id]):
            rows, ids = _with(rows, ids, greedy_row, greedy_id)
        for row in np.flatnonzero(~possible(changed)).tolist():
            alive[row].draft.nothing_left()
            finished.append(alive[row])
        grown: list[_Beam] = []
        for row, symbol in zip(rows.tolist(), ids.tolist(), strict=True):
            draft = alive[row].draft.branch()
            draft.add(symbol, float(of_network[row, symbol]), of_network[row])
            scores = [*alive[row].scores, float(reached[row, symbol])]
            grown.append(_Beam(draft, scores, greedy=row == greedy_row and symbol == greedy_id))
        finished += [beam for beam in grown if beam.draft.ended]
        going = [number for number, beam in enumerate(grown) if not beam.draft.ended]
        if going:
            reader.keep(rows[going])
            reader.read(ids[going])
        alive = [grown[number] for number in going]
    return [beam.draft for beam in _different(finished, settings)]


def _best(reached: LogOdds, most: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The best continuations, best first; equals in the order of beams and ids."""
    flat = reached.ravel()
    if most < flat.size:
        least = np.partition(flat, flat.size - most)[flat.size - most]
        candidates = np.flatnonzero(flat >= least)
    else:
        candidates = np.arange(flat.size)
    candidates = candidates[np.isfinite(flat[candidates])]
    best = candidates[np.argsort(-flat[candidates], kind="stable")][:most]
    return np.divmod(best, reached.shape[1])


def _with(
    rows: NDArray[np.intp], ids: NDArray[np.intp], row: int, symbol: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The continuations with this one among them, in the place of the last if need be."""
    if not ((rows == row) & (ids == symbol)).any():
        rows[-1], ids[-1] = row, symbol
    return rows, ids


def _different(finished: list[_Beam], settings: GenerationSettings) -> list[_Beam]:
    """The best of each text: two that were cut back to the same sentence are one."""
    best_of_text: dict[tuple[int, ...], _Beam] = {}
    for beam in sorted(finished, key=lambda beam: -beam.final_score(settings.length_penalty)):
        best_of_text.setdefault(tuple(beam.draft.ids), beam)
    return list(best_of_text.values())[: settings.count]
