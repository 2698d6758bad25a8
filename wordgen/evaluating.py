"""How good a trained model is, as one plain function: on a split of its corpus or any text, beside mere counting.

No TensorFlow here: NumPy needs less time for a split than TensorFlow needs to start.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wordgen.bundle import Bundle, load_bundle
from wordgen.dataset.ids import SplitStatistics
from wordgen.errors import CorpusError, SettingError
from wordgen.evaluation.adapting import WhileLearning, WithCache, while_learning, with_cache
from wordgen.evaluation.baselines import unigram_loss
from wordgen.evaluation.in_words import shown_perplexity
from wordgen.evaluation.measures import Loss
from wordgen.evaluation.mixing import Mixture, Predicted, mixed_with
from wordgen.evaluation.ngrams import NgramModel, memory_for, order_for
from wordgen.evaluation.novelty import Novelty, novelty
from wordgen.evaluation.samples import write_samples
from wordgen.evaluation.settings import EvaluationSettings
from wordgen.evaluation.stream import network_nats
from wordgen.evaluation.verdict import Finding, clearly_better, finding, verdict
from wordgen.evaluation.watcher import Watcher
from wordgen.evaluation.whole_words import memory_for as memory_for_words
from wordgen.generation.step import NumpyNetwork
from wordgen.generation.trained import TrainedModel
from wordgen.page.facts import PARTS
from wordgen.page.markup import element, joined
from wordgen.page.measured import keep_measured, read_measured
from wordgen.page.writing import write_page
from wordgen.run_folder import find_model
from wordgen.run_names import name_of
from wordgen.run_settings import TrainSettings
from wordgen.text_to_measure import MeasuredText, Origin, text_to_measure
from wordgen.training.memory import physical_memory


@dataclass(frozen=True, repr=False)
class Evaluation:
    """How good a model is on a text."""

    model: str
    """The name of its run."""
    split: str
    """`valid`, `test`, or the file."""
    corpus: str
    """What the model has learned."""
    own: Loss
    """The model's."""
    with_cache: WithCache | None
    """The model's with a memory of what it has just read, where that was asked for."""
    while_learning: WhileLearning | None
    """The model's while it goes on learning from what it reads, where that was asked for."""
    unigram: Loss | None
    """What word frequencies alone would cost, add-one; nothing where the training text cannot be had."""
    ngram: Loss | None
    """What an interpolated modified Kneser-Ney model would."""
    order: int
    """Of how many symbols its n-grams are."""
    mixture: Mixture | None
    """The model's with the n-grams mixed in, where the valid part can set their weight."""
    novelty: Novelty | None
    """How new is what it writes, beside that text; nothing without samples, or without the training text."""
    statistics: SplitStatistics
    notes: tuple[str, ...]
    """How the text was read, and what is left out and why, in short sentences."""
    finding: Finding | None
    """What the curves of the run show."""
    settings: TrainSettings | None
    """Those of the run, where its report lies beside the model."""
    can_go_on: bool
    """Whether the run can have more epochs and be what it would have been with them from the beginning."""
    folder: Path
    """Where the model lies."""
    step: int | None
    """The one of its run that it had reached; a run that goes on may have a better one by now."""

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {shown_perplexity(loss.perplexity)}" for name, loss in self._losses())
        return f"Evaluation({self.model!r} on {self.split}: {told})"

    def _repr_html_(self) -> str:
        """For a notebook: the model beside the baselines, and the verdict."""
        head = element("tr", *(element("th", name) for name in ("", "perplexity", "bits per character")))
        rows = [
            element(
                "tr",
                element("td", name),
                element("td", shown_perplexity(loss.perplexity)),
                element("td", f"{loss.bits_per(self.statistics.characters):.3f}"),
            )
            for name, loss in self._losses()
        ]
        of = element("p", f"{self.model} on {self.split}")
        return joined(of, element("table", head, *rows), element("p", self.verdict or ""))

    def _losses(self) -> Iterator[tuple[str, Loss]]:
        yield "perplexity", self.own
        if self.mixture is not None:
            yield f"mixed with the {self.order}-gram", self.mixture.loss
        if self.ngram is not None:
            yield f"{self.order}-gram", self.ngram
        if self.unigram is not None:
            yield "word frequencies", self.unigram

    @property
    def perplexity(self) -> float:
        return self.own.perplexity

    @property
    def symbols(self) -> int:
        """How many were predicted: words, punctuation and END, never START."""
        return self.own.symbols

    @property
    def bits_per_character(self) -> float:
        """All bits over all characters, separators of units among them: so other tokenizers can be compared."""
        return self.own.bits_per(self.statistics.all_characters)

    @property
    def unknown_share(self) -> float:
        """The share of words that are UNKNOWN to the model."""
        return self.statistics.unknown / max(1, self.statistics.words)

    @property
    def spelled_share(self) -> float:
        """The share of words that the model spells out."""
        return self.statistics.spelled / max(1, self.statistics.words)

    @property
    def bad(self) -> bool:
        """Whether it is no better than mere counting."""
        return any(not clearly_better(self.own, each) for each in (self.ngram, self.unigram) if each is not None)

    @property
    def verdict(self) -> str | None:
        """One sentence: better or worse than counting, and what the curves advise."""
        return verdict(self.own, self.finding, self.unigram, self.ngram, self.order)

    def to_mapping(self) -> dict[str, Any]:
        """For programs."""
        characters = self.statistics.all_characters
        cached, learning, mixture = self.with_cache, self.while_learning, self.mixture
        return {
            "model": self.model,
            "corpus": self.corpus,
            "split": self.split,
            "symbols": self.symbols,
            "characters": characters,
            "unknown_share": self.unknown_share,
            "spelled_share": self.spelled_share,
            **self.own.to_mapping(characters),
            "cache": None if cached is None else {**asdict(cached.cache), **self._beside(cached.loss)},
            "dynamic": None if learning is None else {"rate": learning.rate, **self._beside(learning.loss)},
            "mixture": None if mixture is None else {"weight": mixture.weight, **self._beside(mixture.loss)},
            "unigram": None if self.unigram is None else self._beside(self.unigram),
            "kneser_ney": None if self.ngram is None else {"order": self.order, **self._beside(self.ngram)},
            "fit": None if self.finding is None else self.finding.fit,
            "verdict": self.verdict,
            "novelty": None if self.novelty is None else self.novelty.to_mapping(),
            "notes": list(self.notes),
        }

    def _beside(self, loss: Loss) -> dict[str, Any]:
        """The figures of something else, and whether these differ from the model's beyond chance."""
        return {**loss.to_mapping(self.statistics.all_characters), "differs": loss.differs(self.own)}


