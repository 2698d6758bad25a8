"""The page from made-up records: what stands on it, for runs of every kind, whatever the texts in them are."""

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
    Figures,
    Loss,
    Match,
    Measurement,
    Mixture,
    Novelty,
    WhileLearning,
    WithCache,
)
from wordgen.evaluation.music import Copied, Music, Overlap, PieceFigures
from wordgen.model.architecture import Architecture
from wordgen.report.page import page_environment, page_of
from wordgen.run.record import RunRecord
from wordgen.run.settings import TrainSettings
from wordgen.settings import flag_name
from wordgen.training.reports import EpochReport, Sample, SampleReport

SETTINGS: dict[str, Any] = {"layers": 1, "units": 64, "epochs": 9, "precision": "float32"}
VALID = made_measurement(31.21, 1.1328, unigram=made_loss(104.125), ngram=made_loss(42.41))
TEST = made_measurement(33.5, 1.1328, notes=("No 5-gram: too <large>.",))


def epoch(number: int, valid: float, **more: Any) -> EpochReport:
    samples = (Sample("greedy", f"greedy {number}"), Sample("sample", f"sampled {number}", "After"))
    return made_epoch(number, valid, **{"samples": samples, **more})


def record(**more: Any) -> RunRecord:
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
            **more,
        }
    )


def page(run: str = "tale", of: RunRecord | None = None, **measured: Measurement) -> ReadPage:
    of = record() if of is None else of
    return read_page(page_of(run, replace(of, measurements={**of.measurements, **measured})))


def test_every_figure_of_the_record_stands_on_it():
    text = replace(record().text, notes=("read as Shift JIS",))
    read = page(of=record(text=text))
    shown = read.shown
    figures = [text for places, text in read.texts if places[-1:] == ("dd",)]
    assert figures == ["31.2", "42.4", "104.1", "1.133", "132,354", "6 s"]
    for figure in ("31.2", "42.4", "104.1", "1.133", "132,354", "epoch 2, the best", "6 s", "for 3 epochs"):
        assert figure in shown, figure
    assert "The model is better than the 5-gram: its perplexity is 26% lower (31.2 against 42.4)" in shown
    assert "The run ended after 3 epochs of at most 9: no better for 3 epochs." in shown
    assert "767 of 1,877 different tokens, which are 90.0% of the training text" in shown
    assert "wordgen 0.1.0, Python 3.11.7, TensorFlow 2.21.0" in shown
    assert "2026-11-21, 20:19 UTC" in shown
    assert "one CPU, in float32" in shown
    assert "read as Shift JIS" in shown


def test_the_curves_have_a_point_for_each_epoch_and_a_line_for_each_baseline():
    read = page()
    (train, valid), best = (read.points(kind) for kind in ("train", "valid")), read.named("circle", class_="best")
    assert len(train) == len(valid) == 3
    assert [x for x, _ in train] == sorted(x for x, _ in train)
    assert valid[1][1] == max(y for _, y in valid)  # the best stands lowest, and below is a greater y
    assert (best[0]["cx"], best[0]["cy"]) == (str(valid[1][0]), str(valid[1][1]))
    in_the_chart = {kind: float(str(read.named("line", class_=kind)[0]["y1"])) for kind in ("ngram", "unigram")}
    assert in_the_chart["unigram"] < in_the_chart["ngram"] < valid[1][1]


def test_nothing_is_drawn_outside_of_the_frame_nor_twice_at_a_place():
    read = page()
    left, top, width, height = map(float, str(read.named("svg", role="img")[0]["viewbox"]).split())
    for kind in ("train", "valid"):
        assert all(left < x < width and top < y < height for x, y in read.points(kind))
    ticks = [(its["x"], its["y"]) for its in read.named("text")]
    assert len(set(ticks)) == len(ticks) > 6


