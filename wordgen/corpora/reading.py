"""From bytes to clean text: decoded, one kind of line end, composed characters."""

import unicodedata
from pathlib import Path

from wordgen.errors import CorpusError


def read_text(path: Path) -> str:
    return clean(decode(read_bytes(path), path))


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}.") from error


def decode(raw: bytes, path: Path) -> str:
    if b"\0" in raw:
        raise CorpusError(f"{path} is not a text: it holds zero bytes. wordgen reads plain UTF-8 text files.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{path} is not UTF-8 text (line {line} has a byte 0x{raw[error.start]:02x}): "
            "save it as UTF-8 in an editor and try again."
        ) from error


def clean(text: str) -> str:
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
