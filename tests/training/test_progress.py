"""The display in a real terminal and without one, driven with reports."""

import io
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from tests.helpers.plans import plan
from tests.helpers.terminal import screen_of
from wordgen.evaluation.figures import sparkline
from wordgen.model.architecture import Architecture, NetworkSettings
from wordgen.training.progress import JsonLog, TerminalProgress, folder_of_curves
from wordgen.training.reports import (
    Begun,
    Ending,
    EpochReport,
    Sample,
    SampleReport,
    Speed,
    StepReport,
)
from wordgen.training.screen import LiveDisplay, LiveStatus, screen
from wordgen.training.settings import TrainingSettings


def test_the_plan_tells_what_keeps_from_learning_by_heart():
    def told(**settings: object) -> str:
        file = io.StringIO()
        progress = TerminalProgress(Console(file=file, width=200), "do write")
        progress.planned(replace(plan(), settings=TrainingSettings(**settings)))  # pyright: ignore[reportArgumentType]
        return file.getvalue()

    assert "rmsprop with learning rate 0.001, dropout 0.3 " in told()
    assert "estimate" not in told()
    many = told(input_dropout=0.1, locked_dropout=True, weight_drop=0.2, average_after=1, sampled_output=100)
    assert "locked dropout 0.1 to 0.3, weight drop 0.2, average after 1" in many
    assert "each step uses only 100 tokens of the vocabulary, so training perplexity is an estimate" in many
    assert "estimate" not in told(sampled_output=303)


def test_layers_of_differing_widths_are_told_one_by_one():
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, width=100), "do write")
    architecture = Architecture.of(NetworkSettings(layers=3, units=(64, 48, 32)), 303)
    progress.planned(replace(plan(), architecture=architecture))
    assert "64, 48 and 32 lstm, separate output weights" in file.getvalue()


def shown(*, terminal: bool, width: int = 100) -> str:
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, force_terminal=terminal, width=width, color_system=None), "do write")
    for done in (2_000_000, 5_000_000, 10_000_000):
        progress.downloading("[b]{tale}.txt", done, 10_000_000)
    for passage in range(10):
        progress.encoding(passage + 1, 10)
    progress.planned(plan())
    progress.starting()
    progress.begun(Begun("one CPU", "float32", 8))
    for step in range(1, 5):
        progress.stepped(StepReport(1, step, step, 2.0, 0.5, 0.001, 100, 0.1, first=step == 1))
    progress.validating(2, 5)
    progress.epoch_ended(
        EpochReport(
            1,
            4,
            train_perplexity=9.0,
            valid_perplexity=8.0,
            best=True,
            seconds=61.0,
            samples=(Sample("sample", "[bold]a sample\nof text"),),
        )
    )
    progress.warned("Something [odd].")
    best = EpochReport(1, 4, train_perplexity=9.0, valid_perplexity=8.0, best=True, seconds=61.0)
    progress.ended(Ending("all epochs done", False, True, best, 20.0, "it's", 3700.0))
    progress.close()
    return file.getvalue()


def by_step(*, terminal: bool, **settings: Any) -> str:
    """Return what is shown of an epoch of four steps, with a validation and samples after the second step."""
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, force_terminal=terminal, width=100, color_system=None), "do write")
    progress.planned(replace(plan(), settings=TrainingSettings(**settings)))
    progress.begun(Begun("one CPU", "float32", 8))
    best = EpochReport(1, 2, train_perplexity=9.5, valid_perplexity=7.5, best=True, seconds=30.0, within=True)
    for step in range(1, 5):
        progress.stepped(StepReport(1, step, step, 2.0, 0.5, 0.001, 100, 0.1, first=step == 1))
        if step == 2:
            progress.validating(2, 5)
            progress.validated(best)
            progress.sampled(SampleReport(1, 2, (Sample("sample", "words of step two"),)))
    progress.epoch_ended(EpochReport(1, 4, train_perplexity=9.0, valid_perplexity=8.0, best=False, seconds=61.0))
    progress.ended(Ending("all epochs done", False, True, best, 20.0, "it", 3700.0))
    progress.close()
    return file.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_validations_and_samples_within_an_epoch_are_shown(terminal: bool):
    told = by_step(terminal=terminal, validate_every=2, sample_every=2)
    words = " ".join(told.split())
    assert "validates every 2 steps and writes samples every 2 steps, and after each epoch" in words
    assert "epoch 1, step 2: perplexity train 9.50, valid 7.50 (30 s) best so far" in words
    assert "words of step two" in told
    assert "epoch 1: perplexity train 9.00, valid 8.00" in words
    assert "(lower is better): 7.50 (epoch 1, step 2)." in words


