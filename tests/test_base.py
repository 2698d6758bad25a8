"""Runs that begin with the weights of a base."""

import contextlib
import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wordgen
from tests.helpers.bundles import make_bundle
from tests.helpers.commands import ROOT
from wordgen.cli.main import main
from wordgen.corpus.finding import open_corpus
from wordgen.dataset.encoding import prepare
from wordgen.evaluation.text_loss import network_loss
from wordgen.generation.prediction import NumpyNetwork
from wordgen.model.base import Base
from wordgen.model.bundle import Bundle, load_bundle, save_bundle
from wordgen.run.folder import find_base
from wordgen.run.record import load_record
from wordgen.text.settings import TextSettings
from wordgen.text.vocabulary import END, JOINER, RESERVED, START, Vocabulary

WORDS = ("king", "King", "queen", "road", f"{JOINER},", f"{JOINER}s", "walking")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return save_base(tmp_path_factory.mktemp("base"), tied=False)


def save_base(folder: Path, *, tied: bool, spelling: bool = False, words: Sequence[str] = WORDS) -> Base:
    """Save a model with these words and random weights."""
    bundle = make_bundle()
    vocabulary = Vocabulary.from_counts(dict.fromkeys(words, 9), size=500, min_count=1, spelling=spelling)
    architecture = replace(bundle.architecture, vocabulary_size=len(vocabulary), tied=tied)
    rng = np.random.default_rng(1)
    weights = {name: rng.normal(size=each).astype(np.float32) for name, each in architecture.weight_shapes().items()}
    save_bundle(Bundle(architecture, bundle.text, vocabulary, weights), folder)
    return Base("base", folder)


@pytest.mark.parametrize("tied", [False, True])
def test_base_gives_same_weights_for_same_vocabulary(tied: bool, tmp_path: Path):
    base = save_base(tmp_path, tied=tied)
    weights = base.weights_for(base.vocabulary)
    for name, weight in base.bundle.weights.items():
        np.testing.assert_allclose(weights[name], weight, atol=1e-6)


@pytest.mark.parametrize("ends", [0, 50])
def test_output_biases_follow_frequencies_except_start_and_end(base: Base, ends: int):
    """END is counted only in texts with their own <eos>, so its counts in two vocabularies cannot be compared."""
    special = zip(RESERVED, (0, 0, ends), strict=True)
    vocabulary = Vocabulary([*special, ("road", 999), ("king", 0), ("queen", 9)])
    bias, base_weights = base.weights_for(vocabulary)["output/bias"], base.bundle.weights["output/bias"]
    change = bias[3:] - base_weights[[base.vocabulary.id_of(word) for word in vocabulary.tokens[3:]]]
    np.testing.assert_allclose(change - change[2], np.log([100, 0.1, 1]), atol=1e-5)
    assert (bias[[START, END]] == base_weights[[START, END]]).all()


def test_bytes_of_spelled_out_words_keep_their_weights(tmp_path: Path):
    base = save_base(tmp_path, tied=True, spelling=True)
    vocabulary = Vocabulary.from_counts({"queen": 3, "Zzz": 1}, size=500, min_count=2, spelling=True)
    weights, base_weights = base.weights_for(vocabulary), base.bundle.weights
    special = vocabulary.special_count
    assert special == base.vocabulary.special_count
    assert (weights["embedding"][:special] == base_weights["embedding"][:special]).all()
    assert (weights["embedding"][special] == base_weights["embedding"][base.vocabulary.id_of("queen")]).all()


@given(words=st.lists(st.sampled_from((*WORDS, "talking", "x", "Zzz", "日本")), unique=True, min_size=1))
def test_known_word_keeps_its_weights_at_any_id(base: Base, words: list[str]):
    vocabulary = Vocabulary([*((special, 0) for special in RESERVED), *((word, 1) for word in words)])
    weights = base.weights_for(vocabulary)
    base_weights = base.bundle.weights
    for row, word in enumerate(vocabulary.tokens):
        if word in base.vocabulary:
            known = base.vocabulary.id_of(word)
            assert (weights["embedding"][row] == base_weights["embedding"][known]).all()
            assert (weights["output/kernel"][row] == base_weights["output/kernel"][known]).all()
    assert weights["layer_1/kernel"] is base_weights["layer_1/kernel"]
    assert {name: each.shape for name, each in weights.items()} == replace(
        base.architecture, vocabulary_size=len(vocabulary)
    ).weight_shapes()


def test_word_with_other_capitals_or_joiner_marks_is_known():
    vocabulary = Vocabulary([*((special, 0) for special in RESERVED), ("king", 1), (f"{JOINER},", 1)])
    known = [vocabulary.nearest(word) for word in ("king", "King", "KING", f"{JOINER}king", ",", f"{JOINER},{JOINER}")]
    assert known == [3, 3, 3, 3, 4, 4]
    assert vocabulary.nearest("kings") is None


def test_new_word_begins_as_mean_of_words_with_same_ending(base: Base):
    vocabulary = Vocabulary([*((special, 0) for special in RESERVED), ("talking", 1), ("xyz", 1)])
    rows = base.weights_for(vocabulary)["embedding"]
    base_weights = base.bundle.weights["embedding"]
    assert (rows[3] == base_weights[base.vocabulary.id_of("walking")]).all()
    np.testing.assert_allclose(rows[4], base_weights[len(RESERVED) :].mean(axis=0), atol=1e-6)


