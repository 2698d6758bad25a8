"""The text a model is measured on: a set of its own corpus, or another text."""

import shutil
import textwrap
from pathlib import Path

import pytest

import wordgen
from tests.helpers.commands import ROOT, train_in_folder
from tests.helpers.texts import passages_of_split
from wordgen.cli.main import main
from wordgen.corpus.layout import Layout, Wrap
from wordgen.errors import BundleError, CorpusError


def test_model_without_report_is_measured_only_on_files(trained_copy: Path):
    (trained_copy / "saved_models" / "small" / "report.json").unlink()
    (trained_copy / "same.txt").write_text("\n".join(passages_of_split(2)), encoding="utf-8")
    with pytest.raises(CorpusError, match=r"has no report.json, so its training text is not known: give a text"):
        wordgen.evaluate()
    evaluation = wordgen.evaluate(split="same.txt")
    assert (evaluation.unigram, evaluation.ngram, evaluation.finding, evaluation.verdict) == (None, None, None, None)
    assert evaluation.novelty is None
    assert any("No comparison with word frequencies and n-grams" in note for note in evaluation.notes)


def test_unreadable_report_is_an_error(trained_copy: Path):
    (trained_copy / "saved_models" / "small" / "report.json").write_text("{")
    with pytest.raises(BundleError, match="its text cannot be found"):
        wordgen.evaluate()


@pytest.fixture(scope="module")
def trained_on_own_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    shutil.copy(ROOT / "data" / "spells.txt", folder / "mine.txt")
    return train_in_folder(folder, "mine.txt", "mine", "--layers 1 --units 8 --epochs 1")


@pytest.fixture
def own_corpus(trained_on_own_corpus: Path, in_empty_folder: Path) -> Path:
    shutil.copytree(trained_on_own_corpus, in_empty_folder, dirs_exist_ok=True)
    return in_empty_folder / "mine.txt"


def test_changed_corpus_is_an_error(own_corpus: Path):
    encoded = sorted(Path("data/encoded").iterdir())
    own_corpus.write_text(own_corpus.read_text(encoding="utf-8") + "one more line\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="text of mine has changed since mine was trained, or another version"):
        wordgen.evaluate()
    assert sorted(Path("data/encoded").iterdir()) == encoded  # the changed text was not encoded


def test_missing_corpus_is_an_error_but_files_are_measured(own_corpus: Path):
    own_corpus.rename("elsewhere.txt")
    with pytest.raises(CorpusError, match=r"The training text of mine cannot be found \(There is no corpus 'mine.txt'"):
        wordgen.evaluate()
    evaluation = wordgen.evaluate(split="elsewhere.txt")
    assert evaluation.ngram is None
    assert evaluation.verdict is None  # one epoch has no curve, and there is no other figure to compare with


def test_deleted_ids_are_encoded_again(own_corpus: Path):
    before = wordgen.evaluate(samples=0)
    shutil.rmtree("data/encoded")
    assert wordgen.evaluate(samples=0) == before


def test_benchmark_file_has_the_figures_of_its_split(in_empty_folder: Path):
    folder = in_empty_folder / "bench"
    folder.mkdir()
    text = " the <unk> cat sat on the mat \n \n \n = a title = \n the cat sat \n"
    for split, times in (("train", 40), ("valid", 3), ("test", 5)):
        (folder / f"b.{split}.txt").write_text(text * times)
    train_in_folder(in_empty_folder, "bench", "bench", "--passage line --layers 1 --units 8 --epochs 1")
    split, file = (wordgen.evaluate(split=split, samples=0) for split in ("test", "bench/b.test.txt"))
    assert file.loss == split.loss
    assert file.ngram == split.ngram
    # 5 times: 7 + 0 + 0 + 4 + 3 words and the ends of 5 lines. The first token is not predicted.
    assert split.tokens == 5 * 19 - 1


def test_figures_do_not_depend_on_the_layout_of_the_file(trained_copy: Path, capsys: pytest.CaptureFixture[str]):
    """The model was trained with a passage per line. A note says if the text is read in another way."""
    passages = passages_of_split(2)
    wrapped = [textwrap.fill(passage, 72, break_on_hyphens=False) for passage in passages]
    layouts = {
        "lines": "\n".join(passages),
        "apart": "\n\n".join(passages),
        "wrapped": "\n\n".join(wrapped),
        "close": "\n".join(f"    {each}" for each in wrapped),
    }
    note = (
        "This text is read with one passage per paragraph, by its layout, but the model was trained with one passage "
        "per line. "
    )
    figures, scores = set(), set()
    for name, text in layouts.items():
        (trained_copy / f"{name}.txt").write_text(text, encoding="utf-8")
        evaluation = wordgen.evaluate(split=f"{name}.txt", samples=0)
        figures.add((evaluation.tokens, evaluation.perplexity))
        assert sum(each.startswith(note) for each in evaluation.notes) == (name != "lines")
        assert main(["score", f"{name}.txt", "--json"]) == 0
        output = capsys.readouterr()
        scores.add(output.out)
        assert output.err.count(note) == (name != "lines")
    assert len(figures) == len(scores) == 1


@pytest.mark.parametrize(
    ("text", "model", "expected"),
    [
        (Layout("document", "kept"), Layout("line", "joined"), Layout("line", "joined")),  # verse, for a model of lines
        (Layout("document", "kept"), Layout("paragraph", "joined"), Layout("paragraph", "joined")),
        (Layout("line", "joined"), Layout("paragraph", "kept"), Layout("paragraph", "kept")),  # verse without stanzas
        (Layout("line", "joined"), Layout("line", "kept"), Layout("line", "kept")),
        (Layout("line", "joined"), Layout("paragraph", "joined"), Layout("line", "joined")),
        (Layout("paragraph", "joined", Wrap(60)), Layout("document", "kept"), Layout("paragraph", "joined", Wrap(60))),
    ],
)
def test_text_is_read_in_the_layout_of_the_model(text: Layout, model: Layout, expected: Layout):
    assert text.for_model(model) == expected
