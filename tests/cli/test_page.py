"""report.html of runs, which train writes and evaluate updates."""

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
from wordgen.run.evaluate import save_evaluation
from wordgen.run.record import RunRecord, load_record, save_measurement, save_record
from wordgen.training.reports import EpochReport, Observer

RUN = Path("saved_models/small")


@pytest.fixture
def folder(trained_folder: Path, in_empty_folder: Path) -> Path:
    """A copy of the trained model of the spells, without what other tests have evaluated."""
    shutil.copytree(trained_folder, in_empty_folder, dirs_exist_ok=True)
    valid = load_record(RUN).measurements["valid"]
    (RUN / "evaluation.json").unlink()
    save_measurement(RUN, "valid", replace(valid, novelty=None))
    write_page(RUN)
    return in_empty_folder


def page_of_run(folder: Path = RUN) -> ReadPage:
    return read_page((folder / "report.html").read_text(encoding="utf-8"))


def best_epoch_of(record: RunRecord) -> EpochReport:
    assert record.best is not None
    return record.best


def test_page_has_figures_of_report_json(trained_folder: Path):
    folder = trained_folder / RUN
    page, record = page_of_run(folder), load_record(folder)
    valid = record.measured["valid"]
    assert len(page.points("train")) == len(page.points("valid")) == len(record.epochs) == 3
    figures = " ".join(page.within("dd"))
    assert f"{best_epoch_of(record).valid_perplexity:,.1f}" in figures
    assert f"{record.unigram_perplexity:,.1f}" in figures
    assert valid.ngram is not None
    assert f"{valid.ngram.perplexity:,.1f}" in figures
    assert f"{valid.loss.bits_per(valid.characters):.3f}" in figures
    assert f"{record.architecture.parameters:,}" in figures
    for epoch in record.epochs:
        assert f"{epoch.train_perplexity:,.1f}" in page.within("td")
        assert all(sample.text in page.within("blockquote") for sample in epoch.samples)
    versions = record.versions
    for value in (versions.tensorflow, versions.keras, versions.numpy, versions.python, record.devices):
        assert value is not None
        assert value in page.shown


def test_ngram_figures_of_train_equal_those_of_evaluate(folder: Path):
    trained = load_record(RUN).measured["valid"]
    evaluated = wordgen.evaluate("small", split="valid", samples=0)
    assert evaluated.mixture is not None
    assert trained.mixture is not None
    assert (trained.ngram, trained.unigram, trained.order) == (evaluated.ngram, evaluated.unigram, evaluated.order)
    assert (trained.loss.tokens, trained.characters) == (evaluated.tokens, evaluated.characters)
    assert trained.loss.perplexity == pytest.approx(evaluated.perplexity, rel=1e-5)
    assert trained.mixture.loss.perplexity == pytest.approx(evaluated.mixture.loss.perplexity)
    assert trained.mixture.weight == pytest.approx(evaluated.mixture.weight)
    assert page_of_run().shown.count(f"mixed with the 5-gram {evaluated.mixture.loss.perplexity:,.1f} ±") == 1


def test_commands_on_page_work(folder: Path):
    train_again, *others = (text.split()[3:] for text in page_of_run().within("pre"))
    for command in others:
        assert main(command) == 0
    assert main([*train_again, "--name", "again"]) == 0
    first, second = (best_epoch_of(load_record(Path("saved_models") / name)) for name in ("small", "again"))
    assert first.valid_perplexity == second.valid_perplexity


def test_evaluate_adds_test_set_and_novelty_to_page(folder: Path, capsys: pytest.CaptureFixture[str]):
    before = page_of_run()
    assert "test set" not in before.within("th")
    assert main(["evaluate", "small", "--samples", "4"]) == 0
    assert "Report:  saved_models/small/report.html" in capsys.readouterr().out
    record, page = load_record(RUN), page_of_run()
    test = record.measured["test"]
    assert test.novelty is not None
    verdict = test.novelty.verdict
    assert verdict is not None
    assert {"validation set", "test set"} <= set(page.within("th"))
    assert f"{test.loss.perplexity:,.1f} ±" in " ".join(page.within("td"))
    assert f"{best_epoch_of(record).valid_perplexity:,.1f}" in page.within("td")
    assert verdict in page.shown

    assert main(["evaluate", "small", "--split", "valid", "--samples", "0"]) == 0
    assert set(load_record(RUN).measured) == {"valid", "test"}
    assert verdict in page_of_run().shown
    assert main(["evaluate", "small", "--samples", "0"]) == 0  # keeps the novelty measured before
    assert verdict in page_of_run().shown


