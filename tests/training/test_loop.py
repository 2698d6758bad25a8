"""When the loop stops and what it keeps, with a network so small that an epoch takes no time."""

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
from wordgen.network.replicas import alone
from wordgen.training.checkpoint import Arrays, BestModelSaver, Checkpoints, CheckpointSaver, Position
from wordgen.training.loop import Loop
from wordgen.training.plan import Schedule
from wordgen.training.reports import EpochReport, Observer, Observers, Sample, SampleReport, StepReport
from wordgen.training.settings import CheckpointClock, OptimizerName, TrainingSettings
from wordgen.training.step import Stepper
from wordgen.training.stopping import StopRequest
from wordgen.training.typed_json import from_json, to_json

IDS = np.tile(np.arange(3, 13), 20).astype(np.uint8)


class Scripted(Evaluator):
    """Validates with the perplexities it is told, in order."""

    def __init__(self, perplexities: Sequence[float]) -> None:
        self._told = iter(perplexities)

    def perplexity(self, weights=None, keep_on=lambda: True, tell=lambda done: None) -> float | None:
        return next(self._told) if keep_on() else None


class NoCheckpoints(Checkpoints):
    def save(self, step: int, arrays: Arrays, position: Position) -> None:
        pass


class Listener(Observer):
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
def traced(optimizer: OptimizerName, average_after: int | None) -> tuple[Stepper, dict[str, np.ndarray]]:
    """A stepper that all tests share, since tracing takes longer than they do, and how it stood at first."""
    settings = TrainingSettings(batch_size=4, seq_len=5, optimizer=optimizer, average_after=average_after)
    stepper = Stepper(Network(Architecture.of(NetworkSettings(layers=1, units=4), 13)), settings, alone())
    stepper.most_steps = 1
    return stepper, stepper.snapshot(stepper.zero_state())


def make(
    perplexities: Sequence[float], stop: StopRequest | None = None, **settings: object
) -> tuple[Loop, list[Weights], Listener]:
    chosen = TrainingSettings(**{"batch_size": 4, "seq_len": 5, **settings})  # pyright: ignore[reportArgumentType]
    kept: list[Weights] = []
    listener = Listener()
    stepper, start = traced(chosen.optimizer, chosen.average_after)
    state, stepper.has_run = stepper.restore(start), False
    batches = Batches(IDS, 4, 5, 1)
    loop = Loop(
        replicas=alone(),
        stepper=stepper,
        batches=batches,
        evaluator=Scripted(perplexities),
        schedule=Schedule(chosen, batches.steps_per_epoch, chosen.epochs * batches.steps_per_epoch),
        sampler=lambda weights, epoch, step: SampleReport(epoch, step),
        saver=BestModelSaver(kept.append, lambda sentence: None),
        checkpoints=CheckpointSaver(NoCheckpoints(Path(), print), CheckpointClock.parse("100"), print),
        observer=listener,
        stop=stop or StopRequest(),
        position=Position(),
        state=state,
    )
    return loop, kept, listener


