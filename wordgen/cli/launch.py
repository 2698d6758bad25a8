"""`launch`: several workers on this machine, started again together when one is lost."""

import argparse
import json
import os
import secrets
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from pathlib import Path
from types import FrameType
from typing import IO

from wordgen.child_process import wordgen_command
from wordgen.cli import train
from wordgen.cli.exits import EXIT_OK, EXIT_STOPPED, EXIT_WORKER_LOST
from wordgen.cli.flags import Parser, given_settings, verb_parser
from wordgen.cli.output import show, tell
from wordgen.cli.private_network import PrivateNetwork
from wordgen.commands import flag_words
from wordgen.corpora.settings import ReadingSettings
from wordgen.errors import SettingError
from wordgen.run_names import REPORT, SAVED_MODELS
from wordgen.training.meeting import SECRET
from wordgen.training.stopping import stop_signals
from wordgen.training.workers import LAUNCHER, PORTS

_LOOK_AFTER = 0.1
_SECONDS_TO_LEAVE = 45  # a worker notices within 30 that another is lost
_SECONDS_AFTER_A_MISTAKE = 2


def make_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        "Train with several workers on this machine. When one is lost, all start again and go on from the "
        "last checkpoint.",
        "--workers 2 -- --corpus lotr --layers 1",
    )
    parser.add_argument("--workers", type=int, required=True, metavar="N", help="how many processes (required)")
    parser.add_argument(
        "--restarts", type=int, default=3, metavar="N", help="how often to start again at most (default: 3)"
    )
    parser.add_argument(
        "--open-ports",
        action="store_true",
        help="train although others can reach the workers' ports, on a system without private networks: whoever does "
        "can read and write your files (default: no)",
    )
    parser.set_defaults(command=prog)
    parser.add_argument("arguments", nargs="*", metavar="-- ARGUMENTS", help="those of train")
    return parser


def run(arguments: argparse.Namespace) -> int:
    if not 1 <= arguments.workers <= 64:
        raise SettingError(f"--workers must be 1 to 64, not {arguments.workers}.")
    if arguments.restarts < 0:
        raise SettingError(f"--restarts must be at least 0, not {arguments.restarts}.")
    given: list[str] = arguments.arguments[1:] if arguments.arguments[:1] == ["train"] else arguments.arguments
    with ExitStack() as ending:
        commands = _Commands(given, ending)
        network = _private_network(arguments)
        ending.enter_context(closing(network) if network is not None else nullcontext())
        code = _Crew(arguments.workers, commands, arguments.restarts, network).work()
    if code in (EXIT_STOPPED, EXIT_WORKER_LOST) and commands.name:
        resume = shlex.join(flag_words("--resume", commands.name))
        show(f"Go on with all:  {arguments.command} --workers {arguments.workers} -- {resume}\n")
    return code


def _private_network(arguments: argparse.Namespace) -> PrivateNetwork | None:
    network = PrivateNetwork.make()
    if network is None and not arguments.open_ports:
        raise SettingError(
            "This system gives the workers no private network, so whoever can reach this machine's ports could read "
            "and write your files while they train: add --open-ports before the -- if nobody else can reach them."
        )
    return network


class _Commands:
    """What the workers are told at the first start and at each that follows."""

    def __init__(self, given: Sequence[str], ending: ExitStack) -> None:
        """A name by default is nobody else's until the end."""
        parsed = train.make_parser("wordgen train").parse_args(given)  # what is wrong is said once, not by each worker
        if "distribute" in parsed:
            raise SettingError("wordgen launch makes the workers itself: leave out --distribute.")
        if parsed.resume is None and "corpus" not in parsed:
            raise SettingError("--corpus is required behind the --, or --resume to go on with a run.")
        self._given = list(given)
        self.name: str = parsed.name if "name" in parsed else parsed.resume or ""
        if not self.name and parsed.resume is None:
            # All starts must mean the same run.
            self.name = ending.enter_context(_name_by_default(parsed.corpus))
            self._given += flag_words("--name", self.name)
        if "corpus" in parsed:
            _fetch(parsed)
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
            return (SAVED_MODELS / self.name / REPORT).stat().st_mtime >= self._began
        except OSError:
            return False


def _name_by_default(corpus: str | tuple[str, ...]) -> AbstractContextManager[str]:
    from wordgen.run_folder import reserved_name

    return reserved_name(Path(corpus if isinstance(corpus, str) else corpus[0]).stem)


def _fetch(parsed: argparse.Namespace) -> None:
    """Fetch the text where it must be: the workers' network leads nowhere."""
    from wordgen.corpora.finding import open_corpus
    from wordgen.training.progress import TerminalProgress
    from wordgen.training.screen import screen

    with closing(TerminalProgress(screen())) as shown:
        open_corpus(parsed.corpus, ReadingSettings(**given_settings(ReadingSettings, parsed)), shown.downloading)