def test_evaluate_of_another_text_changes_no_file_of_run(folder: Path):
    (folder / "text.txt").write_text("The caster sleeps.\n" * 20)
    page = (RUN / "report.html").read_bytes()
    assert main(["evaluate", "small", "--split", "text.txt", "--samples", "0"]) == 0
    assert (RUN / "report.html").read_bytes() == page
    (RUN / "report.json").unlink()
    evaluation_json = (RUN / "evaluation.json").read_bytes()
    assert main(["evaluate", "small", "--split", "text.txt", "--samples", "0"]) == 0
    assert (RUN / "evaluation.json").read_bytes() == evaluation_json


def test_python_api_writes_evaluation_only_on_request(folder: Path):
    evaluation = wordgen.evaluate("small", samples=0)
    assert "test" not in load_record(RUN).measured
    assert save_evaluation(evaluation)
    assert load_record(RUN).measured["test"].loss == evaluation.loss


def test_evaluation_without_copy_index_has_no_training_text(folder: Path):
    record = load_record(RUN)
    save_record(RUN, replace(record, settings=replace(record.settings, copy_index=False)))
    evaluation = wordgen.evaluate("small", samples=8)
    save_evaluation(evaluation)
    assert evaluation.novelty is not None
    assert evaluation.novelty.samples.longest is not None
    assert evaluation.novelty.samples.longest.text not in (RUN / "evaluation.json").read_text()


def test_evaluate_prints_figures_if_folder_is_read_only(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    RUN.chmod(0o500)
    if os.geteuid() == 0:  # root can write everywhere

        def raise_permission_error(**arguments: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("tempfile.mkstemp", raise_permission_error)
    assert main(["evaluate", "small", "--json", "--samples", "0"]) == 0
    RUN.chmod(0o700)
    output = capsys.readouterr()
    assert json.loads(output.out)["perplexity"] > 1
    note = r"Note: these figures are not saved in the folder of the model\. Cannot write to .*\n"
    assert re.fullmatch(note, output.err)
    assert "test" not in load_record(RUN).measured


def test_failed_write_of_page_is_only_a_warning(folder: Path, monkeypatch: pytest.MonkeyPatch):
    class WarningObserver(Observer):
        def __init__(self) -> None:
            self.warnings: list[str] = []

        def warned(self, sentence: str) -> None:
            self.warnings.append(sentence)

        def page_written(self, page: Path) -> None:
            raise AssertionError("the page cannot be written")

    def raise_error(run: str, record: object) -> str:
        raise ZeroDivisionError("no such page")

    monkeypatch.setattr("wordgen.report.page.render_page", raise_error)
    observer = WarningObserver()
    run = resume_with("small", {}, [observer])  # has ended: only writes the page again
    assert observer.warnings[-1] == "The report page could not be written. no such page"
    assert run.ending.model_kept
    assert load_record(run.folder).ended == "all epochs done"
    assert wordgen.load("small").generate("The", length=3)


def test_resumed_run_drops_older_evaluation_from_page(folder: Path):
    save_evaluation(wordgen.evaluate("small", samples=0))
    assert main(["train", "--resume", "small", "--epochs", "5", "--quiet"]) == 0
    best = load_record(RUN).best_epoch
    assert best is not None
    assert best > 3
    assert "test set" not in page_of_run().within("th")


def test_diverged_run_keeps_model_and_gets_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from wordgen.training.step import Stepper

    original_call = Stepper.__call__

    def call_with_nan_losses(self: Stepper, *arguments: Any, **options: Any) -> Any:
        steps, *others = original_call(self, *arguments, **options)
        return [replace(step, loss=float("nan")) for step in steps], *others

    (RUN / "report.html").unlink()
    monkeypatch.setattr(Stepper, "__call__", call_with_nan_losses)
    assert main(["train", "--resume", "small", "--epochs", "4"]) == 2
    assert "diverged in epoch 4" in capsys.readouterr().err
    assert load_record(RUN).ended == "diverged"
    assert "The run diverged after 3 epochs" in page_of_run().shown
    assert wordgen.load("small").generate("The", length=3)
