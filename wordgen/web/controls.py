"""What the page makes its sliders of: the settings of writing, and how far each slider goes."""

from wordgen.generation.settings import GenerationSettings, mode_that_asks_for
from wordgen.web.asked import Schema, schemas
from wordgen.web.limits import ServingSettings

SLIDERS: dict[str, tuple[float, float, float]] = {
    "length": (5, 300, 5),
    "at_least": (1, 300, 1),
    "temperature": (0.1, 2.0, 0.05),
    "top_k": (0, 200, 1),
    "top_p": (0.0, 1.0, 0.01),
    "min_p": (0.0, 0.5, 0.01),
    "repetition_penalty": (1.0, 2.0, 0.05),
    "no_repeat_ngram": (0, 10, 1),
    "max_copy": (0, 30, 1),
    "beams": (1, 20, 1),
    "length_penalty": (0.0, 2.0, 0.1),
}
"""From where to where, and in which steps: the range that is of use. Any allowed number can be typed."""
_AT_FIRST_SIGHT = frozenset({"mode", "length", "stop", "temperature", "top_p"})
"""The others are a click away."""


def controls(settings: ServingSettings) -> list[Schema]:
    """Each setting of writing as the API describes it, with what the page needs besides."""
    return [
        {
            "name": name,
            **schema,
            "slider": _slider(name, schema),
            "only_in_mode": mode_that_asks_for(name),
            "at_first_sight": name in _AT_FIRST_SIGHT,
        }
        for name, schema in schemas(GenerationSettings, settings)
    ]


def _slider(name: str, schema: Schema) -> list[float] | None:
    if name not in SLIDERS:
        return None
    first, last, step = SLIDERS[name]
    return [first, min(last, schema.get("maximum", last)), step]
