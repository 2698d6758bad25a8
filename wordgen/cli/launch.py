"""`wordgen launch`: train with several workers on this machine, in a private network.

TensorFlow's server listens on all interfaces, and everybody who reaches its port can read and write the user's files.
On Linux a process can create a private network that has only its own loopback. One process holds this network open,
and each worker joins it when it starts. Some systems do not allow ordinary users to create a network.
"""

import argparse
import ctypes
import json
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from wordgen.child_process import wordgen_command
from wordgen.cli.flags import Parser, add_switch, check_number, given_settings, verb_parser
from wordgen.cli.output import download_progress, print_message, print_sanitized
from wordgen.cli.train import STANDARD_INPUT_WITH_WORKERS, train_parser
from wordgen.corpus.settings import STANDARD_INPUT, ReadingSettings
from wordgen.errors import EXIT_OK, EXIT_STOPPED, EXIT_WORKER_LOST, SettingError
from wordgen.run.commands import flag_words, models_flag
from wordgen.run.names import REPORT, models_folder, use_models_folder
from wordgen.training.stopping import stop_signals
from wordgen.training.workers import LAUNCHER, PORTS, SECRET

_POLL_SECONDS = 0.1
_SECONDS_TO_EXIT = 45  # a worker notices within 30 seconds that another one is lost
_SECONDS_AFTER_AN_ERROR = 2

_HOLDER_PROGRAM = """
import ctypes, fcntl, os, socket, struct, sys
NEW_USER, NEW_NET, UP, GET_FLAGS, SET_FLAGS = 0x10000000, 0x40000000, 1, 0x8913, 0x8914
unshare = ctypes.CDLL(None).unshare
user, group = os.geteuid(), os.getegid()
if unshare(NEW_NET) != 0:
    if unshare(NEW_USER | NEW_NET) != 0:
        sys.exit(1)
    for name, content in ("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1"):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(content)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    flags = struct.unpack("16xh", fcntl.ioctl(any_socket, GET_FLAGS, struct.pack("16sh", b"lo", 0))[:18])[0]
    fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh", b"lo", flags | UP))
print("ready", flush=True)
sys.stdin.read()
"""
"""The program of the process that holds the private network. It ends when its standard input is closed."""


@contextmanager
def private_network() -> Generator[Callable[[], None] | None]:
    """Hold a private network open within the block. It ends when the last process in it has ended.

    Yield the function that moves a new process into the network before its program starts (`preexec_fn`). Yield None if
    the system does not allow this user to create a network, or is not Linux.
    """
    with ExitStack() as closing:
        yield _make_network(closing) if sys.platform == "linux" else None


def _make_network(closing: ExitStack) -> Callable[[], None] | None:
    holder = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _HOLDER_PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C goes to the launcher alone
    )
    closing.callback(holder.communicate)  # closes its streams, too
    closing.callback(holder.kill)
    if holder.stdout is None or holder.stdout.readline() != b"ready\n":
        return None
    namespaces: list[int] = []
    try:
        for kind in _namespace_kinds(holder.pid):
            namespaces.append(os.open(f"/proc/{holder.pid}/ns/{kind}", os.O_RDONLY))
            closing.callback(os.close, namespaces[-1])
    except OSError:
        return None
    set_namespace = ctypes.CDLL(None, use_errno=True).setns

    def join() -> None:
        for namespace in namespaces:
            if set_namespace(namespace, 0) != 0:
                raise OSError(ctypes.get_errno(), "the private network cannot be joined")

    return join


def _namespace_kinds(holder: int) -> list[str]:
    """Return the kinds of namespaces to join, in order. An ordinary user's network belongs to a user namespace."""
    own_namespace = os.readlink("/proc/self/ns/user")
    return ["net"] if os.readlink(f"/proc/{holder}/ns/user") == own_namespace else ["user", "net"]


def launch_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        _launch,
        "Train with several workers on this machine. If one of them is lost, all start again and continue from the "
        "last checkpoint.",
        "--workers 2 -- --corpus lotr --layers 1",
    )
    parser.add_argument("--workers", type=int, required=True, metavar="N", help="the number of processes (required)")
    parser.add_argument(
        "--restarts", type=int, default=3, metavar="N", help="the maximum number of restarts (default: 3)"
    )
    add_switch(
        parser,
        "--open-ports",
        "train even if the system has no private networks, so that others can reach the ports of the workers: anyone "
        "who reaches a port can read and write your files",
    )
    parser.set_defaults(command=prog)
    parser.add_argument("arguments", nargs="*", metavar="-- ARGUMENTS", help="the arguments of train")
    return parser


