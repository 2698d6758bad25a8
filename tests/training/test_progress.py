"""The output of a training, with and without a terminal."""

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
from tests.helpers.terminal import screen_lines
from wordgen.evaluation.figures import sparkline
from wordgen.model.architecture import Architecture, NetworkSettings
from wordgen.model.bundle import HeadStart
from wordgen.training.plan import plan_in_words
from wordgen.training.progress import JsonLog, TerminalProgress, folder_of_curves
from wordgen.training.reports import (
    Ending,
    EpochReport,
    Sample,
    SampleReport,
    Speed,
    StepReport,
    TrainingStart,
)
from wordgen.training.screen import LiveDisplay, LiveStatus, screen
from wordgen.training.settings import TrainingSettings


def test_plan_shows_regularization_and_sampled_output():
    def output_with(**settings: object) -> str:
        file = io.StringIO()
        progress = TerminalProgress(Console(file=file, width=200), "do write")
        progress.planned(replace(plan(), settings=TrainingSettings(**settings)))  # pyright: ignore[reportArgumentType]
        return file.getvalue()

    assert "rmsprop with learning rate 0.001, dropout 0.3 " in output_with()
    one_layer = Architecture.of(NetworkSettings(layers=1), 303)
    only_ends = TrainingSettings(input_dropout=0.1, output_dropout=0.2)
    lines = dict(plan_in_words(replace(plan(), architecture=one_layer, settings=only_ends)))
    assert lines["training"].endswith(", dropout 0.1 to 0.2")  # one layer has no dropout between layers
    assert "estimate" not in output_with()
    output = output_with(input_dropout=0.1, locked_dropout=True, weight_drop=0.2, average_after=1, sampled_output=100)
    assert "locked dropout 0.1 to 0.3, weight drop 0.2, average after 1" in output
    assert "each step uses only 100 tokens of the vocabulary, so training perplexity is an estimate" in output
    assert "estimate" not in output_with(sampled_output=303)


def test_plan_counts_only_known_tokens_of_the_text():
    """A base adds words to the vocabulary that the text does not have."""
    head_start = HeadStart(base="base", fingerprint="f", known=290, new=10, besides=120)
    lines = dict(plan_in_words(replace(plan(), head_start=head_start)))
    assert lines["vocabulary"].startswith("180 of 500 different tokens")


def test_plan_lists_units_of_each_layer():
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, width=100), "do write")
    architecture = Architecture.of(NetworkSettings(layers=3, units=(64, 48, 32)), 303)
    progress.planned(replace(plan(), architecture=architecture))
    assert "64, 48 and 32 lstm, separate output weights" in file.getvalue()


def output_of_run(*, terminal: bool, width: int = 100) -> str:
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, force_terminal=terminal, width=width, color_system=None), "do write")
    for done in (2_000_000, 5_000_000, 10_000_000):
        progress.downloading("[b]{tale}.txt", done, 10_000_000)
    for passage in range(10):
        progress.encoding(passage + 1, 10)
    progress.planned(plan())
    progress.starting()
    progress.begun(TrainingStart("one CPU", "float32", 8))
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


def output_by_step(*, terminal: bool, **settings: Any) -> str:
    """The output of an epoch of four steps, with a validation and samples after the second step."""
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, force_terminal=terminal, width=100, color_system=None), "do write")
    progress.planned(replace(plan(), settings=TrainingSettings(**settings)))
    progress.begun(TrainingStart("one CPU", "float32", 8))
    best = EpochReport(1, 2, train_perplexity=9.5, valid_perplexity=7.5, best=True, seconds=30.0, within_epoch=True)
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
def test_reports_within_an_epoch_are_shown(terminal: bool):
    output = output_by_step(terminal=terminal, validate_every=2, sample_every=2)
    words = " ".join(output.split())
    assert "validates every 2 steps and writes samples every 2 steps, and after each epoch" in words
    assert "epoch 1, step 2: perplexity train 9.50, valid 7.50 (30 s) best so far" in words
    assert "words of step two" in output
    assert "epoch 1: perplexity train 9.00, valid 8.00" in words
    assert "(lower is better): 7.50 (epoch 1, step 2)." in words


@pytest.mark.parametrize("terminal", [True, False])
def test_log_every_sets_the_steps_with_a_line(terminal: bool):
    output = output_by_step(terminal=terminal, log_every=2)
    steps = [int(step) for step in re.findall(r"epoch 1/2 step (\d)/4 loss", output)]
    assert steps == [1, 2, 4]


