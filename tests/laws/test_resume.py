"""A killed and resumed run equals an uninterrupted run bitwise: weights, optimizer, losses, samples, curves."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import wordgen
from tests.helpers.commands import command_environment, run_command
from tests.helpers.forked import ForkedProcess, forked_process
from tests.helpers.saved_runs import make_run
from tests.helpers.tensorboard import curve
from tests.helpers.texts import write_text
from tests.helpers.training_process import EPOCHS, read_losses
from tests.helpers.workers import wait_for_success
from wordgen.api import resume_with
from wordgen.cli.main import main
from wordgen.run.settings import TrainSettings
from wordgen.run.train import plan_run
from wordgen.training.tensorboard import DISTINCT, GRADIENT_NORM, LOSS, PERPLEXITY

TIMEOUT = 900  # seconds, for a busy machine
KILLS = int(os.environ.get("WORDGEN_KILLS", "2"))  # `make soak` sets more

HIGH_RATE = {"learning_rate": 1.0, "warm_up": 100}
"""With this learning rate the second epoch is worse than the first, and averaging begins."""

SMALL = {
    "cell": "rnn", "layers": 1, "units": 8, "seq_len": 5, "batch_size": 48, "dropout": 0.0, "vary_seq_len": False,
    "locked_dropout": False, "word_dropout": 0.0, "weight_drop": 0.0, "learning_rate": 0.01, "warm_up": 0,
}  # fmt: skip
"""A small network that improves in each epoch, for tests that do not depend on the network."""

WITHIN_EPOCHS = {"validate_every": 6, "sample_every": 15, "log_every": 4}

pytestmark = pytest.mark.slow


def start(folder: Path, action: str, *more: str, **settings: Any) -> AbstractContextManager[ForkedProcess]:
    chosen = json.dumps({**HIGH_RATE, **settings})
    return forked_process("-m", "tests.helpers.training_process", action, chosen, *more, cwd=folder)


def wait_for_losses(folder: Path, number: int, process: ForkedProcess) -> None:
    while process.poll() is None and len(read_losses(folder)) < number:
        time.sleep(0.002)


def newest_state(run: Path) -> bytes:
    return sorted((run / "checkpoints").glob("step-*"))[-1].joinpath("state.safetensors").read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    with start(folder, "train") as process:
        wait_for_success([process], TIMEOUT)
    epochs = json.loads((folder / "saved_models" / "run" / "report.json").read_text())["epochs"]
    assert [epoch["averaged"] for epoch in epochs] == [False, False, True]
    return folder


@pytest.fixture(scope="module")
def uninterrupted_within_epochs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("within-epochs")
    with start(folder, "train", **WITHIN_EPOCHS) as process:
        wait_for_success([process], TIMEOUT)
    report = json.loads((folder / "saved_models" / "run" / "report.json").read_text())
    assert [each["step"] for each in report["validations"]] == [n for n in range(6, 120, 6) if n % 40]
    assert [each["step"] for each in report["samples"]] == [15, 30, 45, 60, 75, 90, 105]
    return folder


def test_resume_after_kill_at_random_steps_equals_uninterrupted_run(
    uninterrupted_within_epochs: Path, uninterrupted: Path, tmp_path: Path
):
    """With validations and samples within epochs, which do not change the training."""
    expected = dict(read_losses(uninterrupted))
    assert len(expected) == EPOCHS * 40
    assert read_losses(uninterrupted_within_epochs) == read_losses(uninterrupted)
    rng = random.Random(KILLS)
    kills = 0
    while kills < KILLS:
        steps_before = len(read_losses(tmp_path))
        action = "resume" if (tmp_path / "saved_models").exists() else "train"
        with start(tmp_path, action, **WITHIN_EPOCHS) as process:
            wait_for_losses(tmp_path, steps_before + rng.randrange(1, 30), process)
            killed = process.poll() is None
            process.kill()
            _, stderr = process.communicate(timeout=TIMEOUT)
            assert process.returncode in (0, -signal.SIGKILL), stderr
        kills += killed
        if not killed:  # the run is complete: begin again, because there are kills left
            _compare(tmp_path, uninterrupted_within_epochs, expected)
            shutil.rmtree(tmp_path / "saved_models")
            (tmp_path / "losses").unlink()
    with start(tmp_path, "resume", **WITHIN_EPOCHS) as process:
        wait_for_success([process], TIMEOUT)
    _compare(tmp_path, uninterrupted_within_epochs, expected)


def _compare(folder: Path, reference: Path, expected: dict[int, str]) -> None:
    actual = read_losses(folder)
    assert [pair for pair in actual if expected[pair[0]] != pair[1]] == []
    assert {step for step, _ in actual} == set(expected)
    _compare_runs(folder / "saved_models" / "run", reference / "saved_models" / "run")


def _compare_runs(run: Path, reference: Path) -> None:
    assert newest_state(run) == newest_state(reference)
    for name in ("weights.safetensors", "config.json", "vocabulary.json"):
        assert (run / name).read_bytes() == (reference / name).read_bytes()
    reports = [json.loads((each / "report.json").read_text()) for each in (run, reference)]
    assert reports[0]["best_epoch"] == reports[1]["best_epoch"]
    assert reports[0]["best_step"] == reports[1]["best_step"]
    for kind in ("epochs", "validations"):
        perplexities = [[(each["step"], each["valid_perplexity"]) for each in report[kind]] for report in reports]
        assert perplexities[0] == perplexities[1]
    for kind in ("epochs", "samples"):
        samples = [[(each["step"], each["samples"]) for each in report[kind]] for report in reports]
        assert samples[0] == samples[1]
    for part, tag in (("train", LOSS), ("train", GRADIENT_NORM), ("valid", PERPLEXITY), ("valid", DISTINCT)):
        curves = [curve(run_folder / part, tag) for run_folder in (run, reference)]
        assert curves[0] == curves[1]


KILL_AT_EACH_WRITE = """
import os, re, signal, sys
from tests.helpers.training_process import main