def test_word_with_other_capitals_begins_with_their_mean_difference(tmp_path: Path):
    lower = [*(a + b for a in "abcd" for b in "vwxy"), *(f"{JOINER}{a}x" for a in "pqrs")]
    words = [
        "hare",
        f"{JOINER}hare",
        *lower,
        *(word.upper() for word in lower),
        *(word.capitalize() for word in lower[1:16]),
    ]
    base = save_base(tmp_path, tied=False, words=words)
    new = ("HARE", "Hare", "hare", f"HARE{JOINER}")
    weights = base.weights_for(Vocabulary([*((special, 0) for special in RESERVED), *((word, 9) for word in new)]))
    bias = dict(zip(base.vocabulary.tokens, base.bundle.weights["output/bias"], strict=True))
    difference = np.mean([bias[word.upper()] - bias[word] for word in lower])
    assert weights["output/bias"][3] - weights["output/bias"][5] == pytest.approx(difference, abs=1e-5)
    for name in ("embedding", "output/kernel"):
        base_rows = dict(zip(base.vocabulary.tokens, base.bundle.weights[name], strict=True))
        rows = dict(zip((*RESERVED, *new), weights[name], strict=True))
        difference = np.mean([base_rows[word.upper()] - base_rows[word] for word in lower], axis=0)
        np.testing.assert_allclose(rows["HARE"], base_rows["hare"] + difference, atol=1e-5)
        np.testing.assert_allclose(rows[f"HARE{JOINER}"], rows["HARE"], atol=1e-5)
        np.testing.assert_array_equal(rows["hare"], base_rows["hare"])
        np.testing.assert_array_equal(rows["Hare"], base_rows["hare"])  # only 15 words have both


@pytest.fixture(scope="module")
def fine_tuned(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on the fables that began from the model of the spells, with a tiny learning rate."""
    folder = tmp_path_factory.mktemp("fine_tuned")
    shutil.copytree(trained_folder / "saved_models", folder / "saved_models")
    options = "--corpus fables --init-from small --epochs 1 --learning-rate 1e-12 --name next --precision float32"
    more = ["--base-words", "50", "--sampled-output", "64"]
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as screen:
        assert main(["train", *options.split(), *more]) == 0
    (folder / "screen").write_text(screen.getvalue(), encoding="utf-8")
    return folder


def test_run_begins_with_weights_of_base(fine_tuned: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(fine_tuned)
    base, bundle = find_base("small"), load_bundle(fine_tuned / "saved_models" / "next")
    settings = TextSettings(base_words=50)
    dataset = prepare(open_corpus("fables"), settings, fine_tuned / "encoded", base=base.vocabulary)
    assert bundle.vocabulary == dataset.codec.vocabulary
    expected = base.weights_for(dataset.codec.vocabulary)
    for name, weight in bundle.weights.items():
        np.testing.assert_allclose(weight, expected[name], atol=1e-5)
    best = load_record(fine_tuned / "saved_models" / "next").best
    assert best is not None
    network = NumpyNetwork(bundle.architecture, expected)
    assert best.valid_perplexity == pytest.approx(network_loss(network, dataset.ids["valid"]).perplexity, rel=1e-4)


def test_model_and_reports_name_the_base(
    fine_tuned: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(fine_tuned)
    head_start = load_bundle(fine_tuned / "saved_models" / "next").head_start
    base = find_base("small")
    assert head_start is not None
    assert (head_start.base, head_start.fingerprint) == ("small", base.fingerprint)
    assert 0 < head_start.besides <= 50
    report = json.loads((fine_tuned / "saved_models" / "next" / "report.json").read_text())
    assert report["head_start"] == head_start.to_mapping()
    assert f"small (fingerprint {base.fingerprint})" in (fine_tuned / "screen").read_text(encoding="utf-8")
    assert base.fingerprint in (fine_tuned / "saved_models" / "next" / "report.html").read_text()
    assert main(["runs", "show", "next"]) == 0
    assert base.fingerprint in capsys.readouterr().out


def test_fine_tuned_model_is_evaluated_on_new_text(fine_tuned: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(fine_tuned)
    best = load_record(fine_tuned / "saved_models" / "next").best
    assert best is not None
    assert wordgen.evaluate("next", "valid", samples=0).perplexity == pytest.approx(best.valid_perplexity, rel=1e-4)


def test_resumed_fine_tuning_equals_uninterrupted(trained_copy: Path):
    fables = (ROOT / "data" / "fables.txt").read_text(encoding="utf-8")
    (trained_copy / "few.txt").write_text(fables[: fables.index("\n\n", 12_000)], encoding="utf-8")
    flags = ["--corpus", "few.txt", "--init-from", "small", "--precision", "float32", "--recipe", "none"]
    assert main(["train", *flags, "--epochs", "2", "--name", "next"]) == 0
    _, last = sorted((trained_copy / "saved_models" / "next" / "checkpoints").iterdir())
    before = (last / "state.safetensors").read_bytes()
    shutil.rmtree(last)  # so that the run continues after its first epoch
    assert main(["train", "--resume", "next"]) == 0
    assert (last / "state.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--init-from nothing", "There is no model 'nothing'"),
        ("--init-from small --layers 3", "--layers 3 does not fit the model of --init-from: small has --layers 2."),
        ("--init-from small --units 64", "--units 64 does not fit the model"),
        ("--init-from small --tokenizer characters", "--tokenizer characters does not fit the model"),
        ("--init-from small --unknown spell", "--unknown spell does not fit"),
        ("--init-from small --name small --overwrite", "use a --name other than small"),
    ],
)
def test_flags_that_contradict_the_base_are_refused(
    flags: str, sentence: str, trained_copy: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["train", "--corpus", "fables", *flags.split()]) == 2
    message = capsys.readouterr().err
    assert sentence in message
    assert message.count("\n") == 1
