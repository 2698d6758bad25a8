"""A run that was killed and resumed is the run that was never killed: weights, optimizer, losses, to the bit."""

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import command_environment, run_command
from tests.curves import curve
from tests.laws.running import EPOCHS
from wordgen.training.tensorboard import DISTINCT, GRADIENT_NORM, LOSS, PERPLEXITY

PATIENCE = 900  # seconds, on a machine that has much else to do
KILLS = int(os.environ.get("WORDGEN_KILLS", "5"))  # `make soak` sets more
OPTIONS = ["--corpus", "spells", "--layers", "2", "--units", "24", "--dropout", "0.4", "--checkpoint-every", "7"]

HASTY = {"learning_rate": 1.0, "warm_up": 100}
"""So high a rate that the second epoch is worse than the first, and averaging begins."""

pytestmark = pytest.mark.slow


def start(room: Path, verb: str, program: tuple[str, ...] = ("-m", "tests.laws.running")) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, *program, verb, json.dumps(HASTY)], cwd=room, env=command_environment(), stderr=subprocess.PIPE
    )


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
    with start(room, "train") as process:
        assert process.wait(timeout=PATIENCE) == 0
    epochs = json.loads((room / "saved_models" / "run" / "report.json").read_text())["epochs"]
    assert [epoch["averaged"] for epoch in epochs] == [False, False, True]
    return room


def test_killed_at_random_steps_and_resumed_it_is_the_same_run(never_killed: Path, tmp_path: Path):
    expected = dict(losses(never_killed))
    assert len(expected) == EPOCHS * 40
    dice = random.Random(KILLS)
    kills = 0
    while kills < KILLS:
        seen = len(losses(tmp_path))
        with start(tmp_path, "resume" if (tmp_path / "saved_models").exists() else "train") as process:
            until = seen + dice.randrange(1, 30)
            while process.poll() is None and len(losses(tmp_path)) < until:
                time.sleep(0.002)
            killed = process.poll() is None
            process.kill()
        assert killed or process.returncode == 0, process.stderr and process.stderr.read().decode()
        kills += killed
        if not killed:  # it came to its end: begin again, for there are kills left
            _compare(tmp_path, never_killed, expected)
            subprocess.run(["rm", "-rf", "saved_models", "losses"], cwd=tmp_path, check=True)
    with start(tmp_path, "resume") as process:
        assert process.wait(timeout=PATIENCE) == 0
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
    perplexities = [[epoch["valid_perplexity"] for epoch in report["epochs"]] for report in reports]
    assert perplexities[0] == perplexities[1]
    samples = [[epoch["samples"] for epoch in report["epochs"]] for report in reports]
    assert samples[0] == samples[1]
    for part, tag in (("train", LOSS), ("train", GRADIENT_NORM), ("valid", PERPLEXITY), ("valid", DISTINCT)):
        curves = [curve(folder / part, tag) for folder in (run, whole)]
        assert curves[0] == curves[1]


KILLED_AT_EACH_WRITE = """
import os, re, signal, sys
from tests.laws.running import main

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
    "write config.json", "write report.html", "write words.tsv", "write word_vectors.tsv",
    "write projector_config.pbtxt",
}  # fmt: skip


def test_killed_at_each_kind_of_write_and_resumed_it_is_the_same_run(never_killed: Path, tmp_path: Path):
    """Each process kills itself with SIGKILL where the first write of a kind would take effect; the next goes on."""
    begun = tmp_path / "saved_models" / "run" / "report.json"
    ended = None
    for _ in range(len(WRITTEN) + 9):
        with start(tmp_path, "resume" if begun.exists() else "train", ("-c", KILLED_AT_EACH_WRITE)) as process:
            ended = process.wait(timeout=PATIENCE)
            assert ended in (0, -signal.SIGKILL), process.stderr and process.stderr.read().decode()
        if ended == 0:
            break
    assert ended == 0
    assert set((tmp_path / "killed").read_text().splitlines()) >= WRITTEN
    _compare(tmp_path, never_killed, dict(losses(never_killed)))
    run, whole = (room / "saved_models" / "run" for room in (tmp_path, never_killed))
    files = [path for part in ("copy_index", "valid") for path in whole.glob(f"{part}/*.[bnjtp]*")]
    kept = [path.relative_to(whole) for path in files if "tfevents" not in path.name]  # named by time
    assert len(kept) >= 7
    assert [path for path in kept if (run / path).read_bytes() != (whole / path).read_bytes()] == []
    told = (tmp_path / "warnings").read_text()
    for what in ("A checkpoint", "copy_index", "weights.safetensors", "word_vectors.tsv", "report.html"):
        assert f"{what} was being written when the run ended" in told
    assert not list(run.rglob(".*"))


def test_a_run_that_came_to_its_end_learns_no_more_however_often_it_is_resumed(tmp_path: Path):
    options = ["--layers", "1", "--units", "64", "--batch-size", "4", "--patience", "1", "--epochs", "60"]
    begun = train(tmp_path, "--corpus", "spells", *options, "--learning-rate", "0.01", "--name", "tale")
    assert "no better for 1 epochs" in begun.stdout
    before = (tmp_path / "saved_models" / "tale" / "weights.safetensors").read_bytes()
    again = train(tmp_path, "--resume", "tale")
    assert again.returncode == 0, again.stderr
    assert "no better for 1 epochs" in again.stdout
    assert " step " not in again.stdout
    assert "Starting TensorFlow" not in again.stdout
    assert "no better for 1 epochs" in train(tmp_path, "--resume", "tale", "--epochs", "70").stdout
    assert (tmp_path / "saved_models" / "tale" / "weights.safetensors").read_bytes() == before


def test_a_full_disk_during_a_checkpoint_is_warned_of_and_the_training_goes_on(tmp_path: Path):
    """In a process that may write no file over 300 kB, the model fits and the checkpoint, twice as large, does not."""
    ended = subprocess.run(
        [sys.executable, "-m", "wordgen", "train", "--corpus", "spells", "--layers", "1", "--units", "32",
         "--epochs", "2", "--name", "full"],
        cwd=tmp_path,
        env=command_environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    shown = " ".join(ended.stdout.split())
    assert "The checkpoint of step 40 is not saved" in shown
    assert "The checkpoint of step 80 is not saved" in shown
    assert (tmp_path / "saved_models" / "full" / "weights.safetensors").exists()


FILLS_THE_DISK = """
import json, os, sys
from tests.laws.running import settings_with
from wordgen.cli.main import main
from wordgen.commands import training_arguments

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
    assert report["valid_perplexity"] == whole["epochs"][0]["valid_perplexity"]
    assert not [name for name in (tmp_path / "left").read_text().split() if name.startswith(".")]
    assert (tmp_path / "resumed.code").read_text() == "0\n", (tmp_path / "resumed.err").read_text()
    _compare_runs(tmp_path / "kept" / "run", never_killed / "saved_models" / "run")