def test_json_log_has_steps_of_log_every_and_reports_within_epoch():
    file = io.StringIO()
    log = JsonLog(Console(file=file, width=1000))
    log.planned(replace(plan(), settings=TrainingSettings(log_every=3)))
    for step in range(1, 8):
        log.stepped(StepReport(1, step, step, 2.0, 0.5, 0.001, 100, 0.1, first=step == 1))
    log.validated(
        EpochReport(1, 2, train_perplexity=9.5, valid_perplexity=7.5, best=True, seconds=30.0, within_epoch=True)
    )
    log.sampled(SampleReport(1, 2, (Sample("sample", "words"),), 0.5, 3))
    events = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [event["step"] for event in events if event["event"] == "step"] == [1, 3, 6]
    (validated,) = [event for event in events if event["event"] == "validated"]
    assert (validated["step"], validated["valid_perplexity"], validated["within_epoch"]) == (2, 7.5, True)
    (samples,) = [event for event in events if event["event"] == "samples"]
    assert samples["samples"] == [{"mode": "sample", "text": "words", "seed": ""}]


@pytest.mark.parametrize("terminal", [True, False])
def test_shortened_run_is_shown(terminal: bool):
    """The plan has 4 steps per epoch."""
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, force_terminal=terminal, width=100, color_system=None), "do write")
    progress.planned(plan())
    progress.begun(TrainingStart("one CPU", "float32", 40))
    progress.shortened(6)
    progress.stepped(StepReport(1, 1, 1, 2.0, 0.5, 0.001, 100, 0.1, first=True))
    progress.close()
    output = " ".join(file.getvalue().split())
    assert "has become slower, so the run ends after step 6 to keep its time budget." in output
    assert terminal or "epoch 1/2 step 1/4" in output
    log = JsonLog(Console(file=(lines := io.StringIO()), width=1000))
    log.shortened(6)
    assert json.loads(lines.getvalue())["last_step"] == 6


def test_live_display_uses_reports_within_an_epoch():
    current = live_status(90.0, 50.0)
    current.validated_within(
        EpochReport(3, 22, train_perplexity=9.0, valid_perplexity=40.0, best=True, seconds=1.0, within_epoch=True)
    )
    current.sampled(SampleReport(3, 22, (Sample("sample", "newest words"),)))
    output = rendered(current, 100)
    assert "best valid 40.0 (epoch 3, step 22)" in output
    assert "newest words" in output
    resumed = TrainingStart(
        "one CPU", "float32", 40, 23, tuple(current.finished_epochs), tuple(current.validations[2:])
    )
    assert LiveStatus(resumed, 10).best == current.best


def test_terminal_shows_a_progress_bar():
    text = output_of_run(terminal=True)
    assert "Reading the text" in text
    assert "1/2" in text
    assert "step 4/4" in text
    assert "loss 2.000 ppl 7.39 1,000 tokens/s" in text
    assert text.index("perplexity train 9.00") < text.index("a sample") < text.index("Done (all epochs done)")


def test_output_without_terminal_is_plain_lines():
    text = output_of_run(terminal=False)
    assert "\x1b" not in text
    assert "epoch 1/2 step 1/4 loss 2.000 ppl 7.39" in text


def test_download_shows_bytes_from_before():
    assert "Downloading [b]{tale}.txt" in output_of_run(terminal=True)
    assert "2.0/10.0 MB ?" in output_of_run(terminal=True)  # bytes from before give no speed
    assert "Downloading [b]{tale}.txt: 2.0 of 10.0 MB are already here." in output_of_run(terminal=False)
    for terminal in (True, False):
        assert "Downloaded [b]{tale}.txt, 10.0 MB." in output_of_run(terminal=terminal)


def test_plan_epochs_and_end_are_shown():
    for terminal in (True, False):
        text = " ".join(output_of_run(terminal=terminal).split())
        assert "300 of 500 different tokens, covering 95.0%" in text
        assert "perplexity train 9.00, valid 8.00 (1 min 01 s) best so far" in text
        assert (
            "Best validation perplexity (lower is better): 8.00 (epoch 1). "
            "Word frequencies alone: 20.0, 2.50 times as much." in text
        )
        assert "do write --model tale --seed 'it'\"'\"'s' --mode sample" in text
        assert "after 1 h 01 min" in text


def test_text_is_not_read_as_markup():
    text = output_of_run(terminal=False)
    assert "[red]tale" in text
    assert "[bold]a sample" in text
    assert "Something [odd]." in text


def test_narrow_terminal_is_no_error():
    assert "epoch 1" in output_of_run(terminal=True, width=30)


