"""The settings for playing music. This module does not import the code that reads music, so that --help is quick."""

from dataclasses import dataclass

from wordgen.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class PlayingSettings(Settings):
    """How music is played."""

    tempo: float | None = setting(
        None,
        at_least=10,
        at_most=1000,
        help="the number of quarter notes per minute; by default that of the piece, or 120",
    )
