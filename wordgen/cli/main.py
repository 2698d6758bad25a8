"""The verbs of the command line, and the one place where errors become a sentence and an exit code."""

import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module

from wordgen import __version__
from wordgen.cli.exits import EXIT_BUG, EXIT_OK, EXIT_STOPPED, EXIT_USER, EXIT_WORKER_LOST
from wordgen.cli.flags import Parser
from wordgen.cli.output import tell
from wordgen.errors import WordgenError, WorkerLostError, unusable_package

VERBS = {
    "train": "learn a text",
    "launch": "train with several workers on this machine",
    "generate": "write with a trained model",
    "score": "see how likely a model finds a text",
    "evaluate": "measure how good a model is, beside what counting words can do",
    "runs": "list what was trained, look into a run, compare several, remove some",
    "export": "write a model into one file for Keras or ONNX",
    "serve": "open the playground, a page to write on with trained models",
    "sweep": "train many networks with several random seeds, and see what mattered",
    "corpora": "list the texts that wordgen knows, look into one, add your own",
}


def main(arguments: Sequence[str], program: str = "wordgen") -> int:
    """`wordgen VERB ...`: the exit code. `program` is how the user calls it."""
    return action_for(arguments, program)()


def action_for(arguments: Sequence[str], program: str | None) -> Callable[[], int]:
    """What a command does, once all of its flags are known; without a program it is the script of the verb."""
    given = list(arguments) or ["--help"]
    if given[0] in VERBS:
        verb = given[0]
        prog = f"python {verb}.py" if program is None else f"{program} {verb}"
        return lambda: run_verb(verb, given[1:], prog)
    return lambda: _guarded(lambda: _explain(given, program or "wordgen"), debug=False)


def _explain(given: Sequence[str], program: str) -> int:
    parser = Parser(prog=program, description="Learn a text you love, and write on in its manner.")
    parser.add_argument("--version", action="version", version=f"wordgen {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for verb, what_it_does in VERBS.items():
        verbs.add_parser(verb, help=f"{what_it_does}; see {program} {verb} --help")
    parser.parse_args(given)
    return EXIT_OK


def run_verb(verb: str, arguments: Sequence[str], prog: str) -> int:
    """One verb with its own flags, as `wordgen VERB` and as the script of that name."""

    def run() -> int:
        its_module = import_module(f"wordgen.cli.{verb}")
        return its_module.run(its_module.make_parser(prog).parse_args(arguments))

    return _guarded(run, debug="--debug" in arguments)


def _guarded(action: Callable[[], int], *, debug: bool) -> int:
    """Run, and turn what goes wrong into a sentence; --debug shows where it went wrong."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a screen without Japanese letters gets question marks
    code = EXIT_BUG
    try:
        code = action()
    except SystemExit as ended:  # of --help, which is shown
        code = ended.code if isinstance(ended.code, int) else EXIT_OK
    except KeyboardInterrupt:
        tell("\nStopped." if sys.stderr.isatty() else "Stopped.")
        code = EXIT_STOPPED
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        code = EXIT_OK
    except Exception as error:
        if debug:
            tell(traceback.format_exc())
        code = _told(error)
    finally:
        code = _leave_output(code)
    return code


def _told(error: Exception) -> int:
    """Say what went wrong, and give the exit code for it."""
    if isinstance(error, ImportError) and not (error.name or "").startswith("wordgen"):
        error = unusable_package(error)
    if isinstance(error, WordgenError):
        tell(" ".join(f"Error: {error}".split("\n")))
        return EXIT_WORKER_LOST if isinstance(error, WorkerLostError) else EXIT_USER
    tell(f"Error: something in wordgen itself went wrong ({type(error).__name__}: {error}).")
    tell("Run the same command with --debug to see where, and please report it.")
    return EXIT_BUG


def _leave_output(code: int) -> int:
    """Say the last of our output now, and nothing more where nobody takes it; the exit code."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if code == EXIT_OK and not isinstance(error, BrokenPipeError):
            tell(f"Error: The text cannot be written out: {error.strerror}.")
            return EXIT_USER
    return code
