"""Music on a web page: its score, the notes that sound, and the scripts that draw and play them."""

import base64
import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import islice
from pathlib import Path

from markupsafe import Markup

from wordgen.errors import SettingError, WordgenError
from wordgen.music.engraving import PARTS_PER_QUARTER, Score, rounded_for_score
from wordgen.music.piece import CheckedPiece, Note, Piece
from wordgen.music.saving import PIECE_PARSERS
from wordgen.music.scores import NotePosition, score_in_abc
from wordgen.text.tokenizers import MUSIC_TOKENIZERS

_STATIC = Path(__file__).parent / "static"
_ABCJS, _LICENCE, _PLAYER = "abcjs-basic-min.js", "abcjs-basic-min.js.LICENSE", "music.js"
PAGE_FILES = _STATIC / _PLAYER, _STATIC / "music.css"
"""The player, and how it looks. The playground serves them, too."""
ABCJS_STYLE = (
    ".abcjs-dragging-in-progress text, .abcjs-dragging-in-progress tspan {-webkit-touch-callout: none; "
    "-webkit-user-select: none; -khtml-user-select: none; -moz-user-select: none; -ms-user-select: none; "
    "user-select: none;}"
)
"""The style sheet that abcjs puts into each score."""
_START_CODE = "\nshowAll();\n"


@dataclass(frozen=True)
class Scripts:
    """The scripts of a page with music."""

    abcjs: Markup
    player: Markup
    policy: str
    """The policy for the browser: it runs these two scripts and no others, and uses no network."""


@cache
def scripts() -> Scripts:
    abcjs, player = _read(_LICENCE) + _read(_ABCJS), _read(_PLAYER) + _START_CODE
    allowed = " ".join(map(csp_hash, (abcjs, player)))
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}"
    return Scripts(Markup(abcjs), Markup(player), policy)


def _read(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8")


def csp_hash(content: str) -> str:
    """Return how a policy names a script or a style sheet within a page: by its hash."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


_MAX_PLAYED_NOTES = 5000
_MAX_SCORE_NOTES = 2000
_MAX_FAULTS = 3


@dataclass(frozen=True)
class Music:
    """All that a page needs to show a piece and to play it. Times are in thousandths of a second."""

    title: str
    tempo: int
    """The first tempo, in quarter notes per minute."""
    abc: str
    """The score. It has no words but names of chords."""
    notes: tuple[tuple[int, int, int, int], ...]
    """Begin, length, pitch and velocity (as in MIDI) of each note that sounds, in the order of their begins."""
    marks: tuple[tuple[int, int, int], ...]
    """Begin, end, and index in `abc` of each note of the score that sounds. With repeats, one sounds several times."""
    faults: tuple[str, ...]
    """The first sentences about what is wrong with the piece."""


def music_in(text: str, tokenizer: str) -> Music:
    """Return the music, perhaps without notes, of a text. Raise CorpusError or SettingError if it is too long."""
    return music_for_page(PIECE_PARSERS[tokenizer](text))


def music_for_page(music: CheckedPiece) -> Music:
    """Return a piece as a page shows and plays it. Raise SettingError if it is too long for a page."""
    piece = music.piece
    if max(len(piece.notes), len(music.score_bars)) > _MAX_PLAYED_NOTES:
        raise SettingError(
            f"The music has more than {_MAX_PLAYED_NOTES:,} notes to play, which is too much for a page."
        )
    abc, marks = _score(music) if piece.notes else ("", ())
    return Music(
        title=piece.title,
        tempo=max(1, round(piece.tempos[0][1])),
        abc=abc,
        notes=tuple(_played_note(piece, note) for note in piece.notes),
        marks=marks,
        faults=music.faults[:_MAX_FAULTS],
    )


def _played_note(piece: Piece, note: Note) -> tuple[int, int, int, int]:
    begin, end = _milliseconds(piece, note.onset), _milliseconds(piece, note.end)
    return begin, end - begin, note.pitch, note.velocity


def _score(music: CheckedPiece) -> tuple[str, tuple[tuple[int, int, int], ...]]:
    score = Score(rounded_for_score(music.printed))
    abc, positions = score_in_abc(score)
    if len(positions) > _MAX_SCORE_NOTES:
        raise SettingError(f"The score has more than {_MAX_SCORE_NOTES:,} notes, which is too much for a page.")
    marks = _marks(music, positions, score.piece.bar_lines)
    return abc, tuple(sorted(islice(marks, _MAX_PLAYED_NOTES)))


def _marks(
    music: CheckedPiece, positions: Sequence[NotePosition], lines: Sequence[int]
) -> Iterator[tuple[int, int, int]]:
    """Yield when each note of a score sounds. With repeats, that is bar by bar in the order in which they sound."""
    if not music.score_bars:
        yield from (_mark(music.piece, 0, 0, position) for position in positions)
    for begin, number in zip(music.piece.bar_lines, music.score_bars, strict=False):
        first, last = (bisect_left(positions, (line,)) for line in lines[number : number + 2])
        for position in positions[first:last]:
            yield _mark(music.piece, begin, lines[number], position)


def _mark(piece: Piece, begin: int, line: int, position: NotePosition) -> tuple[int, int, int]:
    """Return when a note sounds. Its bar begins at `line` in the score, and at `begin` in the piece."""
    onset, end = (
        _milliseconds(piece, begin + round((time - line) * piece.resolution / PARTS_PER_QUARTER))
        for time in (position.begin, position.end)
    )
    return onset, end, position.at


def _milliseconds(piece: Piece, time: int) -> int:
    return round(1000 * piece.seconds(time))


def sample_of_music(text: str, tokenizer: str) -> dict[str, object]:
    """Return the music of a text, or a sentence that says why it has none. Both are None if the model writes text."""
    if tokenizer not in MUSIC_TOKENIZERS:
        return {"music": None, "no_music": None}
    try:
        music = music_in(text, tokenizer)
    except WordgenError as error:
        return {"music": None, "no_music": str(error)}
    if not music.notes:
        return {"music": None, "no_music": "This text has no note."}
    return {"music": asdict(music), "no_music": None}
