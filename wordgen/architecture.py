"""The shape of a network as a value: what Keras, NumPy and the bundle agree on.

Every weight has a name and a shape that follow from here alone, so a bundle can be checked before a
single byte of it is loaded.
"""

from dataclasses import dataclass
from math import prod
from typing import Literal

from wordgen.errors import SettingError
from wordgen.settings import Settings, setting

Cell = Literal["lstm", "gru", "rnn"]
Shape = tuple[int, ...]

_GATES: dict[Cell, int] = {"lstm": 4, "gru": 3, "rnn": 1}
_STATES: dict[Cell, int] = {"lstm": 2, "gru": 1, "rnn": 1}


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(Settings):
    layers: int = setting(
        3, at_least=1, at_most=64, help="stacked recurrent layers; 1 learns fastest, 3 can tell more of a book"
    )
    units: int | tuple[int, ...] = setting(
        512,
        at_least=1,
        at_most=65_536,
        help="width of each recurrent layer; 128 is quick, 512 remembers more; several numbers are one for each layer",
    )
    cell: Cell = setting("lstm", help="kind of recurrent layer; gru is a little lighter, rnn the historic one")
    embedding: int | None = setting(
        None, at_least=1, at_most=65_536, help="width of the word vectors; by default as wide as the layers"
    )
    tied: bool = setting(
        False, help="use the word vectors as output weights too: fewer parameters, often better on small texts"
    )

    init_from: str | None = setting(
        None,
        help="begin with the weights of another model: a run's name, a model's folder, or a base that comes with "
        "wordgen; the shape of the network and the tokenizer are then that model's (by default the base that has the "
        "language, the tokenizer and the shape, if there is one)",
    )
    from_scratch: bool = setting(
        False, help="begin with random weights, and never from a base: to see a network learn from nothing"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _widths(self.units, self.layers)
        if self.from_scratch and self.init_from is not None:
            raise SettingError("--from-scratch begins with random weights: leave it out with --init-from.")


@dataclass(frozen=True, kw_only=True)
class Architecture(Settings):
    vocabulary_size: int = setting(at_least=3, at_most=4_000_000)
    embedding: int = setting(at_least=1, at_most=65_536)
    layers: int = setting(at_least=1, at_most=64)
    units: int | tuple[int, ...] = setting(at_least=1, at_most=65_536)
    cell: Cell = setting()
    tied: bool = setting()

    def __post_init__(self) -> None:
        super().__post_init__()
        _widths(self.units, self.layers)

    @classmethod
    def of(cls, settings: NetworkSettings, vocabulary_size: int) -> "Architecture":
        return cls(
            vocabulary_size=vocabulary_size,
            embedding=settings.embedding or _widths(settings.units, settings.layers)[-1],
            layers=settings.layers,
            units=settings.units,
            cell=settings.cell,
            tied=settings.tied,
        )

    @property
    def widths(self) -> tuple[int, ...]:
        """The units of each layer."""
        return _widths(self.units, self.layers)

    @property
    def projected(self) -> bool:
        """Whether the output is tied to word vectors of another width than the last layer."""
        return self.tied and self.embedding != self.widths[-1]

    @property
    def states(self) -> int:
        """How many vectors a layer carries from step to step, each as long as it has units."""
        return _STATES[self.cell]

    def weight_shapes(self) -> dict[str, Shape]:
        shapes: dict[str, Shape] = {"embedding": (self.vocabulary_size, self.embedding)}
        for layer, (below, units) in enumerate(zip((self.embedding, *self.widths), self.widths, strict=False), start=1):
            gates = _GATES[self.cell] * units
            shapes[f"layer_{layer}/kernel"] = (below, gates)
            shapes[f"layer_{layer}/recurrent_kernel"] = (units, gates)
            # Keras's GRU keeps a bias for the input and another for the recurrent product.
            shapes[f"layer_{layer}/bias"] = (2, gates) if self.cell == "gru" else (gates,)
        if self.projected:
            shapes["projection/kernel"] = (self.widths[-1], self.embedding)
        if not self.tied:
            shapes["output/kernel"] = (
                self.vocabulary_size,
                self.widths[-1],
            )  # a row for each token, as the word vectors
        shapes["output/bias"] = (self.vocabulary_size,)
        return shapes

    @property
    def parameters(self) -> int:
        return sum(prod(shape) for shape in self.weight_shapes().values())

    @property
    def output_parameters(self) -> int:
        """Weights that every symbol is multiplied with to get its logits."""
        return self.vocabulary_size * (self.embedding if self.tied else self.widths[-1])

    @property
    def recurrent_parameters(self) -> int:
        return sum(prod(shape) for name, shape in self.weight_shapes().items() if name.startswith("layer_"))


def _widths(units: int | tuple[int, ...], layers: int) -> tuple[int, ...]:
    widths = (units,) * layers if isinstance(units, int) else units
    if len(widths) != layers:
        raise SettingError(
            f"--units names {len(widths)} layers and --layers {layers}: give one number of units for all layers, "
            "or one for each."
        )
    return widths


def shown_units(units: int | tuple[int, ...]) -> str:
    """As one would type them."""
    return str(units) if isinstance(units, int) else " ".join(map(str, units))


def shown_layers(architecture: Architecture) -> str:
    """The recurrent layers in words."""
    widths = architecture.units
    shape = f"{architecture.layers} x {widths}" if isinstance(widths, int) else " and ".join(map(str, widths))
    return f"{shape} {architecture.cell}"
