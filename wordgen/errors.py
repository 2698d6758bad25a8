"""What a user can mend.

Every error of this family carries one sentence that says what is wrong and what to do. The command
line prints that sentence and leaves with exit code 2; anything else that is raised is a bug of ours.
"""

import sys
from pathlib import Path


class WordgenError(Exception):
    """The family: catch this to catch everything that wordgen refuses."""


class SettingError(WordgenError):
    """A setting or flag has a value that cannot work."""


class CorpusError(WordgenError):
    """The text is missing, empty, unreadable or too short."""


class BundleError(WordgenError):
    """A saved model is missing, damaged or from another version."""


class DivergedError(WordgenError):
    """A training went off into numbers that are none."""


class WorkerLostError(WordgenError):
    """One of several workers has gone, or never came: all must be started again."""


class StorageError(WordgenError):
    """A file could not be written: no space, no permission."""


class MissingPartError(WordgenError):
    """A part of wordgen that is installed on demand is not there."""


def unusable_package(error: ImportError) -> MissingPartError:
    """A package that wordgen needs is not there for this Python, or is broken; in a sentence."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        name = error.name.partition(".")[0]
        return MissingPartError(
            f"This Python ({sys.executable}) does not have {name}, which wordgen needs: {_remedy()}."
        )
    reason = " ".join(str(error).split())[:300].rstrip(".")
    return MissingPartError(
        f"A package that wordgen needs cannot be imported by this Python ({sys.executable}): {reason}. It may be "
        f"damaged, or made for another machine: {_remedy()}."
    )


def _remedy() -> str:
    root = Path(__file__).resolve().parents[1]
    if not (root / "Makefile").is_file():
        return "install wordgen anew with  python -m pip install --force-reinstall wordgen"
    return "activate the environment of wordgen first (. .venv/bin/activate), or let  make demo  set one up"


def reason_of(error: Exception) -> str:
    """What went wrong, as part of a sentence: without the number that the system has for it."""
    return (getattr(error, "strerror", None) or str(error)).rstrip(".")
