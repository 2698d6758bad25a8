"""Read tunes in ABC as passages, one each, in the key that a model learns, and note what is left out."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from wordgen.corpus.passages import Passage, visible_width
from wordgen.corpus.reading import Line
from wordgen.corpus.settings import Transpose
from wordgen.music.abc_text import COPIES, LeftOut, copy_of, key_of, to_common_key, tunes_of
from wordgen.music.harmony import Interval

_NAMED_KEYS = 3


@dataclass
class TuneReading:
    """Reads the tunes of some files, one after another."""

    transpose: Transpose
    left_out: LeftOut = field(default_factory=LeftOut)
    _keys: Counter[str] = field(default_factory=Counter)
    """How many tunes were transposed to each key."""
    _as_written: int = 0
    """How many tunes could not be transposed."""

    def passages(self, lines: Iterable[Line]) -> Iterator[Passage]:
        """Yield the tunes of a file, transposed to a common key if that is the setting."""
        for tune in tunes_of(lines, self.left_out):
            text = "\n".join(line for _, line in tune)
            if self.transpose == "common":
                text = self._in_common_key(text)
            yield _passage(tune, text)

    def copies(self, lines: Iterable[Line], number: int) -> Iterator[Passage]:
        """Yield copies of the tunes of a file in another key, given by its number, without tunes that have that key."""
        for tune in tunes_of(lines, LeftOut()):
            copy = copy_of("\n".join(line for _, line in tune), number)
            if copy is not None:
                yield _passage(tune, copy)

    def _in_common_key(self, text: str) -> str:
        common = to_common_key(text)
        key = None if common is None else key_of(common)
        if common is None or key is None:
            self._as_written += 1
            return text
        self._keys[key.name] += 1
        return common

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about how the tunes were read, in short sentences."""
        notes = list(self.left_out.in_words())
        if self._keys:
            names = [name for name, _ in self._keys.most_common(_NAMED_KEYS)]
            others = " and others" if len(self._keys) > _NAMED_KEYS else ""
            notes.append(f"{self._keys.total():,} tunes transposed to {', '.join(names)}{others}, each within its mode")
        if self._as_written:
            tunes = "tune stays in its" if self._as_written == 1 else "tunes stay in their"
            notes.append(f"{self._as_written:,} {tunes} own key, because it is unusual or cannot be transposed")
        if self.transpose == "augment":
            notes.append(f"the tunes of the training set are learned in {COPIES} keys")
        return tuple(notes)


def _passage(tune: list[Line], text: str) -> Passage:
    first, last = tune[0][0], tune[-1][0]
    widths = [0] * (last - first + 1)
    for (number, _), line in zip(tune, text.split("\n"), strict=True):
        widths[number - first] += visible_width(line)
    return Passage(text, first, tuple(widths))


def tunes_in(text: str, transpose: Transpose) -> list[str]:
    """Return the tunes of a text, for example of a prompt. A text without a tune counts as the beginning of one."""
    lines = list(enumerate(text.split("\n"), 1))
    tunes = ["\n".join(line for _, line in tune) for tune in tunes_of(lines, LeftOut())] or [text]
    if transpose != "common":
        return tunes
    return [to_common_key(tune) or tune for tune in tunes]


def interval_back(text: str, transpose: Transpose) -> Interval | None:
    """Return the interval from the key in which the last tune of a text is learned back to its own key.

    Return None if it is learned in its own key.
    """
    own, learned = (key_of(tunes_in(text, each)[-1]) for each in ("none", transpose))
    return None if own is None or learned is None or own == learned else learned.to(own)