@pytest.mark.parametrize("terminal", [True, False])
def test_log_every_says_which_steps_have_a_line(terminal: bool):
    told = by_step(terminal=terminal, log_every=2)
    lines = [int(step) for step in re.findall(r"epoch 1/2 step (\d)/4 loss", told)]
    assert lines == [1, 2, 4]


def test_programs_get_the_steps_of_log_every_and_the_events_within_an_epoch():
    file = io.StringIO()
    log = JsonLog(Console(file=file, width=1000))
    log.planned(replace(plan(), settings=TrainingSettings(log_every=3)))
    for step in range(1, 8):
        log.stepped(StepReport(1, step, step, 2.0, 0.5, 0.001, 100, 0.1, first=step == 1))
    log.validated(EpochReport(1, 2, train_perplexity=9.5, valid_perplexity=7.5, best=True, seconds=30.0, within=True))
    log.sampled(SampleReport(1, 2, (Sample("sample", "words"),), 0.5, 3))
    events = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [event["step"] for event in events if event["event"] == "step"] == [1, 3, 6]
    (validated,) = [event for event in events if event["event"] == "validated"]
    assert (validated["step"], validated["valid_perplexity"], validated["within"]) == (2, 7.5, True)
    (samples,) = [event for event in events if event["event"] == "samples"]
    assert samples["samples"] == [{"mode": "sample", "text": "words", "seed": ""}]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_run_that_becomes_shorter_says_so(terminal: bool):
    """The plan has 4 steps per epoch."""
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, force_terminal=terminal, width=100, color_system=None), "do write")
    progress.planned(plan())
    progress.begun(Begun("one CPU", "float32", 40))
    progress.shortened(6)
    progress.stepped(StepReport(1, 1, 1, 2.0, 0.5, 0.001, 100, 0.1, first=True))
    progress.close()
    shown = " ".join(file.getvalue().split())
    assert "has become slower, so the run ends after step 6 to keep its time budget." in shown
    assert terminal or "epoch 1/2 step 1/4" in shown
    log = JsonLog(Console(file=(lines := io.StringIO()), width=1000))
    log.shortened(6)
    assert json.loads(lines.getvalue())["last_step"] == 6


def test_best_validation_and_newest_sample_may_be_those_within_an_epoch():
    told = status(90.0, 50.0)
    told.validated_within(
        EpochReport(3, 22, train_perplexity=9.0, valid_perplexity=40.0, best=True, seconds=1.0, within=True)
    )
    told.sampled(SampleReport(3, 22, (Sample("sample", "newest words"),)))
    shown = live(told, 100)
    assert "best valid 40.0 (epoch 3, step 22)" in shown
    assert "newest words" in shown
    going_on = Begun("one CPU", "float32", 40, 23, tuple(told.done), tuple(told.validations[2:]))
    assert LiveStatus(going_on, 10).best == told.best


def test_a_terminal_gets_a_bar_with_what_matters():
    text = shown(terminal=True)
    assert "Reading the text" in text
    assert "1/2" in text
    assert "step 4/4" in text
    assert "loss 2.000 ppl 7.39 1,000 tokens/s" in text
    assert text.index("perplexity train 9.00") < text.index("a sample") < text.index("Done (all epochs done)")


