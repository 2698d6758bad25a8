"""What a user may choose about evaluating. NumPy is not needed here, so --help does without it."""

from dataclasses import dataclass

from wordgen.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class NoveltySettings(Settings):
    samples: int = setting(
        30,
        at_least=0,
        at_most=1000,
        help="how many texts the model writes, to see how much of them stands in the training text; 0 leaves that out",
    )


@dataclass(frozen=True, kw_only=True)
class AdaptingSettings(Settings):
    """How a network may get used to the text that it is measured on; measured besides, not instead."""

    cache: int | None = setting(
        None,
        at_least=1,
        at_most=1_000_000,
        help="measure it also with a memory of so many symbols that it has just read (as 2000), set on the valid part "
        "(by default not)",
    )
    dynamic: bool = setting(
        False,
        help="measure it also while it goes on learning from what it reads; this takes minutes, and TensorFlow",
    )


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings(NoveltySettings, AdaptingSettings):
    """All of them."""
