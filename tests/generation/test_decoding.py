"""The loop, driven by a step that needs no network."""

import numpy as np
from numpy.typing import NDArray

from wordgen.generation.decoding import decode
from wordgen.generation.settings import GenerationSettings
from wordgen.generation.step import Carry
from wordgen.text.vocabulary import END, START

SIZE = 8


class CountingStep:
    """Prefers the id after the one it is fed; its carry remembers how many ids it was fed."""

    def __init__(self) -> None:
        self.fed: list[list[int]] = []
        self.carried: list[float] = []

    def __call__(self, ids: NDArray[np.integer], carry: Carry) -> tuple[NDArray[np.float32], Carry]:
        self.fed.append(ids.tolist())
        self.carried.append(float(carry[0][0][0, 0]))
        logits = np.zeros((len(ids), SIZE), np.float32)
        following = np.where(ids == START, 3, (ids + 1) % SIZE)
        following = np.where(ids == SIZE - 1, END, following)
        logits[np.arange(len(ids)), following] = 9
        return logits, tuple((states[0] + 1,) for states in carry)


def carry(texts: int) -> Carry:
    return ((np.zeros((texts, 1), np.float32),),)


def written(step: CountingStep, seed: list[int], *, starts: bool = True, **settings: object) -> list[list[int]]:
    chosen = GenerationSettings(**{"random_seed": 1, **settings})  # pyright: ignore[reportArgumentType]
    columns = list(decode(step, carry(chosen.count), seed, chosen, range(chosen.count), starts=starts))
    return np.array(columns).T.tolist()


def test_the_seed_warms_up_the_state_and_is_not_written():
    step = CountingStep()
    assert written(step, [START, 3, 4], mode="greedy", length=2) == [[5, 6]]
    assert step.fed == [[START], [3], [4], [5]]
    assert step.carried == [0, 1, 2, 3]


def test_after_an_end_a_new_unit_starts():
    step = CountingStep()
    assert written(step, [START, 6], mode="greedy", length=5) == [[7, END, 3, 4, 5]]
    assert [START] in step.fed[2:]


def test_texts_that_brought_their_own_ends_get_no_start():
    step = CountingStep()
    assert written(step, [END, 6], starts=False, mode="greedy", length=3) == [[7, END, 3]]
    assert [START] not in step.fed


def test_the_same_random_seed_gives_the_same_ids():
    one = written(CountingStep(), [START], count=3, length=30, temperature=9.0)
    assert one == written(CountingStep(), [START], count=3, length=30, temperature=9.0)
    assert one != written(CountingStep(), [START], count=3, length=30, temperature=9.0, random_seed=2)
    assert one[0] != one[1]


def test_many_texts_are_what_fewer_would_be():
    many = written(CountingStep(), [START], count=5, length=30, temperature=9.0)
    assert written(CountingStep(), [START], count=2, length=30, temperature=9.0) == many[:2]


def test_a_text_that_starts_anew_leaves_its_neighbours_state_alone():
    states: list[list[float]] = []

    def step(ids: NDArray[np.integer], state: Carry) -> tuple[NDArray[np.float32], Carry]:
        states.append(state[0][0].ravel().tolist())
        return CountingStep()(ids, state)

    list(
        decode(
            step,
            carry(3),
            [START, 5],
            GenerationSettings(count=3, length=40, temperature=9.0, random_seed=1),
            range(3),
            starts=True,
        )
    )
    # Each text is fed one id a step, and one more for every unit that it begins.
    assert max(states[-1]) > 41
    assert len(set(states[-1])) > 1


def test_a_text_does_not_depend_on_which_others_are_written_with_it():
    chosen = GenerationSettings(length=30, temperature=9.0, random_seed=1)

    def texts(numbers: range) -> list[list[int]]:
        return np.array(
            list(decode(CountingStep(), carry(len(numbers)), [START], chosen, numbers, starts=True))
        ).T.tolist()

    assert texts(range(2, 5)) == texts(range(5))[2:]
