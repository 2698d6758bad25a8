"""The bundle: a trained model as files, with weights in float32 or as 8-bit integers.

8-bit weights take a quarter of the bytes. A weight is the product of an integer from -127 to 127 and the scale of its
row. A row has the weights of one token in the embedding and in the output, and those of one unit in a kernel. Biases
are small and stay in float32.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.dataset.dataset import TextConfig, UnknownWords
from wordgen.errors import BundleError, SettingError, reason_of
from wordgen.files import (
    from_checksummed_json,
    make_folder,
    read_regular_file,
    regular_file_size,
    to_checksummed_json,
    write_atomically,
)
from wordgen.model.architecture import Architecture, Shape
from wordgen.settings import Settings, setting
from wordgen.text.tokenizers import Codec, tokenizer_named
from wordgen.text.vocabulary import Vocabulary

Arrays = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float32]
Weights = Mapping[str, Floats]
"""The weights of a network by their names in architecture.py."""

_MAX_INTEGER = 127
_ROW_PER_TOKEN = ("embedding", "output/kernel")
_SCALE = "/scale"
_MIN_SCALE = np.finfo(np.float32).tiny


def quantized(weights: Weights) -> dict[str, NDArray[np.generic]]:
    """Return the arrays to write: for each weight its integers and its scales, or the weight itself if it is a bias.

    Raises BundleError if a weight is not finite.
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, weight in weights.items():
        if _stays_float32(name):
            arrays[name] = weight
            continue
        if not np.isfinite(weight).all():
            raise BundleError(
                f"{name} has values that are not finite, so it cannot be written as 8-bit integers: export another "
                "model."
            )
        peak = np.abs(weight).max(axis=_axis(name), keepdims=True)
        scale = np.maximum(peak / np.float32(_MAX_INTEGER), _MIN_SCALE)
        arrays[name], arrays[name + _SCALE] = np.rint(weight / scale).astype(np.int8), scale
    return arrays


def dequantized(arrays: Arrays) -> Weights:
    """Return the weights that the result of `quantized` represents."""
    return {
        name: array * arrays[name + _SCALE] if array.dtype == np.int8 else array
        for name, array in arrays.items()
        if not name.endswith(_SCALE)
    }


def quantized_shapes(shapes: Mapping[str, Shape]) -> dict[str, tuple[str, Shape]]:
    """Return the name, the safetensors type and the shape of each array that `quantized` returns."""
    found: dict[str, tuple[str, Shape]] = {}
    for name, shape in shapes.items():
        if _stays_float32(name):
            found[name] = "F32", shape
        else:
            found[name] = "I8", shape
            found[name + _SCALE] = "F32", tuple(1 if axis == _axis(name) else size for axis, size in enumerate(shape))
    return found


def _stays_float32(name: str) -> bool:
    return name.endswith("/bias")


def _axis(name: str) -> int:
    """Return the axis along which a row extends. In layers and the projection, a row is a column of the array."""
    return 1 if name in _ROW_PER_TOKEN else 0


FORMAT = 8
_METADATA_KEY = "wordgen"
CONFIG, VOCABULARY, WEIGHTS = "config.json", "vocabulary.json", "weights.safetensors"
UNKNOWN_WORDS = "unknown_words.json"
"""Only present if the model may replace UNKNOWN by these words. Delete it to pass on the model without them."""
BUNDLE_FILES = (CONFIG, VOCABULARY, WEIGHTS, UNKNOWN_WORDS)
_MAX_FILE_BYTES = {CONFIG: 2**20, VOCABULARY: 2**28, UNKNOWN_WORDS: 2**30}
"""The largest size of each file that is read, in bytes."""
_MAX_HEADER_BYTES = 2**20
_MAX_WEIGHT = 1e12
"""The largest absolute value of a weight. With larger ones the network might compute values beyond float32."""


@dataclass(frozen=True, kw_only=True)
class HeadStart(Settings):
    """Describes the base whose weights a run began with."""

    base: str = setting()
    """The name of the base's run, or its folder."""
    fingerprint: str = setting()
    known: int = setting(at_least=0)
    """How many ordinary tokens of the run's vocabulary the base knew."""
    new: int = setting(at_least=0)
    """How many ordinary tokens of the run's vocabulary the base did not know."""
    besides: int = setting(at_least=0)
    """How many of the known tokens come from the base only, because the training text does not contain them."""

    def describe(self) -> str:
        """Return a description for a plan or a report."""
        besides = f", {self.besides:,} of them not in the text" if self.besides else ""
        words = f"{self.known:,} of {self.known + self.new:,} words of the vocabulary{besides}"
        return f"{self.base} (fingerprint {self.fingerprint}), which has {words}"


