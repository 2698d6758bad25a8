"""What a user may choose about learning."""

from dataclasses import dataclass
from typing import Literal

from wordgen.dropout import DropoutSettings
from wordgen.errors import SettingError
from wordgen.settings import Settings, setting

OptimizerName = Literal["rmsprop", "adam", "sgd"]
ScheduleName = Literal["constant", "exponential", "plateau", "cosine"]
Precision = Literal["auto", "float32", "bfloat16"]

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

    def due(self, seconds_since: float) -> bool:
        return self.seconds is not None and seconds_since >= self.seconds


def parse_duration(flag: str, text: str) -> float:
    """Seconds: `90s`, `20m`, `1.5h`."""
    try:
        seconds = float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1:]]
    except (ValueError, KeyError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise SettingError(f"{flag} must be seconds, minutes or hours (as 90s, 20m or 1.5h), not '{text}'.")
    return seconds


@dataclass(frozen=True, kw_only=True)
class DeviceSettings(Settings):
    """Where a run learns; it may go on elsewhere."""

    distribute: Literal["auto", "none", "mirrored", "multiworker"] = setting(
        "auto",
        help="what to learn on: none is one device; mirrored all GPUs (or --local-devices) of this machine; "
        "multiworker the workers that TF_CONFIG or SLURM name; auto is every GPU here, or else the CPU",
    )
    local_devices: int | None = setting(
        None,
        at_least=1,
        at_most=64,
        help="split the CPU into so many devices, to try what several GPUs would do (by default not)",
    )
    force_memory: bool = setting(False, help="learn even where the plan needs more memory than the machine has")
    join_timeout: int = setting(
        300, at_least=1, at_most=86_400, help="how many seconds a worker waits for the others to appear"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.local_devices is not None and self.distribute in ("none", "multiworker"):
            raise SettingError(f"--local-devices splits one CPU: leave it out with --distribute {self.distribute}.")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(DropoutSettings):
    seq_len: int = setting(
        15,
        at_least=1,
        at_most=100_000,
        help="symbols per step that errors are traced back through; longer learns longer links",
    )
    batch_size: int = setting(
        16, at_least=1, at_most=100_000, help="places of the text read side by side; small texts learn better with few"
    )
    vary_seq_len: bool = setting(False, help="steps of differing lengths, between half and one and a half of --seq-len")
    epochs: int = setting(
        12, at_least=1, at_most=1_000_000, help="most passes over the text; --patience usually ends it sooner"
    )
    time_budget: str | None = setting(
        None,
        help="learn for about so long (as 90s, 20m or 1.5h), whatever --epochs says; the speed is measured first "
        "(by default there is none)",
    )
    patience: int = setting(3, at_least=1, help="stop after so many epochs without a better validation perplexity")
    optimizer: OptimizerName = setting(
        "rmsprop", help="how weights are moved; rmsprop and adam need no tuning, sgd does"
    )
    learning_rate: float | None = setting(
        None, above=0, at_most=1e30, help="size of the moves; by default 0.001 for rmsprop and adam, 1.0 for sgd"
    )
    schedule: ScheduleName = setting(
        "constant",
        help="how the learning rate goes: constant; exponential decay after --decay-after epochs; halving on a "
        "plateau; or a cosine down to a fiftieth over the whole run",
    )
    decay: float | None = setting(
        None,
        above=0,
        below=1,
        help="what exponential multiplies the rate by after each epoch (default: 0.8), "
        "and plateau after one without a better validation perplexity (default: 0.5)",
    )
    decay_after: int = setting(4, at_least=1, help="epochs at the full rate before exponential begins to decay")
    warm_up: int | None = setting(
        None,
        at_least=0,
        help="steps in which the rate rises from nothing; by default 200 (or a tenth of the run) with cosine, else 0",
    )
    weight_decay: float = setting(
        0.0,
        at_least=0,
        below=1,
        help="how much all weights shrink in a step, times the learning rate; 1e-6 is usual with sgd, 0.01 with adam",
    )
    layer_decay: float = setting(
        1.0,
        above=0,
        at_most=1,
        help="multiply the learning rate by this once more in each layer below the output, the word vectors last; "
        "below 1 a run that begins from another model changes its lower layers less",
    )
    pull: float = setting(
        0.0,
        at_least=0,
        below=1,
        help="how much all weights go back in a step to those that the run began with, times the learning rate",
    )
    label_smoothing: float = setting(
        0.0,
        at_least=0,
        below=1,
        help="share of the odds that learning aims to give to all symbols alike; perplexity is told without it",
    )
    average_after: int | None = setting(
        None,
        at_least=0,
        help="average the weights of all further steps once an epoch is worse than the best of the epochs before it, "
        "the last so many left out; usual with sgd at a constant rate (by default never)",
    )
    sampled_output: int | None = setting(
        None,
        at_least=2,
        help="compare each symbol with so many others in a step, half of them the commonest and half drawn, and not "
        "with all: faster with large vocabularies (by default with all)",
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

    copy_index: bool = setting(
        True,
        help="keep the training text beside the model, in an order that can be searched, so that generate can see "
        "and forbid copies of it; --no-copy-index where the text must not be passed on with the model, nor its rare "
        "words, which are put in for UNKNOWN",
    )

    histograms: bool = setting(False, help="once an epoch, write the distribution of all weights for TensorBoard too")

    precision: Precision = setting(
        "auto",
        help="numbers to compute with; weights and loss are float32 always; auto takes bfloat16 where the hardware "
        "has it, and a run keeps what it began with",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        CheckpointClock.parse(self.checkpoint_every)
        if self.average_after is not None and self.average_after + 1 >= self.patience:
            raise SettingError(
                f"--average-after {self.average_after} begins {self.average_after + 1} epochs after the best one, and "
                f"--patience {self.patience} ends the run before: give --patience {self.average_after + 2} or more."
            )
        if self.sampled_output is not None and self.label_smoothing:
            raise SettingError("--label-smoothing is about all symbols: leave it out with --sampled-output.")
        if self.time_budget is not None:
            parse_duration("--time-budget", self.time_budget)

    @property
    def budget(self) -> float | None:
        """Seconds to learn for."""
        return None if self.time_budget is None else parse_duration("--time-budget", self.time_budget)

    @property
    def settled(self) -> bool:
        """Whether the number of its steps is part of what it is: the clock has given it, or the rates hang on it."""
        return self.time_budget is not None or self.schedule == "cosine"

    def longer(self, at_least: int = 1) -> dict[str, int | str]:
        """The setting that lets it learn for twice as long, and for twice so many epochs at least."""
        if self.time_budget is None:
            return {"epochs": 2 * max(at_least, self.epochs)}
        return {"time_budget": f"{2 * float(self.time_budget[:-1]):g}{self.time_budget[-1]}"}

    @property
    def first_learning_rate(self) -> float:
        return _LEARNING_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate
