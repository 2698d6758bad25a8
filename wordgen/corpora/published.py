"""Texts that come with splits of their own, as public benchmarks do: which file belongs to which split."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

_MEANINGS: dict[str, Split] = {
    "train": "train", "training": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip
_WORDS = re.compile(r"[a-z]+")


def published_splits(files: Sequence[Path]) -> tuple[Split, ...]:
    """The split of each file by its name, as in `ptb.valid.txt`; none, unless each has one and none is missing."""
    splits: list[Split] = [split for path in files if (split := split_named(path)) is not None]
    return tuple(splits) if len(splits) == len(files) and set(splits) == set(SPLITS) else ()


def split_named(path: Path) -> Split | None:
    """The split that the name of a file tells."""
    told: set[Split] = {_MEANINGS[word] for word in _WORDS.findall(path.name.lower()) if word in _MEANINGS}
    return told.pop() if len(told) == 1 else None


def name_without_split(name: str) -> str:
    """What is left of `ptb.train` without its split: the name of the whole."""
    return "-".join(word for word in re.split(r"[\W_]+", name) if word.lower() not in _MEANINGS)
