"""A run that was killed and resumed is the run that was never killed: weights, optimizer, losses, to the bit."""

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
from tests.helpers.curves import curve
from tests.helpers.forked import ForkedProcess, forked_alone
from tests.helpers.running import EPOCHS
from tests.helpers.saved_runs import make_run
from tests.helpers.texts import write_text
from wordgen.api import resume_with
from wordgen.cli.main import main
from wordgen.run.settings import TrainSettings
from wordgen.run.train import plan_run
from wordgen.training.tensorboard import DISTINCT, GRADIENT_NORM, LOSS, PERPLEXITY

PATIENCE = 900  # seconds, on a machine that has much else to do
KILLS = int(os.environ.get("WORDGEN_KILLS", "2"))  # `make soak` sets more

HASTY = {"learning_rate": 1.0, "warm_up": 100}
"""So high a rate that the second epoch is worse than the first, and averaging begins."""

PLAIN = {
    "cell": "rnn", "layers": 1, "units": 8, "seq_len": 5, "batch_size": 48, "dropout": 0.0, "vary_seq_len": False,
    "locked_dropout": False, "word_dropout": 0.0, "weight_drop": 0.0, "learning_rate": 0.01, "warm_up": 0,
}  # fmt: skip
"""A network that is soon built, for what does not depend on it. It gets better in each epoch."""

BY_STEP = {"validate_every": 6, "sample_every": 15, "log_every": 4}

pytestmark = pytest.mark.slow


def begun(room: Path, verb: str, **chosen: Any) -> AbstractContextManager[ForkedProcess]:
    return forked_alone("-m", "tests.helpers.running", verb, json.dumps({**HASTY, **chosen}), room=room)


def ended_well(process: ForkedProcess) -> None:
    _, complaint = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, complaint


def wait_for_losses(room: Path, number: int, process: ForkedProcess) -> None:
    while process.poll() is None and len(losses(room)) < number:
        time.sleep(0.002)


def losses(room: Path) -> list[tuple[int, str]]:
    if not (room / "losses").exists():
        return []
    lines = (room / "losses").read_text().split("\n")[:-1]  # behind the last line end is half a line at most
    return [(int(step), loss) for step, loss in (line.split() for line in lines)]


def newest_state(run: Path) -> bytes:
    return sorted((run / "checkpoints").glob("step-*"))[-1].joinpath("state.safetensors").read_bytes()


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("whole")
    with begun(room, "train") as process:
        ended_well(process)
    epochs = json.loads((room / "saved_models" / "run" / "report.json").read_text())["epochs"]
    assert [epoch["averaged"] for epoch in epochs] == [False, False, True]
    return room


