"""Weights as 8-bit integers with a scale a row, in a quarter of the bytes.

A row is what belongs together: the weights of one token in the embedding and in the output, of one unit in a kernel.
Each weight is a whole number of steps from -127 to 127, and the scale is the size of a step. Biases are small and stay.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.errors import BundleError

Arrays = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float32]

_STEPS = 127
_A_ROW_A_TOKEN = ("embedding", "output/kernel")
_SCALE = "/scale"
_SMALLEST_SCALE = np.finfo(np.float32).tiny


def quantized(weights: Mapping[str, Floats]) -> dict[str, NDArray[Any]]:
    """The arrays to write: each weight as integers and its scales, or as it is."""
    return {name: array for each in weights for name, array in _quantized(each, weights[each])}


def dequantized(arrays: Arrays) -> dict[str, Floats]:
    """The weights that such arrays stand for."""
    return {
        name: array * arrays[name + _SCALE] if array.dtype == np.int8 else array
        for name, array in arrays.items()
        if not name.endswith(_SCALE)
    }


def quantized_shapes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The type, as safetensors calls it, and the shape of each array to write."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        if _stays(name):
            found[name] = "F32", shape
        else:
            found[name] = "I8", shape
            found[name + _SCALE] = "F32", tuple(1 if axis == _axis(name) else size for axis, size in enumerate(shape))
    return found


def _quantized(name: str, weight: Floats) -> Iterator[tuple[str, NDArray[Any]]]:
    if _stays(name):
        yield name, weight
        return
    if not np.isfinite(weight).all():
        raise BundleError(f"{name} holds values that are no numbers: it cannot be written as 8-bit integers.")
    peak = np.abs(weight).max(axis=_axis(name), keepdims=True)
    scale = np.maximum(peak / np.float32(_STEPS), _SMALLEST_SCALE)
    yield name, np.rint(weight / scale).astype(np.int8)
    yield name + _SCALE, scale


def _stays(name: str) -> bool:
    return name.endswith("/bias")


def _axis(name: str) -> int:
    """Along which a row lies: layers and projection have an output unit in each column."""
    return 1 if name in _A_ROW_A_TOKEN else 0
