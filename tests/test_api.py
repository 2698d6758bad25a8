"""The Python API."""

import inspect
import pydoc
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import pytest

import wordgen
from tests.helpers.commands import ROOT
from tests.helpers.written_signatures import rewrite
from wordgen.run.record import load_record
from wordgen.run.settings import TrainSettings, resumed_settings
from wordgen.settings import in_python


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> wordgen.Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("api"))
        settings = wordgen.TrainSettings(corpus="spells", layers=1, units=24, epochs=30, patience=1, learning_rate=0.02)
        result = wordgen.train_with(settings)
        return wordgen.Run(result.folder.resolve(), result.epochs, result.ending)


def test_run_has_its_best_epoch(run: wordgen.Run):
    assert run.ending.best is not None
    assert run.ending.best.valid_perplexity == min(epoch.valid_perplexity for epoch in run.epochs)
    assert run.ending.best.valid_perplexity < run.ending.unigram_perplexity
    assert run.epochs[0].samples


def test_loaded_model_generates_and_streams(run: wordgen.Run):
    model = wordgen.load(run.folder)
    texts = model.generate("The caster", temperature=0.8, count=2, length=10, random_seed=1)
    assert [type(text) for text in texts] == [wordgen.Text, wordgen.Text]
    assert texts[0].text.startswith("The caster")
    assert "".join(model.stream("The caster", length=10, random_seed=1)).startswith("The caster")
    assert str(model.generate(seed="The caster", length=5)[0]).startswith("The caster")


def test_saved_model_is_the_best_one_and_not_the_last(
    run: wordgen.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import numpy as np

    from wordgen.corpus.finding import open_corpus
    from wordgen.dataset.encoding import prepare
    from wordgen.evaluation.perplexity import Evaluator
    from wordgen.model.bundle import load_bundle
    from wordgen.network.network import Network
    from wordgen.network.replicas import single_replica
    from wordgen.text.settings import TextSettings

    bundle = load_bundle(run.folder)
    network = Network(bundle.architecture)
    network.set_weights_by_name(bundle.weights)
    dataset = prepare(open_corpus("spells"), TextSettings(), tmp_path)
    assert run.ending.best is not None
    assert run.ending.best.epoch == len(run.epochs) - 1
    perplexity = Evaluator(network, np.asarray(dataset.ids["valid"]), single_replica()).perplexity()
    assert perplexity == pytest.approx(run.ending.best.valid_perplexity, rel=1e-5)


def test_train_shows_progress_unless_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    lines = (ROOT / "data" / "spells.txt").read_text(encoding="utf-8").split("\n")
    paths = [Path("one.txt"), Path("two.txt")]
    for path, part in zip(paths, (lines[:80], lines[80:160]), strict=True):
        path.write_text("\n".join(part), encoding="utf-8")
    first = wordgen.train(corpus=paths, layers=2, units=[8, 6], epochs=1, name="seen")
    assert first.folder == Path("saved_models/seen")
    assert load_record(first.folder).settings.corpus == ("one.txt", "two.txt")
    assert "Plan for seen" in capsys.readouterr().out
    resumed = wordgen.resume(Path("saved_models/seen"), epochs=2, quiet=True)
    assert capsys.readouterr().out == ""
    assert resumed.epochs[:1] == first.epochs
    assert len(resumed.epochs) == 2
    assert wordgen.export("seen", output=tmp_path / "seen.onnx") == tmp_path / "seen.onnx"
    assert (tmp_path / "seen.onnx").stat().st_size > 1000


def test_signatures_match_the_settings():
    """For editors and help(), the source has them; `python -m tests.helpers.written_signatures` writes them."""
    rewrite(lambda file, source, wanted: _assert_same(source, wanted))
    assert "train" in dir(wordgen)
    for function, group, other_parameters in (
        (wordgen.train, wordgen.TrainSettings, {"models", "quiet"}),
        (wordgen.TrainedModel.generate, wordgen.GenerationSettings, {"self", "seed"}),
        (wordgen.TrainedModel.stream, wordgen.GenerationSettings, {"self", "seed"}),
    ):
        parameters = inspect.signature(function).parameters
        assert set(parameters) == {each.name for each in fields(group)} | other_parameters
        assert parameters["quiet" if "quiet" in other_parameters else "seed"].default in (False, "")


def _assert_same(source: str, wanted: str) -> None:
    assert source == wanted, "call python -m tests.helpers.written_signatures"


def test_help_describes_every_setting():
    for function, group in (
        (wordgen.train, wordgen.TrainSettings),
        (wordgen.TrainedModel.generate, wordgen.GenerationSettings),
    ):
        description = pydoc.plain(pydoc.render_doc(function))
        for each in fields(group):
            assert f"{each.name}: {in_python(each.metadata['help']).split()[0]}" in " ".join(description.split())
        assert "--" not in description


def test_resume_accepts_all_settings_that_may_change():
    parameters = set(inspect.signature(wordgen.resume).parameters)
    may_change = {name for name in TrainSettings.__dataclass_fields__ if _may_change(name)}
    assert parameters == may_change | {"run", "models", "quiet"}


def _may_change(name: str) -> bool:
    settings = TrainSettings(corpus="spells")
    changed_values = {
        "epochs": 99,
        "checkpoint_every": "9",
        "distribute": "mirrored",
        "local_devices": 2,
        "force_memory": True,
        "join_timeout": 9,
        "histograms": True,
        "sample_every": 5,
        "log_every": 5,
    }
    try:
        resumed_settings("run", settings, {name: changed_values.get(name, "other")})
    except wordgen.WordgenError:
        return False
    return True


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: wordgen.TrainSettings(corpus="spells", layers=0), "--layers must be at least 1"),
        (lambda: wordgen.train(corpus="spells", seq_len=0), "seq_len must be at least 1 and at most 100,000, not 0."),
        (
            lambda: wordgen.train(corpus="spells", layers=2, units=[8, 8, 8]),
            "units has 3 numbers, but layers is 2: give one number",
        ),
        (lambda: wordgen.train(corpus="spells", recipe="nonsense"), "There is no recipe 'nonsense'"),
        (lambda: wordgen.resume("nowhere"), "There is no run 'nowhere' to resume."),
        (lambda: wordgen.load("nowhere"), "There is no model 'nowhere'"),
        (lambda: wordgen.load(), "python train.py --corpus lotr (or wordgen train --corpus lotr)."),
        (lambda: wordgen.export(to=cast(Any, "pickle")), "to must be one of onnx, keras, base, not 'pickle'."),
    ],
)
def test_errors_name_settings_as_in_python(in_empty_folder: Path, call: Callable[[], object], sentence: str):
    with pytest.raises(wordgen.WordgenError) as error:
        call()
    assert sentence in str(error.value)


