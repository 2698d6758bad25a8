"""How music sounds: a tune in ABC as a piece, and any piece as a WAV file.

Repeats, endings, parts, grace notes and chord names are played as abc2midi plays them.
"""

import wave
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil, lcm
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordgen.errors import CorpusError, SettingError
from wordgen.music.abc_parsing import parse_lines
from wordgen.music.abc_text import NumberedLine
from wordgen.music.harmony import (
    ACCOMPANIMENTS,
    BASS_VELOCITY,
    CHORD_VELOCITY,
    ChordName,
    Key,
    Metre,
    Pitch,
    chord_named,
)
from wordgen.music.piece import DEFAULT_TEMPO, MAX_QUARTERS, BarSigns, CheckedPiece, Piece, as_title
from wordgen.music.piece import Note as PieceNote
from wordgen.music.tune import Bar, Note, faults_of

_MIDDLE_C = 60
_HIGHEST = 127
_DOWNBEAT_VELOCITY, _BEAT_VELOCITY, _OFF_BEAT_VELOCITY = 105, 95, 80
"""The velocities of the first note of a bar, of notes on other beats, and of all others."""
_FINEST_RESOLUTION = 10_080
"""The most parts of a quarter note. It is a multiple of 2, 3, 5, 7 and 9."""
_DEFAULT_RESOLUTION = 480
"""Parts of a quarter note, to which times are rounded that would need more than the finest parts."""
_MAX_NOTES = 100_000


def tune_of_abc(text: str) -> CheckedPiece:
    """Return a tune as a piece, with its faults. Several tunes in a text follow each other.

    Raise CorpusError if it is too long to be played.
    """
    return tune_of_lines(list(enumerate(text.split("\n"), 1)))


def tune_of_lines(lines: list[NumberedLine]) -> CheckedPiece:
    """Return the tune of some lines of a file, like `tune_of_abc`."""
    tune = parse_lines(lines)
    faults = [fault.sentence for fault in faults_of(tune)]
    if tune.has_several_voices:
        faults.append("It has several voices (V:), which are read one after another.")
    text = "\n".join(line for _, line in lines if not line.startswith("X:"))
    title = as_title(tune.field("T") or "")
    return CheckedPiece(
        piece=_Player(tune.played_bars, for_playback=True).piece(title),
        faults=tuple(faults),
        score=_Player(tune.bars, for_playback=False).piece(title, _signs(tune.bars)),
        abc=text,
        score_bars=tuple(bar.number - 1 for bar in tune.played_bars),
    )


@dataclass(slots=True)
class _Sound:
    """A note that sounds. Times are in whole notes."""

    begin: Fraction
    end: Fraction
    pitch: int
    velocity: int


