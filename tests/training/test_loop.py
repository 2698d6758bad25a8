"""The training loop: its end, what it saves and when it validates, with a very small network."""

import itertools
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from wordgen.dataset.batches import Batches
from wordgen.errors import DivergedError, StorageError
from wordgen.evaluation.perplexity import Evaluator
from wordgen.model.architecture import Architecture, NetworkSettings
from wordgen.model.bundle import Weights
from wordgen.network.network import Network
from wordgen.network.replicas import single_replica
from wordgen.training.checkpoint import Arrays, BestModelSaver, Checkpoints, CheckpointSaver, Position
from wordgen.training.loop import Loop
from wordgen.training.plan import Schedule
from wordgen.training.reports import EpochReport, Observer, Observers, Sample, SampleReport, StepReport
from wordgen.training.settings import CheckpointInterval, OptimizerName, TrainingSettings
from wordgen.training.step import Stepper
from wordgen.training.stopping import StopRequest
from wordgen.training.typed_json import from_json, to_json

IDS = np.tile(np.arange(3, 13), 20).astype(np.uint8)


class ScriptedEvaluator(Evaluator):
    """Returns the given perplexities, in order."""

    def __init__(self, perplexities: Sequence[float]) -> None:
        self._perplexities = iter(perplexities)

    def perplexity(self, weights=None, should_continue=lambda: True, on_progress=lambda done: None) -> float | None:
        return next(self._perplexities) if should_continue() else None


class NoCheckpoints(Checkpoints):
    def save(self, step: int, arrays: Arrays, position: Position) -> None:
        pass


class RecordingObserver(Observer):
    def __init__(self) -> None:
        self.steps: list[StepReport] = []
        self.epochs: list[EpochReport] = []
        self.validations: list[EpochReport] = []
        self.samples: list[SampleReport] = []
        self.shortened_to: list[int] = []

    def shortened(self, last_step: int) -> None:
        self.shortened_to.append(last_step)

    def stepped(self, report: StepReport) -> None:
        self.steps.append(report)

    def epoch_ended(self, report: EpochReport) -> None:
        self.epochs.append(report)

    def validated(self, report: EpochReport) -> None:
        self.validations.append(report)

    def sampled(self, report: SampleReport) -> None:
        self.samples.append(report)


@cache
def shared_stepper(optimizer: OptimizerName, average_after: int | None) -> tuple[Stepper, dict[str, np.ndarray]]:
    """A stepper for all tests, because tracing takes longer than they do, and its first state."""
    settings = TrainingSettings(batch_size=4, seq_len=5, optimizer=optimizer, average_after=average_after)
    stepper = Stepper(Network(Architecture.of(NetworkSettings(layers=1, units=4), 13)), settings, single_replica())
    stepper.max_steps = 1
    return stepper, stepper.snapshot(stepper.zero_state())


def make_loop(
    perplexities: Sequence[float], stop: StopRequest | None = None, **settings: object
) -> tuple[Loop, list[Weights], RecordingObserver]:
    chosen = TrainingSettings(**{"batch_size": 4, "seq_len": 5, **settings})  # pyright: ignore[reportArgumentType]
    saved: list[Weights] = []
    recorder = RecordingObserver()
    stepper, start = shared_stepper(chosen.optimizer, chosen.average_after)
    state, stepper.has_run = stepper.restore(start), False
    batches = Batches(IDS, 4, 5, 1)
    loop = Loop(
        replicas=single_replica(),
        stepper=stepper,
        batches=batches,
        evaluator=ScriptedEvaluator(perplexities),
        schedule=Schedule(chosen, batches.steps_per_epoch, chosen.epochs * batches.steps_per_epoch),
        sampler=lambda weights, epoch, step: SampleReport(epoch, step),
        best_model_saver=BestModelSaver(saved.append, lambda sentence: None),
        checkpoint_saver=CheckpointSaver(NoCheckpoints(Path(), print), CheckpointInterval.parse("100"), print),
        observer=recorder,
        stop=stop or StopRequest(),
        position=Position(),
        state=state,
    )
    return loop, saved, recorder


