"""The closed set of tokenizers, and which of them suits a text."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wordgen.text import characters, english, japanese, whitespace
from wordgen.text.apostrophes import in_one_form
from wordgen.text.escapes import OTHER_FORM, RESERVED
from wordgen.text.settings import TokenizerName

_JAPANESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f]")
_LETTER = re.compile(r"\w")
_TOKENIZED_ALREADY = re.compile(r"(?:^|\s)(?:<unk>|<eos>)(?=\s|$)")


@dataclass(frozen=True)
class Tokenizer:
    """Text to symbols, and back one symbol at a time (so that text can be streamed)."""

    name: TokenizerName
    tokenize: Callable[[str], list[str]]
    piece: Callable[[str, str | None], str]
    one_apostrophe: bool = False
    """Whether words that differ in the form of their apostrophes alone are one symbol to a vocabulary."""

    def ordinary(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Counted symbols as a vocabulary may know them, each word in one form; without the special ones."""
        merged, others = in_one_form(counts) if self.one_apostrophe else (counts, {})
        ordinary = {symbol: count for symbol, count in merged.items() if symbol not in RESERVED}
        return ordinary | ({OTHER_FORM: sum(others.values())} if others else {})

    def detokenize(self, symbols: list[str]) -> str:
        previous: list[str | None] = [None, *symbols]
        return "".join(self.piece(symbol, before) for symbol, before in zip(symbols, previous, strict=False))


def tokenizer_named(name: TokenizerName) -> Tokenizer:
    match name:
        case "english":
            return Tokenizer(name, english.tokenize, english.piece, one_apostrophe=True)
        case "japanese":
            return Tokenizer(name, japanese.tokenize, japanese.piece, one_apostrophe=True)
        case "characters":
            return Tokenizer(name, characters.tokenize, characters.piece)
        case "whitespace":
            return Tokenizer(name, whitespace.tokenize, whitespace.piece)


def tokenizer_for(sample: str) -> TokenizerName:
    """Look at a piece of a text and name the tokenizer that suits it."""
    if _TOKENIZED_ALREADY.search(sample):
        return "whitespace"
    letters = len(_LETTER.findall(sample))
    return "japanese" if letters and len(_JAPANESE.findall(sample)) > 0.2 * letters else "english"
