"""Trained models that the tests of this folder share. No test changes them."""

from pathlib import Path

import pytest

from wordgen.api import load
from wordgen.generation.trained import TrainedModel


@pytest.fixture(scope="session")
def model(trained_room: Path) -> TrainedModel:
    return load(trained_room / "saved_models" / "small")


@pytest.fixture(scope="session")
def overfitted(overfitted_room: Path) -> TrainedModel:
    return load(overfitted_room / "saved_models" / "few")