def evaluate(
    model: str | Path | TrainedModel | None = None,
    split: str | Path = "test",
    watcher: Watcher | None = None,
    *,
    samples: int = EvaluationSettings.samples,
    cache: int | None = None,
    dynamic: bool = False,
) -> Evaluation:
    """Measure a model: a run's name, a folder or what `wordgen.load` gave; the newest when nothing is given.

    >>> wordgen.evaluate("lotr", split="valid").perplexity

    `split` is valid or test of the model's own corpus, or a text file or a folder of them. The model writes so many
    `samples` to see how new they are, always the same ones; with 0 that is left out. With a `cache` of so many
    symbols, and `dynamic`, it is measured again while it gets used to the text.
    """
    settings = EvaluationSettings(samples=samples, cache=cache, dynamic=dynamic)
    watcher = watcher or Watcher()
    folder = _folder_of(model)
    bundle, origin = _model_and_origin(folder)
    text = text_to_measure(origin, bundle, str(split), watcher)
    network = NumpyNetwork(bundle.architecture, bundle.weights)
    predicted = Predicted(text.ids, network_nats(network, text.ids, watcher.predicting))
    with_cache, while_learning = _adapted(text, bundle, settings, watcher)
    order = order_for(bundle.text.tokenizer)
    counted = _counted(text, network, predicted, order, watcher)
    new, left_out = _novelty(text, bundle, settings.samples, watcher)
    return Evaluation(
        model=name_of(folder),
        split=str(split),
        corpus=bundle.text.corpus,
        own=Loss.of(predicted.nats, text.ids),
        with_cache=with_cache,
        while_learning=while_learning,
        unigram=counted.unigram,
        ngram=counted.ngram,
        order=order,
        mixture=counted.mixture,
        novelty=new,
        statistics=text.statistics,
        notes=(*text.notes, *counted.notes, *left_out),
        finding=None if origin.curves is None else finding(origin.curves),
        settings=origin.settings,
        can_go_on=origin.can_go_on,
        folder=folder,
        step=origin.step,
    )


