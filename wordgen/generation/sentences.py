"""Where sentences end in a text that comes piece by piece."""

import re

_STOP = re.compile(r"(?P<plain>[.!?…]+)?(?P<wide>[。！？]+)?[\"'”’»」』)\]]*")
_WORD_WITH_STOP = re.compile(r".*?" + _STOP.pattern, re.DOTALL)
_CLOSING = re.compile(r"[\"'”’»」』)\]]+")


class SentenceEnds:
    """Told the pieces of a text one after another, says which sentence ends have become sure.

    A stop is no end where a word follows that touches it ("3.5", "example.org") or begins small ("Stop!" he
    said), and closing quotation marks belong to the sentence; so an end is known when the next piece is there.
    """

    def __init__(self, *, stops_in_words: bool = False) -> None:
        """Where the tokenizer leaves stops on their words, a word that ends in one ends the sentence."""
        self._stop = _WORD_WITH_STOP if stops_in_words else _STOP
        self.open_end: int | None = None
        """How many pieces the text has up to an end that is not sure yet."""
        self._needs_space = False
        self._spaced = False
        self._seen = 0

    def see(self, piece: str) -> int | None:
        """Take one more piece; the number of pieces up to the end of a sentence, if that is known now."""
        ended = None
        word = piece.strip()
        spaced = self._spaced or piece[:1].isspace()
        if self.open_end is not None and word:
            if not spaced and _CLOSING.fullmatch(word):
                self.open_end = self._seen + 1
            else:
                if not word[0].islower() and (spaced or not self._needs_space):
                    ended = self.open_end
                self.open_end = None
        self._seen += 1
        self._spaced = piece[-1:].isspace()
        stop = self._stop.fullmatch(word)
        if word and stop and (stop["plain"] or stop["wide"]):
            self.open_end = self._seen
            self._needs_space = not stop["wide"]
        return ended

    def end(self) -> int | None:
        """The unit is over (END counts as one more piece), which ends any sentence: the number of pieces before."""
        ended = self.open_end or self._seen
        self.open_end = None
        self._spaced = True
        self._seen += 1
        return ended or None
