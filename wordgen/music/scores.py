"""Write a score as MusicXML, the format that score editors read, as a picture, and as ABC for a web page.

The voices of every bar add up. verovio draws the picture in another process, which bad input may crash. The only words
in the ABC are names of chords that the grammar knows. So nothing that a model or a file says can become a field, a
directive or markup.
"""

import re
import subprocess
import sys
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from io import StringIO
from itertools import groupby
from typing import Any, NamedTuple, TypeVar
from xml.sax.saxutils import escape

from wordgen.child_process import python_command
from wordgen.errors import MissingPartError, StorageError
from wordgen.music.abc_text import written_note
from wordgen.music.engraving import PARTS_PER_QUARTER, VALUES, Accidentals, Score, Symbol, rests, spelled
from wordgen.music.harmony import LETTERS, Key, Pitch
from wordgen.music.piece import BarSigns, Piece, valid_at

_HEADER = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" \
"http://www.musicxml.org/dtds/partwise.dtd">
<score-partwise version="4.0">
"""
_PART = """\
<part-list><score-part id="P1"><part-name>Piano</part-name></score-part></part-list>
<part id="P1">
"""
_FOOTER = "</part>\n</score-partwise>\n"
_TREBLE, _BASS = ("G", 2), ("F", 4)
AnyTimed = TypeVar("AnyTimed", bound=tuple[Any, ...])
"""A tuple that begins with a time."""
_ACCIDENTALS: Mapping[int | None, str] = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}


def musicxml(piece: Piece) -> str:
    """Return the score of a piece. Raise SettingError if it has too many bars for a score."""
    return "".join(_parts(piece))


def _parts(piece: Piece) -> Iterator[str]:
    score = Score(piece)
    tempos = deque(_tempos(score))
    yield _HEADER
    if piece.title:
        yield f"<work><work-title>{escape(piece.title)}</work-title></work>\n"
    yield _PART
    for number, bar in enumerate(score.bars):
        signs = score.signs(bar)
        # a bar that is not as long as the metre says, such as a pickup, is not counted
        implicit = "" if bar.end - bar.begin == bar.metre.length(PARTS_PER_QUARTER) else ' implicit="yes"'
        yield f'<measure number="{number + 1}"{implicit}>\n'
        yield _left_line(signs)
        yield _attributes(score, number)
        yield from (chord.musicxml(time - bar.begin) for time, chord in score.chord_names(bar))
        yield from _measure(number, score, deque(_take_until(bar.end, tempos)))
        yield _right_line(signs, last=number == len(score.bars) - 1)
        yield "</measure>\n"
    yield _FOOTER


def _left_line(signs: BarSigns) -> str:
    """Return the bar line before a bar, if a repeat or an ending begins there."""
    style = "<bar-style>heavy-light</bar-style>" if signs.repeat_begins else ""
    ending = f'<ending number="{signs.ending_begins}" type="start"/>' if signs.ending_begins else ""
    repeat = '<repeat direction="forward"/>' if signs.repeat_begins else ""
    return f'<barline location="left">{style}{ending}{repeat}</barline>\n' if ending or repeat else ""


def _right_line(signs: BarSigns, *, last: bool) -> str:
    """Return the bar line after a bar, if it is not a plain one."""
    style = "light-heavy" if last or signs.repeat_ends else "light-light" if signs.double else ""
    stop = "stop" if signs.repeat_ends or signs.double else "discontinue"
    ending = f'<ending number="{signs.ending_ends}" type="{stop}"/>' if signs.ending_ends else ""
    repeat = '<repeat direction="backward"/>' if signs.repeat_ends else ""
    line = f"<bar-style>{style}</bar-style>" if style else ""
    return f'<barline location="right">{line}{ending}{repeat}</barline>\n' if line or ending else ""


def _attributes(score: Score, number: int) -> str:
    """Return metre and key of a bar if they have changed. The first bar also has clefs and the resolution."""
    bar, before = score.bars[number], score.bars[number - 1]
    key, metre = score.key(bar), bar.metre
    elements = "" if number else f"<divisions>{PARTS_PER_QUARTER}</divisions>"
    if not number or key != score.key(before):
        elements += f"<key><fifths>{key.sharps}</fifths><mode>{key.mode_name}</mode></key>"
    if not number or metre != before.metre:
        elements += f"<time><beats>{metre.beats}</beats><beat-type>{metre.unit}</beat-type></time>"
    if not number:
        elements += f"<staves>{len(score.staves)}</staves>"
        for place, staff in enumerate(score.staves):
            sign, line = _BASS if staff.has_bass_clef else _TREBLE
            elements += f'<clef number="{place + 1}"><sign>{sign}</sign><line>{line}</line></clef>'
    return f"<attributes>{elements}</attributes>\n" if elements else ""


class _Tempo(NamedTuple):
    begin: int
    tempo: float
    drawn: bool
    """Whether the score shows it. If not, it is only played."""

    def musicxml(self, offset: int) -> str:
        """Return it as a direction of MusicXML. `offset` is its distance from the symbol that comes next."""
        hidden = "" if self.drawn else ' print-object="no"'
        later = f'<offset sound="yes">{offset}</offset>' if offset else ""
        return (
            f'<direction placement="above"><direction-type><metronome{hidden}><beat-unit>quarter</beat-unit>'
            f"<per-minute>{_per_minute(self.tempo)}</per-minute></metronome></direction-type>"
            f'{later}<staff>1</staff><sound tempo="{Decimal(repr(self.tempo)):f}"/></direction>\n'
        )


def _per_minute(tempo: float) -> int:
    """Return a tempo as a score shows it."""
    return max(1, round(tempo))


def _tempos(score: Score) -> list[_Tempo]:
    """Return all tempos before the end of the score, in the order of their times.

    The score shows the first one, and of the others in each bar the longest. It shows none that lasts less than a
    quarter note, except the first if it shows no other in that bar, and none with the same number as before.
    """
    end = score.bars[-1].end
    last = dict(score.piece.tempos)  # of several tempos at the same time, the last one is valid
    changes = sorted((begin, tempo) for begin, tempo in last.items() if begin < end)
    ends = [*(begin for begin, _ in changes[1:]), end]
    bar_begins = [bar.begin for bar in score.bars]
    tempos: list[_Tempo] = []
    shown = 0
    for _, of_bar in groupby(zip(changes, ends, strict=True), key=lambda each: bisect_right(bar_begins, each[0][0])):
        lengths = {begin: end - begin for (begin, _), end in of_bar}
        longest = max((begin for begin in lengths if begin), key=lengths.__getitem__, default=0)
        for begin, length in lengths.items():
            tempo = valid_at(changes, begin)
            drawn = begin in (0, longest) and length >= PARTS_PER_QUARTER and _per_minute(tempo) != shown
            shown = _per_minute(tempo) if drawn else shown
            tempos.append(_Tempo(begin, tempo, drawn))
        if not shown:
            tempos[0] = tempos[0]._replace(drawn=True)
            shown = _per_minute(tempos[0].tempo)
    return tempos


def _measure(number: int, score: Score, tempos: deque[_Tempo]) -> Iterator[str]:
    """Yield the notes of a bar, voice by voice. Between two voices, the time goes back to the beginning of the bar.

    The tempos are among the notes of the first voice.
    """
    bar, written = score.bars[number], False
    for place, (symbols_by_voice, accidentals) in enumerate(score.symbols_of_bar(number)):
        for voice, voice_symbols in symbols_by_voice.items():
            if written:
                yield f"<backup><duration>{bar.end - bar.begin}</duration></backup>\n"
            written = True
            for symbol in voice_symbols:
                begin, end = symbol.chord.begin, symbol.chord.end
                yield from (tempo.musicxml(tempo.begin - begin) for tempo in _take_until(end, tempos))
                if voice and not symbol.chord.pitches:  # the rests of further voices are not printed
                    yield f"<forward><duration>{symbol.length}</duration></forward>\n"
                else:
                    yield from _notes(symbol, f"{4 * place + voice + 1}", place + 1, score.key(bar), accidentals)


def _notes(symbol: Symbol, voice: str, staff: int, key: Key, accidentals: Accidentals) -> Iterator[str]:
    """Yield a rest, or the notes of a chord from low to high. The first note has the beams and brackets."""
    chord = symbol.chord
    if not chord.pitches:
        rest = "<rest/>" if symbol.value else '<rest measure="yes"/>'
        yield _note(rest, symbol, "", voice, _value(symbol), staff, "")
        return
    ties = [kind for kind, tied in (("stop", chord.tied_to_previous), ("start", chord.tied_to_next)) if tied]
    tied = "".join(f'<tied type="{kind}"/>' for kind in ties)
    for place, pitch in enumerate(spelled(each, key) for each in chord.pitches):
        head = _pitch(pitch) if place == 0 else f"<chord/>{_pitch(pitch)}"
        beams = tuplet = ""
        if place == 0:
            beams = "".join(f'<beam number="{n}">{what}</beam>' for n, what in enumerate(symbol.beams, 1))
            tuplet = f'<tuplet type="{symbol.tuplet}"/>' if symbol.tuplet else ""
        notations = f"<notations>{tied}{tuplet}</notations>" if tied or tuplet else ""
        value = _value(symbol, _ACCIDENTALS.get(accidentals.get((chord.begin, pitch)), ""))
        sounding = "".join(f'<tie type="{kind}"/>' for kind in ties)
        yield _note(head, symbol, sounding, voice, value, staff, beams + notations)


def _note(head: str, symbol: Symbol, ties: str, voice: str, value: str, staff: int, more: str) -> str:
    """Return a note, with its parts in the order that MusicXML requires."""
    return (
        f"<note>{head}<duration>{symbol.length}</duration>{ties}<voice>{voice}</voice>{value}"
        f"<staff>{staff}</staff>{more}</note>\n"
    )


def _pitch(pitch: Pitch) -> str:
    octave, letter = divmod(pitch.step, 7)
    alter = f"<alter>{pitch.raised}</alter>" if pitch.raised else ""
    return f"<pitch><step>{LETTERS[letter]}</step>{alter}<octave>{octave + 4}</octave></pitch>"


def _value(symbol: Symbol, accidental: str = "") -> str:
    """Return the elements that show how a length is written. A rest for a whole bar has none."""
    if symbol.value is None:
        return ""
    elements = f"<type>{symbol.value.kind}</type>" + "<dot/>" * symbol.value.dots
    if accidental:
        elements += f"<accidental>{accidental}</accidental>"
    if symbol.value.triplet:
        elements += (
            "<time-modification><actual-notes>3</actual-notes><normal-notes>2</normal-notes></time-modification>"
        )
    return elements


_SECONDS = 300
_MISSING = (
    'A score as .svg needs verovio, which is not installed: pip install "wordgen[music]" (in a checkout pip install -r '
    "requirements-music.txt), or save the score as .musicxml."
)
_NOT_INSTALLED, _NOT_DRAWN = 3, 4
_OPTIONS = {
    "pageWidth": 2100,
    "pageHeight": 2970,
    "adjustPageHeight": True,
    "scale": 40,
    "footer": "none",
    "header": "auto",
    "breaks": "auto",
    "svgViewBox": True,
}
_SIZE = re.compile(r'<svg[^>]*?viewBox="0 0 ([\d.]+) ([\d.]+)"')


def check_installed() -> None:
    """Raise MissingPartError if verovio is not installed."""
    if find_spec("verovio") is None:
        raise MissingPartError(_MISSING)


def svg(musicxml: str) -> str:
    """Return a score as one picture, with its pages one below the other.

    Raise MissingPartError if verovio is not installed, and StorageError if it cannot draw the score.
    """
    try:
        process = subprocess.run(
            python_command("from wordgen.music.scores import draw; draw()"),
            input=musicxml.encode(),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StorageError(
            f"verovio did not draw the score within {_SECONDS} seconds: "
            "save it as .musicxml and open that in an editor."
        ) from None
    if process.returncode == _NOT_INSTALLED:
        raise MissingPartError(_MISSING)
    picture = process.stdout.decode(errors="replace")
    if process.returncode or "<svg" not in picture:
        raise StorageError(
            f"verovio cannot draw the score (it ended with code {process.returncode}): "
            "save it as .musicxml and open that in a score editor, such as MuseScore."
        )
    return picture


def draw() -> None:
    """Read MusicXML from standard input and write it as a picture. The other process runs this function."""
    try:
        import verovio
    except ImportError:
        sys.exit(_NOT_INSTALLED)
    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(_OPTIONS)
    if not toolkit.loadData(sys.stdin.buffer.read().decode()):
        sys.exit(_NOT_DRAWN)
    pages = [toolkit.renderToSVG(number) for number in range(1, toolkit.getPageCount() + 1)]
    sys.stdout.buffer.write((pages[0] if len(pages) == 1 else _stacked(pages)).encode())


def _stacked(pages: list[str]) -> str:
    """Return pages as parts of one picture."""
    sizes = [(float(found[1]), float(found[2])) if (found := _SIZE.search(page)) else (0.0, 0.0) for page in pages]
    width, height = max(width for width, _ in sizes), sum(height for _, height in sizes)
    parts: list[str] = []
    below = 0.0
    for page, (page_width, page_height) in zip(pages, sizes, strict=True):
        begin = page.index("<svg")
        place = f'<svg y="{below:g}" width="{page_width:g}" height="{page_height:g}"'
        parts.append(page[begin:].replace("<svg", place, 1))
        below += page_height
    outer = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}">'
    return "\n".join([outer, *parts, "</svg>", ""])


_BARS_OF_A_LINE = 4
_MAX_TUPLET = 9


class NotePosition(NamedTuple):
    """Where a note or chord is in the text of a score. One that is tied over a bar line has several places."""

    begin: int
    """When it begins, in the parts of a quarter note that `engraving.PARTS_PER_QUARTER` gives."""
    end: int
    at: int
    """The index of its first character in the text."""


def score_in_abc(score: Score) -> tuple[str, list[NotePosition]]:
    """Return a score as a tune in ABC, and where its notes are in the text, in the order of their times."""
    writer = _Writer(score)
    writer.write()
    return writer.text.getvalue(), sorted(writer.positions)


class _Voice(NamedTuple):
    number: int
    """From 1, in the order of the text."""
    staff: int
    number_in_staff: int
    """Its number in the staff, from 0."""


class _Writer:
    """Writes four bars of each voice in turn."""

    def __init__(self, score: Score) -> None:
        self.text = StringIO()
        self.positions: list[NotePosition] = []
        self._score = score
        voices = [(staff, place) for staff, each in enumerate(score.staves) for place in range(len(each.voices))]
        self._voices = [_Voice(number, *voice) for number, voice in enumerate(voices, 1)]

    def write(self) -> None:
        self.text.writelines(f"{line}\n" for line in self._header())
        bars = self._score.bars
        for first in range(0, len(bars), _BARS_OF_A_LINE):
            numbers = range(first, min(first + _BARS_OF_A_LINE, len(bars)))
            bar_contents = [list(self._score.symbols_of_bar(number)) for number in numbers]
            for voice in self._voices:
                self.text.write(f"V:{voice.number}\n" if len(self._voices) > 1 else "")
                for number, staff_contents in zip(numbers, bar_contents, strict=True):
                    symbols_by_voice, accidentals = staff_contents[voice.staff]
                    self._bar(number, voice, symbols_by_voice.get(voice.number_in_staff), accidentals)
                self.text.write("\n")

    def _header(self) -> Iterator[str]:
        score = self._score
        yield from ("X:1", f"M:{score.bars[0].metre}", "L:1/8", f"Q:1/4={max(1, round(score.piece.tempos[0][1]))}")
        clefs = [f" clef={'bass' if staff.has_bass_clef else 'treble'}" for staff in score.staves]
        if len(self._voices) == 1:
            yield _key(score.key(score.bars[0])) + clefs[0]
            return
        numbers = [[f"{each.number}" for each in self._voices if each.staff == staff] for staff in range(len(clefs))]
        groups = " ".join(f"({' '.join(each)})" for each in numbers)
        yield f"%%score {{{groups}}}" if len(clefs) > 1 else f"%%score {groups}"
        for voice in self._voices:
            stems = "" if len(numbers[voice.staff]) == 1 else f" stem={'down' if voice.number_in_staff % 2 else 'up'}"
            yield f"V:{voice.number}{clefs[voice.staff]}{stems}"
        yield _key(score.key(score.bars[0]))

    def _bar(self, number: int, voice: _Voice, symbols: list[Symbol] | None, accidentals: Accidentals) -> None:
        bar = self._score.bars[number]
        self.text.writelines(self._before(number, voice))
        key = self._score.key(bar)
        named = deque(self._score.chord_names(bar) if voice.number == 1 else ())
        written = symbols or rests(bar)
        if written[0].value is None and bar.end - bar.begin not in VALUES:
            written = rests(bar)  # there is no rest of this length
        for symbol, tuplet in zip(written, _tuplets(written), strict=True):
            self.text.writelines(f'"{chord}"' for _, chord in _take_until(symbol.chord.end, named))
            self.text.write(tuplet)
            self._symbol(symbol, key, accidentals, hidden=voice.number_in_staff > 0)
        self.text.write(self._after(number))

    def _before(self, number: int, voice: _Voice) -> Iterator[str]:
        """Yield what is written before the notes of a bar: the beginning of an ending, and changes of key and metre."""
        bar, score = self._score.bars[number], self._score
        signs = score.signs(bar)
        if not number and signs.repeat_begins:
            yield "|:"
        if voice.number == 1 and signs.ending_begins:
            yield f"[{signs.ending_begins.replace(' ', '')} "
        if number:
            last = score.bars[number - 1]
            if (key := _key(score.key(bar))) != _key(score.key(last)):
                yield f"[{key}]"
            if bar.metre != last.metre:
                yield f"[M:{bar.metre}]"

    def _after(self, number: int) -> str:
        """Return the bar line after a bar, and the beginning of a repeat with the next bar."""
        bars = self._score.bars
        signs, last = self._score.signs(bars[number]), number == len(bars) - 1
        if not last and self._score.signs(bars[number + 1]).repeat_begins:
            return "::" if signs.repeat_ends else "|:"
        return ":|" if signs.repeat_ends else "|]" if last else "||" if signs.double else "|"

    def _symbol(self, symbol: Symbol, key: Key, accidentals: Accidentals, *, hidden: bool) -> None:
        """Write a note, chord or rest. Without a space after it, the next note is under the same beam."""
        chord = symbol.chord
        pitches = (spelled(pitch, key) for pitch in chord.pitches)
        names = [written_note(pitch.step, accidentals.get((chord.begin, pitch))) for pitch in pitches]
        if names:
            self.positions.append(NotePosition(chord.begin, chord.end, self.text.tell()))
        triplet = symbol.value is not None and symbol.value.triplet
        rest = "x" if hidden and not triplet else "z"  # abcjs draws no bracket that begins with a hidden rest
        written = f"[{''.join(names)}]" if len(names) > 1 else names[0] if names else rest
        self.text.write(written + _length(symbol.length, triplet=triplet) + ("-" if chord.tied_to_next else ""))
        self.text.write("" if symbol.beams[:1] in (("begin",), ("continue",)) else " ")


def _key(key: Key) -> str:
    """Return the field of the major key with the same sharps or flats."""
    return f"K:{Key.of_signature(key.sharps).field}"


def _take_until(time: int, timed: deque[AnyTimed]) -> Iterator[AnyTimed]:
    """Take what comes before a time from the beginning of a queue."""
    while timed and timed[0][0] < time:
        yield timed.popleft()


def _length(parts: int, *, triplet: bool = False) -> str:
    """Return a length in eighths: nothing for one, `3/2` for a dotted eighth. In a triplet it is written longer."""
    eighths = Fraction(3 * parts if triplet else 2 * parts, PARTS_PER_QUARTER)
    above = "" if eighths.numerator == 1 else str(eighths.numerator)
    return above if eighths.denominator == 1 else f"{above}/{eighths.denominator}"


def _tuplets(symbols: Sequence[Symbol]) -> list[str]:
    """Return the sign of a tuplet before each symbol, or an empty string."""
    signs = [""] * len(symbols)
    place = 0
    while place < len(symbols):
        value, end = symbols[place].value, place + 1
        if value is not None and value.triplet:
            while symbols[place].tuplet == "start" and symbols[end - 1].tuplet != "stop":
                end += 1
            for first in range(place, end, _MAX_TUPLET):
                signs[first] = f"(3:2:{min(_MAX_TUPLET, end - first)}"
        place = end
    return signs
