"""A trained model as a folder of plain files: config.json, vocabulary.json, weights.safetensors.

It holds no code and no pickle. Each file is written whole or not at all, config.json last: a folder
without it is no bundle. In the life of a run only the weights change, and those change in one move, so
there is a whole bundle at every moment. The weights name the config and vocabulary they belong to by their
checksum, and have one of their own, so every flipped bit is noticed when a bundle is loaded. They are float32, or
8-bit integers with scales where a bundle is to be small; whoever loads it gets float32.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordgen.architecture import Architecture, Shape
from wordgen.corpora.catalogue import LineBreaks, UnitKind
from wordgen.corpora.units import unit_separator
from wordgen.dataset.unknown_words import UnknownWords
from wordgen.errors import BundleError, SettingError, reason_of
from wordgen.files import make_folder, read_regular, regular_size, sealed, unsealed, write_whole
from wordgen.quantization import Arrays, dequantized, quantized, quantized_shapes
from wordgen.settings import Settings, setting
from wordgen.text.codec import Codec
from wordgen.text.settings import TokenizerName
from wordgen.text.tokenizers import tokenizer_named
from wordgen.text.vocabulary import Vocabulary

FORMAT = 7
_ABOUT_WEIGHTS = "wordgen"
CONFIG, VOCABULARY, WEIGHTS = "config.json", "vocabulary.json", "weights.safetensors"
UNKNOWN_WORDS = "unknown_words.json"
"""There where the model may put words in the place of UNKNOWN; whoever does not want to pass them on deletes it."""
_LARGEST = {CONFIG: 2**20, VOCABULARY: 2**28, UNKNOWN_WORDS: 2**30}
"""Bytes that are read at most."""
_LARGEST_HEADER = 2**20
_LARGEST_WEIGHT = 1e12
"""With larger ones a network might compute what is beyond float32."""
Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class TextConfig(Settings):
    """How text becomes symbols and back, for a model that has left its corpus behind."""

    corpus: str = setting()
    tokenizer: TokenizerName = setting()
    unit: UnitKind = setting()
    """What START and END enclose."""
    line_breaks: LineBreaks = setting()
    """Whether line breaks within a unit are symbols."""
    starts: bool = setting()
    """Whether units begin with START; a text that brought its own <eos> has END alone."""
    fold_width: bool = setting(False)
    """Whether wide and narrow forms were read as the usual ones."""

    def to_mapping(self) -> dict[str, Any]:
        """Without a word on folding where there was none: as bundles were written before it could be chosen."""
        mapping = super().to_mapping()
        if not self.fold_width:
            del mapping["fold_width"]
        return mapping


@dataclass(frozen=True, kw_only=True)
class HeadStart(Settings):
    """Which model's weights a run began with."""

    base: str = setting()
    """The name of its run, or its folder."""
    fingerprint: str = setting()
    known: int = setting(at_least=0)
    """How many tokens of the run's vocabulary the base knew."""
    new: int = setting(at_least=0)
    """How many it did not know."""
    besides: int = setting(at_least=0)
    """How many of the known ones are the base's alone: the training text does not have them."""

    def describe(self) -> str:
        """For a plan or a report."""
        besides = f", {self.besides:,} of them not in the text" if self.besides else ""
        words = f"{self.known:,} of {self.known + self.new:,} words of the vocabulary{besides}"
        return f"{self.base} (fingerprint {self.fingerprint}), which knows {words}"


@dataclass(frozen=True)
class Bundle:
    architecture: Architecture
    text: TextConfig
    vocabulary: Vocabulary
    weights: Weights
    unknown_words: UnknownWords = UnknownWords()  # noqa: RUF009 - it does not change
    """The words of the training text that are UNKNOWN, if they may be passed on."""
    head_start: HeadStart | None = None

    @property
    def codec(self) -> Codec:
        return Codec(tokenizer_named(self.text.tokenizer), self.vocabulary, unit_separator(self.text.unit))


def is_bundle(folder: Path) -> bool:
    try:
        return (folder / CONFIG).is_file()
    except OSError:  # no path at all, as a name of 300 letters
        return False


def save_bundle(bundle: Bundle, folder: Path, *, eight_bits: bool = False) -> None:
    """Write the bundle; where the folder holds one of the same config already, only its weights change.

    `eight_bits` writes the weights as 8-bit integers, in a quarter of the bytes.
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
    begun = is_bundle(folder)
    if begun and _identity(*_read_plain_files(folder)) != _identity(config, vocabulary):
        raise BundleError(f"{folder} holds another model already: choose another folder.")
    arrays: Arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in bundle.weights.items()}
    arrays = quantized(arrays) if eight_bits else arrays
    # One value: safetensors writes several in any order, and the same weights must be the same file.
    about = {"belongs_to": _identity(config, vocabulary), "crc32": _checksum(arrays, sorted(arrays))}
    weights = save(arrays, metadata={_ABOUT_WEIGHTS: json.dumps(about)})
    if not begun:
        write_whole(folder / VOCABULARY, vocabulary)
        if bundle.unknown_words:
            unknown = {"belongs_to": _identity(config, vocabulary), **bundle.unknown_words.to_json()}
            write_whole(folder / UNKNOWN_WORDS, sealed(unknown))
    write_whole(folder / WEIGHTS, weights)
    if not begun:
        write_whole(folder / CONFIG, config)


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle; whatever is wrong with it is said in a sentence before anything large is read."""
    if not folder.is_dir():
        raise BundleError(f"There is no model folder {folder}.")
    if not is_bundle(folder):
        raise BundleError(f"{folder} holds no trained model: {CONFIG} is missing.")
    config, vocabulary_json = _read_plain_files(folder)
    architecture, text, head_start = _parse_config(config, folder)
    vocabulary = _parse_vocabulary(vocabulary_json, folder)
    if len(vocabulary) != architecture.vocabulary_size:
        raise _damaged(
            folder,
            f"{CONFIG} speaks of {architecture.vocabulary_size:,} symbols, {VOCABULARY} has {len(vocabulary):,}",
        )
    identity = _identity(config, vocabulary_json)
    unknown = _load_unknown_words(folder, vocabulary, identity)
    weights = _load_weights(folder, architecture.weight_shapes(), identity)
    return Bundle(architecture, text, vocabulary, weights, unknown, head_start)


def read_config(folder: Path) -> tuple[Architecture, TextConfig]:
    """What a bundle is, without anything large being read."""
    architecture, text, _ = _parse_config(_read_plain_file(folder, CONFIG), folder)
    return architecture, text


def read_vocabulary(folder: Path) -> Vocabulary:
    """The tokens of a bundle, without its weights being read."""
    return _parse_vocabulary(_read_plain_file(folder, VOCABULARY), folder)


def fingerprint(bundle: Bundle) -> str:
    """The same for the same model, wherever it lies: of all that it writes by."""
    described = [bundle.text.to_mapping(), bundle.architecture.to_mapping(), bundle.vocabulary.to_json()]
    described.append(bundle.unknown_words.to_json())
    whole = hashlib.sha256(_to_json(described))
    for name in sorted(bundle.weights):
        whole.update(np.ascontiguousarray(bundle.weights[name], np.float32).data)
    return whole.hexdigest()[:16]


def _to_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()


def _checksum(arrays: Arrays, names: Iterable[str]) -> str:
    """A CRC finds every single flipped bit, and costs half of what SHA-256 does (docs/decisions.md)."""
    checksum = 0
    for name in names:
        checksum = zlib.crc32(arrays[name].data, checksum)
    return f"{checksum:08x}"


def _identity(config: bytes, vocabulary: bytes) -> str:
    return hashlib.sha256(config + b"\0" + vocabulary).hexdigest()