def train(room: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    return run_command("train", *more, cwd=room)


def test_the_command_goes_on_with_the_newest_run_and_more_epochs(tmp_path: Path):
    assert train(tmp_path, *OPTIONS, "--epochs", "1", "--name", "tale").returncode == 0
    resumed = train(tmp_path, "--resume", "--epochs", "2")
    assert resumed.returncode == 0, resumed.stderr
    assert "epoch 2:" in resumed.stdout
    assert "epoch 1:" not in resumed.stdout
    assert train(tmp_path, *OPTIONS, "--epochs", "2", "--name", "whole").returncode == 0
    weights = [(tmp_path / "saved_models" / name / "weights.safetensors").read_bytes() for name in ("tale", "whole")]
    assert weights[0] == weights[1]


def test_more_epochs_of_a_rate_that_comes_down_over_all_of_them_are_another_run_and_that_is_told(tmp_path: Path):
    begun = train(tmp_path, *OPTIONS, "--epochs", "1", "--schedule", "cosine", "--name", "tale")
    assert begun.returncode == 0, begun.stderr
    resumed = train(tmp_path, "--resume", "--epochs", "2")
    assert resumed.returncode == 0, resumed.stderr
    told = " ".join((resumed.stdout + resumed.stderr).split())
    assert "The learning rate comes down over all epochs: with 2 in the place of 1 it goes up again" in told
    again = train(tmp_path, "--resume", "--epochs", "2")
    assert "goes up again" not in again.stdout + again.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on_where_it_was(never_killed: Path, tmp_path: Path, number: int):
    with start(tmp_path, "train") as process:
        while len(losses(tmp_path)) < 53:
            time.sleep(0.005)
        process.send_signal(number)
        assert process.wait(timeout=60) == 0  # the driver's own code: the Python API returns
    done = len(losses(tmp_path))
    with start(tmp_path, "resume") as process:
        assert process.wait(timeout=PATIENCE) == 0
    found = losses(tmp_path)
    assert [step for step, _ in found] == list(range(1, len(found) + 1))  # no step twice, none left out
    assert done < len(found)
    _compare(tmp_path, never_killed, dict(losses(never_killed)))


def test_what_contradicts_the_run_is_refused_with_the_difference(tmp_path: Path):
    assert train(tmp_path, *OPTIONS, "--epochs", "1", "--name", "tale").returncode == 0
    for more, part in (
        (["--units", "25"], "begun with --units 24 and not 25"),
        (["--epochs", "0"], "--epochs may grow, but not shrink"),
        (["--corpus", "lyrics"], "begun with --corpus spells and not lyrics"),
    ):
        ended = train(tmp_path, "--resume", "tale", *more)
        assert ended.returncode == 2
        assert part in ended.stderr
    assert train(tmp_path, "--resume", "tale", "--units", "24", "--epochs", "1").returncode == 0
    assert "There is no run 'tail' to resume. There are: tale." in train(tmp_path, "--resume", "tail").stderr
    assert "--corpus is required" in train(tmp_path).stderr


def test_a_text_that_changed_is_refused(tmp_path: Path):
    text = "\n\n".join(f"The road number {n % 7} goes on and on to the sea." for n in range(200))
    (tmp_path / "tale.txt").write_text(text)
    begun = train(tmp_path, "--corpus", "tale.txt", *OPTIONS[2:], "--epochs", "1", "--name", "tale")
    assert begun.returncode == 0, begun.stderr
    (tmp_path / "tale.txt").write_text(text + "\n\nMore.")
    ended = train(tmp_path, "--resume", "tale", "--epochs", "2")
    assert ended.returncode == 2
    assert "is not the one that tale began with, or another version of wordgen read it" in ended.stderr
