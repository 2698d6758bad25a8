"""The processes of a sweep: which are its own."""

import json
import os
from pathlib import Path

import pytest

from tests.lab.test_sweep_file import GRID, read
from wordgen.errors import StorageError
from wordgen.lab import process
from wordgen.lab.log import STARTED
from wordgen.lab.planning import plan_sweep


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the system does not tell what a process does")
def test_a_process_that_has_got_the_number_since_is_left_alone(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Somebody holds the log, but the number that stands in it is by now that of the process of this test."""
    monkeypatch.setattr(process, "_SECONDS_TO_LEAVE", 0.3)
    run = plan_sweep(read(in_empty_folder, GRID)).runs[0]
    run.log.parent.mkdir(parents=True)
    with run.log.open("a") as log:
        process.hold(log.fileno())
        log.write(json.dumps({"event": STARTED, "time": 1.0, "process": os.getpid()}) + "\n")
        log.flush()
        with pytest.raises(StorageError, match="is still at work on my/rnn-units-16-1 and does not end"):
            process.end_what_is_left_over(run)
