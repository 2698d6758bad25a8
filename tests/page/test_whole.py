"""The page from made-up reports: what stands on it, for runs of every kind, whatever the texts in them are."""

import re
import shlex
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.page_reader import ReadPage, read_page
from wordgen.cli.flags import settings_from
from wordgen.cli.train import make_parser
from wordgen.page.facts import Facts
from wordgen.page.whole import page_of
from wordgen.run_settings import TrainSettings
from wordgen.settings import flag_name

SPLIT = {"units": 8, "symbols": 532, "unknown": 53, "characters": 2259, "spelled": 0, "letters": 0}
VALID = {
    "step": 20,
    "symbols": 532,
    "characters": 2259,
    "perplexity": 31.21,
    "bits_per_character": 1.1328,
    "unigram": {"perplexity": 104.125, "bits_per_character": 1.578},
    "kneser_ney": {"order": 5, "perplexity": 42.41, "bits_per_character": 1.179},
}
TEST = {**VALID, "perplexity": 33.5, "unigram": None, "kneser_ney": None, "notes": ["No 5-gram: too <large>."]}


def epoch(number: int, valid: float, **more: Any) -> dict[str, Any]:
    samples = [{"mode": "greedy", "text": f"greedy {number}"}, {"mode": "sample", "text": f"sampled {number}"}]
    return {
        "epoch": number,
        "step": 10 * number,
        "train_perplexity": 100 / number,
        "valid_perplexity": valid,
        "best": False,
        "seconds": 2.0,
        "samples": samples,
        "averaged": False,
        **more,
    }


def report(**more: Any) -> dict[str, Any]:
    settings = TrainSettings(corpus="tale", layers=1, units=64, epochs=9, precision="float32").to_mapping()
    return {
        "epochs": [epoch(1, 60.5), epoch(2, 31.21), epoch(3, 33.75)],
        "wordgen": "0.1.0",
        "python": "3.11.7",
        "tensorflow": "2.21.0",
        "began": "2026-11-21T20:19:00+00:00",
        "run": "tale",
        "settings": settings,
        "format": 2,
        "head_start": None,
        "ended": "no better for 3 epochs",
        "dataset": {
            "fingerprint": "f",
            "types": 1877,
            "vocabulary": 770,
            "special_symbols": 3,
            "splits": dict.fromkeys(("train", "valid", "test"), SPLIT),
        },
        "text": {
            "corpus": "tale",
            "source": "data/tale.txt",
            "tokenizer": "english",
            "unit": "line",
            "line_breaks": "joined",
            "fold_width": False,
            "notes": ["read as Shift JIS"],
        },
        "recipe": None,
        "architecture": {
            "vocabulary_size": 770,
            "embedding": 64,
            "layers": 1,
            "units": 64,
            "cell": "lstm",
            "tied": False,
        },
        "parameters": 132_354,
        "steps_per_epoch": 10,
        "devices": "one CPU",
        "best_epoch": 2,
        "valid_perplexity": 31.21,
        "unigram_perplexity": 104.125,
        "word_to_try": "After",
        "valid": VALID,
        **more,
    }


def begun_before_pages(**more: Any) -> dict[str, Any]:
    """The report of a run that an older wordgen has begun."""
    new = {"text", "recipe", "devices", "word_to_try", "valid", "tensorflow"}
    old = {key: value for key, value in report(**more).items() if key not in new}
    old["dataset"] = {key: value for key, value in old["dataset"].items() if key != "special_symbols"}
    return old


def page(run: str = "tale", evaluated: dict[str, Any] | None = None, of: dict[str, Any] | None = None) -> ReadPage:
    return read_page(page_of(Facts.of(run, report() if of is None else of, evaluated)))


def points(read: ReadPage, kind: str) -> list[tuple[float, float]]:
    pairs = [pair for line in read.named("polyline", class_=kind) for pair in str(line["points"]).split()]
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in pairs)]


def test_every_figure_of_the_report_stands_on_it():
    read, shown = page(), page().shown
    figures = [text for places, text in read.texts if places[-1:] == ("dd",)]
    assert figures == ["31.2", "42.4", "104.1", "1.133", "132,354", "6 s"]
    for figure in ("31.2", "42.4", "104.1", "1.133", "132,354", "epoch 2, the best", "6 s", "for 3 epochs"):
        assert figure in shown, figure
    assert "The model is better than the 5-gram, 26% less perplexed (31.2 against 42.4)" in shown
    assert "It ended after 3 epochs of at most 9: no better for 3 epochs." in shown
    assert "767 of 1,877 different symbols, covering 90.0% of the training text" in shown
    assert "wordgen 0.1.0, Python 3.11.7, TensorFlow 2.21.0" in shown
    assert "2026-11-21, 20:19 UTC" in shown
    assert "one CPU, in float32" in shown
    assert "read as Shift JIS" in shown


