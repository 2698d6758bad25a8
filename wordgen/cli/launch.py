"""`launch`: several workers on this machine, started again together when one is lost."""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import wordgen
from wordgen.cli import train
from wordgen.cli.exits import EXIT_OK, EXIT_STOPPED, EXIT_WORKER_LOST
from wordgen.cli.flags import Parser
from wordgen.errors import SettingError
from wordgen.run_folder import REPORT, SAVED_MODELS, run_name

_LOOK_AFTER = 0.1
_SECONDS_TO_LEAVE = 45  # a worker notices within 30 that another is lost


def make_parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        description="Train with several workers on this machine. When one is lost, all start again and go on from the "
        "last checkpoint.",
        epilog=f"Example: {prog} --workers 2 -- --corpus lotr --layers 1",
        allow_abbrev=False,
    )
    parser.add_argument("--workers", type=int, required=True, metavar="N", help="how many processes (required)")
    parser.add_argument(
        "--restarts", type=int, default=3, metavar="N", help="how often to start again at most (default: 3)"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error (default: no)")
    parser.add_argument("arguments", nargs="*", metavar="-- ARGUMENTS", help="those of train")
    return parser


def run(arguments: argparse.Namespace) -> int:
    if not 1 <= arguments.workers <= 64:
        raise SettingError(f"--workers must be 1 to 64, not {arguments.workers}.")
    given: list[str] = arguments.arguments[1:] if arguments.arguments[:1] == ["train"] else arguments.arguments
    return _Crew(arguments.workers, _Commands(given), arguments.restarts).work()


class _Commands:
    """What the workers are told at the first start and at each that follows."""

    def __init__(self, given: Sequence[str]) -> None:
        parsed = train.make_parser("wordgen train").parse_args(given)  # what is wrong is said once, not by each worker
        if "distribute" in parsed:
            raise SettingError("wordgen launch makes the workers itself: leave out --distribute.")
        if parsed.resume is None and "corpus" not in parsed:
            raise SettingError("--corpus is required behind the --, or --resume to go on with a run.")
        self._given = list(given)
        self._name: str = parsed.name if "name" in parsed else ""
        if not self._name and parsed.resume is None:
            # All starts must mean the same run.
            self._name = run_name(None, Path(parsed.corpus).stem)
            self._given += ["--name", self._name]
        self._resumes = parsed.resume is not None
        self._overwrites = bool(getattr(parsed, "overwrite", False))
        self._began = time.time()

    def next(self) -> list[str]:
        more = ["--distribute", "multiworker"]
        if self._resumes or not self._has_begun():
            return [*self._given, *more]
        return [*(each for each in self._given if each != "--overwrite"), *more, "--resume"]

    def _has_begun(self) -> bool:
        """Whether an earlier start has come so far; an older run of the name, which shall be replaced, is none."""
        try:
            return (SAVED_MODELS / self._name / REPORT).stat().st_mtime >= self._began
        except OSError:
            return False


class _Crew:
    def __init__(self, workers: int, commands: _Commands, restarts: int) -> None:
        self._workers, self._commands, self._restarts = workers, commands, restarts
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stopping = False

    def work(self) -> int:
        # Ctrl-C reaches the workers by itself: a terminal sends it to all.
        before = {signal.SIGINT: self._note, signal.SIGTERM: self._pass_on}
        before = {number: signal.signal(number, handler) for number, handler in before.items()}
        try:
            return self._until_done()
        finally:
            self._kill()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _until_done(self) -> int:
        for restart in range(self._restarts + 1):
            if restart:
                print(
                    f"{self._what_happened()} Starting all {self._workers} again from the last checkpoint "
                    f"(restart {restart} of {self._restarts}).",
                    file=sys.stderr,
                )
            self._start()
            code = self._wait()
            if code != EXIT_WORKER_LOST or self._stopping:
                return EXIT_STOPPED if self._stopping and code == EXIT_WORKER_LOST else code
        return EXIT_WORKER_LOST

    def _start(self) -> None:
        addresses = [f"127.0.0.1:{port}" for port in _free_ports(self._workers)]
        command = [sys.executable, "-m", "wordgen", "train", *self._commands.next()]
        self._processes = [
            subprocess.Popen(
                command,
                env=_environment({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}),
                stdout=None if number == 0 else subprocess.DEVNULL,
            )
            for number in range(self._workers)
        ]

    def _what_happened(self) -> str:
        codes = enumerate(process.returncode for process in self._processes)
        killed = [f"Worker {number} was killed by signal {-code}." for number, code in codes if code < 0]
        return " ".join(killed) or "No worker is left."

    def _wait(self) -> int:
        """Until all have left; who stays long after another has failed is made to."""
        failed_at: float | None = None
        while any(process.poll() is None for process in self._processes):
            time.sleep(_LOOK_AFTER)
            if failed_at is None and any(process.poll() for process in self._processes):
                failed_at = time.monotonic()
            if failed_at is not None and time.monotonic() - failed_at > _SECONDS_TO_LEAVE:
                self._kill()
        return _together([process.wait() for process in self._processes])

    def _kill(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(number)


def _together(codes: Sequence[int]) -> int:
    """One exit code for all: a mistake that no restart can mend, or a worker lost, or stopped, or done."""
    for code in codes:
        if code > 0 and code not in (EXIT_WORKER_LOST, EXIT_STOPPED):
            return code
    if any(code < 0 or code == EXIT_WORKER_LOST for code in codes):
        return EXIT_WORKER_LOST
    return EXIT_STOPPED if EXIT_STOPPED in codes else EXIT_OK


def _environment(config: dict[str, object]) -> dict[str, str]:
    root = str(Path(wordgen.__file__).parents[1])
    paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "TF_CONFIG": json.dumps(config), "PYTHONPATH": paths}


def _free_ports(number: int) -> list[int]:
    """Ports that are free now; held all at once, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