class _Player:
    """Puts bars one after another, with times in whole notes."""

    def __init__(self, bars: Iterable[Bar], *, for_playback: bool) -> None:
        """`for_playback` adds grace notes and the accompaniment. Raise CorpusError if the piece becomes too long."""
        self._bar_begins: list[Fraction] = []
        self._for_playback = for_playback
        self._time = Fraction(0)
        self._passed = Fraction(0)
        """How much of a full bar has passed before the next bar."""
        self._sounds: list[_Sound] = []
        self._tied: dict[int, tuple[_Sound, int]] = {}
        """By step: the last note that is tied to the next, and the number of its bar."""
        self._chord: ChordName | None = None
        self._chord_names: list[tuple[Fraction, str]] = []
        self._tempos: list[tuple[Fraction, float]] = []
        self._metres: list[tuple[Fraction, Metre]] = []
        self._keys: list[tuple[Fraction, Key]] = []
        for bar in bars:
            self._add_bar(bar)

    def _add_bar(self, bar: Bar) -> None:
        if 4 * (self._time + bar.length) > MAX_QUARTERS:
            raise CorpusError(f"The tune lasts longer than {MAX_QUARTERS:,} quarter notes: cut it into several tunes.")
        self._begin_bar(bar)
        chords: list[tuple[Fraction, str]] = []
        for voice in bar.voices:
            time = self._time
            for note in voice:
                if note.chord:
                    chords.append((time, note.chord))
                self._add_note(note, time, bar)
                time += note.length
        chords.sort(key=lambda chord: chord[0])
        self._chord_names += chords
        if self._for_playback:
            self._accompany(bar, chords)
        self._time += bar.length
        self._advance(bar)
        if len(self._sounds) > _MAX_NOTES:
            raise CorpusError(f"The tune has more than {_MAX_NOTES:,} notes to play: cut it into several tunes.")

    def _begin_bar(self, bar: Bar) -> None:
        """Note where the bar begins, and what is valid from there on."""
        self._bar_begins.append(self._time)
        tempo = DEFAULT_TEMPO if bar.tempo is None else float(bar.tempo)
        metre = bar.metre if bar.metre is not None and bar.metre.is_supported else Metre()
        if not self._tempos or self._tempos[-1][1] != tempo:
            self._tempos.append((self._time, tempo))
        if not self._metres or self._metres[-1][1] != metre:
            self._metres.append((self._time, metre))
        if bar.key is not None and (not self._keys or self._keys[-1][1] != bar.key):
            self._keys.append((self._time, bar.key))

    def _add_note(self, note: Note, begin: Fraction, bar: Bar) -> None:
        end = begin + note.length
        velocity = _velocity(self._passed + begin - self._time, bar.metre)
        graces = sum((length for _, length in note.graces), Fraction(0))
        if self._for_playback and graces < note.length:  # else there is no time for them
            for pitch, length in note.graces:
                self._sounds.append(_Sound(begin, begin + length, _midi_pitch(pitch), _OFF_BEAT_VELOCITY))
                begin += length
        if self._for_playback and note.staccato and not note.tied:
            end = begin + (end - begin) / 2
        for pitch in note.pitches:
            sound = self._tied_to(pitch, begin, bar)
            if sound is None:
                sound = _Sound(begin, end, _midi_pitch(pitch), velocity)
                self._sounds.append(sound)
            sound.end = end
            if note.tied:
                self._tied[pitch.step] = sound, bar.number

    def _tied_to(self, pitch: Pitch, begin: Fraction, bar: Bar) -> _Sound | None:
        """Return the note that a tie continues with this pitch. After a bar line, its accidental is still valid."""
        sound, of_bar = self._tied.pop(pitch.step, (None, 0))
        if sound is None or sound.end != begin:
            return None
        return sound if sound.pitch == _midi_pitch(pitch) or of_bar != bar.number else None

    def _accompany(self, bar: Bar, chords: list[tuple[Fraction, str]]) -> None:
        """Play the chords of a bar in the rhythm of its metre, from the first chord of the tune on."""
        pattern = ACCOMPANIMENTS.get(bar.metre) if bar.metre is not None else None
        slot = (bar.full_length or Fraction(1)) / len(pattern) if pattern else bar.length
        pending_chords = list(reversed(chords))
        place = ceil(self._passed / slot)
        while (time := self._time + place * slot - self._passed) < self._time + bar.length:
            while pending_chords and pending_chords[-1][0] <= time:
                self._chord = chord_named(pending_chords.pop()[1]) or self._chord
            if pattern and self._chord is not None:
                self._play_chord(self._chord, pattern[place % len(pattern)], time, time + slot)
            place += 1
        for _, name in reversed(pending_chords):
            self._chord = chord_named(name) or self._chord

    def _play_chord(self, chord: ChordName, letter: str, begin: Fraction, end: Fraction) -> None:
        if letter in "fb":
            self._sounds.append(_Sound(begin, end, chord.bass_pitch, BASS_VELOCITY))
        if letter in "cb":
            self._sounds += (_Sound(begin, end, pitch, CHORD_VELOCITY) for pitch in chord.chord_pitches)

    def _advance(self, bar: Bar) -> None:
        """Note how much of a full bar has passed. A bar is only completed by the next one where a part ends."""
        passed = self._passed + bar.length
        first = len(self._bar_begins) == 1
        complete = bar.full_length is None or passed >= bar.full_length or first or not bar.line_after.bounds_a_part
        self._passed = Fraction(0) if complete else passed

    def piece(self, title: str, signs: Iterable[BarSigns] = ()) -> Piece:
        """Return all bars as a piece. `signs` has those around each bar, without their times."""
        ends = [*self._bar_begins, self._time] if self._bar_begins else []
        resolution = _resolution([*ends, *(time for sound in self._sounds for time in (sound.begin, sound.end))])

        def scaled(time: Fraction) -> int:
            parts, rest = divmod(4 * resolution, time.denominator)
            return round(4 * time * resolution) if rest else time.numerator * parts

        notes = sorted(
            PieceNote(scaled(each.begin), each.pitch, max(1, scaled(each.end) - scaled(each.begin)), each.velocity)
            for each in self._sounds
        )
        return Piece(
            notes=tuple(notes),
            resolution=resolution,
            tempos=tuple((scaled(time), tempo) for time, tempo in self._tempos) or ((0, DEFAULT_TEMPO),),
            metres=tuple((scaled(time), metre) for time, metre in self._metres) or ((0, Metre()),),
            keys=tuple((scaled(time), key) for time, key in self._keys),
            bar_lines=tuple(map(scaled, ends)),
            title=title,
            chord_names=tuple((scaled(time), name) for time, name in self._chord_names),
            signs=tuple(each._replace(begin=scaled(time)) for each, time in zip(signs, self._bar_begins, strict=False)),
            one_staff=True,
        )


