"""Which base a new run begins from by itself, or one sentence why none."""

from collections.abc import Mapping
from typing import Any

from wordgen.base import Base, shipped_bases
from wordgen.corpora.corpus import Corpus
from wordgen.dataset.encoding import tokenizer_name
from wordgen.files import shown_size
from wordgen.run_settings import TrainSettings, in_words
from wordgen.settings import flag_name
from wordgen.text.settings import TokenizerSettings

LARGEST_TEXT = 20_000_000
"""Bytes of text up to which a base is taken. Larger ones say enough of their language themselves; where that begins is
a guess until it is measured."""

_LEFT_TO_BASE = {"tokenizer": "auto", "embedding": None}
"""Values by which a setting leaves the choice to others."""


def contradiction(base: Base, wanted: Mapping[str, Any]) -> str | None:
    """The first of these settings that the base has otherwise, by its name."""
    for name, value in base.settings().items():
        asked = wanted.get(name, value)
        if name == "units":
            value = base.architecture.widths
            asked = (asked,) * base.architecture.layers if isinstance(asked, int) else asked
        if asked != value and not (name in _LEFT_TO_BASE and asked == _LEFT_TO_BASE[name]):
            return name
    return None


def as_flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return flag_name(name if value else f"no_{name}")
    return f"{flag_name(name)} {in_words(value)}"


def default_base(wanted: Mapping[str, Any], corpus: Corpus) -> tuple[Base | None, str | None]:
    """The base for a text and the settings that are asked for, or why there is none; neither where wordgen has none."""
    bases = shipped_bases()
    if not bases:
        return None, None
    choice = TokenizerSettings(tokenizer=wanted.get("tokenizer", "auto"))
    tokenizer = tokenizer_name(corpus, choice)
    base = next((each for each in bases.values() if each.text.tokenizer == tokenizer), None)
    if base is None:
        return None, f"no base that comes with wordgen has the tokenizer {tokenizer}"
    if corpus.text_bytes > LARGEST_TEXT:
        size = shown_size(corpus.text_bytes)
        return None, f"{size} of text are enough to learn from, and bases are for up to {shown_size(LARGEST_TEXT)}"
    if wanted.get("from_scratch"):
        return None, "--from-scratch, or the recipe, asks for it"
    if (name := contradiction(base, wanted)) is not None:
        has = as_flag(name, base.settings()[name])
        return None, f"{as_flag(name, wanted[name])} does not go with {base.name}, which has {has}"
    return base, None


def goes_with_none(wanted: Mapping[str, Any]) -> bool:
    """Whether these settings alone keep a run from beginning from a base, whatever its text is."""
    return all(contradiction(base, wanted) for base in shipped_bases().values())


def why_from_nothing(settings: TrainSettings, corpus: Corpus) -> str | None:
    """Of a run that begins from nothing: why, as far as its settings tell."""
    usual = TrainSettings(corpus=settings.corpus).to_mapping()
    chosen = {name: value for name, value in settings.to_mapping().items() if value != usual[name]}
    for wanted in (chosen, settings.to_mapping()):  # what is as by default was hardly the reason
        _, reason = default_base(wanted, corpus)
        if reason is not None:
            return reason
    return None
