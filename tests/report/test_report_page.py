"""The report page from made-up records: figures, curves and samples of all kinds of runs, and hostile texts."""

import re
import shlex
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.page_reader import ReadPage, read_page
from tests.helpers.saved_runs import made_epoch, made_loss, made_measurement, made_record
from wordgen.cli.flags import settings_from
from wordgen.cli.train import train_parser
from wordgen.evaluation.measurement import (
    Cache,
    CacheLoss,
    DynamicLoss,
    Figures,
    Loss,
    Match,
    Measurement,
    Mixture,
    Novelty,
)
from wordgen.evaluation.music import Copied, Music, Overlap, PieceFigures
from wordgen.model.architecture import Architecture
from wordgen.model.bundle import HeadStart
from wordgen.report.page import page_environment, render_page
from wordgen.run.record import RunRecord
from wordgen.run.settings import TrainSettings
from wordgen.settings import flag_name
from wordgen.training.reports import EpochReport, Sample, SampleReport

SETTINGS: dict[str, Any] = {"layers": 1, "units": 64, "epochs": 9, "precision": "float32"}
VALID = made_measurement(31.21, 1.1328, unigram=made_loss(104.125), ngram=made_loss(42.41))
TEST = made_measurement(33.5, 1.1328, notes=("No 5-gram: too <large>.",))


def epoch(number: int, valid: float, **changes: Any) -> EpochReport:
    samples = (Sample("greedy", f"greedy {number}"), Sample("sample", f"sampled {number}", "After"))
    return made_epoch(number, valid, **{"samples": samples, **changes})


def run_record(**changes: Any) -> RunRecord:
    return made_record(
        **{
            "settings": SETTINGS,
            "epochs": (epoch(1, 60.5), epoch(2, 31.21), epoch(3, 33.75)),
            "architecture": Architecture(
                vocabulary_size=770, embedding=64, layers=1, units=64, cell="lstm", tied=False
            ),
            "devices": "one CPU",
            "unigram_perplexity": 104.125,
            "word_to_try": "After",
            "measurements": {"valid": VALID},
            **changes,
        }
    )


def page(run: str = "tale", record: RunRecord | None = None, **measurements: Measurement) -> ReadPage:
    record = run_record() if record is None else record
    return read_page(render_page(run, replace(record, measurements={**record.measurements, **measurements})))


def test_page_shows_all_figures_of_the_record():
    text = replace(run_record().text, notes=("read as Shift JIS",))
    parsed = page(record=run_record(text=text))
    shown = parsed.shown
    figures = [text for places, text in parsed.texts if places[-1:] == ("dd",)]
    assert figures == ["31.2", "42.4", "104.1", "1.133", "132,354", "6 s"]
    for figure in ("31.2", "42.4", "104.1", "1.133", "132,354", "epoch 2, the best", "6 s", "for 3 epochs"):
        assert figure in shown, figure
    assert "The model is better than the 5-gram: its perplexity is 26% lower (31.2 against 42.4)" in shown
    assert "The run ended after 3 epochs of at most 9: no better for 3 epochs." in shown
    assert "767 of 1,877 different tokens, which are 90.0% of the training text" in shown
    head_start = HeadStart(base="base", fingerprint="f", known=700, new=67, besides=200)
    assert "567 of 1,877 different tokens" in page(record=run_record(head_start=head_start)).shown
    assert "wordgen 0.1.0, Python 3.11.7, TensorFlow 2.21.0" in shown
    assert "2026-11-21, 20:19 UTC" in shown
    assert "one CPU, in float32" in shown
    assert "read as Shift JIS" in shown


def test_chart_has_points_for_epochs_and_lines_for_baselines():
    parsed = page()
    (train, valid), best = (parsed.points(kind) for kind in ("train", "valid")), parsed.named("circle", class_="best")
    assert len(train) == len(valid) == 3
    assert [x for x, _ in train] == sorted(x for x, _ in train)
    assert valid[1][1] == max(y for _, y in valid)  # the best point is the lowest, and y grows downwards
    assert (best[0]["cx"], best[0]["cy"]) == (str(valid[1][0]), str(valid[1][1]))
    heights = {kind: float(str(parsed.named("line", class_=kind)[0]["y1"])) for kind in ("ngram", "unigram")}
    assert heights["unigram"] < heights["ngram"] < valid[1][1]


