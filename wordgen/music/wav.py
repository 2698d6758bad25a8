"""Play pieces into WAV files, with a small synthesiser of decaying tones."""

import wave
from bisect import bisect_left
from collections.abc import Iterator
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordgen.errors import SettingError
from wordgen.music.piece import Note, Piece

RATE = 32_000
"""Samples per second."""
RING = 0.5
"""Seconds after the end of the last note, in which it rings."""
_PEAK = 0.9
"""The largest sample of a file, where 1 would be clipped."""
_LONGEST = 3600
_BLOCK = 20 * RATE
_LONGEST_TONE = 4.0
_ATTACK, _RELEASE = 0.004, 0.08
_DECAY_OF_MIDDLE_C = 1.1
"""Seconds after which the level of its lowest partial is 1/e, about a third."""
_HIGHEST_PARTIAL = 0.45 * RATE
_PARTIALS = 10
_STIFFNESS = 0.0004
"""The partials of a stiff string are a little higher than multiples of the lowest one."""

Samples = NDArray[np.float32]


def write_wav(piece: Piece, path: Path) -> None:
    """Play a piece into a file: one channel of 16 bits, as loud as possible without clipping.

    Raise SettingError if the piece is longer than an hour.
    """
    sound = Synthesiser(piece)
    peak = max((float(np.abs(block).max()) for block in sound.blocks()), default=0.0)
    scale = np.float32(_PEAK * 0x7FFF / peak if peak else 0.0)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        for block in sound.blocks():
            file.writeframes(np.rint(block * scale).astype("<i2").tobytes())


class Synthesiser:
    """Plays a piece block by block, so that not all of it is in memory.

    Raises SettingError if the piece is longer than an hour.
    """

    def __init__(self, piece: Piece) -> None:
        seconds = piece.seconds(piece.end)
        if seconds > _LONGEST:
            raise SettingError(
                f"The piece lasts {seconds / 3600:,.1f} hours, and a WAV file can have at most one hour: "
                "take a faster --tempo."
            )
        self._notes = piece.notes
        self._begins = [int(piece.seconds(note.onset) * RATE) for note in piece.notes]
        self._lasting = [
            int(piece.seconds(note.end) * RATE) - begin for note, begin in zip(piece.notes, self._begins, strict=True)
        ]
        self._tones: dict[int, Samples] = {}
        self.samples = ceil((seconds + RING) * RATE)

    def blocks(self) -> Iterator[Samples]:
        """Yield the sound in blocks of up to 20 seconds."""
        ringing = np.zeros(0, np.float32)
        for begin in range(0, self.samples, _BLOCK):
            block = np.zeros(_BLOCK + int((_LONGEST_TONE + _RELEASE) * RATE), np.float32)
            block[: len(ringing)] = ringing
            for place in range(bisect_left(self._begins, begin), bisect_left(self._begins, begin + _BLOCK)):
                tone = self._sounded(self._notes[place], self._lasting[place])
                at = self._begins[place] - begin
                block[at : at + len(tone)] += tone
            yield block[: min(_BLOCK, self.samples - begin)]
            ringing = block[_BLOCK:]

    def _sounded(self, note: Note, lasting: int) -> Samples:
        """Return the samples of a note: its tone while it lasts, and then a quick fade-out."""
        fade = int(_RELEASE * RATE)
        tone = self._tone(note.pitch)[: lasting + fade] * np.float32((note.velocity / 127) ** 1.5)
        fade = min(fade, len(tone))
        tone[len(tone) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        return tone

    def _tone(self, pitch: int) -> Samples:
        if pitch not in self._tones:
            self._tones[pitch] = _tone_of(pitch)
        return self._tones[pitch]


def _tone_of(pitch: int) -> Samples:
    """Return the tone of a struck string. High partials decay sooner than low ones, and high notes than low notes."""
    lowest = 440 * 2 ** ((pitch - 69) / 12)
    decay = _DECAY_OF_MIDDLE_C * 2 ** ((60 - pitch) / 24)
    time = np.arange(int(min(_LONGEST_TONE, 6 * decay) * RATE), dtype=np.float32) / RATE
    tone = np.zeros_like(time)
    for number in range(1, _PARTIALS + 1):
        frequency = number * lowest * (1 + _STIFFNESS * number**2) ** 0.5
        if frequency > _HIGHEST_PARTIAL and number > 1:
            break
        level = number**-1.3
        tone += level * np.exp(-time * number**0.6 / decay) * np.sin(2 * np.pi * frequency * time)
    return (tone * (1 - np.exp(-time / _ATTACK))).astype(np.float32)
