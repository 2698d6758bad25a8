"""Read pieces from files and from the text of a model, and save them, in the format that the name of the file says."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wordgen.errors import CorpusError, SettingError, in_a_sentence, reason_of
from wordgen.files import atomic_file, check_new_file, read_regular_file
from wordgen.music.abc_text import MAX_TUNE_CHARACTERS, LeftOut, NumberedLine, numbered, whole_tunes_of
from wordgen.music.engraving import rounded_for_score
from wordgen.music.midi import MIDI_ENDINGS, midi_bytes, read_midi
from wordgen.music.piece import (
    STEPS_PER_QUARTER,
    CheckedPiece,
    Piece,
    chord_words,
    form_of,
    lay_out,
    notes_text,
    onset_words,
    piece_of_chords,
    piece_of_notes,
    unread_words,
)
from wordgen.music.playing import tune_of_abc, tune_of_lines, write_wav
from wordgen.music.scores import check_installed, musicxml, svg

PIECE_PARSERS: Mapping[str, Callable[[str], CheckedPiece]] = {
    "abc": tune_of_abc,
    "notes": lambda text: CheckedPiece(piece_of_notes(text)),
    "chords": lambda text: CheckedPiece(piece_of_chords(text)),
}
"""For each tokenizer of music: the piece that a text of its models describes."""
_MAX_TEXT_BYTES = 1 << 21
_ABC, _SVG, _TEXT = ".abc", ".svg", ".txt"
_LINE_END = re.compile(r"\r\n?|\n")
_KEY_OF_ABC = re.compile(r"^K:", re.MULTILINE)


def read_tunes(path: Path) -> tuple[int, Iterator[CheckedPiece]]:
    """Return the number of the pieces in a file, and the pieces with their faults, which are made one by one.

    Raise SettingError if wordgen reads no music from files with this ending, and CorpusError if the file cannot be read
    or contains no music. The iterator raises CorpusError at a tune that is too long to be played.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise SettingError(
            f"{path} is no music that wordgen reads: give a file that ends in {_joined_with_or(_READERS)}."
        )
    return reader(path)


def _tunes_of(path: Path, text: str) -> tuple[int, Iterator[CheckedPiece]]:
    left_out = LeftOut()
    tunes = list(whole_tunes_of(enumerate(_LINE_END.split(text), 1), left_out))
    if not tunes:
        needed = f"at most {MAX_TUNE_CHARACTERS:,} characters" if left_out.long_tunes else "a key (K:G) and notes"
        raise CorpusError(f"{path} contains no tune: a tune in ABC has {needed}.")
    return len(tunes), (_tune_of(path, tune) for tune in tunes)


def _tune_of(path: Path, lines: list[NumberedLine]) -> CheckedPiece:
    try:
        return tune_of_lines(lines)
    except CorpusError as error:
        raise CorpusError(f"{path}, line {lines[0][0]}, cannot be played. {error}") from error


def _read_text(path: Path) -> tuple[int, Iterator[CheckedPiece]]:
    """Read notes, chords or tunes in ABC that a model wrote."""
    text = _text_of(path)
    if _KEY_OF_ABC.search(text):
        return _tunes_of(path, text)
    form = form_of(text) or "notes"
    piece = PIECE_PARSERS[form](text).piece
    if not piece.notes:
        raise CorpusError(f"{path} contains no music: wordgen reads notes such as +3 E4 =6 v5 in a text file.")
    unread = unread_words(text, form)
    faults = (f"Some words are not music, and are ignored: {in_a_sentence(unread, limit=3)}.",) if unread else ()
    return 1, iter([CheckedPiece(piece, faults)])


def _text_of(path: Path) -> str:
    """Return the text of a file: UTF-8, or else Latin-1, in which old collections of tunes are written."""
    try:
        content = read_regular_file(path, _MAX_TEXT_BYTES)
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {reason_of(error)}.") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


_READERS: Mapping[str, Callable[[Path], tuple[int, Iterator[CheckedPiece]]]] = {
    _ABC: lambda path: _tunes_of(path, _text_of(path)),
    **dict.fromkeys(MIDI_ENDINGS, lambda path: (1, iter([read_midi(path)]))),
    _TEXT: _read_text,
}
"""The reader for each ending of a file name."""

_NO_WAIT = " +0"
"""Ends the last note of a text, so that no word after it changes its length or its loudness."""


