"""Describe a network: its settings, and the names and shapes of all its weights."""

from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from wordgen.errors import SettingError, in_a_sentence
from wordgen.settings import Settings, learning, setting


@dataclass(frozen=True, kw_only=True)
class DropoutSettings(Settings):
    dropout: float = learning(
        0.3,
        at_least=0,
        below=1,
        help="the share of the values between layers that are set to zero in training; 0 to 0.3 for large texts",
    )
    input_dropout: float | None = learning(
        None, at_least=0, below=1, help="dropout before the first layer; by default the same as --dropout"
    )
    output_dropout: float | None = learning(
        None, at_least=0, below=1, help="dropout after the last layer; by default the same as --dropout"
    )
    locked_dropout: bool = learning(
        False, help="set the same values to zero for all tokens of a step, which disturbs the state of the network less"
    )
    word_dropout: float = learning(
        0.0, at_least=0, below=1, help="the share of words whose vectors are set to zero everywhere in a step"
    )
    weight_drop: float = learning(
        0.0, at_least=0, below=1, help="the share of the recurrent weights that are set to zero in a step"
    )

    def rate_after(self, place: int, layers: int) -> float:
        """Return the dropout rate after the first `place` of `layers` layers. Place 0 is before the first layer."""
        given = {0: self.input_dropout, layers: self.output_dropout}.get(place)
        return self.dropout if given is None else given

    def active_rates(self, layers: int) -> dict[str, float]:
        """Return the dropout settings that apply to a network with this number of layers.

        With one layer and own rates for input and output, `dropout` is not used anywhere and is left out. So are
        `word_dropout` and `weight_drop` if they are 0.
        """
        ends = {"input_dropout": self.input_dropout, "output_dropout": self.output_dropout}
        active_rates = {name: rate for name, rate in ends.items() if rate is not None}
        if layers > 1 or len(active_rates) < len(ends):
            active_rates = {"dropout": self.dropout, **active_rates}
        others = {"word_dropout": self.word_dropout, "weight_drop": self.weight_drop}
        return active_rates | {name: rate for name, rate in others.items() if rate}


NO_DROPOUT = DropoutSettings(dropout=0.0)
Cell = Literal["lstm", "gru", "rnn"]
Shape = tuple[int, ...]

