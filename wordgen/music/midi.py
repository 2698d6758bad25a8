"""Read MIDI files as pieces, in bounded time and memory, and write them. Damaged files are refused in one sentence.

mido reads the events of a track. It gets one track at a time, and its number of reads is limited. Anything that the
standard tells readers to ignore (other kinds of chunks, a RIFF header) is removed before.
"""

import io
import re
import struct
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wordgen.errors import CorpusError, reason_of
from wordgen.files import read_regular_file
from wordgen.music.harmony import Key, Metre, parse_key
from wordgen.music.piece import (
    DEFAULT_TEMPO,
    MAX_QUARTERS,
    CheckedPiece,
    Note,
    Piece,
    as_title,
    chord_words,
    lay_out,
    onset_words,
)

if TYPE_CHECKING:
    from mido import Message, MetaMessage, MidiTrack

MIDI_ENDINGS = (".mid", ".midi")

_MAX_FILE_BYTES = 1 << 22
_MAX_READS = 600_000
"""A note takes about six. 290,000 events of two reads each take 103 MB at the peak (2026-11-29)."""
_MAX_TRACKS = 1000
_MAX_HIGH_BYTES = 5000
"""The most bytes above 127 in a row. A longer number would take very long to compute, and a longer title is none."""
_TICKS_OF_A_QUARTER = 480
_DRUM_CHANNEL = 9
_MAX_REASON_CHARACTERS = 200
_C_MAJOR = b"\xff\x59\x02\x00\x00"
_BAD_KEY = re.compile(rb"\xff\x59\x02(?:[^\x00-\x07\xf9-\xff].|.[^\x00\x01])", re.DOTALL)
"""A key signature with more than seven sharps or flats, or one that is neither major nor minor."""


def read_midi(path: Path) -> CheckedPiece:
    """Return the piece of a MIDI file. Raise CorpusError, which names the file and the fault, if it cannot be read."""
    try:
        return _read(read_regular_file(path, _MAX_FILE_BYTES))
    except Exception as error:  # mido raises errors of many kinds on damaged files
        raise CorpusError(f"{path} cannot be read as MIDI: {_reason(error)}.") from error


def midi_text(path: Path, *, chords: bool = False) -> str:
    """Return the piece of a MIDI file as text: as notes with lengths, or if `chords`, as pitches without lengths."""
    piece = read_midi(path).piece
    return lay_out(chord_words(piece) if chords else onset_words(piece))


def _reason(error: Exception) -> str:
    if isinstance(error, EOFError | struct.error):
        return "it ends too early"
    reason = " ".join(reason_of(error).split())[:_MAX_REASON_CHARACTERS]
    return reason or f"it is damaged ({type(error).__name__})"


def _read(content: bytes) -> CheckedPiece:
    kind, resolution, tracks = _chunks(content)
    reader, reads, bad_keys = _MidiReader(resolution), iter(range(_MAX_READS)), 0
    for track in tracks:
        with_known_keys, replaced = _BAD_KEY.subn(_C_MAJOR, track)
        bad_keys += replaced
        reader.add(_events(with_known_keys, reads))
        if kind == 2:  # its tracks are pieces that follow each other
            reader.begin = reader.end
    if not reader.notes:
        raise ValueError("it has only drums" if reader.drums else "it has no notes")
    faults = list(reader.faults())
    if bad_keys:
        faults.append(f"It has {bad_keys:,} key signatures that do not exist. They are read as C major.")
    return CheckedPiece(reader.piece(), tuple(faults))


def _chunks(content: bytes) -> tuple[int, int, list[bytes]]:
    """Return the format of the file, the ticks of a quarter note, and the bytes of each track."""
    begin = max(0, content.find(b"MThd")) if content.startswith(b"RIFF") else 0
    if content[begin : begin + 4] != b"MThd":
        raise ValueError("it does not begin like a MIDI file")
    size, kind, _, division = struct.unpack_from(">LHHh", content, begin + 4)
    tracks: list[bytes] = []
    place = begin + 8 + size
    while place + 8 <= len(content):
        name, size = struct.unpack_from(">4sL", content, place)
        place += 8
        if name == b"MTrk" and size:
            if place + size > len(content):
                raise EOFError
            tracks.append(content[place : place + size])
        place += size
    if not tracks:
        raise ValueError("it has no track")
    if len(tracks) > _MAX_TRACKS:
        raise ValueError(f"it has more than {_MAX_TRACKS:,} tracks")
    return kind, _ticks_of_a_quarter(division), tracks


