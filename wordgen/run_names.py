"""What runs and sweeps are called, their folders and the files in them. Nothing is read here."""

import re
from datetime import datetime
from itertools import chain, count
from pathlib import Path

from wordgen.errors import SettingError

REPORT = "report.json"
SWEEP_RESULTS, SWEEP_TABLE = "results.json", "results.md"
"""What a sweep that came to its end has beside its runs."""
LOGS = "logs"
"""The folder of what the runs of a sweep said."""

SAVED_MODELS = Path("saved_models")

SET_ASIDE = ".before"
_NAME = re.compile(r"\w[\w.+-]{0,99}")
_MOST_BYTES = 200
"""Of a name: file systems take 255, and wordgen puts marks and numbers around it."""
_MOST_BYTES_OF_A_CORPUS = 60


def run_name(wanted: str | None, corpus: str) -> str:
    """The wanted name, if it can be one; else the corpus and the time, with a number where that is taken."""
    if wanted is None:
        plain = re.sub(r"[^\w.+-]+", "-", corpus).strip("-.")
        plain = plain.encode()[:_MOST_BYTES_OF_A_CORPUS].decode(errors="ignore") or "run"
        return free_path(SAVED_MODELS / f"{plain}-{datetime.now():%Y%m%d-%H%M%S}").name
    parts = wanted.split("/")
    if len(parts) > 2 or not all(_NAME.fullmatch(part) and not part.endswith(SET_ASIDE) for part in parts):
        raise SettingError(
            f"--name cannot be '{wanted[:100]}': take up to 100 letters, digits, dots, dashes and underscores, "
            "beginning with a letter or digit."
        )
    if not all(map(_fits, parts)):
        raise SettingError(
            f"--name cannot be '{wanted[:100]}': these letters take more than {_MOST_BYTES} bytes, and file systems "
            f"do not take much more: take fewer, as {_MOST_BYTES // 3} kanji or kana."
        )
    return wanted


def is_run_name(name: str) -> bool:
    """Whether a run can be called so, or one that was set aside; one of a sweep's with the sweep's name first."""
    parts = name.removesuffix(SET_ASIDE).split("/")
    return len(parts) <= 2 and all(_NAME.fullmatch(part) and _fits(part) for part in parts)


def _fits(part: str) -> bool:
    """Whether a name leaves room, as a file system counts, for what is put around it."""
    return len(part.encode()) <= _MOST_BYTES


def is_set_aside(folder: Path) -> bool:
    return folder.name.endswith(SET_ASIDE)


def name_of(folder: Path) -> str:
    """How a run is called whose folder that is: of one of a sweep's, the sweep's name comes first."""
    if folder.parent.parent == SAVED_MODELS:
        return f"{folder.parent.name}/{folder.name}"
    return folder.name


def is_run(name: str) -> bool:
    """Whether a run of this name has begun."""
    try:
        return (SAVED_MODELS / name / REPORT).is_file()
    except OSError:  # no path at all, as a name of 300 letters
        return False


def free_path(path: Path) -> Path:
    """This folder, or one with a number behind its name, that is not there yet."""
    paths = chain([path], (path.with_name(f"{path.name}-{number}") for number in count(2)))
    return next(each for each in paths if not each.exists())
