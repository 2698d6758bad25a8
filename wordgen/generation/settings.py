"""What a user may choose about writing."""

from dataclasses import dataclass
from typing import Literal

from wordgen.settings import Settings, setting

Mode = Literal["greedy", "sample"]


@dataclass(frozen=True, kw_only=True)
class GenerationSettings(Settings):
    mode: Mode = setting(
        "sample", help="sample draws each word by its odds and is lively; greedy takes the likeliest and soon repeats"
    )
    length: int = setting(50, at_least=1, at_most=1_000_000, help="how many symbols (words and punctuation) to write")
    count: int = setting(1, at_least=1, at_most=10_000, help="how many texts to write from the same seed")
    temperature: float = setting(
        0.7,
        at_least=1e-6,
        at_most=1e6,
        help="1 draws by the model's own odds, less is plainer, more is wilder; for 0 use --mode greedy",
    )
    random_seed: int | None = setting(
        None, at_least=0, help="a number that makes the same text come again; by default a new one is drawn"
    )
