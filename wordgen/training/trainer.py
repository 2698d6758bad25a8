"""Puts the parts of a training together. Also generates its samples, and measures the speed in a dry run."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import count
from math import inf

from wordgen.dataset.dataset import Dataset, UnknownWords
from wordgen.errors import SettingError, StorageError
from wordgen.evaluation.measurement import log_frequencies
from wordgen.evaluation.novelty import Texts, WholeWords, distinct, longest_matches, write_samples
from wordgen.evaluation.perplexity import Evaluator
from wordgen.evaluation.text_loss import MAX_TOKENS
from wordgen.generation.copies import COPY_INDEX, write_copy_index
from wordgen.generation.prompt import word_to_try
from wordgen.generation.settings import Mode
from wordgen.generation.trained import TrainedModel
from wordgen.model.architecture import DropoutSettings
from wordgen.model.bundle import Bundle, Weights, save_bundle
from wordgen.network.network import Network, State
from wordgen.network.replicas import Replicas
from wordgen.text.tokenizers import MUSIC_TOKENIZERS
from wordgen.training.checkpoint import BestModelSaver, Checkpoint, Checkpoints, CheckpointSaver, Position
from wordgen.training.devices import as_worker_lost_error, describe_devices
from wordgen.training.loop import Loop
from wordgen.training.memory import physical_memory
from wordgen.training.plan import PreparedRun, Schedule
from wordgen.training.reports import Observer, Outcome, Sample, SampleReport, Speed, TrainingStart
from wordgen.training.settings import CheckpointInterval
from wordgen.training.step import Stepper
from wordgen.training.stopping import StopRequest

_MIN_MEASURED_STEPS = 5
_MEASURED_VALIDATION_BATCHES = 3
_SAMPLE_MODES: Sequence[Mode] = ("greedy", "sample")
_SAMPLE_LENGTH, _MUSIC_SAMPLE_LENGTH = 40, 200
"""The length of a sample in tokens. Music needs more for a score of some bars, and its samples end with their piece."""
_SAMPLE_RANDOM_SEED = 1
_VARIETY_SAMPLES, _VARIETY_SAMPLE_LENGTH = 8, 40
"""The number and length (in tokens) of the texts that show how varied the model writes. More would delay training."""


@dataclass(frozen=True)
class SampleWriter:
    """Generates samples with a model, and measures how varied they are and how much they copy."""

    dataset: Dataset

    def __call__(self, bundle: Bundle, epoch: int, step: int) -> SampleReport:
        model = TrainedModel(bundle)
        samples = tuple(self._sample(model, seed, mode) for seed in self._seeds for mode in _SAMPLE_MODES)
        written = write_samples(bundle, _VARIETY_SAMPLES, length=_VARIETY_SAMPLE_LENGTH)
        texts = Texts([self._words.comparable_words(ids) for ids in written])
        return SampleReport(epoch, step, samples, distinct(texts, 2), self._longest_copy(texts))

    @cached_property
    def _seeds(self) -> Sequence[str]:
        """The prompts of the samples: an empty string, and a word if there is one. Progress shows the last sample."""
        word = word_to_try(self.dataset.codec)
        return ("",) if word is None else ("", word)

    def _sample(self, model: TrainedModel, seed: str, mode: Mode) -> Sample:
        music = model.tokenizer in MUSIC_TOKENIZERS
        length, stop = (_MUSIC_SAMPLE_LENGTH, "end") if music else (_SAMPLE_LENGTH, "none")
        (text,) = model.generate(seed, mode=mode, length=length, stop=stop, random_seed=_SAMPLE_RANDOM_SEED)
        return Sample(mode, text.text, seed)

    def _longest_copy(self, texts: Texts) -> int | None:
        """Return the length of the longest match. None if the training text is too large to search quickly."""
        train = self.dataset.ids["train"]
        if len(train) > MAX_TOKENS:
            return None
        return int(longest_matches(texts.words, self._words.split(train).numbers).lengths.max(initial=0))

    @cached_property
    def _words(self) -> WholeWords:
        return WholeWords(self.dataset.codec.vocabulary)


class StopRequestedError(Exception):
    """The user has asked to stop the run."""


@dataclass
class Trainer:
    """The parts of a training on this worker. Only the chief writes files and shows the progress."""

    prepared: PreparedRun
    replicas: Replicas
    observer: Observer

    def __post_init__(self) -> None:
        self.plan, self.dataset, self.batches = self.prepared.plan, self.prepared.dataset, self.prepared.batches
        settings, base = self.plan.settings, self.prepared.base
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
            if base is not None:
                self.network.set_weights_by_name(base.weights_for(self.dataset.codec.vocabulary))
            elif settings.optimizer == "sgd":  # SGD is slow to train the bias; other optimizers do not benefit
                self.network.output_bias.assign(frequencies)
        self.stepper = Stepper(self.network, settings, self.replicas, log_frequencies=frequencies)
        separate_weights = settings.average_after is not None
        self.evaluator = Evaluator(
            self.network, self.dataset.ids["valid"], self.replicas, separate_weights=separate_weights
        )

    def train(self, stop: StopRequest) -> Outcome:
        """Train, from the newest checkpoint or from the beginning. Return the result of the training loop.

        Raises DivergedError if the training diverges, StorageError if the best model cannot be saved, BundleError if
        there are checkpoints but none of them can be read, and WorkerLostError if another worker was lost.
        """
        with as_worker_lost_error(self.replicas, self.plan.run):
            return self._train_from_checkpoint(stop)

    def _train_from_checkpoint(self, stop: StopRequest) -> Outcome:
        plan, observer = self.plan, self.observer
        checkpoints = Checkpoints(plan.folder, observer.warned) if self.replicas.is_chief else None
        best_model_saver = BestModelSaver(self._save_model, observer.warned, observer.model_saved)
        checkpoint_saver = CheckpointSaver(
            checkpoints, CheckpointInterval.parse(plan.settings.checkpoint_every), observer.warned
        )
        try:
            self._write_copy_index(stop)
            position, state = self._resumed_state(checkpoints)
            if plan.settings.budget is not None and position.last_step is None:
                speed = self._measure_speed()
                position.seconds_allowed = self._seconds_allowed(speed)
                position.last_step = self._last_step(speed, position.seconds_allowed)
                checkpoint_saver.save_in_background(0, self.stepper.snapshot(state), position)
            loop = Loop(
                replicas=self.replicas,
                stepper=self.stepper,
                batches=self.batches,
                evaluator=self.evaluator,
                schedule=Schedule.of(plan.settings, self.batches.steps_per_epoch, position),
                sampler=self._write_samples,
                best_model_saver=best_model_saver,
                checkpoint_saver=checkpoint_saver,
                observer=observer,
                stop=stop,
                position=position,
                state=state,
            )
            observer.begun(self._training_start(loop.schedule.last_step, loop.step + 1, position))
            outcome = loop.run()
            best_model_saver.finish()
            return outcome
        finally:
            checkpoint_saver.wait()

    def dry_run(self) -> Speed:
        """Measure the speed of the training, and report it to the observer. Nothing is saved."""
        with as_worker_lost_error(self.replicas, self.plan.run):
            speed = self._measure_speed()
            self.observer.measured(
                self._training_start(self._last_step(speed, self._seconds_allowed(speed)), 1, Position()), speed
            )
            return speed

    def _training_start(self, last_step: int, first_step: int, position: Position) -> TrainingStart:
        return TrainingStart(
            describe_devices(self.replicas),
            self.network.compute_dtype,
            last_step,
            first_step,
            tuple(position.epochs),
            tuple(position.validations),
            position.last_sample_step,
        )

    def _measure_speed(self) -> Speed:
        """Measure the speed of the training, and return what the chief has measured, on all workers.

        Afterwards, the weights and the optimizer are restored.
        """
        stepper, settings = self.stepper, self.plan.settings
        initial_snapshot = stepper.snapshot(stepper.zero_state())
        first = self._seconds_of_steps(1)
        # A small network does several steps per call. Measure a full call, because a few steps take too little time.
        steps = max(_MIN_MEASURED_STEPS, stepper.max_steps)
        step = self._seconds_of_steps(steps) / steps
        self._seconds_of_validation()  # builds the graph
        validation = self._seconds_of_validation()
        began = time.monotonic()
        self._write_samples(self.network.to_weights(), 1, 0)
        samples = time.monotonic() - began
        began = time.monotonic()
        stepper.restore(initial_snapshot)
        stepper.has_run = False
        speed = Speed(
            steps=steps,
            tokens_per_second=settings.batch_size * settings.seq_len / step,
            first_step=first,
            step=step,
            # Restoring a snapshot takes about as long as taking one and writing it to the disk.
            epoch_end=validation + samples + time.monotonic() - began,
            within_epoch=validation / (settings.validate_every or inf) + samples / (settings.sample_every or inf),
        )
        return Speed(**self.replicas.broadcast_value(asdict(speed)))

    def _seconds_of_steps(self, steps: int) -> float:
        began, state = time.monotonic(), self.stepper.zero_state()
        for done in range(0, steps, self.stepper.max_steps):
            number = min(self.stepper.max_steps, steps - done)
            windows = [self.batches.batch(1, (done + k) % self.batches.steps_per_epoch) for k in range(number)]
            *_, state = self.stepper(windows, state, done + 1, [1e-6] * number)
        return time.monotonic() - began

    def _seconds_of_validation(self) -> float:
        """Return the estimated duration of a whole validation. It is extrapolated from the first batches."""
        batches, calls = self.evaluator.batches, count(1)
        began = time.monotonic()
        self.evaluator.perplexity(should_continue=lambda: next(calls) <= min(_MEASURED_VALIDATION_BATCHES, batches))
        # The batch during which `should_continue` returns False is computed, too.
        return (time.monotonic() - began) * batches / min(next(calls) - 1, batches)

    def _last_step(self, speed: Speed, seconds: float | None) -> int:
        """Return the last step of the run: the end of its last epoch, or, at this speed, of the seconds allowed.

        Raises SettingError if the time budget is too short for a single step.
        """
        per_epoch = self.batches.steps_per_epoch
        if seconds is None:
            return self.plan.settings.epochs * per_epoch
        number = int(seconds / (speed.step + speed.within_epoch + speed.epoch_end / per_epoch))
        if number < 1:
            since_start = time.monotonic() - self.prepared.began
            raise SettingError(
                f"--time-budget {self.plan.settings.time_budget} is too short: it took {since_start:.0f} seconds to "
                "prepare the run and to measure its speed. Give more time or a smaller network."
            )
        return number

    def _seconds_allowed(self, speed: Speed) -> float | None:
        """Return the seconds that the time budget leaves for steps and validations, without the end of the last epoch.

        All workers return what the chief has calculated. None if there is no time budget.
        """
        budget = self.plan.settings.budget
        if budget is None:
            return None
        since_start = time.monotonic() - self.prepared.began
        return self.replicas.broadcast_value(budget - since_start - speed.epoch_end)

    def _write_copy_index(self, stop: StopRequest) -> None:
        """Write the copy index, unless the run has it already. Only the chief does this.

        If the user stops the run meanwhile, the incomplete index is deleted, and a resumed run writes it.
        """
        folder = self.plan.folder / COPY_INDEX
        if not (self.replicas.is_chief and self.plan.settings.copy_index) or folder.is_dir():
            return

        def on_progress(done: int, size: int) -> None:
            if stop.requested:
                raise StopRequestedError
            self.observer.indexing(done, size)

        try:
            write_copy_index(self.dataset, folder, on_progress, physical_memory() // 2)
        except StorageError as error:
            self.observer.warned(f"There is no copy index, so --max-copy and --show-copies will not work. {error}")
        except StopRequestedError:
            pass

    def _resumed_state(self, checkpoints: Checkpoints | None) -> tuple[Position, State]:
        """Load the chief's newest checkpoint on all workers. Return its position and state, or those of a beginning."""
        found = checkpoints.newest() if checkpoints is not None else None
        content = self.replicas.broadcast_bytes(lambda: found.content if found else b"")
        position_mapping = self.replicas.broadcast_value(found.position_mapping if found else {})
        if not content:
            return Position(), self.stepper.zero_state()
        checkpoint = Checkpoint(content, position_mapping)
        return checkpoint.position, self.stepper.restore(checkpoint.arrays)

    def _write_samples(self, weights: Weights, epoch: int, step: int) -> SampleReport:
        if not self.replicas.is_chief:
            return SampleReport(epoch, step)
        return self._sample_writer(self._bundle(weights), epoch, step)

    def _save_model(self, weights: Weights) -> None:
        if self.replicas.is_chief:
            save_bundle(self._bundle(weights), self.plan.folder)

    def _bundle(self, weights: Weights) -> Bundle:
        # Without a copy index, the model must not reveal its text. Rare words such as names do that, too.
        unknown = self.dataset.unknown_words if self.plan.settings.copy_index else UnknownWords()
        vocabulary = self.dataset.codec.vocabulary
        return Bundle(self.plan.architecture, self.dataset.text, vocabulary, weights, unknown, self.plan.head_start)
