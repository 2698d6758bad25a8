"""report.html of real runs: written by train, and anew by evaluate."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import wordgen
from tests.conftest import command_environment, run_command, run_python, trained_in
from tests.page_reader import ReadPage, read_page
from wordgen.cli.main import main
from wordgen.evaluating import keep
from wordgen.page.writing import write_page
from wordgen.training.reports import Observer

RUN = Path("saved_models/small")


@pytest.fixture
def room(trained_room: Path, in_empty_folder: Path) -> Path:
    """A copy of the room with a model of the spells, as its training left it, whatever others evaluated there."""
    shutil.copytree(trained_room, in_empty_folder, dirs_exist_ok=True)
    (RUN / "evaluation.json").unlink(missing_ok=True)
    write_page(RUN)
    return in_empty_folder


def page_of_run(folder: Path = RUN) -> ReadPage:
    return read_page((folder / "report.html").read_text(encoding="utf-8"))


def report_of_run(folder: Path = RUN) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def points(read: ReadPage, kind: str) -> int:
    return sum(len(str(line["points"]).split()) for line in read.named("polyline", class_=kind))


def test_train_leaves_a_page_with_what_the_report_says(trained_room: Path):
    folder = trained_room / RUN
    read, report = page_of_run(folder), report_of_run(folder)
    assert points(read, "train") == points(read, "valid") == len(report["epochs"]) == 3
    figures = " ".join(read.within("dd"))
    assert f"{report['valid_perplexity']:,.1f}" in figures
    assert f"{report['unigram_perplexity']:,.1f}" in figures
    assert f"{report['valid']['kneser_ney']['perplexity']:,.1f}" in figures
    assert f"{report['valid']['bits_per_character']:.3f}" in figures
    assert f"{report['parameters']:,}" in figures
    for epoch in report["epochs"]:
        assert f"{epoch['train_perplexity']:,.1f}" in read.within("td")
        assert all(sample["text"] in read.within("blockquote") for sample in epoch["samples"])
    for key in ("tensorflow", "keras", "numpy", "python", "devices"):
        assert report[key] in read.shown


def test_what_the_training_says_of_counting_is_what_evaluate_says(room: Path):
    at_the_end, found = report_of_run()["valid"], wordgen.evaluate("small", split="valid", samples=0)
    assert found.ngram is not None
    assert found.unigram is not None
    assert at_the_end["kneser_ney"]["perplexity"] == pytest.approx(found.ngram.perplexity)
    assert at_the_end["unigram"]["perplexity"] == pytest.approx(found.unigram.perplexity)
    assert at_the_end["bits_per_character"] == pytest.approx(found.bits_per_character, rel=1e-5)
    assert at_the_end["symbols"] == found.symbols
    assert found.mixture is not None
    assert at_the_end["mixture"]["perplexity"] == pytest.approx(found.mixture.loss.perplexity)
    assert at_the_end["mixture"]["weight"] == pytest.approx(found.mixture.weight)
    assert page_of_run().shown.count(f"mixed with the 5-gram {found.mixture.loss.perplexity:,.1f} ±") == 1


def test_the_commands_on_it_work(room: Path):
    commands = [text.split() for text in page_of_run().within("pre")]
    for command in commands[1:]:
        ended = run_command(*command[3:], cwd=room)
        assert ended.returncode == 0, ended.stderr
    again = run_command(*commands[0][3:], "--name", "again", cwd=room)
    assert again.returncode == 0, again.stderr
    perplexities = [report_of_run(Path("saved_models") / name)["valid_perplexity"] for name in ("small", "again")]
    assert perplexities[0] == perplexities[1]


def test_evaluate_adds_the_test_part_and_what_is_new_and_keeps_the_valid_part(
    room: Path, capsys: pytest.CaptureFixture[str]
):
    before = page_of_run()
    assert "test part" not in before.within("th")
    assert main(["evaluate", "small", "--samples", "4"]) == 0
    assert "Report:  saved_models/small/report.html" in capsys.readouterr().out
    kept, read = json.loads((RUN / "evaluation.json").read_text())["parts"], page_of_run()
    assert set(kept) == {"test"}
    assert {"valid part", "test part"} <= set(read.within("th"))
    assert f"{kept['test']['perplexity']:,.1f} ±" in " ".join(read.within("td"))
    assert f"{report_of_run()['valid_perplexity']:,.1f}" in read.within("td")
    assert kept["test"]["novelty"]["verdict"] in read.shown

    assert main(["evaluate", "small", "--split", "valid", "--samples", "0"]) == 0
    assert set(json.loads((RUN / "evaluation.json").read_text())["parts"]) == {"valid", "test"}
    assert kept["test"]["novelty"]["verdict"] in page_of_run().shown
    assert main(["evaluate", "small", "--samples", "0"]) == 0  # what was found of the same model stays
    assert kept["test"]["novelty"]["verdict"] in page_of_run().shown


def test_another_text_and_a_model_without_its_report_leave_nothing(room: Path):
    (room / "text.txt").write_text("The caster sleeps.\n" * 20)
    page = (RUN / "report.html").read_bytes()
    assert main(["evaluate", "small", "--split", "text.txt", "--samples", "0"]) == 0
    assert (RUN / "report.html").read_bytes() == page
    (RUN / "report.json").unlink()
    assert main(["evaluate", "small", "--split", "text.txt", "--samples", "0"]) == 0
    assert not (RUN / "evaluation.json").exists()


def test_from_python_nothing_is_written_until_it_is_wanted(room: Path):
    found = wordgen.evaluate("small", samples=0)
    assert not (RUN / "evaluation.json").exists()
    assert keep(found) == RUN / "report.html"
    assert (RUN / "evaluation.json").exists()


def test_the_training_text_is_not_passed_on_where_it_must_not_be(room: Path):
    report = report_of_run()
    report["settings"]["copy_index"] = False
    (RUN / "report.json").write_text(json.dumps(report))
    found = wordgen.evaluate("small", samples=8)
    keep(found)
    assert found.novelty is not None
    assert found.novelty.samples.longest is not None
    assert found.novelty.samples.longest.text not in (RUN / "evaluation.json").read_text()


def test_a_folder_that_cannot_be_written_is_noted_and_the_figures_are_told(
    room: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    RUN.chmod(0o500)
    if os.geteuid() == 0:  # root may write everywhere, so it must be told

        def refused(**named: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("tempfile.mkstemp", refused)
    assert main(["evaluate", "small", "--json", "--samples", "0"]) == 0
    RUN.chmod(0o700)
    said = capsys.readouterr()
    assert json.loads(said.out)["perplexity"] > 1
    assert re.fullmatch(r"Note: these figures are not kept beside the model\. Cannot write to .*\n", said.err)
    assert not (RUN / "evaluation.json").exists()


def test_a_page_that_cannot_be_written_is_a_warning_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Noting(Observer):
        def __init__(self) -> None:
            self.warnings: list[str] = []

        def warned(self, sentence: str) -> None:
            self.warnings.append(sentence)

        def page_written(self, page: Path) -> None:
            raise AssertionError("there is none")

    def broken(facts: object) -> str:
        raise ZeroDivisionError("no such page")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("wordgen.page.writing.page_of", broken)
    noting = Noting()
    run = wordgen.train_with(wordgen.TrainSettings(corpus="spells", layers=1, units=8, epochs=1, name="run"), [noting])
    assert noting.warnings[-1] == "The page about the run is not written. no such page"
    assert run.ending.model_kept
    assert report_of_run(run.folder)["ended"] == "all epochs done"
    assert wordgen.load("run").generate("The", length=3)


def test_a_run_that_was_begun_before_pages_gets_one_when_it_goes_on(room: Path):
    report = report_of_run()
    new = ("text", "recipe", "devices", "word_to_try", "valid", "tensorflow", "keras", "numpy")
    (RUN / "report.json").write_text(json.dumps({key: value for key, value in report.items() if key not in new}))
    (RUN / "report.html").unlink()
    ended = run_command("train", "--resume", "small", "--epochs", "4", cwd=room)
    assert ended.returncode == 0, ended.stderr
    assert "Report:         saved_models/small/report.html" in ended.stdout
    assert points(page_of_run(), "valid") == 4


def test_what_was_measured_before_a_run_went_on_is_not_said_of_it_now(room: Path):
    keep(wordgen.evaluate("small", samples=0))
    ended = run_command("train", "--resume", "small", "--epochs", "9", "--quiet", cwd=room)
    assert ended.returncode == 0, ended.stderr
    assert report_of_run()["best_epoch"] > 3
    assert "test part" not in page_of_run().within("th")


def test_a_run_that_is_stopped_says_so_with_how_to_go_on(tmp_path: Path):
    arguments = ["-m", "wordgen", "train", "--corpus", "spells", "--layers", "1", "--units", "32", "--epochs", "5000"]
    process = subprocess.Popen(
        [sys.executable, *arguments, "--patience", "5000", "--name", "small"],
        cwd=tmp_path,
        env=command_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    weights, until = tmp_path / RUN / "weights.safetensors", time.monotonic() + 200
    while not weights.exists() and time.monotonic() < until:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 130
    assert "Report:" in said
    read, report = page_of_run(tmp_path / RUN), report_of_run(tmp_path / RUN)
    assert points(read, "valid") == len(report["epochs"])
    assert "It was stopped in epoch" in read.shown
    assert "python -m wordgen train --resume small" in read.within("pre")


def test_a_run_that_diverges_keeps_its_model_and_gets_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    trained_in(tmp_path, "spells", "small", "--layers 1 --units 8 --epochs 1 --precision float32")
    monkeypatch.chdir(tmp_path)
    (RUN / "report.html").unlink()
    program = """
import sys
from dataclasses import replace
from wordgen.cli.main import main
from wordgen.training.step import Stepper

real = Stepper.__call__

def gone(self, *given, **named):
    done, *others = real(self, *given, **named)
    return [replace(one, loss=float("nan")) for one in done], *others

Stepper.__call__ = gone
sys.exit(main(["train", "--resume", "small", "--epochs", "2"]))
"""
    ended = run_python("-c", program, cwd=tmp_path)
    assert (ended.returncode, "diverged in epoch 2" in ended.stderr) == (2, True), ended.stderr
    assert report_of_run()["ended"] == "diverged"
    assert "It diverged after 1 epoch" in page_of_run().shown
