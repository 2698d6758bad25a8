"""The figures of a model on a text as plain values.

Screens and pages show the figures, and a file in the folder of the model keeps them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from wordgen.evaluation.figures import many
from wordgen.evaluation.measures import Loss
from wordgen.evaluation.music_figures import Music

Part = Literal["valid", "test"]
"""A part of the corpus that the network is not trained on."""
PARTS: tuple[Part, ...] = ("valid", "test")

LENGTHS = range(3, 9)
"""The lengths of the sequences that are searched for in the training text. They count tokens; a word that is spelled
out counts as one token."""
LONGEST = LENGTHS[-1]

RECITES = 0.5
"""A model recites if the training text has at least this share of its sequences of eight tokens. Then most of what it
writes is copied, and only the way in which the copies are joined is new."""
Originality = Literal["recites", "less original", "as original", "more original"]


@dataclass(frozen=True)
class Cache:
    size: int
    """How many tokens the cache remembers."""
    flatness: float
    """How much similarity counts. With 0, all remembered tokens count the same: the probability of a token is its
    frequency in the cache."""
    weight: float
    """The share of the probability that the cache gives. The network gives the rest."""


@dataclass(frozen=True)
class WithCache:
    cache: Cache
    loss: Loss


@dataclass(frozen=True)
class WhileLearning:
    rate: float
    """The learning rate; 0 if training on what it reads does not help."""
    loss: Loss


@dataclass(frozen=True)
class Mixture:
    weight: float
    """The share of each probability that the n-gram gives. The network gives the rest."""
    loss: Loss


@dataclass(frozen=True)
class Match:
    """Tokens in a row that the training text has, too."""

    tokens: int
    text: str
    file: str
    line: int
    """The line of that file in which the match begins, counted from 1. If the training text has the match several
    times, this is the first occurrence."""


@dataclass(frozen=True)
class Figures:
    """How new and how varied some texts are. A word that is spelled out counts as one token; START does not count."""

    texts: int
    tokens: int
    shares: Mapping[int, float | None]
    """For each of LENGTHS, the share of sequences of that length that the training text has. None if the texts have no
    sequence of that length."""
    longest: Match | None
    """The longest match in the training text, or None if no token matches."""
    distinct_1: float | None
    """The number of different tokens, divided by the number of all tokens."""
    distinct_2: float | None
    """The number of different pairs of neighbouring tokens, divided by the number of all pairs."""
    repetition: float | None
    """The share of sequences of four tokens that occurred earlier in the same text."""
    self_bleu: float | None
    """How similar each text is to the others (BLEU), from 0 to 1."""

    def to_mapping(self) -> dict[str, object]:
        """Return the figures as a dict for JSON output. The keys of `shares` become strings."""
        return {**asdict(self), "shares": {str(length): share for length, share in self.shares.items()}}


@dataclass(frozen=True)
class Novelty:
    """How new the texts of a model are, compared with held-out text."""

    samples: Figures
    held_out: Figures
    beside: str
    """The name of the held-out text in sentences."""
    originality: Originality | None
    """None if no text is long enough to tell."""
    told_by: int
    """The length in tokens of the sequences that decided `originality`."""

    def compared_in_words(self, *, unknown: bool) -> str:
        """Return a sentence that says which texts are compared. `unknown` is True if words of the text are UNKNOWN."""
        own, other = self.samples, self.held_out
        counts_as_new = " A sequence that contains UNKNOWN counts as new." if unknown else ""
        return (
            f"{own.tokens:,} tokens in {many(own.texts, 'text')} that the model wrote at temperature 1, compared with "
            f"{other.tokens:,} tokens in {many(other.texts, 'piece')} of {self.beside}.{counts_as_new}"
        )

    @property
    def means_in_words(self) -> str:
        """The end of a sentence that names self-BLEU last, if self-BLEU and distinct are means over groups of texts.

        They are if there are fewer held-out texts than written ones, but at least two.
        """
        fewer = 1 < self.held_out.texts < self.samples.texts
        return f"; self-BLEU and distinct are means over groups of {self.held_out.texts:,} texts" if fewer else ""

    @property
    def verdict(self) -> str | None:
        """One sentence about the originality of the texts, or None if it is not known."""
        own, other = (each.shares[self.told_by] for each in (self.samples, self.held_out))
        if self.originality is None or own is None or other is None:
            return None
        seen = f"the training text also has {own:.1%} of its sequences of {self.told_by} tokens"
        compared = f"{other:.1%} of those of {self.beside}"
        if self.originality == "recites" and other >= RECITES:
            return f"The model recites: {seen}. But it also has {compared}, which is hardly new either."
        said = {
            "recites": "recites",
            "less original": f"is less original than {self.beside}",
            "as original": f"is as original as {self.beside}",
            "more original": f"is more original than {self.beside}, and less similar to the training text",
        }
        return f"The model {said[self.originality]}: {seen}, and {compared}."

    def to_mapping(self) -> dict[str, object]:
        """Return the values as a dict for JSON output."""
        return {
            "samples": self.samples.to_mapping(),
            "held_out": self.held_out.to_mapping(),
            "originality": self.originality,
            "told_by": self.told_by,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """How good a model is on a text, compared with what word frequencies and n-grams reach."""

    step: int | None
    """The step of its run that the model had reached, or None if the record of the run is missing. If the run goes on,
    it may have saved a better model since."""
    characters: int
    """The number of characters of the text, including the separators between its passages."""
    own: Loss
    """The loss of the model alone."""
    unigram: Loss | None = None
    """The loss of word frequencies alone, with add-one smoothing. None if the training text is missing."""
    ngram: Loss | None = None
    """The loss of an interpolated modified Kneser-Ney model. None if the training text is missing, or too large to
    count its n-grams."""
    order: int
    """The order of the n-grams: how many tokens each has."""
    mixture: Mixture | None = None
    """The loss of the model mixed with the n-grams. None if the n-grams or the losses of the single tokens are missing,
    or if the validation set cannot set the weight."""
    with_cache: WithCache | None = None
    """The loss of the model with a cache of what it has just read. None if this was not requested."""
    while_learning: WhileLearning | None = None
    """The loss of the model while it trains on what it reads. None if this was not requested."""
    novelty: Novelty | None = None
    """How new the texts of the model are, compared with the measured text. None if no samples were requested, or if the
    training text is missing or too large to search."""
    music_notes: int | None = None
    """The number of notes of the text. None if the model has not learned music."""
    music: Music | None = None
    """How good the music of the model is, compared with the measured music. None if no samples were requested, or if
    the model has not learned music."""
    notes: tuple[str, ...] = ()
    """Short sentences: how the text was read, what is left out, and why."""

    def losses(self) -> Iterator[tuple[str, Loss]]:
        """Yield the name and the loss of the model, and of each alternative and baseline that was measured."""
        yield from ((name, loss) for name, loss in self.all_losses() if loss is not None)

    def all_losses(self) -> Iterator[tuple[str, Loss | None]]:
        """Yield the name and the loss of the model, and of each alternative and baseline.

        The loss is None if it was not measured.
        """
        cached, learning, mixture = self.with_cache, self.while_learning, self.mixture
        yield "the model", self.own
        yield f"with a cache of {cached.cache.size if cached else 0:,}", None if cached is None else cached.loss
        yield "dynamic evaluation", None if learning is None else learning.loss
        yield f"mixed with the {self.order}-gram", None if mixture is None else mixture.loss
        yield f"{self.order}-gram, Kneser-Ney", self.ngram
        yield "word frequencies", self.unigram

    def how_it_was_set(self, split: str) -> Iterator[str]:
        """Yield sentences that say with which values the cache, the training and the mixture were measured.

        The values were set on the validation set. `split` is what is measured: `valid`, `test` or a file. For `valid`,
        the sentences add that this makes the figures slightly too good.
        """
        same = "(chosen on this same text, so the figure is slightly too good)"
        chosen = same if split == "valid" else "(chosen on the validation set)"
        if self.with_cache is not None:
            cache = self.with_cache.cache
            shares = f"{cache.weight:.0%} of the probability, with a flatness of {cache.flatness:g}"
            yield f"The cache gives {shares} {chosen}."
        if self.while_learning is not None:
            yield f"Dynamic evaluation trains with a learning rate of {self.while_learning.rate:g} {chosen}."
        if self.mixture is not None:
            weight = f"{self.mixture.weight:.0%} of each probability"
            use = f"To write or score with it, use --mix {self.mixture.weight:.2g}."
            yield f"The mixture takes {weight} from the {self.order}-gram {chosen}. {use}"