@pytest.mark.parametrize("seconds", [1e9, 0.0])
def test_a_run_with_a_time_budget_is_shortened_if_it_would_last_longer(seconds: float):
    loop, kept, listener = make([9, 8, 7, 6], epochs=4, schedule="cosine", time_budget="1h")
    loop.position.seconds_allowed, planned = seconds, loop.schedule.last_step
    loop.position.last_step = planned
    outcome = loop.run()
    assert outcome.reason == "time budget used up"
    last = planned if seconds else -(-planned // 10)  # the first of ten checks
    assert [len(listener.steps), loop.position.last_step] == [last, last]
    assert listener.shortened_to == ([] if seconds else [last])
    assert len(kept) == len(listener.epochs) == (4 if seconds else 1)


def test_a_shortened_run_uses_its_time_budget_up(monkeypatch: pytest.MonkeyPatch):
    """Each step and each validation takes half a second, but there is time for 80 % of the steps only."""
    loop, _, listener = make([9, 8, 7, 6], epochs=4, schedule="cosine", time_budget="1h")
    clock = itertools.count(step=0.5)
    monkeypatch.setattr("wordgen.training.loop.time", SimpleNamespace(monotonic=lambda: next(clock)))
    planned = loop.position.last_step = loop.schedule.last_step
    allowed = loop.position.seconds_allowed = 0.8 * 0.5 * planned
    loop.run()
    assert len(listener.steps) == listener.shortened_to[-1] < planned
    assert 0.95 * allowed < loop.position.seconds < 1.05 * allowed
    assert listener.steps[-1].learning_rate == pytest.approx(0.02 * loop.schedule.settings.first_learning_rate)


def test_it_stops_when_it_gets_no_better_and_keeps_the_best():
    loop, kept, _ = make([9, 5, 6, 7, 8], epochs=10, patience=2)
    outcome = loop.run()
    assert outcome.reason == "no improvement for 2 epochs"
    assert [epoch.best for epoch in outcome.epochs] == [True, True, False, False]
    assert outcome.best is not None
    assert outcome.best.epoch == 2
    assert len(kept) == 2


def test_it_goes_through_all_epochs_while_it_gets_better():
    loop, kept, listener = make([9, 8, 7], epochs=3, patience=1)
    assert loop.run().reason == "all epochs done"
    assert len(kept) == 3
    assert [report.step for report in listener.steps] == list(range(1, 31))
    assert [report.step_in_epoch for report in listener.steps[:11]] == [*range(1, 11), 1]
    assert listener.steps[0].tokens == 20


class RecordingStepper(Stepper):
    """A stepper that remembers which state it got and gave, one step a call."""

    log: "list[tuple[int, np.ndarray, np.ndarray]]"

    def __call__(self, windows, state, first_step, rates, requests=(), shares=()):
        done, agreed, after = super().__call__(windows, state, first_step, rates, requests, shares)
        self.log.append((first_step, np.asarray(state[0][0]), np.asarray(after[0][0])))
        return done, agreed, after


def test_the_state_runs_on_from_step_to_step_and_begins_anew_with_the_epoch():
    loop, _, _ = make([9, 8], epochs=2)
    loop.stepper = RecordingStepper(loop.stepper.network, loop.schedule.settings, alone())
    loop.stepper.log, loop.stepper.most_steps = [], 1
    loop.state = loop.stepper.zero_state()
    loop.run()
    log = loop.stepper.log
    assert [step for step, _, _ in log] == list(range(1, 21))
    for (_, _, after), (step, before, _) in pairwise(log):
        if step == 11:
            assert not before.any()
        else:
            np.testing.assert_array_equal(before, after)


def test_a_loss_that_leaves_all_bounds_ends_the_run():
    loop, kept, _ = make([9, 8], epochs=2, optimizer="sgd")  # which keeps nothing that others could get
    loop.stepper.network.output_bias.assign(np.full(13, np.nan, np.float32))
    with pytest.raises(DivergedError, match="diverged in epoch 1, step 1"):
        loop.run()
    assert kept == []


def test_a_validation_that_leaves_all_bounds_keeps_the_epochs_before():
    loop, kept, _ = make([9, float("inf")], epochs=3)
    with pytest.raises(DivergedError, match=r"diverged in epoch 2.*is saved"):
        loop.run()
    assert len(kept) == 1


def test_a_stop_before_the_first_step_learns_nothing():
    stop = StopRequest()
    stop.signals.append(2)
    loop, kept, listener = make([9], stop)
    assert loop.run().stopped
    assert listener.steps == kept == []


def test_a_stop_behind_the_first_epoch_keeps_the_best_and_measures_no_more():
    stop = StopRequest()
    loop, kept, listener = make([9, 5, 4], stop, epochs=3)
    loop.observer = Observers([listener, StopAt(stop, step=13)])
    outcome = loop.run()
    assert outcome.stopped
    assert outcome.whole_epochs == 1
    assert len(listener.steps) == 13
    assert [epoch.valid_perplexity for epoch in outcome.epochs] == [9]
    assert len(kept) == 1


def test_a_stop_in_the_first_epoch_measures_and_keeps_what_there_is():
    stop = StopRequest()
    loop, kept, listener = make([9, 5, 4], stop, epochs=3)
    loop.observer = Observers([listener, StopAt(stop, step=7)])
    outcome = loop.run()
    assert outcome.whole_epochs == 0
    assert [epoch.step for epoch in outcome.epochs] == [7]
    assert len(kept) == 1


def test_a_second_stop_does_not_wait_for_the_validation():
    stop = StopRequest()
    loop, kept, listener = make([9], stop, epochs=3)
    loop.observer = Observers([listener, StopAt(stop, step=3), StopAt(stop, step=3)])
    outcome = loop.run()
    assert outcome.epochs == ()
    assert len(kept) == 1  # nothing was kept before, so this is better than nothing


class StopAt(Observer):
    def __init__(self, stop: StopRequest, step: int) -> None:
        self._stop, self._step = stop, step

    def stepped(self, report: StepReport) -> None:
        if report.step == self._step:
            self._stop.signals.append(2)


def test_a_disk_that_refuses_for_a_while_gets_the_model_later():
    tries: list[int] = []
    warnings: list[str] = []

    def save(weights: Weights) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise StorageError("No space.")

    saver = BestModelSaver(save, warnings.append)
    saver.keep({})
    assert len(warnings) == 1
    with pytest.raises(StorageError):
        saver.finish()
    saver.finish()
    saver.finish()
    assert len(tries) == 3


def test_while_the_best_model_cannot_be_saved_no_checkpoint_says_that_it_is():
    """A run that is killed then goes on from an older checkpoint, and reaches that model again."""
    full = [False]
    saved: list[int] = []
    checkpoints: list[tuple[int, int]] = []
    loop, kept, _ = make([9, 8, 7, 6], epochs=4)

    def save(weights: Weights) -> None:
        if full[0]:
            raise StorageError("No space.")
        kept.append(weights)

    class FillsTheDisk(Observer):
        def stepped(self, report: StepReport) -> None:
            full[0] = 15 <= report.step < 35

    class Recorded(NoCheckpoints):
        def save(self, step: int, arrays: Arrays, position: Position) -> None:
            checkpoints.append((step, position.best_epoch))

    loop.observer = Observers([FillsTheDisk()])
    loop.saver = BestModelSaver(save, lambda sentence: None, lambda report: saved.append(report.epoch))
    loop.checkpoints = CheckpointSaver(Recorded(Path(), print), CheckpointClock.parse("5"), print)
    loop.run()
    loop.checkpoints.wait()
    assert checkpoints == [(5, 0), (10, 1), (15, 1), (35, 3), (40, 4)]
    assert saved == [1, 3, 4]
    assert len(kept) == 3


def test_once_weights_are_averaged_the_average_is_what_is_kept():
    loop, kept, _ = make([9, 8, 8.5, 7], epochs=4, average_after=0, optimizer="sgd")
    outcome = loop.run()
    assert [epoch.averaged for epoch in outcome.epochs] == [False, False, False, True]
    assert len(kept) == 3
    for name, weight in loop.stepper.weights(averaged=True).items():
        np.testing.assert_array_equal(kept[-1][name], weight)
        assert (weight != loop.stepper.network.to_weights()[name]).any()


def test_every_epoch_is_looked_at_once_and_not_in_every_step():
    """Where averaging begins follows from all epochs so far: asked for in each step, a long run slows down."""
    loop, _, _ = make([9, 8], epochs=2, average_after=0)
    looked_at: list[int] = []

    class Counted(Schedule):
        def averaging_begins(self, epochs: Sequence[EpochReport]) -> int | None:
            looked_at.append(len(epochs))
            return super().averaging_begins(epochs)

    loop.schedule = Counted(loop.schedule.settings, loop.schedule.steps_per_epoch, loop.schedule.last_step)
    loop.run()
    assert looked_at == [0, 0, 1, 1]  # before and behind the ten steps of each epoch


def test_the_best_model_may_be_one_within_an_epoch():
    """An epoch has ten steps. At its end, there is only one validation."""
    loop, kept, listener = make([9, 5, 6, 7, 8, 8], epochs=2, validate_every=4)
    loop.stepper.most_steps = 32  # a call of several steps ends where a validation is due
    outcome = loop.run()
    assert [(each.step, each.epoch) for each in listener.validations] == [(4, 1), (8, 1), (12, 2), (16, 2)]
    assert [epoch.step for epoch in listener.epochs] == [10, 20]
    assert [epoch.best_within for epoch in outcome.epochs] == [True, False]
    assert outcome.best == listener.validations[1]
    assert listener.validations[1].place == "epoch 1, step 8"
    assert len(kept) == 2
    assert outcome.validations == tuple(listener.validations)


def test_an_epoch_with_a_better_validation_within_it_is_better_for_patience():
    loop, _, _ = make([9, 7, 6, 9, 10, 11, 10, 1], epochs=9, patience=1, validate_every=7)
    outcome = loop.run()
    assert outcome.reason == "no improvement for 1 epoch"
    assert [epoch.valid_perplexity for epoch in outcome.epochs] == [7, 9, 10]
    assert outcome.best is not None
    assert (outcome.best.step, outcome.best.within) == (14, True)


def test_after_a_stop_the_resumed_run_begins_with_the_validation_that_is_due():
    stop = StopRequest()
    loop, _, listener = make([9, 8, 7, 6], stop, epochs=1, validate_every=4, sample_every=4)
    loop.observer = Observers([listener, StopAt(stop, step=4)])
    assert loop.run().stopped
    assert listener.validations == listener.samples == []
    loop.stop, loop.observer = StopRequest(), listener
    loop.position = from_json(Position, to_json(loop.position))
    loop.run()
    assert [each.step for each in listener.validations] == [4, 8]
    assert [each.step for each in listener.samples] == [4, 8]


def test_a_second_stop_ends_a_validation_within_an_epoch_and_the_resumed_run_repeats_it():
    stop = StopRequest()
    loop, kept, listener = make([], stop, epochs=1, validate_every=4)

    class BrokenOff(Scripted):
        def perplexity(self, weights=None, keep_on=lambda: True, tell=lambda done: None) -> float | None:
            if len(listener.validations) == 1:
                stop.signals += [2, 2]
            return super().perplexity(weights, keep_on, tell)

    loop.evaluator = BrokenOff([9, 8])
    outcome = loop.run()
    assert outcome.stopped
    assert [each.step for each in outcome.validations] == [4]
    assert loop.step == 8
    assert len(kept) == 1
    loop.stop, loop.evaluator = StopRequest(), Scripted([8, 7])
    assert [each.step for each in loop.run().validations] == [4, 8]


def test_samples_within_an_epoch_use_the_current_weights_and_come_before_the_checkpoint():
    loop, _, listener = make([9, 8], epochs=2, sample_every=3)
    written: list[Weights] = []
    checkpoints: list[tuple[int, int]] = []

    def write(weights: Weights, epoch: int, step: int) -> SampleReport:
        written.append(weights)
        return SampleReport(epoch, step, (Sample("sample", f"text {len(written)}"),), 0.5, 3)

    class Recorded(NoCheckpoints):
        def save(self, step: int, arrays: Arrays, position: Position) -> None:
            checkpoints.append((step, position.sampled))

    loop.sampler = write
    loop.checkpoints = CheckpointSaver(Recorded(Path(), print), CheckpointClock.parse("9"), print)
    loop.run()
    loop.checkpoints.wait()
    assert [each.step for each in listener.samples] == [3, 6, 9, 12, 15, 18]
    assert [each.samples[0].text for each in listener.samples] == [f"text {n}" for n in (1, 2, 3, 5, 6, 7)]
    assert (written[0]["output/bias"] != written[1]["output/bias"]).any()
    assert checkpoints == [(9, 9), (10, 9), (18, 18), (20, 18)]


def test_validations_and_samples_within_epochs_do_not_change_the_training():
    plain, _, _ = make([9, 8], epochs=2)
    looked_at, _, _ = make([9, 5, 6, 7, 8, 8], epochs=2, validate_every=4, sample_every=3)
    looked_at.stepper.network.set_weights_by_name(plain.stepper.network.to_weights())
    for loop in (plain, looked_at):
        loop.run()
    ended = [loop.stepper.network.to_weights() for loop in (plain, looked_at)]
    for name, weight in ended[0].items():
        np.testing.assert_array_equal(ended[1][name], weight)