def _launch(arguments: argparse.Namespace) -> int:
    check_number("--workers", arguments.workers, 1, 64)
    if arguments.restarts < 0:
        raise SettingError(f"--restarts must be at least 0, not {arguments.restarts}.")
    given: list[str] = arguments.arguments[1:] if arguments.arguments[:1] == ["train"] else arguments.arguments
    with ExitStack() as cleanup:
        train_command = f"{arguments.command.removesuffix('launch')}train"
        commands = _Commands([*models_flag(), *given], cleanup, train_command)
        join_network = cleanup.enter_context(private_network())
        if join_network is None and not arguments.open_ports:
            raise SettingError(
                "This system has no private network for the workers, so anyone who can reach the ports of this machine "
                "could read and write your files during the training. If nobody else can reach the ports, add "
                "--open-ports before the --."
            )
        code = _Workers(arguments.workers, commands, arguments.restarts, join_network).run()
    if code in (EXIT_STOPPED, EXIT_WORKER_LOST) and commands.name:
        resume = shlex.join([*commands.models_flag, *flag_words("--resume", commands.name)])
        print_sanitized(f"Continue with all workers:  {arguments.command} --workers {arguments.workers} -- {resume}\n")
    return code


class _Commands:
    """Makes the arguments of `train` for the workers, for the first start and for each restart."""

    def __init__(self, given: Sequence[str], cleanup: ExitStack, train_command: str) -> None:
        """Check the arguments and download the corpus. A default name stays reserved until `cleanup` is closed.

        `train_command` is the command as errors show it.
        """
        from wordgen.corpus.finding import open_corpus
        from wordgen.run.folder import reserved_name

        parsed = train_parser(train_command).parse_args(given)  # reports errors once, not in each worker
        if "distribute" in parsed:
            raise SettingError("wordgen launch starts the workers itself: leave out --distribute.")
        if parsed.resume is None and "corpus" not in parsed:
            raise SettingError("--corpus is required after the --, or --resume to continue a run.")
        if "corpus" in parsed and parsed.corpus == STANDARD_INPUT:
            raise SettingError(STANDARD_INPUT_WITH_WORKERS)
        self._given = list(given)
        cleanup.enter_context(use_models_folder(getattr(parsed, "models", None)))  # also if --models comes after the --
        self.name: str = parsed.name if "name" in parsed else parsed.resume or ""
        if not self.name and parsed.resume is None:
            # All starts need the same name. Otherwise each one would train a new run.
            first_file = parsed.corpus if isinstance(parsed.corpus, str) else parsed.corpus[0]
            self.name = cleanup.enter_context(reserved_name(Path(first_file).stem))
            self._given += flag_words("--name", self.name)
        if "corpus" in parsed:  # the workers cannot download it: their private network does not reach the internet
            with download_progress() as report:
                open_corpus(parsed.corpus, ReadingSettings(**given_settings(ReadingSettings, parsed)), report)
        self.models_flag = models_flag()
        """The flag `--models` with its folder. Empty if the run is in saved_models."""
        self._resumes = parsed.resume is not None
        self._began = time.time()

    def next(self) -> list[str]:
        more = ["--distribute", "multiworker"]
        if self._resumes or not self._has_begun():
            return [*self._given, *more]
        return [*(each for each in self._given if each != "--overwrite"), *more, "--resume"]

    def _has_begun(self) -> bool:
        """Return whether an earlier start has written the report of this run (not of the one that it replaces)."""
        try:
            return (models_folder() / self.name / REPORT).stat().st_mtime >= self._began
        except OSError:
            return False


