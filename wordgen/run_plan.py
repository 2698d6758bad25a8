"""A run before TensorFlow is there: its text as ids, its batches, and its plan."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wordgen.architecture import Architecture, NetworkSettings
from wordgen.base import Base
from wordgen.corpora.catalogue import bundled_data, user_data
from wordgen.corpora.corpus import Corpus
from wordgen.dataset.batches import Batches
from wordgen.dataset.encoding import Dataset, prepare
from wordgen.default_base import why_from_nothing
from wordgen.errors import SettingError
from wordgen.recipes import recipe_in_words
from wordgen.run_folder import find_base
from wordgen.run_names import name_of
from wordgen.run_settings import TrainSettings
from wordgen.text.settings import TextSettings
from wordgen.training.gpus import gpu_memory
from wordgen.training.memory import free_memory, physical_memory
from wordgen.training.reports import Observer, Plan, warner
from wordgen.training.settings import DeviceSettings, TrainingSettings
from wordgen.training.stopping import StopRequest

_MUCH_UNKNOWN = 0.1
"""The fables have 15 % at the defaults, the spells 18 %."""


@dataclass(frozen=True)
class PreparedRun:
    plan: Plan
    dataset: Dataset
    batches: Batches
    began: float
    base: Base | None
    """The model whose weights it begins with."""


def prepare_run(
    folder: Path,
    corpus: Corpus,
    settings: TrainSettings,
    observers: Sequence[Observer],
    stop: StopRequest,
    workers: int = 1,
) -> PreparedRun:
    began = time.monotonic()
    base = None if settings.init_from is None else find_base(settings.init_from)
    dataset = prepare(
        corpus,
        TextSettings.part_of(settings),
        user_data() / "encoded",
        _teller(observers, stop),
        base and base.vocabulary,
    )
    batches = Batches(
        dataset.ids["train"], settings.batch_size, settings.seq_len, settings.random_seed, settings.vary_seq_len
    )
    plan = _plan(folder, corpus, dataset, batches, settings, workers, base)
    _check_memory(plan, settings, warner(observers))
    vocab_size, _ = TextSettings.part_of(settings).limits(all_words=False)
    if (sentence := about_unknown_words(plan, vocab_size)) is not None:
        warner(observers)(sentence)
    return PreparedRun(plan, dataset, batches, began, base)


def about_unknown_words(plan: Plan, vocab_size: int) -> str | None:
    """What to do where more than a tenth of the validation words is UNKNOWN."""
    valid = plan.statistics["valid"]
    share = valid.unknown / max(1, valid.words)
    if share <= _MUCH_UNKNOWN:
        return None
    size = plan.architecture.vocabulary_size
    if size == vocab_size:
        advice = f"--vocab-size {2 * size} knows more of the text's {plan.types:,} different symbols"
    else:
        advice = "take more text"
    return (
        f"{share:.0%} of the validation words are UNKNOWN: the network learns that a rare word stands there, but not "
        f"which, and perplexity flatters. To learn them, {advice}, or spell them out with --unknown spell."
    )


def _check_memory(plan: Plan, settings: TrainSettings, warn: Callable[[str], None]) -> None:
    """Refuse what does not fit into the memory of the machine, and warn of what does not fit into what is free."""
    of_gpu = gpu_memory(DeviceSettings.part_of(settings))
    if not settings.force_memory:
        plan.check_memory(physical_memory() if of_gpu is None else of_gpu)
    free = free_memory() if of_gpu is None else None
    if free is not None and plan.memory.all > free:
        warn(
            f"Learning needs about {plan.memory.all / 2**30:,.1f} GiB of memory, and {free / 2**30:,.1f} GiB are free "
            "right now: it may become slow or be ended by the system. Close other programs."
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
        corpus=corpus.name,
        source=_source(corpus.files),
        recipe=_recipe(settings.recipe, corpus),
        notes=(*corpus.notes, *dataset.notes),
        unit=corpus.cut_at,
        line_breaks=corpus.line_breaks,
        fold_width=corpus.fold_width,
        tokenizer=dataset.codec.tokenizer.name,
        fingerprint=dataset.fingerprint,
        statistics=dataset.statistics,
        types=dataset.types,
        special_symbols=dataset.codec.vocabulary.special,
        architecture=architecture,
        head_start=base and base.head_start(dataset.codec.vocabulary),
        beginning=_beginning(base, settings, corpus),
        settings=TrainingSettings.part_of(settings),
        steps_per_epoch=batches.steps_per_epoch,
        workers=workers,
        devices=settings.local_devices or 1,
    )


def _beginning(base: Base | None, settings: TrainSettings, corpus: Corpus) -> str | None:
    """What a run begins from and what that has read, or why it begins from nothing."""
    if base is not None:
        return base.read and f"{base.name}, which has read {base.read}; --from-scratch begins from nothing"
    why = why_from_nothing(settings, corpus)
    return why and f"nothing: {why}"


def _recipe(name: str | None, corpus: Corpus) -> str | None:
    if name is None:
        return None
    try:
        return recipe_in_words(name, corpus.text_bytes)
    except SettingError:  # a file that is gone by the time that its run is resumed
        return name


def _source(files: Sequence[Path]) -> str:
    if files[0].parent == bundled_data():
        return "the bundled text"
    return str(files[0]) if len(files) == 1 else f"{len(files)} files in {files[0].parent}"


def _teller(observers: Sequence[Observer], stop: StopRequest) -> Callable[[int, int], None]:
    def tell(done: int, size: int) -> None:
        if stop.requested:  # nothing of the run is there yet that would have to end well
            raise KeyboardInterrupt
        for observer in observers:
            observer.encoding(done, size)

    return tell
