import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.dataset.batches import Batches, PreparedBatches, evaluation_batches, longest_seq_len
from wordgen.errors import CorpusError
from wordgen.text.vocabulary import START

IDS = np.arange(3, 1003).astype(np.uint16)  # every id once, so an id shows its position


def make_batches(batch_size: int = 4, seq_len: int = 5, random_seed: int = 1) -> Batches:
    return Batches(IDS, batch_size, seq_len, random_seed)


def test_targets_are_inputs_shifted_by_one():
    inputs, targets = make_batches().batch(epoch=3, step=2)
    assert inputs.shape == targets.shape == (4, 5)
    following = np.append(IDS[1:], IDS[:1])
    np.testing.assert_array_equal(targets, following[inputs - 3])


def test_rows_continue_from_batch_to_batch():
    batches = make_batches()
    for step in range(batches.steps_per_epoch - 1):
        _, targets = batches.batch(2, step)
        inputs, _ = batches.batch(2, step + 1)
        np.testing.assert_array_equal(inputs[:, 0], targets[:, -1])


@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 5))
def test_epoch_reads_no_token_twice_and_nearly_all_tokens(batch_size: int, seq_len: int, epoch: int):
    batches = make_batches(batch_size, seq_len)
    read = np.concatenate([batches.batch(epoch, step)[0].ravel() for step in range(batches.steps_per_epoch)])
    assert len(set(read.tolist())) == len(read)
    assert len(IDS) - len(read) < batch_size * seq_len + batch_size


def test_batch_depends_only_on_random_seed_epoch_and_step():
    np.testing.assert_array_equal(make_batches().batch(5, 7)[0], make_batches().batch(5, 7)[0])
    assert (make_batches().batch(5, 7)[0] != make_batches().batch(6, 7)[0]).any()
    assert (make_batches().batch(5, 7)[0] != make_batches(random_seed=2).batch(5, 7)[0]).any()


def test_too_short_text_is_refused():
    with pytest.raises(CorpusError, match=r"1,000 tokens, but one batch of 100 x 15 needs 1,501"):
        make_batches(100, 15)


@given(st.integers(2, 400), st.integers(1, 7), st.integers(1, 9))
def test_evaluation_counts_each_token_except_the_first_once(length: int, streams: int, seq_len: int):
    batches = evaluation_batches(IDS[:length], streams, seq_len)
    inputs = np.concatenate([batch[0].ravel() for batch in batches])
    targets = np.concatenate([batch[1].ravel() for batch in batches])
    counted = targets != START
    assert sorted(targets[counted].tolist()) == IDS[1:length].tolist()
    np.testing.assert_array_equal(inputs[counted] + 1, targets[counted])


@given(st.integers(1, 4), st.integers(1, 30), st.integers(1, 5))
def test_varied_step_lengths_read_the_same_tokens(rows: int, seq_len: int, epoch: int):
    constant, varied = Batches(IDS, rows, seq_len, 7), Batches(IDS, rows, seq_len, 7, vary_seq_len=True)
    assert constant.steps_per_epoch == varied.steps_per_epoch
    windows = [varied.batch(epoch, step) for step in range(varied.steps_per_epoch)]
    lengths = [inputs.shape[1] for inputs, _ in windows]
    assert max(lengths) <= longest_seq_len(seq_len, vary_seq_len=True) <= 1.5 * seq_len
    assert min(lengths) >= seq_len / 2
    for part in (0, 1):
        ids = np.concatenate([window[part] for window in windows], axis=1)
        expected = np.concatenate(
            [constant.batch(epoch, step)[part] for step in range(constant.steps_per_epoch)], axis=1
        )
        np.testing.assert_array_equal(ids, expected)


def test_step_lengths_vary_with_step_epoch_and_random_seed():
    def lengths(epoch: int, random_seed: int = 1) -> list[int]:
        batches = Batches(IDS, 2, 20, random_seed, vary_seq_len=True)
        return [batches.batch(epoch, step)[0].shape[1] for step in range(batches.steps_per_epoch)]

    assert len(set(lengths(1))) > 5
    assert lengths(1) != lengths(2)
    assert lengths(1) != lengths(1, random_seed=2)
    assert lengths(3) == lengths(3)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4), st.integers(1, 3)), max_size=8), st.data())
def test_prepared_batches_equal_direct_batches(requests: list[tuple[int, int, int]], data: st.DataObject):
    """The batches that are taken, others or none have been prepared."""
    batches = Batches(IDS, 2, 5, 7)
    prepared = PreparedBatches(batches)
    for epoch, first_step, count in requests:
        taken = prepared.take(epoch, first_step, count)
        assert len(taken) == count
        for k, batch in enumerate(taken):
            np.testing.assert_array_equal(batch, batches.batch(epoch, first_step + k))
        if request := data.draw(st.sampled_from([None, *requests])):
            prepared.prepare(*request)