def test_it_can_be_understood_without_seeing_it():
    read = page()
    (drawing,) = read.named("svg", role="img")
    for name in str(drawing["aria-labelledby"]).split():
        assert any(its.get("id") == name for _, its in read.tags)
    told = " ".join(read.within("desc"))
    assert "validation perplexity from 60.5 to 33.8, in 3 epochs" in told
    assert "The best is 31.2 in epoch 2." in told
    assert "5-gram, 42.4" in told
    assert read.named("html", lang="en")
    assert len(read.named("h1")) == 1
    assert all(its.get("scope") in ("col", "row") for its in read.named("th"))


def test_it_needs_nothing_from_elsewhere():
    whole = page_of("tale", record(measurements={"valid": VALID, "test": TEST}))
    assert not re.search(r"https?:|//|\bsrc\b|\bhref\b|@import|url\(|<script|<link", whole)


def test_samples_come_by_epoch_those_between_folded():
    read = page(of=record(epochs=tuple(epoch(n, 50 + abs(n - 4)) for n in range(1, 8)), best_epoch=4))
    folded = [text for text in read.within("details") if text.startswith(("greedy", "sampled"))]
    shown = [text for places, text in read.texts if "blockquote" in places and "details" not in places]
    assert shown == [f"{kind} {number}" for number in (1, 4, 7) for kind in ("greedy", "sampled")]
    assert folded == [f"{kind} {number}" for number in (2, 3, 5, 6) for kind in ("greedy", "sampled")]
    summaries = read.within("summary")
    assert "Epochs 2 to 3" in summaries
    assert "Epochs 5 to 6" in summaries