def test_without_a_terminal_there_are_plain_lines():
    text = shown(terminal=False)
    assert "\x1b" not in text
    assert "epoch 1/2 step 1/4 loss 2.000 ppl 7.39" in text


def test_a_download_is_shown_with_what_was_here_already():
    assert "Downloading [b]{tale}.txt" in shown(terminal=True)
    assert "2.0/10.0 MB ?" in shown(terminal=True)  # no speed comes of what was here
    assert "Downloading [b]{tale}.txt: 2.0 of 10.0 MB are already here." in shown(terminal=False)
    for terminal in (True, False):
        assert "Downloaded [b]{tale}.txt, 10.0 MB." in shown(terminal=terminal)


def test_both_tell_plan_epochs_and_end():
    for terminal in (True, False):
        text = " ".join(shown(terminal=terminal).split())
        assert "300 of 500 different tokens, covering 95.0%" in text
        assert "perplexity train 9.00, valid 8.00 (1 min 01 s) best so far" in text
        assert (
            "Best validation perplexity (lower is better): 8.00 (epoch 1). "
            "Word frequencies alone: 20.0, 2.50 times as much." in text
        )
        assert "do write --model tale --seed 'it'\"'\"'s' --mode sample" in text
        assert "after 1 h 01 min" in text


def test_text_is_never_taken_for_markup():
    text = shown(terminal=False)
    assert "[red]tale" in text
    assert "[bold]a sample" in text
    assert "Something [odd]." in text


def test_a_narrow_terminal_is_no_error():
    assert "epoch 1" in shown(terminal=True, width=30)


def test_a_screen_that_goes_away_stops_nothing():
    refused: list[str] = []

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            refused.append(text)
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            raise BrokenPipeError

    screen(Full()).print("anything")
    assert "anything" in "".join(refused)


def status(*valids: float) -> LiveStatus:
    """In the second epoch of at most four, of ten steps each, after some that reached these perplexities."""
    done = [
        EpochReport(
            n,
            10 * n,
            train_perplexity=9.0,
            valid_perplexity=valid,
            best=valid == min(valids[:n]),
            seconds=1.0,
            samples=(Sample("sample", f"[b]sample[/b] {n} " * 40),),
        )
        for n, valid in enumerate(valids, start=1)
    ]
    told = LiveStatus(Begun("one CPU", "float32", 40, 10 * len(done) + 1, tuple(done)), 10)
    for step in range(1, 4):
        number = 10 * len(done) + step
        told.stepped(StepReport(len(done) + 1, step, number, 2.0, 0.5, 0.001, 100, 0.1, first=step == 1))
    return told


def live(told: LiveStatus, width: int, **console: Any) -> str:
    file = io.StringIO()
    Console(file=file, force_terminal=True, width=width, color_system=None, **console).print(LiveDisplay(told))
    return file.getvalue()


def test_what_stays_on_the_screen_tells_all_at_once():
    shown = live(status(90.0, 50.0, 60.0), 100)
    for part in (
        "epoch 4/4", "step 3/10", "run", "82%", "loss 2.000 ppl 7.39 1,000 tokens/s", "at most",
        "best valid 50.0 (epoch 2)", "█▁▃", "[b]sample[/b] 3",
    ):  # fmt: skip
        assert part in shown


def test_while_it_validates_the_bar_of_the_epoch_shows_how_far_that_is():
    told = status(90.0)
    told.validating(3, 12)
    assert "epoch 2/4" in live(told, 100)
    assert "validating 25%" in live(told, 100)
    assert live(told, 40).startswith("epoch 2/4 validating 25%")
    told.stepped(StepReport(3, 1, 21, 2.0, 0.5, 0.001, 100, 0.1, first=False))
    assert "validating" not in live(told, 100)
    assert "step 1/10" in live(told, 100)


