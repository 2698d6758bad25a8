"""`wordgen tune`: check music, play it into a WAV file, and convert it. This module must not import TensorFlow."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wordgen.cli.flags import Parser, add_flags, settings_from, verb_parser
from wordgen.cli.output import print_message, print_sanitized
from wordgen.errors import in_a_sentence, pluralized
from wordgen.evaluation.figures import shown_duration
from wordgen.generation.settings import PlayingSettings

if TYPE_CHECKING:
    from wordgen.music.piece import CheckedPiece, Piece

_PARTS_PER_QUARTER = 24
"""To count the bars, the notes of a piece are rounded to this grid."""
_MAX_SHOWN = 20


def tune_parser(prog: str) -> Parser:
    parser = verb_parser(
        prog,
        _run,
        "Check a piece of music, and show what is in it. With --output, convert it to the format of that name: .wav is "
        "sound, .mid is MIDI, .musicxml and .svg are scores, .txt is the text that models of notes learn, and .abc is "
        "a tune in ABC.",
        "nocturne.mid --output nocturne.wav",
        has_models_flag=False,
    )
    parser.add_argument(
        "file", metavar="FILE", help="tunes in ABC (.abc), MIDI (.mid), or notes that a model wrote, as text (.txt)"
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output", metavar="FILE", help="write to this new file; several pieces are numbered (by default, no file)"
    )
    add_flags(parser, PlayingSettings, "playing")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    from wordgen.music.saving import check_music_path, numbered_path, read_tunes, save

    tempo = settings_from(PlayingSettings, arguments).tempo
    output = None if arguments.output is None else Path(arguments.output)
    count, tunes = read_tunes(Path(arguments.file))
    places = [None if output is None else numbered_path(output, number, count) for number in range(1, count + 1)]
    for place in filter(None, places):
        check_music_path(place, text=True)
    for tune, place in zip(tunes, places, strict=True):
        music = tune if tempo is None else tune.at_tempo(tempo)
        for line in _describe(music):
            print_sanitized(f"{line}\n")
        if place is not None and not music.piece.notes:
            print_message(f"The piece has no note, so {place} was not written.")
        elif place is not None:
            save(music, place)
            print_message(f"Wrote {place}.")


def _describe(tune: "CheckedPiece") -> Iterator[str]:
    """Yield lines that say what is in a piece, and what is wrong with it."""
    yield tune.piece.title or "(without a title)"
    yield from (f"  {line}" for line in _contents(tune.piece, tune.printed))
    yield from (f"  {fault}" for fault in tune.faults[:_MAX_SHOWN])
    if len(tune.faults) > _MAX_SHOWN:
        yield f"  {pluralized(len(tune.faults) - _MAX_SHOWN, 'more fault')}."
    if not tune.faults:
        yield "  No faults."


def _contents(piece: "Piece", printed: "Piece") -> Iterator[str]:
    from wordgen.music.piece import loudness_of, pitch_name

    if not printed.notes:
        yield "no notes"
        return
    bars = printed.on_grid(_PARTS_PER_QUARTER).bars()
    pitches = [note.pitch for note in printed.notes]
    quietest, loudest = (f(loudness_of(note.velocity) for note in piece.notes) for f in (min, max))
    counts = f"{pluralized(len(printed.notes), 'note')} in {pluralized(len(bars), 'bar')}"
    yield f"{counts}, {shown_duration(piece.seconds(piece.end))}"
    metres = _first_and_others([str(metre) for _, metre in printed.metres])
    yield f"metre {metres}, {piece.tempos[0][1]:.0f} quarters a minute"
    yield f"key {_first_and_others([key.name for _, key in printed.keys]) if printed.keys else 'not given'}"
    yield f"from {pitch_name(min(pitches))} to {pitch_name(max(pitches))}, loudness v{quietest} to v{loudest}"


def _first_and_others(values: Sequence[str]) -> str:
    """Return the first value, and how many others there are."""
    return in_a_sentence(dict.fromkeys(values), limit=1)
