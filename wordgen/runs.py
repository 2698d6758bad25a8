"""Training as one plain function: from settings to a folder with a model that can write.

TensorFlow is imported inside `train_with`, when the plan is on the screen already.
"""

import hashlib
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wordgen import __version__
from wordgen.corpora.corpus import Corpus
from wordgen.corpora.fetching import Fetching
from wordgen.corpora.finding import open_corpus
from wordgen.corpora.settings import ReadingSettings
from wordgen.errors import CorpusError
from wordgen.generation.copies import COPY_INDEX
from wordgen.run_end import Run, end_run, report_file, telling_of_divergence
from wordgen.run_folder import RunFolder, find_run, folder_for, made_new, resumed
from wordgen.run_names import name_of, run_name
from wordgen.run_plan import PreparedRun, prepare_run
from wordgen.run_settings import OF_THE_DEVICES, TrainSettings, compared_settings, resumed_settings
from wordgen.training.checkpoint import Checkpoints, Position
from wordgen.training.report_file import read_report
from wordgen.training.reports import Observer, Outcome, Plan, Speed, warner
from wordgen.training.schedule import Schedule
from wordgen.training.settings import DeviceSettings, TrainingSettings
from wordgen.training.stopping import StopRequest, stop_on_signals
from wordgen.training.workers import Place, place_of, warning_about_ports

if TYPE_CHECKING:
    from wordgen.training.assembly import Learner


def train_with(settings: TrainSettings, observers: Sequence[Observer] = ()) -> Run:
    """Train a model and keep its best state in saved_models/; the observers are told what happens.

    Where several workers learn together, each calls this; the chief alone writes files and tells observers.
    """
    with _watched(settings, observers) as (corpus, place, observers, stop):
        name = run_name(settings.name, corpus.name)
        folder = folder_for(name, overwrite=settings.overwrite or not place.chief)
        made = made_new(folder, overwrite=settings.overwrite, numbered=settings.name is None)
        with made if place.chief else nullcontext() as run_folder:
            folder = folder if run_folder is None else run_folder.path
            prepared = prepare_run(folder, corpus, settings, observers, stop, place.workers)
            joined = _join(prepared, settings, place, observers, stop)
            return _train(joined, run_folder, _facts(folder, joined.settings), stop)


def plan_with(settings: TrainSettings, observers: Sequence[Observer] = ()) -> Plan:
    """What a run would be, without TensorFlow; one that this machine cannot hold is refused."""
    with _watched(settings, observers) as (corpus, _, observers, stop):
        folder = folder_for(run_name(settings.name, corpus.name), overwrite=True)
        plan = prepare_run(folder, corpus, settings, observers, stop).plan
        if stop.requested:
            raise KeyboardInterrupt
        return plan


def dry_run_with(settings: TrainSettings, observers: Sequence[Observer] = ()) -> Speed:
    """Plan a run and measure how fast it would go; nothing is kept."""
    with _watched(settings, observers) as (corpus, place, observers, stop):
        folder = folder_for(run_name(settings.name, corpus.name), overwrite=True)
        prepared = prepare_run(folder, corpus, settings, observers, stop, place.workers)
        joined = _join(prepared, settings, place, observers, stop, dry=True)
        from wordgen.training.joining import telling_of_a_lost_worker

        with telling_of_a_lost_worker(joined.learner.replicas, name_of(folder)):
            speed = joined.learner.measure()
        begun = joined.learner.begun(joined.learner.last_step(speed))
        for observer in observers:
            observer.measured(begun, speed)
        return speed


def resume_with(
    run: str | None = None, changes: Mapping[str, Any] | None = None, observers: Sequence[Observer] = ()
) -> Run:
    """Go on with a run, the newest if none is named, as if it had never stopped.

    Of its settings only the number of epochs may change, and only grow; but it may go on on other devices,
    or more of them, and save more often.
    """
    folder = find_run(run)
    report = read_report(folder)
    settings = resumed_settings(name_of(folder), TrainSettings.from_mapping(report["settings"]), changes or {})
    with ExitStack() as ending:
        corpus, place, observers, stop = ending.enter_context(_watched(settings, observers))
        run_folder = ending.enter_context(resumed(folder)) if place.chief else None
        prepared = prepare_run(folder, corpus, settings, observers, stop, place.workers)
        if report["dataset"]["fingerprint"] != prepared.plan.fingerprint:
            raise CorpusError(
                f"The text of {prepared.plan.corpus} is not the one that {name_of(folder)} began with, "
                "or another version of wordgen read it: put it back, or train anew."
            )
        # With others the chief alone could see it, and they would wait for it in vain.
        if run_folder is not None and place.workers == 1 and (outcome := _over_already(prepared, observers)):
            return _tell_again(outcome, prepared, run_folder, {**report, "settings": settings.to_mapping()}, observers)
        if settings.schedule == "cosine" and settings.epochs > report["settings"]["epochs"]:
            warner(observers)(
                f"The learning rate comes down over all epochs: with {settings.epochs} in the place of "
                f"{report['settings']['epochs']} it goes up again, so this is not what {settings.epochs} from the "
                "beginning would have given."
            )
        joined = _join(prepared, settings, place, observers, stop)
        return _train(joined, run_folder, {**report, "settings": joined.settings.to_mapping()}, stop)


@contextmanager
def _watched(
    settings: TrainSettings, observers: Sequence[Observer]
) -> Iterator[tuple[Corpus, Place, Sequence[Observer], StopRequest]]:
    """The text, this process among the workers, who is told what happens in it, and the signals it listens to.

    It listens once the text is here: while one is fetched, Ctrl-C ends that at once.
    """
    with ExitStack() as closing:
        for observer in observers:
            closing.callback(observer.close)
        place = place_of(DeviceSettings.part_of(settings))
        told = observers if place.chief else ()
        corpus = open_corpus(settings.corpus, ReadingSettings.part_of(settings), _fetching_teller(told))
        stop = closing.enter_context(stop_on_signals(_stopping_teller(told)))
        yield corpus, place, told, stop