def within(step: int, valid: float, **more: Any) -> EpochReport:
    return made_epoch(1 + step // 10, valid, step=step, within=True, **more)


def test_validations_within_epochs_are_points_and_rows_and_may_be_the_best():
    best = within(25, 30.0, best=True)
    read = page(of=record(validations=(within(5, 80.0), within(15, 45.0), best), best_epoch=3, best_step=25))
    valid, circle = read.points("valid"), read.named("circle", class_="best")
    assert len(read.points("train")) == 3
    assert [x for x, _ in valid] == sorted(x for x, _ in valid)
    assert len(valid) == 6
    assert (circle[0]["cx"], circle[0]["cy"]) == (str(valid[4][0]), str(valid[4][1]))
    assert "epoch 3, step 25, the best" in read.shown
    assert "3, step 25 (the best)" in read.shown
    assert "The figures of all validations" in read.shown


def test_before_the_first_epoch_ended_validations_have_a_curve_too():
    read = page(of=record(epochs=(), validations=(within(2, 80.0), within(4, 60.0, best=True)), best_epoch=1,
                          best_step=4, ended="stopped"))  # fmt: skip
    assert len(read.points("valid")) == 2
    assert "stopped in epoch 1 of at most 9" in read.shown


def test_samples_within_epochs_come_between_those_of_epochs():
    samples = tuple(SampleReport(1, step, (Sample("sample", f"text {step}"),)) for step in (3, 6, 33, 36))
    read = page(of=record(samples=samples))
    written = [text for text in read.within("blockquote") if text.startswith(("text", "sampled"))]
    assert written == ["text 3", "text 6", "sampled 1", "sampled 2", "sampled 3", "text 33", "text 36"]
    assert "Step 36, in epoch 1" in read.shown
    assert "Samples during the training" in read.shown


def test_hundreds_of_epochs_are_all_drawn_and_some_of_their_samples_kept():
    many = tuple(epoch(n, 40 + abs(n - 351) / 10) for n in range(1, 701))
    read = page(of=record(epochs=many, best_epoch=351))
    assert len(read.points("valid")) == 700
    written = [text for text in read.within("blockquote") if text.startswith("greedy")]
    assert len(written) < 100
    assert {"greedy 1", "greedy 351", "greedy 700"} <= set(written)


@pytest.mark.parametrize(
    ("more", "told"),
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
def test_runs_of_every_kind_have_a_page(measurements: Any, more: dict[str, Any], told: str):
    of = record(measurements=measurements, **more)
    read = page(of=of)
    assert told in read.shown
    assert len(read.points("valid")) == len([each for each in of.epochs if each.valid_perplexity < 1e100])
    assert "nan" not in " ".join(str(its) for _, its in read.tags)


def test_a_run_that_was_not_compared_has_what_it_has():
    shown = page(of=record(measurements={})).shown
    assert "The model is better than word frequencies: its perplexity is 70% lower" in shown
    assert "5-gram" not in shown
    assert "python -m wordgen evaluate tale" in shown


def test_the_test_part_stands_beside_the_valid_part_of_the_same_model_alone():
    both = page(test=TEST).shown
    assert "33.5" in both
    assert "No 5-gram: too <large>." in both
    assert "measures the model on the test set" not in both
    later = page(test=replace(TEST, step=30)).shown
    assert "33.5" not in later
    assert "measures the model on the test set" in later


def test_what_it_gains_by_getting_used_to_a_text_stands_beneath_it():
    used = replace(TEST, with_cache=cached(2000, 30.11), while_learning=WhileLearning(0.1, made_loss(29.22)))
    read = page(test=used)
    names = [text for text in read.within("th") if text in ("the model", "with a cache of 2,000", "dynamic evaluation")]
    assert names == ["the model", "with a cache of 2,000", "dynamic evaluation"] * 2
    assert {"30.1", "29.2"} <= set(read.within("td"))
    cache, learning = (
        "On the test set: the cache gives 25% of the probability, with a flatness of 0.3 (chosen on the",
        "On the test set: dynamic evaluation trains with a learning rate of 0.1 (chosen on the validation set).",
    )
    assert cache in read.shown
    assert learning in read.shown
    assert "python -m wordgen evaluate tale --cache 2000 --dynamic" in read.within("code")
    assert "with a cache" not in page().shown
    assert "python -m wordgen evaluate tale" in page().within("code")


def cached(size: int, perplexity: float) -> WithCache:
    return WithCache(Cache(size, 0.3, 0.25), made_loss(perplexity))


def test_caches_of_two_sizes_have_a_row_each():
    valid, test = replace(VALID, with_cache=cached(500, 30.11)), replace(TEST, with_cache=cached(2000, 20.51))
    read = page(valid=valid, test=test)
    assert "with a flatness of 0.3 (chosen on this same text, so the figure is slightly too good)." in read.shown
    assert "with a cache of 500 30.1 \N{EN DASH} with a cache of 2,000 \N{EN DASH} 20.5" in read.shown


def test_how_far_figures_may_be_off_stands_beside_them():
    blocks = np.array([(10 * np.log(perplexity), 10) for perplexity in (30.0, 33.0, 36.5)] * 4)
    certain = Loss(float(blocks[:, 0].sum()), int(blocks[:, 1].sum()), blocks)
    off = certain.off
    assert off is not None
    shown = page(test=replace(TEST, own=certain, characters=500)).shown
    assert f"the model 31.2 {certain.perplexity:.1f} ± {off:.1f}" in shown
    assert f"{certain.bits_per(500):.3f} ± {certain.off_per(500):.3f}" in shown
    assert "± gives a 95% confidence interval" in shown
    assert "±" not in page(test=TEST).shown


def test_if_tokens_are_characters_nats_are_beside_bits_and_perplexity():
    letters = replace(record().text, tokenizer="characters")
    shown = page(of=record(text=letters), test=TEST).shown
    nats = 1.1328 * np.log(2)
    assert f"nats per character {nats:.3f}" in shown.replace("\n", " ")
    assert f"Nats per character validation set test set the model {nats:.3f} {nats:.3f}" in shown
    assert "ats per character" not in page(test=TEST).shown


def test_the_verdict_knows_how_far_the_figures_may_be_off():
    blocks = np.array([(10 * np.log(perplexity), 10) for perplexity in (20.0, 48.0)] * 6)
    counted = np.array([(10 * np.log(perplexity), 10) for perplexity in (40.0, 25.4)] * 6)
    own, ngram = (Loss(float(each[:, 0].sum()), 120, each) for each in (blocks, counted))
    said = f"The model is as good as the 5-gram ({own.perplexity:.1f} against {ngram.perplexity:.1f}), because the"
    assert said in page(valid=replace(VALID, own=own, ngram=ngram)).shown


def test_n_grams_of_two_lengths_have_a_row_each():
    shown = page(test=replace(TEST, order=7, ngram=made_loss(38.21))).shown
    assert "5-gram, Kneser-Ney 42.4 \N{EN DASH} 7-gram, Kneser-Ney \N{EN DASH} 38.2" in shown


def test_the_mixture_has_a_row_and_a_sentence_on_its_weight():
    read = page(valid=replace(VALID, mixture=Mixture(0.284, made_loss(29.14))))
    assert "mixed with the 5-gram 29.1 5-gram, Kneser-Ney 42.4" in read.shown
    told = "On the validation set: the mixture takes 28% of each probability from the 5-gram (chosen on this same text,"
    assert told in read.shown
    assert "mixed with" not in page().shown


def test_a_run_by_the_clock_has_no_most_epochs_and_does_not_come_again():
    by_clock = {**SETTINGS, "time_budget": "20m", "epochs": 2}
    ended = page(of=record(settings=by_clock, ended="the time is up")).shown
    assert "The run ended after 3 epochs: the time is up." in ended
    stopped = page(of=record(settings=by_clock, ended="stopped")).shown
    assert "The run was stopped in epoch 4. This command resumes it:" in stopped
    for shown in (ended, stopped):
        assert "the same random seed gives the same model" not in shown
    assert "the same random seed gives the same model" in page().shown


def test_what_diverged_is_not_told_to_go_on():
    falling = (epoch(1, 60.5), epoch(2, 50.0), epoch(3, 40.0))
    shown = page(of=record(epochs=falling, best_epoch=3, ended="diverged")).shown
    assert "; it diverged in epoch 4, so try a smaller learning rate (0.0003 instead of 0.001)." in shown
    assert "still improving" not in shown


def test_n_grams_that_were_not_counted_are_told_with_how_to_count_them():
    large = replace(VALID, ngram=None)
    assert "python -m wordgen evaluate tale --split valid" in page(valid=large).shown
    assert "--split valid" not in page().shown


def test_novelty_stands_beside_that_of_held_out_text():
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
    found = Novelty(figures, replace(held_out, shares={3: 0.1, 8: 0.2}), "the held-out text", "recites", 8)
    shown = page(test=replace(TEST, novelty=found)).shown
    assert "means over groups" not in shown
    few = replace(found, samples=replace(figures, texts=40), held_out=replace(held_out, texts=5))
    read = page(test=replace(TEST, novelty=few))
    assert "self-BLEU and distinct are means over groups of 5 texts" in read.shown
    assert "python -m wordgen evaluate tale --samples 40" in read.within("code")
    for told in (
        "The model recites: the training text also has 60.0%",
        "24.8%",
        "36.7%",
        "78.7%",
        "1.2%",
        "1 piece of",
        "level <one>",
        "tale.txt, line 39",
    ):
        assert told in shown, told
    assert "How much does it copy?" not in page().shown


def test_the_command_to_repeat_it_is_the_run():
    chosen: dict[str, Any] = {
        "corpus": ("my book.txt", "b's.txt"),
        "copy_index": False,
        "units": (8, 9),
        "layers": 2,
        "precision": "bfloat16",
        "random_seed": 3,
    }
    read = page(of=record(settings=chosen))
    command = next(text for text in read.within("pre") if " train " in text)
    words = shlex.split(command)
    assert words[:4] == ["python", "-m", "wordgen", "train"]
    assert settings_from(TrainSettings, train_parser("train").parse_args(words[4:])) == TrainSettings(**chosen)


def test_all_settings_stand_there_those_that_were_chosen_first():
    read = page()
    flags = [text for text in read.within("th") if text.startswith("--")]
    assert sorted(flags) == sorted(flag_name(each.name) for each in fields(TrainSettings))
    folded = [text for text in read.within("details") if text.startswith("--")]
    assert set(flags) - set(folded) == {"--corpus", "--layers", "--units", "--epochs", "--precision"}


def test_japanese_is_marked_as_such():
    japanese = record(text=replace(record().text, tokenizer="japanese"))
    assert all(its["lang"] == "ja" for its in page(of=japanese).named("blockquote"))
    assert all(its["lang"] == "" for its in page().named("blockquote"))


HOSTILE = st.one_of(
    st.text(min_size=1, max_size=40),
    st.sampled_from(["<script>alert(1)</script>", '"><img src=x onerror=y>', "&lt;b&gt;", "</style><b>", "' onload='"]),
)


def page_with_texts(name: str, corpus: str, sample: str, told: str) -> ReadPage:
    texts = (Sample(told, sample, seed=told), Sample("greedy", sample))
    of = record(
        settings={**SETTINGS, "corpus": corpus, "name": name, "recipe": told},
        epochs=(epoch(1, 60.5, samples=texts), epoch(2, 31.21)),
        text=replace(record().text, corpus=corpus, source=told, notes=(told,)),
        **dict.fromkeys(("recipe", "devices", "word_to_try", "began", "ended"), told),
    )
    return page(name, replace(of, versions=replace(of.versions, wordgen=told)), test=replace(TEST, notes=(told,)))


HARMLESS = page_with_texts("n", "c", "t", "m")


@settings(max_examples=40)  # a page takes a while
@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_no_tag_comes_from_a_text(name: str, corpus: str, sample: str, told: str):
    read = page_with_texts(name, corpus, sample, told)
    assert [(tag, sorted(its)) for tag, its in read.tags] == [(tag, sorted(its)) for tag, its in HARMLESS.tags]
    assert read.declarations == 1


TEXTS = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("<>&\"'/=-! \n\r\x00;#x")))
IN_A_PAGE = page_environment("wordgen.report").from_string(
    '{% autoescape true %}<p title="{{ title }}">{{ text }}</p>{% endautoescape %}'
)


