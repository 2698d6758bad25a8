"""How every command begins and ends, around all that takes long to import or may be missing.

Nothing is imported here that does not come with Python, and nothing that an older Python could not read.
"""

import _signal as signal  # pyright: ignore[reportMissingImports] - built in, and there before its module would be
import os
import sys

from wordgen import TYPE_CHECKING
from wordgen.cli.exits import EXIT_STOPPED, EXIT_USER

if TYPE_CHECKING:
    from types import FrameType

_OLDEST = (3, 11)
_CLOSED = ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_WRONLY))


def main(program: str = "wordgen") -> int:
    """`wordgen VERB ...`: the exit code. `program` is how the user calls it."""
    return _begin(program, sys.argv[1:])


def run_script(verb: str) -> int:
    """The same for the script of a verb, whose folder is no place to look for modules other than wordgen."""
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    return _begin(None, [verb, *sys.argv[1:]])


def _begin(program: "str | None", arguments: "list[str]") -> int:
    _open_what_is_closed()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a program in the background ignores it
        signal.signal(signal.SIGINT, _interrupt)
    if sys.version_info[:2] < _OLDEST:
        _say(f"Error: wordgen needs Python 3.11 or newer, and this is {sys.version.split()[0]}: {_REMEDY}.")
        return EXIT_USER
    code = EXIT_STOPPED
    try:
        code = _run(program, arguments)
    except KeyboardInterrupt:
        _say("Stopped.")
    finally:
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(code))  # all is said and done
    return code


_REMEDY = "activate the environment of wordgen first (. .venv/bin/activate), or let  make demo  set one up"


def _run(program: "str | None", arguments: "list[str]") -> int:
    try:
        from wordgen.cli.main import action_for
    except ImportError as error:
        from wordgen.errors import unusable_package
        from wordgen.printing import plain

        if (error.name or "").startswith("wordgen"):
            raise
        _say(plain(f"Error: {unusable_package(error)}"))
        return EXIT_USER
    return action_for(arguments, program)()


def _open_what_is_closed() -> None:
    """Give each standard stream that is closed a place: else the next file that is opened would be taken for it.

    Standard output cannot be written then, as it could not before.
    """
    for number, name, how in _CLOSED:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, how)  # its number is the lowest that is free
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="replace", closefd=False))  # noqa: SIM115


def _interrupt(number: int, frame: "FrameType | None") -> None:
    """Ctrl-C: KeyboardInterrupt, as ever. But within an import that may come out as any error, or not at all."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            _say("Stopped.")
            os._exit(EXIT_STOPPED)
        frame = frame.f_back
    raise KeyboardInterrupt


def _say(sentence: str) -> None:
    """Past all streams, which may be at work just now."""
    try:
        os.write(2, ("\n" if os.isatty(2) else "").encode() + sentence.encode("utf-8", "replace") + b"\n")
    except OSError:
        return
