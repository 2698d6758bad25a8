"""What a user may choose about symbols and ids."""

from dataclasses import dataclass
from typing import Literal

from wordgen.errors import SettingError
from wordgen.settings import Settings, setting
from wordgen.text.spelling import SPECIAL_WITH_SPELLING

TokenizerName = Literal["english", "japanese", "characters", "whitespace"]
TokenizerChoice = Literal["auto", "english", "japanese", "characters", "whitespace"]

_MOST_SYMBOLS = 4_000_000


@dataclass(frozen=True, kw_only=True)
class TokenizerSettings(Settings):
    tokenizer: TokenizerChoice = setting(
        "auto", help="how text is cut into symbols; auto takes the catalogue's word or looks at the script"
    )


@dataclass(frozen=True, kw_only=True)
class TextSettings(TokenizerSettings):
    vocab_size: int | None = setting(
        None,
        at_least=4,
        at_most=_MOST_SYMBOLS,
        help="most symbols to know; fewer train faster, more know rare words (default: 8000; all words of a benchmark "
        "with splits of its own)",
    )
    min_count: int | None = setting(
        None,
        at_least=1,
        help="words seen less often become UNKNOWN_TOKEN; 1 keeps all, but UNKNOWN is then never learned (default: 2; "
        "1 in such a benchmark)",
    )

    base_words: int = setting(
        0,
        at_least=0,
        at_most=_MOST_SYMBOLS,
        help="with --init-from: know so many of the commonest words of that model, whether or not the text has them",
    )

    unknown: Literal["token", "spell"] = setting(
        "token",
        help="words outside the vocabulary: token makes all of them UNKNOWN_TOKEN, spell spells them out in bytes, so "
        "any text can be written and read",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.unknown == "spell" and self.vocab_size is not None and self.vocab_size <= SPECIAL_WITH_SPELLING:
            raise SettingError(
                f"Spelling takes {SPECIAL_WITH_SPELLING} symbols, so --vocab-size must be greater than that, not "
                f"{self.vocab_size}."
            )

    def limits(self, *, all_words: bool) -> tuple[int, int]:
        """The size of the vocabulary and the least count, where a text may ask for all of its words."""
        size, least = (_MOST_SYMBOLS, 1) if all_words else (8000, 2)
        return self.vocab_size or size, self.min_count or least
