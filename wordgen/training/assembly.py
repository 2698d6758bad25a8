"""Puts the parts of a run together and lets it learn. Importing this module imports TensorFlow."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from wordgen.base import Base
from wordgen.bundle import Bundle, TextConfig, Weights, save_bundle
from wordgen.dataset.batches import Batches
from wordgen.dataset.encoding import Dataset
from wordgen.dataset.unknown_words import UnknownWords
from wordgen.dropout import DropoutSettings
from wordgen.errors import DivergedError, SettingError, StorageError
from wordgen.evaluation.baselines import log_frequencies
from wordgen.evaluation.perplexity import Evaluator
from wordgen.generation.copies import COPY_INDEX
from wordgen.generation.indexing import write_copy_index
from wordgen.model.network import Carry, Network
from wordgen.model.replicas import Replicas
from wordgen.training.checkpoint import Checkpoint, Checkpoints, Position
from wordgen.training.joining import describe
from wordgen.training.keeper import BestKeeper, CheckpointKeeper
from wordgen.training.loop import Loop
from wordgen.training.memory import physical_memory
from wordgen.training.reports import Begun, EpochReport, Observer, Outcome, Plan, Speed, Written
from wordgen.training.samples import SampleWriter
from wordgen.training.schedule import Schedule
from wordgen.training.settings import CheckpointClock
from wordgen.training.speed import measure
from wordgen.training.step import Stepper
from wordgen.training.stopping import StopRequest


class StopRequestedError(Exception):
    """The user wants the run to end."""


@dataclass
class Learner:
    """The parts of a run, on this worker; what it writes and shows is the chief's alone."""

    plan: Plan
    dataset: Dataset
    batches: Batches
    replicas: Replicas
    observers: Sequence[Observer]
    began: float
    """When the user started to wait, by the monotonic clock."""
    base: Base | None = None
    """The model whose weights it begins with."""

    def __post_init__(self) -> None:
        settings = self.plan.settings
        self._sample_writer = SampleWriter(self.dataset)
        assert settings.precision != "auto"
        with self.replicas.strategy.scope():
            self.network = Network(
                self.plan.architecture,
                dropout=DropoutSettings.part_of(settings),
                random_seed=settings.random_seed,
                precision=settings.precision,
            )
            frequencies = log_frequencies(self.dataset.ids["train"], self.plan.architecture.vocabulary_size)
            if self.base is not None:
                self.network.set_weights_by_name(self.base.weights_for(self.dataset.codec.vocabulary))
            elif settings.optimizer == "sgd":  # which learns them slowly; others get no better by it
                self.network.output_bias.assign(frequencies)
        self.stepper = Stepper(self.network, settings, self.replicas, log_frequencies=frequencies)
        apart = settings.average_after is not None
        self.evaluator = Evaluator(self.network, self.dataset.ids["valid"], self.replicas, apart=apart)

    def learn(self, stop: StopRequest) -> Outcome:
        """Go on from the newest checkpoint, or begin."""
        checkpoints = Checkpoints(self.plan.folder, self.warn) if self.replicas.chief else None
        keeper = BestKeeper(self._save, self.warn, self._tell_of_saved)
        keeping = CheckpointKeeper(checkpoints, CheckpointClock.parse(self.plan.settings.checkpoint_every), self.warn)
        try:
            self._write_copy_index(stop)
            position, carry = self._where_it_stands(checkpoints)
            if self.plan.settings.budget is not None and position.last_step is None:
                position.last_step = self.last_step(self.measure())
                keeping.keep(0, self.stepper.state(carry), position)
            schedule = Schedule.of(self.plan.settings, self.batches.steps_per_epoch, position)
            loop = Loop(
                self.network,
                self.replicas,
                self.stepper,
                self.batches,
                self.evaluator,
                schedule,
                self._write,
                keeper,
                keeping,
                self.observers,
                stop,
                position,
                carry,
            )
            for observer in self.observers:
                observer.begun(self.begun(schedule.last_step, loop.step + 1, position.epochs))
            outcome = loop.run()
            keeper.finish()
            return outcome
        except DivergedError:
            keeper.try_again()
            raise
        finally:
            keeping.wait()

    def begun(self, last_step: int, first_step: int = 1, done: Sequence[EpochReport] = ()) -> Begun:
        return Begun(describe(self.replicas), self.network.compute_dtype, last_step, first_step, tuple(done))

    def measure(self) -> Speed:
        return measure(
            self.replicas, self.network, self.stepper, self.evaluator, self.batches, write_samples=self._write
        )

    def last_step(self, speed: Speed) -> int:
        """Where the run ends at the latest: with its epochs, or where its time will be up at this speed."""
        budget, per_epoch = self.plan.settings.budget, self.batches.steps_per_epoch
        if budget is None:
            return self.plan.settings.epochs * per_epoch

        def steps() -> bytes:
            left = budget - (time.monotonic() - self.began) - speed.epoch_end
            return json.dumps(int(left / (speed.step + speed.epoch_end / per_epoch))).encode()

        number = json.loads(self.replicas.from_chief(steps))
        if number < 1:
            raise SettingError(
                f"--time-budget {self.plan.settings.time_budget} is too short: until the first step alone it took "
                f"{time.monotonic() - self.began:.0f} seconds. Give it more, or take a smaller network."
            )
        return number

    def _write_copy_index(self, stop: StopRequest) -> None:
        """The training text in an order that generation can search, beside the model; once a run.

        Stopped meanwhile, nothing of it is left, and a run that goes on makes it then.
        """
        folder = self.plan.folder / COPY_INDEX
        if not (self.replicas.chief and self.plan.settings.copy_index) or folder.is_dir():
            return

        def tell(done: int, size: int) -> None:
            if stop.requested:
                raise StopRequestedError
            for observer in self.observers:
                observer.indexing(done, size)

        try:
            write_copy_index(self.dataset, folder, tell, physical_memory() // 2)
        except StorageError as error:
            self.warn(f"There is no copy index, so --max-copy and --show-copies will not work. {error}")
        except StopRequestedError:
            pass

    def _where_it_stands(self, checkpoints: Checkpoints | None) -> tuple[Position, Carry]:
        """The chief's newest whole checkpoint, its state taken over by all; else the very beginning."""
        found = checkpoints.newest() if checkpoints is not None else None
        content = self.replicas.from_chief(lambda: found.content if found else b"")
        described = self.replicas.from_chief(lambda: json.dumps(found.described).encode() if found else b"")
        if not content:
            return Position(), self.stepper.zero_carry()
        checkpoint = Checkpoint(content, json.loads(described))
        return checkpoint.position, self.stepper.restore(checkpoint.arrays)

    def _write(self, weights: Weights) -> Written:
        return self._sample_writer(self._bundle(weights)) if self.replicas.chief else Written()

    def _save(self, weights: Weights) -> None:
        if self.replicas.chief:
            save_bundle(self._bundle(weights), self.plan.folder)

    def _bundle(self, weights: Weights) -> Bundle:
        text = TextConfig(
            corpus=self.plan.corpus,
            tokenizer=self.plan.tokenizer,
            unit=self.plan.unit,
            line_breaks=self.plan.line_breaks,
            starts=self.dataset.starts,
            fold_width=self.plan.fold_width,
        )
        passed_on = self.plan.settings.copy_index  # rare words tell of a text, too: names, for one
        unknown = self.dataset.unknown_words if passed_on else UnknownWords()
        vocabulary = self.dataset.codec.vocabulary
        return Bundle(self.plan.architecture, text, vocabulary, weights, unknown, self.plan.head_start)

    def _tell_of_saved(self, report: EpochReport) -> None:
        for observer in self.observers:
            observer.model_saved(report)

    def warn(self, sentence: str) -> None:
        for observer in self.observers:
            observer.warned(sentence)
