"""Reads what a process shows in a terminal of its own, for tests; every wait has its limit."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import command_environment


def read_until(terminal: int, wanted: str | None, times: int = 1) -> str:
    """What appears until something has appeared so often; all that comes, where nothing is waited for."""
    seen, until = "", time.monotonic() + 30
    while time.monotonic() < until and (wanted is None or seen.count(wanted) < times):
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 4096).decode(errors="replace")
            except OSError:  # the other side has gone
                return seen
    assert wanted is None or seen.count(wanted) >= times, seen
    return seen


def said_beside(written: Path, *command: str, cwd: Path) -> str:
    """What a command says on a terminal, while what it writes goes into a file: there a bar must leave no trace."""
    ours, theirs = pty.openpty()
    with (
        written.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-m", "wordgen", *command],
            cwd=cwd, env=command_environment(TERM="xterm", COLUMNS="100"), stdout=output, stderr=theirs,
        ) as process,
    ):  # fmt: skip
        os.close(theirs)
        said = read_until(ours, None)
        assert process.wait(60) == 0
    os.close(ours)
    return said
