"""Pieces of music, random and fixed, MIDI files and untrained models of music."""

import struct
import xml.etree.ElementTree as ET
from pathlib import Path

from hypothesis import strategies as st

from tests.helpers.bundles import random_weights
from wordgen.corpus.settings import Transpose
from wordgen.dataset.dataset import TextConfig
from wordgen.model.architecture import Architecture
from wordgen.model.bundle import Bundle
from wordgen.music.harmony import Key, Metre
from wordgen.music.midi import midi_bytes
from wordgen.music.piece import Note, Piece
from wordgen.music.scores import musicxml
from wordgen.text.vocabulary import Vocabulary

NOTES = st.builds(Note, st.integers(0, 4000), st.integers(0, 127), st.integers(1, 3000), st.integers(1, 127))
FEW_PITCHES = st.builds(Note, st.integers(0, 200), st.integers(60, 62), st.integers(1, 300), st.integers(1, 127))
METRES = st.sampled_from([Metre(4, 4), Metre(3, 4), Metre(6, 8), Metre(12, 8), Metre(2, 2), Metre(7, 8), Metre(5, 16)])
KEYS = st.builds(lambda sharps, minor: Key.of_signature(sharps, minor=minor), st.integers(-7, 7), st.booleans())


@st.composite
def pieces(draw: st.DrawFn, most: int = 30) -> Piece:
    """Draw a piece with notes at any time; some pieces have many simultaneous notes of one pitch."""
    notes = draw(st.lists(NOTES | FEW_PITCHES, min_size=1, max_size=most))
    return Piece(
        tuple(sorted(notes)),
        draw(st.sampled_from([1, 5, 12, 24, 96, 384, 480, 960])),
        ((0, draw(st.floats(20, 400))),),
        ((0, draw(METRES)),),
        ((0, draw(KEYS)),),
    )


def midi(*tracks: bytes, kind: int = 1, division: int = 480) -> bytes:
    """Return a MIDI file with these tracks."""
    header = struct.pack(">4sLHHH", b"MThd", 6, kind, len(tracks), division & 0xFFFF)
    return header + b"".join(struct.pack(">4sL", b"MTrk", len(track)) + track for track in tracks)


def write_midi(path: Path, piece: Piece) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(midi_bytes(piece))
    return path


def scale(notes: int = 40) -> Piece:
    """Return a simple piece in 3/4: a scale of quarter notes with a bass note at the beginning of each bar."""
    upper = [Note(12 * number, 60 + (0, 2, 4, 5, 7, 9, 11)[number % 7], 12, 80) for number in range(notes)]
    lower = [Note(36 * bar, 43, 36, 60) for bar in range(notes // 3)]
    tempos, metres, keys = ((0, 90.0),), ((0, Metre(3, 4)),), ((0, Key.of_signature(1)),)
    return Piece(tuple(sorted(upper + lower)), 12, tempos, metres, keys, title="Scale")


def measures_of(piece: Piece) -> list[ET.Element]:
    """Return the bars of a score in MusicXML."""
    return list(ET.fromstring(musicxml(piece).partition('.dtd">')[2]).iter("measure"))


def music_bundle(tokenizer: str, tokens: list[str], *, transpose: Transpose = "none") -> Bundle:
    """Return an untrained model of music with random weights and this vocabulary."""
    vocabulary = Vocabulary.from_counts(dict.fromkeys(tokens, 2), 100, 1)
    architecture = Architecture(
        vocabulary_size=len(vocabulary), embedding=3, layers=1, units=4, cell="lstm", tied=False
    )
    text = TextConfig(
        corpus="preludes",
        tokenizer=tokenizer,  # pyright: ignore[reportArgumentType]
        passage="tune" if tokenizer == "abc" else "document",
        line_breaks="kept" if tokenizer == "abc" else "joined",
        starts=True,
        transpose=transpose,
    )
    return Bundle(architecture, text, vocabulary, random_weights(architecture))