@pytest.fixture(scope="module")
def never_killed_by_step(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("by-step")
    with begun(room, "train", **BY_STEP) as process:
        ended_well(process)
    report = json.loads((room / "saved_models" / "run" / "report.json").read_text())
    assert [each["step"] for each in report["validations"]] == [n for n in range(6, 120, 6) if n % 40]
    assert [each["step"] for each in report["samples"]] == [15, 30, 45, 60, 75, 90, 105]
    return room


def test_killed_and_resumed_it_is_the_same_run_with_validations_and_samples_within_epochs(
    never_killed_by_step: Path, never_killed: Path, tmp_path: Path
):
    assert losses(never_killed_by_step) == losses(never_killed)  # they do not change the training
    _kill_and_compare(tmp_path, never_killed_by_step, max(1, KILLS // 2), **BY_STEP)


def test_killed_at_random_steps_and_resumed_it_is_the_same_run(never_killed: Path, tmp_path: Path):
    _kill_and_compare(tmp_path, never_killed, KILLS)


def _kill_and_compare(tmp_path: Path, never_killed: Path, wanted: int, **more: Any) -> None:
    expected = dict(losses(never_killed))
    assert len(expected) == EPOCHS * 40
    dice = random.Random(wanted)
    kills = 0
    while kills < wanted:
        seen = len(losses(tmp_path))
        verb = "resume" if (tmp_path / "saved_models").exists() else "train"
        with begun(tmp_path, verb, **more) as process:
            wait_for_losses(tmp_path, seen + dice.randrange(1, 30), process)
            killed = process.poll() is None
            process.kill()
            _, complaint = process.communicate(timeout=PATIENCE)
            assert process.returncode in (0, -signal.SIGKILL), complaint
        kills += killed
        if not killed:  # it came to its end: begin again, for there are kills left
            _compare(tmp_path, never_killed, expected)
            shutil.rmtree(tmp_path / "saved_models")
            (tmp_path / "losses").unlink()
    with begun(tmp_path, "resume", **more) as process:
        ended_well(process)
    _compare(tmp_path, never_killed, expected)


def _compare(room: Path, whole: Path, expected: dict[int, str]) -> None:
    found = losses(room)
    assert [pair for pair in found if expected[pair[0]] != pair[1]] == []
    assert {step for step, _ in found} == set(expected)
    _compare_runs(room / "saved_models" / "run", whole / "saved_models" / "run")


def _compare_runs(run: Path, whole: Path) -> None:
    assert newest_state(run) == newest_state(whole)
    for name in ("weights.safetensors", "config.json", "vocabulary.json"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    reports = [json.loads((each / "report.json").read_text()) for each in (run, whole)]
    assert reports[0]["best_epoch"] == reports[1]["best_epoch"]
    assert reports[0]["best_step"] == reports[1]["best_step"]
    for kind in ("epochs", "validations"):
        perplexities = [[(each["step"], each["valid_perplexity"]) for each in report[kind]] for report in reports]
        assert perplexities[0] == perplexities[1]
    for kind in ("epochs", "samples"):
        samples = [[(each["step"], each["samples"]) for each in report[kind]] for report in reports]
        assert samples[0] == samples[1]
    for part, tag in (("train", LOSS), ("train", GRADIENT_NORM), ("valid", PERPLEXITY), ("valid", DISTINCT)):
        curves = [curve(folder / part, tag) for folder in (run, whole)]
        assert curves[0] == curves[1]


KILLED_AT_EACH_WRITE = """
import os, re, signal, sys
from tests.helpers.running import main

OPENED, REMOVED = ("training.lock", "order.bin"), ("state.safetensors", "position.json")

def kind(event, arguments):
    if event == "os.rename" and "saved_models" in str(arguments[1]):
        again = " again" if os.path.exists(arguments[1]) else ""
        return "write " + re.sub("[0-9]+", "N", os.path.basename(arguments[1])) + again
    if event == "open" and str(arguments[0]).endswith(OPENED):
        return "open " + os.path.basename(arguments[0])
    return f"remove {arguments[0]}" if event == "os.remove" and arguments[0] in REMOVED else None

def die_at_a_new_kind(event, arguments):
    what = kind(event, arguments)
    if what is not None and what not in known:
        file.write(what + chr(10))
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

file = open("killed", "a+")
file.seek(0)
known = set(file.read().splitlines())
sys.addaudithook(die_at_a_new_kind)
main()
"""

WRITTEN = {
    "open training.lock", "open order.bin", "write copy_index", "write report.json", "write report.json again",
    "write state.safetensors", "write position.json", "write step-N", "remove state.safetensors",
    "remove position.json", "write vocabulary.json", "write weights.safetensors", "write weights.safetensors again",
    "write config.json", "write evaluation.json", "write report.html", "write words.tsv", "write word_vectors.tsv",
    "write projector_config.pbtxt",
}  # fmt: skip


@pytest.fixture(scope="module")
def never_killed_plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("plain")
    with begun(room, "train", **PLAIN) as process:
        ended_well(process)
    return room


def test_killed_at_each_kind_of_write_and_resumed_it_is_the_same_run(never_killed_plain: Path, tmp_path: Path):
    """Each process kills itself with SIGKILL where the first write of a kind would take effect; the next goes on."""
    report = tmp_path / "saved_models" / "run" / "report.json"
    ended = None
    for _ in range(len(WRITTEN) + 12):
        verb = "resume" if report.exists() else "train"
        with forked_alone("-c", KILLED_AT_EACH_WRITE, verb, json.dumps(PLAIN), room=tmp_path) as process:
            _, complaint = process.communicate(timeout=PATIENCE)
        ended = process.returncode
        assert ended in (0, -signal.SIGKILL), complaint
        if ended == 0:
            break
    assert ended == 0
    assert set((tmp_path / "killed").read_text().splitlines()) >= WRITTEN
    _compare(tmp_path, never_killed_plain, dict(losses(never_killed_plain)))
    run, whole = (room / "saved_models" / "run" for room in (tmp_path, never_killed_plain))
    files = [path for part in ("copy_index", "valid") for path in whole.glob(f"{part}/*.[bnjtp]*")]
    kept = [path.relative_to(whole) for path in files if "tfevents" not in path.name]  # named by time
    assert len(kept) >= 7
    assert [path for path in kept if (run / path).read_bytes() != (whole / path).read_bytes()] == []
    told = (tmp_path / "warnings").read_text()
    for what in ("a checkpoint", "copy_index", "weights.safetensors", "word_vectors.tsv", "report.html"):
        assert f"The last run ended while it wrote {what}" in told
    assert not list(run.rglob(".*"))


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that had the patience for one epoch that is no better, which its second was."""
    room = tmp_path_factory.mktemp("ended")
    with begun(room, "train", patience=1, average_after=None, epochs=60) as process:
        ended_well(process)
    assert len(losses(room)) == 2 * 40
    return room


def test_a_run_that_came_to_its_end_learns_no_more_however_often_it_is_resumed(ended: Path, tmp_path: Path):
    room = shutil.copytree(ended, tmp_path / "room")
    before = (room / "saved_models" / "run" / "weights.safetensors").read_bytes()
    for more in ([], ["--epochs", "70"]):
        again = run_command("train", "--resume", "run", *more, cwd=room)
        assert again.returncode == 0, again.stderr
        assert "no improvement for 1 epoch)" in again.stdout
        assert " step " not in again.stdout
        assert "Starting TensorFlow" not in again.stdout
    assert (room / "saved_models" / "run" / "weights.safetensors").read_bytes() == before


WITH_SMALL_FILES = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
from wordgen.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_full_disk_during_a_checkpoint_is_warned_of_and_the_training_goes_on(tmp_path: Path):
    """In a process that may write no file over 300 kB, the model fits and the checkpoint, twice as large, does not."""
    options = ["--corpus", "spells", "--layers", "1", "--units", "32", "--epochs", "2", "--name", "full"]
    with forked_alone("-c", WITH_SMALL_FILES, "train", *options, room=tmp_path) as process:
        shown, complaint = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, complaint
    shown = " ".join(shown.split())
    assert "The checkpoint of step 40 could not be saved" in shown
    assert "The checkpoint of step 80 could not be saved" in shown
    assert (tmp_path / "saved_models" / "full" / "weights.safetensors").exists()


FILLS_THE_DISK = """
import json, os, sys
from tests.helpers.running import settings_with
from wordgen.cli.main import main
from wordgen.run.commands import training_arguments

ROOM_LEFT = 20_000
saved = 0

def fill_the_disk(event, arguments):
    global saved
    if event == "tempfile.mkstemp" and ".weights.safetensors." in str(arguments[0]):
        saved += 1
        if saved == 2:  # that of the first epoch is there
            with open("saved_models/ballast", "wb", buffering=0) as ballast:
                try:
                    while True:
                        ballast.write(bytes(1 << 12))
                except OSError:
                    ballast.truncate(ballast.tell() - ROOM_LEFT)

sys.addaudithook(fill_the_disk)
sys.exit(main(training_arguments(settings_with(json.loads(sys.argv[1])), "run")))
"""

ON_A_SMALL_DISK = """
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


def in_own_file_systems(script: str, *arguments: str, room: Path) -> None:
    """Run a shell script that may mount file systems, which nobody else sees."""
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*namespace, "true"], check=False).returncode:
        pytest.skip("this system lets its users mount nothing")
    command = [*namespace, "sh", "-c", script, "sh", *arguments]
    ended = subprocess.run(command, cwd=room, env=command_environment(), check=False, timeout=PATIENCE)
    if ended.returncode == 99:
        pytest.skip("this system lets its users mount nothing")
    assert ended.returncode == 0


def test_a_disk_that_is_full_while_the_best_is_saved_ends_the_run_and_with_room_it_goes_on(
    never_killed: Path, tmp_path: Path
):
    """A file system of its own is filled when the second best model is about to be written."""
    in_own_file_systems(ON_A_SMALL_DISK, sys.executable, FILLS_THE_DISK, json.dumps(HASTY), room=tmp_path)
    told = (tmp_path / "full.err").read_text()
    assert (tmp_path / "full.code").read_text() == "2\n", told
    assert re.fullmatch(r"Error: Cannot write to .*weights\.safetensors: No space left on device\. .*\n", told)
    whole = json.loads((never_killed / "saved_models" / "run" / "report.json").read_text())
    report = json.loads((tmp_path / "report.json").read_text())
    assert whole["best_epoch"] > report["best_epoch"] == 1
    assert report["epochs"][0]["valid_perplexity"] == whole["epochs"][0]["valid_perplexity"]
    assert not [name for name in (tmp_path / "left").read_text().split() if name.startswith(".")]
    assert (tmp_path / "resumed.code").read_text() == "0\n", (tmp_path / "resumed.err").read_text()
    _compare_runs(tmp_path / "kept" / "run", never_killed / "saved_models" / "run")


def test_the_command_goes_on_with_the_newest_run_and_more_epochs(never_killed: Path, tmp_path: Path):
    """As if it had begun with so many; here a fresh interpreter goes on, with another hash seed."""
    with begun(tmp_path, "train", epochs=1) as process:
        ended_well(process)
    resumed = run_command("train", "--resume", "--epochs", str(EPOCHS), cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "epoch 2:" in resumed.stdout
    assert "epoch 1:" not in resumed.stdout
    _compare_runs(tmp_path / "saved_models" / "run", never_killed / "saved_models" / "run")


def test_a_run_that_is_stopped_goes_on_where_it_was(never_killed: Path, tmp_path: Path):
    """By Ctrl-C in its second epoch and by SIGTERM a little later."""
    for verb, least, number in (("train", 45, signal.SIGINT), ("resume", 5, signal.SIGTERM)):
        until = len(losses(tmp_path)) + least
        with begun(tmp_path, verb) as process:
            wait_for_losses(tmp_path, until, process)
            process.send_signal(number)
            ended_well(process)  # the driver's own code: the Python API returns
        assert until <= len(losses(tmp_path)) < EPOCHS * 40
    with begun(tmp_path, "resume") as process:
        ended_well(process)
    assert [step for step, _ in losses(tmp_path)] == list(range(1, EPOCHS * 40 + 1))  # none twice, none left out
    _compare(tmp_path, never_killed, dict(losses(never_killed)))


class BeforeTensorFlowError(Exception):
    """Here a run would begin to learn."""


class Warnings(wordgen.Observer):
    """Hears what is warned of, and goes no further than that."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def warned(self, sentence: str) -> None:
        self.heard.append(sentence)

    def starting(self) -> None:
        raise BeforeTensorFlowError


@pytest.mark.parametrize(
    ("schedule", "before", "more", "warned"),
    [("cosine", 1, 2, True), ("cosine", 2, 2, False), ("constant", 1, 2, False)],
)
def test_more_epochs_of_a_rate_that_comes_down_over_all_of_them_are_another_run_and_that_is_told(
    schedule: str, before: int, more: int, warned: bool, in_empty_folder: Path
):
    settings = {"corpus": "spells", "schedule": schedule, "epochs": before}
    make_run("tale", settings=settings, dataset=plan_run(TrainSettings(**settings)).dataset)
    warnings = Warnings()
    with pytest.raises(BeforeTensorFlowError):
        resume_with("tale", {"epochs": more}, [warnings])
    told = "The learning rate falls over all epochs. With 2 epochs instead of 1 it rises again now"
    assert any(sentence.startswith(told) for sentence in warnings.heard) == warned


def test_what_contradicts_the_run_is_refused_with_the_difference(
    ended: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(shutil.copytree(ended, tmp_path / "room"))
    for more, part in (
        (["--units", "25"], "began with --units 24, not 25"),
        (["--epochs", "0"], "give this number or a larger one"),
        (["--corpus", "lyrics"], "began with --corpus spells, not lyrics"),
    ):
        assert main(["train", "--resume", "run", *more]) == 2
        assert part in capsys.readouterr().err
    assert main(["train", "--resume", "run", "--units", "24", "--epochs", "60"]) == 0
    assert main(["train", "--resume", "rum"]) == 2
    assert "There is no run 'rum' to resume. Existing runs: run." in capsys.readouterr().err
    assert main(["train"]) == 2
    assert "--corpus is required" in capsys.readouterr().err


def test_a_text_that_changed_is_refused(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    text = "\n\n".join(f"The road number {n % 7} goes on and on to the sea." for n in range(200))
    settings: dict[str, Any] = {"corpus": write_text(Path("tale.txt"), text)}
    make_run("tale", settings=settings, dataset=plan_run(TrainSettings(**settings)).dataset)
    with pytest.raises(BeforeTensorFlowError):
        resume_with("tale", {}, [Warnings()])
    write_text(Path("tale.txt"), f"{text}\n\nMore.")
    assert main(["train", "--resume", "tale"]) == 2
    told = "has changed since tale began, or another version of wordgen reads it"
    assert told in capsys.readouterr().err
