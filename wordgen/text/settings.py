"""What a user may choose about symbols and ids."""

from dataclasses import dataclass

from wordgen.settings import Settings, setting
from wordgen.text.tokenizers import TokenizerChoice


@dataclass(frozen=True, kw_only=True)
class TextSettings(Settings):
    tokenizer: TokenizerChoice = setting(
        "auto", help="how text is cut into symbols; auto takes the catalogue's word or looks at the script"
    )
    vocab_size: int = setting(
        8000, at_least=4, at_most=4_000_000, help="most symbols to know; fewer train faster, more know rare words"
    )
    min_count: int = setting(
        2, at_least=1, help="words seen less often become UNKNOWN_TOKEN; 1 keeps all, but UNKNOWN is then never learned"
    )