@given(TEXTS, TEXTS)
def test_what_goes_in_as_text_comes_out_as_text(inside: str, attribute: str):
    written = IN_A_PAGE.render(text=inside, title=attribute)
    read = read_page(written.encode("utf-8").decode("utf-8"))
    assert [tag for tag, _ in read.tags] == ["p"]
    assert list(read.tags[0][1]) == ["title"]
    told = "".join(text for _, text in read.texts)
    assert [c for c in told if c != "\ufffd"] == [c for c in as_a_page_holds_it(inside) if c != "\ufffd"]


def as_a_page_holds_it(text: str) -> str:
    """The text without what no page can hold."""
    kept = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        c if c in "\n\t" or not (ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000) else "\ufffd"
        for c in kept.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
    )


def test_how_good_its_music_is_has_a_table_of_its_own():
    own = PieceFigures(30, 900, 3.25, 1.5, Copied(0.4321, 37), Overlap(0.91, 0.82, None))
    training = replace(own, copied=Copied(0.05, 20), overlap=None)
    music = Music(own, replace(own, copied=Copied(0.04, 15)), training, "<i>.mid", 400)
    read = page(test=replace(TEST, music=music, music_notes=1000))
    assert "How good is its music?" in read.shown
    assert {"generated", "<i>.mid", "training", "3.25", "43.2%", "37", "91.0%"} <= set(read.within("table"))
    assert "overlap of lengths" not in read.shown
    assert music.verdict is not None
    assert music.verdict in read.shown
    assert f"{TEST.own.bits_per(1000):.3f}" in read.within("td")
    assert "How good is its music?" not in page(test=TEST).shown
