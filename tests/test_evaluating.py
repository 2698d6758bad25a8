"""wordgen.evaluate: the figures of training again, the same from a file, and what there is without the corpus."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import wordgen
from tests.conftest import ROOT, run_command, trained_in
from wordgen.bundle import load_bundle
from wordgen.corpora.finding import open_corpus
from wordgen.dataset.encoding import prepare
from wordgen.dataset.splits import splits_of
from wordgen.errors import CorpusError, SettingError
from wordgen.evaluating import keep
from wordgen.evaluation.cache import best_cache, cache_loss
from wordgen.evaluation.mixing import Predicted, mixed_with
from wordgen.evaluation.ngrams import NgramModel
from wordgen.evaluation.novelty import novelty
from wordgen.evaluation.stream import network_nats
from wordgen.evaluation.watcher import Watcher
from wordgen.generation.step import NumpyNetwork
from wordgen.generation.trained import TrainedModel
from wordgen.page.measured import read_measured
from wordgen.text.settings import TextSettings


def units_of_split(number: int) -> list[str]:
    """The units of the spells that are in a split: its lines."""
    units = [unit.text for _, unit in open_corpus("spells").reading().units()]
    splits = splits_of(np.arange(len(units)), len(units))
    return [unit for unit, split in zip(units, splits, strict=True) if split == number]


def test_on_valid_it_is_what_training_said(room: Path):
    report = json.loads((room / "saved_models" / "small" / "report.json").read_text())
    found = wordgen.evaluate("small", split="valid")
    assert found.perplexity == pytest.approx(report["valid_perplexity"], rel=2e-6)
    assert found.unigram is not None
    assert found.unigram.perplexity == pytest.approx(report["unigram_perplexity"])
    assert found.symbols == report["dataset"]["splits"]["valid"]["symbols"]


def test_the_test_split_is_what_is_taken_by_itself_with_all_its_figures(room: Path):
    found = wordgen.evaluate()
    dataset = prepare(open_corpus("spells"), TextSettings(), room / "encoded")
    statistics = dataset.statistics["test"]
    assert (found.split, found.model, found.corpus) == ("test", "small", "spells")
    assert found.symbols == statistics.symbols == statistics.words
    assert found.own.nats == pytest.approx(found.symbols * np.log(found.perplexity))
    assert found.bits_per_character == pytest.approx(
        found.own.nats / np.log(2) / (statistics.characters + statistics.units)
    )
    assert found.unknown_share == pytest.approx(statistics.unknown / statistics.symbols)
    assert found.spelled_share == 0
    counted = NgramModel(dataset.ids["train"], len(dataset.codec.vocabulary)).loss(dataset.ids["test"])
    assert found.ngram == counted
    assert found.verdict is not None
    assert found.unigram is not None
    assert (
        f"({found.perplexity:,.1f} against {found.unigram.perplexity:,.1f})" in found.verdict
    )  # it learned for seconds


def test_letters_are_compared_with_longer_n_grams(in_empty_folder: Path):
    trained_in(in_empty_folder, "spells", "letters", "--tokenizer characters --layers 1 --units 8 --epochs 1")
    found = wordgen.evaluate("letters", samples=0)
    assert found.order == found.to_mapping()["kneser_ney"]["order"] == 7
    report = json.loads((in_empty_folder / "saved_models" / "letters" / "report.json").read_text())
    assert report["valid"]["kneser_ney"]["order"] == 7


def test_a_better_model_that_was_saved_meanwhile_does_not_get_the_figures_of_this_one(room: Path):
    found = wordgen.evaluate("small", samples=0)
    path = room / "saved_models" / "small" / "report.json"
    report = json.loads(path.read_text())
    step = report["epochs"][-1]["step"]
    better = {**report["epochs"][-1], "epoch": report["epochs"][-1]["epoch"] + 1, "step": step + 40}
    path.write_text(json.dumps({**report, "epochs": [*report["epochs"], better], "best_epoch": better["epoch"]}))
    keep(found)
    assert read_measured(room / "saved_models" / "small")["test"]["step"] == found.step == step
    page = (room / "saved_models" / "small" / "report.html").read_text()
    assert f"{found.perplexity:,.1f}" not in page


def test_a_file_with_the_text_of_a_split_gives_its_figures(room: Path):
    (room / "same.txt").write_text("\n".join(units_of_split(2)), encoding="utf-8")
    file, split = wordgen.evaluate(split="same.txt"), wordgen.evaluate(split="test")
    assert file.own == split.own
    assert (file.unigram, file.ngram) == (split.unigram, split.ngram)
    assert file.statistics == split.statistics


def test_any_encoding_and_a_folder_of_files_will_do(room: Path):
    lines = [line for line in units_of_split(2) if line.isascii()]
    (room / "both").mkdir()
    (room / "both" / "1.txt").write_text("\n".join(lines[:9]) + "\n", encoding="utf-16")
    (room / "both" / "2.txt").write_text("\n".join(lines[9:]), encoding="utf-8")
    (room / "one.txt").write_text("\n".join(lines), encoding="utf-8")
    both, one = wordgen.evaluate(split=room / "both"), wordgen.evaluate(split="one.txt")
    assert both.own == one.own
    assert any("UTF-16" in note for note in both.notes)


def test_a_model_may_be_named_by_a_path_or_be_loaded_already(room: Path):
    named = wordgen.evaluate("small")
    assert wordgen.evaluate(wordgen.load("small")).own == named.own == wordgen.evaluate(room / "saved_models/small").own
    with pytest.raises(SettingError, match="has no folder"):
        wordgen.evaluate(TrainedModel(load_bundle(room / "saved_models" / "small")))


def test_spelled_words_are_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    trained_in(tmp_path, "spells", "spelled", "--layers 1 --units 8 --epochs 1 --unknown spell")
    monkeypatch.chdir(tmp_path)
    spelled = wordgen.evaluate()
    assert spelled.unknown_share == 0
    assert spelled.spelled_share == pytest.approx(
        spelled.statistics.spelled / (spelled.symbols - spelled.statistics.letters + spelled.statistics.spelled)
    )
    assert 0.05 < spelled.spelled_share < 0.5
    new = spelled.novelty
    assert new is not None
    assert new.samples.symbols < 100 * new.samples.texts  # of symbols written, many are letters of a word
    assert new.held_out.symbols <= spelled.symbols - spelled.statistics.letters + spelled.statistics.spelled
    assert new.held_out.longest is not None
    assert new.held_out.longest.symbols > 5


def test_spelled_texts_that_would_fill_the_memory_are_not_looked_for(room: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wordgen.evaluating.memory_for_words", lambda symbols, vocabulary: 2**50)
    found = wordgen.evaluate()
    assert found.novelty is None
    assert found.notes == ("No look at what it writes: searching would take 1,048,576 GiB of memory.",)


def test_n_grams_that_would_fill_the_memory_are_left_out(room: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wordgen.evaluating.physical_memory", lambda: 1_000_000)
    found = wordgen.evaluate()
    assert found.ngram is None
    assert found.notes[-1].startswith("No 5-gram: counting would take")
    assert found.verdict is not None
    assert "word frequencies" in found.verdict


def test_what_it_writes_is_what_its_user_would_see_looked_up_in_its_corpus(room: Path):
    found = wordgen.evaluate("small", samples=20).novelty
    assert found is not None
    assert (found.samples.texts, found.samples.symbols) == (20, 2000)
    assert (found.held_out.texts, found.held_out.symbols) == (5, 500)
    model = wordgen.load("small")
    texts = model.generate("", count=20, length=100, temperature=1.0, random_seed=1)
    written = [np.array([model.vocabulary.id_of(symbol) for symbol in text.symbols]) for text in texts]
    dataset = prepare(open_corpus("spells"), TextSettings(), room / "encoded")
    assert found == novelty(written, dataset.ids["test"], dataset)
    copies = [copy for text in texts for copy in model.copies(text)]
    longest = found.samples.longest
    assert longest is not None
    assert longest.symbols >= 3
    lines = (ROOT / "data" / longest.file).read_text(encoding="utf-8").split("\n")
    assert "".join(longest.text.split()) in "".join(lines[longest.line - 1].split())
    assert any("".join(longest.text.split()) in "".join(text.text.split()) for text in texts)
    assert longest.symbols <= max((copy.symbols for copy in copies), default=4)  # copies may go over ends of lines
    assert wordgen.evaluate("small", samples=20).novelty == found


def test_it_needs_no_copy_index(room: Path):
    found = wordgen.evaluate("small", samples=4).novelty
    shutil.rmtree(room / "saved_models" / "small" / "copy_index")
    assert found is not None
    assert wordgen.evaluate("small", samples=4).novelty == found


def test_without_samples_it_writes_nothing(room: Path):
    class Noting(Watcher):
        def writing(self, done: int, symbols: int) -> None:
            raise AssertionError

    assert wordgen.evaluate(samples=0, watcher=Noting()).novelty is None


@pytest.mark.parametrize("samples", [-1, 1001, 1.5, True])
def test_so_many_samples_there_cannot_be(room: Path, samples: int):
    with pytest.raises(SettingError, match="samples must be"):
        wordgen.evaluate(samples=samples)


def test_beside_a_file_stands_that_file(room: Path):
    (room / "same.txt").write_text("\n".join(units_of_split(2)), encoding="utf-8")
    file, split = wordgen.evaluate(split="same.txt", samples=9).novelty, wordgen.evaluate(samples=9).novelty
    assert file is not None
    assert split is not None
    assert (file.samples, file.held_out, file.originality) == (split.samples, split.held_out, split.originality)
    assert file.verdict is not None
    assert "same.txt's." in file.verdict
    assert split.verdict is not None
    assert "the held-out text's." in split.verdict


def test_what_has_been_learned_by_heart_is_recited(overfitted_room: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(overfitted_room)
    found = wordgen.evaluate().novelty
    assert found is not None
    assert found.originality == "recites"
    share, held_out_share = found.samples.shares[8], found.held_out.shares[8]
    assert share is not None
    assert share > 0.6
    assert held_out_share == 1  # each of its lines comes four times
    assert found.verdict is not None
    assert found.verdict.startswith(f"It recites: {share:.1%} of its runs of 8 symbols stand in the training text")
    longest = found.samples.longest
    assert longest is not None
    assert longest.symbols > 20
    lines = (overfitted_room / "few.txt").read_text(encoding="utf-8").split("\n")
    assert "".join(longest.text.split()) in "".join(lines[longest.line - 1].split())
    # Beside a text of another kind it is plain that it recites.
    other = overfitted_room / "other.txt"
    other.write_text((ROOT / "data" / "fables.txt").read_text(encoding="utf-8"), encoding="utf-8")
    beside = wordgen.evaluate(split=other).novelty
    assert beside is not None
    assert beside.verdict is not None
    assert beside.verdict.startswith("It recites: ")
    assert beside.verdict.endswith("and 0.0% of other.txt's.")


def test_who_watches_is_told(room: Path):
    class Noting(Watcher):
        def __init__(self) -> None:
            self.told: list[str] = []

        def reading(self, name: str, done: int, size: int) -> None:
            self.told.append("reading")

        def predicting(self, done: int, symbols: int) -> None:
            self.told.append("predicting")

        def counting(self, symbols: int, order: int) -> None:
            self.told.append("counting")

        def weighing(self, done: int, symbols: int) -> None:
            self.told.append("weighing")

        def writing(self, done: int, symbols: int) -> None:
            self.told.append("writing")
            self.written = (done, symbols)

        def searching(self, symbols: int) -> None:
            self.told.append("searching")

    watcher = Noting()
    shutil.rmtree(room / "data", ignore_errors=True)
    wordgen.evaluate(watcher=watcher)
    all_that_is_told = ["reading", "predicting", "counting", "weighing", "writing", "searching"]
    assert list(dict.fromkeys(watcher.told)) == all_that_is_told
    assert watcher.written == (3000, 3000)
    watcher.told.clear()
    wordgen.evaluate(split="valid", samples=0, watcher=watcher)
    assert list(dict.fromkeys(watcher.told)) == ["predicting", "counting"]  # the valid part is read once


def test_an_epoch_that_was_broken_off_is_told_as_such_where_it_says_much(room: Path):
    path = room / "saved_models" / "small" / "report.json"
    report = json.loads(path.read_text())
    steps = report["steps_per_epoch"]
    for number, epoch in enumerate(report["epochs"], 1):
        epoch |= {"train_perplexity": 200 / number, "valid_perplexity": 180 / number, "step": steps * number}

    def seen_with(valid_perplexity: float) -> str:
        broken = {**report["epochs"][-1], "epoch": 4, "step": 3 * steps + 1, "valid_perplexity": valid_perplexity}
        path.write_text(json.dumps({**report, "epochs": [*report["epochs"], broken]}))
        found = wordgen.evaluate(samples=0).finding
        assert found is not None
        assert found.fit == "undertrained"
        return found.seen

    fell = (
        "was still getting better when it ended in the middle of epoch 4 (valid perplexity fell by 3.8% after epoch 3)"
    )
    assert seen_with(60 / 60.6 * 58.3) == fell
    assert seen_with(60.1) == "was still getting better in its last whole epoch (3: valid perplexity fell by 33.3%)"


def test_the_command_is_the_same(room: Path):
    ended = run_command("evaluate", "small", "--json", cwd=room)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["perplexity"] == pytest.approx(wordgen.evaluate("small").perplexity, rel=1e-6)


def test_the_n_grams_are_mixed_in_by_a_weight_of_the_valid_part(room: Path):
    found = wordgen.evaluate("small", samples=0)
    bundle = load_bundle(room / "saved_models" / "small")
    dataset = prepare(open_corpus("spells"), TextSettings(), room / "encoded")
    network = NumpyNetwork(bundle.architecture, bundle.weights)
    valid, test = (Predicted(dataset.ids[part], network_nats(network, dataset.ids[part])) for part in ("valid", "test"))
    ngram = NgramModel(dataset.ids["train"], len(bundle.vocabulary))
    assert (found.ngram, found.mixture, found.notes) == mixed_with(ngram, valid, test)
    assert found.mixture is not None
    assert found.mixture.loss.perplexity < found.perplexity  # which has learned for seconds
    on_valid = wordgen.evaluate("small", split="valid", samples=0)
    assert on_valid.mixture is not None
    assert on_valid.mixture.weight == found.mixture.weight
    assert on_valid.mixture.loss.perplexity <= on_valid.perplexity


def test_a_valid_part_of_one_line_sets_no_weight(in_empty_folder: Path):
    (in_empty_folder / "few.txt").write_text("The caster sleeps.\nThe target wakes.\n" * 5, encoding="utf-8")
    trained_in(in_empty_folder, "few.txt", "few", "--layers 1 --units 8 --epochs 1 --batch-size 2 --seq-len 4")
    why = "No mixture with the 5-gram: the valid part is too short to set its weight."
    found = wordgen.evaluate("few", samples=0)
    assert (found.mixture, found.to_mapping()["mixture"]) == (None, None)
    assert found.notes[-1] == why
    assert why in (in_empty_folder / "saved_models" / "few" / "report.html").read_text(encoding="utf-8")


def test_with_a_cache_it_is_measured_besides_as_it_was_set_on_the_valid_part(room: Path):
    plain = wordgen.evaluate("small", samples=0)
    found = wordgen.evaluate("small", samples=0, cache=300)
    assert (plain.with_cache, plain.while_learning) == (None, None)
    assert found.own == plain.own
    assert found.with_cache is not None
    bundle = load_bundle(room / "saved_models" / "small")
    ids = prepare(open_corpus("spells"), TextSettings(), room / "encoded").ids
    network = NumpyNetwork(bundle.architecture, bundle.weights)
    cache = best_cache(network, ids["valid"], 300)
    assert found.with_cache.cache == cache
    assert found.with_cache.loss == cache_loss(network, ids["test"], cache)
    assert found.with_cache.loss.symbols == found.symbols
    assert found.with_cache.loss.perplexity < found.perplexity  # three epochs are few, and spells repeat themselves


def test_while_it_learns_it_is_measured_besides(room: Path):
    found = wordgen.evaluate("small", samples=0, dynamic=True)
    assert found.while_learning is not None
    assert found.while_learning.loss.symbols == found.symbols
    assert found.while_learning.rate > 0
    assert found.while_learning.loss.perplexity < found.perplexity
    assert found == wordgen.evaluate("small", samples=0, dynamic=True)  # nothing of the model has changed


def test_how_it_gets_used_to_a_text_cannot_be_found_out_without_its_corpus(room: Path):
    (room / "other.txt").write_text("The caster waits.\n" * 30, encoding="utf-8")
    (room / "saved_models" / "small" / "report.json").unlink()
    with pytest.raises(CorpusError, match="cache and dynamic are set on the valid part"):
        wordgen.evaluate("small", "other.txt", cache=5)
    with pytest.raises(SettingError, match="cache must be at least 1"):
        wordgen.evaluate("small", "other.txt", cache=0)
