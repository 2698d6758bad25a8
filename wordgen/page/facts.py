"""What the page tells of a run, taken out of its report and of what was measured.

A run that began with an older wordgen lacks some of it, and its page leaves that out.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from wordgen.architecture import Architecture
from wordgen.bundle import HeadStart
from wordgen.dataset.ids import SplitStatistics
from wordgen.evaluation.in_words import cache_in_words, learning_in_words, mixture_in_words
from wordgen.evaluation.measures import Loss
from wordgen.evaluation.uncertainty import Blocks
from wordgen.evaluation.verdict import Curves, finding, verdict
from wordgen.page.measured import model_step
from wordgen.run_settings import TrainSettings

PARTS = ("valid", "test")


@dataclass(frozen=True)
class Score:
    """How a model, or mere counting, does on a part of the text; nothing where it is beyond any number."""

    perplexity: float | None
    bits_per_character: float | None
    perplexity_off: float | None = None
    """How far it may be off, with 95% certainty, where that is known."""
    bits_per_character_off: float | None = None

    @classmethod
    def of(cls, mapping: Mapping[str, Any]) -> "Score":
        return cls(*(mapping.get(each.name) for each in fields(cls)))


@dataclass(frozen=True)
class Measured:
    """What was found on a part of the text."""

    model: Score
    ngram: Score | None
    order: int
    """How many symbols the n-grams have."""
    unigram: Score | None
    cache: Score | None = None
    """The model's with a memory of what it has just read."""
    cache_size: int | None = None
    dynamic: Score | None = None
    """The model's while it goes on learning."""
    mixture: Score | None = None
    """The model's with the n-grams mixed in."""
    set_on_valid: tuple[str, ...] = ()
    """How those three were set, in sentences."""
    notes: tuple[str, ...] = ()
    novelty: Mapping[str, Any] | None = None
    verdict: str | None = None
    """What evaluate said of it, knowing how far the figures may be off."""
    blocks: Blocks | None = None
    """What the model's predictions cost, by passages."""

    @classmethod
    def of(cls, part: str, mapping: Mapping[str, Any]) -> "Measured":
        ngram, unigram = mapping.get("kneser_ney"), mapping.get("unigram")
        cache, dynamic, mixture = mapping.get("cache"), mapping.get("dynamic"), mapping.get("mixture")
        order = 5 if ngram is None else ngram["order"]
        return cls(
            model=Score.of(mapping),
            ngram=None if ngram is None else Score.of(ngram),
            order=order,
            unigram=None if unigram is None else Score.of(unigram),
            cache=None if cache is None else Score.of(cache),
            cache_size=None if cache is None else cache["size"],
            dynamic=None if dynamic is None else Score.of(dynamic),
            mixture=None if mixture is None else Score.of(mixture),
            set_on_valid=tuple(_set_on_valid(part, cache, dynamic, mixture, order)),
            notes=tuple(mapping.get("notes") or ()),
            novelty=mapping.get("novelty"),
            verdict=mapping.get("verdict"),
            blocks=None if mapping.get("blocks") is None else np.array(mapping["blocks"], np.float64).reshape(-1, 2),
        )


def _set_on_valid(
    part: str,
    cache: Mapping[str, Any] | None,
    dynamic: Mapping[str, Any] | None,
    mixture: Mapping[str, Any] | None,
    order: int,
) -> Iterator[str]:
    told = [] if cache is None else [cache_in_words(cache["weight"], cache["flatness"], part)]
    told += [] if dynamic is None else [learning_in_words(dynamic["rate"], part)]
    told += [] if mixture is None else [mixture_in_words(mixture["weight"], order, part)]
    for sentence in told:
        yield f"On the {part} part {sentence[0].lower()}{sentence[1:]}"


@dataclass(frozen=True)
class WrittenText:
    mode: str
    text: str
    seed: str | None = None
    """Empty where the text begins anew; nothing where the report is older than this and does not say."""


@dataclass(frozen=True)
class Epoch:
    number: int
    place: float
    """How many epochs were done: a whole number, but for one that was broken off."""
    train: float
    valid: float
    seconds: float
    samples: tuple[WrittenText, ...]
    averaged: bool

    @classmethod
    def of(cls, mapping: Mapping[str, Any], steps_per_epoch: int) -> "Epoch":
        return cls(
            number=mapping["epoch"],
            place=mapping["step"] / steps_per_epoch,
            train=mapping["train_perplexity"],
            valid=mapping["valid_perplexity"],
            seconds=mapping["seconds"],
            samples=tuple(WrittenText(**sample) for sample in mapping["samples"]),
            averaged=mapping.get("averaged", False),
        )

    @property
    def whole(self) -> bool:
        return self.place >= self.number