OPENED, REMOVED = ("training.lock", "order.bin"), ("state.safetensors", "position.json")

def kind_of_write(event, arguments):
    if event == "os.rename" and "saved_models" in str(arguments[1]):
        again = " again" if os.path.exists(arguments[1]) else ""
        return "write " + re.sub("[0-9]+", "N", os.path.basename(arguments[1])) + again
    if event == "open" and str(arguments[0]).endswith(OPENED):
        return "open " + os.path.basename(arguments[0])
    return f"remove {arguments[0]}" if event == "os.remove" and arguments[0] in REMOVED else None

def die_at_new_kind(event, arguments):
    kind = kind_of_write(event, arguments)
    if kind is not None and kind not in known:
        file.write(kind + chr(10))
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

file = open("killed", "a+")
file.seek(0)
known = set(file.read().splitlines())
sys.addaudithook(die_at_new_kind)
main()
"""

KINDS_OF_WRITES = {
    "open training.lock", "open order.bin", "write copy_index", "write report.json", "write report.json again",
    "write state.safetensors", "write position.json", "write step-N", "remove state.safetensors",
    "remove position.json", "write vocabulary.json", "write weights.safetensors", "write weights.safetensors again",
    "write config.json", "write evaluation.json", "write report.html", "write words.tsv", "write word_vectors.tsv",
    "write projector_config.pbtxt",
}  # fmt: skip


@pytest.fixture(scope="module")
def uninterrupted_small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    with start(folder, "train", **SMALL) as process:
        wait_for_success([process], TIMEOUT)
    return folder


def test_resume_after_kill_at_each_kind_of_write_equals_uninterrupted_run(uninterrupted_small: Path, tmp_path: Path):
    """Each process kills itself with SIGKILL just before the first write of a new kind; the next process resumes."""
    report = tmp_path / "saved_models" / "run" / "report.json"
    returncode = None
    for _ in range(len(KINDS_OF_WRITES) + 12):
        action = "resume" if report.exists() else "train"
        with forked_process("-c", KILL_AT_EACH_WRITE, action, json.dumps(SMALL), cwd=tmp_path) as process:
            _, stderr = process.communicate(timeout=TIMEOUT)
        returncode = process.returncode
        assert returncode in (0, -signal.SIGKILL), stderr
        if returncode == 0:
            break
    assert returncode == 0
    assert set((tmp_path / "killed").read_text().splitlines()) >= KINDS_OF_WRITES
    _compare(tmp_path, uninterrupted_small, dict(read_losses(uninterrupted_small)))
    run, uninterrupted_run = (folder / "saved_models" / "run" for folder in (tmp_path, uninterrupted_small))
    files = [path for part in ("copy_index", "valid") for path in uninterrupted_run.glob(f"{part}/*.[bnjtp]*")]
    # The names of event files have the time.
    compared = [path.relative_to(uninterrupted_run) for path in files if "tfevents" not in path.name]
    assert len(compared) >= 7
    assert [path for path in compared if (run / path).read_bytes() != (uninterrupted_run / path).read_bytes()] == []
    warnings = (tmp_path / "warnings").read_text()
    for file in ("a checkpoint", "copy_index", "weights.safetensors", "word_vectors.tsv", "report.html"):
        assert f"The last run ended while it wrote {file}" in warnings
    assert not list(run.rglob(".*"))


@pytest.fixture(scope="module")
def early_stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a patience of 1 that stopped after its second epoch, which was not better than the first."""
    folder = tmp_path_factory.mktemp("early-stopped")
    with start(folder, "train", patience=1, average_after=None, epochs=60) as process:
        wait_for_success([process], TIMEOUT)
    assert len(read_losses(folder)) == 2 * 40
    return folder