def keep(evaluated: Evaluation) -> Path | None:
    """Write what was found on a part of its corpus beside the model, and the page of its run anew: where that lies.

    Of a model without its report, or of another text, nothing is kept.
    """
    folder = evaluated.folder
    if evaluated.split not in PARTS or evaluated.settings is None:
        return None
    entry = {**evaluated.to_mapping(), "step": evaluated.step}
    if evaluated.own.blocks is not None:
        entry["blocks"] = evaluated.own.blocks.round(3).tolist()
    if evaluated.novelty is not None and not evaluated.settings.copy_index:
        entry["novelty"] = _without_copied_text(entry["novelty"])
    before = read_measured(folder).get(evaluated.split, {})
    if before.get("step") == evaluated.step:  # what was not asked for this time is as true as it was
        entry |= {key: before.get(key) for key in ("novelty", "cache", "dynamic") if entry[key] is None}
    keep_measured(folder, evaluated.split, entry)
    return write_page(folder)


def _without_copied_text(novelty: dict[str, Any]) -> dict[str, Any]:
    """Where the training text must not be passed on with the model, not even the longest run of it is."""
    figures = {which: novelty[which] for which in ("samples", "held_out")}
    bare = {
        which: each | {"longest": each["longest"] and {**each["longest"], "text": ""}}
        for which, each in figures.items()
    }
    return novelty | bare


def _model_and_origin(folder: Path) -> tuple[Bundle, Origin]:
    """A model and how it came to be: of one moment, though its run may be saving a better one."""
    while True:
        before, bundle, origin = Origin.beside(folder), load_bundle(folder), Origin.beside(folder)
        if before.step == origin.step:
            return bundle, origin


def _folder_of(model: str | Path | TrainedModel | None) -> Path:
    if not isinstance(model, TrainedModel):
        return find_model(model)
    if model.folder is None:
        raise SettingError("This model has no folder: give wordgen.evaluate a run's name or a model's folder.")
    return model.folder


def _adapted(
    text: MeasuredText, bundle: Bundle, settings: EvaluationSettings, watcher: Watcher
) -> tuple[WithCache | None, WhileLearning | None]:
    """The network while it gets used to the text; how, is found out on the valid part of what it has learned."""
    if settings.cache is None and not settings.dynamic:
        return None, None
    if text.learned is None:
        raise CorpusError(
            "--cache and --dynamic are set on the valid part of the model's own corpus, and that cannot be found: put "
            "it back, or leave them out."
        )
    valid = text.learned.ids["valid"]
    cached = learned = None
    if settings.cache is not None:
        cached = with_cache(bundle, valid, text.ids, settings.cache, watcher.trying, watcher.adapting)
    if settings.dynamic:
        learned = while_learning(bundle, valid, text.ids, watcher.trying, watcher.adapting)
    return cached, learned


@dataclass(frozen=True)
class _Counted:
    """What counting reaches on a text, alone and with the model."""

    unigram: Loss | None = None
    ngram: Loss | None = None
    mixture: Mixture | None = None
    notes: tuple[str, ...] = ()


def _counted(text: MeasuredText, network: NumpyNetwork, own: Predicted, order: int, watcher: Watcher) -> _Counted:
    """Word frequencies and n-grams of the training text; the latter are left out where they would fill the memory."""
    if text.learned is None:
        return _Counted()
    train, size = text.learned.ids["train"], network.architecture.vocabulary_size
    unigram = unigram_loss(train, text.ids, size)
    needed = memory_for(len(train), order)
    if needed > physical_memory() / 2:
        return _Counted(unigram, notes=(f"No {order}-gram: counting would take {needed / 2**30:,.0f} GiB of memory.",))
    watcher.counting(len(train), order)
    ngram = NgramModel(train, size, order)
    valid = text.learned.ids["valid"]
    same = text.ids is valid  # then the network has read it already
    of_valid = own if same else Predicted(valid, network_nats(network, valid, watcher.weighing))
    return _Counted(unigram, *mixed_with(ngram, of_valid, own))


def _novelty(
    text: MeasuredText, bundle: Bundle, samples: int, watcher: Watcher
) -> tuple[Novelty | None, Sequence[str]]:
    """What the model writes, beside the text: a part of the corpus, or whatever else it is measured on."""
    if text.learned is None or not samples:
        return None, ()
    symbols = len(text.learned.ids["train"])
    needed = memory_for_words(symbols, bundle.vocabulary)
    if needed > physical_memory() / 2:
        return None, (f"No look at what it writes: searching would take {needed / 2**30:,.0f} GiB of memory.",)
    written = write_samples(bundle, samples, watcher.writing)
    watcher.searching(symbols)
    beside = "the held-out text" if text.held_out else Path(text.name).name or text.name
    return novelty(written, text.ids, text.learned, beside), ()