def test_the_curves_have_a_point_for_each_epoch_and_a_line_for_each_baseline():
    read = page()
    (train, valid), best = (points(read, kind) for kind in ("train", "valid")), read.named("circle", class_="best")
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
        assert all(left < x < width and top < y < height for x, y in points(read, kind))
    ticks = [(its["x"], its["y"]) for its in read.named("text")]
    assert len(set(ticks)) == len(ticks) > 6


def test_it_can_be_understood_without_seeing_it():
    read = page()
    (drawing,) = read.named("svg", role="img")
    for name in str(drawing["aria-labelledby"]).split():
        assert any(its.get("id") == name for _, its in read.tags)
    told = " ".join(read.within("desc"))
    assert "valid perplexity from 60.5 to 33.8, in 3 epochs" in told
    assert "The best is 31.2 in epoch 2." in told
    assert "5-gram, 42.4" in told
    assert read.named("html", lang="en")
    assert len(read.named("h1")) == 1
    assert all(its.get("scope") in ("col", "row") for its in read.named("th"))


def test_it_needs_nothing_from_elsewhere():
    whole = page_of(Facts.of("tale", report(), {"test": TEST}))
    assert not re.search(r"https?:|//|\bsrc\b|\bhref\b|@import|url\(|<script|<link", whole)


def test_samples_come_by_epoch_those_between_folded():
    read = page(of=report(epochs=[epoch(n, 50 + abs(n - 4)) for n in range(1, 8)], best_epoch=4, valid=None))
    folded = [text for text in read.within("details") if text.startswith(("greedy", "sampled"))]
    shown = [text for places, text in read.texts if "blockquote" in places and "details" not in places]
    assert shown == [f"{kind} {number}" for number in (1, 4, 7) for kind in ("greedy", "sampled")]
    assert folded == [f"{kind} {number}" for number in (2, 3, 5, 6) for kind in ("greedy", "sampled")]
    summaries = read.within("summary")
    assert "Epochs 2 to 3" in summaries
    assert "Epochs 5 to 6" in summaries


def test_hundreds_of_epochs_are_all_drawn_and_some_of_their_samples_kept():
    many = [epoch(n, 40 + abs(n - 351) / 10) for n in range(1, 701)]
    read = page(of=report(epochs=many, best_epoch=351, valid=None))
    assert len(points(read, "valid")) == 700
    written = [text for text in read.within("blockquote") if text.startswith("greedy")]
    assert len(written) < 100
    assert {"greedy 1", "greedy 351", "greedy 700"} <= set(written)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"epochs": [], "best_epoch": None, "ended": None}, "had not come to its end"),
        ({"epochs": [epoch(1, 50.0)], "best_epoch": 1}, "It ended after 1 epoch of at most 9"),
        ({"epochs": [epoch(1, 50.0, step=4)], "best_epoch": 1, "ended": "stopped"}, "stopped in epoch 1 of at most 9"),
        ({"ended": "stopped"}, "python -m wordgen train --resume tale"),
        ({"ended": "diverged"}, "It diverged after 3 epochs"),
        ({"epochs": [epoch(1, 1e300), epoch(2, 2.0), epoch(3, 1e9)]}, "1.0e+09"),
    ],
)
@pytest.mark.parametrize("begun", [report, begun_before_pages])
def test_runs_of_every_kind_have_a_page(begun: Any, more: dict[str, Any], told: str):
    read = page(of=begun(**more))
    assert told in read.shown
    assert len(points(read, "valid")) == len([e for e in begun(**more)["epochs"] if e["valid_perplexity"] < 1e100])
    assert "nan" not in " ".join(str(its) for _, its in read.tags)


def test_a_run_of_before_has_what_it_has():
    shown = page(of=begun_before_pages()).shown
    assert "The model is better than word frequencies, 70% less perplexed" in shown
    assert "5-gram" not in shown
    assert "python -m wordgen evaluate tale" in shown