def test_a_run_that_was_stopped_while_it_validated_goes_on_in_that_epoch():
    for done in (0, 3):
        epochs = tuple(
            EpochReport(n + 1, 10 * n + 10, train_perplexity=9.0, valid_perplexity=8.0, best=n == 0, seconds=1.0)
            for n in range(done)
        )
        told = LiveStatus(Begun("one CPU", "float32", 40, 10 * done + 11, epochs), 10)
        told.validating(1, 2)
        assert told.place == f"epoch {done + 1}/4 validating 50%"
        assert told.step_in_epoch == 10


def test_letters_that_the_screen_has_not_are_no_reason_to_end_a_training():
    file = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    screen(file).print("君の声 café")
    file.flush()
    assert file.buffer.getvalue() == "??? café\n".encode("latin-1")  # pyright: ignore[reportAttributeAccessIssue]


def test_without_a_terminal_validating_is_told_every_few_seconds(monkeypatch: pytest.MonkeyPatch):
    clock = iter(range(0, 1000, 7))
    monkeypatch.setattr("wordgen.training.progress.time.monotonic", lambda: next(clock))
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, width=200), "do write")
    progress.planned(plan())
    progress.begun(Begun("one CPU", "float32", 8))
    for done in range(1, 9):
        progress.validating(done, 8)
    told = re.findall(r"epoch 1/2 validating (\d+)%", file.getvalue())
    assert 2 <= len(told) <= 6
    assert told == sorted(told, key=int)


def test_before_the_first_epoch_there_is_no_best():
    assert "best" not in live(status(), 100)


@pytest.mark.parametrize("width", [1, 10, 25, 49, 50, 79, 200])
def test_no_line_is_wider_than_the_screen(width: int):
    lines = live(status(90.0, 50.0, 60.0), width).split("\n")
    assert max(cell_len(line) for line in lines) <= width
    assert len(lines) < 12 or width < 25


def test_a_console_without_unicode_gets_none():
    shown = live(status(90.0, 50.0), 100, legacy_windows=True)
    assert shown.isascii()
    assert "best valid 50.0" in shown


def test_without_colour_there_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    Console(file=file, force_terminal=True, width=80).print(LiveDisplay(status(90.0)))
    assert re.search(r"\x1b\[[0-9;]*3[0-8]", file.getvalue()) is None
    assert "90.0" in file.getvalue()


@given(st.lists(st.floats(1, 1e30), min_size=1, max_size=40))
def test_a_sparkline_has_a_bar_for_each_value_and_higher_ones_for_larger(values: list[float]):
    drawn = sparkline(values, values)
    assert len(drawn) == len(values)
    for (one, bar), (other, next_bar) in pairwise(zip(values, drawn, strict=True)):
        assert (bar <= next_bar) if one <= other else (bar >= next_bar)


def end_of(
    best_epoch: int,
    valid_perplexity: float,
    *,
    still_falling: bool = False,
    off: float | None = None,
    **settings: Any,
) -> str:
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, width=200, color_system=None), "do generate")
    progress.planned(replace(plan(), settings=replace(plan().settings, **settings)))
    progress.begun(Begun("one CPU", "float32", 8))
    best = EpochReport(best_epoch, 4, train_perplexity=9.0, valid_perplexity=valid_perplexity, best=True, seconds=61.0)
    progress.ended(Ending("all epochs done", False, True, best, 20.0, "it", 1.0, still_falling, off))
    return file.getvalue()


def test_the_commands_name_another_folder_of_runs():
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, width=200, color_system=None), "do generate")
    progress.planned(replace(plan(), models_flag="--models 'else where'"))
    progress.begun(Begun("one CPU", "float32", 8))
    best = EpochReport(2, 8, train_perplexity=9.0, valid_perplexity=8.0, best=True, seconds=61.0)
    progress.ended(Ending("stopped", True, True, best, 20.0, "it", 1.0))
    assert "do train --resume tale --models 'else where'" in file.getvalue()
    assert "do generate --model tale --models 'else where' --seed it --mode sample" in file.getvalue()


