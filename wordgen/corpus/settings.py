"""The settings of a text. This module does not import the code that reads texts, so that --help need not load it."""

from dataclasses import dataclass
from typing import Literal

from wordgen.settings import Settings, setting

Encoding = Literal["auto", "utf-8", "utf-16", "cp1252", "latin-1", "cp932", "shift_jis", "euc_jp"]
PassageKind = Literal["line", "paragraph", "section", "document", "tune"]
LineBreaks = Literal["joined", "kept"]
Transpose = Literal["common", "none", "augment"]
STANDARD_INPUT = "-"
"""The name for a corpus or another text that comes through standard input."""


@dataclass(frozen=True, kw_only=True)
class ReadingSettings(Settings):
    """How the files of a text are read and cut into passages."""

    encoding: Encoding = setting(
        "auto", help="the character encoding of the files; auto recognises it and shows what it found", scope="text"
    )
    passage: Literal["auto", PassageKind] = setting(
        "auto",
        help="what START and END enclose: a line, a paragraph, a section (the text between two or more blank lines, "
        "for example a song), a document or a tune in ABC; auto uses the catalogue or the layout of the text, and "
        "shows its choice",
        scope="text",
    )
    line_breaks: Literal["auto", LineBreaks] = setting(
        "auto",
        help="whether the line breaks within a passage are kept as tokens (for verse and plays) or joined with spaces "
        "(for prose); auto decides by the layout",
        scope="text",
    )
    transpose: Transpose = setting(
        "common",
        help="for tunes in ABC: train on all of them in the key of their mode without sharps and flats, for example C "
        "major or A minor (common), in their own keys (none), or each tune in five keys (augment)",
        scope="text",
    )
    keep_boilerplate: bool = setting(
        False, help="keep the notices and marks that Project Gutenberg and Aozora Bunko add to texts", scope="text"
    )
    drop_latin: bool = setting(
        False,
        help="leave out words in Latin letters, for example the English words of Japanese lyrics; the plan shows their "
        "number",
        scope="text",
    )
    fold_width: bool = setting(
        False,
        help="read full-width letters, digits and punctuation as ASCII, and half-width katakana as full-width",
        scope="text",
    )


@dataclass(frozen=True, kw_only=True)
class CorpusSettings(ReadingSettings):
    """The corpus to train on, and how its files are read."""

    corpus: str | tuple[str, ...] = setting(
        help="the text to train on: a name that `wordgen corpora` lists, text files (.txt, .txt.gz, .md, .html, .docx "
        "or .epub), music (.abc or .mid), a folder of such files, or - for standard input",
        scope="text",
    )


@dataclass(frozen=True, kw_only=True)
class Description(Settings):
    """The description of a user's text, which wordgen cannot find out from its files."""

    title: str | None = setting(None, help="the title of the text in the list; by default its name")
    language: str | None = setting(None, help="the language of the text in the list; by default empty")
    licence: str | None = setting(None, help="the licence of the text in the list; by default empty")
    source: str | None = setting(None, help="where the text comes from, as a note; by default empty")
