"""What a user may choose about a text. Nothing is read here, so --help does without all that reads."""

from dataclasses import dataclass
from typing import Literal

from wordgen.settings import Settings, setting

Encoding = Literal["auto", "utf-8", "utf-16", "cp1252", "latin-1", "cp932", "shift_jis", "euc_jp"]
STANDARD_INPUT = "-"
"""The name of a corpus, and of other texts, that come through standard input."""


@dataclass(frozen=True, kw_only=True)
class ReadingSettings(Settings):
    encoding: Encoding = setting(
        "auto", help="how the files spell letters as bytes; auto recognises it and says what it found"
    )
    unit: Literal["auto", "line", "paragraph", "document"] = setting(
        "auto", help="what stands for itself; auto takes the catalogue's word or looks at the text, and says so"
    )
    line_breaks: Literal["auto", "joined", "kept"] = setting(
        "auto", help="whether breaks between the lines of a unit are symbols (verse, plays) or mere wraps (prose)"
    )
    keep_boilerplate: bool = setting(
        False, help="keep what Project Gutenberg and Aozora Bunko put around and into their texts"
    )
    fold_width: bool = setting(
        False, help="read full-width letters, digits and punctuation as ASCII, and half-width katakana as full-width"
    )


@dataclass(frozen=True, kw_only=True)
class CorpusSettings(ReadingSettings):
    corpus: str | tuple[str, ...] = setting(
        help="the text to learn: a name that `wordgen corpora` lists, text files (.txt, .txt.gz, .md, .html, .docx "
        "or .epub), a folder of them, or - for standard input"
    )


@dataclass(frozen=True, kw_only=True)
class Description(Settings):
    """What only its owner can say of a text."""

    title: str | None = setting(None, help="what the text is, for the list; by default its name")
    language: str | None = setting(None, help="the language it is written in, for the list; by default left open")
    licence: str | None = setting(None, help="who may do what with it, for the list; by default left open")
    source: str | None = setting(None, help="where it is from, to remember; by default left open")