def _ticks_of_a_quarter(division: int) -> int:
    """Return the ticks of a quarter note. If the file counts ticks of a second, assume the usual tempo."""
    if division < 0:
        frames, ticks = -(division >> 8), division & 0xFF
        division = round(frames * ticks * 60 / DEFAULT_TEMPO)
    if division < 1:
        raise ValueError("its quarter notes have no length")
    return division


class _LimitedReader(io.BytesIO):
    """Bytes that mido reads one by one. Limits the number of reads, and the length of a number."""

    def __init__(self, content: bytes, reads: Iterator[int]) -> None:
        """`reads` has an item for each read that is allowed."""
        super().__init__(content)
        self._reads = reads
        self._high_bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self._high_bytes = self._high_bytes + 1 if found >= b"\x80" else 0
        if next(self._reads, None) is None:
            raise ValueError("it has more events than a piece of music")
        if self._high_bytes > _MAX_HIGH_BYTES:
            raise ValueError("it has a number without end")
        return found


def _events(track: bytes, reads: Iterator[int]) -> "MidiTrack":
    """Return the events of one track, which mido reads as a file."""
    from mido import MidiFile

    header = struct.pack(">4sLHHH", b"MThd", 6, 0, 1, _TICKS_OF_A_QUARTER)
    chunk = struct.pack(">4sL", b"MTrk", len(track))
    return MidiFile(file=_LimitedReader(header + chunk + track, reads)).tracks[0]


@dataclass
class _MidiReader:
    """Collects the notes of a file, and its tempos, metres and keys with the times from which they are valid."""

    resolution: int
    begin: int = 0
    """Where the next tracks begin."""
    end: int = 0
    notes: list[Note] = field(default_factory=list)
    tempos: dict[int, float] = field(default_factory=dict)
    metres: dict[int, Metre] = field(default_factory=dict)
    keys: dict[int, Key] = field(default_factory=dict)
    title: str = ""
    drums: int = 0
    endless_notes: int = 0
    unsupported_metres: int = 0

    def add(self, events: "MidiTrack") -> None:
        """Read the events of a track. Raise ValueError if they last too long."""
        time = self.begin
        sounding: defaultdict[tuple[int, int], deque[tuple[int, int]]] = defaultdict(deque)
        for event in events:
            time += event.time
            if time > MAX_QUARTERS * self.resolution:
                raise ValueError(f"it lasts longer than {MAX_QUARTERS:,} quarter notes")
            match event.type:
                case "note_on" if event.velocity and event.channel == _DRUM_CHANNEL:
                    self.drums += 1
                case "note_on" if event.velocity:
                    sounding[event.channel, event.note].append((time, event.velocity))
                case "note_on" | "note_off":
                    self._end_note(sounding[event.channel, event.note], event.note, time)
                case "end_of_track":
                    break
                case _:
                    self._read_meta_event(event, time)
        for (_, pitch), open_notes in sounding.items():
            self.endless_notes += len(open_notes)
            while open_notes:
                self._end_note(open_notes, pitch, time)
        self.end = max(self.end, time)

    def _end_note(self, open_notes: deque[tuple[int, int]], pitch: int, time: int) -> None:
        """End a note. If several notes of a pitch sound at once, the one that began first ends first."""
        if open_notes:
            onset, velocity = open_notes.popleft()
            self.notes.append(Note(onset, pitch, max(1, time - onset), velocity))

    def _read_meta_event(self, event: Any, time: int) -> None:
        match event.type:
            case "set_tempo" if event.tempo:
                self.tempos[time] = 60e6 / event.tempo
            case "time_signature":
                metre = Metre(event.numerator, event.denominator)
                if metre.is_supported:
                    self.metres[time] = metre
                else:
                    self.unsupported_metres += 1
            case "key_signature" if (key := parse_key(event.key)) is not None:
                self.keys[time] = key
            case "track_name" if not self.title:
                self.title = as_title(_decoded(event.name))
            case _:
                pass

    def piece(self) -> Piece:
        return Piece(
            tuple(sorted(self.notes)),
            self.resolution,
            tuple(sorted({0: DEFAULT_TEMPO, **self.tempos}.items())),
            tuple(sorted({0: Metre(), **self.metres}.items())),
            tuple(sorted(self.keys.items())),
            title=self.title,
        )

    def faults(self) -> Iterator[str]:
        if self.drums:
            yield f"{self.drums:,} strokes of drums are left out."
        if self.endless_notes:
            yield f"{self.endless_notes:,} notes never end. They end with their track."
        if self.unsupported_metres:
            yield f"{self.unsupported_metres:,} time signatures that no music has are left out."


