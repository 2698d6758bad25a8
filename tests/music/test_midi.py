"""MIDI files are read and written, and any bytes give a piece or an error in one sentence."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.commands import run_python
from tests.helpers.music import midi, pieces, scale
from wordgen.errors import CorpusError
from wordgen.music.harmony import Key, Metre
from wordgen.music.midi import _read, midi_bytes, midi_text, read_midi
from wordgen.music.piece import Note, Piece

NOTE = b"\x00\x90\x3c\x40\x83\x60\x80\x3c\x00"
"""C4 for a quarter of 480 ticks."""
END = b"\x00\xff\x2f\x00"
SCALE_FILE = midi_bytes(scale())
MAX_MEMORY = 200 * 2**20
MAX_SECONDS = 60


@given(pieces(most=50))
def test_midi_round_trips(piece: Piece):
    reread = _read(midi_bytes(piece)).piece
    grid = reread.resolution
    assert reread.notes == piece.on_grid(grid).notes
    assert reread.metres == piece.metres
    assert reread.keys == piece.keys
    assert abs(reread.tempos[0][1] - piece.tempos[0][1]) < 0.01


@pytest.mark.parametrize("fifths", range(-7, 8))
@pytest.mark.parametrize("minor", [False, True])
def test_key_signatures_round_trip(fifths: int, minor: bool):
    key = Key.of_signature(fifths, minor=minor)
    assert _read(midi_bytes(Piece((Note(0, 60, 4),), 4, keys=((0, key),)))).piece.keys[0][1] == key


def test_key_names():
    signatures = [(0, False), (-3, False), (1, True), (6, False), (-5, True), (7, True), (-7, False)]
    names = ["C major", "E flat major", "E minor", "F sharp major", "B flat minor", "A sharp minor", "C flat major"]
    keys = [Key.of_signature(sharps, minor=minor) for sharps, minor in signatures]
    assert [key.name for key in keys] == names
    assert [key.tonic.half_steps % 12 for key in keys] == [0, 3, 4, 6, 10, 10, 11]


def test_title_tempos_and_metres_round_trip():
    piece = Piece(
        (Note(0, 60, 96), Note(96, 62, 96)), 24, ((0, 100.0), (96, 50.0)), ((0, Metre(3, 4)), (72, Metre(6, 8))),
        title="Étude 一",
    )  # fmt: skip
    reread = _read(midi_bytes(piece)).piece
    assert reread.title == "Étude 一"
    assert [round(tempo) for _, tempo in reread.tempos] == [100, 50]
    assert [str(bar.metre) for bar in reread.bars()] == ["3/4", "6/8", "6/8"]
    assert round(reread.seconds(reread.end), 3) == round(4 * 0.6 + 4 * 1.2, 3)


@pytest.mark.parametrize(
    "content",
    [
        midi(NOTE + END),
        midi(NOTE),  # without an end
        midi(b"\x00\x90\x3c\x40\x83\x60\x3c\x00" + END),  # running status, and velocity 0 ends the note
        midi(b"\x00\x90\x3c\x40\x83\x60" + END[1:]),  # a note that never ends
        b"RIFF\x00\x00\x00\x00RMIDdata\x00\x00\x00\x00" + midi(NOTE + END),
        midi(NOTE + END).replace(b"MTrk", b"XFIH\x00\x00\x00\x02hiMTrk"),
        midi(b"\x00\xff\x59\x02\x63\x07" + NOTE + END),  # a key with 99 sharps
        midi(b"\x00\xff\x58\x04\x04\xf0\x18\x08" + NOTE + END),  # a metre of 4 / 2**240
        midi(b"\x00\xff\x51\x03\x00\x00\x00" + NOTE + END),  # a tempo of 0 microseconds
        midi(END, NOTE + END, b""),
        midi(b"\x00\x99\x24\x40\x00\x89\x24\x00" + NOTE + END),  # with a drum
        midi(NOTE + END, kind=2),
    ],
)
def test_unusual_and_damaged_files_are_read(content: bytes):
    piece = _read(content).piece
    assert piece.notes[0] == Note(0, 60, 480, 64)
    assert piece.tempos[0] == (0, 120.0)
    assert piece.metres == ((0, Metre(4, 4)),)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_title_is_read_in_both_usual_encodings(encoding: str):
    name = "Étude\n1".encode(encoding)
    assert _read(midi(b"\x00\xff\x03" + bytes([len(name)]) + name + NOTE + END)).piece.title == "Étude1"


def test_tracks_of_format_2_follow_each_other():
    assert [note.onset for note in _read(midi(NOTE + END, NOTE + END, kind=2)).piece.notes] == [0, 480]
    assert [note.onset for note in _read(midi(NOTE + END, NOTE + END)).piece.notes] == [0, 0]


def test_smpte_time_division():
    assert _read(midi(NOTE + END, division=-(25 << 8) | 40)).piece.resolution == 500


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it does not begin like a MIDI file"),
        (b"MThd", "it ends too early"),
        (b"RIFF....", "it does not begin like a MIDI file"),
        (midi(), "it has no track"),
        (midi(END), "it has no notes"),
        (midi(b"\x00\x99\x24\x40" + END), "it has only drums"),
        (midi(NOTE + END)[:-5], "it ends too early"),
        (midi(NOTE + END, division=0), "its quarter notes have no length"),
        (midi(b"\x00\x40\x40"), "running status without last_status"),
        (midi(NOTE * 300_000), "it has more events than a piece of music"),
        (midi(b"\xff" * 10_000 + NOTE), "it has a number without end"),
        (midi(b"\xff\xff\xff\x7f\x90\x3c\x40", division=1), "it lasts longer than 50,000 quarter notes"),
        (midi(*[NOTE] * 1001), "it has more than 1,000 tracks"),
        (b"MThd" + bytes(1 << 22), "it is larger than 4.2 MB"),
    ],
)
def test_error_names_file_and_reason(content: bytes, reason: str, tmp_path: Path):
    path = tmp_path / "odd.mid"
    path.write_bytes(content)
    with pytest.raises(CorpusError) as raised:
        read_midi(path)
    assert str(raised.value) == f"{path} cannot be read as MIDI: {reason}."


def test_folder_and_missing_file_are_refused(tmp_path: Path):
    for path in (tmp_path, tmp_path / "gone.mid"):
        with pytest.raises(CorpusError, match="cannot be read as MIDI: "):
            read_midi(path)


def with_changed_bytes(changes: list[tuple[int, int]]) -> bytes:
    content = bytearray(SCALE_FILE)
    for place, value in changes:
        content[place % len(content)] = value
    return bytes(content)


HOSTILE = (
    st.binary(max_size=300)
    | st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=20).map(with_changed_bytes)
    | st.integers(0, len(SCALE_FILE)).map(lambda length: SCALE_FILE[:length])
    | st.lists(st.binary(max_size=60), max_size=4).map(lambda tracks: midi(*tracks))
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=HOSTILE)
def test_any_bytes_give_a_piece_or_an_error(content: bytes, tmp_path: Path):
    path = tmp_path / "any.mid"
    path.write_bytes(content)
    message = ""
    try:
        assert read_midi(path).piece.notes
        assert midi_text(path)
    except CorpusError as error:
        message = str(error)
    assert not message or message.startswith(f"{path} cannot be read as MIDI: ")
    assert "\n" not in message


READ_FILES = """
import json, re, sys, time
from pathlib import Path
from wordgen.errors import CorpusError
from wordgen.music.midi import midi_text
start = time.process_time()
results = []
for path in sys.argv[1:]:
    try:
        results.append(len(midi_text(Path(path))))
    except CorpusError as error:
        results.append(str(error))