def test_write_errors_of_the_terminal_are_ignored():
    written: list[str] = []

    class FullDisk(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            text.encode("ascii")
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            raise BrokenPipeError

    screen(FullDisk()).print("anything")
    assert "anything" in "".join(written)
    screen(FullDisk()).print("café")
    assert written[-1].startswith("caf?")


def test_names_of_emojis_stay_text():
    screen(file := io.StringIO()).print("a :star: is born")
    assert file.getvalue() == "a :star: is born\n"


def test_process_without_standard_output_prints_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("sys.stdout", None)  # what Python does if the stream was closed before
    screen().print("anything")
    assert capfd.readouterr() == ("", "")


def live_status(*valids: float) -> LiveStatus:
    """The status in step 3 of the epoch after those with these perplexities. An epoch has ten steps."""
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
    current = LiveStatus(TrainingStart("one CPU", "float32", 40, 10 * len(done) + 1, tuple(done)), 10)
    for step in range(1, 4):
        number = 10 * len(done) + step
        current.stepped(StepReport(len(done) + 1, step, number, 2.0, 0.5, 0.001, 100, 0.1, first=step == 1))
    return current


def rendered(current: LiveStatus, width: int, **console: Any) -> str:
    file = io.StringIO()
    Console(file=file, force_terminal=True, width=width, color_system=None, **console).print(LiveDisplay(current))
    return file.getvalue()


def test_live_display_shows_progress_best_and_sample():
    output = rendered(live_status(90.0, 50.0, 60.0), 100)
    for part in (
        "epoch 4/4", "step 3/10", "run", "82%", "loss 2.000 ppl 7.39 1,000 tokens/s", "at most",
        "best valid 50.0 (epoch 2)", "█▁▃", "[b]sample[/b] 3",
    ):  # fmt: skip
        assert part in output


def test_bar_shows_progress_of_validation():
    current = live_status(90.0)
    current.validating(3, 12)
    assert "epoch 2/4" in rendered(current, 100)
    assert "validating 25%" in rendered(current, 100)
    assert rendered(current, 40).startswith("epoch 2/4 validating 25%")
    current.stepped(StepReport(3, 1, 21, 2.0, 0.5, 0.001, 100, 0.1, first=False))
    assert "validating" not in rendered(current, 100)
    assert "step 1/10" in rendered(current, 100)


def test_resumed_validation_belongs_to_its_epoch():
    for done in (0, 3):
        epochs = tuple(
            EpochReport(n + 1, 10 * n + 10, train_perplexity=9.0, valid_perplexity=8.0, best=n == 0, seconds=1.0)
            for n in range(done)
        )
        current = LiveStatus(TrainingStart("one CPU", "float32", 40, 10 * done + 11, epochs), 10)
        current.validating(1, 2)
        assert current.position == f"epoch {done + 1}/4 validating 50%"
        assert current.step_in_epoch == 10


def test_unencodable_characters_become_question_marks():
    file = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    screen(file).print("君の声 café")
    file.flush()
    assert file.buffer.getvalue() == "??? café\n".encode("latin-1")  # pyright: ignore[reportAttributeAccessIssue]


def test_validation_without_terminal_is_logged_every_few_seconds(monkeypatch: pytest.MonkeyPatch):
    clock = iter(range(0, 1000, 7))
    monkeypatch.setattr("wordgen.training.progress.time.monotonic", lambda: next(clock))
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, width=200), "do write")
    progress.planned(plan())
    progress.begun(TrainingStart("one CPU", "float32", 8))
    for done in range(1, 9):
        progress.validating(done, 8)
    percents = re.findall(r"epoch 1/2 validating (\d+)%", file.getvalue())
    assert 2 <= len(percents) <= 6
    assert percents == sorted(percents, key=int)


def test_live_display_has_no_best_before_the_first_epoch():
    assert "best" not in rendered(live_status(), 100)


@pytest.mark.parametrize("width", [1, 10, 25, 49, 50, 79, 200])
def test_no_line_is_wider_than_the_terminal(width: int):
    lines = rendered(live_status(90.0, 50.0, 60.0), width).split("\n")
    assert max(cell_len(line) for line in lines) <= width
    assert len(lines) < 12 or width < 25


def test_console_without_unicode_gets_ascii():
    output = rendered(live_status(90.0, 50.0), 100, legacy_windows=True)
    assert output.isascii()
    assert "best valid 50.0" in output