@dataclass(frozen=True)
class _Joined:
    """A run whose devices are there."""

    prepared: PreparedRun
    settings: TrainSettings
    learner: "Learner"


def _join(
    prepared: PreparedRun,
    settings: TrainSettings,
    place: Place,
    observers: Sequence[Observer],
    stop: StopRequest,
    *,
    dry: bool = False,
) -> _Joined:
    """Show the plan, start TensorFlow, meet the other workers, and put the parts together."""
    for observer in observers:
        observer.planned(prepared.plan)
    if warning := warning_about_ports(place):
        warner(observers)(warning)
    for observer in observers:
        observer.starting()

    import wordgen.model  # noqa: F401 - first, for it keeps TensorFlow's start-up notes off the screen
    from wordgen.training.assembly import Learner
    from wordgen.training.hardware import settled, unused_gpu
    from wordgen.training.joining import join, telling_of_a_lost_worker

    if settings.local_devices is None and (sentence := unused_gpu()):
        warner(observers)(sentence)
    agreement = _agreement(prepared.plan, settings, dry=dry)
    replicas = join(DeviceSettings.part_of(settings), place, agreement, stop)
    with telling_of_a_lost_worker(replicas, prepared.plan.run):
        replicas.check_rows(settings.batch_size)
        settings = replace(settings, precision=settled(settings.precision, replicas))
        plan = replace(prepared.plan, settings=TrainingSettings.part_of(settings))
        learner = Learner(plan, prepared.dataset, prepared.batches, replicas, observers, prepared.began, prepared.base)
    return _Joined(prepared, settings, learner)


def _over_already(prepared: PreparedRun, observers: Sequence[Observer]) -> Outcome | None:
    """How a run that is resumed has come to its end, if it has: then TensorFlow is not worth starting."""
    plan = prepared.plan
    if plan.settings.copy_index and not (plan.folder / COPY_INDEX).is_dir():
        return None  # there is that to write

    def reason_to_end(position: Position) -> str | None:
        return Schedule.of(plan.settings, plan.steps_per_epoch, position).reason_to_end(position)

    checkpoints = Checkpoints(plan.folder, warner(observers))
    if reason_to_end(checkpoints.newest_position()) is None:
        return None
    whole = checkpoints.newest()
    position = whole.position if whole else Position()
    reason = reason_to_end(position)
    return Outcome(reason, tuple(position.epochs), position.epoch - 1) if reason else None


def _tell_again(
    outcome: Outcome, prepared: PreparedRun, folder: RunFolder, facts: dict[str, Any], observers: Sequence[Observer]
) -> Run:
    """All that is told of a run that has nothing left to learn."""
    for observer in observers:
        observer.planned(prepared.plan)
    report = report_file(prepared.plan, facts)
    if outcome.best is not None:  # its model was saved before the checkpoint that says so
        report.model_saved(outcome.best)
    return end_run(outcome, prepared, folder, [*observers, report], report)


def _agreement(plan: Plan, settings: TrainSettings, *, dry: bool) -> str:
    """The same for all workers that would learn the same; the corpus may lie elsewhere on each."""
    own = {"name", "overwrite", "corpus", "precision", *OF_THE_DEVICES}
    shared = {name: value for name, value in settings.to_mapping().items() if name not in own}
    versions = [f"{name} {version(name)}" for name in ("tensorflow", "keras")]
    described = f"wordgen {__version__} {versions} {dry} {plan.fingerprint} {plan.head_start} {sorted(shared.items())}"
    return hashlib.sha256(described.encode()).hexdigest()


def _train(joined: _Joined, folder: RunFolder | None, facts: dict[str, Any], stop: StopRequest) -> Run:
    """Learn to the end; the folder is the chief's alone."""
    from wordgen.training.joining import telling_of_a_lost_worker

    learner = joined.learner
    report = None if folder is None else report_file(learner.plan, facts)
    with ExitStack() as closing:
        if report is not None:
            curves = _curves(joined)
            closing.callback(curves.close)
            learner.observers = [*learner.observers, report, curves]
        with (
            telling_of_a_lost_worker(learner.replicas, learner.plan.run),
            telling_of_divergence(joined.prepared, report),
        ):
            outcome = learner.learn(stop)
        if folder is not None and outcome.whole_epochs == 0 and folder.replaces:
            folder.give_up()
            learner.warn("Stopped before a whole epoch: the run that it would have replaced is back.")
        return end_run(outcome, joined.prepared, folder, learner.observers, report)


def _curves(joined: _Joined) -> Observer:
    from wordgen.training.tensorboard import TensorBoardWriter

    learner = joined.learner
    settings = compared_settings(joined.settings)
    return TensorBoardWriter(
        learner.plan, joined.prepared.dataset, settings, learner.network.to_weights, warner(learner.observers)
    )


def _facts(folder: Path, settings: TrainSettings) -> dict[str, Any]:
    return {
        "wordgen": __version__,
        "python": platform.python_version(),
        **{library: version(library) for library in ("tensorflow", "keras", "numpy")},
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": name_of(folder),
        "settings": settings.to_mapping(),
    }


def _fetching_teller(observers: Sequence[Observer]) -> Fetching:
    def tell(file: str, done: int, total: int) -> None:
        for observer in observers:
            observer.downloading(file, done, total)

    return tell


def _stopping_teller(observers: Sequence[Observer]) -> Callable[[], None]:
    def tell() -> None:
        for observer in observers:
            observer.stopping()

    return tell