@dataclass(frozen=True)
class Facts:
    run: str
    settings: TrainSettings
    report: Mapping[str, Any]
    epochs: tuple[Epoch, ...]
    best: Epoch | None
    """The one whose model is kept."""
    measured: Mapping[str, Measured]
    """What is known of the model as it is now, by the part of the text."""
    architecture: Architecture
    splits: Mapping[str, SplitStatistics]
    text: Mapping[str, Any] = field(default_factory=dict)
    """How the text was read, where the report says so."""

    @classmethod
    def of(cls, run: str, report: Mapping[str, Any], evaluated: Mapping[str, Any] | None = None) -> "Facts":
        """`evaluated` goes before what the report itself says of the valid part."""
        epochs = tuple(Epoch.of(each, report["steps_per_epoch"]) for each in report["epochs"])
        step = model_step(report)
        found = {**({"valid": report["valid"]} if report.get("valid") else {}), **(evaluated or {})}
        of_this_model = [part for part in PARTS if part in found and found[part]["step"] == step]
        best = report.get("best_epoch")
        return cls(
            run=run,
            settings=TrainSettings.from_mapping(report["settings"]),
            report=report,
            epochs=epochs,
            best=next((epoch for epoch in reversed(epochs) if epoch.number == best), None),
            measured={part: Measured.of(part, found[part]) for part in of_this_model},
            architecture=Architecture.from_mapping(report["architecture"]),
            splits={name: SplitStatistics(**each) for name, each in report["dataset"]["splits"].items()},
            text=report.get("text") or {},
        )

    @property
    def corpus(self) -> str:
        corpus = self.settings.corpus
        return self.text.get("corpus") or (corpus if isinstance(corpus, str) else ", ".join(corpus))

    @property
    def fingerprint(self) -> str:
        """The same for runs that learned the same symbols of the same text."""
        return self.report["dataset"]["fingerprint"]

    @property
    def head_start(self) -> HeadStart | None:
        """The model whose weights the run began with."""
        started = self.report["head_start"]
        return None if started is None else HeadStart.from_mapping(started)

    @property
    def word_frequencies(self) -> float | None:
        """Perplexity of word frequencies alone on the valid part."""
        valid = self.measured.get("valid")
        measured = valid.unigram.perplexity if valid and valid.unigram else None
        return self.report.get("unigram_perplexity") if measured is None else measured

    @property
    def ngram(self) -> tuple[int, float] | None:
        """Order and perplexity of the n-grams on the valid part."""
        valid = self.measured.get("valid")
        if valid is None or valid.ngram is None or valid.ngram.perplexity is None:
            return None
        return valid.order, valid.ngram.perplexity

    @property
    def evaluation(self) -> dict[str, int | bool | None]:
        """The settings of `evaluate` by which the model was measured on the test part, or else on valid."""
        found = self.measured.get("test") or self.measured.get("valid")
        if found is None:
            return {}
        samples = {} if found.novelty is None else {"samples": found.novelty["samples"]["texts"]}
        return {"cache": found.cache_size, "dynamic": found.dynamic is not None, **samples}

    @property
    def seconds(self) -> float:
        """Spent in all epochs, however often the run was interrupted."""
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def verdict(self) -> str | None:
        """How the model stands beside counting on the valid part, and what the curves advise."""
        if self.best is None:
            return None
        if "valid" in self.measured and self.measured["valid"].verdict is not None:
            return self.measured["valid"].verdict
        curves = curves_of(self.report, self.settings)
        order, ngram = self.ngram or (0, None)
        found = None if curves is None else finding(curves)
        return verdict(_loss(self.best.valid), found, _known_loss(self.word_frequencies), _known_loss(ngram), order)


def curves_of(report: Mapping[str, Any], settings: TrainSettings) -> Curves | None:
    """Those of all its epochs; the last may have been broken off."""
    try:
        steps = report["steps_per_epoch"]
        epochs: Sequence[Mapping[str, Any]] = report["epochs"]
        train, valid = ([float(each[f"{split}_perplexity"]) for each in epochs] for split in ("train", "valid"))
        broken_off = bool(epochs) and epochs[-1]["step"] < epochs[-1]["epoch"] * steps
    except (KeyError, TypeError, ValueError):
        return None
    return Curves(
        train,
        valid,
        longer=settings.longer(at_least=len(epochs) - broken_off),
        dropout=settings.acting(settings.layers),
        units=settings.units,
        learning_rate=settings.first_learning_rate,
        rate_stays=settings.schedule == "constant",
        diverged=report.get("ended") == "diverged",
        broken_off=broken_off,
    )


def _known_loss(perplexity: float | None) -> Loss | None:
    return None if perplexity is None else _loss(perplexity)


def _loss(perplexity: float) -> Loss:
    """For one symbol, which is as good as any number of them."""
    return Loss(math.log(perplexity), 1)