@dataclass(frozen=True)
class Beginning:
    """A tune or a piece to continue."""

    text: str
    """As models with this tokenizer read it."""
    piece: Piece
    tokenizer: str

    def piece_of(self, text: str) -> CheckedPiece:
        """Return the piece of a text that begins with this one.

        Notes and chords get tempo and title of the beginning, and notes its metre and key, too.
        """
        if self.tokenizer == "abc" or not text.startswith(self.text):
            return PIECE_PARSERS[self.tokenizer](text)
        if self.tokenizer == "chords":
            music = PIECE_PARSERS["chords"](text)
            template = Piece((), STEPS_PER_QUARTER, self.piece.tempos[:1], title=self.piece.title)
        else:
            music = PIECE_PARSERS["notes"](self.text + _NO_WAIT + text[len(self.text) :])
            template = self.piece.on_grid(STEPS_PER_QUARTER)
        properties = {name: getattr(template, name) for name in ("tempos", "metres", "keys", "title")}
        return replace(music, piece=replace(music.piece, **properties))


def read_beginning(path: Path, tokenizer: str) -> Beginning:
    """Return the tune or the piece of a file for models with this tokenizer.

    Raise SettingError or CorpusError if the file has no music, has several tunes, or does not fit the tokenizer.
    """
    if tokenizer not in PIECE_PARSERS:
        raise SettingError(f"Models with --tokenizer {tokenizer} write text: give the beginning with --seed instead.")
    count, tunes = read_tunes(path)
    if count > 1:
        raise SettingError(f"{path} has {count:,} tunes: give a file with the tune to continue.")
    tune = next(tunes)
    if tokenizer == "abc":
        if not tune.abc:
            raise SettingError(f"{path} is no tune in ABC, which is what models with --tokenizer abc continue.")
        return Beginning(tune.abc, tune.piece, tokenizer)
    if not tune.piece.notes:
        raise SettingError(f"{path} has no note that a model could continue.")
    text = notes_text(tune.piece) if tokenizer == "notes" else " ".join(words for _, words in chord_words(tune.piece))
    return Beginning(text, tune.piece, tokenizer)


def check_music_path(path: Path, *, abc: bool = True, text: bool = False) -> None:
    """Raise SettingError, StorageError or MissingPartError if no music can be saved under this name.

    `abc` allows .abc, for tunes in ABC. `text` allows .txt, for the text that models of notes learn.
    """
    allowed = {_ABC: abc, _TEXT: text}
    endings = [ending for ending in _WRITERS if allowed.get(ending, True)]
    if path.suffix.lower() not in endings:
        raise SettingError(
            f"Music cannot be saved as {path.name}: give a name that ends in {_joined_with_or(endings)}."
        )
    check_new_file(path)
    if path.suffix.lower() == _SVG:
        check_installed()


def save(music: CheckedPiece, path: Path) -> None:
    """Write a piece into a new file, in the format that its name says. The file appears when it is complete.

    Raise SettingError, StorageError or MissingPartError if it cannot be saved under this name.
    """
    check_music_path(path, abc=bool(music.abc), text=True)
    with atomic_file(path, overwrite=False) as partial:
        _WRITERS[path.suffix.lower()](music, partial)


def numbered_path(path: Path, number: int, count: int) -> Path:
    """Return the name of the file for one of several pieces: `tune-2.mid`. A single piece keeps the name."""
    return path if count == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


def _musicxml_of(music: CheckedPiece) -> str:
    return musicxml(rounded_for_score(music.printed))


def _text_writer(text_of: Callable[[CheckedPiece], str]) -> Callable[[CheckedPiece, Path], object]:
    return lambda music, path: path.write_text(text_of(music), encoding="utf-8")


_WRITERS: Mapping[str, Callable[[CheckedPiece, Path], object]] = {
    _ABC: _text_writer(lambda music: numbered(re.split(r"\n\s*\n", music.abc.strip()))),
    **dict.fromkeys(MIDI_ENDINGS, lambda music, path: path.write_bytes(midi_bytes(music.piece))),
    ".wav": lambda music, path: write_wav(music.piece, path),
    ".musicxml": _text_writer(_musicxml_of),
    _SVG: _text_writer(lambda music: svg(_musicxml_of(music))),
    _TEXT: _text_writer(lambda music: lay_out(onset_words(music.piece)) + "\n"),
}
"""The writer for each ending of a file name."""


def _joined_with_or(endings: Iterable[str]) -> str:
    *others, last = endings
    return f"{', '.join(others)} or {last}"