@pytest.mark.parametrize("seconds", [1e9, 0.0])
def test_run_beyond_its_time_budget_is_shortened(seconds: float):
    loop, saved, recorder = make_loop([9, 8, 7, 6], epochs=4, schedule="cosine", time_budget="1h")
    loop.position.seconds_allowed, planned = seconds, loop.schedule.last_step
    loop.position.last_step = planned
    outcome = loop.run()
    assert outcome.reason == "time budget used up"
    last = planned if seconds else -(-planned // 10)  # the first of ten checks
    assert [len(recorder.steps), loop.position.last_step] == [last, last]
    assert recorder.shortened_to == ([] if seconds else [last])
    assert len(saved) == len(recorder.epochs) == (4 if seconds else 1)


def test_shortened_run_uses_its_whole_time_budget(monkeypatch: pytest.MonkeyPatch):
    """Each step and each validation takes half a second, and there is only time for 80 % of the steps."""
    loop, _, recorder = make_loop([9, 8, 7, 6], epochs=4, schedule="cosine", time_budget="1h")
    clock = itertools.count(step=0.5)
    monkeypatch.setattr("wordgen.training.loop.time", SimpleNamespace(monotonic=lambda: next(clock)))
    planned = loop.position.last_step = loop.schedule.last_step
    allowed = loop.position.seconds_allowed = 0.8 * 0.5 * planned
    loop.run()
    assert len(recorder.steps) == recorder.shortened_to[-1] < planned
    assert 0.95 * allowed < loop.position.seconds < 1.05 * allowed
    assert recorder.steps[-1].learning_rate == pytest.approx(0.02 * loop.schedule.settings.first_learning_rate)


def test_process_that_resumes_after_its_time_budget_does_one_step():
    """Its first step is the end of a tenth of the run, where its speed is not known yet."""
    loop, _, recorder = make_loop([9], epochs=4, schedule="cosine", time_budget="1h")
    planned = loop.position.last_step = loop.schedule.last_step
    loop.position.step_in_epoch = planned // 10 - 1
    loop.position.seconds_allowed, loop.position.seconds = 1.0, 2.0
    assert loop.run().reason == "time budget used up"
    assert recorder.shortened_to == [planned // 10] == [step.step for step in recorder.steps]


def test_patience_ends_the_run_and_saves_the_best():
    loop, saved, _ = make_loop([9, 5, 6, 7, 8], epochs=10, patience=2)
    outcome = loop.run()
    assert outcome.reason == "no improvement for 2 epochs"
    assert [epoch.best for epoch in outcome.epochs] == [True, True, False, False]
    assert outcome.best is not None
    assert outcome.best.epoch == 2
    assert len(saved) == 2


def test_run_does_all_epochs_while_it_improves():
    loop, saved, recorder = make_loop([9, 8, 7], epochs=3, patience=1)
    assert loop.run().reason == "all epochs done"
    assert len(saved) == 3
    assert [report.step for report in recorder.steps] == list(range(1, 31))
    assert [report.step_in_epoch for report in recorder.steps[:11]] == [*range(1, 11), 1]
    assert recorder.steps[0].tokens == 20


class RecordingStepper(Stepper):
    """A stepper that records the state before and after each call of one step."""

    log: "list[tuple[int, np.ndarray, np.ndarray]]"

    def __call__(self, windows, state, first_step, rates, requests=(), average_shares=()):
        done, agreed, after = super().__call__(windows, state, first_step, rates, requests, average_shares)
        self.log.append((first_step, np.asarray(state[0][0]), np.asarray(after[0][0])))
        return done, agreed, after


def test_state_goes_on_between_steps_and_is_zero_in_a_new_epoch():
    loop, _, _ = make_loop([9, 8], epochs=2)
    loop.stepper = RecordingStepper(loop.stepper.network, loop.schedule.settings, single_replica())
    loop.stepper.log, loop.stepper.max_steps = [], 1
    loop.state = loop.stepper.zero_state()
    loop.run()
    log = loop.stepper.log
    assert [step for step, _, _ in log] == list(range(1, 21))
    for (_, _, after), (step, before, _) in pairwise(log):
        if step == 11:
            assert not before.any()
        else:
            np.testing.assert_array_equal(before, after)


def test_nan_loss_ends_the_run():
    loop, saved, _ = make_loop([9, 8], epochs=2, optimizer="sgd")  # SGD has no state, which other tests would get
    loop.stepper.network.output_bias.assign(np.full(13, np.nan, np.float32))
    with pytest.raises(DivergedError, match="diverged in epoch 1, step 1"):
        loop.run()
    assert saved == []


def test_infinite_validation_keeps_the_earlier_model():
    loop, saved, _ = make_loop([9, float("inf")], epochs=3)
    with pytest.raises(DivergedError, match=r"diverged in epoch 2.*is saved"):
        loop.run()
    assert len(saved) == 1


def test_error_does_not_claim_that_an_unsaved_model_is_saved():
    def save(weights: Weights) -> None:
        raise StorageError("No space.")

    loop, _, _ = make_loop([9, float("inf")], epochs=3)
    loop.best_model_saver = BestModelSaver(save, lambda sentence: None)
    with pytest.raises(DivergedError, match=r"smaller --learning-rate\.$"):
        loop.run()


def test_stop_before_the_first_step_trains_nothing():
    stop = StopRequest()
    stop.signals.append(2)
    loop, saved, recorder = make_loop([9], stop)
    assert loop.run().stopped
    assert recorder.steps == saved == []


def test_stop_after_the_first_epoch_does_not_validate():
    stop = StopRequest()
    loop, saved, recorder = make_loop([9, 5, 4], stop, epochs=3)
    loop.observer = Observers([recorder, StopAt(stop, step=13)])
    outcome = loop.run()
    assert outcome.stopped
    assert outcome.complete_epochs == 1
    assert len(recorder.steps) == 13
    assert [epoch.valid_perplexity for epoch in outcome.epochs] == [9]
    assert len(saved) == 1


def test_stop_in_the_first_epoch_validates_and_saves():
    stop = StopRequest()
    loop, saved, recorder = make_loop([9, 5, 4], stop, epochs=3)
    loop.observer = Observers([recorder, StopAt(stop, step=7)])
    outcome = loop.run()
    assert outcome.complete_epochs == 0
    assert [epoch.step for epoch in outcome.epochs] == [7]
    assert len(saved) == 1


def test_second_stop_skips_the_validation():
    stop = StopRequest()
    loop, saved, recorder = make_loop([9], stop, epochs=3)
    loop.observer = Observers([recorder, StopAt(stop, step=3), StopAt(stop, step=3)])
    outcome = loop.run()
    assert outcome.epochs == ()
    assert len(saved) == 1  # there was no saved model yet


class StopAt(Observer):
    def __init__(self, stop: StopRequest, step: int) -> None:
        self._stop, self._step = stop, step

    def stepped(self, report: StepReport) -> None:
        if report.step == self._step:
            self._stop.signals.append(2)


def test_best_model_is_saved_after_earlier_failures():
    attempts: list[int] = []
    warnings: list[str] = []

    def save(weights: Weights) -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise StorageError("No space.")

    saver = BestModelSaver(save, warnings.append)
    saver.save({})
    assert len(warnings) == 1
    with pytest.raises(StorageError):
        saver.finish()
    saver.finish()
    saver.finish()
    assert len(attempts) == 3


def test_no_checkpoint_while_the_best_model_is_not_saved():
    """A run that is killed then resumes from an older checkpoint, and reaches that model again."""
    disk_is_full = False
    saved_epochs: list[int] = []
    checkpoints: list[tuple[int, int]] = []
    loop, saved, _ = make_loop([9, 8, 7, 6], epochs=4)

    def save(weights: Weights) -> None:
        if disk_is_full:
            raise StorageError("No space.")
        saved.append(weights)

    class FillDisk(Observer):
        def stepped(self, report: StepReport) -> None:
            nonlocal disk_is_full
            disk_is_full = 15 <= report.step < 35

    class RecordedCheckpoints(NoCheckpoints):
        def save(self, step: int, arrays: Arrays, position: Position) -> None:
            checkpoints.append((step, position.best_epoch))

    loop.observer = Observers([FillDisk()])
    loop.best_model_saver = BestModelSaver(
        save, lambda sentence: None, lambda report: saved_epochs.append(report.epoch)
    )
    loop.checkpoint_saver = CheckpointSaver(RecordedCheckpoints(Path(), print), CheckpointInterval.parse("5"), print)
    loop.run()
    loop.checkpoint_saver.wait()
    assert checkpoints == [(5, 0), (10, 1), (15, 1), (35, 3), (40, 4)]
    assert saved_epochs == [1, 3, 4]
    assert len(saved) == 3


def test_averaged_weights_are_saved_once_averaging_begins():
    loop, saved, _ = make_loop([9, 8, 8.5, 7], epochs=4, average_after=0, optimizer="sgd")
    outcome = loop.run()
    assert [epoch.averaged for epoch in outcome.epochs] == [False, False, False, True]
    assert len(saved) == 3
    for name, weight in loop.stepper.weights(averaged=True).items():
        np.testing.assert_array_equal(saved[-1][name], weight)
        assert (weight != loop.stepper.network.to_weights()[name]).any()


def test_averaging_is_checked_once_per_epoch():
    """The begin of averaging is computed from all epochs. If each step did it, a long run would slow down."""
    loop, _, _ = make_loop([9, 8], epochs=2, average_after=0)
    checked: list[int] = []

    class RecordingSchedule(Schedule):
        def averaging_begins(self, epochs: Sequence[EpochReport]) -> int | None:
            checked.append(len(epochs))
            return super().averaging_begins(epochs)

    loop.schedule = RecordingSchedule(loop.schedule.settings, loop.schedule.steps_per_epoch, loop.schedule.last_step)
    loop.run()
    assert checked == [0, 0, 1, 1]  # before and after the ten steps of each epoch


def test_best_model_can_be_from_within_an_epoch():
    """An epoch has ten steps. At its end, there is only one validation."""
    loop, saved, recorder = make_loop([9, 5, 6, 7, 8, 8], epochs=2, validate_every=4)
    loop.stepper.max_steps = 32  # a call of several steps ends where a validation is due
    outcome = loop.run()
    assert [(each.step, each.epoch) for each in recorder.validations] == [(4, 1), (8, 1), (12, 2), (16, 2)]
    assert [epoch.step for epoch in recorder.epochs] == [10, 20]
    assert [epoch.best_within_epoch for epoch in outcome.epochs] == [True, False]
    assert outcome.best == recorder.validations[1]
    assert recorder.validations[1].label == "epoch 1, step 8"
    assert len(saved) == 2
    assert outcome.validations == tuple(recorder.validations)


def test_better_validation_within_an_epoch_resets_patience():
    loop, _, _ = make_loop([9, 7, 6, 9, 10, 11, 10, 1], epochs=9, patience=1, validate_every=7)
    outcome = loop.run()
    assert outcome.reason == "no improvement for 1 epoch"
    assert [epoch.valid_perplexity for epoch in outcome.epochs] == [7, 9, 10]
    assert outcome.best is not None
    assert (outcome.best.step, outcome.best.within_epoch) == (14, True)


def test_resumed_run_begins_with_the_due_validation():
    stop = StopRequest()
    loop, _, recorder = make_loop([9, 8, 7, 6], stop, epochs=1, validate_every=4, sample_every=4)
    loop.observer = Observers([recorder, StopAt(stop, step=4)])
    assert loop.run().stopped
    assert recorder.validations == recorder.samples == []
    loop.stop, loop.observer = StopRequest(), recorder
    loop.position = from_json(Position, to_json(loop.position))
    loop.run()
    assert [each.step for each in recorder.validations] == [4, 8]
    assert [each.step for each in recorder.samples] == [4, 8]


def test_resumed_run_repeats_an_interrupted_validation():
    stop = StopRequest()
    loop, saved, recorder = make_loop([], stop, epochs=1, validate_every=4)

    class StopInValidation(ScriptedEvaluator):
        def perplexity(self, weights=None, should_continue=lambda: True, on_progress=lambda done: None) -> float | None:
            if len(recorder.validations) == 1:
                stop.signals += [2, 2]
            return super().perplexity(weights, should_continue, on_progress)

    loop.evaluator = StopInValidation([9, 8])
    outcome = loop.run()
    assert outcome.stopped
    assert [each.step for each in outcome.validations] == [4]
    assert loop.step == 8
    assert len(saved) == 1
    loop.stop, loop.evaluator = StopRequest(), ScriptedEvaluator([8, 7])
    assert [each.step for each in loop.run().validations] == [4, 8]


def test_samples_within_an_epoch_precede_the_checkpoint():
    loop, _, recorder = make_loop([9, 8], epochs=2, sample_every=3)
    sampled: list[Weights] = []
    checkpoints: list[tuple[int, int]] = []

    def write_samples(weights: Weights, epoch: int, step: int) -> SampleReport:
        sampled.append(weights)
        return SampleReport(epoch, step, (Sample("sample", f"text {len(sampled)}"),), 0.5, 3)

    class RecordedCheckpoints(NoCheckpoints):
        def save(self, step: int, arrays: Arrays, position: Position) -> None:
            checkpoints.append((step, position.last_sample_step))

    loop.sampler = write_samples
    loop.checkpoint_saver = CheckpointSaver(RecordedCheckpoints(Path(), print), CheckpointInterval.parse("9"), print)
    loop.run()
    loop.checkpoint_saver.wait()
    assert [each.step for each in recorder.samples] == [3, 6, 9, 12, 15, 18]
    assert [each.samples[0].text for each in recorder.samples] == [f"text {n}" for n in (1, 2, 3, 5, 6, 7)]
    assert (sampled[0]["output/bias"] != sampled[1]["output/bias"]).any()
    assert checkpoints == [(9, 9), (10, 9), (18, 18), (20, 18)]


def test_reports_within_epochs_do_not_change_the_training():
    plain, _, _ = make_loop([9, 8], epochs=2)
    reporting, _, _ = make_loop([9, 5, 6, 7, 8, 8], epochs=2, validate_every=4, sample_every=3)
    reporting.stepper.network.set_weights_by_name(plain.stepper.network.to_weights())
    for loop in (plain, reporting):
        loop.run()
    plain_weights, weights = (loop.stepper.network.to_weights() for loop in (plain, reporting))
    for name, weight in plain_weights.items():
        np.testing.assert_array_equal(weights[name], weight)