peak = int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])  # ru_maxrss has the parent's
print(json.dumps([results, time.process_time() - start, peak * 1024]))
"""


def test_hostile_files_take_bounded_time_and_memory(tmp_path: Path):
    files = {
        "small events": midi(b"\x00\xc0\x00" + b"\x00\x00" * 1_000_000),
        "small within the bound": midi(NOTE + b"\x00\xc0\x00" + b"\x00\x00" * 290_000),
        "all at once": midi(b"\x00\x90" + b"\x3c\x40\x00" * 90_000 + END[1:]),
        "numbers": midi((b"\xff" * 4990 + b"\x7f\x90\x3c\x40") * 100),
        "a long wait": midi(NOTE + b"\x8a\x80\x00\x90\x3c\x40", division=4),
        "chunks": midi(NOTE + END) + b"XXXX\x00\x00\x00\x00" * 400_000,
    }
    for name, content in files.items():
        (tmp_path / f"{name}.mid").write_bytes(content)
    process = run_python("-c", READ_FILES, *(str(path) for path in sorted(tmp_path.iterdir())), cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    results, seconds, memory = json.loads(process.stdout)
    assert sum(isinstance(each, int) for each in results) >= 4
    assert seconds < MAX_SECONDS
    assert memory < MAX_MEMORY
