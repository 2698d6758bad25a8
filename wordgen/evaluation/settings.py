"""The settings of an evaluation, and the interface of its progress. Without NumPy, so that --help starts fast."""

from dataclasses import dataclass

from wordgen.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class NoveltySettings(Settings):
    samples: int = setting(
        30,
        at_least=0,
        at_most=1000,
        help="the number of texts that the model writes, to measure how much it copies from the training text, and for "
        "a model of music how good they are; 0 leaves this out",
    )


@dataclass(frozen=True, kw_only=True)
class AdaptingSettings(Settings):
    """Settings for measuring a network while it adapts to the text. Its usual figures are measured, too."""

    cache: int | None = setting(
        None,
        at_least=1,
        at_most=1_000_000,
        help="also measure the model with a cache of this number of tokens that it has just read, for example 2000; "
        "the weight of the cache is chosen on the validation set (by default, no cache)",
    )
    dynamic: bool = setting(
        False,
        help="also measure the model while it trains on the text that it reads (dynamic evaluation); this takes "
        "minutes and needs TensorFlow",
    )


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings(NoveltySettings, AdaptingSettings):
    """All settings of an evaluation."""


class Watcher:
    """Receives the progress of an evaluation. Override the methods you need."""

    def fetching(self, file: str, done: int, total: int) -> None:
        """`done` of `total` bytes of a file of the corpus have been downloaded."""

    def reading(self, name: str, done: int, size: int) -> None:
        """`done` of `size` bytes of a text have been read and cut into tokens."""

    def predicting(self, done: int, tokens: int) -> None:
        """The model has predicted `done` of `tokens` tokens of the text."""

    def trying(self, done: int, tokens: int) -> None:
        """Values for the cache or the learning rate are tried on the validation set.

        In the current try, the model has predicted `done` of `tokens` tokens.
        """

    def adapting(self, done: int, tokens: int) -> None:
        """The model has predicted `done` of `tokens` tokens of the text while it adapts to it."""

    def counting(self, tokens: int, order: int) -> None:
        """The n-grams of the training text are counted next. It has `tokens` tokens, and n goes up to `order`."""

    def weighing(self, done: int, tokens: int) -> None:
        """The model has predicted `done` of `tokens` tokens of the validation set, to set the weight of the n-grams."""

    def writing(self, done: int, tokens: int) -> None:
        """The model has generated `done` of at most `tokens` tokens of its samples."""

    def composing(self, done: int, tokens: int) -> None:
        """The model has generated `done` of at most `tokens` tokens of the tunes or pieces that are measured."""

    def searching(self, tokens: int) -> None:
        """The samples are searched for next in the training text, which has `tokens` tokens."""