def test_the_test_part_stands_beside_the_valid_part_of_the_same_model_alone():
    both = page(evaluated={"test": TEST}).shown
    assert "33.5" in both
    assert "No 5-gram: too <large>." in both
    assert "This measures it on the test part" not in both
    later = page(evaluated={"test": {**TEST, "step": 30}}).shown
    assert "33.5" not in later
    assert "This measures it on the test part" in later


def test_what_it_gains_by_getting_used_to_a_text_stands_beneath_it():
    used = {**TEST, "cache": cached(2000, 30.11), "dynamic": {"rate": 0.1, "perplexity": 29.22}}
    read = page(evaluated={"test": used})
    names = [
        text for text in read.within("th") if text in ("the model", "with a cache of 2,000", "learning as it reads")
    ]
    assert names == ["the model", "with a cache of 2,000", "learning as it reads"] * 2
    assert {"30.1", "29.2"} <= set(read.within("td"))
    told = "On the test part the cache gives 25% of the odds, with a flatness of 0.3, set on the valid part."
    assert told in read.shown
    assert "On the test part learning as it reads goes at a rate of 0.1, set on the valid part." in read.shown
    assert "python -m wordgen evaluate tale --cache 2000 --dynamic" in read.within("code")
    assert "with a cache" not in page().shown
    assert "python -m wordgen evaluate tale" in page().within("code")


def cached(size: int, perplexity: float) -> dict[str, Any]:
    return {"size": size, "weight": 0.25, "flatness": 0.3, "perplexity": perplexity}


def test_caches_of_two_sizes_have_a_row_each():
    valid, test = {**VALID, "cache": cached(500, 30.11)}, {**TEST, "cache": cached(2000, 20.51)}
    read = page(evaluated={"valid": valid, "test": test})
    assert "with a flatness of 0.3, set on this same text, which flatters a little." in read.shown
    assert "with a cache of 500 30.1 \N{EN DASH} with a cache of 2,000 \N{EN DASH} 20.5" in read.shown


def test_how_far_figures_may_be_off_stands_beside_them():
    certain = {**TEST, "perplexity_off": 2.345, "bits_per_character_off": 0.0214}
    shown = page(evaluated={"test": certain}).shown
    assert "the model 31.2 33.5 ± 2.3" in shown
    assert "1.133 ± 0.021" in shown
    assert "± is how far a figure may be off" in shown
    assert "±" not in page(evaluated={"test": TEST}).shown


def test_what_evaluate_said_of_the_valid_part_stands_first():
    said = "The model is as good as the 5-gram (31.2 against 32.0), as far as so little text can tell."
    assert said in page(evaluated={"valid": {**VALID, "verdict": said}}).shown


def test_n_grams_of_two_lengths_have_a_row_each():
    longer = {**TEST, "kneser_ney": {"order": 7, "perplexity": 38.21, "bits_per_character": 1.1}}
    shown = page(evaluated={"test": longer}).shown
    assert "5-gram, Kneser-Ney 42.4 \N{EN DASH} 7-gram, Kneser-Ney \N{EN DASH} 38.2" in shown


def test_the_mixture_has_a_row_and_a_sentence_on_its_weight():
    mixture = {"weight": 0.284, "perplexity": 29.14, "perplexity_off": 1.62, "bits_per_character": 1.1}
    read = page(evaluated={"valid": {**VALID, "mixture": mixture}})
    assert "mixed with the 5-gram 29.1 ± 1.6 5-gram, Kneser-Ney 42.4" in read.shown
    told = "On the valid part the mixture takes 28% of each probability from the 5-gram, set on this same text, which"
    assert told in read.shown
    assert "mixed with" not in page().shown


def test_a_run_by_the_clock_has_no_most_epochs_and_does_not_come_again():
    by_clock = {**report()["settings"], "time_budget": "20m", "epochs": 2}
    ended = page(of=report(settings=by_clock, ended="the time is up")).shown
    assert "It ended after 3 epochs: the time is up." in ended
    stopped = page(of=report(settings=by_clock, ended="stopped")).shown
    assert "It was stopped in epoch 4. This goes on with it:" in stopped
    for shown in (ended, stopped):
        assert "the same random seed gives the same model" not in shown
    assert "the same random seed gives the same model" in page().shown