def _decoded(text: str) -> str:
    """Return a text that mido has read as Latin-1, but which may be UTF-8: MIDI does not say."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return text


_Event = tuple[int, int, "Message | MetaMessage"]
"""The time of an event, its order among events of the same time, and the event."""

_FINEST_TICKS = 0x7FFF
_MAX_LAYERS = 64
_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15)
"""The channels from 0, without 9, which is for drums."""
_FIRST, _LAST = 0, 1
"""The order of events at the same time: a note begins after all others."""
_SLOWEST_TEMPO = 0xFFFFFF


def midi_bytes(piece: Piece) -> bytes:
    """Return a piece as the bytes of a MIDI file. Read again, it is the same piece.

    If a note begins while another note of its pitch sounds, it gets another track and channel, so that it is known
    which of the two an end belongs to. This holds for up to 64 notes of one pitch at a time.
    """
    from mido import MidiFile

    if _TICKS_OF_A_QUARTER % piece.resolution == 0 or piece.resolution > _FINEST_TICKS:
        piece = piece.on_grid(_TICKS_OF_A_QUARTER)
    file = MidiFile(type=1, ticks_per_beat=piece.resolution)
    file.tracks.append(_track(_meta_events(piece)))
    for number, notes in enumerate(_layers(piece.notes)):
        file.tracks.append(_track(_note_events(notes, _CHANNELS[number % len(_CHANNELS)])))
    content = io.BytesIO()
    file.save(file=content)
    return content.getvalue()


def _layers(notes: Iterable[Note]) -> list[list[Note]]:
    """Divide notes into as few groups as possible, so that no group has a pitch twice at a time."""
    layers: list[list[Note]] = [[]]
    ends: defaultdict[int, list[int]] = defaultdict(list)
    for note in notes:
        of_pitch = ends[note.pitch]
        number = next((place for place, end in enumerate(of_pitch) if end <= note.onset), len(of_pitch))
        if number == _MAX_LAYERS:
            number = of_pitch.index(min(of_pitch))
        of_pitch[number : number + 1] = [note.end]
        if number == len(layers):
            layers.append([])
        layers[number].append(note)
    return layers


def _note_events(notes: Iterable[Note], channel: int) -> Iterator[_Event]:
    """Yield the beginning and the end of each note. An end comes before a beginning at the same time."""
    from mido import Message

    for note in notes:
        yield note.onset, _LAST, Message("note_on", note=note.pitch, channel=channel, velocity=note.velocity)
        yield note.end, _FIRST, Message("note_off", note=note.pitch, channel=channel, velocity=0)


def _meta_events(piece: Piece) -> Iterator[_Event]:
    """Yield title, tempos, metres and keys as events."""
    from mido import MetaMessage

    if piece.title:
        title = piece.title.encode(errors="replace").decode("latin-1")  # mido writes Latin-1: these are bytes of UTF-8
        yield 0, _FIRST, MetaMessage("track_name", name=title)
    for time, tempo in piece.tempos:
        yield time, _FIRST, MetaMessage("set_tempo", tempo=min(_SLOWEST_TEMPO, max(1, round(60e6 / tempo))))
    for time, metre in piece.metres:
        yield time, _FIRST, MetaMessage("time_signature", numerator=metre.beats, denominator=metre.unit)
    for time, key in piece.keys:  # MIDI has only major and minor keys
        named = Key.of_signature(key.sharps, minor=key.is_minor).field
        yield time, _FIRST, MetaMessage("key_signature", key=named)


def _track(events: Iterable[_Event]) -> "MidiTrack":
    """Return the events in their order, each with the time since the event before it."""
    from mido import MidiTrack

    track = MidiTrack()
    before = 0
    for time, _, event in sorted(events, key=lambda event: event[:2]):
        track.append(event.copy(time=time - before))
        before = time
    return track
