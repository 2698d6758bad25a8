"""The beginning and the end of every command, before and after the imports that take long or may fail.

This module imports nothing that does not come with Python, except small modules of wordgen, and uses no syntax that an
older Python cannot read. Therefore it also runs, and reports the problem, if Python is too old or a package is missing.
"""

import _signal as signal  # pyright: ignore[reportMissingImports] - built in: available before signal.py is imported
import os
import sys

from wordgen import TYPE_CHECKING
from wordgen.errors import ACTIVATE, EXIT_STOPPED, EXIT_USER, package_error, replace_controls

if TYPE_CHECKING:
    from types import FrameType

_OLDEST_PYTHON = (3, 11)
# The speed for a few texts is limited by reading the weights from memory. A few threads read faster than one; more
# threads only spin and wait.
_THREADS_FOR_A_FEW_TEXTS = min(4, os.cpu_count() or 1)
_STANDARD_STREAMS = ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_WRONLY))


def main(program: str = "wordgen") -> int:
    """Run `wordgen VERB ...` and return the exit code. `program` is the name by which the user calls wordgen."""
    return _begin(program, sys.argv[1:])


def run_script(verb: str) -> int:
    """Run a verb from its script, for example `train.py`, whose folder Python must not search for modules."""
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    return _begin(None, [verb, *sys.argv[1:]])


def limit_threads(most: int = _THREADS_FOR_A_FEW_TEXTS) -> None:
    """Limit the number of threads that NumPy, imported later, uses, unless the user has set OPENBLAS_NUM_THREADS."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(most))


def _begin(program: "str | None", arguments: "list[str]") -> int:
    _reopen_closed_streams()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a background process may ignore it
        signal.signal(signal.SIGINT, _interrupt)
    if sys.version_info[:2] < _OLDEST_PYTHON:
        _write_error(f"Error: wordgen needs Python 3.11 or newer, and this is {sys.version.split()[0]}: {ACTIVATE}.")
        return EXIT_USER
    code = EXIT_STOPPED
    try:
        code = _run(program, arguments)
    except KeyboardInterrupt:
        _write_error("Stopped.")
    finally:
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(code))  # a later Ctrl-C keeps the exit code
    return code


def _run(program: "str | None", arguments: "list[str]") -> int:
    try:
        from wordgen.cli import main as verbs
    except ImportError as error:
        if (error.name or "").startswith("wordgen"):
            raise
        _write_error(replace_controls(f"Error: {package_error(error)}"))
        return EXIT_USER
    return verbs.main(arguments, program)


def _reopen_closed_streams() -> None:
    """Open os.devnull for each standard stream that is closed. Otherwise the next opened file would get its number.

    Standard output is opened for reading only: writing to it still fails, as it does on a closed stream.
    """
    for number, name, flags in _STANDARD_STREAMS:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # gets `number`, the lowest free number
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="replace", closefd=False))  # noqa: SIM115


def _interrupt(number: int, frame: "FrameType | None") -> None:
    """Raise KeyboardInterrupt, or end the process during an import, which could lose or change the exception."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            _write_error("Stopped.")
            os._exit(EXIT_STOPPED)
        frame = frame.f_back
    raise KeyboardInterrupt


def _write_error(sentence: str) -> None:
    """Write a sentence directly to file descriptor 2. A signal may come while `sys.stderr` is in use."""
    try:
        os.write(2, ("\n" if os.isatty(2) else "").encode() + sentence.encode("utf-8", "replace") + b"\n")
    except OSError:
        return
