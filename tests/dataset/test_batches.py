import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.dataset.batches import Batches, PreparedBatches, evaluation_batches, longest_step
from wordgen.errors import CorpusError
from wordgen.text.vocabulary import START

IDS = np.arange(3, 1003).astype(np.uint16)  # every id once, so that a place can be told from its id


def make(batch_size: int = 4, seq_len: int = 5, random_seed: int = 1) -> Batches:
    return Batches(IDS, batch_size, seq_len, random_seed)


def test_targets_are_the_inputs_one_later():
    inputs, targets = make().batch(epoch=3, step=2)
    assert inputs.shape == targets.shape == (4, 5)
    following = np.append(IDS[1:], IDS[:1])
    np.testing.assert_array_equal(targets, following[inputs - 3])


def test_each_row_goes_on_where_it_was():
    batches = make()
    for step in range(batches.steps_per_epoch - 1):
        _, targets = batches.batch(2, step)
        inputs, _ = batches.batch(2, step + 1)
        np.testing.assert_array_equal(inputs[:, 0], targets[:, -1])


@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 5))
def test_an_epoch_reads_no_token_twice_and_leaves_out_less_than_a_batch(batch_size: int, seq_len: int, epoch: int):
    batches = make(batch_size, seq_len)
    read = np.concatenate([batches.batch(epoch, step)[0].ravel() for step in range(batches.steps_per_epoch)])
    assert len(set(read.tolist())) == len(read)
    assert len(IDS) - len(read) < batch_size * seq_len + batch_size


def test_a_batch_follows_from_seed_epoch_and_step_alone():
    np.testing.assert_array_equal(make().batch(5, 7)[0], make().batch(5, 7)[0])
    assert (make().batch(5, 7)[0] != make().batch(6, 7)[0]).any()
    assert (make().batch(5, 7)[0] != make(random_seed=2).batch(5, 7)[0]).any()


def test_too_little_text_says_how_much_is_needed():
    with pytest.raises(CorpusError, match=r"1,000 tokens, but one batch of 100 x 15 needs 1,501"):
        make(100, 15)


@given(st.integers(2, 400), st.integers(1, 7), st.integers(1, 9))
def test_evaluation_counts_every_token_but_the_first_once(length: int, streams: int, seq_len: int):
    batches = evaluation_batches(IDS[:length], streams, seq_len)
    inputs = np.concatenate([batch[0].ravel() for batch in batches])
    targets = np.concatenate([batch[1].ravel() for batch in batches])
    counted = targets != START
    assert sorted(targets[counted].tolist()) == IDS[1:length].tolist()
    np.testing.assert_array_equal(inputs[counted] + 1, targets[counted])


@given(st.integers(1, 4), st.integers(1, 30), st.integers(1, 5))
def test_steps_of_differing_lengths_read_what_even_ones_do(rows: int, seq_len: int, epoch: int):
    even, uneven = Batches(IDS, rows, seq_len, 7), Batches(IDS, rows, seq_len, 7, vary=True)
    assert even.steps_per_epoch == uneven.steps_per_epoch
    windows = [uneven.batch(epoch, step) for step in range(uneven.steps_per_epoch)]
    lengths = [inputs.shape[1] for inputs, _ in windows]
    assert max(lengths) <= longest_step(seq_len, vary=True) <= 1.5 * seq_len
    assert min(lengths) >= seq_len / 2
    for part in (0, 1):
        whole = np.concatenate([window[part] for window in windows], axis=1)
        expected = np.concatenate([even.batch(epoch, step)[part] for step in range(even.steps_per_epoch)], axis=1)
        np.testing.assert_array_equal(whole, expected)


def test_lengths_differ_from_step_to_step_and_from_epoch_to_epoch():
    def lengths(epoch: int, random_seed: int = 1) -> list[int]:
        batches = Batches(IDS, 2, 20, random_seed, vary=True)
        return [batches.batch(epoch, step)[0].shape[1] for step in range(batches.steps_per_epoch)]

    assert len(set(lengths(1))) > 5
    assert lengths(1) != lengths(2)
    assert lengths(1) != lengths(1, random_seed=2)
    assert lengths(3) == lengths(3)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4), st.integers(1, 3)), max_size=8), st.data())
def test_batches_that_are_prepared_are_those_that_are_taken(places: list[tuple[int, int, int]], data: st.DataObject):
    """Whatever was prepared before: what is taken, nothing, or something else."""
    batches = Batches(IDS, 2, 5, 7)
    prepared = PreparedBatches(batches)
    for epoch, first, number in places:
        found = prepared.take(epoch, first, number)
        assert len(found) == number
        for k, window in enumerate(found):
            np.testing.assert_array_equal(window, batches.batch(epoch, first + k))
        if place := data.draw(st.sampled_from([None, *places])):
            prepared.prepare(*place)
