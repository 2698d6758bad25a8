"""What goes into an exported step and what comes out, the same in every format; and what others must know to use it."""

from dataclasses import dataclass
from typing import Any

from wordgen.architecture import Architecture
from wordgen.bundle import Bundle
from wordgen.text.vocabulary import END, START, UNKNOWN

IDS, LOGITS = "ids", "logits"
_STATES = {"lstm": ("hidden", "cell"), "gru": ("hidden",), "rnn": ("hidden",)}


@dataclass(frozen=True)
class CarryVector:
    """One of the vectors that a layer hands on to the next step."""

    name: str
    width: int

    @property
    def next_name(self) -> str:
        return f"next_{self.name}"


def carry_vectors(architecture: Architecture) -> list[CarryVector]:
    """In the order of the layers."""
    return [
        CarryVector(f"layer_{layer}_{state}", width)
        for layer, width in enumerate(architecture.widths, start=1)
        for state in _STATES[architecture.cell]
    ]


def description(bundle: Bundle) -> dict[str, Any]:
    """What the file says of itself: how text becomes ids, and what the step takes and gives."""
    vectors = carry_vectors(bundle.architecture)
    return {
        "inputs": [IDS, *(vector.name for vector in vectors)],
        "outputs": [LOGITS, *(vector.next_name for vector in vectors)],
        "text": bundle.text.to_mapping(),
        "architecture": bundle.architecture.to_mapping(),
        "unknown": UNKNOWN,
        "start": START,
        "end": END,
        "vocabulary": list(bundle.vocabulary.symbols),
    }
