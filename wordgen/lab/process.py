"""One run of a sweep as a process of its own: `python -m wordgen train`, with its log beside the runs."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from wordgen.child_process import wordgen_command
from wordgen.commands import resuming_arguments, training_arguments
from wordgen.errors import StorageError
from wordgen.files import make_folder, told_plainly
from wordgen.lab.log import STARTED, Log, Progress, last_process
from wordgen.lab.planning import PlannedRun
from wordgen.run_names import is_run

_SECONDS_TO_LEAVE = 60
"""A process that was left over finishes its step and saves, which takes no longer."""
_LOOK_AFTER = 0.1
_REFUSED = 2
"""The exit code of what `train` says in one sentence."""


class RunningProcess:
    """A run while it learns."""

    def __init__(self, run: PlannedRun, threads: int, best: float | None) -> None:
        """Begin it, or go on where it was broken off; `best` is what it had reached by then."""
        make_folder(run.log.parent)
        end_what_is_left_over(run)
        self.run = run
        self.progress = Progress(run.settings.epochs, best=best)
        self._log = Log(run.log, self.progress)
        self._signals = 0
        command = wordgen_command(*_arguments(run), "--log-format", "json")
        with told_plainly(run.log), run.log.open("ab") as log:
            hold(log.fileno())
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(threads),
                process_group=0,  # Ctrl-C comes to the sweep alone, which passes it on once
            )
            started = {"event": STARTED, "time": time.time(), "process": self._process.pid, "command": command[1:]}
            try:
                log.write(json.dumps(started).encode() + b"\n")
                log.flush()
            except BaseException:  # a process that no log names could never be found again
                self._process.kill()
                raise

    def look(self) -> bool:
        """Take in what is new; whether it is still at work."""
        working = self._process.poll() is None
        self._log.follow()
        return working

    def pass_on(self, signals: int) -> None:
        """So many times the user has asked for an end; it learns of each."""
        while self._signals < signals:
            self.stop()

    def stop(self) -> None:
        """Let it finish its step and save; the second time it leaves at once."""
        self._signals += 1
        with suppress(ProcessLookupError):
            # Windows has no other signal for one process alone; the run goes on from its last checkpoint.
            self._process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGINT)

    @property
    def diverged(self) -> bool:
        """Whether it did before it had a model, and left nothing behind."""
        return self._process.returncode == _REFUSED and (self._log.complaint or "").startswith("The training diverged")

    @property
    def complaint(self) -> str:
        """Why it did not come to its end, in a sentence."""
        code = self._process.returncode
        if code is not None and code < 0:
            return f"killed by signal {-code}"
        return self._log.complaint or f"left with exit code {code}; see {self.run.log}"


def _arguments(run: PlannedRun) -> list[str]:
    if is_run(run.name):
        return resuming_arguments(run.name)
    arguments = training_arguments(run.settings, run.name)
    # A folder without a report is that of a run which was killed before it had begun.
    return [*arguments, "--overwrite"] if run.folder.exists() else arguments


def _environment(threads: int) -> dict[str, str]:
    share = {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)}
    return {**os.environ, "PYTHONUTF8": "1", **share}


def end_what_is_left_over(run: PlannedRun) -> None:
    """Stop a process that a killed sweep has left at work on this run; it saves before it leaves.

    Its log is its standard output, which it has locked: so there is no doubt whether it lives.
    """
    if not run.log.exists() or is_free(run.log):
        return
    number = last_process(run.log)
    until = time.monotonic() + _SECONDS_TO_LEAVE
    if number is not None and _works_on(number, run):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(number, signal.SIGTERM)
    while not is_free(run.log):
        if time.monotonic() > until:
            raise StorageError(
                f"A process of an earlier sweep is still at work on {run.name} and does not end: "
                f"stop process {number or 'of ' + run.name} and give the command again."
            )
        time.sleep(_LOOK_AFTER)


def _works_on(number: int, run: PlannedRun) -> bool:
    """Whether a process is one of this run, as far as the system tells: its number may be another's by now."""
    try:
        return run.name.encode() in Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return not Path("/proc").is_dir()


def hold(file: int) -> None:
    """Lock an open file for this process and all that inherit it, until the last of them has ended."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)


def is_free(path: Path) -> bool:
    """Whether nobody holds a file."""
    if sys.platform == "win32":
        return True
    import fcntl

    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
