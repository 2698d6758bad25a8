"""Names of runs and sweeps, of their folders and of the files in them. This module reads no file."""

import os
import re
import stat
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from itertools import chain, count
from pathlib import Path

from wordgen.errors import SettingError

REPORT, EVALUATION = "report.json", "evaluation.json"
"""The record of a run, and the measurements of its model."""
SWEEP_RESULTS, SWEEP_TABLE = "results.json", "results.md"
"""The result files of a sweep, written when it ends. A study of palindromes also writes them when it is stopped."""
SWEEP_PLAN = "plan.json"
"""The names of all runs of a sweep, written when it begins."""
PALINDROMES = "palindromes.json"
"""The settings that all runs of a study of palindromes share. Only the folder of a study has this file."""
STUDY_RUNS, STUDY_RESULT = "runs", "result.json"
"""The folder with the runs of a study of palindromes, and the result of a run, written when the run ends."""
LOGS = "logs"
"""The folder with the output of the runs of a sweep."""

SAVED_MODELS = Path("saved_models")
"""The default folder of runs and sweeps."""
_models_folder: ContextVar[Path] = ContextVar("models", default=SAVED_MODELS)

SET_ASIDE_SUFFIX = ".before"
_NAME_PATTERN = re.compile(r"\w[\w.+-]{0,99}")
_MAX_NAME_BYTES = 200
"""Maximum length of a name in bytes. File systems allow 255, and wordgen adds marks and numbers to names."""
_MAX_CORPUS_NAME_BYTES = 60
_MAX_SHOWN_CHARACTERS = 200


def models_folder() -> Path:
    """Return the folder of runs and sweeps: saved_models, or the one that `use_models_folder` has set."""
    return _models_folder.get()


@contextmanager
def use_models_folder(folder: str | Path | None) -> Generator[None]:
    """Set the folder of runs and sweeps within the block, only for this thread. None changes nothing.

    Raise a SettingError if the path cannot be a folder.
    """
    if folder is None:
        yield
        return
    _check_models(str(folder))
    before = _models_folder.set(Path(folder))
    try:
        yield
    finally:
        _models_folder.reset(before)


def _check_models(folder: str) -> None:
    if not folder or "\0" in folder:
        raise SettingError(f"--models must be a folder, not {folder[:_MAX_SHOWN_CHARACTERS]!r}.")
    try:
        is_something_else = not stat.S_ISDIR(os.stat(folder).st_mode)
    except FileNotFoundError:
        return  # the first run makes it
    except OSError as error:
        raise SettingError(f"--models cannot be {folder[:_MAX_SHOWN_CHARACTERS]}: {error.strerror}.") from error
    if is_something_else:
        raise SettingError(f"--models must be a folder, and {folder[:_MAX_SHOWN_CHARACTERS]} is not one.")


def run_name(wanted: str | None, corpus: str) -> str:
    """Return the wanted name, or without one the corpus and the time, with a number if that name is in use.

    Raise a SettingError if the wanted name is not allowed.
    """
    if wanted is None:
        prefix = re.sub(r"[^\w.+-]+", "-", corpus).strip("-.+")
        prefix = prefix.encode()[:_MAX_CORPUS_NAME_BYTES].decode(errors="ignore") or "run"
        return unused_path(models_folder() / f"{prefix}-{datetime.now():%Y%m%d-%H%M%S}").name
    parts = wanted.split("/")
    if len(parts) > 2 or not all(
        _NAME_PATTERN.fullmatch(part) and not part.endswith(SET_ASIDE_SUFFIX) for part in parts
    ):
        raise SettingError(
            f"--name cannot be '{wanted[:100]}': use NAME or FOLDER/NAME, each with up to 100 letters, digits, dots, "
            f"dashes and underscores, begin with a letter or digit, and do not end with {SET_ASIDE_SUFFIX}."
        )
    if not all(map(_fits, parts)):
        raise SettingError(
            f"--name cannot be '{wanted[:100]}', because it has more than {_MAX_NAME_BYTES} bytes, which is too long "
            f"for file systems: use fewer characters (at most {_MAX_NAME_BYTES // 3} kanji or kana)."
        )
    return wanted


def is_run_name(name: str) -> bool:
    """Return whether a run can have this name. Allowed are also SWEEP/RUN and the names of runs that were set aside."""
    parts = name.removesuffix(SET_ASIDE_SUFFIX).split("/")
    return len(parts) <= 2 and all(_NAME_PATTERN.fullmatch(part) and _fits(part) for part in parts)


def _fits(part: str) -> bool:
    """Return whether a name is short enough in bytes."""
    return len(part.encode()) <= _MAX_NAME_BYTES


def name_of(folder: Path) -> str:
    """Return the name of the run in this folder: SWEEP/RUN if the run belongs to a sweep."""
    models, parent = models_folder(), folder.parent
    is_in_sweep = parent != models and parent.parent == models
    return f"{parent.name}/{folder.name}" if is_in_sweep else folder.name


def argument_for(folder: Path) -> str:
    """Return the argument with which a command finds the model in this folder.

    It is the name of a run in saved_models or of a base that comes with wordgen. For any other model it is the folder.
    """
    known = models_folder() in (folder.parent, folder.parent.parent) or folder.parent == shipped_folder("bases")
    return name_of(folder) if known else str(folder)


def run_exists(name: str) -> bool:
    """Return whether there is a run of this name: a folder with a record."""
    try:
        return (models_folder() / name / REPORT).is_file()
    except OSError:  # not a valid path, for example a name of 300 letters
        return False


def unused_path(path: Path) -> Path:
    """Return the path, or the first of `path-2`, `path-3`, ... that does not exist yet."""
    paths = chain([path], (path.with_name(f"{path.name}-{number}") for number in count(2)))
    return next(each for each in paths if not each.exists())


def shipped_folder(name: str) -> Path:
    """Return a folder of files that come with wordgen: inside the installed package, or else in the checkout."""
    from wordgen.corpus.catalogue import bundled_data  # imported late: --help imports this module

    data = bundled_data()
    return data / name if (data / name).is_dir() else data.parent / name