def _velocity(passed: Fraction, metre: Metre | None) -> int:
    """Return how loud a note is, from how much of its bar has passed."""
    if not passed:
        return _DOWNBEAT_VELOCITY
    if metre is None:
        return _OFF_BEAT_VELOCITY
    beat = 3 if metre.beats % 3 == 0 else 2 if metre.beats % 2 == 0 else metre.beats
    return _BEAT_VELOCITY if (passed * metre.unit / beat).denominator == 1 else _OFF_BEAT_VELOCITY


def _midi_pitch(pitch: Pitch) -> int:
    """Return a pitch as its number in MIDI. Pitches that MIDI does not have move by octaves."""
    number = _MIDDLE_C + pitch.half_steps
    while number > _HIGHEST:
        number -= 12
    return number if number >= 0 else number % 12


def _resolution(times: Iterable[Fraction]) -> int:
    """Return the fewest parts of a quarter note that are exact for all times. If they are too many, return 480."""
    found = 1
    for denominator in {time.denominator for time in times}:
        found = lcm(found, Fraction(4, denominator).denominator)
        if found > _FINEST_RESOLUTION:
            return _DEFAULT_RESOLUTION
    return found


def _signs(bars: Sequence[Bar]) -> Iterator[BarSigns]:
    """Yield the signs that a score has around each bar, without the time of the bar."""
    ending = ""
    for at, bar in enumerate(bars):
        begins = ", ".join(map(str, sorted(bar.ending)))
        ending = begins or ending
        after = bar.line_after
        last = at == len(bars) - 1
        ends = ending if last or after.bounds_a_part or bars[at + 1].ending else ""
        ending = "" if ends else ending
        yield BarSigns(0, bar.before.begins_repeat, after.ends_repeat, after.double, begins, ends)


RATE = 32_000
"""Samples per second."""
RING = 0.5
"""Seconds after the end of the last note, in which it rings."""
_PEAK = 0.9
"""The largest sample of a file, where 1 would be clipped."""
_MAX_SECONDS = 3600
_BLOCK = 20 * RATE
_MAX_TONE_SECONDS = 4.0
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
        if seconds > _MAX_SECONDS:
            raise SettingError(
                f"The piece lasts {seconds / 3600:,.1f} hours, and a WAV file can have at most one hour: "
                "take a faster --tempo."
            )
        self._notes = piece.notes
        self._begins = [int(piece.seconds(note.onset) * RATE) for note in piece.notes]
        self._durations = [
            int(piece.seconds(note.end) * RATE) - begin for note, begin in zip(piece.notes, self._begins, strict=True)
        ]
        self._tone = cache(_tone_of)
        self.samples = ceil((seconds + RING) * RATE)

    def blocks(self) -> Iterator[Samples]:
        """Yield the sound in blocks of up to 20 seconds."""
        ringing = np.zeros(0, np.float32)
        for begin in range(0, self.samples, _BLOCK):
            block = np.zeros(_BLOCK + int((_MAX_TONE_SECONDS + _RELEASE) * RATE), np.float32)
            block[: len(ringing)] = ringing
            for place in range(bisect_left(self._begins, begin), bisect_left(self._begins, begin + _BLOCK)):
                tone = self._samples_of(self._notes[place], self._durations[place])
                at = self._begins[place] - begin
                block[at : at + len(tone)] += tone
            yield block[: min(_BLOCK, self.samples - begin)]
            ringing = block[_BLOCK:]

    def _samples_of(self, note: PieceNote, duration: int) -> Samples:
        """Return the samples of a note: its tone while it lasts, and then a quick fade-out."""
        fade = int(_RELEASE * RATE)
        tone = self._tone(note.pitch)[: duration + fade] * np.float32((note.velocity / 127) ** 1.5)
        fade = min(fade, len(tone))
        tone[len(tone) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        return tone


def _tone_of(pitch: int) -> Samples:
    """Return the tone of a struck string. High partials decay sooner than low ones, and high notes than low notes."""
    lowest = 440 * 2 ** ((pitch - 69) / 12)
    decay = _DECAY_OF_MIDDLE_C * 2 ** ((60 - pitch) / 24)
    time = np.arange(int(min(_MAX_TONE_SECONDS, 6 * decay) * RATE), dtype=np.float32) / RATE
    tone = np.zeros_like(time)
    for number in range(1, _PARTIALS + 1):
        frequency = number * lowest * (1 + _STIFFNESS * number**2) ** 0.5
        if frequency > _HIGHEST_PARTIAL and number > 1:
            break
        level = number**-1.3
        tone += level * np.exp(-time * number**0.6 / decay) * np.sin(2 * np.pi * frequency * time)
    return (tone * (1 - np.exp(-time / _ATTACK))).astype(np.float32)