class _Workers:
    def __init__(
        self, workers: int, commands: _Commands, restarts: int, join_network: Callable[[], None] | None
    ) -> None:
        self._workers, self._commands, self._restarts = workers, commands, restarts
        self._join_network = join_network
        self._secret = secrets.token_hex(32)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._error_outputs: list[IO[bytes]] = []
        self._signals: list[int] = []

    def run(self) -> int:
        previous_handlers = {number: signal.signal(number, self._forward_signal) for number in stop_signals()}
        self._lifeline, self._lifeline_write_end = os.pipe()  # workers stop when it closes, however this process ends
        try:
            return self._run_until_done()
        finally:
            self._kill()
            os.close(self._lifeline)
            os.close(self._lifeline_write_end)
            for number, handler in previous_handlers.items():
                signal.signal(number, handler)

    def _run_until_done(self) -> int:
        for restart in range(self._restarts + 1):
            if restart:
                print_message(
                    f"{self._loss_description()} Starting all {self._workers} workers again (restart {restart} of "
                    f"{self._restarts}). They continue from the last checkpoint."
                )
            self._start()
            code = self._wait()
            if self._signals and code == EXIT_WORKER_LOST:
                return EXIT_STOPPED
            if code != EXIT_WORKER_LOST:
                return code
        return EXIT_WORKER_LOST

    def _start(self) -> None:
        cluster = {"worker": [f"127.0.0.1:{port}" for port in _free_ports(self._workers)]}
        command = wordgen_command("train", *self._commands.next())
        # The first worker prints its output. The error output of each other worker goes to a file. At the end it is
        # printed for each exit code that no worker before had.
        self._error_outputs = [tempfile.TemporaryFile() for _ in range(1, self._workers)]  # noqa: SIM115
        for number in range(self._workers):
            process = subprocess.Popen(
                command,
                env={
                    **os.environ,
                    "TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": number}}),
                    SECRET: self._secret,
                    PORTS: "accepted" if self._join_network is None else "private",
                    LAUNCHER: str(self._lifeline),
                },
                pass_fds=(self._lifeline,),
                preexec_fn=self._join_network,
                stdout=None if number == 0 else subprocess.DEVNULL,
                stderr=None if number == 0 else self._error_outputs[number - 1],
                start_new_session=True,  # the launcher passes Ctrl-C on, so that they get it once
            )
            self._processes[number:] = [process]
        for number in self._signals:  # signals that came while the workers started
            self._send_signal(number)

    def _wait(self) -> int:
        """Wait until all workers have ended, and return one exit code for all.

        When one has failed, the others get 45 seconds to end if it was lost or stopped, and 2 seconds if it made an
        error. Then they are killed.
        """
        failed_at: float | None = None
        while any(process.poll() is None for process in self._processes):
            time.sleep(_POLL_SECONDS)
            codes = [process.returncode for process in self._processes if process.poll()]
            if codes and failed_at is None:
                failed_at = time.monotonic()
            grace = _SECONDS_TO_EXIT if all(map(_is_loss_or_stop, codes)) else _SECONDS_AFTER_AN_ERROR
            if failed_at is not None and time.monotonic() - failed_at > grace:
                self._kill()
        self._show_errors()
        return _common_exit_code([process.wait() for process in self._processes])

    def _show_errors(self) -> None:
        shown = {self._processes[0].returncode}
        for process, error_output in zip(self._processes[1:], self._error_outputs, strict=True):
            if process.returncode not in shown:
                error_output.seek(0)
                print_message(error_output.read().decode(errors="replace").rstrip("\n"))
                shown.add(process.returncode)
            error_output.close()

    def _loss_description(self) -> str:
        codes = enumerate(process.returncode for process in self._processes)
        killed = [f"Worker {number} was killed by signal {-code}." for number, code in codes if code < 0]
        return " ".join(killed) or "A worker was lost."

    def _kill(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()

    def _forward_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)
        self._send_signal(number)  # SIGHUP, too: the workers have no terminal

    def _send_signal(self, number: int) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(number)


def _is_loss_or_stop(code: int) -> bool:
    """Return whether a worker was killed or stopped, or lost another one: then the others end by themselves."""
    return code < 0 or code in (EXIT_WORKER_LOST, EXIT_STOPPED)


def _common_exit_code(codes: Sequence[int]) -> int:
    """Return one exit code for all workers.

    It is the first of these that any worker has: the code of an error that a restart cannot fix, EXIT_WORKER_LOST (also
    for a worker that was killed by a signal), EXIT_STOPPED, EXIT_OK.
    """
    error_codes = (code for code in codes if code != EXIT_OK and not _is_loss_or_stop(code))
    known = [EXIT_WORKER_LOST if code < 0 else code for code in codes]
    return next((code for code in (*error_codes, EXIT_WORKER_LOST, EXIT_STOPPED) if code in known), EXIT_OK)


def _free_ports(number: int) -> list[int]:
    """Return ports of the loopback that are free now. All are opened at the same time, so that they differ."""
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [each.getsockname()[1] for each in sockets]
