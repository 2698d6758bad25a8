"""The processes of a sweep: each trains one run and writes a log, which the sweep reads at the same time.

A log contains the JSON lines of `train`, and between them anything else that the process prints.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wordgen.child_process import environment_with, wordgen_command
from wordgen.errors import StorageError
from wordgen.files import as_storage_error, make_folder
from wordgen.run.commands import resuming_arguments, training_arguments
from wordgen.run.names import is_run
from wordgen.sweep.planning import PlannedRun

STARTED = "started"
"""The event that the sweep writes to the log at each start of a run. It has the process id and the command."""


@dataclass
class Progress:
    """How far a run is, according to its log."""

    epochs: int
    """The planned number of epochs. The run may end earlier."""
    epoch: int = 0
    """The current epoch."""
    step: int = 0
    best: float | None = None
    """The lowest validation perplexity so far, or None if there is none yet."""
    ended: str | None = None
    warnings: list[str] = field(default_factory=list)
    _first_step: int = 1
    _last_step: int = 0
    _began: float = 0.0
    _now: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """The seconds up to the last planned step at the current speed, or None if it is not known yet."""
        done = self.step - self._first_step + 1
        if done < 1 or not self._last_step or self._now <= self._began:
            return None
        return (self._last_step - self.step) * (self._now - self._began) / done

    def tell(self, event: dict[str, Any]) -> None:
        self._now = float(event["time"])
        match event["event"]:
            case "begun":
                self._first_step, self._last_step = int(event["first_step"]), int(event["last_step"])
                self._began = self._now
            case "step":
                self.epoch, self.step = int(event["epoch"]), int(event["step"])
                if event["first"]:  # the first step builds the graph, so its time does not count
                    self._began, self._first_step = self._now, self.step + 1
            case "epoch" | "validated":
                self.epoch, self.step = int(event["epoch"]), int(event["step"])
                if event["best"]:
                    self.best = float(event["valid_perplexity"])
            case "warning":
                self.warnings.append(str(event["sentence"]))
            case "ended":
                self.ended = str(event["reason"])


class Log:
    """Reads the new lines of a log and passes their events to a `Progress`."""

    def __init__(self, path: Path, progress: Progress) -> None:
        """Begin at the current end of the log, because the lines before it are about earlier starts of the run."""
        self._path, self._progress = path, progress
        self._read = path.stat().st_size if path.exists() else 0
        self.complaint: str | None = None
        """The last line that was an error message (without "Error: "), or None. It says why a run has failed."""

    def follow(self) -> bool:
        """Read all new complete lines. Return whether there were any."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except OSError:
            return False
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode(errors="replace").split("\n"):
            self._take_in(line.strip())
        return bool(whole)

    def _take_in(self, line: str) -> None:
        try:
            event = json.loads(line)
            self._progress.tell(event)
        except (ValueError, KeyError, TypeError):
            if line.startswith("Error: "):
                self.complaint = line.removeprefix("Error: ")


