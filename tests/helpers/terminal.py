"""Runs commands in a pseudo-terminal and reads their output. Every wait has a timeout."""

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.commands import command_environment


def read_until(terminal: int, wanted: str | None, times: int = 1, seconds: float = 120) -> str:
    """Read until a regular expression has matched `times` times, or to the end if it is None."""
    content, seen, deadline = b"", "", time.monotonic() + seconds
    while time.monotonic() < deadline and not _is_enough(seen, wanted, times):
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                content += os.read(terminal, 4096)
            except OSError:  # the other side is closed
                return seen
            seen = content.decode(errors="replace")
    assert wanted is None or _is_enough(seen, wanted, times), seen
    return seen


def _is_enough(seen: str, wanted: str | None, times: int) -> bool:
    """Return whether there are enough matches, and the last character is complete."""
    return wanted is not None and len(re.findall(wanted, seen)) >= times and not seen.endswith("\ufffd")


@contextmanager
def in_terminal(*command: str, cwd: Path, columns: int) -> Generator[tuple["subprocess.Popen[bytes]", int]]:
    """Run a command in its own terminal, where Ctrl-C becomes a signal; yield the process and the master side."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "wordgen", *command],
        cwd=cwd,
        env=command_environment(TERM="xterm", COLUMNS=str(columns), LINES="60"),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    try:
        yield process, master
    finally:
        process.kill()
        process.wait()
        os.close(master)


def screen_lines(output: str, width: int) -> list[str]:
    """Return the lines on a terminal of this width after this output. Knows the control codes of progress bars."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[?;\d]*[A-Za-z]|[\r\n]|[^\x1b\r\n]", output):
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


BARS_AT_ONCE = """
import sys
from wordgen.cli import output
output._SECONDS_BEFORE_A_BAR = 0
from wordgen.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def stderr_in_terminal(file: Path, *command: str, cwd: Path) -> str:
    """Run a command with its standard output in a file; return its standard error, which is a terminal.

    Progress bars are shown from the beginning, so it does not depend on the speed of the machine whether there are any.
    """
    master, slave = pty.openpty()
    with (
        file.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-c", BARS_AT_ONCE, *command],
            cwd=cwd, env=command_environment(TERM="xterm", COLUMNS="100"), stdout=output, stderr=slave,
        ) as process,
    ):  # fmt: skip
        os.close(slave)
        stderr = read_until(master, None)
        assert process.wait(60) == 0
    os.close(master)
    return stderr
