"""The settings of training and of the devices that a user can choose."""

from dataclasses import dataclass
from typing import Literal

from wordgen.errors import SettingError
from wordgen.model.architecture import DropoutSettings
from wordgen.settings import Settings, learning, setting

OptimizerName = Literal["rmsprop", "adam", "sgd"]
ScheduleName = Literal["constant", "exponential", "plateau", "cosine"]
Precision = Literal["auto", "float32", "bfloat16"]

RHO = 0.9
"""The default of `rho`."""
_LEARNING_RATES: dict[OptimizerName, float] = {"rmsprop": 0.001, "adam": 0.001, "sgd": 1.0}


@dataclass(frozen=True)
class CheckpointInterval:
    """How often a checkpoint is due: every `steps` steps, or every `seconds` seconds. One of the two is None."""

    steps: int | None
    seconds: float | None

    @classmethod
    def parse(cls, text: str) -> "CheckpointInterval":
        """Read steps ("500") or minutes ("10m"). Raises SettingError if the text is neither, or is not above 0."""
        try:
            interval = cls(None, 60 * float(text[:-1])) if text.endswith("m") else cls(int(text), None)
        except ValueError:
            interval = cls(None, None)
        if not 0 < (interval.steps or interval.seconds or 0) < float("inf"):
            raise SettingError(
                f"--checkpoint-every must be steps (for example 500) or minutes (for example 10m), not '{text}'."
            )
        return interval

    def is_due(self, seconds_since: float) -> bool:
        return self.seconds is not None and seconds_since >= self.seconds