def _damaged(folder: Path, what: str) -> BundleError:
    return BundleError(f"The model in {folder} is damaged: {what}. Train it again, or copy it anew.")


def _read_plain_files(folder: Path) -> tuple[bytes, bytes]:
    return _read_plain_file(folder, CONFIG), _read_plain_file(folder, VOCABULARY)


def _read_plain_file(folder: Path, name: str) -> bytes:
    try:
        return read_regular(folder / name, _LARGEST[name])
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
                f"The model in {folder} has format {version!r}, and this wordgen reads format {FORMAT}: "
                "use the wordgen that wrote it, or train it again."
            )
        head_start = config["head_start"]
        return (
            Architecture.from_mapping(config["architecture"]),
            TextConfig.from_mapping(config["text"]),
            None if head_start is None else HeadStart.from_mapping(head_start),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SettingError) as error:
        raise _damaged(folder, f"{CONFIG} cannot be understood ({error})") from error


def _parse_vocabulary(content: bytes, folder: Path) -> Vocabulary:
    try:
        pairs = json.loads(content)
        if not all(isinstance(symbol, str) and type(count) is int and 0 <= count < 2**63 for symbol, count in pairs):
            raise ValueError("not a list of symbols with their counts")
        "".join(symbol for symbol, _ in pairs).encode()  # half of a surrogate pair is no text
        return Vocabulary((symbol, count) for symbol, count in pairs)
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(folder, f"{VOCABULARY} cannot be understood ({error})") from error


def _load_unknown_words(folder: Path, vocabulary: Vocabulary, identity: str) -> UnknownWords:
    if not (folder / UNKNOWN_WORDS).exists():
        return UnknownWords()
    content = _read_plain_file(folder, UNKNOWN_WORDS)
    try:
        value = unsealed(content)
        if value["belongs_to"] != identity:
            raise _damaged(folder, f"{UNKNOWN_WORDS} belongs to another model than {CONFIG} and {VOCABULARY}")
        return UnknownWords.from_json(value, vocabulary)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(folder, f"{UNKNOWN_WORDS} cannot be understood ({error})") from error


def _load_weights(folder: Path, shapes: dict[str, Shape], identity: str) -> Weights:
    from safetensors import SafetensorError, safe_open

    path = folder / WEIGHTS
    if not path.exists():
        raise _damaged(folder, f"{WEIGHTS} is missing")
    try:
        if regular_size(path) > 4 * sum(map(prod, shapes.values())) + _LARGEST_HEADER:
            raise _damaged(folder, f"{WEIGHTS} does not have the shape that {CONFIG} asks for")
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            found = {name: (each.get_dtype(), tuple(each.get_shape())) for name, each in slices.items()}
            eight_bits = found == quantized_shapes(shapes)
            if not eight_bits and found != {name: ("F32", shape) for name, shape in shapes.items()}:
                raise _damaged(folder, f"{WEIGHTS} does not have the shape that {CONFIG} asks for")
            about = json.loads((file.metadata() or {}).get(_ABOUT_WEIGHTS, "{}"))
            if about.get("belongs_to") != identity:
                raise _damaged(folder, f"{WEIGHTS} belongs to another model than {CONFIG} and {VOCABULARY}")
            arrays = {name: file.get_tensor(name) for name in found}
    except (SafetensorError, OSError, ValueError, AttributeError, RecursionError, MemoryError) as error:
        raise _damaged(folder, f"{WEIGHTS} cannot be read ({reason_of(error)})") from error
    if about.get("crc32") != _checksum(arrays, sorted(arrays)):
        raise _damaged(folder, f"the checksum of {WEIGHTS} is wrong")
    weights = dequantized(arrays) if eight_bits else arrays
    if not all(-_LARGEST_WEIGHT < array.min() <= array.max() < _LARGEST_WEIGHT for array in weights.values()):
        raise _damaged(folder, f"{WEIGHTS} holds values that are no numbers, or far too large")
    return weights
