"""Weights as 8-bit integers: rounding errors, round trips, and refused files."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import load_file, save_file

from tests.helpers.bundles import make_bundle, same_bundle
from wordgen.errors import BundleError
from wordgen.model.bundle import WEIGHTS, Bundle, dequantized, load_bundle, quantized, quantized_shapes, save_bundle

NAMES = ("embedding", "layer_1/kernel", "layer_1/recurrent_kernel", "output/kernel", "projection/kernel")
_ROUNDING = 1e-4  # rounding error of float32, in steps


@given(
    name=st.sampled_from(NAMES),
    weight=arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.one_of(st.just(0.0), st.floats(-(2.0**39), 2.0**39, width=32), st.floats(-1, 1, width=32)),
    ),
)
def test_weights_round_trip_within_half_a_step(name: str, weight: np.ndarray):
    written = quantized({name: weight})
    assert {each: (array.dtype.name, array.shape) for each, array in written.items()} == {
        each: ({"I8": "int8", "F32": "float32"}[kind], shape)
        for each, (kind, shape) in quantized_shapes({name: weight.shape}).items()
    }
    loaded, scale = dequantized(written)[name], written[f"{name}/scale"].astype(np.float64)
    assert loaded.dtype == np.float32
    assert (np.abs(loaded.astype(np.float64) - weight) <= (0.5 + _ROUNDING) * scale).all()
    assert (loaded[weight == 0] == 0).all()


@pytest.mark.parametrize("token_weights", ["embedding", "output/kernel"])
def test_each_token_row_and_kernel_column_has_its_own_scale(token_weights: str):
    """So one huge weight does not make other tokens and units less exact."""
    weight = np.full((3, 4), 0.1, np.float32)
    weight[1, 2] = 1e6
    written = dequantized(quantized({token_weights: weight, "layer_1/kernel": weight}))
    np.testing.assert_allclose(written[token_weights][[0, 2]], weight[[0, 2]], rtol=1e-6)
    np.testing.assert_allclose(written["layer_1/kernel"][:, [0, 1, 3]], weight[:, [0, 1, 3]], rtol=1e-6)
    assert written[token_weights][1].tolist() == pytest.approx([0, 0, 1e6, 0])


def test_biases_stay_unchanged(tmp_path: Path):
    bundle = make_bundle()
    save_bundle(bundle, tmp_path, eight_bits=True)
    loaded = load_bundle(tmp_path)
    biases = [name for name in bundle.weights if name.endswith("bias")]
    assert len(biases) == 3
    assert all((loaded.weights[name] == bundle.weights[name]).all() for name in biases)


def test_rounded_weights_stay_unchanged_when_saved_again(tmp_path: Path):
    save_bundle(make_bundle(), tmp_path / "once", eight_bits=True)
    once = load_bundle(tmp_path / "once")
    assert not same_bundle(once, make_bundle())
    for name in ("again", "and again"):
        save_bundle(once, tmp_path / name, eight_bits=True)
    again = load_bundle(tmp_path / "again")
    assert all(np.allclose(again.weights[name], weight, rtol=1e-6, atol=0) for name, weight in once.weights.items())
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (tmp_path / "and again" / WEIGHTS).read_bytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_saved(value: float, tmp_path: Path):
    bundle = make_bundle()
    bundle.weights["layer_2/kernel"][0, 0] = value
    with pytest.raises(BundleError, match="layer_2/kernel has values that are not finite"):
        save_bundle(bundle, tmp_path, eight_bits=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e13])
def test_scales_that_are_not_finite_or_too_large_are_refused(value: float, tmp_path: Path):
    bundle = make_bundle()
    save_with_changed_array(
        tmp_path, bundle, "embedding/scale", np.full((len(bundle.vocabulary), 1), value, np.float32)
    )
    with pytest.raises(BundleError, match="values that are not finite or far too large"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("embedding/scale", np.ones((2, 1), np.float32)),
        ("embedding/scale", np.ones((7, 1), np.float16)),
        ("embedding", np.ones((7, 3), np.uint8)),
        ("layer_1/bias", np.ones(16, np.int8)),
        ("more/scale", np.ones(1, np.float32)),
    ],
)
def test_arrays_of_other_types_or_shapes_are_refused(name: str, array: np.ndarray, tmp_path: Path):
    save_with_changed_array(tmp_path, make_bundle(), name, array)
    with pytest.raises(BundleError, match=r"the shapes in weights\.safetensors are not those"):
        load_bundle(tmp_path)


def save_with_changed_array(folder: Path, bundle: Bundle, name: str, array: np.ndarray) -> None:
    """Save a bundle with another array in place of its own, and with a valid checksum."""
    import zlib

    from safetensors import safe_open

    save_bundle(bundle, folder, eight_bits=True)
    path = folder / WEIGHTS
    with safe_open(path, framework="numpy") as file:
        metadata = json.loads(file.metadata()["wordgen"])
    changed = {**load_file(path), name: array}
    checksum = 0
    for each in sorted(changed):
        checksum = zlib.crc32(np.ascontiguousarray(changed[each]).data, checksum)
    save_file(changed, path, metadata={"wordgen": json.dumps({**metadata, "crc32": f"{checksum:08x}"})})