def test_no_color_disables_colours(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    Console(file=file, force_terminal=True, width=80).print(LiveDisplay(live_status(90.0)))
    assert re.search(r"\x1b\[[0-9;]*3[0-8]", file.getvalue()) is None
    assert "90.0" in file.getvalue()


@given(st.lists(st.floats(1, 1e30), min_size=1, max_size=40))
def test_sparkline_has_higher_bars_for_larger_values(values: list[float]):
    bars = sparkline(values, values)
    assert len(bars) == len(values)
    for (value, bar), (next_value, next_bar) in pairwise(zip(values, bars, strict=True)):
        assert (bar <= next_bar) if value <= next_value else (bar >= next_bar)


def output_at_end(
    best_epoch: int,
    valid_perplexity: float,
    *,
    still_falling: bool = False,
    margin: float | None = None,
    **settings: Any,
) -> str:
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, width=200, color_system=None), "do generate")
    progress.planned(replace(plan(), settings=replace(plan().settings, **settings)))
    progress.begun(TrainingStart("one CPU", "float32", 8))
    best = EpochReport(best_epoch, 4, train_perplexity=9.0, valid_perplexity=valid_perplexity, best=True, seconds=61.0)
    progress.ended(Ending("all epochs done", False, True, best, 20.0, "it", 1.0, still_falling, margin))
    return file.getvalue()


def test_suggested_commands_name_the_models_folder():
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, width=200, color_system=None), "do generate")
    progress.planned(replace(plan(), models_flag="--models 'else where'"))
    progress.begun(TrainingStart("one CPU", "float32", 8))
    best = EpochReport(2, 8, train_perplexity=9.0, valid_perplexity=8.0, best=True, seconds=61.0)
    progress.ended(Ending("stopped", True, True, best, 20.0, "it", 1.0))
    assert "do train --resume tale --models 'else where'" in file.getvalue()
    assert "do generate --model tale --models 'else where' --seed it --mode sample" in file.getvalue()


def test_end_shows_the_interval_of_the_best_perplexity():
    assert "(lower is better): 8.00 ± 0.31 (epoch 2)." in output_at_end(best_epoch=2, valid_perplexity=8, margin=0.314)
    assert "(lower is better): 8.00 (epoch 2)." in output_at_end(best_epoch=2, valid_perplexity=8)


def test_end_suggests_the_next_step():
    assert "do train --resume tale --epochs 4" in output_at_end(best_epoch=2, valid_perplexity=8, still_falling=True)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"schedule": "cosine"}, "--epochs 4"),
        ({"time_budget": "1.5h"}, "--time-budget 3h"),
    ]
    for settings, flag in cases:
        output = output_at_end(best_epoch=2, valid_perplexity=8, still_falling=True, **settings)
        assert f"For a better model, train a new run with {flag}." in output
        assert "--resume" not in output
    assert "still improving" not in output_at_end(best_epoch=2, valid_perplexity=8)
    assert "hardly better than word frequencies" in output_at_end(best_epoch=1, valid_perplexity=19)
    assert "hardly" not in output_at_end(best_epoch=1, valid_perplexity=8)


def test_tensorboard_gets_one_run_if_there_are_too_many(tmp_path: Path):
    """TensorBoard selects all of up to 40 lines at first, or none. A run has three lines."""
    run = tmp_path / "run"
    for number in range(12):
        (tmp_path / f"other-{number}" / "train").mkdir(parents=True)
    assert folder_of_curves(run) == tmp_path
    (run / "train").mkdir(parents=True)
    assert folder_of_curves(run) == tmp_path
    (tmp_path / "sweep" / "first" / "train").mkdir(parents=True)
    assert folder_of_curves(run) == run


def test_times_of_a_dry_run_add_up():
    """The graph is built once, so the time of an epoch does not contain it."""
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, width=100), "do write")
    progress.planned(plan())
    steps = plan().steps_per_epoch
    progress.measured(
        TrainingStart("one CPU", "float32", 3 * steps), Speed(5, 1000.0, first_step=7.0, step=2.0, epoch_end=4.0)
    )
    output = file.getvalue()
    assert re.search(r"first step +takes 7\.0 s longer, to build the graph", output)
    assert re.search(rf"one epoch +{steps} steps, {2 * steps + 4} s with validation and saving", output)
    assert re.search(rf"the whole run +{3 * steps} steps in 3 epochs, at most {3 * (2 * steps + 4) + 7} s", output)


@pytest.mark.parametrize("width", [60, 100])
def test_ctrl_c_leaves_no_part_of_the_bar(width: int):
    file = io.StringIO()
    progress = TerminalProgress(Console(file=file, force_terminal=True, width=width, color_system=None), "do write")
    progress.planned(plan())
    progress.indexing(3, 10)
    file.write("^C")
    progress.indexing(10, 10)
    progress.begun(TrainingStart("one CPU", "float32", 8))
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
    assert any("step 1/4" in line for line in screen_lines(file.getvalue(), width))
    file.write("^C^C")
    progress.stopping()
    progress.close()
    remaining = "\n".join(screen_lines(file.getvalue(), width))
    assert "Stopping after this step" in remaining
    for part in ("step 1/4", "tokens/s", "so it goes", "Indexing", "━"):
        assert part not in remaining
