"""The preparation of a run, without TensorFlow: the text as ids, the batches, and the plan."""

import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from wordgen.corpus.catalogue import bundled_data, user_data
from wordgen.corpus.corpus import Corpus
from wordgen.dataset.batches import Batches
from wordgen.dataset.dataset import Dataset
from wordgen.dataset.encoding import prepare
from wordgen.errors import SettingError
from wordgen.model.architecture import Architecture, NetworkSettings
from wordgen.model.base import Base
from wordgen.run.commands import models_flag
from wordgen.run.defaults import recipe_in_words, why_from_nothing
from wordgen.run.folder import find_base
from wordgen.run.names import name_of
from wordgen.run.settings import TrainSettings
from wordgen.text.settings import TextSettings
from wordgen.training.memory import free_memory, gpu_memory, physical_memory
from wordgen.training.plan import DatasetRecord, Plan, PreparedRun, TextRecord
from wordgen.training.reports import Observer
from wordgen.training.settings import DeviceSettings, TrainingSettings
from wordgen.training.stopping import StopRequest

_MUCH_UNKNOWN = 0.1
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

    def tell(done: int, size: int) -> None:
        if stop.requested:  # the run has no files yet, so it can end at once
            raise KeyboardInterrupt
        observer.encoding(done, size)

    text = TextSettings.part_of(settings)
    dataset = prepare(corpus, text, user_data() / "encoded", tell, base and base.vocabulary)
    batches = Batches(
        dataset.ids["train"], settings.batch_size, settings.seq_len, settings.random_seed, settings.vary_seq_len
    )
    plan = _plan(folder, corpus, dataset, batches, settings, workers, base)
    _check_memory(plan, settings, observer.warned)
    vocab_size, _ = text.limits(all_words=False)
    if (sentence := _about_unknown_words(plan, vocab_size)) is not None:
        observer.warned(sentence)
    return PreparedRun(plan, dataset, batches, began, base)


def _about_unknown_words(plan: Plan, vocab_size: int) -> str | None:
    """Return a sentence of advice if more than a tenth of the words in the validation set are UNKNOWN, else None.

    `vocab_size` is the limit of the vocabulary.
    """
    valid = plan.dataset.splits["valid"]
    share = valid.unknown / max(1, valid.words)
    if share <= _MUCH_UNKNOWN:
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
    of_gpu, needed = gpu_memory(DeviceSettings.part_of(settings)), plan.memory.all
    given = physical_memory() if of_gpu is None else of_gpu
    if needed > given and not settings.force_memory:
        raise SettingError(
            f"This network has {plan.architecture.parameters:,} parameters and needs about {needed / 2**30:,.1f} "
            f"GiB of memory for training, but only {given / 2**30:,.1f} GiB are there: use smaller numbers for "
            "--units, --layers, --vocab-size, --batch-size or --seq-len. With a large vocabulary, --sampled-output "
            "also helps. --force-memory trains anyway."
        )
    free = free_memory() if of_gpu is None else None
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
        recipe=_recipe(settings.recipe, corpus, dataset.codec.tokenizer.name),
        text=TextRecord.of(dataset.text, _source(corpus.files), (*corpus.notes, *dataset.notes)),
        dataset=DatasetRecord(dataset.fingerprint, dataset.types, dataset.codec.vocabulary.special, dataset.statistics),
        architecture=architecture,
        head_start=base and base.head_start(dataset.codec.vocabulary),
        beginning=_beginning(base, settings, corpus),
        settings=TrainingSettings.part_of(settings),
        steps_per_epoch=batches.steps_per_epoch,
        workers=workers,
        models_flag=shlex.join(models_flag()),
        devices=settings.local_devices or 1,
    )


def _beginning(base: Base | None, settings: TrainSettings, corpus: Corpus) -> str | None:
    """Return the base that a run begins from and what the base was trained on, or why the run begins from none."""
    if base is not None:
        return base.read and f"{base.name}, trained on {base.read}; --from-scratch begins with random weights instead"
    why = why_from_nothing(settings, corpus)
    return why and f"random weights: {why}"


def _recipe(name: str | None, corpus: Corpus, tokenizer: str) -> str | None:
    if name is None:
        return None
    try:
        return recipe_in_words(name, corpus.text_bytes, tokenizer)
    except SettingError:  # the recipe was a file that no longer exists when its run is resumed
        return name


def _source(files: Sequence[Path]) -> str:
    if files[0].parent == bundled_data():
        return "the bundled text"
    return str(files[0]) if len(files) == 1 else f"{len(files)} files in {files[0].parent}"
