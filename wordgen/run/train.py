"""Plan, train and resume runs: from settings to a folder with a model that can generate text.

TensorFlow is only imported after the plan has been shown, because the import takes seconds.
"""

import hashlib
import platform
import shlex
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wordgen import __version__
from wordgen.corpus.catalogue import bundled_data, user_data
from wordgen.corpus.corpus import Corpus
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.settings import ReadingSettings
from wordgen.dataset.batches import Batches
from wordgen.dataset.dataset import Dataset
from wordgen.dataset.encoding import prepare
from wordgen.errors import CorpusError, DivergedError, SettingError, WordgenError, in_a_sentence
from wordgen.evaluation.figures import perplexity_in_words, shown_perplexity
from wordgen.evaluation.measurement import unigram_loss
from wordgen.evaluation.text_loss import measure_with_baselines, valid_loss, valid_nats
from wordgen.evaluation.verdict import still_falling
from wordgen.generation.copies import COPY_INDEX
from wordgen.generation.prompt import word_to_try
from wordgen.model.architecture import Architecture, NetworkSettings
from wordgen.model.base import Base
from wordgen.model.bundle import is_bundle, load_bundle
from wordgen.run.commands import models_flag
from wordgen.run.defaults import reason_for_no_base, recipe_in_words
from wordgen.run.folder import RunFolder, find_base, find_run, folder_for, new_run_folder, resumed_run_folder
from wordgen.run.names import name_of, run_name
from wordgen.run.record import RecordWriter, RunRecord, Versions, load_record
from wordgen.run.settings import SHARED_BY_WORKERS, TrainSettings, compared_settings, resumed_settings
from wordgen.text.settings import TextSettings
from wordgen.training.checkpoint import Checkpoints, Position
from wordgen.training.memory import free_memory, gpu_memory, physical_memory
from wordgen.training.plan import DatasetRecord, Plan, PreparedRun, Schedule, TextRecord, has_constant_rate
from wordgen.training.reports import Ending, EpochReport, Observer, Observers, Outcome, Speed, in_order
from wordgen.training.screen import html_table
from wordgen.training.settings import DeviceSettings, TrainingSettings
from wordgen.training.stopping import StopRequest, stop_on_signals
from wordgen.training.tensorboard import TensorBoardWriter, write_projector
from wordgen.training.workers import WorkerInfo, find_worker_info, warning_about_ports

if TYPE_CHECKING:
    from wordgen.training.trainer import Trainer


@dataclass(frozen=True, repr=False)
class Run:
    """The result of a training: the folder of the run, its epochs, and how it ended."""

    folder: Path
    epochs: tuple[EpochReport, ...]
    ending: Ending
    validations: tuple[EpochReport, ...] = ()
    """The reports of all validations within epochs."""

    def __repr__(self) -> str:
        best = self.ending.best
        result = "no model"
        if best is not None:
            result = f"validation perplexity {perplexity_in_words(best.valid_perplexity, self.ending.margin)}"
        return f"Run({str(self.folder)!r}, epochs={len(self.epochs)}, {result})"

    def _repr_html_(self) -> str:
        """Return an HTML table of all validations with the folder of the run, for notebooks."""
        rows = [
            [
                each.label.removeprefix("epoch "),
                shown_perplexity(each.train_perplexity),
                shown_perplexity(each.valid_perplexity),
                "best" if each == self.ending.best else "",
            ]
            for each in in_order((*self.epochs, *self.validations))
        ]
        return html_table(repr(self), ["epoch", "train perplexity", "valid perplexity", ""], rows)


def train_run(settings: TrainSettings, observers: Iterable[Observer]) -> Run:
    """Train a model and save the best one in saved_models/. The observers receive all events of the run.

    If several workers train together, each of them calls this function. Only the chief writes files and calls
    observers.
    """
    with _session(settings, observers) as session:
        name, chief = run_name(settings.name, session.corpus.name), session.worker_info.is_chief
        folder = folder_for(name, overwrite=settings.overwrite or not chief)
        made = new_run_folder(folder, overwrite=settings.overwrite, numbered=settings.name is None)
        with made if chief else nullcontext() as run_folder:
            trainer = _make_trainer(session.prepare(folder if run_folder is None else run_folder.path), session)
            return _train_and_record(trainer, run_folder, _new_record(trainer.plan, settings), session.stop)


