"""Training as one plain function: from settings to a folder with a model that can write.

TensorFlow is imported inside `train_with`, when the plan is on the screen already.
"""

import inspect
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec

from wordgen import __version__
from wordgen.architecture import Architecture, NetworkSettings
from wordgen.bundle import Bundle, TextConfig, Weights, is_bundle, save_bundle
from wordgen.corpora.catalogue import bundled_data, user_data
from wordgen.corpora.corpus import Corpus, CorpusSettings, open_corpus
from wordgen.dataset.batches import Batches
from wordgen.dataset.encoding import Dataset, prepare
from wordgen.errors import CorpusError, SettingError
from wordgen.evaluation.baselines import unigram_perplexity
from wordgen.generation.trained import word_to_try
from wordgen.run_folder import RunFolder, find_run, folder_for, made_new, resumed, run_name
from wordgen.settings import Settings, flag_name, setting
from wordgen.text.settings import TextSettings
from wordgen.training.checkpoint import Checkpoints
from wordgen.training.report_file import ReportFile, read_report
from wordgen.training.reports import Ending, EpochReport, Observer, Plan
from wordgen.training.settings import TrainingSettings
from wordgen.training.stopping import StopRequest, stop_on_signals

Names = ParamSpec("Names")


@dataclass(frozen=True, kw_only=True)
class RunSettings(Settings):
    name: str | None = setting(None, help="what to call the run in saved_models/; by default the corpus and the time")
    overwrite: bool = setting(False, help="replace a run of the same name, once the new one has a model")


@dataclass(frozen=True, kw_only=True)
class TrainSettings(RunSettings, TrainingSettings, NetworkSettings, TextSettings, CorpusSettings):
    """Every setting of a training run, flat; each belongs to one of the groups above."""


@dataclass(frozen=True)
class Run:
    """What a training left behind."""

    folder: Path
    epochs: tuple[EpochReport, ...]
    ending: Ending


def train_with(settings: TrainSettings, observers: Sequence[Observer] = ()) -> Run:
    """Train a model and keep its best state in saved_models/; the observers are told what happens."""
    with ExitStack() as closing:
        for observer in observers:
            closing.callback(observer.close)
        corpus = open_corpus(settings.corpus)
        folder = folder_for(run_name(settings.name, corpus.name), overwrite=settings.overwrite)
        plan, dataset, batches = _prepare(folder, corpus, settings, observers)
        with (
            stop_on_signals(_stopping_teller(observers)) as stop,
            made_new(folder, overwrite=settings.overwrite) as run_folder,
        ):
            return _train(plan, run_folder, dataset, batches, _facts(plan, settings), observers, stop)


def resume_with(
    run: str | None = None, changes: Mapping[str, Any] | None = None, observers: Sequence[Observer] = ()
) -> Run:
    """Go on with a run, the newest if none is named, as if it had never stopped.

    Of its settings only the number of epochs may change, and only grow.
    """
    with ExitStack() as closing:
        for observer in observers:
            closing.callback(observer.close)
        folder = find_run(run)
        report = read_report(folder)
        settings = _resumed_settings(folder, TrainSettings.from_mapping(report["settings"]), changes or {})
        plan, dataset, batches = _prepare(folder, open_corpus(settings.corpus), settings, observers)
        if report["dataset"]["fingerprint"] != plan.fingerprint:
            raise CorpusError(
                f"The text of {settings.corpus} is not the one that {folder.name} began with: "
                "put it back, or train anew."
            )
        facts = {**report, "settings": settings.to_mapping()}
        with stop_on_signals(_stopping_teller(observers)) as stop, resumed(folder) as run_folder:
            return _train(plan, run_folder, dataset, batches, facts, observers, stop)


def _resumed_settings(folder: Path, began: TrainSettings, changes: Mapping[str, Any]) -> TrainSettings:
    different = {name: value for name, value in changes.items() if value != getattr(began, name) and name != "epochs"}
    if different:
        shown = ", ".join(f"{flag_name(name)} {getattr(began, name)} and not {different[name]}" for name in different)
        raise SettingError(f"The run {folder.name} was begun with {shown}: leave that out to resume it, or train anew.")
    epochs = changes.get("epochs", began.epochs)
    if epochs < began.epochs:
        raise SettingError(
            f"The run {folder.name} is to have {began.epochs} epochs: --epochs may grow, but not shrink."
        )
    return replace(began, epochs=epochs)