def parse_time_budget(text: str | None) -> float | None:
    """Return the seconds of a time budget like 90s, 20m or 1.5h, or None for None. Raises SettingError for others."""
    if text is None:
        return None
    try:
        seconds = float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1:]]
    except (ValueError, KeyError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise SettingError(
            f"--time-budget must be seconds, minutes or hours (for example 90s, 20m or 1.5h), not '{text}'."
        )
    return seconds


@dataclass(frozen=True, kw_only=True)
class DeviceSettings(Settings):
    """The devices that a run trains on. A resumed run may use other devices."""

    distribute: Literal["auto", "none", "mirrored", "multiworker"] = setting(
        "auto",
        help="the devices to train on: none is one device; mirrored is all GPUs (or --local-devices) of this machine; "
        "multiworker is the workers that TF_CONFIG or SLURM names; auto is all GPUs of this machine, or the CPU if "
        "there is none",
        scope="device",
    )
    local_devices: int | None = setting(
        None,
        at_least=1,
        at_most=64,
        help="split the CPU into this number of devices, to try what several GPUs would do (by default, do not split)",
        scope="device",
    )
    force_memory: bool = setting(
        False, help="train even if the plan needs more memory than the machine has", scope="device"
    )
    join_timeout: int = setting(
        300, at_least=1, at_most=86_400, help="the number of seconds that a worker waits for the others", scope="device"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.local_devices is not None and self.distribute in ("none", "multiworker"):
            raise SettingError(f"--local-devices splits one CPU: leave it out with --distribute {self.distribute}.")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(DropoutSettings):
    seq_len: int = learning(
        15,
        at_least=1,
        at_most=100_000,
        help="the number of tokens in a step; the gradient is followed back through all of them, so with more tokens "
        "the network learns connections over longer distances",
    )
    batch_size: int = learning(
        16,
        at_least=1,
        at_most=100_000,
        help="the number of places of the text that are read at the same time; a small number is better for small "
        "texts",
    )
    vary_seq_len: bool = learning(False, help="vary the length of the steps between 0.5 and 1.5 times --seq-len")
    epochs: int = learning(
        12,
        at_least=1,
        at_most=1_000_000,
        help="the maximum number of epochs (passes through the training set); --patience usually ends the run earlier",
        keeps_recipe=True,
    )
    time_budget: str | None = learning(
        None,
        help="train for about this time (for example 90s, 20m or 1.5h) and ignore --epochs; the speed is measured "
        "first (by default, no time limit)",
        keeps_recipe=True,
    )
    patience: int = learning(
        3, at_least=1, help="stop after this number of epochs without a better validation perplexity", keeps_recipe=True
    )
    optimizer: OptimizerName = learning(
        "rmsprop", help="the rule that updates the weights; rmsprop and adam need no tuning, sgd does"
    )
    learning_rate: float | None = learning(
        None, above=0, at_most=1e30, help="the size of the updates; by default 0.001 for rmsprop and adam, 1.0 for sgd"
    )
    rho: float = learning(
        RHO, at_least=0.01, below=1, help="the share of the mean of squared gradients that rmsprop keeps in each step"
    )
    schedule: ScheduleName = learning(
        "constant",
        help="how the learning rate changes: constant does not change it; exponential lowers it after each epoch, "
        "beginning after --decay-after epochs; plateau lowers it after an epoch without a better validation "
        "perplexity; cosine lowers it to 1/50 over the whole run",
    )
    decay: float | None = learning(
        None,
        above=0,
        below=1,
        help="the factor that lowers the learning rate, for --schedule exponential (default: 0.8) and plateau "
        "(default: 0.5)",
    )
    decay_after: int = learning(
        4,
        at_least=1,
        help="the number of epochs at the full learning rate before --schedule exponential lowers it",
    )
    warm_up: int | None = learning(
        None,
        at_least=0,
        help="the number of steps in which the learning rate rises from 0; by default 200 (at most a tenth of the run) "
        "with --schedule cosine, otherwise 0",
    )
    weight_decay: float = learning(
        0.0,
        at_least=0,
        below=1,
        help="how much all weights shrink in a step, times the learning rate; usual values are 1e-6 for sgd and 0.01 "
        "for adam",
    )
    label_smoothing: float = learning(
        0.0,
        at_least=0,
        below=1,
        help="the share of the target probability that is spread evenly over all tokens; perplexity is computed "
        "without it",
    )
    average_after: int | None = learning(
        None,
        at_least=0,
        help="average the weights of all later steps as soon as an epoch is worse than the best epoch before it, "
        "without counting this number of epochs directly before it; usual with sgd at a constant learning rate (by "
        "default, never)",
    )
    sampled_output: int | None = learning(
        None,
        at_least=2,
        help="compute the loss of a step with only this number of tokens of the vocabulary, half of them the most "
        "frequent and half drawn at random: faster with large vocabularies (by default, with all tokens)",
    )
    clip: float = learning(
        1.0,
        at_least=0,
        help="the maximum norm of the gradient of all weights; a longer gradient is scaled down to it; 0 never clips",
    )
    clip_value: float = learning(
        0.0,
        at_least=0,
        help="the maximum size of each value of the gradient, positive or negative; applied before --clip; 0 sets no "
        "limit",
    )
    random_seed: int = learning(
        1,
        at_least=0,
        at_most=2**31 - 1,
        help="the number that determines everything random; the same number gives the same run",
        keeps_recipe=True,
    )

    validate_every: int | None = learning(
        None,
        at_least=1,
        help="validate also within an epoch, each time after this number of steps, and keep the model if it is the "
        "best so far (by default, only after each epoch)",
        keeps_recipe=True,
    )
    sample_every: int | None = setting(
        None,
        at_least=1,
        help="write samples also within an epoch, each time after this number of steps (by default, only after each "
        "epoch)",
        scope="display",
    )
    log_every: int | None = setting(
        None,
        at_least=1,
        help="report each multiple of this number of steps on the screen, in the JSON log and in TensorBoard (by "
        "default, one step in ten seconds, one per second, and every tenth step)",
        scope="display",
    )
    checkpoint_every: str = setting(
        "10m",
        help="how often to save a checkpoint for --resume, in addition to the end of each epoch: steps (for example "
        "500) or minutes (for example 10m)",
        scope="display",
    )

    copy_index: bool = learning(
        True,
        help="save a searchable index of the training text with the model, so that generate can find and forbid "
        "copies; use --no-copy-index if others may get the model but not the text, nor its rare words, which replace "
        "UNKNOWN",
        keeps_recipe=True,
    )

    histograms: bool = setting(
        False, help="also write the distribution of all weights for TensorBoard after each epoch", scope="display"
    )

    precision: Precision = learning(
        "auto",
        help="the type of the numbers to compute with; weights and loss are always float32; auto uses bfloat16 if the "
        "hardware supports it; a run keeps the type that it began with",
        keeps_recipe=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        CheckpointInterval.parse(self.checkpoint_every)
        if self.average_after is not None and self.average_after + 1 >= self.patience:
            raise SettingError(
                f"--average-after {self.average_after} begins {self.average_after + 1} epochs after the best one, but "
                f"--patience {self.patience} ends the run earlier: give --patience {self.average_after + 2} or more."
            )
        if self.rho != RHO and self.optimizer != "rmsprop":
            raise SettingError(f"--rho is a setting of rmsprop: leave it out with --optimizer {self.optimizer}.")
        if self.sampled_output is not None and self.label_smoothing:
            raise SettingError(
                "--label-smoothing needs all tokens of the vocabulary: leave it out with --sampled-output."
            )
        parse_time_budget(self.time_budget)

    @property
    def budget(self) -> float | None:
        """The time budget in seconds. None if there is none."""
        return parse_time_budget(self.time_budget)

    @property
    def has_fixed_steps(self) -> bool:
        """Whether the number of steps is a fixed part of the run, so that a longer run is not a continuation of it.

        True if a time budget determines the number of steps, or if the learning rates depend on it (cosine).
        """
        return self.time_budget is not None or self.schedule == "cosine"

    def longer_training(self, at_least: int = 1) -> dict[str, int | str]:
        """Return the setting, by name, that makes the run twice as long.

        This is twice the time budget if there is one, and otherwise twice as many epochs, but at least `2 * at_least`.
        """
        if self.time_budget is None:
            return {"epochs": 2 * max(at_least, self.epochs)}
        return {"time_budget": f"{2 * float(self.time_budget[:-1]):g}{self.time_budget[-1]}"}

    @property
    def first_learning_rate(self) -> float:
        return _LEARNING_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate
