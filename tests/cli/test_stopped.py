"""Training by the real command that is stopped by real signals, or killed."""

import os
import signal
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.helpers import workers
from tests.helpers.forked import ForkedProcess, forked_alone
from tests.helpers.page_reader import read_page
from tests.helpers.terminal import in_terminal, read_until, screen_of
from wordgen.cli.main import main
from wordgen.model.bundle import load_bundle
from wordgen.run.record import load_record

RUN = Path("saved_models") / "small"
COMMAND = "train --corpus spells --layers 1 --units 32 --epochs 100000 --patience 100000 --name small"


def long_training(room: Path, *more: str) -> AbstractContextManager[ForkedProcess]:
    """A training that does not end by itself in time; it does not outlive the block."""
    return forked_alone("-m", "wordgen", *COMMAND.split(), *more, room=room)


def wait_for(process: ForkedProcess, words: str) -> None:
    workers.wait_for(lambda: words in process.shown, [process])
    assert words in process.shown


def test_halted_at_any_time_its_model_is_whole_and_a_signal_stops_it_and_it_tells_how_to_go_on(tmp_path: Path):
    """A kill would find on the disk what a halt finds. Some of the halts meet the save at the end of an epoch."""
    with long_training(tmp_path) as process:
        wait_for(process, "epoch 2:")
        for number in range(25):
            time.sleep(0.013 * (number % 7))
            process.send_signal(signal.SIGSTOP)
            assert load_bundle(tmp_path / RUN).architecture.units == 32
            process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopping after this step" in out
    assert "Stopped as you asked" in out
    assert "wordgen train --resume small" in out
    assert "Report:" in out
    assert error == ""
    record = load_record(tmp_path / RUN)
    assert record.ended == "stopped"
    assert load_bundle(tmp_path / RUN).architecture.units == 32
    page = read_page((tmp_path / RUN / "report.html").read_text(encoding="utf-8"))
    assert len(page.points("valid")) == len(record.epochs) >= 2
    assert "The run was stopped in epoch" in page.shown
    assert "python -m wordgen train --resume small" in page.within("pre")


def test_stopped_in_its_first_epoch_it_keeps_what_it_has(tmp_path: Path):
    with long_training(tmp_path) as process:
        wait_for(process, "step 1/40")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert (tmp_path / RUN / "config.json").exists()


def test_stopped_while_tensorflow_starts_it_leaves_nothing(tmp_path: Path):
    """In a fresh process, where this takes seconds."""
    with workers.started([["-m", "wordgen", *COMMAND.split()]], tmp_path, [{}]) as (process,):
        assert process.stdout is not None
        assert any("Starting TensorFlow" in line for line in process.stdout)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == ""
    assert "No model of this run was saved" in out
    assert not (tmp_path / "saved_models").exists()


def test_ctrl_c_typed_in_mid_epoch_leaves_no_part_of_a_bar_on_the_terminal(tmp_path: Path):
    """The terminal writes ^C where the cursor is: below the display, and not into a line that would wrap by it."""
    command = ["train", "--corpus", "spells", "--layers", "1", "--units", "256", "--epochs", "1000", "--name", "long"]
    with in_terminal(*command, cwd=tmp_path, columns=100) as (process, terminal):
        shown = read_until(terminal, r"epoch [2-9]/1000 [^\r\n]*step [123]?\d/40", seconds=120)
        os.write(terminal, b"\x03")
        shown += read_until(terminal, None, seconds=60)
        assert process.wait(20) == 130
    left = "\n".join(screen_of(shown, 100))
    assert "Stopping after this step" in left
    assert "Stopped as you asked" in left
    for part in ("━", "tokens/s", "left at most", "best valid", "/1000", "/40", "validating"):
        assert part not in left


def test_stopped_in_its_first_epoch_it_does_not_replace_a_whole_run(room: Path):
    before = (room / RUN / "weights.safetensors").read_bytes()
    with long_training(room, "--overwrite") as process:
        wait_for(process, "step 1/40")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the older run is restored" in " ".join(out.split())
    assert (room / RUN / "weights.safetensors").read_bytes() == before
    assert [path.name for path in (room / "saved_models").iterdir()] == ["small"]


def test_killed_before_its_first_model_the_run_before_can_still_write(room: Path, capsys: pytest.CaptureFixture[str]):
    before = (room / RUN / "weights.safetensors").read_bytes()
    with long_training(room, "--overwrite") as process:
        wait_for(process, "Starting TensorFlow")
        process.kill()
    for model in (["--model", "small"], []):
        assert main(["generate", *model, "--length", "3"]) == 0, capsys.readouterr().err
    with long_training(room, "--overwrite") as process:
        wait_for(process, "Starting TensorFlow")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert (room / RUN / "weights.safetensors").read_bytes() == before
