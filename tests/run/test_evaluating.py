"""wordgen.evaluate: the figures of a split or of a file, copies in generated text, cache and dynamic evaluation."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import wordgen
from tests.helpers.commands import ROOT, train_in_folder
from tests.helpers.texts import passages_of_split
from wordgen.corpus.finding import open_corpus
from wordgen.dataset.dataset import Dataset
from wordgen.dataset.encoding import prepare
from wordgen.errors import CorpusError, SettingError
from wordgen.evaluation.novelty import novelty
from wordgen.evaluation.settings import Watcher
from wordgen.evaluation.text_loss import PredictedText, best_cache, cache_loss, mix_with_ngram, network_nats, ngram_loss
from wordgen.generation.prediction import NgramModel, NumpyNetwork
from wordgen.generation.trained import TrainedModel
from wordgen.model.bundle import load_bundle
from wordgen.report.page import write_page
from wordgen.run.evaluate import Evaluation, save_evaluation
from wordgen.run.record import load_record, save_record
from wordgen.text.settings import TextSettings

SMALL = Path("saved_models/small")


@pytest.fixture(scope="module")
def spells(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepare(open_corpus("spells"), TextSettings(), tmp_path_factory.mktemp("encoded"))


@pytest.fixture(scope="module")
def evaluation(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """The small model on its test set, without samples."""
    folder = tmp_path_factory.mktemp("evaluated")
    shutil.copytree(trained_folder / "saved_models", folder / "saved_models")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("WORDGEN_DATA", raising=False)
        return wordgen.evaluate(samples=0)


@pytest.fixture(scope="module")
def network(trained_folder: Path) -> NumpyNetwork:
    bundle = load_bundle(trained_folder / SMALL)
    return NumpyNetwork(bundle.architecture, bundle.weights)


def test_figures_on_valid_are_those_of_training(trained_copy: Path):
    record = load_record(SMALL)
    result = wordgen.evaluate("small", split="valid", samples=0)
    assert record.best is not None
    assert result.perplexity == pytest.approx(record.best.valid_perplexity, rel=2e-6)
    assert result.unigram is not None
    assert result.unigram.perplexity == pytest.approx(record.unigram_perplexity)
    assert result.tokens == record.dataset.splits["valid"].tokens


def test_default_split_is_test_and_has_all_figures(evaluation: Evaluation, spells: Dataset):
    statistics = spells.statistics["test"]
    assert (evaluation.split, evaluation.model, evaluation.corpus) == ("test", "small", "spells")
    assert evaluation.tokens == statistics.tokens == statistics.words
    assert evaluation.loss.nats == pytest.approx(evaluation.tokens * np.log(evaluation.perplexity))
    assert evaluation.bits_per_character == pytest.approx(
        evaluation.loss.nats / np.log(2) / (statistics.characters + statistics.passages)
    )
    assert evaluation.unknown_share == pytest.approx(statistics.unknown / statistics.tokens)
    assert evaluation.spelled_share == 0
    ngrams = NgramModel(spells.ids["train"], len(spells.codec.vocabulary))
    assert evaluation.ngram == ngram_loss(ngrams, spells.ids["test"])
    assert evaluation.verdict is not None
    assert evaluation.unigram is not None
    assert evaluation.ngram is not None
    assert any(
        f"({evaluation.perplexity:,.1f} against {other.perplexity:,.1f})" in evaluation.verdict
        for other in (evaluation.unigram, evaluation.ngram)
    )


def test_model_of_characters_is_compared_with_7_grams(in_empty_folder: Path):
    train_in_folder(in_empty_folder, "spells", "letters", "--tokenizer characters --layers 1 --units 8 --epochs 1")
    result = wordgen.evaluate("letters", samples=0)
    assert result.order == result.to_mapping()["kneser_ney"]["order"] == 7
    assert load_record(Path("saved_models/letters")).measured["valid"].order == 7


def test_later_model_does_not_get_earlier_figures(trained_copy: Path, evaluation: Evaluation):
    record = load_record(SMALL)
    last = record.epochs[-1]
    better = replace(last, epoch=last.epoch + 1, step=last.step + 40)
    save_record(SMALL, replace(record, epochs=(*record.epochs, better), best_epoch=better.epoch))
    assert save_evaluation(replace(evaluation, folder=SMALL))
    assert evaluation.step == last.step
    after = load_record(SMALL)
    assert after.measurements["test"].step == last.step
    assert after.measured == {}
    write_page(SMALL)
    page = (trained_copy / "saved_models" / "small" / "report.html").read_text()
    assert f"{evaluation.perplexity:,.1f}" not in page


def test_file_has_the_figures_of_the_split_with_its_text(trained_copy: Path):
    (trained_copy / "same.txt").write_text("\n".join(passages_of_split(2)), encoding="utf-8")
    file, split = wordgen.evaluate(split="same.txt", samples=9), wordgen.evaluate(split="test", samples=9)
    assert file.loss == split.loss
    assert (file.unigram, file.ngram) == (split.unigram, split.ngram)
    assert file.statistics == split.statistics
    of_file, of_split = file.novelty, split.novelty
    assert of_file is not None
    assert of_split is not None
    assert (of_file.samples, of_file.held_out, of_file.originality) == (
        of_split.samples, of_split.held_out, of_split.originality,
    )  # fmt: skip
    assert of_file.verdict is not None
    assert of_file.verdict.endswith("those of same.txt.")
    assert of_split.verdict is not None
    assert of_split.verdict.endswith("those of the held-out text.")


def test_folder_with_files_in_two_encodings_is_measured(trained_copy: Path):
    lines = [line for line in passages_of_split(2) if line.isascii()]
    (trained_copy / "both").mkdir()
    (trained_copy / "both" / "1.txt").write_text("\n".join(lines[:9]) + "\n", encoding="utf-16")
    (trained_copy / "both" / "2.txt").write_text("\n".join(lines[9:]), encoding="utf-8")
    (trained_copy / "one.txt").write_text("\n".join(lines), encoding="utf-8")
    folder, file = (
        wordgen.evaluate(split=trained_copy / "both", samples=0),
        wordgen.evaluate(split="one.txt", samples=0),
    )
    assert folder.loss == file.loss
    assert any("UTF-16" in note for note in folder.notes)


def test_model_can_be_a_path_or_a_loaded_model(trained_copy: Path, evaluation: Evaluation):
    for model in (wordgen.load("small"), trained_copy / "saved_models/small"):
        assert wordgen.evaluate(model, samples=0).loss == evaluation.loss
    with pytest.raises(SettingError, match="has no folder"):
        wordgen.evaluate(TrainedModel(load_bundle(trained_copy / "saved_models" / "small")))


def test_spelled_word_counts_once(in_empty_folder: Path):
    train_in_folder(in_empty_folder, "spells", "spelled", "--layers 1 --units 8 --epochs 1 --unknown spell")
    result = wordgen.evaluate()
    words = result.tokens - result.statistics.letters + result.statistics.spelled
    assert result.unknown_share == 0
    assert result.spelled_share == pytest.approx(result.statistics.spelled / words)
    assert 0.05 < result.spelled_share < 0.5
    figures = result.novelty
    assert figures is not None
    assert figures.samples.tokens < 100 * figures.samples.texts  # many generated tokens are letters of a word
    assert figures.held_out.tokens <= words
    assert figures.held_out.longest is not None
    assert figures.held_out.longest.tokens > 5


def test_search_for_copies_beyond_memory_is_left_out(trained_copy: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wordgen.run.evaluate.memory_of_words", lambda tokens, vocabulary: 2**50)
    result = wordgen.evaluate(samples=1)
    assert result.novelty is None
    assert result.notes == ("No search for copies in generated text: it would need 1,048,576 GiB of memory.",)


def test_n_grams_beyond_memory_are_left_out(trained_copy: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wordgen.run.evaluate.physical_memory", lambda: 1_000_000)
    result = wordgen.evaluate(samples=0)
    assert result.ngram is None
    assert result.notes[-1].startswith("No comparison with a 5-gram: counting would need")
    assert result.verdict is not None
    assert "word frequencies" in result.verdict


def test_novelty_matches_generated_text_and_copy_index(trained_copy: Path, spells: Dataset):
    result = wordgen.evaluate("small", samples=20).novelty
    assert result is not None
    assert (result.samples.texts, result.samples.tokens) == (20, 2000)
    assert (result.held_out.texts, result.held_out.tokens) == (5, 500)
    model = wordgen.load("small")
    texts = model.generate("", count=20, length=100, temperature=1.0, random_seed=1)
    generated = [np.array([model.vocabulary.id_of(token) for token in text.tokens]) for text in texts]
    assert result == novelty(generated, spells.ids["test"], spells)
    copies = [copy for text in texts for copy in model.copies(text)]
    longest = result.samples.longest
    assert longest is not None
    assert longest.tokens >= 3
    lines = (ROOT / "data" / longest.file).read_text(encoding="utf-8").split("\n")
    assert "".join(longest.text.split()) in "".join(lines[longest.line - 1].split())
    assert any("".join(longest.text.split()) in "".join(text.text.split()) for text in texts)
    assert longest.tokens <= max((copy.tokens for copy in copies), default=4)  # copies may cross line ends
    shutil.rmtree(SMALL / "copy_index")  # which the evaluation does not need
    assert wordgen.evaluate("small", samples=20).novelty == result


@pytest.mark.parametrize("samples", [-1, 1001, 1.5, True])
def test_invalid_number_of_samples_is_refused(trained_copy: Path, samples: int):
    with pytest.raises(SettingError, match="samples must be"):
        wordgen.evaluate(samples=samples)


def test_overfitted_model_recites(overfitted_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(overfitted_folder)
    result = wordgen.evaluate().novelty
    assert result is not None
    assert result.originality == "recites"
    share, held_out_share = result.samples.shares[8], result.held_out.shares[8]
    assert share is not None
    assert share > 0.6
    assert held_out_share == 1  # each line occurs sixteen times in the text
    assert result.verdict is not None
    assert result.verdict.startswith(f"The model recites: the training text also has {share:.1%} of its sequences of 8")
    longest = result.samples.longest
    assert longest is not None
    assert longest.tokens > 20
    lines = (overfitted_folder / "few.txt").read_text(encoding="utf-8").split("\n")
    assert "".join(longest.text.split()) in "".join(lines[longest.line - 1].split())
    # Compared with a text of another kind:
    other = overfitted_folder / "other.txt"
    other.write_text((ROOT / "data" / "fables.txt").read_text(encoding="utf-8"), encoding="utf-8")
    against_other = wordgen.evaluate(split=other).novelty
    assert against_other is not None
    assert against_other.verdict is not None
    assert against_other.verdict.startswith("The model recites: ")
    assert against_other.verdict.endswith("and 0.0% of those of other.txt.")


def test_watcher_receives_progress(trained_copy: Path):
    class RecordingWatcher(Watcher):
        def __init__(self) -> None:
            self.events: list[str] = []

        def reading(self, name: str, done: int, size: int) -> None:
            self.events.append("reading")

        def predicting(self, done: int, tokens: int) -> None:
            self.events.append("predicting")

        def counting(self, tokens: int, order: int) -> None:
            self.events.append("counting")

        def weighing(self, done: int, tokens: int) -> None:
            self.events.append("weighing")

        def writing(self, done: int, tokens: int) -> None:
            self.events.append("writing")
            self.progress = (done, tokens)

        def searching(self, tokens: int) -> None:
            self.events.append("searching")

    watcher = RecordingWatcher()
    wordgen.evaluate(samples=2, watcher=watcher)
    events = ["reading", "predicting", "counting", "weighing", "writing", "searching"]
    assert list(dict.fromkeys(watcher.events)) == events
    assert watcher.progress == (200, 200)
    watcher.events.clear()
    assert wordgen.evaluate(split="valid", samples=0, watcher=watcher).novelty is None
    assert list(dict.fromkeys(watcher.events)) == ["predicting", "counting"]  # the text is not read again


def test_finding_uses_an_incomplete_epoch_if_it_improved_much(trained_copy: Path):
    record = load_record(SMALL)
    steps = record.steps_per_epoch
    epochs = [
        replace(epoch, train_perplexity=200 / number, valid_perplexity=180 / number, step=steps * number)
        for number, epoch in enumerate(record.epochs, 1)
    ]

    def finding_with(valid_perplexity: float) -> str:
        incomplete = replace(epochs[-1], epoch=4, step=3 * steps + 1, valid_perplexity=valid_perplexity)
        save_record(SMALL, replace(record, epochs=(*epochs, incomplete)))
        result = wordgen.evaluate(samples=0).finding
        assert result is not None
        assert result.fit == "undertrained"
        return result.observation

    fell = (
        "was still improving when it ended in the middle of epoch 4 (validation perplexity fell by 3.8% after epoch 3)"
    )
    assert finding_with(60 / 60.6 * 58.3) == fell
    whole = "was still improving in its last whole epoch (epoch 3: validation perplexity fell by 33.3%)"
    assert finding_with(60.1) == whole


def test_weight_of_n_grams_is_chosen_on_valid(
    trained_copy: Path, evaluation: Evaluation, spells: Dataset, network: NumpyNetwork
):
    valid, test = (
        PredictedText(spells.ids[part], network_nats(network, spells.ids[part])) for part in ("valid", "test")
    )
    ngrams = NgramModel(spells.ids["train"], len(spells.codec.vocabulary))
    assert (evaluation.ngram, evaluation.mixture, evaluation.notes) == mix_with_ngram(ngrams, valid, test)
    assert evaluation.mixture is not None
    assert evaluation.mixture.loss.perplexity < evaluation.perplexity  # the model was trained for seconds
    on_valid = wordgen.evaluate("small", split="valid", samples=0)
    assert on_valid.mixture is not None
    assert on_valid.mixture.weight == evaluation.mixture.weight
    assert on_valid.mixture.loss.perplexity <= on_valid.perplexity


def test_short_validation_set_gives_no_mixture(in_empty_folder: Path):
    (in_empty_folder / "few.txt").write_text("The caster sleeps.\nThe target wakes.\n" * 5, encoding="utf-8")
    train_in_folder(in_empty_folder, "few.txt", "few", "--layers 1 --units 8 --epochs 1 --batch-size 2 --seq-len 4")
    note = "No mixture with the 5-gram: the validation set is too short to choose its weight."
    result = wordgen.evaluate("few", samples=0)
    assert (result.mixture, result.to_mapping()["mixture"]) == (None, None)
    assert result.notes[-1] == note
    assert note in (in_empty_folder / "saved_models" / "few" / "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("trained_copy")
def test_cache_is_chosen_on_valid_and_measured_on_test(evaluation: Evaluation, spells: Dataset, network: NumpyNetwork):
    result = wordgen.evaluate("small", samples=0, cache=300)
    assert (evaluation.with_cache, evaluation.dynamic) == (None, None)
    assert result.loss == evaluation.loss
    assert result.with_cache is not None
    cache = best_cache(network, spells.ids["valid"], 300)
    assert result.with_cache.cache == cache
    assert result.with_cache.loss == cache_loss(network, spells.ids["test"], cache)
    assert result.with_cache.loss.tokens == result.tokens
    assert result.with_cache.loss.perplexity < result.perplexity  # the spells repeat many words


def test_dynamic_evaluation_lowers_perplexity_and_keeps_weights(trained_copy: Path):
    weights = (SMALL / "weights.safetensors").read_bytes()
    result = wordgen.evaluate("small", samples=0, dynamic=True)
    assert result.dynamic is not None
    assert result.dynamic.loss.tokens == result.tokens
    assert result.dynamic.rate > 0
    assert result.dynamic.loss.perplexity < result.perplexity
    mapping = result.to_mapping()["dynamic"]
    assert (mapping["rate"], mapping["perplexity"]) == (
        result.dynamic.rate,
        result.dynamic.loss.perplexity,
    )
    assert (SMALL / "weights.safetensors").read_bytes() == weights


def test_cache_without_validation_set_is_an_error(trained_copy: Path):
    (trained_copy / "other.txt").write_text("The caster waits.\n" * 30, encoding="utf-8")
    (trained_copy / "saved_models" / "small" / "report.json").unlink()
    with pytest.raises(CorpusError, match="cache and dynamic need the validation set"):
        wordgen.evaluate("small", "other.txt", cache=5)
    with pytest.raises(SettingError, match="cache must be at least 1"):
        wordgen.evaluate("small", "other.txt", cache=0)