@dataclass(frozen=True)
class Bundle:
    """A trained model: its weights and all that is needed to generate text with it."""

    architecture: Architecture
    text: TextConfig
    vocabulary: Vocabulary
    weights: Weights
    unknown_words: UnknownWords = UnknownWords()  # noqa: RUF009 - it is immutable
    """The words of the training text that the vocabulary does not know, if they may be passed on."""
    head_start: HeadStart | None = None

    @property
    def codec(self) -> Codec:
        return Codec(tokenizer_named(self.text.tokenizer), self.vocabulary, self.text.separator)


def is_bundle(folder: Path) -> bool:
    """Return whether the folder contains a bundle."""
    try:
        return (folder / CONFIG).is_file()
    except OSError:  # not a valid path, for example a name of 300 letters
        return False


def save_bundle(bundle: Bundle, folder: Path, *, eight_bits: bool = False) -> None:
    """Write a bundle to a folder. If the folder already contains the same model, only its weights are replaced.

    Raises BundleError if the folder contains a model with another configuration or vocabulary.
    """
    from safetensors.numpy import save

    config = _to_json(
        {
            "format": FORMAT,
            "text": bundle.text.to_mapping(),
            "architecture": bundle.architecture.to_mapping(),
            "head_start": None if bundle.head_start is None else bundle.head_start.to_mapping(),
        }
    )
    vocabulary = _to_json(bundle.vocabulary.to_json())
    make_folder(folder)
    already_exists = is_bundle(folder)
    if already_exists and _identity(*_read_plain_files(folder)) != _identity(config, vocabulary):
        raise BundleError(f"{folder} already contains another model: choose another folder.")
    arrays: Arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in bundle.weights.items()}
    arrays = quantized(arrays) if eight_bits else arrays
    # One value only: safetensors writes several in arbitrary order, and the same weights must give the same file.
    metadata = {"belongs_to": _identity(config, vocabulary), "crc32": _checksum(arrays)}
    weights = save(arrays, metadata={_METADATA_KEY: json.dumps(metadata)})
    if not already_exists:
        write_atomically(folder / VOCABULARY, vocabulary)
        if bundle.unknown_words:
            unknown = {"belongs_to": _identity(config, vocabulary), **bundle.unknown_words.to_json()}
            write_atomically(folder / UNKNOWN_WORDS, to_checksummed_json(unknown))
    write_atomically(folder / WEIGHTS, weights)
    if not already_exists:
        write_atomically(folder / CONFIG, config)


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle. Raise BundleError with a clear sentence if a file is missing, damaged or too large.

    Sizes and shapes are checked before the weights are read.
    """
    if not folder.is_dir():
        raise BundleError(f"There is no model folder {folder}.")
    if not is_bundle(folder):
        raise BundleError(f"{folder} contains no trained model: {CONFIG} is missing.")
    config, vocabulary_json = _read_plain_files(folder)
    architecture, text, head_start = _parse_config(config, folder)
    vocabulary = _parse_vocabulary(vocabulary_json, folder)
    if len(vocabulary) != architecture.vocabulary_size:
        raise _damaged(
            folder,
            f"{CONFIG} says {architecture.vocabulary_size:,} tokens, but {VOCABULARY} has {len(vocabulary):,}",
        )
    identity = _identity(config, vocabulary_json)
    unknown = _load_unknown_words(folder, vocabulary, identity)
    weights = _load_weights(folder, architecture.weight_shapes(), identity)
    return Bundle(architecture, text, vocabulary, weights, unknown, head_start)


def read_config(folder: Path) -> tuple[Architecture, TextConfig]:
    """Return the architecture and the text configuration of a bundle, without reading its large files."""
    architecture, text, _ = _parse_config(_read_plain_file(folder, CONFIG), folder)
    return architecture, text


def read_vocabulary(folder: Path) -> Vocabulary:
    """Return the vocabulary of a bundle, without reading its weights."""
    return _parse_vocabulary(_read_plain_file(folder, VOCABULARY), folder)


def fingerprint(bundle: Bundle) -> str:
    """Return a hash of all that the model's output depends on. It is the same wherever the model is stored."""
    hashed_parts = [bundle.text.to_mapping(), bundle.architecture.to_mapping(), bundle.vocabulary.to_json()]
    hashed_parts.append(bundle.unknown_words.to_json())
    digest = hashlib.sha256(_to_json(hashed_parts))
    for name in sorted(bundle.weights):
        digest.update(np.ascontiguousarray(bundle.weights[name], np.float32).data)
    return digest.hexdigest()[:16]


def _to_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()


