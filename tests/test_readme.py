"""The commands of README.md and of the guides in docs/ run, in a copy of the project."""

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.helpers.commands import ROOT, run_command, run_python
from tests.helpers.music import music_bundle
from tests.helpers.playground import served
from tests.helpers.saved_runs import make_runs
from tests.helpers.tensorboard import tensorboard
from tests.helpers.texts import write_text
from wordgen.cli.main import main
from wordgen.model.bundle import save_bundle
from wordgen.run.defaults import recipe_names
from wordgen.sweep.planning import sweep_names
from wordgen.training.tensorboard import DISTINCT, LOSS, PERPLEXITY, PLAN, REPORT, SAMPLES, SPEED

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.strip().split("\n")
]
EVALUATE = "python -m wordgen evaluate"
SERVE = "python -m wordgen serve"
SWEEP = "python -m wordgen sweep"
PALINDROMES = "python -m wordgen palindromes"
COPIED = [
    "wordgen",
    "data",
    "recipes",
    "sweeps",
    "train.py",
    "generate.py",
    "saved_models",
    "constraints.txt",
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-web.txt",
    "requirements-onnx.txt",
    "requirements-music.txt",
    "Makefile",
]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a text my-book.txt."""
    folder = tmp_path_factory.mktemp("readme")
    ignored = shutil.ignore_patterns("__pycache__", "encoded", "downloads", "own.toml", "*-20*")
    for path in COPIED:
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, folder / path, ignore=ignored)
        else:
            shutil.copy(ROOT / path, folder / path)
    fables = (ROOT / "data" / "fables.txt").read_text()
    (folder / "my-book.txt").write_text(fables[: fables.index("\n\n", 12_000)])  # short, so that training is fast
    return folder


def run_block(guide: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run the Python block of a guide and return its output."""
    (block,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    capsys.readouterr()
    exec(compile(block, "guide", "exec"), {})
    return capsys.readouterr().out


def help_of(capsys: pytest.CaptureFixture[str], *verbs: str) -> str:
    """Return the --help of commands."""
    capsys.readouterr()
    assert {main([verb, "--help"]) for verb in verbs} == {0}
    return capsys.readouterr().out


def test_writing_guide_runs(trained_copy: Path, capsys: pytest.CaptureFixture[str]):
    guide = (ROOT / "docs" / "writing.md").read_text(encoding="utf-8")
    assert len(run_block(guide, capsys).split("\n")) > 8
    known = help_of(capsys, "generate")
    flags = set(re.findall(r"--[a-z][a-z-]+", guide)) - {"--no-copy-index", "--unknown"}  # these belong to train
    assert {flag for flag in flags if flag not in known} == set()


def test_learning_guide_names_existing_flags(capsys: pytest.CaptureFixture[str]):
    guide = (ROOT / "docs" / "learning.md").read_text(encoding="utf-8")
    known = help_of(capsys, "train", "evaluate", "generate", "launch")
    flags = set(re.findall(r"--[a-z][a-z-]+", guide))
    assert len(flags) > 15
    assert {flag for flag in flags if flag not in known} == set()
    named = set(re.findall(r"--recipe ([a-z-]+)", guide)) - {"auto", "none"}
    assert named <= set(recipe_names())


def test_watching_guide_names_groups_of_tensorboard():
    guide = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")
    groups = {tag.split("/")[0] for tag in (PERPLEXITY, DISTINCT, LOSS, SPEED, SAMPLES, PLAN, REPORT)}
    assert groups == set(re.findall(r"`(\d [a-z0-9 -]+)`", guide))


def test_playground_guide_runs(trained_copy: Path, capsys: pytest.CaptureFixture[str]):
    guide = (ROOT / "docs" / "playground.md").read_text(encoding="utf-8")
    airs = trained_copy / "saved_models" / "airs"
    save_bundle(music_bundle("abc", ["K:C", "C", "D", "E", "F", "|"]), airs)
    for path in (*airs.iterdir(), airs):
        os.utime(path, (0, 0))  # so that the other model is the newest
    with served(trained_copy) as playground:
        requests = re.findall(r"curl -H \"\$token\" (?:-N )?http://127\.0\.0\.1:8000(\S+)(?: -d '(.+)')?", guide)
        assert len(requests) == 6
        for place, content in requests:
            answer = playground.ask("POST" if content else "GET", place, content.encode() or None)
            assert answer.status == 200, answer
        paths = playground.ask("GET", "/openapi.json").content["paths"]
    assert {path for path in paths if f"{path}`" not in guide} == set()
    known = help_of(capsys, "serve")
    assert {flag for flag in re.findall(r"--[a-z][a-z-]+", guide) if flag not in known} == set()


def test_evaluating_guide_runs(trained_copy: Path, capsys: pytest.CaptureFixture[str]):
    guide = (ROOT / "docs" / "evaluating.md").read_text(encoding="utf-8")
    assert len(run_block(guide, capsys).split("\n")) == 4
    known = help_of(capsys, "train", "evaluate", "generate")
    assert {flag for flag in re.findall(r"--[a-z][a-z-]+", guide) if flag not in known} == set()
    assert main(["evaluate", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    novelty = report["novelty"]
    fields = {*report, *report["kneser_ney"], *novelty, *novelty["samples"], *novelty["samples"]["longest"]} - {"order"}
    described = set(re.findall(r"`([a-z_1-2]+)`", guide.partition("## For programs")[2]))
    assert fields <= described


@pytest.mark.slow
def test_train_generate_and_evaluate_commands_run(clone: Path):
    """The training takes one epoch here, with a part of the text and no words of the base; `make soak` trains fully."""
    complete = bool(os.environ.get("WORDGEN_WHOLE_README"))
    if not complete:  # files in data/lotr take the place of the bundled lotr
        passages = (ROOT / "data" / "lotr.txt").read_text(encoding="utf-8").split("\n\n")
        passages_with_aragorn = [passage for passage in passages if "Aragorn" in passage][:30]
        write_text(clone / "data" / "lotr" / "few.txt", "\n\n".join(passages_with_aragorn))
    lines = [line for line in COMMANDS if line.startswith(("python train.py", "python generate.py", EVALUATE))]
    assert lines[:2] == [
        "python train.py --corpus lotr --seq-len 15 --layers 3",
        "python generate.py --seed Aragorn --mode sample",
    ]
    outputs = []
    for line in lines:
        options = ["--epochs", "1", "--base-words", "0"] if "train.py" in line and not complete else []
        result = run_python(*shlex.split(line)[1:], *options, cwd=clone, timeout=1500)
        assert result.returncode == 0, f"{line}: {result.stderr}"
        outputs.append(result.stdout)
    factor = re.search(r"Word frequencies alone: [\d.,]+, ([\d.]+) times as much", " ".join(outputs[0].split()))
    assert factor is not None
    assert float(factor[1]) >= 1.5
    assert outputs[1].startswith("Aragorn")
    shutil.rmtree(clone / "data" / "lotr", ignore_errors=True)


def test_corpora_commands_run(clone: Path):
    lines = [line for line in COMMANDS if line.startswith("python -m wordgen corpora")]
    outputs = [run_command(*shlex.split(line)[3:], cwd=clone) for line in lines]
    assert [(result.returncode, result.stderr) for result in outputs] == [(0, "")] * 2
    assert "sea" in run_command("corpora", cwd=clone).stdout


def test_runs_commands_run(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch):
    make_runs("my-book", "my-book-2")
    lines = [line for line in COMMANDS if line.startswith("python -m wordgen runs")]
    for line in lines:
        monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
        assert main(shlex.split(line)[3:]) == 0
    assert len(lines) == 4
    assert [path.name for path in Path("saved_models").iterdir()] == ["my-book-2"]


def test_export_command_runs(in_empty_folder: Path):
    make_runs("my-book")
    (line,) = re.findall(r"`(python -m wordgen export [^`]+)`", README)
    assert main(shlex.split(line)[3:]) == 0
    assert (in_empty_folder / "my-book.onnx").is_file()


def test_sweep_and_palindromes_commands_start(clone: Path):
    """Only a dry run, because each takes minutes; tests/laws and tests/palindromes have complete ones."""
    lines = [line for line in COMMANDS if line.startswith((SWEEP, PALINDROMES))]
    assert len(lines) == 2
    for line in lines:
        result = run_command(*shlex.split(line)[3:], "--dry-run", cwd=clone)
        assert (result.returncode, result.stderr) == (0, "")


def test_sweeps_guide_names_sweeps_and_its_examples_start(clone: Path):
    guide = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
    assert set(sweep_names()) <= set(re.findall(r"`([a-z-]+)`", guide))
    examples = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    for number, (example, runs) in enumerate(zip(examples, (18, 2), strict=True)):
        settings = "" if "[settings]" in example else '[settings]\ncorpus = "spells"\nlayers = 1\n'
        (clone / f"guide-{number}.toml").write_text(settings + example)
        result = run_command("sweep", f"guide-{number}.toml", "--dry-run", cwd=clone)
        assert (result.returncode, result.stderr) == (0, "")
        assert f"{runs} runs" in result.stdout


def test_tensorboard_command_serves_runs(clone: Path, tmp_path: Path):
    (line,) = (line for line in COMMANDS if line.startswith("tensorboard"))
    assert line == "tensorboard --logdir saved_models"
    with (
        tensorboard(clone, tmp_path / "log", shlex.split(line)[1:]) as address,
        urllib.request.urlopen(address, timeout=30) as page,
    ):
        assert b"TensorBoard" in page.read()


def test_serve_command_runs(clone: Path):
    (line,) = (line for line in COMMANDS if line.startswith(SERVE))
    with served(clone, *shlex.split(line)[4:]) as playground:
        assert b"playground" in playground.ask("GET", "/").body
        assert playground.stop() == (0, "\nThe playground is closed. Goodbye!\n")


def test_make_targets_exist(clone: Path):
    for line in (line for line in COMMANDS if line.startswith("make")):
        dry_run = subprocess.run([*shlex.split(line), "-n"], cwd=clone, capture_output=True, text=True, check=False)
        assert dry_run.returncode == 0, dry_run.stderr
    demo = subprocess.run(["make", "demo", "-n"], cwd=clone, capture_output=True, text=True, check=True).stdout
    assert "train.py --corpus lotr --seq-len 15 --layers 3" in demo
    assert "generate.py --seed Aragorn --mode sample" in demo


def test_every_command_is_tested():
    known = ("make ", "python -m venv", ". .venv", "pip install -r requirements.txt", SERVE)
    known += ("pip install -r requirements-web.txt",)
    known += ("python train.py", "python generate.py", "python -m wordgen corpora", EVALUATE, "tensorboard")
    known += ("python -m wordgen runs",)
    known += (SWEEP, PALINDROMES)
    assert [line for line in COMMANDS if not line.startswith(known)] == []


def test_python_example_runs(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run_block(README, capsys).count("The caster") >= 3


def test_linked_files_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