def test_chart_stays_in_frame_with_separate_ticks():
    parsed = page()
    left, top, width, height = map(float, str(parsed.named("svg", role="img")[0]["viewbox"]).split())
    for kind in ("train", "valid"):
        assert all(left < x < width and top < y < height for x, y in parsed.points(kind))
    ticks = [(text["x"], text["y"]) for text in parsed.named("text")]
    assert len(set(ticks)) == len(ticks) > 6


def test_page_describes_chart_for_screen_readers():
    parsed = page()
    (drawing,) = parsed.named("svg", role="img")
    for name in str(drawing["aria-labelledby"]).split():
        assert any(attributes.get("id") == name for _, attributes in parsed.tags)
    description = " ".join(parsed.within("desc"))
    assert "validation perplexity from 60.5 to 33.8, in 3 epochs" in description
    assert "The best is 31.2 in epoch 2." in description
    assert "5-gram, 42.4" in description
    assert parsed.named("html", lang="en")
    assert len(parsed.named("h1")) == 1
    assert all(header.get("scope") in ("col", "row") for header in parsed.named("th"))


def test_page_loads_nothing_from_other_places():
    html = render_page("tale", run_record(measurements={"valid": VALID, "test": TEST}))
    assert not re.search(r"https?:|//|\bsrc\b|\bhref\b|@import|url\(|<script|<link", html)


def test_samples_are_ordered_by_epoch_and_folded():
    parsed = page(record=run_record(epochs=tuple(epoch(n, 50 + abs(n - 4)) for n in range(1, 8)), best_epoch=4))
    folded = [text for text in parsed.within("details") if text.startswith(("greedy", "sampled"))]
    shown = [text for places, text in parsed.texts if "blockquote" in places and "details" not in places]
    assert shown == [f"{kind} {number}" for number in (1, 4, 7) for kind in ("greedy", "sampled")]
    assert folded == [f"{kind} {number}" for number in (2, 3, 5, 6) for kind in ("greedy", "sampled")]
    summaries = parsed.within("summary")
    assert "Epochs 2 to 3" in summaries
    assert "Epochs 5 to 6" in summaries


def validation(step: int, valid: float, **changes: Any) -> EpochReport:
    return made_epoch(1 + step // 10, valid, step=step, within_epoch=True, **changes)


def test_validations_within_epochs_have_points_and_rows():
    best = validation(25, 30.0, best=True)
    parsed = page(
        record=run_record(validations=(validation(5, 80.0), validation(15, 45.0), best), best_epoch=3, best_step=25)
    )
    valid, circle = parsed.points("valid"), parsed.named("circle", class_="best")
    assert len(parsed.points("train")) == 3
    assert [x for x, _ in valid] == sorted(x for x, _ in valid)
    assert len(valid) == 6
    assert (circle[0]["cx"], circle[0]["cy"]) == (str(valid[4][0]), str(valid[4][1]))
    assert "epoch 3, step 25, the best" in parsed.shown
    assert "3, step 25 (the best)" in parsed.shown
    assert "The figures of all validations" in parsed.shown


def test_validations_have_a_curve_before_first_epoch_ends():
    validations = (validation(2, 80.0), validation(4, 60.0, best=True))
    parsed = page(record=run_record(epochs=(), validations=validations, best_epoch=1, best_step=4, ended="stopped"))
    assert len(parsed.points("valid")) == 2
    assert "stopped in epoch 1 of at most 9" in parsed.shown


def test_samples_within_epochs_are_ordered_by_step():
    samples = tuple(SampleReport(1, step, (Sample("sample", f"text {step}"),)) for step in (3, 6, 33, 36))
    parsed = page(record=run_record(samples=samples))
    written = [text for text in parsed.within("blockquote") if text.startswith(("text", "sampled"))]
    assert written == ["text 3", "text 6", "sampled 1", "sampled 2", "sampled 3", "text 33", "text 36"]
    assert "Step 36, in epoch 1" in parsed.shown
    assert "Samples during the training" in parsed.shown


def test_hundreds_of_epochs_have_all_points_and_few_samples():
    many = tuple(epoch(n, 40 + abs(n - 351) / 10) for n in range(1, 701))
    parsed = page(record=run_record(epochs=many, best_epoch=351))
    assert len(parsed.points("valid")) == 700
    written = [text for text in parsed.within("blockquote") if text.startswith("greedy")]
    assert len(written) < 100
    assert {"greedy 1", "greedy 351", "greedy 700"} <= set(written)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"epochs": (), "best_epoch": None, "ended": None}, "had not finished"),
        ({"epochs": (epoch(1, 50.0),), "best_epoch": 1}, "The run ended after 1 epoch of at most 9"),
        ({"epochs": (epoch(1, 50.0, step=4),), "best_epoch": 1, "ended": "stopped"}, "stopped in epoch 1 of at most 9"),
        ({"ended": "stopped"}, "python -m wordgen train --resume tale"),
        ({"ended": "diverged"}, "The run diverged after 3 epochs"),
        ({"epochs": (epoch(1, 1e300), epoch(2, 2.0), epoch(3, 1e9))}, "1.0e+09"),
        ({"epochs": (epoch(1, 1e300),), "best_epoch": 1, "unigram_perplexity": None}, "1.0e+300"),
        ({"devices": None, "word_to_try": None}, "2026-11-21"),
    ],
)
@pytest.mark.parametrize("measurements", [{}, {"valid": VALID}])
def test_runs_of_every_kind_have_a_page(measurements: Any, changes: dict[str, Any], expected: str):
    record = run_record(measurements=measurements, **changes)
    parsed = page(record=record)
    assert expected in parsed.shown
    assert len(parsed.points("valid")) == len([each for each in record.epochs if each.valid_perplexity < 1e100])
    assert "nan" not in " ".join(str(attributes) for _, attributes in parsed.tags)


