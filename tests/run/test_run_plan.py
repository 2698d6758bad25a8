"""What is said of a run before TensorFlow is there."""

from pathlib import Path
from typing import Any

import pytest

from wordgen.cli.main import main
from wordgen.run.settings import TrainSettings
from wordgen.run.train import plan_run
from wordgen.training.reports import Observer


class Warned(Observer):
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def warned(self, sentence: str) -> None:
        self.sentences.append(sentence)


@pytest.mark.parametrize(
    ("chosen", "advice"),
    [
        ({"corpus": "spells"}, ["use more text, or spell them out with --unknown spell"]),
        ({"corpus": "spells", "vocab_size": 100}, ["use --vocab-size 200 (the text has"]),
        ({"corpus": "spells", "unknown": "spell"}, []),
        ({"corpus": "lotr"}, []),
    ],
)
def test_a_plan_in_which_much_is_unknown_says_what_to_do(
    chosen: dict[str, Any], advice: list[str], in_empty_folder: Path
):
    watcher = Warned()
    plan = plan_run(TrainSettings(**chosen, layers=1, units=8), [watcher])
    valid = plan.dataset.splits["valid"]
    assert (valid.unknown > 0.1 * valid.words) == bool(advice)
    assert len(watcher.sentences) == len(advice)
    assert all(part in sentence for part, sentence in zip(advice, watcher.sentences, strict=True))


def test_a_plan_and_a_look_name_what_lies_beside_the_texts_each_time(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
):
    """Also where the text was cut before the other file came."""
    Path("notes").mkdir()
    for name in "abc":
        Path(f"notes/{name}.txt").write_text("The road went on.\n\nIt rained.\n" * 20)
    settings = TrainSettings(corpus="notes", layers=1, units=8)
    before = plan_run(settings, [])
    Path("notes/d.pdf").write_bytes(b"%PDF-1.4")
    told = "left out d.pdf, a PDF: save its text as .txt, for example with pdftotext or from a PDF viewer"
    after = plan_run(settings, [])
    assert after.text.notes == (told, *before.text.notes)
    assert after.dataset.fingerprint == before.dataset.fingerprint
    assert main(["corpora", "show", "notes"]) == 0
    assert " ".join(capsys.readouterr().out.split()).count(told) == 1