def plan_run(settings: TrainSettings, observers: Iterable[Observer] = ()) -> Plan:
    """Return the plan of a run, without TensorFlow.

    Raise a SettingError if the run needs more memory than the machine has (unless `force_memory` is set).
    """
    with _session(settings, observers) as session:
        plan = session.prepare_unsaved().plan
        if session.stop.requested:
            raise KeyboardInterrupt
        return plan


def dry_run(settings: TrainSettings, observers: Iterable[Observer]) -> Speed:
    """Plan a run and measure its speed with a few real steps. No run is saved."""
    with _session(settings, observers) as session:
        return _make_trainer(session.prepare_unsaved(), session, dry=True).dry_run()


def resume_run(run: str | None, changes: Mapping[str, object] | None, observers: Iterable[Observer]) -> Run:
    """Resume a run as if it had never stopped: the newest one if `run` is None.

    `changes` may have more epochs, other devices, and other settings of what is displayed and saved. All other settings
    stay.
    """
    folder = find_run(run)
    before = load_record(folder)
    settings = resumed_settings(name_of(folder), before.settings, changes or {})
    with ExitStack() as ending:
        session = ending.enter_context(_session(settings, observers))
        run_folder = ending.enter_context(resumed_run_folder(folder)) if session.worker_info.is_chief else None
        prepared = session.prepare(folder)
        plan = prepared.plan
        if before.dataset.fingerprint != plan.dataset.fingerprint:
            raise CorpusError(
                f"The text of {plan.text.corpus} has changed since {name_of(folder)} began, or another "
                "version of wordgen reads it differently: put the old text back, or train a new run."
            )
        record = replace(
            before, settings=settings, recipe=plan.recipe, text=plan.text, dataset=plan.dataset, ended=None
        )
        # With several workers only the chief could see that the run has ended: the others would wait for it in vain.
        if run_folder is not None and session.worker_info.workers == 1:
            outcome = _outcome_if_finished(plan, session.observer)
            if outcome is not None:
                return _report_again(outcome, prepared, run_folder, record, session.observer)
        if settings.schedule == "cosine" and settings.epochs > before.settings.epochs:
            session.observer.warned(
                f"The learning rate falls over all epochs. With {settings.epochs} epochs instead of "
                f"{before.settings.epochs} it rises again now, so the result will differ from that of a new run with "
                f"{settings.epochs} epochs."
            )
        return _train_and_record(_make_trainer(prepared, session), run_folder, record, session.stop)


@dataclass(frozen=True)
class _Session:
    """The work on one run in this process."""

    settings: TrainSettings
    corpus: Corpus
    worker_info: WorkerInfo
    """The number of this process among the workers."""
    observer: Observer
    stop: StopRequest

    def prepare(self, folder: Path) -> PreparedRun:
        return prepare_run(folder, self.corpus, self.settings, self.observer, self.stop, self.worker_info.workers)

    def prepare_unsaved(self) -> PreparedRun:
        """Prepare a run for which no folder is made."""
        return self.prepare(folder_for(run_name(self.settings.name, self.corpus.name), overwrite=True))


@contextmanager
def _session(settings: TrainSettings, observers: Iterable[Observer]) -> Generator[_Session]:
    """Begin the work on a run. At the end of the block, close the observers and restore the signal handlers.

    The signal handlers are installed after the corpus has been downloaded, so that Ctrl-C ends a download at once.
    """
    with ExitStack() as closing:
        observer = Observers(observers)
        closing.callback(observer.close)
        worker_info = find_worker_info(DeviceSettings.part_of(settings))
        if not worker_info.is_chief:
            observer = Observer()
        corpus = open_corpus(settings.corpus, ReadingSettings.part_of(settings), observer.downloading)
        stop = closing.enter_context(stop_on_signals(observer.stopping))
        yield _Session(settings, corpus, worker_info, observer, stop)


def _make_trainer(prepared: PreparedRun, session: _Session, *, dry: bool = False) -> "Trainer":
    """Show the plan, start TensorFlow, wait for the other workers, and make the trainer."""
    settings, worker_info, observer, plan = session.settings, session.worker_info, session.observer, prepared.plan
    observer.planned(plan)
    if warning := warning_about_ports(worker_info):
        observer.warned(warning)
    observer.starting()

    import wordgen.network  # noqa: F401 - must be first: it keeps TensorFlow's start-up messages off the screen
    from wordgen.training.devices import as_worker_lost_error, chosen_precision, create_replicas, unused_gpu_warning
    from wordgen.training.trainer import Trainer

    if settings.local_devices is None and (sentence := unused_gpu_warning()):
        observer.warned(sentence)
    replicas = create_replicas(
        DeviceSettings.part_of(settings),
        worker_info,
        _checksum_of_shared_settings(plan, settings, dry=dry),
        session.stop,
    )
    with as_worker_lost_error(replicas, plan.run):
        replicas.check_rows(settings.batch_size)
        precision = chosen_precision(settings.precision, replicas)
        plan = replace(plan, settings=replace(plan.settings, precision=precision))
        return Trainer(replace(prepared, plan=plan), replicas, observer)