def test_run_without_measurements_is_compared_to_frequencies():
    shown = page(record=run_record(measurements={})).shown
    assert "The model is better than word frequencies: its perplexity is 70% lower" in shown
    assert "5-gram" not in shown
    assert "python -m wordgen evaluate tale" in shown


def test_test_set_is_shown_only_for_the_same_step():
    same_step = page(test=TEST).shown
    assert "33.5" in same_step
    assert "No 5-gram: too <large>." in same_step
    assert "measures the model on the test set" not in same_step
    other_step = page(test=replace(TEST, step=30)).shown
    assert "33.5" not in other_step
    assert "measures the model on the test set" in other_step


def test_cache_and_dynamic_evaluation_have_rows():
    measurement = replace(TEST, with_cache=cached(2000, 30.11), dynamic=DynamicLoss(0.1, made_loss(29.22)))
    parsed = page(test=measurement)
    names = [
        text for text in parsed.within("th") if text in ("the model", "with a cache of 2,000", "dynamic evaluation")
    ]
    assert names == ["the model", "with a cache of 2,000", "dynamic evaluation"] * 2
    assert {"30.1", "29.2"} <= set(parsed.within("td"))
    cache, dynamic = (
        "On the test set: the cache gives 25% of the probability, with a flatness of 0.3 (chosen on the",
        "On the test set: dynamic evaluation trains with a learning rate of 0.1 (chosen on the validation set).",
    )
    assert cache in parsed.shown
    assert dynamic in parsed.shown
    assert "python -m wordgen evaluate tale --cache 2000 --dynamic" in parsed.within("code")
    assert "with a cache" not in page().shown
    assert "python -m wordgen evaluate tale" in page().within("code")


def cached(size: int, perplexity: float) -> CacheLoss:
    return CacheLoss(Cache(size, 0.3, 0.25), made_loss(perplexity))


def test_caches_of_two_sizes_have_a_row_each():
    valid, test = replace(VALID, with_cache=cached(500, 30.11)), replace(TEST, with_cache=cached(2000, 20.51))
    parsed = page(valid=valid, test=test)
    assert "with a flatness of 0.3 (chosen on this same text, so the figure is slightly too good)." in parsed.shown
    assert "with a cache of 500 30.1 \N{EN DASH} with a cache of 2,000 \N{EN DASH} 20.5" in parsed.shown


def test_confidence_intervals_are_beside_figures():
    blocks = np.array([(10 * np.log(perplexity), 10) for perplexity in (30.0, 33.0, 36.5)] * 4)
    loss = Loss(float(blocks[:, 0].sum()), int(blocks[:, 1].sum()), blocks)
    half_width = loss.margin
    assert half_width is not None
    shown = page(test=replace(TEST, loss=loss, characters=500)).shown
    assert f"the model 31.2 {loss.perplexity:.1f} ± {half_width:.1f}" in shown
    assert f"{loss.bits_per(500):.3f} ± {loss.margin_per(500):.3f}" in shown
    assert "± gives a 95% confidence interval" in shown
    assert "±" not in page(test=TEST).shown


