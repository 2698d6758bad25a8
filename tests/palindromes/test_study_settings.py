"""What may be chosen, how many parameters follow from it, and what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.errors import SettingError
from wordgen.palindromes.settings import LearningSettings, StudySettings, trainable_parameters

WIDTHS = {"one-hot": 10, "number": 1}


@given(st.integers(1, 600), st.sampled_from(["one-hot", "number"]))
def test_an_lstm_has_the_parameters_of_the_reports_formula(n: int, encoding: Any):
    d, k = WIDTHS[encoding], 10
    settings = LearningSettings(units=n, encoding=encoding)
    assert trainable_parameters("lstm", settings) == 4 * n * (d + n + 1) + k * (n + 1)
    assert trainable_parameters("rnn", settings) == n * (d + n + 1) + k * (n + 1)
    assert trainable_parameters("gru", settings) == 3 * n * (d + n + 2) + k * (n + 1)  # Keras's has two biases


def test_the_reports_network_has_67850_parameters():
    assert trainable_parameters("lstm", LearningSettings(units=128, encoding="number")) == 67_850


def test_one_value_or_several_in_an_order_of_our_own():
    settings = StudySettings(lengths=(40, 10, 40), cells="lstm", random_seeds=(3, 1))
    assert settings.all_lengths == (10, 40)
    assert settings.all_cells == ("lstm",)
    assert settings.all_random_seeds == (1, 3)
    assert StudySettings(cells=("lstm", "rnn")).all_cells == ("rnn", "lstm")


@pytest.mark.parametrize(
    ("given", "part"),
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
        ({"lengths": tuple(range(2, 400))}, "That would be 3,582 runs, and 1,000 is most"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(given: dict[str, Any], part: str):
    with pytest.raises(SettingError) as refused:
        StudySettings(**given)
    assert part in str(refused.value)
    assert "\n" not in str(refused.value)
