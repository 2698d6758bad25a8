"""Errors that a user can fix, the text of messages, and the exit codes of commands.

The message of a WordgenError is one sentence that says what is wrong and what to do. The command line prints it and
exits with code 2 (75 for WorkerLostError). Every other exception is a bug in wordgen.
"""

import sys
from collections.abc import Iterable
from pathlib import Path


class WordgenError(Exception):
    """Base class of all errors that wordgen raises on purpose. Catch it to catch all of them."""


class SettingError(WordgenError):
    """A setting or flag has an invalid value."""


class CorpusError(WordgenError):
    """The text is missing, empty, unreadable or too short."""


class BundleError(WordgenError):
    """A saved model is missing, damaged or written by another version of wordgen."""


class DivergedError(WordgenError):
    """The training diverged: a loss, a gradient or a perplexity became infinite or not a number."""


class WorkerLostError(WordgenError):
    """One of several workers was lost or never started. All workers must be started again."""


class StorageError(WordgenError):
    """A file could not be written, for example because there is no space or no permission."""


class MissingPartError(WordgenError):
    """A package that wordgen needs, or one that is only installed on demand, is missing or broken."""


def package_error(error: ImportError) -> MissingPartError:
    """Return an error that says which package is missing or broken in this Python, and how to install it."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        name = error.name.partition(".")[0]
        return MissingPartError(
            f"This Python ({sys.executable}) does not have {name}, which wordgen needs: {_install_advice()}."
        )
    reason = " ".join(str(error).split())[:300].rstrip(".")
    return MissingPartError(
        f"A package that wordgen needs cannot be imported by this Python ({sys.executable}): {reason}. It may be "
        f"damaged, or made for another machine: {_install_advice()}."
    )


ACTIVATE = "activate the environment of wordgen first (. .venv/bin/activate), or run  make demo  to create it"


def _install_advice() -> str:
    is_checkout = (Path(__file__).resolve().parents[1] / "Makefile").is_file()
    return ACTIVATE if is_checkout else "install wordgen again with  python -m pip install --force-reinstall wordgen"


def reason_of(error: Exception) -> str:
    """Return the reason of an error as part of a sentence, without the error number of the system."""
    return (getattr(error, "strerror", None) or str(error)).rstrip(".")


_CONTROL_CHARACTERS = {*range(0x20), *range(0x7F, 0xA0)} - {ord("\n"), ord("\t")}
_DIRECTION_CONTROLS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""Characters that change the direction of the text after them.

Direction marks that act at one position only and joiners are not in this set, because some scripts need them.
"""
_REPLACEMENTS = dict.fromkeys(_CONTROL_CHARACTERS | _DIRECTION_CONTROLS, "?")


def replace_controls(text: str) -> str:
    """Replace each control character by a question mark, also those that change the text direction.

    Line breaks and tabs stay.
    """
    return text.translate(_REPLACEMENTS)


def in_a_sentence(words: Iterable[str], limit: int | None = None) -> str:
    """Return words as a list in a sentence: `a, b and c`. If `limit` is 2 and there are 5: `a, b and 3 more`."""
    shown = list(words)
    if limit is not None and len(shown) > limit:
        shown = [*shown[:limit], f"{len(shown) - limit:,} more"]
    return ", ".join([*shown[:-2], " and ".join(shown[-2:])])


def pluralized(number: int, noun: str) -> str:
    """Return a number with a noun: `1 token`, `1,200 tokens`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


EXIT_OK = 0
EXIT_BUG = 1
"""A bug in wordgen."""
EXIT_USER = 2
"""An error that the user can fix. The message says how, in one sentence."""
EXIT_WORKER_LOST = 75
"""One of several workers was lost or never started. Start all of them again (`wordgen launch` does this).

A sweep exits with this code when one of its runs was lost. The same command then continues the sweep.
"""
EXIT_STOPPED = 130
"""Stopped by Ctrl-C or SIGTERM. The best model is kept."""
