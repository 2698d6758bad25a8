"""Puts an exported step into a file, or a base into a folder, whole or not at all."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Literal

from wordgen.bundle import Bundle, is_bundle
from wordgen.errors import SettingError
from wordgen.exporting.base_folder import write_base
from wordgen.exporting.interface import carry_vectors, description
from wordgen.files import whole_file

Format = Literal["keras", "onnx", "base"]

_METADATA = "metadata.json"
"""The part of a .keras file that says what wrote it; Keras does not read it again."""


def export(bundle: Bundle, format: Format, path: Path, *, overwrite: bool = False) -> None:
    """Write the step of a model for Keras or an ONNX runtime, or a base; what must be refused is refused at once."""
    check_place(format, path, overwrite=overwrite)
    if format == "base":
        write_base(bundle, path)
        return
    write = _write_keras if format == "keras" else _write_onnx
    with whole_file(path, overwrite=overwrite) as partial:
        write(bundle, partial)


def check_place(format: Format, path: Path, *, overwrite: bool) -> None:
    if format == "base":
        _check_folder(path, overwrite=overwrite)
        return
    if path.suffix != f".{format}":
        raise SettingError(f"--output must end in .{format}, not '{path.name[-100:]}': others know the format by that.")
    if path.is_dir():
        raise SettingError(f"{path} is a folder: give --output the name of a file.")
    if not path.parent.is_dir():
        raise SettingError(f"There is no folder {path.parent}: make it first, or give another --output.")
    if path.exists() and not overwrite:
        raise SettingError(f"{path} is there already: give another --output, or --overwrite to replace it.")


def _check_folder(path: Path, *, overwrite: bool) -> None:
    if path.exists() and not path.is_dir():
        raise SettingError(f"{path} is a file: give --output the name of a folder.")
    if is_bundle(path) and not overwrite:
        raise SettingError(f"{path} is there already: give another --output, or --overwrite to replace it.")
    if path.is_dir() and not is_bundle(path) and any(path.iterdir()):
        raise SettingError(f"{path} holds other files, and no model: give another --output.")


def _write_onnx(bundle: Bundle, path: Path) -> None:
    from wordgen.exporting.onnx_step import onnx_model

    path.write_bytes(onnx_model(bundle).SerializeToString())


def _write_keras(bundle: Bundle, path: Path) -> None:
    import wordgen.model  # noqa: F401 - first, for it keeps TensorFlow's start-up notes off the screen
    from wordgen.model.stock import stock_model

    carry = [(vector.name, vector.next_name, vector.width) for vector in carry_vectors(bundle.architecture)]
    plain = path.with_name(f"plain-{path.name}")
    stock_model(bundle.architecture, bundle.weights, carry).save(plain)
    with zipfile.ZipFile(plain) as saved, zipfile.ZipFile(path, "w") as ours:
        for part in saved.infolist():
            with saved.open(part) as content, ours.open(part.filename, "w", force_zip64=True) as copy:
                if part.filename == _METADATA:
                    told = {**json.load(content), "wordgen": description(bundle)}
                    copy.write(json.dumps(told).encode())
                else:
                    shutil.copyfileobj(content, copy)
