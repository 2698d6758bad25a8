"""Which text a model is measured on: its own, found again, or any other."""

import shutil
import textwrap
from pathlib import Path

import pytest

import wordgen
from tests.helpers.commands import ROOT, trained_here
from tests.helpers.texts import passages_of_split
from wordgen.cli.main import main
from wordgen.corpus.layout import Layout, Wrap
from wordgen.errors import BundleError, CorpusError


def test_without_its_report_a_model_is_measured_on_files_alone(room: Path):
    (room / "saved_models" / "small" / "report.json").unlink()
    (room / "same.txt").write_text("\n".join(passages_of_split(2)), encoding="utf-8")
    with pytest.raises(CorpusError, match=r"has no report.json, so its training text is not known: give a text"):
        wordgen.evaluate()
    found = wordgen.evaluate(split="same.txt")
    assert (found.unigram, found.ngram, found.finding, found.verdict) == (None, None, None, None)
    assert found.novelty is None
    assert any("No comparison with word frequencies and n-grams" in note for note in found.notes)


def test_a_report_that_cannot_be_read_is_told(room: Path):
    (room / "saved_models" / "small" / "report.json").write_text("{")
    with pytest.raises(BundleError, match="its text cannot be found"):
        wordgen.evaluate()


@pytest.fixture(scope="module")
def own_text_room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("own")
    shutil.copy(ROOT / "data" / "spells.txt", room / "mine.txt")
    return trained_here(room, "mine.txt", "mine", "--layers 1 --units 8 --epochs 1")


@pytest.fixture
def own_text(own_text_room: Path, in_empty_folder: Path) -> Path:
    shutil.copytree(own_text_room, in_empty_folder, dirs_exist_ok=True)
    return in_empty_folder / "mine.txt"


def test_a_corpus_that_changed_is_not_the_one(own_text: Path):
    encoded = sorted(Path("data/encoded").iterdir())
    own_text.write_text(own_text.read_text(encoding="utf-8") + "one more line\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="text of mine has changed since mine was trained, or another version"):
        wordgen.evaluate()
    assert sorted(Path("data/encoded").iterdir()) == encoded  # nothing was made of the other


def test_a_corpus_that_is_gone_is_missed_and_files_are_measured_without_it(own_text: Path):
    own_text.rename("elsewhere.txt")
    with pytest.raises(CorpusError, match=r"The training text of mine cannot be found \(There is no corpus 'mine.txt'"):
        wordgen.evaluate()
    found = wordgen.evaluate(split="elsewhere.txt")
    assert found.ngram is None
    assert found.verdict is None  # one epoch is no curve, and there is nothing to compare with


def test_encoded_ids_that_were_deleted_are_made_again(own_text: Path):
    before = wordgen.evaluate(samples=0)
    shutil.rmtree("data/encoded")
    assert wordgen.evaluate(samples=0) == before


def test_a_benchmark_is_read_as_published_from_a_file_as_well(in_empty_folder: Path):
    folder = in_empty_folder / "bench"
    folder.mkdir()
    text = " the <unk> cat sat on the mat \n \n \n = a title = \n the cat sat \n"
    for split, times in (("train", 40), ("valid", 3), ("test", 5)):
        (folder / f"b.{split}.txt").write_text(text * times)
    trained_here(in_empty_folder, "bench", "bench", "--passage line --layers 1 --units 8 --epochs 1")
    split, file = (wordgen.evaluate(split=split, samples=0) for split in ("test", "bench/b.test.txt"))
    assert file.own == split.own
    assert file.ngram == split.ngram
    # Of 5 times 7 + 0 + 0 + 4 + 3 words and 5 ends the very first is not predicted.
    assert split.tokens == 5 * 19 - 1


def test_prose_has_the_same_figures_however_its_file_is_laid_out(room: Path, capsys: pytest.CaptureFixture[str]):
    """The model learned by the line. Where the text is read otherwise, a sentence says so."""
    units = passages_of_split(2)
    wrapped = [textwrap.fill(passage, 72, break_on_hyphens=False) for passage in units]
    layouts = {
        "lines": "\n".join(units),
        "apart": "\n\n".join(units),
        "wrapped": "\n\n".join(wrapped),
        "close": "\n".join(f"    {each}" for each in wrapped),
    }
    told = (
        "This text is read with one passage per paragraph, by its layout, but the model was trained with one passage "
        "per line. "
    )
    own, scored = set(), set()
    for name, text in layouts.items():
        (room / f"{name}.txt").write_text(text, encoding="utf-8")
        found = wordgen.evaluate(split=f"{name}.txt", samples=0)
        own.add((found.tokens, found.perplexity))
        assert sum(note.startswith(told) for note in found.notes) == (name != "lines")
        assert main(["score", f"{name}.txt", "--json"]) == 0
        said = capsys.readouterr()
        scored.add(said.out)
        assert said.err.count(told) == (name != "lines")
    assert len(own) == len(scored) == 1


@pytest.mark.parametrize(
    ("found", "learned", "read"),
    [
        (Layout("document", "kept"), Layout("line", "joined"), Layout("line", "joined")),  # verse, for a model of lines
        (Layout("document", "kept"), Layout("paragraph", "joined"), Layout("paragraph", "joined")),
        (Layout("line", "joined"), Layout("paragraph", "kept"), Layout("paragraph", "kept")),  # verse without verses
        (Layout("line", "joined"), Layout("line", "kept"), Layout("line", "kept")),
        (Layout("line", "joined"), Layout("paragraph", "joined"), Layout("line", "joined")),
        (Layout("paragraph", "joined", Wrap(60)), Layout("document", "kept"), Layout("paragraph", "joined", Wrap(60))),
    ],
)
def test_line_breaks_are_read_as_the_model_learned_them(found: Layout, learned: Layout, read: Layout):
    assert found.for_model(learned) == read
