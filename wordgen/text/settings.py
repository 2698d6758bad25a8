"""Settings for tokens and ids."""

from dataclasses import dataclass
from typing import Literal

from wordgen.errors import SettingError
from wordgen.settings import Settings, setting
from wordgen.text.vocabulary import SPECIAL_WITH_SPELLING

TokenizerName = Literal["english", "japanese", "characters", "whitespace", "abc", "notes", "chords"]
TokenizerChoice = Literal["auto", TokenizerName]

_MAX_TOKENS = 4_000_000
DEFAULT_SHARES = (0.05, 0.05)
"""The default shares of the passages in the validation set and in the test set."""
_MAX_HELD_OUT_SHARE = 0.9


@dataclass(frozen=True, kw_only=True)
class TokenizerSettings(Settings):
    tokenizer: TokenizerChoice = setting(
        "auto",
        help="how text is cut into tokens; auto uses the catalogue, the kind of the files (abc for tunes in ABC, notes "
        "for MIDI) or the script of the text; chords uses only the pitches of MIDI files",
        scope="text",
    )


@dataclass(frozen=True, kw_only=True)
class TextSettings(TokenizerSettings):
    vocab_size: int | None = setting(
        None,
        at_least=4,
        at_most=_MAX_TOKENS,
        help="the maximum number of tokens in the vocabulary; a small vocabulary trains faster, a large one contains "
        "rare words (default: 8000, or all words of a benchmark that has its own test set)",
        scope="text",
    )
    min_count: int | None = setting(
        None,
        at_least=1,
        help="words that occur less often become UNKNOWN; 1 keeps all words, but then the model never learns UNKNOWN "
        "(default: 2, or 1 for such a benchmark)",
        scope="text",
    )
    base_words: int = setting(
        0,
        at_least=0,
        at_most=_MAX_TOKENS,
        help="with --init-from: add this number of the most frequent words of that model to the vocabulary, even if "
        "the text does not have them",
        scope="text",
    )
    unknown: Literal["token", "spell"] = setting(
        "token",
        help="words outside the vocabulary: token replaces each of them by UNKNOWN; spell spells them out in bytes, "
        "so that the model can read and write any word",
        scope="text",
    )
    validation_share: float = setting(
        DEFAULT_SHARES[0],
        at_least=0.005,
        at_most=0.5,
        help="the share of the passages in the validation set; it has no effect if the text has its own sets",
        scope="text",
    )
    test_share: float = setting(
        DEFAULT_SHARES[1], at_least=0.005, at_most=0.5, help="the share of the passages in the test set", scope="text"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.validation_share + self.test_share > _MAX_HELD_OUT_SHARE:
            raise SettingError(
                f"--validation-share and --test-share together take {self.validation_share + self.test_share:.0%} of "
                f"the text: leave at least {1 - _MAX_HELD_OUT_SHARE:.0%} for training."
            )
        if self.unknown == "spell" and self.vocab_size is not None and self.vocab_size <= SPECIAL_WITH_SPELLING:
            raise SettingError(
                f"--unknown spell needs {SPECIAL_WITH_SPELLING} tokens of the vocabulary: give a --vocab-size above "
                f"that, not {self.vocab_size}."
            )

    @property
    def shares(self) -> tuple[float, float]:
        """The shares of the passages in the validation set and in the test set."""
        return self.validation_share, self.test_share

    def limits(self, *, all_words: bool) -> tuple[int, int]:
        """Return the size of the vocabulary and the minimum count of a word.

        The defaults are 8000 tokens and a count of 2. With `all_words` they include every word.
        """
        size, least = (_MAX_TOKENS, 1) if all_words else (8000, 2)
        return self.vocab_size or size, self.min_count or least
