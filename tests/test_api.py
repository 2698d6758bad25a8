"""The Python API as the README shows it."""

import inspect
from pathlib import Path

import pytest

import wordgen


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> wordgen.Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("api"))
        settings = wordgen.TrainSettings(corpus="spells", layers=1, units=24, epochs=30, patience=1, learning_rate=0.02)
        finished = wordgen.train_with(settings)
        return wordgen.Run(finished.folder.resolve(), finished.epochs, finished.ending)


def test_a_run_tells_how_it_went(run: wordgen.Run):
    assert run.ending.best is not None
    assert run.ending.best.valid_perplexity == min(epoch.valid_perplexity for epoch in run.epochs)
    assert run.ending.best.valid_perplexity < run.ending.unigram_perplexity
    assert run.epochs[0].samples


def test_its_model_writes(run: wordgen.Run):
    model = wordgen.load(run.folder)
    texts = model.generate("The caster", temperature=0.8, count=2, length=10, random_seed=1)
    assert [type(text) for text in texts] == [wordgen.Text, wordgen.Text]
    assert texts[0].text.startswith("The caster")
    assert "".join(model.stream("The caster", length=10, random_seed=1)).startswith("The caster")


def test_the_saved_model_is_the_best_one_and_not_the_last(
    run: wordgen.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its perplexity, measured anew from the bundle, is that of the best epoch."""
    import numpy as np

    from wordgen.bundle import load_bundle
    from wordgen.corpora.finding import open_corpus
    from wordgen.dataset.encoding import prepare
    from wordgen.evaluation.perplexity import Evaluator
    from wordgen.model.network import Network
    from wordgen.model.replicas import alone
    from wordgen.text.settings import TextSettings

    bundle = load_bundle(run.folder)
    network = Network(bundle.architecture)
    network.set_weights_by_name(bundle.weights)
    dataset = prepare(open_corpus("spells"), TextSettings(), tmp_path)
    assert run.ending.best is not None
    assert run.ending.best.epoch == len(run.epochs) - 1
    measured = Evaluator(network, np.asarray(dataset.ids["valid"]), alone()).perplexity()
    assert measured == pytest.approx(run.ending.best.valid_perplexity, rel=1e-5)


def test_settings_are_checked_in_python_too():
    with pytest.raises(wordgen.WordgenError, match="--layers must be at least 1"):
        wordgen.TrainSettings(corpus="spells", layers=0)


def test_train_shows_its_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    run = wordgen.train(corpus="spells", layers=1, units=8, epochs=1, name="seen")
    assert run.folder == Path("saved_models/seen")
    assert "Plan for seen" in capsys.readouterr().out


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'sing'"):
        _ = wordgen.sing  # pyright: ignore[reportAttributeAccessIssue]


def test_train_tells_its_settings():
    assert {"corpus", "layers", "learning_rate", "name"} <= set(inspect.signature(wordgen.train).parameters)
    assert "train" in dir(wordgen)


def test_everything_that_is_promised_is_there():
    assert all(getattr(wordgen, name) is not None for name in wordgen.__all__)


def test_settings_are_given_by_name_alone():
    with pytest.raises(TypeError, match="too many positional arguments"):
        wordgen.train("lotr", corpus="spells")  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match="unexpected keyword argument 'layer'"):
        wordgen.train(corpus="spells", layer=3)  # pyright: ignore[reportCallIssue]
