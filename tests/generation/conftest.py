"""Trained models that the tests of this folder share. No test changes them."""

from pathlib import Path

import pytest

from wordgen.api import load
from wordgen.generation.trained import TrainedModel


@pytest.fixture(scope="session")
def model(trained_folder: Path) -> TrainedModel:
    return load(trained_folder / "saved_models" / "small")


@pytest.fixture(scope="session")
def overfitted(overfitted_folder: Path) -> TrainedModel:
    return load(overfitted_folder / "saved_models" / "few")
