"""A log is read while it is written: whole lines alone, from where it stood, and what it says last."""

import json
from pathlib import Path
from typing import Any

import pytest

from wordgen.sweep.results import Progress
from wordgen.sweep.sweeping import STARTED, Log, StartedProcess, last_process


def line(event: str, time: float, **more: Any) -> str:
    return json.dumps({"event": event, "time": time, **more}) + "\n"


BEGUN = line("begun", 100.0, first_step=11, last_step=110)
STEP = line("step", 110.0, epoch=2, step=30, first=False)
EPOCH = line("epoch", 120.0, epoch=2, step=60, best=True, valid_perplexity=31.5)


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_it_tells_how_far_a_run_is_and_how_long_it_takes_at_most(tmp_path: Path):
    log = Log(tmp_path / "a.log", progress := Progress(9))
    log.follow()
    append(tmp_path / "a.log", BEGUN)
    log.follow()
    assert progress.seconds_left is None
    append(tmp_path / "a.log", line("step", 106.0, epoch=1, step=14, first=True))
    log.follow()
    assert progress.seconds_left is None  # what the first took says nothing of the others
    append(tmp_path / "a.log", STEP)
    log.follow()
    assert (progress.epoch, progress.step, progress.best) == (2, 30, None)
    assert progress.seconds_left == pytest.approx(80 * 4 / 16)  # 16 steps in 4 seconds, and 80 are left
    append(tmp_path / "a.log", EPOCH + line("epoch", 130.0, epoch=3, step=90, best=False, valid_perplexity=33.0))
    log.follow()
    assert (progress.epoch, progress.best) == (3, 31.5)


def test_half_a_line_is_read_when_it_is_whole(tmp_path: Path):
    log = Log(tmp_path / "a.log", progress := Progress(9))
    append(tmp_path / "a.log", BEGUN + STEP[:20])
    log.follow()
    assert progress.step == 0
    append(tmp_path / "a.log", STEP[20:])
    log.follow()
    assert progress.step == 30


def test_what_was_said_of_earlier_starts_is_over(tmp_path: Path):
    append(tmp_path / "a.log", BEGUN + STEP + "Error: Gone.\n")
    log = Log(tmp_path / "a.log", progress := Progress(9, best=40.0))
    log.follow()
    assert (progress.step, progress.best, log.complaint) == (0, 40.0, None)


def test_other_lines_are_passed_over_but_the_last_error_is_kept(tmp_path: Path):
    log = Log(tmp_path / "a.log", progress := Progress(9))
    append(
        tmp_path / "a.log", "a note\n[1, 2]\n{}\nnull\n" + line("epoch", 1.0) + "Error: First.\nError: It diverged.\n"
    )
    log.follow()
    assert log.complaint == "It diverged."
    assert progress.step == 0


def test_the_process_of_the_last_start_is_known(tmp_path: Path):
    assert last_process(tmp_path / "a.log") is None
    first, last = (line(STARTED, float(n), process=11 * n, command=["train", str(n)]) for n in (1, 2))
    append(tmp_path / "a.log", first + BEGUN + last + STEP)
    assert last_process(tmp_path / "a.log") == StartedProcess(22, ("train", "2"))
    append(tmp_path / "a.log", '{"event": "started", "proc')  # killed in the middle of it
    assert last_process(tmp_path / "a.log") == StartedProcess(22, ("train", "2"))
