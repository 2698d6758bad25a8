"""The loop: feed the last symbol, get logits, choose the next, again."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from wordgen.generation.choosing import draw, likeliest, odds_changes
from wordgen.generation.settings import GenerationSettings
from wordgen.generation.step import Carry, Step
from wordgen.text.vocabulary import END, START


def decode(
    step: Step, zero_carry: Carry, seed: Sequence[int], settings: GenerationSettings, texts: range, *, starts: bool
) -> Iterator[NDArray[np.intp]]:
    """Yield the next id of each text, `length` times.

    `texts` are the numbers of the texts that are written side by side; each number has dice of its own, so it
    does not matter which others are with it. The state is warmed up with the seed. After END a new unit begins:
    its START is fed at once and does not count, where the corpus has STARTs (`starts`) at all.
    """
    dice = [np.random.default_rng([settings.random_seed or 0, text]) for text in texts]
    changes = odds_changes(settings)
    carry = zero_carry
    for symbol in seed[:-1]:
        _, carry = step(np.full(len(texts), symbol), carry)
    last = np.full(len(texts), seed[-1], np.intp)
    for _ in range(settings.length):
        logits, carry = step(last, carry)
        if starts and (last == END).any():
            logits, carry = _begin_units(step, last == END, logits, carry)
        changed = logits.astype(np.float64)
        for change in changes:
            changed = change(changed)
        last = likeliest(changed) if settings.mode == "greedy" else draw(changed, dice)
        yield last


def _begin_units(
    step: Step, ended: NDArray[np.bool_], logits: NDArray[np.float32], carry: Carry
) -> tuple[NDArray[np.float32], Carry]:
    """Feed START to the texts that have just ended a unit, and leave the others as they are."""
    begun_logits, begun = step(np.full(int(ended.sum()), START), _rows(carry, ended))
    logits = logits.copy()
    logits[ended] = begun_logits
    for states, begun_states in zip(carry, begun, strict=True):
        for state, begun_state in zip(states, begun_states, strict=True):
            state[ended] = begun_state
    return logits, carry


def _rows(carry: Carry, chosen: NDArray[np.bool_]) -> Carry:
    return tuple(tuple(state[chosen] for state in states) for states in carry)
