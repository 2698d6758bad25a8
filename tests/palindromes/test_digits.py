"""The task: palindromes, whose last digit is the first; and what a layer begins with."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.palindromes.settings import DIGITS, StudyRun
from wordgen.palindromes.trainer import (
    Part,
    draw_palindromes,
    encoding_table,
    first_bias,
    inputs_and_targets,
    random_generator,
)

LSTM = StudyRun("lstm", 100, 1)


@given(st.integers(0, 20), st.integers(2, 60), st.integers(0, 2**31 - 1))
def test_every_row_is_a_palindrome_of_that_length(count: int, length: int, seed: int):
    found = draw_palindromes(count, length, np.random.default_rng(seed))
    assert found.shape == (count, length)
    assert (found == found[:, ::-1]).all()
    assert (found < DIGITS).all()


@given(st.integers(1, 20), st.integers(2, 60), st.integers(0, 2**31 - 1))
def test_the_last_digit_follows_from_the_first_and_is_not_read(count: int, length: int, seed: int):
    whole = draw_palindromes(count, length, np.random.default_rng(seed))
    read, last = inputs_and_targets(whole)
    assert read.shape == (count, length - 1)
    assert (read == whole[:, :-1]).all()
    assert (last == read[:, 0]).all()


def test_the_first_half_is_random_with_all_digits_alike():
    half = draw_palindromes(20_000, 6, np.random.default_rng(1))[:, :3].astype(int)
    pairs = np.bincount(half[:, 0] * DIGITS + half[:, 1], minlength=DIGITS**2)
    expected = len(half) / DIGITS**2
    chi_squared = float(((pairs - expected) ** 2 / expected).sum())
    assert chi_squared < 150  # of 99 degrees of freedom; 149 in one case of a thousand


def test_batches_are_repeatable_and_no_two_parts_or_steps_are_alike():
    parts: tuple[Part, ...] = ("train", "valid", "test")
    runs = (LSTM, StudyRun("lstm", 100, 2))
    drawn = [draw_palindromes(8, 30, random_generator(*each)).tobytes() for each in product(runs, parts, (0, 1))]
    again = draw_palindromes(8, 30, random_generator(LSTM, "train", 0)).tobytes()
    assert len(set(drawn)) == len(drawn)
    assert drawn[0] == again


def test_cells_of_one_random_seed_learn_the_same_palindromes():
    one, other = (
        draw_palindromes(8, 30, random_generator(StudyRun(cell, 30, 3), "train", 5)) for cell in ("rnn", "gru")
    )
    assert (one == other).all()


def test_a_digit_is_ten_inputs_or_one_with_mean_0_and_variance_1():
    assert (encoding_table("one-hot") == np.eye(DIGITS)).all()
    number = encoding_table("number")
    assert number.shape == (DIGITS, 1)
    assert number.mean() == pytest.approx(0, abs=1e-6)
    assert number.var() == pytest.approx(1)
    assert (np.diff(number[:, 0]) > 0).all()


@given(st.integers(3, 2000), st.integers(0, 1000))
def test_a_unit_begins_with_a_gate_that_lets_it_remember_up_to_the_length(length: int, seed: int):
    bias = np.zeros(4 * 16, np.float32)
    run = StudyRun("lstm", length, seed)
    begun = first_bias(run, bias, None, length)
    kept = 1 / (1 + np.exp(-begun[16:32]))
    remembered = 1 / (1 - kept)
    assert (remembered >= 2 - 1e-4).all()
    assert (remembered <= length + 1e-2 * length).all()
    assert (begun[:16] == -begun[16:32]).all()
    assert (begun[32:] == 0).all()
    assert (bias == 0).all()
    shorter = first_bias(run, bias, None, 3)  # with a curriculum it writes more, and keeps as long
    assert (shorter[16:32] == begun[16:32]).all()
    assert (shorter[:16] >= begun[:16]).all()
    gru = first_bias(StudyRun("gru", length, seed), np.zeros((2, 3 * 16), np.float32), None, length)
    assert (gru[0, :16] == begun[16:32]).all()


def test_a_forget_bias_that_is_given_is_taken():
    lstm = first_bias(LSTM, np.zeros(12, np.float32), 1.0, 100)
    assert lstm.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    gru = first_bias(StudyRun("gru", 100, 1), np.zeros((2, 9), np.float32), 2.5, 100)
    assert gru.tolist() == [[2.5] * 3 + [0] * 6, [0] * 9]
    rnn = np.arange(3, dtype=np.float32)
    assert first_bias(StudyRun("rnn", 100, 1), rnn, 2.5, 100).tolist() == rnn.tolist()
