"""The settings of a study of palindromes, the number of parameters, and invalid settings."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wordgen.errors import SettingError
from wordgen.palindromes.settings import LearningSettings, StudySettings, trainable_parameters

INPUTS = {"one-hot": 10, "number": 1}


@example(128, "number")  # the network of the report, with 67,850 parameters
@given(st.integers(1, 600), st.sampled_from(["one-hot", "number"]))
def test_parameter_count_follows_formula_of_the_report(n: int, encoding: Any):
    d, k = INPUTS[encoding], 10
    settings = LearningSettings(units=n, encoding=encoding)
    assert trainable_parameters("lstm", settings) == 4 * n * (d + n + 1) + k * (n + 1)
    assert trainable_parameters("rnn", settings) == n * (d + n + 1) + k * (n + 1)
    assert trainable_parameters("gru", settings) == 3 * n * (d + n + 2) + k * (n + 1)  # the GRU of Keras has two biases


def test_values_are_sorted_without_duplicates():
    settings = StudySettings(lengths=(40, 10, 40), cells="lstm", random_seeds=(3, 1))
    assert settings.all_lengths == (10, 40)
    assert settings.all_cells == ("lstm",)
    assert settings.all_random_seeds == (1, 3)
    assert StudySettings(cells=("lstm", "rnn")).all_cells == ("rnn", "lstm")


@pytest.mark.parametrize(
    ("invalid", "part"),
    [
        ({"lengths": 1}, "--lengths must be at least 2 and at most 5,000, not 1."),
        ({"lengths": (10, 6000)}, "--lengths must be at least 2 and at most 5,000, not 6000."),
        ({"lengths": ()}, "--lengths needs one value or more."),
        ({"lengths": "10"}, "--lengths must be a whole number or a list of whole numbers, not '10'."),
        ({"cells": ("lstm", "gpt")}, "--cells must be one of lstm, gru, rnn or a list of these"),
        ({"random_seeds": -1}, "--random-seeds must be at least 0"),
        ({"units": 0}, "--units must be at least 1"),
        ({"learning_rate": float("nan")}, "--learning-rate must be"),
        ({"time_budget": "soon"}, "--time-budget must be seconds, minutes or hours"),
        ({"name": "a/b"}, "--name cannot be 'a/b'"),
        ({"name": "../a"}, "--name cannot be '../a'"),
        ({"lengths": tuple(range(2, 400))}, "That would be 3,582 runs, but a study has at most 1,000"),
    ],
)
def test_invalid_settings_are_refused_in_one_line(invalid: dict[str, Any], part: str):
    with pytest.raises(SettingError) as raised:
        StudySettings(**invalid)
    assert part in str(raised.value)
    assert "\n" not in str(raised.value)
