"""The verbs of the command line. This module turns the errors of all verbs into a sentence and an exit code."""

import io
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress

from wordgen import __version__
from wordgen.cli.flags import Parser, parser_of
from wordgen.cli.output import flush_or_discard, print_message
from wordgen.errors import (
    EXIT_BUG,
    EXIT_OK,
    EXIT_STOPPED,
    EXIT_USER,
    EXIT_WORKER_LOST,
    WordgenError,
    WorkerLostError,
    package_error,
)
from wordgen.run.names import use_models_folder

VERBS = {
    "train": "train a model on a text",
    "launch": "train with several workers on this machine",
    "generate": "write text with a trained model",
    "score": "show how probable a text is for a trained model",
    "evaluate": "measure how good a trained model is, compared with word frequencies and n-grams",
    "runs": "list the runs, show one, compare several, or remove some",
    "export": "write a model to a file for Keras or ONNX, or to a base",
    "serve": "open the playground, a web page for writing with trained models",
    "sweep": "train several networks with several random seeds, and report which settings mattered",
    "palindromes": "compare how long RNN, GRU and LSTM remember a digit, and how far gradients reach",
    "corpora": "list the texts that wordgen knows, show one, or add your own",
    "tune": "check a piece of music, play it to a WAV file, or convert it",
}


def main(arguments: Sequence[str], program: str | None = "wordgen") -> int:
    """Run `wordgen VERB ...` and return the exit code. `program` is the name by which the user calls wordgen.

    If `program` is None, the command was started by the script of the verb, for example `train.py`.
    """
    verb, *given = arguments or ["--help"]
    if verb not in VERBS:
        return _run_guarded(lambda: _run_without_verb([verb, *given], program or "wordgen"), debug=False)
    prog = f"python {verb}.py" if program is None else f"{program} {verb}"
    return _run_guarded(lambda: _run(verb, given, prog), debug="--debug" in given)


def _run(verb: str, arguments: Sequence[str], prog: str) -> int:
    """Run a verb with its own flags and return the exit code. `prog` is the command as the help shows it."""
    parsed = parser_of(verb, prog).parse_args(arguments)
    with use_models_folder(getattr(parsed, "models", None)):
        code = parsed.action(parsed)
    return EXIT_OK if code is None else code


def _run_without_verb(given: Sequence[str], program: str) -> int:
    parser = Parser(prog=program, description="Train a model on a text, and write new text in its style.")
    parser.add_argument("--version", action="version", version=f"wordgen {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for verb, what_it_does in VERBS.items():
        verbs.add_parser(verb, help=f"{what_it_does}; see {program} {verb} --help")
    parser.parse_args(given)
    return EXIT_OK


def _run_guarded(action: Callable[[], int], *, debug: bool) -> int:
    """Run an action and return its exit code. An error is printed as one sentence; `debug` adds the traceback."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(io.UnsupportedOperation):  # standard input from which something was read
                stream.reconfigure(errors="replace")  # an encoding without Japanese letters prints question marks
    code = EXIT_BUG
    try:
        code = action()
    except SystemExit as ended:  # --help and --version exit after they are printed
        code = ended.code if isinstance(ended.code, int) else EXIT_OK
    except KeyboardInterrupt:
        print_message("\nStopped." if sys.stderr.isatty() else "Stopped.")
        code = EXIT_STOPPED
    except BrokenPipeError:  # the program that reads our output has ended, as `head` does
        code = EXIT_OK
    except Exception as error:
        if debug:
            print_message(traceback.format_exc())
        code = _print_error(error)
    finally:
        code = _flush_output(code)
    return code


def _print_error(error: Exception) -> int:
    """Print what went wrong and return the exit code for it."""
    if isinstance(error, ImportError) and not (error.name or "").startswith("wordgen"):
        error = package_error(error)
    if isinstance(error, WordgenError):
        print_message(" ".join(f"Error: {error}".split("\n")))
        return EXIT_WORKER_LOST if isinstance(error, WorkerLostError) else EXIT_USER
    print_message(f"Error: something went wrong in wordgen itself ({type(error).__name__}: {error}).")
    print_message("Run the same command with --debug to see where it happened, and please report it.")
    return EXIT_BUG


def _flush_output(code: int) -> int:
    """Flush standard output and standard error, and return the exit code.

    If the output cannot be written, an error other than a broken pipe is printed, and changes EXIT_OK into EXIT_USER.
    """
    error = flush_or_discard(sys.stdout)
    if code == EXIT_OK and error is not None and not isinstance(error, BrokenPipeError):
        print_message(f"Error: The output cannot be written: {error.strerror}.")
        code = EXIT_USER
    flush_or_discard(sys.stderr)
    return code
