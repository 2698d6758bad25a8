"""Reads what a process shows in a terminal of its own, for tests; every wait has its limit."""

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.commands import command_environment


def read_until(terminal: int, wanted: str | None, times: int = 1, seconds: float = 30) -> str:
    """What appears until something (a regular expression) has appeared so often; all, where nothing is waited for."""
    came, seen, until = b"", "", time.monotonic() + seconds
    while time.monotonic() < until and not _is_enough(seen, wanted, times):
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                came += os.read(terminal, 4096)
            except OSError:  # the other side has gone
                return seen
            seen = came.decode(errors="replace")
    assert wanted is None or _is_enough(seen, wanted, times), seen
    return seen


def _is_enough(seen: str, wanted: str | None, times: int) -> bool:
    """Whether something has appeared so often, and the last character has come with all of its bytes."""
    return wanted is not None and len(re.findall(wanted, seen)) >= times and not seen.endswith("\ufffd")


@contextmanager
def in_terminal(*command: str, cwd: Path, columns: int) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """A command in a terminal that is its own, so that a typed Ctrl-C is echoed and becomes a signal, and our end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "wordgen", *command],
        cwd=cwd,
        env=command_environment(TERM="xterm", COLUMNS=str(columns), LINES="60"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def screen_of(shown: str, width: int) -> list[str]:
    """The lines that a terminal of this width has after all that it was sent: text, line ends, and what bars use."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[?;\d]*[A-Za-z]|[\r\n]|[^\x1b\r\n]", shown):
        if part == "\r":
            column = 0
        elif part == "\n":
            row, column = row + 1, 0
        elif part.startswith("\x1b["):
            if part.endswith("A"):
                row = max(0, row - int(part[2:-1] or 1))
            elif part == "\x1b[2K":
                lines[row] = ""
        else:
            if column == width:
                row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
            lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + 1 :]
            column += 1
        lines += [""] * (row + 1 - len(lines))
    return lines


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