@dataclass(frozen=True)
class StartedProcess:
    """A process as the log of its run tells of it."""

    id: int
    command: tuple[str, ...]
    """Its arguments, without the path of Python."""

    def is_running(self) -> bool:
        """Return whether the process with this id has this command. The system may have given the id to another one.

        Where there is no /proc, this cannot be checked; the answer is then True.
        """
        try:
            words = Path(f"/proc/{self.id}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return not Path("/proc").is_dir()
        return tuple(map(os.fsdecode, words[1:-1])) == self.command


def last_process(path: Path) -> StartedProcess | None:
    """Return the process that was started last, according to the log. None if the log does not have it."""
    try:
        lines = path.read_bytes().decode(errors="replace").split("\n")
    except OSError:
        return None
    for line in reversed(lines):
        if f'"event": "{STARTED}"' in line:
            with suppress(ValueError, KeyError, TypeError):  # it was killed while it wrote the line
                event = json.loads(line)
                return StartedProcess(int(event["process"]), tuple(map(str, event["command"])))
    return None


_SECONDS_TO_LEAVE = 60
"""How long to wait for the process of an earlier sweep. It only has to finish its step and save a checkpoint."""
_LOOK_AFTER = 0.1
_REFUSED = 2
"""The exit code of `train` after an error that it explains in one sentence."""


class RunningProcess:
    """The process that trains a run."""

    def __init__(self, run: PlannedRun, threads: int, best: float | None) -> None:
        """Start the run, or resume it if it was interrupted.

        `best` is the lowest validation perplexity so far, if any. Raises StorageError if the log cannot be written, or
        if a process of an earlier sweep still works on the run and does not end.
        """
        make_folder(run.log.parent)
        end_what_is_left_over(run)
        self.run = run
        self.progress = Progress(run.settings.epochs, best=best)
        self._log = Log(run.log, self.progress)
        self._signals = 0
        command = wordgen_command(*_arguments(run), "--log-format", "json")
        with as_storage_error(run.log), run.log.open("ab") as log:
            hold(log.fileno())
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment_with(threads),
                process_group=0,  # only the sweep receives Ctrl-C, and passes it on once
            )
            started = {"event": STARTED, "time": time.time(), "process": self._process.pid, "command": command[1:]}
            try:
                log.write(json.dumps(started).encode() + b"\n")
                log.flush()
            except BaseException:  # without its id in the log, the process could not be found later
                self._process.kill()
                raise

    def look(self) -> bool:
        """Read the new lines of the log. Return whether the process is still running."""
        working = self._process.poll() is None
        self._log.follow()
        return working

    def pass_on(self, signals: int) -> None:
        """Pass on the signals of the user. `signals` counts all so far; the process receives those that are new."""
        while self._signals < signals:
            self.stop()

    def stop(self) -> None:
        """Ask the process to finish its step, save a checkpoint and end. A second call ends it at once."""
        self._signals += 1
        with suppress(ProcessLookupError):
            # On Windows, only SIGTERM can be sent to a single process. It ends at once; the run can be resumed from its
            # last checkpoint.
            self._process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGINT)

    @property
    def diverged(self) -> bool:
        """Whether the training diverged before there was a model. In that case the run leaves no folder behind."""
        return self._process.returncode == _REFUSED and (self._log.complaint or "").startswith("The training diverged")

    @property
    def complaint(self) -> str:
        """Why the process failed, in a few words."""
        code = self._process.returncode
        if code is not None and code < 0:
            return f"killed by signal {-code}"
        return self._log.complaint or f"ended with exit code {code}; see {self.run.log}"


def _arguments(run: PlannedRun) -> list[str]:
    if is_run(run.name):
        return resuming_arguments(run.name)
    arguments = training_arguments(run.settings, run.name)
    # If a folder has no report, its run was killed before the training began.
    return [*arguments, "--overwrite"] if run.folder.exists() else arguments


def end_what_is_left_over(run: PlannedRun) -> None:
    """Stop the process that still works on this run after its sweep was killed. It saves a checkpoint before it ends.

    The process holds a lock on the log, which is its standard output. The lock shows reliably whether the process is
    still running. Raises StorageError if it does not end in time. Does nothing on Windows, where no lock is held.
    """
    if not run.log.exists() or is_free(run.log):
        return
    started = last_process(run.log)
    until = time.monotonic() + _SECONDS_TO_LEAVE
    if started is not None and started.is_running():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(started.id, signal.SIGTERM)
    while not is_free(run.log):
        if time.monotonic() > until:
            which = f"of {run.name}" if started is None else started.id
            raise StorageError(
                f"A process of an earlier sweep is still training {run.name} and does not end: "
                f"stop process {which} and run the command again."
            )
        time.sleep(_LOOK_AFTER)


def hold(file: int) -> None:
    """Lock an open file for this process and all processes that inherit it, until the last of them has closed it.

    Does nothing on Windows.
    """
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)


def is_free(path: Path) -> bool:
    """Return whether no process holds the lock of a file. Always True on Windows."""
    if sys.platform == "win32":
        return True
    import fcntl

    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
