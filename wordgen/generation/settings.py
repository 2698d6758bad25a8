"""The settings of writing, scoring and playing."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from wordgen.errors import SettingError, in_a_sentence
from wordgen.settings import Settings, flag_name, setting

Mode = Literal["greedy", "sample", "beam"]
Stop = Literal["none", "end", "sentence", "line"]
WHOLE_PIECE = ("--length", "600", "--stop", "end")
"""The flags with which a model of music writes a whole tune or piece."""
_MAX_BEAM_TOKENS = 2000
_MIN_COPIED_NOTES = 4
_MAX_SHOWN_CHARACTERS = 40
_MODE_IN_WORDS: dict[Mode, str] = {
    "sample": "draws each token by its probability",
    "greedy": "always takes the most probable token",
    "beam": "searches for the text that is most probable as a whole",
}
ONLY_MODE_OF: dict[str, Mode] = {
    "temperature": "sample",
    "top_k": "sample",
    "top_p": "sample",
    "min_p": "sample",
    "beams": "beam",
    "length_penalty": "beam",
}
"""For each setting that has an effect in one mode only, that mode."""

_MIX = (
    "the share of each probability that comes from a 5-gram of the training text, and not from the network; evaluate "
    "says which share is best"
)


@dataclass(frozen=True, kw_only=True)
class ScoringSettings(Settings):
    """The settings for the probabilities of a text."""

    mix: float = setting(0.0, at_least=0, at_most=1, help=_MIX)


@dataclass(frozen=True, kw_only=True)
class PlayingSettings(Settings):
    """How music is played."""

    tempo: float | None = setting(
        None,
        at_least=10,
        at_most=1000,
        help="the number of quarter notes per minute; by default that of the piece, or 120",
    )


@dataclass(frozen=True, kw_only=True)
class WritingSettings(Settings):
    """The settings for texts of all kinds."""

    mode: Mode = setting(
        "sample",
        help="sample draws each token by its probability; greedy always takes the most probable token and soon repeats "
        "itself; beam searches for the text that is most probable as a whole",
    )
    length: int = setting(
        50, at_least=1, at_most=1_000_000, help="the maximum number of tokens (words and punctuation marks) to write"
    )
    count: int = setting(1, at_least=1, at_most=10_000, help="the number of texts to write for each prompt")
    stop: Stop = setting(
        "none",
        help="where a text ends before --length: at the end of a passage (end), of a sentence or of a line; none "
        "writes up to --length",
    )
    at_least: int = setting(
        1, at_least=1, at_most=1_000_000, help="the number of tokens to write before --stop takes effect"
    )
    until: str | None = setting(None, help="end the text as soon as it contains these characters (by default, none)")
    temperature: float = setting(
        0.7,
        at_least=1e-6,
        at_most=1e6,
        help="1 uses the probabilities of the model; a lower value makes the text more predictable, a higher value "
        "makes it more varied; instead of 0, use --mode greedy",
    )
    top_k: int = setting(0, at_least=0, help="draw only from this number of most probable tokens; 0 draws from all")
    top_p: float = setting(
        1.0,
        at_least=0,
        at_most=1,
        help="draw only from the most probable tokens that together have this probability; 1 draws from all",
    )
    min_p: float = setting(
        0.0,
        at_least=0,
        at_most=1,
        help="draw only from tokens that have at least this share of the highest probability; 0 draws from all",
    )
    repetition_penalty: float = setting(
        1.0,
        above=0,
        at_most=100,
        help="above 1, make words less probable that are among the last 64 tokens; 1 changes nothing, 1.2 has a clear "
        "effect",
    )
    no_repeat_ngram: int = setting(
        0,
        at_least=0,
        at_most=1000,
        help="never write the same sequence of this many tokens twice in a text; 0 allows any repetition",
    )
    max_copy: int = setting(
        0,
        at_least=0,
        at_most=60,
        help="never copy more than this many tokens in a row from the training text; 0 allows any copy",
    )
    beams: int = setting(5, at_least=1, at_most=1000, help="the number of unfinished texts that --mode beam compares")
    length_penalty: float = setting(
        0.0,
        at_least=0,
        at_most=10,
        help="--mode beam divides the log-probability of a text by its length to this power; 0 prefers short texts, 1 "
        "compares the mean of the tokens",
    )
    mix: float = setting(0.0, at_least=0, at_most=1, help=_MIX)
    allow_unknown: bool = setting(
        False, help="show UNKNOWN_TOKEN where the model writes it, instead of a suitable rare word"
    )
    random_seed: int | None = setting(
        None, at_least=0, help="the same number gives the same text again; by default, a new number is drawn"
    )

    def __post_init__(self) -> None:
        if self.temperature == 0:
            raise SettingError(
                "--temperature must be above 0: to always take the most probable token, use --mode greedy."
            )
        super().__post_init__()
        if self.mode == "beam" and self.count > self.beams:
            raise SettingError(
                f"--count {self.count} is more than the {self.beams} texts of --mode beam: give a larger --beams."
            )
        if self.mode == "beam" and self.length > _MAX_BEAM_TOKENS:
            raise SettingError(f"--mode beam writes at most {_MAX_BEAM_TOKENS:,} tokens: give a smaller --length.")
        if self.at_least > self.length:
            raise SettingError(
                f"--at-least {self.at_least} is more than --length {self.length}: give a larger --length."
            )
        if self.until == "":
            raise SettingError("--until must not be empty.")


@dataclass(frozen=True, kw_only=True)
class GenerationSettings(WritingSettings):
    """All settings of generation: those for texts of all kinds, and those for tunes in ABC."""

    key: str | None = setting(
        None,
        help="write a tune in this key, for example D, F#m or 'D dorian', with a model of tunes in ABC (by default, "
        "the model chooses)",
    )
    metre: str | None = setting(
        None,
        help="write a tune in this metre, for example 6/8, with a model of tunes in ABC (by default, the model "
        "chooses)",
    )
    only_valid: bool = setting(
        False,
        help="draw again until a tune ends within --length and has no fault, for example bars that do not add up; with "
        "a model of tunes in ABC",
    )
    max_copy_notes: int = setting(
        0,
        at_least=0,
        at_most=100,
        help="never write this many notes in a row that a training tune has in any key, by interval and length; 0 "
        "allows any copy, else it is 4 or more; with a model of tunes in ABC",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.max_copy_notes < _MIN_COPIED_NOTES:
            raise SettingError(
                f"--max-copy-notes must be 0, or at least {_MIN_COPIED_NOTES}, not {self.max_copy_notes}."
            )
        if self.tune_flags:
            _check_tune(self)

    @property
    def tune_flags(self) -> tuple[str, ...]:
        """The flags given for a whole tune. With one of them, a text ends with its tune."""
        given = {"--key": self.key, "--metre": self.metre, "--only-valid": self.only_valid or None}
        return tuple(flag for flag, value in given.items() if value is not None)


def _check_tune(settings: GenerationSettings) -> None:
    """Raise SettingError for a key or metre that ABC does not know, and for settings that do not fit a whole tune."""
    from wordgen.music.abc_parsing import parse_metre
    from wordgen.music.harmony import parse_key

    if settings.key is not None and parse_key(settings.key) is None:
        raise SettingError(
            f"--key must be a key such as D, Bb, F#m or 'D dorian', not {settings.key[:_MAX_SHOWN_CHARACTERS]!r}."
        )
    if settings.metre is not None and parse_metre(settings.metre) is None:
        raise SettingError(
            f"--metre must be a metre such as 4/4 or 6/8, not {settings.metre[:_MAX_SHOWN_CHARACTERS]!r}."
        )
    if settings.stop in ("sentence", "line") or settings.until is not None:
        wrong = "--until" if settings.until is not None else f"--stop {settings.stop}"
        raise SettingError(f"{settings.tune_flags[0]} writes a whole tune: leave out {wrong}.")
    if settings.only_valid and settings.mode != "sample":
        raise SettingError(
            f"--only-valid draws again until a tune is valid, and --mode {settings.mode} would always write the same "
            "tune: use --mode sample."
        )


def with_random_seed(settings: GenerationSettings) -> GenerationSettings:
    """Return the settings with a random seed. If they have none, draw one.

    The drawn seed can be shown to the user, who can use it again.
    """
    if settings.random_seed is not None:
        return settings
    return replace(settings, random_seed=secrets.randbelow(2**32))


def completed(settings: GenerationSettings) -> GenerationSettings:
    """Return the settings with a random seed; with those of a whole tune, a text also ends with its tune."""
    settings = with_random_seed(settings)
    return replace(settings, stop="end") if settings.tune_flags else settings


def no_effect_note(mode: Mode, given: Iterable[str]) -> str | None:
    """Return a sentence that names the settings in `given` that have no effect in this mode, or None."""
    flags = [flag_name(name) for name in given if ONLY_MODE_OF.get(name, mode) != mode]
    if not flags:
        return None
    return f"--mode {mode} {_MODE_IN_WORDS[mode]}: {in_a_sentence(flags)} {'have' if flags[1:] else 'has'} no effect."