def _checksum_of_shared_settings(plan: Plan, settings: TrainSettings, *, dry: bool) -> str:
    """Return a checksum of what all workers must have in common. The path of the corpus may differ."""
    shared = {name: value for name, value in settings.to_mapping().items() if name in SHARED_BY_WORKERS}
    versions = [f"{name} {version(name)}" for name in ("tensorflow", "keras")]
    agreed_values = (
        f"wordgen {__version__} {versions} {dry} {plan.dataset.fingerprint} {plan.head_start} {sorted(shared.items())}"
    )
    return hashlib.sha256(agreed_values.encode()).hexdigest()


def _new_record(plan: Plan, settings: TrainSettings) -> RunRecord:
    libraries = {library: version(library) for library in ("tensorflow", "keras", "numpy")}
    versions = Versions(wordgen=__version__, python=platform.python_version(), **libraries)
    return RunRecord(
        versions=versions,
        began=datetime.now(UTC).isoformat(timespec="seconds"),
        settings=settings,
        recipe=plan.recipe,
        text=plan.text,
        dataset=plan.dataset,
        architecture=plan.architecture,
        head_start=plan.head_start,
        steps_per_epoch=plan.steps_per_epoch,
    )


def _train_and_record(trainer: "Trainer", folder: RunFolder | None, record: RunRecord, stop: StopRequest) -> Run:
    """Train until the run ends. `folder` is None on all workers except the chief."""
    prepared = trainer.prepared
    settings = replace(record.settings, precision=prepared.plan.settings.precision)
    writer = None if folder is None else RecordWriter(prepared.plan.folder, replace(record, settings=settings))
    with ExitStack() as closing:
        if writer is not None:
            writer.write()
            weights, warn = trainer.network.to_weights, trainer.observer.warned
            curves = TensorBoardWriter(prepared.plan, prepared.dataset, compared_settings(settings), weights, warn)
            closing.callback(curves.close)
            trainer.observer = Observers([trainer.observer, writer, curves])
        try:
            outcome = trainer.train(stop)
        except DivergedError:
            if writer is not None:
                _record_divergence(prepared, writer, trainer.observer)
            raise
        if folder is not None and outcome.complete_epochs == 0 and folder.replaces_older_run:
            folder.is_kept = False
            trainer.observer.warned("The run was stopped before the end of its first epoch: the older run is restored.")
        return _finish(outcome, prepared, folder, trainer.observer, writer)


def _outcome_if_finished(plan: Plan, observer: Observer) -> Outcome | None:
    """Return the outcome of a resumed run that has already ended, so that TensorFlow need not start. Otherwise None."""
    if plan.settings.copy_index and not (plan.folder / COPY_INDEX).is_dir():
        return None  # the copy index must still be written

    def reason_to_end(position: Position) -> str | None:
        return Schedule.of(plan.settings, plan.steps_per_epoch, position).reason_to_end(position)

    checkpoints = Checkpoints(plan.folder, observer.warned)
    if reason_to_end(checkpoints.newest_position()) is None:
        return None
    checkpoint = checkpoints.newest()
    position = checkpoint.position if checkpoint else Position()
    reason = reason_to_end(position)
    return None if reason is None else position.outcome(reason)


def _report_again(
    outcome: Outcome, prepared: PreparedRun, folder: RunFolder, record: RunRecord, observer: Observer
) -> Run:
    """Report a resumed run that has already ended to the observers, and write its record again."""
    observer.planned(prepared.plan)
    writer = RecordWriter(prepared.plan.folder, record)
    writer.write()
    if outcome.best is not None:  # its model exists: it was saved before this checkpoint
        writer.model_saved(outcome.best)
    return _finish(outcome, prepared, folder, Observers([observer, writer]), writer)


