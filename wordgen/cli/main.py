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
from wordgen.cli.output import plain
from wordgen.errors import WordgenError, WorkerLostError

_VERBS = {
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


def main(arguments: Sequence[str] | None = None, program: str = "wordgen") -> int:
    """`wordgen VERB ...`: the exit code. `program` is how the user calls it."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if given and given[0] in _VERBS:
        return run_verb(given[0], given[1:], prog=f"{program} {given[0]}")
    parser = Parser(prog=program, description="Learn a text you love, and write on in its manner.")
    parser.add_argument("--version", action="version", version=f"wordgen {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for verb, what_it_does in _VERBS.items():
        verbs.add_parser(verb, help=f"{what_it_does}; see {program} {verb} --help")
    return _guarded(lambda: (parser.parse_args(given), EXIT_OK)[1], debug=False)


def run_verb(verb: str, arguments: Sequence[str], prog: str) -> int:
    """One verb with its own flags, as `wordgen VERB` and as the script of that name."""
    its_module = import_module(f"wordgen.cli.{verb}")
    debug = "--debug" in arguments
    return _guarded(lambda: its_module.run(its_module.make_parser(prog).parse_args(arguments)), debug=debug)


def _guarded(action: Callable[[], int], *, debug: bool) -> int:
    """Run, and turn what goes wrong into a sentence; --debug shows where it went wrong."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a screen without Japanese letters gets question marks
    try:
        return action()
    except KeyboardInterrupt:
        _say("\nStopped.")
        return EXIT_STOPPED
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        return EXIT_OK
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, WordgenError):
            _say(plain(f"Error: {error}"))
            return EXIT_WORKER_LOST if isinstance(error, WorkerLostError) else EXIT_USER
        _say(f"Error: something in wordgen itself went wrong ({type(error).__name__}: {error}).")
        _say("Run the same command with --debug to see where, and please report it.")
        return EXIT_BUG
    finally:
        _leave_output()


def _leave_output() -> None:
    """Say the last of our output now, and nothing more where nobody takes it."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)
