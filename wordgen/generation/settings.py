"""What a user may choose about writing."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from wordgen.errors import SettingError
from wordgen.settings import Settings, flag_name, setting

Mode = Literal["greedy", "sample", "beam"]
Stop = Literal["none", "end", "sentence", "line"]
_LONGEST_OF_BEAMS = 2000
_WHAT_IT_DOES: dict[Mode, str] = {
    "sample": "draws one word after the other",
    "greedy": "takes the likeliest word",
    "beam": "looks for the likeliest text as a whole",
}
_ASKED_FOR_BY: dict[str, Mode] = {
    "temperature": "sample",
    "top_k": "sample",
    "top_p": "sample",
    "min_p": "sample",
    "beams": "beam",
    "length_penalty": "beam",
}


@dataclass(frozen=True, kw_only=True)
class GenerationSettings(Settings):
    mode: Mode = setting(
        "sample",
        help="sample draws each word by its odds and is lively; greedy takes the likeliest and soon repeats; "
        "beam looks for the likeliest text as a whole",
    )
    length: int = setting(50, at_least=1, at_most=1_000_000, help="the most symbols (words and punctuation) to write")
    count: int = setting(1, at_least=1, at_most=10_000, help="how many texts to write from the same seed")
    stop: Stop = setting(
        "none",
        help="where a text ends before --length: at the end of a paragraph or whatever the corpus is made of (end), "
        "of a sentence, or of a line; none writes on",
    )
    at_least: int = setting(1, at_least=1, at_most=1_000_000, help="how many symbols to write before --stop counts")
    until: str | None = setting(None, help="end the text where it has written this (by default nothing)")
    temperature: float = setting(
        0.7,
        at_least=1e-6,
        at_most=1e6,
        help="1 draws by the model's own odds, less is plainer, more is wilder; for 0 use --mode greedy",
    )
    top_k: int = setting(0, at_least=0, help="draw from so many of the likeliest only; 0 from all")
    top_p: float = setting(
        1.0,
        at_least=0,
        at_most=1,
        help="draw from the fewest of the likeliest that together have these odds; 1 from all",
    )
    min_p: float = setting(
        0.0, at_least=0, at_most=1, help="leave out what is less likely than this share of the likeliest; 0 nothing"
    )
    repetition_penalty: float = setting(
        1.0,
        above=0,
        at_most=100,
        help="make words less likely that stood among the last 64 symbols; 1 does nothing, 1.2 is felt",
    )
    no_repeat_ngram: int = setting(
        0, at_least=0, at_most=1000, help="never write the same so many symbols in a row twice in a text; 0 allows it"
    )
    max_copy: int = setting(
        0,
        at_least=0,
        at_most=60,
        help="never write more symbols in a row than so many that stand so in the training text; 0 allows it",
    )
    beams: int = setting(5, at_least=1, at_most=1000, help="how many texts --mode beam keeps an eye on")
    length_penalty: float = setting(
        0.0,
        at_least=0,
        at_most=10,
        help="what beam compares is the log odds over length to this power: 0 likes short texts, 1 is fair",
    )
    allow_unknown: bool = setting(
        False, help="show UNKNOWN_TOKEN where the model writes it, instead of a rare word that fits there"
    )
    random_seed: int | None = setting(
        None, at_least=0, help="a number that makes the same text come again; by default a new one is drawn"
    )

    def __post_init__(self) -> None:
        if self.temperature == 0:
            raise SettingError("--temperature 0 would take the likeliest word each time: --mode greedy does that.")
        super().__post_init__()
        if self.mode == "beam" and self.count > self.beams:
            raise SettingError(
                f"--mode beam keeps {self.beams} texts, of which --count cannot give {self.count}: take more --beams."
            )
        if self.mode == "beam" and self.length > _LONGEST_OF_BEAMS:
            raise SettingError(
                f"--mode beam looks at whole texts, of {_LONGEST_OF_BEAMS:,} symbols at the most: lower --length."
            )
        if self.at_least > self.length:
            raise SettingError(
                f"--at-least {self.at_least} is more than --length {self.length}: take a larger --length."
            )
        if self.until == "":
            raise SettingError("--until needs a text to wait for.")


def with_random_seed(settings: GenerationSettings) -> GenerationSettings:
    """Draw a random seed where none is given, so that it can be told and used again."""
    if settings.random_seed is not None:
        return settings
    return replace(settings, random_seed=secrets.randbelow(2**32))


def mode_that_asks_for(name: str) -> Mode | None:
    """The one mode in which a setting has an effect; nothing for a setting that all modes ask for."""
    return _ASKED_FOR_BY.get(name)


def without_effect(mode: Mode, given: Iterable[str]) -> str | None:
    """A sentence about those of the given settings that only another mode asks for, if there are any."""
    flags = [flag_name(name) for name in given if (mode_that_asks_for(name) or mode) != mode]
    if not flags:
        return None
    listed = " and ".join(filter(None, (", ".join(flags[:-1]), flags[-1])))
    return f"--mode {mode} {_WHAT_IT_DOES[mode]}: {listed} {'change' if flags[1:] else 'changes'} nothing there."