def _checksum(arrays: Arrays) -> str:
    """Return the CRC-32 of the arrays (docs/decisions.md says why it is not SHA-256)."""
    checksum = 0
    for name in sorted(arrays):
        checksum = zlib.crc32(arrays[name].data, checksum)
    return f"{checksum:08x}"


def _identity(config: bytes, vocabulary: bytes) -> str:
    return hashlib.sha256(config + b"\0" + vocabulary).hexdigest()


def _damaged(folder: Path, what: str) -> BundleError:
    return BundleError(f"The model in {folder} is damaged: {what}. Train it again, or copy it again.")


def _read_plain_files(folder: Path) -> tuple[bytes, bytes]:
    return _read_plain_file(folder, CONFIG), _read_plain_file(folder, VOCABULARY)


def _read_plain_file(folder: Path, name: str) -> bytes:
    try:
        return read_regular_file(folder / name, _MAX_FILE_BYTES[name])
    except FileNotFoundError as error:
        raise _damaged(folder, f"{name} is missing") from error
    except OSError as error:
        raise BundleError(f"{folder / name} cannot be read: {reason_of(error)}.") from error


def _parse_config(content: bytes, folder: Path) -> tuple[Architecture, TextConfig, HeadStart | None]:
    try:
        config = json.loads(content)
        version = config["format"]
        if version != FORMAT:
            raise BundleError(
                f"The model in {folder} has format {version!r}, but this version of wordgen reads format "
                f"{FORMAT}: use the version that wrote it, or train the model again."
            )
        head_start = config["head_start"]
        return (
            Architecture.from_mapping(config["architecture"]),
            TextConfig.from_mapping(config["text"]),
            None if head_start is None else HeadStart.from_mapping(head_start),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SettingError) as error:
        raise _damaged(folder, f"{CONFIG} is not valid ({error})") from error


def _parse_vocabulary(content: bytes, folder: Path) -> Vocabulary:
    try:
        pairs = json.loads(content)
        if not all(isinstance(token, str) and type(count) is int and 0 <= count < 2**63 for token, count in pairs):
            raise ValueError("not a list of tokens with their counts")
        "".join(token for token, _ in pairs).encode()  # fails for half of a surrogate pair, which is not text
        return Vocabulary((token, count) for token, count in pairs)
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(folder, f"{VOCABULARY} is not valid ({error})") from error


def _load_unknown_words(folder: Path, vocabulary: Vocabulary, identity: str) -> UnknownWords:
    if not (folder / UNKNOWN_WORDS).exists():
        return UnknownWords()
    content = _read_plain_file(folder, UNKNOWN_WORDS)
    try:
        value = from_checksummed_json(content)
        if value["belongs_to"] != identity:
            raise _damaged(folder, f"{UNKNOWN_WORDS} does not belong to {CONFIG} and {VOCABULARY}")
        return UnknownWords.from_json(value, vocabulary)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(folder, f"{UNKNOWN_WORDS} is not valid ({error})") from error


def _load_weights(folder: Path, shapes: dict[str, Shape], identity: str) -> Weights:
    from safetensors import SafetensorError, safe_open

    path = folder / WEIGHTS
    if not path.exists():
        raise _damaged(folder, f"{WEIGHTS} is missing")
    try:
        if regular_file_size(path) > 4 * sum(map(prod, shapes.values())) + _MAX_HEADER_BYTES:
            raise _damaged(folder, f"the shapes in {WEIGHTS} are not those of {CONFIG}")
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            found = {name: (each.get_dtype(), tuple(each.get_shape())) for name, each in slices.items()}
            eight_bits = found == quantized_shapes(shapes)
            if not eight_bits and found != {name: ("F32", shape) for name, shape in shapes.items()}:
                raise _damaged(folder, f"the shapes in {WEIGHTS} are not those of {CONFIG}")
            metadata = json.loads((file.metadata() or {}).get(_METADATA_KEY, "{}"))
            if metadata.get("belongs_to") != identity:
                raise _damaged(folder, f"{WEIGHTS} does not belong to {CONFIG} and {VOCABULARY}")
            arrays = {name: file.get_tensor(name) for name in found}
    except (SafetensorError, OSError, ValueError, AttributeError, RecursionError, MemoryError) as error:
        raise _damaged(folder, f"{WEIGHTS} cannot be read ({reason_of(error)})") from error
    if metadata.get("crc32") != _checksum(arrays):
        raise _damaged(folder, f"the checksum of {WEIGHTS} is wrong")
    weights = dequantized(arrays) if eight_bits else arrays
    if not all(-_MAX_WEIGHT < array.min() <= array.max() < _MAX_WEIGHT for array in weights.values()):
        raise _damaged(folder, f"{WEIGHTS} has values that are not finite or far too large")
    return weights