def test_what_diverged_is_not_told_to_go_on():
    falling = [epoch(1, 60.5), epoch(2, 50.0), epoch(3, 40.0)]
    shown = page(of=report(epochs=falling, best_epoch=3, ended="diverged")).shown
    assert "; it diverged in epoch 4, so try a smaller learning rate (0.0003 instead of 0.001)." in shown
    assert "still getting better" not in shown


def test_n_grams_that_were_not_counted_are_told_with_how_to_count_them():
    large = {**VALID, "kneser_ney": None}
    assert "python -m wordgen evaluate tale --split valid" in page(of=report(valid=large)).shown
    assert "--split valid" not in page().shown


def test_novelty_stands_beside_that_of_held_out_text():
    figures = {
        "texts": 30,
        "symbols": 3000,
        "shares": {"3": 0.248, "8": None},
        "longest": {"symbols": 13, "text": "level <one>", "file": "tale.txt", "line": 39},
        "distinct_1": 0.367,
        "distinct_2": 0.787,
        "repetition": 0.012,
        "self_bleu": None,
    }
    found = {"samples": figures, "held_out": {**figures, "texts": 1, "longest": None}, "verdict": "It recites."}
    shown = page(evaluated={"test": {**TEST, "novelty": found}}).shown
    assert "texts at a time" not in shown
    few = {**found, "samples": {**figures, "texts": 40}, "held_out": {**figures, "texts": 5}}
    read = page(evaluated={"test": {**TEST, "novelty": few}})
    assert "it and distinct are means over 5 texts at a time" in read.shown
    assert "python -m wordgen evaluate tale --samples 40" in read.within("code")
    for told in ("It recites.", "24.8%", "36.7%", "78.7%", "1.2%", "1 piece of", "level <one>", "tale.txt, line 39"):
        assert told in shown, told
    assert "Is what it writes new?" not in page().shown


def test_the_command_to_repeat_it_is_the_run():
    settings = TrainSettings(
        corpus=("my book.txt", "b's.txt"), copy_index=False, units=(8, 9), layers=2, precision="bfloat16", random_seed=3
    )
    read = page(of=report(settings=settings.to_mapping()))
    command = next(text for text in read.within("pre") if " train " in text)
    words = shlex.split(command)
    assert words[:4] == ["python", "-m", "wordgen", "train"]
    assert settings_from(TrainSettings, make_parser("train").parse_args(words[4:])) == settings


def test_all_settings_stand_there_those_that_were_chosen_first():
    read = page()
    flags = [text for text in read.within("th") if text.startswith("--")]
    assert sorted(flags) == sorted(flag_name(each.name) for each in fields(TrainSettings))
    folded = [text for text in read.within("details") if text.startswith("--")]
    assert set(flags) - set(folded) == {"--corpus", "--layers", "--units", "--epochs", "--precision"}


def test_japanese_is_marked_as_such():
    japanese = report()
    japanese["text"] = {**japanese["text"], "tokenizer": "japanese"}
    assert all(its["lang"] == "ja" for its in page(of=japanese).named("blockquote"))
    assert all(its["lang"] == "" for its in page().named("blockquote"))


HOSTILE = st.one_of(
    st.text(min_size=1, max_size=40),
    st.sampled_from(["<script>alert(1)</script>", '"><img src=x onerror=y>', "&lt;b&gt;", "</style><b>", "' onload='"]),
)


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_no_tag_comes_from_a_text(name: str, corpus: str, sample: str, told: str):
    hostile = report(
        settings={**report()["settings"], "corpus": corpus, "name": name, "recipe": told},
        epochs=[epoch(1, 60.5, samples=[{"mode": told, "text": sample}]), epoch(2, 31.21)],
        text={**report()["text"], "corpus": corpus, "source": told, "notes": [told]},
        **dict.fromkeys(("recipe", "devices", "word_to_try", "wordgen", "began", "ended"), told),
    )
    hostile["text"] |= {"tokenizer": told, "unit": told}
    plain = report(
        settings={**report()["settings"], "corpus": "c", "name": "n", "recipe": "r"},
        epochs=[epoch(1, 60.5, samples=[{"mode": "m", "text": "t"}]), epoch(2, 31.21)],
        recipe="r",
    )
    test = {**TEST, "notes": [told]}
    one, other = page(name, {"test": test}, hostile), page("n", {"test": test}, plain)
    assert [(tag, sorted(its)) for tag, its in one.tags] == [(tag, sorted(its)) for tag, its in other.tags]
    assert one.declarations == 1
