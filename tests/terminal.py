"""Reads what a process shows in a terminal of its own, for tests; every wait has its limit."""

import os
import select
import time


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