def test_errors_of_a_model_name_settings_as_in_python(run: wordgen.Run):
    model = wordgen.load(run.folder)
    for write in (model.generate, model.stream):
        with pytest.raises(wordgen.WordgenError, match=r"^at_least=10 is more than length=5: give a larger length\.$"):
            write(seed="The", length=5, at_least=10)
        with pytest.raises(TypeError, match="unexpected keyword argument 'lenght'"):
            write("The", lenght=5)  # pyright: ignore[reportCallIssue]


def test_confidence_interval_of_run_equals_that_of_evaluate(run: wordgen.Run):
    interval = wordgen.evaluate(run.folder, split="valid", samples=0).loss.margin
    assert interval is not None
    assert run.ending.margin == pytest.approx(interval, rel=1e-4)
    shown = f"± {run.ending.margin:,.1f}"
    assert shown in repr(run)
    assert shown in run._repr_html_()
    assert shown in (run.folder / "report.html").read_text(encoding="utf-8")


def test_results_have_short_repr_and_html_tables(run: wordgen.Run):
    model = wordgen.load(run.folder)
    texts = model.generate("The caster", length=200, count=3, random_seed=1)
    score = model.score("The caster sleeps. <b>A light & a sound.</b>")
    evaluation = wordgen.evaluate(run.folder, samples=0)
    for result in (run, model, texts[0], score, score.sentences[0], evaluation, run.epochs[0]):
        assert len(repr(result)) < 250
        assert "\n" not in repr(result)
    assert len(repr(texts)) < 500
    assert f"epochs={len(run.epochs)}, validation perplexity" in repr(run)
    assert repr(texts[0])[6:].startswith("The caster")
    pages = [each._repr_html_() for each in (run, texts[0], score, evaluation)]
    for page in pages:
        assert_balanced_tags(page)
    assert pages[0].count("<tr>") == len(run.epochs) + 1
    assert "bits" in pages[2]
    assert "<b>" not in pages[2]
    assert "word frequencies" in pages[3]


def assert_balanced_tags(page: str) -> None:
    open_tags: list[str] = []
    for end, tag in re.findall(r"<(/?)([a-z]+)[^>]*>", page):
        if end:
            assert open_tags.pop() == tag
        else:
            open_tags.append(tag)
    assert open_tags == []


def test_all_public_names_exist():
    assert all(getattr(wordgen, name) is not None for name in wordgen.__all__)
    with pytest.raises(AttributeError, match="no attribute 'sing'"):
        _ = wordgen.sing  # pyright: ignore[reportAttributeAccessIssue]


def test_train_takes_settings_only_by_name():
    with pytest.raises(TypeError, match="takes 0 positional arguments"):
        wordgen.train("lotr", corpus="spells")  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match="unexpected keyword argument 'layer'"):
        wordgen.train(corpus="spells", layer=3)  # pyright: ignore[reportCallIssue]