def test_nats_are_shown_for_character_tokens():
    characters = replace(run_record().text, tokenizer="characters")
    shown = page(record=run_record(text=characters), test=TEST).shown
    nats = 1.1328 * np.log(2)
    assert f"nats per character {nats:.3f}" in shown.replace("\n", " ")
    assert f"Nats per character validation set test set the model {nats:.3f} {nats:.3f}" in shown
    assert "ats per character" not in page(test=TEST).shown


def test_verdict_uses_confidence_intervals():
    own_blocks = np.array([(10 * np.log(perplexity), 10) for perplexity in (20.0, 48.0)] * 6)
    ngram_blocks = np.array([(10 * np.log(perplexity), 10) for perplexity in (40.0, 25.4)] * 6)
    own, ngram = (Loss(float(each[:, 0].sum()), 120, each) for each in (own_blocks, ngram_blocks))
    verdict = f"The model is as good as the 5-gram ({own.perplexity:.1f} against {ngram.perplexity:.1f}), because the"
    assert verdict in page(valid=replace(VALID, loss=own, ngram=ngram)).shown


def test_n_grams_of_two_lengths_have_a_row_each():
    shown = page(test=replace(TEST, order=7, ngram=made_loss(38.21))).shown
    assert "5-gram, Kneser-Ney 42.4 \N{EN DASH} 7-gram, Kneser-Ney \N{EN DASH} 38.2" in shown


def test_mixture_has_a_row_and_a_sentence():
    parsed = page(valid=replace(VALID, mixture=Mixture(0.284, made_loss(29.14))))
    assert "mixed with the 5-gram 29.1 5-gram, Kneser-Ney 42.4" in parsed.shown
    text = "On the validation set: the mixture takes 28% of each probability from the 5-gram (chosen on this same text,"
    assert text in parsed.shown
    assert "mixed with" not in page().shown


def test_run_with_time_budget_is_not_called_repeatable():
    by_time = {**SETTINGS, "time_budget": "20m", "epochs": 2}
    ended = page(record=run_record(settings=by_time, ended="the time is up")).shown
    assert "The run ended after 3 epochs: the time is up." in ended
    stopped = page(record=run_record(settings=by_time, ended="stopped")).shown
    assert "The run was stopped in epoch 4. This command resumes it:" in stopped
    for shown in (ended, stopped):
        assert "the same random seed gives the same model" not in shown
    assert "the same random seed gives the same model" in page().shown


def test_diverged_run_is_not_advised_to_continue():
    falling = (epoch(1, 60.5), epoch(2, 50.0), epoch(3, 40.0))
    shown = page(record=run_record(epochs=falling, best_epoch=3, ended="diverged")).shown
    assert "; it diverged in epoch 4, so try a smaller learning rate (0.0003 instead of 0.001)." in shown
    assert "still improving" not in shown


def test_command_counts_missing_ngrams():
    without_ngram = replace(VALID, ngram=None)
    assert "python -m wordgen evaluate tale --split valid" in page(valid=without_ngram).shown
    assert "--split valid" not in page().shown


def test_novelty_is_beside_that_of_held_out_text():
    figures = Figures(
        texts=30,
        tokens=3000,
        shares={3: 0.248, 8: 0.6},
        longest=Match(13, "level <one>", "tale.txt", 39),
        distinct_1=0.367,
        distinct_2=0.787,
        repetition=0.012,
        self_bleu=None,
    )
    held_out = replace(figures, texts=1, longest=None, shares={3: 0.1, 8: None})
    novelty = Novelty(figures, replace(held_out, shares={3: 0.1, 8: 0.2}), "the held-out text", "recites", 8)
    shown = page(test=replace(TEST, novelty=novelty)).shown
    assert "means over groups" not in shown
    few_texts = replace(novelty, samples=replace(figures, texts=40), held_out=replace(held_out, texts=5))
    parsed = page(test=replace(TEST, novelty=few_texts))
    assert "self-BLEU and distinct are means over groups of 5 texts" in parsed.shown
    assert "python -m wordgen evaluate tale --samples 40" in parsed.within("code")
    for text in (
        "The model recites: the training text also has 60.0%",
        "24.8%",
        "36.7%",
        "78.7%",
        "1.2%",
        "1 piece of",
        "level <one>",
        "tale.txt, line 39",
    ):
        assert text in shown, text
    assert "How much does it copy?" not in page().shown


