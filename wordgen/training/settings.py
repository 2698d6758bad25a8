"""What a user may choose about learning."""

from dataclasses import dataclass
from typing import Literal

from wordgen.errors import SettingError
from wordgen.settings import Settings, setting

OptimizerName = Literal["rmsprop", "adam", "sgd"]

_LEARNING_RATES: dict[OptimizerName, float] = {"rmsprop": 0.001, "adam": 0.001, "sgd": 1.0}


@dataclass(frozen=True)
class CheckpointClock:
    """Says when a checkpoint is due: after so many steps, or so many seconds."""

    steps: int | None
    seconds: float | None

    @classmethod
    def parse(cls, text: str) -> "CheckpointClock":
        """`500` is steps, `10m` minutes."""
        try:
            clock = cls(None, 60 * float(text[:-1])) if text.endswith("m") else cls(int(text), None)
        except ValueError:
            clock = cls(None, None)
        if not 0 < (clock.steps or clock.seconds or 0) < float("inf"):
            raise SettingError(f"--checkpoint-every must be steps (as 500) or minutes (as 10m), not '{text}'.")
        return clock

    def due(self, step: int, seconds_since: float) -> bool:
        if self.steps is not None:
            return step % self.steps == 0
        return self.seconds is not None and seconds_since >= self.seconds


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(Settings):
    seq_len: int = setting(
        15,
        at_least=1,
        at_most=100_000,
        help="symbols per step that errors are traced back through; longer learns longer links",
    )
    batch_size: int = setting(
        16, at_least=1, at_most=100_000, help="places of the text read side by side; small texts learn better with few"
    )
    epochs: int = setting(
        12, at_least=1, at_most=1_000_000, help="most passes over the text; --patience usually ends it sooner"
    )
    patience: int = setting(3, at_least=1, help="stop after so many epochs without a better validation perplexity")
    dropout: float = setting(
        0.3, at_least=0, below=1, help="share of values blanked between layers while learning; 0 to 0.3 on large texts"
    )
    optimizer: OptimizerName = setting(
        "rmsprop", help="how weights are moved; rmsprop and adam need no tuning, sgd does"
    )
    learning_rate: float | None = setting(
        None, above=0, help="size of the moves; by default 0.001 for rmsprop and adam, 1.0 for sgd"
    )
    clip: float = setting(
        1.0, at_least=0, help="longest gradient (global norm) that is followed as it is; 0 never clips"
    )
    random_seed: int = setting(
        1,
        at_least=0,
        at_most=2**31 - 1,
        help="a number from which all that is random follows; the same gives the same run",
    )

    checkpoint_every: str = setting(
        "10m",
        help="how often to save what --resume needs, besides after each epoch: steps (as 500) or minutes (as 10m)",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        CheckpointClock.parse(self.checkpoint_every)

    @property
    def first_learning_rate(self) -> float:
        return _LEARNING_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate
