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