def _finish(
    outcome: Outcome,
    prepared: PreparedRun,
    folder: RunFolder | None,
    observer: Observer,
    writer: RecordWriter | None,
) -> Run:
    """Report the end of a run to its observers, compare its best model with counting, and return the result.

    `folder` and `writer` are None on all workers except the chief. They compare nothing.
    """
    plan, dataset = prepared.plan, prepared.dataset
    kept = folder is not None and folder.is_kept and is_bundle(plan.folder)
    nats = None
    if kept:
        with suppress(WordgenError):  # the comparison will warn about a model that cannot be read
            nats = valid_nats(dataset, plan.folder)
    ending = _result_of(outcome, prepared, nats, kept=kept)
    observer.ended(ending)
    if kept and writer is not None:
        with _errors_as_warnings(observer, "The word vectors for TensorBoard could not be written."):
            write_projector(load_bundle(plan.folder), plan.folder / "valid")
        with _errors_as_warnings(observer, "The model could not be compared with word frequencies and n-grams."):
            _compare(dataset, writer.record, nats, observer)
        observer.recorded(plan.folder)
    return Run(plan.folder, outcome.epochs, ending, outcome.validations)


def _result_of(outcome: Outcome, prepared: PreparedRun, nats: NDArray[np.float64] | None, *, kept: bool) -> Ending:
    """Return the result of a run. `nats` are the losses of the validation set; `kept` says whether there is a model."""
    plan, dataset, ids = prepared.plan, prepared.dataset, prepared.dataset.ids
    return Ending(
        reason=outcome.reason,
        stopped=outcome.stopped,
        model_kept=kept,
        best=outcome.best,
        unigram_perplexity=unigram_loss(ids["train"], ids["valid"], plan.architecture.vocabulary_size).perplexity,
        word_to_try=word_to_try(dataset.codec),
        seconds=time.monotonic() - prepared.began,
        still_falling=still_falling(
            [each.valid_perplexity for each in outcome.epochs],
            last_epoch_interrupted=any(each.step < each.epoch * plan.steps_per_epoch for each in outcome.epochs[-1:]),
            has_constant_rate=has_constant_rate(plan.settings, plan.steps_per_epoch, outcome.epochs),
        ),
        margin=None if outcome.best is None else valid_loss(dataset, outcome.best.valid_perplexity, nats).margin,
    )


def _record_divergence(prepared: PreparedRun, writer: RecordWriter, observer: Observer) -> None:
    """Complete the record of a run that diverged, and compare the model that was saved before. None may be saved.

    The observer gets a `recorded` event, but no `ended` event.
    """
    folder = prepared.plan.folder
    with suppress(Exception):  # the DivergedError is more important than any error in this block
        if is_bundle(folder):
            writer.diverged()
            _compare(prepared.dataset, writer.record, valid_nats(prepared.dataset, folder), writer)
            observer.recorded(folder)


@contextmanager
def _errors_as_warnings(observer: Observer, sentence: str) -> Generator[None]:
    """Turn errors into warnings, because model and record are already written."""
    try:
        yield
    except Exception as error:
        observer.warned(f"{sentence} {error}")


def _compare(dataset: Dataset, record: RunRecord, nats: NDArray[np.float64] | None, observer: Observer) -> None:
    """Compare the best model with counting on the validation set, given the losses of its tokens if they are known."""
    if record.best is not None:
        observer.compared(measure_with_baselines(dataset, record.best.valid_perplexity, record.best.step, nats))


_UNKNOWN_WARNING_SHARE = 0.1
"""The share of UNKNOWN above which a run warns. With default settings the fables have 15 %, the spells 18 %."""


def prepare_run(
    folder: Path,
    corpus: Corpus,
    settings: TrainSettings,
    observer: Observer,
    stop: StopRequest,
    workers: int = 1,
) -> PreparedRun:
    """Encode the corpus, cut it into batches, and make the plan of the run.

    Raise a SettingError if the run needs more memory than the machine has, and a KeyboardInterrupt if the user stops
    the run meanwhile.
    """
    began = time.monotonic()
    base = None if settings.init_from is None else find_base(settings.init_from)

    def on_progress(done: int, size: int) -> None:
        if stop.requested:  # the run has no files yet, so it can end at once
            raise KeyboardInterrupt
        observer.encoding(done, size)

    text = TextSettings.part_of(settings)
    dataset = prepare(corpus, text, user_data() / "encoded", on_progress, base and base.vocabulary)
    batches = Batches(
        dataset.ids["train"], settings.batch_size, settings.seq_len, settings.random_seed, settings.vary_seq_len
    )
    plan = _plan(folder, corpus, dataset, batches, settings, workers, base)
    _check_memory(plan, settings, observer.warned)
    vocab_size, _ = text.limits(all_words=False)
    if (sentence := _unknown_words_advice(plan, vocab_size)) is not None:
        observer.warned(sentence)
    return PreparedRun(plan, dataset, batches, began, base)


