"""The plan of a run, and its warnings."""

from pathlib import Path
from typing import Any

import pytest

from wordgen.cli.main import main
from wordgen.run.settings import TrainSettings
from wordgen.run.train import plan_run
from wordgen.training.reports import Observer


class Warnings(Observer):
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def warned(self, sentence: str) -> None:
        self.sentences.append(sentence)


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"corpus": "spells"}, ["use more text, or spell them out with --unknown spell"]),
        ({"corpus": "spells", "vocab_size": 100}, ["use --vocab-size 200 (the text has"]),
        ({"corpus": "spells", "unknown": "spell"}, []),
        ({"corpus": "lotr"}, []),
    ],
)
def test_plan_warns_if_many_tokens_are_unknown(settings: dict[str, Any], advice: list[str], in_empty_folder: Path):
    warnings = Warnings()
    plan = plan_run(TrainSettings(**settings, layers=1, units=8), [warnings])
    valid = plan.dataset.splits["valid"]
    assert (valid.unknown > 0.1 * valid.words) == bool(advice)
    assert len(warnings.sentences) == len(advice)
    assert all(part in sentence for part, sentence in zip(advice, warnings.sentences, strict=True))


def test_plan_and_corpora_show_name_skipped_files(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    """Also if the text was encoded before the file was added."""
    Path("notes").mkdir()
    for name in "abc":
        Path(f"notes/{name}.txt").write_text("The road went on.\n\nIt rained.\n" * 20)
    settings = TrainSettings(corpus="notes", layers=1, units=8)
    before = plan_run(settings, [])
    Path("notes/d.pdf").write_bytes(b"%PDF-1.4")
    note = "left out d.pdf, a PDF: save its text as .txt, for example with pdftotext or from a PDF viewer"
    after = plan_run(settings, [])
    assert after.text.notes == (note, *before.text.notes)
    assert after.dataset.fingerprint == before.dataset.fingerprint
    assert main(["corpora", "show", "notes"]) == 0
    assert " ".join(capsys.readouterr().out.split()).count(note) == 1


def test_plan_names_all_folders_of_the_text(in_empty_folder: Path):
    for name in ("one", "two"):
        Path(name).mkdir()
        Path(name, "tale.txt").write_text("The road went on.\n\nIt rained.\n" * 20)
    plan = plan_run(TrainSettings(corpus=("one/tale.txt", "two/tale.txt"), layers=1, units=8))
    assert plan.text.source == "2 files in one and two"
