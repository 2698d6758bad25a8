"""report.html of real runs: written by train, and anew by evaluate."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wordgen
from tests.helpers.page_reader import ReadPage, read_page
from wordgen.api import resume_with
from wordgen.cli.main import main
from wordgen.report.page import write_page
from wordgen.run.evaluate import keep
from wordgen.run.record import RunRecord, keep_measurement, load_record, save_record
from wordgen.training.reports import EpochReport, Observer

RUN = Path("saved_models/small")


@pytest.fixture
def room(trained_room: Path, in_empty_folder: Path) -> Path:
    """A copy of the room with a model of the spells, as its training left it, whatever others evaluated there."""
    shutil.copytree(trained_room, in_empty_folder, dirs_exist_ok=True)
    valid = load_record(RUN).measurements["valid"]
    (RUN / "evaluation.json").unlink()
    keep_measurement(RUN, "valid", replace(valid, novelty=None))
    write_page(RUN)
    return in_empty_folder


def page_of_run(folder: Path = RUN) -> ReadPage:
    return read_page((folder / "report.html").read_text(encoding="utf-8"))


def best_of(record: RunRecord) -> EpochReport:
    assert record.best is not None
    return record.best


def test_train_leaves_a_page_with_what_the_report_says(trained_room: Path):
    folder = trained_room / RUN
    read, record = page_of_run(folder), load_record(folder)
    valid = record.measured["valid"]
    assert len(read.points("train")) == len(read.points("valid")) == len(record.epochs) == 3
    figures = " ".join(read.within("dd"))
    assert f"{best_of(record).valid_perplexity:,.1f}" in figures
    assert f"{record.unigram_perplexity:,.1f}" in figures
    assert valid.ngram is not None
    assert f"{valid.ngram.perplexity:,.1f}" in figures
    assert f"{valid.own.bits_per(valid.characters):.3f}" in figures
    assert f"{record.architecture.parameters:,}" in figures
    for epoch in record.epochs:
        assert f"{epoch.train_perplexity:,.1f}" in read.within("td")
        assert all(sample.text in read.within("blockquote") for sample in epoch.samples)
    versions = record.versions
    for told in (versions.tensorflow, versions.keras, versions.numpy, versions.python, record.devices):
        assert told is not None
        assert told in read.shown


def test_what_the_training_says_of_counting_is_what_evaluate_says(room: Path):
    at_the_end = load_record(RUN).measured["valid"]
    found = wordgen.evaluate("small", split="valid", samples=0)
    assert found.mixture is not None
    assert at_the_end.mixture is not None
    assert (at_the_end.ngram, at_the_end.unigram, at_the_end.order) == (found.ngram, found.unigram, found.order)
    assert (at_the_end.own.tokens, at_the_end.characters) == (found.tokens, found.characters)
    assert at_the_end.own.perplexity == pytest.approx(found.perplexity, rel=1e-5)
    assert at_the_end.mixture.loss.perplexity == pytest.approx(found.mixture.loss.perplexity)
    assert at_the_end.mixture.weight == pytest.approx(found.mixture.weight)
    assert page_of_run().shown.count(f"mixed with the 5-gram {found.mixture.loss.perplexity:,.1f} ±") == 1


def test_the_commands_on_it_work(room: Path):
    again, *others = (text.split()[3:] for text in page_of_run().within("pre"))
    for command in others:
        assert main(command) == 0
    assert main([*again, "--name", "again"]) == 0
    perplexities = [best_of(load_record(Path("saved_models") / name)).valid_perplexity for name in ("small", "again")]
    assert perplexities[0] == perplexities[1]


def test_evaluate_adds_the_test_part_and_what_is_new_and_keeps_the_valid_part(
    room: Path, capsys: pytest.CaptureFixture[str]
):
    before = page_of_run()
    assert "test set" not in before.within("th")
    assert main(["evaluate", "small", "--samples", "4"]) == 0
    assert "Report:  saved_models/small/report.html" in capsys.readouterr().out
    record, read = load_record(RUN), page_of_run()
    test = record.measured["test"]
    assert test.novelty is not None
    verdict = test.novelty.verdict
    assert verdict is not None
    assert {"validation set", "test set"} <= set(read.within("th"))
    assert f"{test.own.perplexity:,.1f} ±" in " ".join(read.within("td"))
    assert f"{best_of(record).valid_perplexity:,.1f}" in read.within("td")
    assert verdict in read.shown

    assert main(["evaluate", "small", "--split", "valid", "--samples", "0"]) == 0
    assert set(load_record(RUN).measured) == {"valid", "test"}
    assert verdict in page_of_run().shown
    assert main(["evaluate", "small", "--samples", "0"]) == 0  # what was found of the same model stays
    assert verdict in page_of_run().shown


def test_another_text_and_a_model_without_its_report_leave_nothing(room: Path):
    (room / "text.txt").write_text("The caster sleeps.\n" * 20)
    page = (RUN / "report.html").read_bytes()
    assert main(["evaluate", "small", "--split", "text.txt", "--samples", "0"]) == 0
    assert (RUN / "report.html").read_bytes() == page
    (RUN / "report.json").unlink()
    before = (RUN / "evaluation.json").read_bytes()
    assert main(["evaluate", "small", "--split", "text.txt", "--samples", "0"]) == 0
    assert (RUN / "evaluation.json").read_bytes() == before


def test_from_python_nothing_is_written_until_it_is_wanted(room: Path):
    found = wordgen.evaluate("small", samples=0)
    assert "test" not in load_record(RUN).measured
    assert keep(found)
    assert load_record(RUN).measured["test"].own == found.own


def test_the_training_text_is_not_passed_on_where_it_must_not_be(room: Path):
    record = load_record(RUN)
    save_record(RUN, replace(record, settings=replace(record.settings, copy_index=False)))
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
    assert re.fullmatch(
        r"Note: these figures are not saved in the folder of the model\. Cannot write to .*\n", said.err
    )
    assert "test" not in load_record(RUN).measured


def test_a_page_that_cannot_be_written_is_a_warning_and_no_more(room: Path, monkeypatch: pytest.MonkeyPatch):
    class Noting(Observer):
        def __init__(self) -> None:
            self.warnings: list[str] = []

        def warned(self, sentence: str) -> None:
            self.warnings.append(sentence)

        def page_written(self, page: Path) -> None:
            raise AssertionError("there is none")

    def broken(run: str, record: object) -> str:
        raise ZeroDivisionError("no such page")

    monkeypatch.setattr("wordgen.report.page.page_of", broken)
    noting = Noting()
    run = resume_with("small", {}, [noting])  # which has ended, so it writes its page again and nothing else
    assert noting.warnings[-1] == "The report page could not be written. no such page"
    assert run.ending.model_kept
    assert load_record(run.folder).ended == "all epochs done"
    assert wordgen.load("small").generate("The", length=3)


def test_what_was_measured_before_a_run_went_on_is_not_said_of_it_now(room: Path):
    keep(wordgen.evaluate("small", samples=0))
    assert main(["train", "--resume", "small", "--epochs", "5", "--quiet"]) == 0
    best = load_record(RUN).best_epoch
    assert best is not None
    assert best > 3
    assert "test set" not in page_of_run().within("th")


def test_a_run_that_diverges_keeps_its_model_and_gets_a_page(
    room: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from wordgen.training.step import Stepper

    real = Stepper.__call__

    def gone(self: Stepper, *given: Any, **named: Any) -> Any:
        done, *others = real(self, *given, **named)
        return [replace(one, loss=float("nan")) for one in done], *others

    (RUN / "report.html").unlink()
    monkeypatch.setattr(Stepper, "__call__", gone)
    assert main(["train", "--resume", "small", "--epochs", "4"]) == 2
    assert "diverged in epoch 4" in capsys.readouterr().err
    assert load_record(RUN).ended == "diverged"
    assert "The run diverged after 3 epochs" in page_of_run().shown
    assert wordgen.load("small").generate("The", length=3)
