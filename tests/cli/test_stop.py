"""A training that is stopped by signals or killed."""

import os
import signal
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.helpers import workers
from tests.helpers.forked import ForkedProcess, forked_process
from tests.helpers.page_reader import read_page
from tests.helpers.terminal import in_terminal, read_until, screen_lines
from wordgen.cli.main import main
from wordgen.model.bundle import load_bundle
from wordgen.run.record import load_record

RUN = Path("saved_models") / "small"
COMMAND = "train --corpus spells --layers 1 --units 32 --epochs 100000 --patience 100000 --name small"
LONG_EPOCHS = ["--batch-size", "1", "--seq-len", "4"]
"""With these flags, an epoch has thousands of steps, so a signal that is sent after its first step meets the epoch."""


def long_training(folder: Path, *flags: str) -> AbstractContextManager[ForkedProcess]:
    """Start a training that does not end by itself. It is killed at the end of the block."""
    return forked_process("-m", "wordgen", *COMMAND.split(), *flags, cwd=folder)


def wait_for(process: ForkedProcess, text: str) -> None:
    workers.wait_for(lambda: text in process.output, [process])
    assert text in process.output


def test_model_is_complete_after_sigstop_and_sigterm(tmp_path: Path):
    """SIGSTOP shows the files as SIGKILL would leave them. Some stops meet the save at the end of an epoch."""
    with long_training(tmp_path) as process:
        wait_for(process, "epoch 2:")
        for number in range(25):
            time.sleep(0.013 * (number % 7))
            process.send_signal(signal.SIGSTOP)
            workers.wait_for(process.is_stopped, [process])
            assert process.is_stopped()
            assert load_bundle(tmp_path / RUN).architecture.units == 32
            process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopping after this step" in stdout
    assert "Stopped as you asked" in stdout
    assert "wordgen train --resume small" in stdout
    assert "Report:" in stdout
    assert stderr == ""
    record = load_record(tmp_path / RUN)
    assert record.ended == "stopped"
    assert load_bundle(tmp_path / RUN).architecture.units == 32
    page = read_page((tmp_path / RUN / "report.html").read_text(encoding="utf-8"))
    assert len(page.points("valid")) == len(record.epochs) >= 2
    assert "The run was stopped in epoch" in page.shown
    assert "python -m wordgen train --resume small" in page.within("pre")


def test_stop_in_first_epoch_saves_a_model(tmp_path: Path):
    with long_training(tmp_path, *LONG_EPOCHS) as process:
        wait_for(process, "epoch 1/100000 step 1/")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert (tmp_path / RUN / "config.json").exists()


def test_stop_during_start_of_tensorflow_leaves_no_files(tmp_path: Path):
    """In a new process, in which the start of TensorFlow takes seconds."""
    with workers.started_processes([["-m", "wordgen", *COMMAND.split()]], tmp_path, [{}]) as (process,):
        assert process.stdout is not None
        assert any("Starting TensorFlow" in line for line in process.stdout)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr == ""
    assert "No model of this run was saved" in stdout
    assert not (tmp_path / "saved_models").exists()


def test_ctrl_c_in_terminal_removes_progress_bars(tmp_path: Path):
    """The terminal writes ^C at the cursor, so the cursor must be below the bars: in a full line, ^C would wrap."""
    command = ["train", "--corpus", "spells", "--layers", "1", "--units", "256", "--epochs", "1000", "--name", "long"]
    with in_terminal(*command, cwd=tmp_path, columns=100) as (process, terminal):
        output = read_until(terminal, r"epoch [2-9]/1000 [^\r\n]*step [123]?\d/40", seconds=120)
        os.write(terminal, b"\x03")
        output += read_until(terminal, None, seconds=60)
        assert process.wait(60) == 130
    screen = "\n".join(screen_lines(output, 100))
    assert "Stopping after this step" in screen
    assert "Stopped as you asked" in screen
    for part in ("━", "tokens/s", "left at most", "best valid", "/1000", "/40", "validating"):
        assert part not in screen


def test_stop_in_first_epoch_restores_overwritten_run(trained_copy: Path):
    before = (trained_copy / RUN / "weights.safetensors").read_bytes()
    with long_training(trained_copy, "--overwrite", *LONG_EPOCHS) as process:
        wait_for(process, "step 1/")
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the older run is restored" in " ".join(stdout.split())
    assert (trained_copy / RUN / "weights.safetensors").read_bytes() == before
    assert [path.name for path in (trained_copy / "saved_models").iterdir()] == ["small"]


def test_overwritten_run_is_usable_after_kill_before_first_model(
    trained_copy: Path, capsys: pytest.CaptureFixture[str]
):
    before = (trained_copy / RUN / "weights.safetensors").read_bytes()
    with long_training(trained_copy, "--overwrite", *LONG_EPOCHS) as process:
        wait_for(process, "Starting TensorFlow")
        process.kill()
    for model in (["--model", "small"], []):
        assert main(["generate", *model, "--length", "3"]) == 0, capsys.readouterr().err
    with long_training(trained_copy, "--overwrite", *LONG_EPOCHS) as process:
        wait_for(process, "Starting TensorFlow")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert (trained_copy / RUN / "weights.safetensors").read_bytes() == before
