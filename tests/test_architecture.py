import json
from typing import Any

import pytest

from wordgen.errors import SettingError
from wordgen.model.architecture import Architecture, NetworkSettings


def test_number_of_parameters():
    """3 x 512 LSTM, 10,000 words: 5.12 M in the embedding, 2.1 M in each layer, 5.13 M in the output."""
    architecture = Architecture.of(NetworkSettings(), 10_000)
    assert architecture.parameters == 10_000 * 512 + 3 * 4 * 512 * (1024 + 1) + (512 + 1) * 10_000


def test_tied_output_has_only_a_bias():
    shapes = Architecture.of(NetworkSettings(tied=True), 100).weight_shapes()
    assert "output/kernel" not in shapes
    assert "projection/kernel" not in shapes
    assert shapes["output/bias"] == (100,)


def test_tied_output_of_another_width_has_a_projection():
    shapes = Architecture.of(NetworkSettings(tied=True, embedding=32, units=64), 100).weight_shapes()
    assert shapes["projection/kernel"] == (64, 32)


def test_layers_can_have_different_widths():
    architecture = Architecture.of(NetworkSettings(layers=3, units=(64, 48, 32), embedding=20), 100)
    shapes = architecture.weight_shapes()
    assert [shapes[f"layer_{n}/kernel"] for n in (1, 2, 3)] == [(20, 256), (64, 192), (48, 128)]
    assert [shapes[f"layer_{n}/recurrent_kernel"] for n in (1, 2, 3)] == [(64, 256), (48, 192), (32, 128)]
    assert shapes["output/kernel"] == (100, 32)
    assert Architecture.from_mapping(json.loads(json.dumps(architecture.to_mapping()))) == architecture


def test_embedding_defaults_to_width_of_last_layer():
    architecture = Architecture.of(NetworkSettings(layers=2, units=(64, 32), tied=True), 100)
    assert architecture.embedding == 32
    assert not architecture.projected
    assert Architecture.of(NetworkSettings(layers=2, units=(64, 32), tied=True, embedding=64), 100).projected


@pytest.mark.parametrize(
    ("layers", "units", "sentence"),
    [
        (3, (64, 32), "--units has 2 numbers, but --layers is 3"),
        (2, (64, 0), "--units must be at least 1 and at most 65,536, not 0"),
        (1, (), "--units has 0 numbers"),
        (2, ("64", "32"), "--units must be a whole number or a list of whole numbers"),
    ],
)
def test_widths_that_do_not_fit_are_refused(layers: int, units: Any, sentence: str):
    with pytest.raises(SettingError, match=sentence):
        NetworkSettings(layers=layers, units=units)
