"""Figures as they are told, and what one must know to understand them, for the terminal and for the page."""


def shown_perplexity(value: float) -> str:
    """Small ones, as those of letters, with a digit more."""
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}"


def with_off(shown: str, off: float | None, digits: int) -> str:
    """A figure with how far it may be off, where that is known."""
    return shown if off is None else f"{shown} ± {off:,.{digits}f}"


def perplexity_in_words(value: float, off: float | None) -> str:
    return with_off(shown_perplexity(value), off, 2 if value < 10 else 1)


OFF = "± is how far a figure may be off, with 95% certainty: other text of this kind would give another."


def cache_in_words(weight: float, flatness: float, split: str) -> str:
    return f"The cache gives {weight:.0%} of the odds, with a flatness of {flatness:g}{_set_on(split)}."


def learning_in_words(rate: float, split: str) -> str:
    return f"Learning as it reads goes at a rate of {rate:g}{_set_on(split)}."


def mixture_in_words(weight: float, order: int, split: str) -> str:
    return f"The mixture takes {weight:.0%} of each probability from the {order}-gram{_set_on(split)}."


def no_mixture_in_words(order: int, changes: tuple[float, float] | None) -> str:
    """Why there is none; with how the perplexity of each half of the valid part changes."""
    if changes is None:
        return f"No mixture with the {order}-gram: the valid part is too short to set its weight."
    first, second = (f"{change:+.1%}" for change in changes)
    return (
        f"No mixture with the {order}-gram: a weight that one half of the valid part sets must surely lower the "
        f"perplexity of the other half, and it changes by {first} and {second}."
    )


def means_in_words(written: int, held_out: int) -> str:
    """How self-BLEU and distinct were found, where there are fewer held-out texts than the model wrote."""
    fewer = 1 < held_out < written
    return f"; it and distinct are means over {held_out:,} texts at a time" if fewer else ""


def _set_on(split: str) -> str:
    if split == "valid":
        return ", set on this same text, which flatters a little"
    return ", set on the valid part"