def test_command_to_repeat_has_settings_of_the_run():
    chosen: dict[str, Any] = {
        "corpus": ("my book.txt", "b's.txt"),
        "copy_index": False,
        "units": (8, 9),
        "layers": 2,
        "precision": "bfloat16",
        "random_seed": 3,
    }
    parsed = page(record=run_record(settings=chosen))
    command = next(text for text in parsed.within("pre") if " train " in text)
    words = shlex.split(command)
    assert words[:4] == ["python", "-m", "wordgen", "train"]
    assert settings_from(TrainSettings, train_parser("train").parse_args(words[4:])) == TrainSettings(**chosen)


def test_all_settings_are_listed_and_defaults_are_folded():
    parsed = page()
    flags = [text for text in parsed.within("th") if text.startswith("--")]
    assert sorted(flags) == sorted(flag_name(each.name) for each in fields(TrainSettings))
    folded = [text for text in parsed.within("details") if text.startswith("--")]
    assert set(flags) - set(folded) == {"--corpus", "--layers", "--units", "--epochs", "--precision"}


def test_japanese_samples_have_a_language_attribute():
    japanese = run_record(text=replace(run_record().text, tokenizer="japanese"))
    assert all(quote["lang"] == "ja" for quote in page(record=japanese).named("blockquote"))
    assert all(quote["lang"] == "" for quote in page().named("blockquote"))


HOSTILE = st.one_of(
    st.text(min_size=1, max_size=40),
    st.sampled_from(["<script>alert(1)</script>", '"><img src=x onerror=y>', "&lt;b&gt;", "</style><b>", "' onload='"]),
)


def page_with_texts(name: str, corpus: str, sample: str, other: str) -> ReadPage:
    """A page with `other` in all other fields."""
    texts = (Sample(other, sample, seed=other), Sample("greedy", sample))
    record = run_record(
        settings={**SETTINGS, "corpus": corpus, "name": name, "recipe": other},
        epochs=(epoch(1, 60.5, samples=texts), epoch(2, 31.21)),
        text=replace(run_record().text, corpus=corpus, source=other, notes=(other,)),
        **dict.fromkeys(("recipe", "devices", "word_to_try", "began", "ended"), other),
    )
    versions = replace(record.versions, wordgen=other)
    return page(name, replace(record, versions=versions), test=replace(TEST, notes=(other,)))


HARMLESS = page_with_texts("n", "c", "t", "m")


@settings(max_examples=40)  # a page is slow to render
@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_texts_add_no_tags(name: str, corpus: str, sample: str, other: str):
    parsed = page_with_texts(name, corpus, sample, other)
    assert [(tag, sorted(names)) for tag, names in parsed.tags] == [
        (tag, sorted(names)) for tag, names in HARMLESS.tags
    ]
    assert parsed.declarations == 1


TEXTS = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("<>&\"'/=-! \n\r\x00;#x")))
TEMPLATE = page_environment("wordgen.report").from_string(
    '{% autoescape true %}<p title="{{ title }}">{{ text }}</p>{% endautoescape %}'
)


@given(TEXTS, TEXTS)
def test_template_escapes_any_text(inside: str, attribute: str):
    html = TEMPLATE.render(text=inside, title=attribute)
    parsed = read_page(html.encode("utf-8").decode("utf-8"))
    assert [tag for tag, _ in parsed.tags] == ["p"]
    assert list(parsed.tags[0][1]) == ["title"]
    shown = "".join(text for _, text in parsed.texts)
    assert [c for c in shown if c != "\ufffd"] == [c for c in as_html_text(inside) if c != "\ufffd"]


def as_html_text(text: str) -> str:
    """The text with U+FFFD for characters that HTML does not allow."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        c if c in "\n\t" or not (ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000) else "\ufffd"
        for c in text.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
    )


def test_music_figures_have_a_table():
    own = PieceFigures(30, 900, 3.25, 1.5, Copied(0.4321, 37), Overlap(0.91, 0.82, None))
    training = replace(own, copied=Copied(0.05, 20), overlap=None)
    music = Music(own, replace(own, copied=Copied(0.04, 15)), training, "<i>.mid", 400)
    parsed = page(test=replace(TEST, music=music, music_notes=1000))
    assert "How good is its music?" in parsed.shown
    assert {"generated", "<i>.mid", "training", "3.25", "43.2%", "37", "91.0%"} <= set(parsed.within("table"))
    assert "overlap of lengths" not in parsed.shown
    assert music.verdict is not None
    assert music.verdict in parsed.shown
    assert f"{TEST.loss.bits_per(1000):.3f}" in parsed.within("td")
    assert "How good is its music?" not in page(test=TEST).shown