def _unknown_words_advice(plan: Plan, vocab_size: int) -> str | None:
    """Return advice if over a tenth of the validation words are UNKNOWN. `vocab_size` limits the vocabulary."""
    valid = plan.dataset.splits["valid"]
    share = valid.unknown / max(1, valid.words)
    if share <= _UNKNOWN_WARNING_SHARE:
        return None
    size = plan.architecture.vocabulary_size
    if size == vocab_size:
        advice = f"use --vocab-size {2 * size} (the text has {plan.dataset.types:,} different tokens)"
    else:
        advice = "use more text"
    return (
        f"{share:.0%} of the words in the validation set are UNKNOWN: the network learns where a rare word is, but not "
        f"which one, and perplexity looks better than it is. To learn these words, {advice}, or spell them out with "
        "--unknown spell."
    )


def _check_memory(plan: Plan, settings: TrainSettings, warn: Callable[[str], None]) -> None:
    """Raise a SettingError if the run needs more memory than the machine has. Warn if it needs more than is free."""
    gpu_bytes, needed = gpu_memory(DeviceSettings.part_of(settings)), plan.memory.total
    available = physical_memory() if gpu_bytes is None else gpu_bytes
    if needed > available and not settings.force_memory:
        raise SettingError(
            f"This network has {plan.architecture.parameters:,} parameters and needs about {needed / 2**30:,.1f} "
            f"GiB of memory for training, but only {available / 2**30:,.1f} GiB are there: use smaller numbers for "
            "--units, --layers, --vocab-size, --batch-size or --seq-len. With a large vocabulary, --sampled-output "
            "also helps. --force-memory trains anyway."
        )
    free = free_memory() if gpu_bytes is None else None
    if free is not None and needed > free:
        warn(
            f"Training needs about {needed / 2**30:,.1f} GiB of memory, but only {free / 2**30:,.1f} GiB are "
            "free now: it may become slow, or the system may end it. Close other programs."
        )


def _plan(
    folder: Path,
    corpus: Corpus,
    dataset: Dataset,
    batches: Batches,
    settings: TrainSettings,
    workers: int,
    base: Base | None,
) -> Plan:
    network = NetworkSettings.part_of(settings)
    architecture = Architecture.of(network, len(dataset.codec.vocabulary))
    return Plan(
        run=name_of(folder),
        folder=folder,
        recipe=_describe_recipe(settings.recipe, corpus, dataset.codec.tokenizer.name),
        text=TextRecord.of(dataset.text, _describe_source(corpus.files), (*corpus.notes, *dataset.notes)),
        dataset=DatasetRecord(
            dataset.fingerprint, dataset.types, dataset.codec.vocabulary.special_count, dataset.statistics
        ),
        architecture=architecture,
        head_start=base and base.head_start(dataset.codec.vocabulary),
        initial_weights_in_words=_describe_initial_weights(base, settings, corpus),
        settings=TrainingSettings.part_of(settings),
        steps_per_epoch=batches.steps_per_epoch,
        workers=workers,
        models_flag=shlex.join(models_flag()),
        devices=settings.local_devices or 1,
    )


def _describe_initial_weights(base: Base | None, settings: TrainSettings, corpus: Corpus) -> str | None:
    """Return the base that a run begins from and what the base was trained on, or why the run begins from none."""
    if base is not None:
        return base.read and f"{base.name}, trained on {base.read}; --from-scratch begins with random weights instead"
    why = reason_for_no_base(settings, corpus)
    return why and f"random weights: {why}"


def _describe_recipe(name: str | None, corpus: Corpus, tokenizer: str) -> str | None:
    if name is None:
        return None
    try:
        return recipe_in_words(name, corpus.text_bytes, tokenizer)
    except SettingError:  # the recipe was a file that no longer exists when its run is resumed
        return name


def _describe_source(files: Sequence[Path]) -> str:
    folders = list(dict.fromkeys(file.parent for file in files))
    if folders == [bundled_data()]:
        return "the bundled text"
    return str(files[0]) if len(files) == 1 else f"{len(files)} files in {in_a_sentence(map(str, folders), 3)}"