_GATES: dict[Cell, int] = {"lstm": 4, "gru": 3, "rnn": 1}
_STATES: dict[Cell, int] = {"lstm": 2, "gru": 1, "rnn": 1}


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(Settings):
    layers: int = setting(
        3,
        at_least=1,
        at_most=64,
        help="the number of recurrent layers; 1 trains fastest, 3 can learn more from a book",
        scope="network",
    )
    units: int | tuple[int, ...] = setting(
        512,
        at_least=1,
        at_most=65_536,
        help="the number of units of each recurrent layer; 128 is fast, 512 remembers more; several numbers give one "
        "for each layer",
        scope="network",
    )
    cell: Cell = setting(
        "lstm", help="the kind of recurrent layer; gru is smaller than lstm, rnn is the simplest", scope="network"
    )
    embedding: int | None = setting(
        None,
        at_least=1,
        at_most=65_536,
        help="the length of the word vectors; by default the number of units of the last layer",
        scope="network",
    )
    tied: bool = setting(
        False,
        help="use the word vectors as output weights, too: fewer parameters, often better for small texts",
        scope="network",
    )

    init_from: str | None = setting(
        None,
        help="begin with the weights of another model: the name of a run, the folder of a model, or a base that comes "
        "with wordgen. The run takes the shape of the network and the tokenizer from it; by default the base that has "
        "the same tokenizer and shape, if there is one",
        scope="network",
        keeps_recipe=True,
    )
    from_scratch: bool = setting(
        False, help="begin with random weights, not from a base", scope="network", keeps_recipe=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _widths(self.units, self.layers)
        if self.from_scratch and self.init_from is not None:
            raise SettingError("--from-scratch begins with random weights: leave it out with --init-from.")


_SHAPE = ("layers", "units", "cell", "embedding", "tied")


@dataclass(frozen=True, kw_only=True)
class Architecture(Settings):
    """The shape of a network: those network settings that decide it, with all values known, and its vocabulary."""

    vocabulary_size: int = setting(at_least=3, at_most=4_000_000)
    embedding: int = setting()
    layers: int = setting()
    units: int | tuple[int, ...] = setting()
    cell: Cell = setting()
    tied: bool = setting()

    def __post_init__(self) -> None:
        super().__post_init__()
        NetworkSettings(**self.network)  # checks the bounds

    @classmethod
    def of(cls, settings: NetworkSettings, vocabulary_size: int) -> "Architecture":
        shape = {name: getattr(settings, name) for name in _SHAPE}
        shape["embedding"] = settings.embedding or _widths(settings.units, settings.layers)[-1]
        return cls(vocabulary_size=vocabulary_size, **shape)

    @property
    def network(self) -> dict[str, Any]:
        """The network settings of this shape, by name."""
        return {name: getattr(self, name) for name in _SHAPE}

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of units of each layer."""
        return _widths(self.units, self.layers)

    @property
    def projected(self) -> bool:
        """Whether the output shares the word vectors and these have another width than the last layer."""
        return self.tied and self.embedding != self.widths[-1]

    @property
    def states(self) -> int:
        """The number of state vectors of a layer. Each is as long as the layer has units."""
        return _STATES[self.cell]

    def weight_shapes(self) -> dict[str, Shape]:
        """Return the shape of every weight by name."""
        shapes: dict[str, Shape] = {"embedding": (self.vocabulary_size, self.embedding)}
        for layer, (below, units) in enumerate(zip((self.embedding, *self.widths), self.widths, strict=False), start=1):
            gates = _GATES[self.cell] * units
            shapes[f"layer_{layer}/kernel"] = (below, gates)
            shapes[f"layer_{layer}/recurrent_kernel"] = (units, gates)
            # The GRU of Keras has one bias for the input and another for the recurrent product.
            shapes[f"layer_{layer}/bias"] = (2, gates) if self.cell == "gru" else (gates,)
        if self.projected:
            shapes["projection/kernel"] = (self.widths[-1], self.embedding)
        if not self.tied:
            shapes["output/kernel"] = (self.vocabulary_size, self.widths[-1])
        shapes["output/bias"] = (self.vocabulary_size,)
        return shapes

    @property
    def parameters(self) -> int:
        return sum(prod(shape) for shape in self.weight_shapes().values())

    @property
    def output_width(self) -> int:
        """The number of output weights of a token."""
        return self.embedding if self.tied else self.widths[-1]

    @property
    def output_parameters(self) -> int:
        """The number of output weights. All of them are used to compute the logits of one token."""
        return self.vocabulary_size * self.output_width

    @property
    def recurrent_parameters(self) -> int:
        return sum(prod(shape) for name, shape in self.weight_shapes().items() if name.startswith("layer_"))


def _widths(units: int | tuple[int, ...], layers: int) -> tuple[int, ...]:
    widths = (units,) * layers if isinstance(units, int) else units
    if len(widths) != layers:
        raise SettingError(
            f"--units has {len(widths)} numbers, but --layers is {layers}: give one number of units for all layers, "
            "or one for each layer."
        )
    return widths


def shown_units(units: int | tuple[int, ...]) -> str:
    """Return the units as the user types them after `--units`."""
    return str(units) if isinstance(units, int) else " ".join(map(str, units))


def shown_layers(architecture: Architecture) -> str:
    """Return a description of the recurrent layers, for example `2 x 512 lstm`."""
    widths = architecture.units
    shape = f"{architecture.layers} x {widths}" if isinstance(widths, int) else in_a_sentence(map(str, widths))
    return f"{shape} {architecture.cell}"