def test_resume_of_ended_run_trains_no_more(early_stopped: Path, tmp_path: Path):
    folder = shutil.copytree(early_stopped, tmp_path / "folder")
    before = (folder / "saved_models" / "run" / "weights.safetensors").read_bytes()
    for more in ([], ["--epochs", "70"]):
        resumed = run_command("train", "--resume", "run", *more, cwd=folder)
        assert resumed.returncode == 0, resumed.stderr
        assert "no improvement for 1 epoch)" in resumed.stdout
        assert " step " not in resumed.stdout
        assert "Starting TensorFlow" not in resumed.stdout
    assert (folder / "saved_models" / "run" / "weights.safetensors").read_bytes() == before


WITH_FILE_SIZE_LIMIT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
from wordgen.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_full_disk_during_checkpoint_gives_warning_and_training_continues(tmp_path: Path):
    """With a limit of 300 kB per file, the model can be saved, but not the checkpoint, which is twice as large."""
    options = ["--corpus", "spells", "--layers", "1", "--units", "32", "--epochs", "2", "--name", "full"]
    with forked_process("-c", WITH_FILE_SIZE_LIMIT, "train", *options, cwd=tmp_path) as process:
        stdout, stderr = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, stderr
    output = " ".join(stdout.split())
    assert "The checkpoint of step 40 could not be saved" in output
    assert "The checkpoint of step 80 could not be saved" in output
    assert (tmp_path / "saved_models" / "full" / "weights.safetensors").exists()


TRAIN_AND_FILL_DISK = """
import json, os, sys
from tests.helpers.training_process import settings_with
from wordgen.cli.main import main
from wordgen.run.commands import training_arguments

FREE_BYTES = 20_000
saved = 0

def fill_the_disk(event, arguments):
    global saved
    if event == "tempfile.mkstemp" and ".weights.safetensors." in str(arguments[0]):
        saved += 1
        if saved == 2:  # the model of the first epoch is already saved
            with open("saved_models/ballast", "wb", buffering=0) as ballast:
                try:
                    while True:
                        ballast.write(bytes(1 << 12))
                except OSError:
                    ballast.truncate(ballast.tell() - FREE_BYTES)

sys.addaudithook(fill_the_disk)
sys.exit(main(training_arguments(settings_with(json.loads(sys.argv[1])), "run")))
"""

TRAIN_ON_SMALL_DISK = """
mkdir saved_models && mount -t tmpfs -o size=24m tmpfs saved_models || exit 99
"$1" -c "$2" "$3" > full.out 2> full.err
echo $? > full.code
cp saved_models/run/report.json saved_models/run/weights.safetensors .
ls -A saved_models/run > left
rm saved_models/ballast
"$1" -m wordgen train --resume run > resumed.out 2> resumed.err
echo $? > resumed.code
cp -r saved_models kept
"""


def run_with_own_mounts(script: str, *arguments: str, folder: Path) -> None:
    """Run a shell script that may mount file systems, which other processes do not see."""
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*namespace, "true"], check=False).returncode:
        pytest.skip("users cannot mount file systems on this system")
    command = [*namespace, "sh", "-c", script, "sh", *arguments]
    process = subprocess.run(command, cwd=folder, env=command_environment(), check=False, timeout=TIMEOUT)
    if process.returncode == 99:
        pytest.skip("users cannot mount file systems on this system")
    assert process.returncode == 0


def test_full_disk_during_save_of_best_model_ends_run_and_resume_continues(uninterrupted: Path, tmp_path: Path):
    """A small file system is filled just before the second best model is written."""
    run_with_own_mounts(
        TRAIN_ON_SMALL_DISK, sys.executable, TRAIN_AND_FILL_DISK, json.dumps(HIGH_RATE), folder=tmp_path
    )
    stderr = (tmp_path / "full.err").read_text()
    assert (tmp_path / "full.code").read_text() == "2\n", stderr
    assert re.fullmatch(r"Error: Cannot write to .*weights\.safetensors: No space left on device\. .*\n", stderr)
    uninterrupted_report = json.loads((uninterrupted / "saved_models" / "run" / "report.json").read_text())
    report = json.loads((tmp_path / "report.json").read_text())
    assert uninterrupted_report["best_epoch"] > report["best_epoch"] == 1
    assert report["epochs"][0]["valid_perplexity"] == uninterrupted_report["epochs"][0]["valid_perplexity"]
    assert not [name for name in (tmp_path / "left").read_text().split() if name.startswith(".")]
    assert (tmp_path / "resumed.code").read_text() == "0\n", (tmp_path / "resumed.err").read_text()
    _compare_runs(tmp_path / "kept" / "run", uninterrupted / "saved_models" / "run")


def test_resume_of_newest_run_with_more_epochs_equals_uninterrupted_run(uninterrupted: Path, tmp_path: Path):
    """A fresh interpreter with another hash seed resumes."""
    with start(tmp_path, "train", epochs=1) as process:
        wait_for_success([process], TIMEOUT)
    resumed = run_command("train", "--resume", "--epochs", str(EPOCHS), cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "epoch 2:" in resumed.stdout
    assert "epoch 1:" not in resumed.stdout
    _compare_runs(tmp_path / "saved_models" / "run", uninterrupted / "saved_models" / "run")


def test_resume_after_sigint_and_sigterm_equals_uninterrupted_run(uninterrupted: Path, tmp_path: Path):
    """Ctrl-C in the second epoch, and SIGTERM a few steps after the resume."""
    for action, minimum, number in (("train", 45, signal.SIGINT), ("resume", 5, signal.SIGTERM)):
        wanted = len(read_losses(tmp_path)) + minimum
        with start(tmp_path, action, json.dumps([0, wanted, number])) as process:
            wait_for_success([process], TIMEOUT)  # the Python API returns, it does not exit with the signal
        assert wanted <= len(read_losses(tmp_path)) < EPOCHS * 40
    with start(tmp_path, "resume") as process:
        wait_for_success([process], TIMEOUT)
    assert [step for step, _ in read_losses(tmp_path)] == list(range(1, EPOCHS * 40 + 1))  # no step twice, none missing
    _compare(tmp_path, uninterrupted, dict(read_losses(uninterrupted)))


class BeforeTensorFlowError(Exception):
    """Raised just before a run would start TensorFlow."""


class Warnings(wordgen.Observer):
    """Collects the warnings of a run and ends it before TensorFlow starts."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def warned(self, sentence: str) -> None:
        self.messages.append(sentence)

    def starting(self) -> None:
        raise BeforeTensorFlowError


@pytest.mark.parametrize(
    ("schedule", "before", "more", "warned"),
    [("cosine", 1, 2, True), ("cosine", 2, 2, False), ("constant", 1, 2, False)],
)
def test_resume_with_more_epochs_of_falling_learning_rate_gives_warning(
    schedule: str, before: int, more: int, warned: bool, in_empty_folder: Path
):
    settings = {"corpus": "spells", "schedule": schedule, "epochs": before}
    make_run("tale", settings=settings, dataset=plan_run(TrainSettings(**settings)).dataset)
    warnings = Warnings()
    with pytest.raises(BeforeTensorFlowError):
        resume_with("tale", {"epochs": more}, [warnings])
    warning = "The learning rate falls over all epochs. With 2 epochs instead of 1 it rises again now"
    assert any(message.startswith(warning) for message in warnings.messages) == warned


def test_resume_with_contradicting_settings_is_refused(
    early_stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(shutil.copytree(early_stopped, tmp_path / "folder"))
    for more, part in (
        (["--units", "25"], "began with --units 24, not --units 25"),
        (["--epochs", "0"], "give this number or a larger one"),
        (["--corpus", "lyrics"], "began with --corpus spells, not --corpus lyrics"),
    ):
        assert main(["train", "--resume", "run", *more]) == 2
        assert part in capsys.readouterr().err
    assert main(["train", "--resume", "run", "--units", "24", "--epochs", "60"]) == 0
    assert main(["train", "--resume", "rum"]) == 2
    assert "There is no run 'rum' to resume. Existing runs: run." in capsys.readouterr().err
    assert main(["train"]) == 2
    assert "--corpus is required" in capsys.readouterr().err


def test_resume_with_changed_text_is_refused(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    text = "\n\n".join(f"The road number {n % 7} goes on and on to the sea." for n in range(200))
    settings: dict[str, Any] = {"corpus": write_text(Path("tale.txt"), text)}
    make_run("tale", settings=settings, dataset=plan_run(TrainSettings(**settings)).dataset)
    with pytest.raises(BeforeTensorFlowError):
        resume_with("tale", {}, [Warnings()])
    write_text(Path("tale.txt"), f"{text}\n\nMore.")
    assert main(["train", "--resume", "tale"]) == 2
    message = "has changed since tale began, or another version of wordgen reads it"
    assert message in capsys.readouterr().err
