"""wordgen.evaluate: the figures of training again, the same from a file, and what there is without the corpus."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import wordgen
from tests.helpers.commands import ROOT, trained_here
from tests.helpers.texts import passages_of_split
from wordgen.corpus.finding import open_corpus
from wordgen.dataset.encoding import prepare
from wordgen.errors import CorpusError, SettingError
from wordgen.evaluation.novelty import novelty
from wordgen.evaluation.settings import Watcher
from wordgen.evaluation.text_loss import Predicted, best_cache, cache_loss, mixed_with, network_nats, ngram_loss
from wordgen.generation.prediction import NgramModel, NumpyNetwork
from wordgen.generation.trained import TrainedModel
from wordgen.model.bundle import load_bundle
from wordgen.report.page import write_page
from wordgen.run.evaluate import keep
from wordgen.run.record import load_record, save_record
from wordgen.text.settings import TextSettings

SMALL = Path("saved_models/small")


def test_on_valid_it_is_what_training_said(room: Path):
    record = load_record(SMALL)
    found = wordgen.evaluate("small", split="valid")
    assert record.best is not None
    assert found.perplexity == pytest.approx(record.best.valid_perplexity, rel=2e-6)
    assert found.unigram is not None
    assert found.unigram.perplexity == pytest.approx(record.unigram_perplexity)
    assert found.tokens == record.dataset.splits["valid"].tokens


def test_the_test_split_is_what_is_taken_by_itself_with_all_its_figures(room: Path):
    found = wordgen.evaluate(samples=0)
    dataset = prepare(open_corpus("spells"), TextSettings(), room / "encoded")
    statistics = dataset.statistics["test"]
    assert (found.split, found.model, found.corpus) == ("test", "small", "spells")
    assert found.tokens == statistics.tokens == statistics.words
    assert found.own.nats == pytest.approx(found.tokens * np.log(found.perplexity))
    assert found.bits_per_character == pytest.approx(
        found.own.nats / np.log(2) / (statistics.characters + statistics.passages)
    )
    assert found.unknown_share == pytest.approx(statistics.unknown / statistics.tokens)
    assert found.spelled_share == 0
    counted = ngram_loss(NgramModel(dataset.ids["train"], len(dataset.codec.vocabulary)), dataset.ids["test"])
    assert found.ngram == counted
    assert found.verdict is not None
    assert found.unigram is not None
    assert (
        f"({found.perplexity:,.1f} against {found.unigram.perplexity:,.1f})" in found.verdict
    )  # it learned for seconds


def test_letters_are_compared_with_longer_n_grams(in_empty_folder: Path):
    trained_here(in_empty_folder, "spells", "letters", "--tokenizer characters --layers 1 --units 8 --epochs 1")
    found = wordgen.evaluate("letters", samples=0)
    assert found.order == found.to_mapping()["kneser_ney"]["order"] == 7
    assert load_record(Path("saved_models/letters")).measured["valid"].order == 7


def test_a_better_model_that_was_saved_meanwhile_does_not_get_the_figures_of_this_one(room: Path):
    found = wordgen.evaluate("small", samples=0)
    record = load_record(SMALL)
    last = record.epochs[-1]
    better = replace(last, epoch=last.epoch + 1, step=last.step + 40)
    save_record(SMALL, replace(record, epochs=(*record.epochs, better), best_epoch=better.epoch))
    assert keep(found)
    assert found.step == last.step
    after = load_record(SMALL)
    assert after.measurements["test"].step == last.step
    assert after.measured == {}
    write_page(SMALL)
    page = (room / "saved_models" / "small" / "report.html").read_text()
    assert f"{found.perplexity:,.1f}" not in page


def test_a_file_with_the_text_of_a_split_gives_its_figures(room: Path):
    (room / "same.txt").write_text("\n".join(passages_of_split(2)), encoding="utf-8")
    file, split = wordgen.evaluate(split="same.txt", samples=0), wordgen.evaluate(split="test", samples=0)
    assert file.own == split.own
    assert (file.unigram, file.ngram) == (split.unigram, split.ngram)
    assert file.statistics == split.statistics


def test_any_encoding_and_a_folder_of_files_will_do(room: Path):
    lines = [line for line in passages_of_split(2) if line.isascii()]
    (room / "both").mkdir()
    (room / "both" / "1.txt").write_text("\n".join(lines[:9]) + "\n", encoding="utf-16")
    (room / "both" / "2.txt").write_text("\n".join(lines[9:]), encoding="utf-8")
    (room / "one.txt").write_text("\n".join(lines), encoding="utf-8")
    both, one = wordgen.evaluate(split=room / "both", samples=0), wordgen.evaluate(split="one.txt", samples=0)
    assert both.own == one.own
    assert any("UTF-16" in note for note in both.notes)


def test_a_model_may_be_named_by_a_path_or_be_loaded_already(room: Path):
    ways = ("small", wordgen.load("small"), room / "saved_models/small")
    named, *others = (wordgen.evaluate(way, samples=0).own for way in ways)
    assert others == [named, named]
    with pytest.raises(SettingError, match="has no folder"):
        wordgen.evaluate(TrainedModel(load_bundle(room / "saved_models" / "small")))


def test_spelled_words_are_counted_once(in_empty_folder: Path):
    trained_here(in_empty_folder, "spells", "spelled", "--layers 1 --units 8 --epochs 1 --unknown spell")
    spelled = wordgen.evaluate()
    assert spelled.unknown_share == 0
    assert spelled.spelled_share == pytest.approx(
        spelled.statistics.spelled / (spelled.tokens - spelled.statistics.letters + spelled.statistics.spelled)
    )
    assert 0.05 < spelled.spelled_share < 0.5
    new = spelled.novelty
    assert new is not None
    assert new.samples.tokens < 100 * new.samples.texts  # of tokens written, many are letters of a word
    assert new.held_out.tokens <= spelled.tokens - spelled.statistics.letters + spelled.statistics.spelled
    assert new.held_out.longest is not None
    assert new.held_out.longest.tokens > 5


def test_spelled_texts_that_would_fill_the_memory_are_not_looked_for(room: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wordgen.run.evaluate.memory_of_words", lambda tokens, vocabulary: 2**50)
    found = wordgen.evaluate()
    assert found.novelty is None
    assert found.notes == ("No search for copies in generated text: it would need 1,048,576 GiB of memory.",)


def test_n_grams_that_would_fill_the_memory_are_left_out(room: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wordgen.run.evaluate.physical_memory", lambda: 1_000_000)
    found = wordgen.evaluate(samples=0)
    assert found.ngram is None
    assert found.notes[-1].startswith("No comparison with a 5-gram: counting would need")
    assert found.verdict is not None
    assert "word frequencies" in found.verdict


def test_what_it_writes_is_what_its_user_would_see_looked_up_in_its_corpus(room: Path):
    found = wordgen.evaluate("small", samples=20).novelty
    assert found is not None
    assert (found.samples.texts, found.samples.tokens) == (20, 2000)
    assert (found.held_out.texts, found.held_out.tokens) == (5, 500)
    model = wordgen.load("small")
    texts = model.generate("", count=20, length=100, temperature=1.0, random_seed=1)
    written = [np.array([model.vocabulary.id_of(token) for token in text.tokens]) for text in texts]
    dataset = prepare(open_corpus("spells"), TextSettings(), room / "encoded")
    assert found == novelty(written, dataset.ids["test"], dataset)
    copies = [copy for text in texts for copy in model.copies(text)]
    longest = found.samples.longest
    assert longest is not None
    assert longest.tokens >= 3
    lines = (ROOT / "data" / longest.file).read_text(encoding="utf-8").split("\n")
    assert "".join(longest.text.split()) in "".join(lines[longest.line - 1].split())
    assert any("".join(longest.text.split()) in "".join(text.text.split()) for text in texts)
    assert longest.tokens <= max((copy.tokens for copy in copies), default=4)  # copies may go over ends of lines
    assert wordgen.evaluate("small", samples=20).novelty == found


def test_it_needs_no_copy_index(room: Path):
    found = wordgen.evaluate("small", samples=4).novelty
    shutil.rmtree(room / "saved_models" / "small" / "copy_index")
    assert found is not None
    assert wordgen.evaluate("small", samples=4).novelty == found


def test_without_samples_it_writes_nothing(room: Path):
    class Noting(Watcher):
        def writing(self, done: int, tokens: int) -> None:
            raise AssertionError

    assert wordgen.evaluate(samples=0, watcher=Noting()).novelty is None


@pytest.mark.parametrize("samples", [-1, 1001, 1.5, True])
def test_so_many_samples_there_cannot_be(room: Path, samples: int):
    with pytest.raises(SettingError, match="samples must be"):
        wordgen.evaluate(samples=samples)


def test_beside_a_file_stands_that_file(room: Path):
    (room / "same.txt").write_text("\n".join(passages_of_split(2)), encoding="utf-8")
    file, split = wordgen.evaluate(split="same.txt", samples=9).novelty, wordgen.evaluate(samples=9).novelty
    assert file is not None
    assert split is not None
    assert (file.samples, file.held_out, file.originality) == (split.samples, split.held_out, split.originality)
    assert file.verdict is not None
    assert file.verdict.endswith("those of same.txt.")
    assert split.verdict is not None
    assert split.verdict.endswith("those of the held-out text.")


def test_what_has_been_learned_by_heart_is_recited(overfitted_room: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(overfitted_room)
    found = wordgen.evaluate().novelty
    assert found is not None
    assert found.originality == "recites"
    share, held_out_share = found.samples.shares[8], found.held_out.shares[8]
    assert share is not None
    assert share > 0.6
    assert held_out_share == 1  # each of its lines comes sixteen times
    assert found.verdict is not None
    assert found.verdict.startswith(f"The model recites: the training text also has {share:.1%} of its sequences of 8")
    longest = found.samples.longest
    assert longest is not None
    assert longest.tokens > 20
    lines = (overfitted_room / "few.txt").read_text(encoding="utf-8").split("\n")
    assert "".join(longest.text.split()) in "".join(lines[longest.line - 1].split())
    # Beside a text of another kind it is plain that it recites.
    other = overfitted_room / "other.txt"
    other.write_text((ROOT / "data" / "fables.txt").read_text(encoding="utf-8"), encoding="utf-8")
    beside = wordgen.evaluate(split=other).novelty
    assert beside is not None
    assert beside.verdict is not None
    assert beside.verdict.startswith("The model recites: ")
    assert beside.verdict.endswith("and 0.0% of those of other.txt.")


def test_who_watches_is_told(room: Path):
    class Noting(Watcher):
        def __init__(self) -> None:
            self.told: list[str] = []

        def reading(self, name: str, done: int, size: int) -> None:
            self.told.append("reading")

        def predicting(self, done: int, tokens: int) -> None:
            self.told.append("predicting")

        def counting(self, tokens: int, order: int) -> None:
            self.told.append("counting")

        def weighing(self, done: int, tokens: int) -> None:
            self.told.append("weighing")

        def writing(self, done: int, tokens: int) -> None:
            self.told.append("writing")
            self.written = (done, tokens)

        def searching(self, tokens: int) -> None:
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
    record = load_record(SMALL)
    steps = record.steps_per_epoch
    epochs = [
        replace(epoch, train_perplexity=200 / number, valid_perplexity=180 / number, step=steps * number)
        for number, epoch in enumerate(record.epochs, 1)
    ]

    def seen_with(valid_perplexity: float) -> str:
        broken = replace(epochs[-1], epoch=4, step=3 * steps + 1, valid_perplexity=valid_perplexity)
        save_record(SMALL, replace(record, epochs=(*epochs, broken)))
        found = wordgen.evaluate(samples=0).finding
        assert found is not None
        assert found.fit == "undertrained"
        return found.seen

    fell = (
        "was still improving when it ended in the middle of epoch 4 (validation perplexity fell by 3.8% after epoch 3)"
    )
    assert seen_with(60 / 60.6 * 58.3) == fell
    whole = "was still improving in its last whole epoch (epoch 3: validation perplexity fell by 33.3%)"
    assert seen_with(60.1) == whole


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
    trained_here(in_empty_folder, "few.txt", "few", "--layers 1 --units 8 --epochs 1 --batch-size 2 --seq-len 4")
    why = "No mixture with the 5-gram: the validation set is too short to choose its weight."
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
    assert found.with_cache.loss.tokens == found.tokens
    assert found.with_cache.loss.perplexity < found.perplexity  # three epochs are few, and spells repeat themselves


def test_while_it_learns_it_is_measured_besides(room: Path):
    weights = (SMALL / "weights.safetensors").read_bytes()
    found = wordgen.evaluate("small", samples=0, dynamic=True)
    assert found.while_learning is not None
    assert found.while_learning.loss.tokens == found.tokens
    assert found.while_learning.rate > 0
    assert found.while_learning.loss.perplexity < found.perplexity
    told = found.to_mapping()["dynamic"]
    assert (told["rate"], told["perplexity"]) == (found.while_learning.rate, found.while_learning.loss.perplexity)
    assert (SMALL / "weights.safetensors").read_bytes() == weights


def test_how_it_gets_used_to_a_text_cannot_be_found_out_without_its_corpus(room: Path):
    (room / "other.txt").write_text("The caster waits.\n" * 30, encoding="utf-8")
    (room / "saved_models" / "small" / "report.json").unlink()
    with pytest.raises(CorpusError, match="cache and dynamic need the validation set"):
        wordgen.evaluate("small", "other.txt", cache=5)
    with pytest.raises(SettingError, match="cache must be at least 1"):
        wordgen.evaluate("small", "other.txt", cache=0)