def test_it_says_how_far_the_best_figure_may_be_off_where_that_is_known():
    assert "(lower is better): 8.00 ± 0.31 (epoch 2)." in end_of(best_epoch=2, valid_perplexity=8, off=0.314)
    assert "(lower is better): 8.00 (epoch 2)." in end_of(best_epoch=2, valid_perplexity=8)


def test_it_says_what_to_do_next():
    assert "do train --resume tale --epochs 4" in end_of(best_epoch=2, valid_perplexity=8, still_falling=True)
    ways: list[tuple[dict[str, Any], str]] = [
        ({"schedule": "cosine"}, "--epochs 4"),
        ({"time_budget": "1.5h"}, "--time-budget 3h"),
    ]
    for settings, longer in ways:
        told = end_of(best_epoch=2, valid_perplexity=8, still_falling=True, **settings)
        assert f"For a better model, train a new run with {longer}." in told
        assert "--resume" not in told
    assert "still improving" not in end_of(best_epoch=2, valid_perplexity=8)
    assert "hardly better than word frequencies" in end_of(best_epoch=1, valid_perplexity=19)
    assert "hardly" not in end_of(best_epoch=1, valid_perplexity=8)


def test_tensorboard_is_sent_to_one_run_where_it_would_tick_none(tmp_path: Path):
    """It ticks all of up to 40 lines, and a run has three of them."""
    run = tmp_path / "it"
    for number in range(12):
        (tmp_path / f"other-{number}" / "train").mkdir(parents=True)
    assert folder_of_curves(run) == tmp_path
    (run / "train").mkdir(parents=True)
    assert folder_of_curves(run) == tmp_path
    (tmp_path / "sweep" / "first" / "train").mkdir(parents=True)
    assert folder_of_curves(run) == run


def test_a_dry_run_tells_of_epochs_that_add_up_to_the_run():
    """The graph is built once, so it is in no epoch's time."""
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, width=100), "do write")
    progress.planned(plan())
    steps = plan().steps_per_epoch
    progress.measured(Begun("one CPU", "float32", 3 * steps), Speed(5, 1000.0, first_step=7.0, step=2.0, epoch_end=4.0))
    told = file.getvalue()
    assert re.search(r"first step +takes 7\.0 s longer, to build the graph", told)
    assert re.search(rf"one epoch +{steps} steps, {2 * steps + 4} s with validation and saving", told)
    assert re.search(rf"the whole run +{3 * steps} steps in 3 epochs, at most {3 * (2 * steps + 4) + 7} s", told)


@pytest.mark.parametrize("width", [60, 100])
def test_what_ctrl_c_writes_beside_a_bar_leaves_no_part_of_the_bar_behind(width: int):
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, force_terminal=True, width=width, color_system=None), "do write")
    progress.planned(plan())
    progress.indexing(3, 10)
    file.write("^C")
    progress.indexing(10, 10)
    progress.begun(Begun("one CPU", "float32", 8))
    progress.stepped(StepReport(1, 1, 1, 2.0, 0.5, 0.001, 100, 0.1, first=True))
    progress.epoch_ended(
        EpochReport(
            1,
            4,
            train_perplexity=9.0,
            valid_perplexity=8.0,
            best=True,
            seconds=61.0,
            samples=(Sample("sample", "so it goes on " * 40),),
        )
    )
    progress.stepped(StepReport(2, 1, 5, 2.0, 0.5, 0.001, 100, 0.1, first=False))
    assert progress._live is not None
    progress._live.refresh()
    assert any("step 1/4" in line for line in screen_of(file.getvalue(), width))
    file.write("^C^C")
    progress.stopping()
    progress.close()
    left = "\n".join(screen_of(file.getvalue(), width))
    assert "Stopping after this step" in left
    for part in ("step 1/4", "tokens/s", "so it goes", "Indexing", "━"):
        assert part not in left