class _Crew:
    def __init__(self, workers: int, commands: _Commands, restarts: int, network: PrivateNetwork | None) -> None:
        self._workers, self._commands, self._restarts = workers, commands, restarts
        self._join_network = None if network is None else network.join
        self._secret = secrets.token_hex(32)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._complaints: list[IO[bytes]] = []
        self._signals: list[int] = []

    def work(self) -> int:
        before = {number: signal.signal(number, self._pass_on) for number in stop_signals()}
        self._lifeline, self._own_end = os.pipe()  # closed with this process, however it ends
        try:
            return self._until_done()
        finally:
            self._kill()
            os.close(self._lifeline)
            os.close(self._own_end)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _until_done(self) -> int:
        for restart in range(self._restarts + 1):
            if restart:
                tell(
                    f"{self._what_happened()} Starting all {self._workers} again (restart {restart} of "
                    f"{self._restarts}): they go on from the last checkpoint."
                )
            self._start()
            code = self._wait()
            if self._signals and code == EXIT_WORKER_LOST:
                return EXIT_STOPPED
            if code != EXIT_WORKER_LOST:
                return code
        return EXIT_WORKER_LOST

    def _start(self) -> None:
        addresses = [f"127.0.0.1:{port}" for port in _free_ports(self._workers)]
        command = wordgen_command("train", *self._commands.next())
        # The first shows what happens. What the others complain of is shown if it is something else.
        self._complaints = [tempfile.TemporaryFile() for _ in range(1, self._workers)]  # noqa: SIM115
        for number in range(self._workers):
            process = subprocess.Popen(
                command,
                env={
                    **_environment({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}),
                    SECRET: self._secret,
                    PORTS: "accepted" if self._join_network is None else "private",
                    LAUNCHER: str(self._lifeline),
                },
                pass_fds=(self._lifeline,),
                preexec_fn=self._join_network,
                stdout=None if number == 0 else subprocess.DEVNULL,
                stderr=None if number == 0 else self._complaints[number - 1],
                start_new_session=True,  # a Ctrl-C reaches them through us, once
            )
            self._processes[number:] = [process]
        for number in self._signals:  # those that came while they were starting
            self._send(number)

    def _wait(self) -> int:
        """Until all have left; who stays long after another has failed is made to."""
        failed_at: float | None = None
        while any(process.poll() is None for process in self._processes):
            time.sleep(_LOOK_AFTER)
            codes = [process.returncode for process in self._processes if process.poll()]
            if codes and failed_at is None:
                failed_at = time.monotonic()
            grace = _SECONDS_TO_LEAVE if all(map(_may_follow_a_loss, codes)) else _SECONDS_AFTER_A_MISTAKE
            if failed_at is not None and time.monotonic() - failed_at > grace:
                self._kill()
        self._show_complaints()
        return _together([process.wait() for process in self._processes])

    def _show_complaints(self) -> None:
        told = {self._processes[0].returncode}
        for process, complaint in zip(self._processes[1:], self._complaints, strict=True):
            if process.returncode not in told:
                complaint.seek(0)
                tell(complaint.read().decode(errors="replace").rstrip("\n"))
                told.add(process.returncode)
            complaint.close()

    def _what_happened(self) -> str:
        codes = enumerate(process.returncode for process in self._processes)
        killed = [f"Worker {number} was killed by signal {-code}." for number, code in codes if code < 0]
        return " ".join(killed) or "A worker was lost."

    def _kill(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)
        self._send(number)  # of a lost terminal, too: they have none of their own

    def _send(self, number: int) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(number)


def _may_follow_a_loss(code: int) -> bool:
    """Whether the others of a worker that left so leave by themselves: it was killed, stopped, or lost another."""
    return code < 0 or code in (EXIT_WORKER_LOST, EXIT_STOPPED)


def _together(codes: Sequence[int]) -> int:
    """One exit code for all: a mistake that no restart can mend, or a worker lost, or stopped, or done."""
    for code in codes:
        if code != EXIT_OK and not _may_follow_a_loss(code):
            return code
    if any(code < 0 or code == EXIT_WORKER_LOST for code in codes):
        return EXIT_WORKER_LOST
    return EXIT_STOPPED if EXIT_STOPPED in codes else EXIT_OK


def _environment(config: dict[str, object]) -> dict[str, str]:
    return {**os.environ, "TF_CONFIG": json.dumps(config)}


def _free_ports(number: int) -> list[int]:
    """Ports that are free now; held all at once, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
