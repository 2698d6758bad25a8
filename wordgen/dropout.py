"""What is blanked while a network learns, so that it cannot learn the text by heart."""

from dataclasses import dataclass

from wordgen.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class DropoutSettings(Settings):
    dropout: float = setting(
        0.3, at_least=0, below=1, help="share of values blanked between layers while learning; 0 to 0.3 on large texts"
    )
    input_dropout: float | None = setting(
        None, at_least=0, below=1, help="the same before the first layer; by default as --dropout"
    )
    output_dropout: float | None = setting(
        None, at_least=0, below=1, help="the same behind the last layer; by default as --dropout"
    )
    locked_dropout: bool = setting(
        False, help="blank the same values in all symbols of a step, which disturbs the network's memory less"
    )
    word_dropout: float = setting(
        0.0, at_least=0, below=1, help="share of words whose vectors are blanked wherever they stand in a step"
    )
    weight_drop: float = setting(
        0.0, at_least=0, below=1, help="share of the recurrent weights that are blanked for a step"
    )

    def place_rate(self, place: int, layers: int) -> float:
        """The share behind so many layers."""
        given = {0: self.input_dropout, layers: self.output_dropout}.get(place)
        return self.dropout if given is None else given

    def acting(self, layers: int) -> dict[str, float]:
        """The settings by which something of so many layers is blanked, or could be.

        An end has its own rate or that of --dropout; with one layer and both ends set, the latter is nowhere.
        """
        ends = {"input_dropout": self.input_dropout, "output_dropout": self.output_dropout}
        acting = {name: rate for name, rate in ends.items() if rate is not None}
        if layers > 1 or len(acting) < len(ends):
            acting = {"dropout": self.dropout, **acting}
        others = {"word_dropout": self.word_dropout, "weight_drop": self.weight_drop}
        return acting | {name: rate for name, rate in others.items() if rate}


NO_DROPOUT = DropoutSettings(dropout=0.0)