def _prepare(
    folder: Path, corpus: Corpus, settings: TrainSettings, observers: Sequence[Observer]
) -> tuple[Plan, Dataset, Batches]:
    dataset = prepare(corpus, TextSettings.part_of(settings), user_data() / "encoded", _teller(observers))
    batches = Batches(dataset.ids["train"], settings.batch_size, settings.seq_len, settings.random_seed)
    plan = _plan(folder, corpus, dataset, batches, settings)
    plan.check_memory(_physical_memory())
    return plan, dataset, batches


def _named(settings: Callable[Names, TrainSettings]) -> Callable[Names, Run]:
    def train(*values: Names.args, **named: Names.kwargs) -> Run:
        """Train a model, with the settings of the command line by name and its progress on the screen.

        >>> run = wordgen.train(corpus="lotr", layers=1, units=128, epochs=5)
        """
        from wordgen.training.progress import TerminalProgress
        from wordgen.training.screen import screen

        return train_with(settings(*values, **named), [TerminalProgress(screen())])

    train.__qualname__ = "train"
    train.__signature__ = inspect.signature(settings).replace(return_annotation=Run)  # pyright: ignore[reportFunctionMemberAccess]
    return train


train = _named(TrainSettings)


def _train(
    plan: Plan,
    folder: RunFolder,
    dataset: Dataset,
    batches: Batches,
    facts: dict[str, Any],
    observers: Sequence[Observer],
    stop: StopRequest,
) -> Run:
    began = time.monotonic()
    text = TextConfig(
        corpus=plan.corpus,
        tokenizer=plan.tokenizer,
        separator=dataset.codec.separator,
        starts=dataset.starts,
    )

    def bundle_with(weights: Weights) -> Bundle:
        return Bundle(plan.architecture, text, dataset.codec.vocabulary, weights)

    def warn(sentence: str) -> None:
        for observer in observers:
            observer.warned(sentence)

    everyone = [*observers, ReportFile(plan.folder, facts)]
    for observer in everyone:
        observer.planned(plan)

    import wordgen.model  # noqa: F401 - first, for it keeps TensorFlow's start-up notes off the screen
    from wordgen.training.assembly import learn

    def save(weights: Weights) -> None:
        save_bundle(bundle_with(weights), plan.folder)

    outcome = learn(plan, dataset, batches, bundle_with, save, everyone, stop, Checkpoints(plan.folder, warn))
    if outcome.whole_epochs == 0 and folder.replaces:
        folder.give_up()
        warn("Stopped before a whole epoch: the run that it would have replaced is back.")
    ending = Ending(
        reason=outcome.reason,
        stopped=outcome.stopped,
        model_kept=folder.kept and is_bundle(plan.folder),
        best=outcome.best,
        unigram_perplexity=_unigram(dataset),
        word_to_try=word_to_try(dataset.codec),
        seconds=time.monotonic() - began,
    )
    for observer in everyone:
        observer.ended(ending)
    return Run(plan.folder, outcome.epochs, ending)


def _plan(folder: Path, corpus: Corpus, dataset: Dataset, batches: Batches, settings: TrainSettings) -> Plan:
    network = NetworkSettings.part_of(settings)
    architecture = Architecture.of(network, len(dataset.codec.vocabulary))
    return Plan(
        run=folder.name,
        folder=folder,
        corpus=corpus.name,
        source=_source(corpus.files),
        unit=corpus.unit,
        tokenizer=dataset.codec.tokenizer.name,
        fingerprint=dataset.fingerprint,
        statistics=dataset.statistics,
        types=dataset.types,
        architecture=architecture,
        settings=TrainingSettings.part_of(settings),
        steps_per_epoch=batches.steps_per_epoch,
    )


def _source(files: Sequence[Path]) -> str:
    if files[0].parent == bundled_data():
        return "the bundled text"
    return str(files[0]) if len(files) == 1 else f"{len(files)} files in {files[0].parent}"


def _facts(plan: Plan, settings: TrainSettings) -> dict[str, Any]:
    return {
        "wordgen": __version__,
        "python": platform.python_version(),
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": plan.run,
        "settings": settings.to_mapping(),
    }


def _teller(observers: Sequence[Observer]) -> Callable[[int, int], None]:
    def tell(done: int, units: int) -> None:
        for observer in observers:
            observer.encoding(done, units)

    return tell


def _stopping_teller(observers: Sequence[Observer]) -> Callable[[], None]:
    def tell() -> None:
        for observer in observers:
            observer.stopping()

    return tell


def _unigram(dataset: Dataset) -> float:
    return unigram_perplexity(dataset.ids["train"], dataset.ids["valid"], len(dataset.codec.vocabulary))


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every system tells
        return 2**46
