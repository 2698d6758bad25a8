"""Write whole tunes in ABC: in a key and a metre, drawn again until they have no fault, without copied notes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wordgen.errors import SettingError, in_a_sentence
from wordgen.generation.decoding import Network, beam_search
from wordgen.generation.prompt import Seed
from wordgen.generation.sampling import NO_TOKEN, LogProbs, Past, ProbabilityChange, forbid_by_text
from wordgen.generation.settings import GenerationSettings
from wordgen.generation.texts import TextBuilder
from wordgen.music.abc_parsing import parse_incomplete, parse_lines, parse_metre, parse_tune
from wordgen.music.abc_text import FIELD, LeftOut, lex_music, transposed_pieces, whole_tunes_of
from wordgen.music.copied_notes import KnownNotes
from wordgen.music.harmony import Interval, Key, parse_key
from wordgen.music.tune import faults_of
from wordgen.text.tokenizers import Codec
from wordgen.text.vocabulary import END, LINE_BREAK, UNKNOWN, Vocabulary, restore

_SHOWN = 6
_HEADER_BEAMS = 100
"""The number of unfinished headers that are compared."""
_MAX_HEADER_TOKENS = 20
"""In tokens."""
_HEADER_FIELDS = "RMLQK"
"""The fields that a header may have, if a metre is asked for: rhythm, metre, unit of length, tempo and key."""


@dataclass(frozen=True)
class TuneTask:
    """What a tune must be."""

    settings: GenerationSettings
    header_change: ProbabilityChange | None
    """Keeps the header to the key and metre that are asked for; None if none is."""
    interval: Interval | None
    """The interval from the key in which the model writes to the key of the tune; None if that is the same key."""

    @property
    def must_be_complete(self) -> bool:
        """Whether the tune must be complete before it can be shown."""
        return self.interval is not None or self.settings.only_valid

    def finished_pieces(self, shown: str | None, builder: TextBuilder) -> tuple[Sequence[str], str]:
        """Return the pieces of a text in the key that is asked for, and why the text is refused; empty if it is not.

        `shown` is the prompt as it is written in the text; None if that is what the model reads.
        """
        learned = "".join(builder.seed_pieces)
        pieces = self._transposed(learned, builder.pieces)
        if pieces is None:
            return (), "cannot be written in that key"
        if self.settings.until is not None:
            pieces = builder.end_after(self.settings.until, pieces)
        if not self.settings.only_valid:
            return pieces, ""
        if builder.ended != "end":
            return pieces, f"did not end within {self.settings.length:,} tokens"
        return pieces, _first_fault((learned if shown is None else shown) + "".join(pieces))

    def pieces(self, pieces: Sequence[str]) -> Sequence[str]:
        """Return the pieces of a tune in the key that is asked for; unchanged if they cannot be written there."""
        return self._transposed("", pieces) or pieces

    def _transposed(self, beginning: str, pieces: Sequence[str]) -> Sequence[str] | None:
        """Return pieces that follow a beginning in the key that is asked for; None if they cannot be written there."""
        return pieces if self.interval is None else transposed_pieces(beginning, pieces, self.interval)

    def refusal_summary(self, refusals: Sequence[str]) -> str:
        """Return a sentence that says why all draws of a text were refused."""
        if len(refusals) == 1:
            return f"The tune {refusals[0].removesuffix('.')}: use --mode sample, or another key."
        counted = Counter("have faults" if each.endswith(".") else each for each in refusals)
        listed = ", ".join(f"{count} {kind}" for kind, count in counted.most_common())
        fault = next((each for each in refusals if each.endswith(".")), "")
        remedy = "a larger --length or " if any("did not end" in each for each in counted) else ""
        example = f" (for example: {fault.removesuffix('.')})" if fault else ""
        lower = f"a --temperature below {self.settings.temperature:g}"
        return (
            f"None of {len(refusals)} draws is a valid tune: {listed}{example}. Give {remedy}{lower}, or train longer."
        )


def tune_task_for(
    settings: GenerationSettings, vocabulary: Vocabulary, original_key_interval: Interval | None
) -> TuneTask:
    """Return what the settings ask for. Raise SettingError if the model knows no tune in such a key or metre.

    `original_key_interval` is the interval from the key in which the model reads the prompt to the key of the prompt.
    """
    forbidden, keys = _forbidden_fields(settings, vocabulary), _fields(vocabulary, "K")
    interval = original_key_interval
    if settings.key is not None:
        wanted = _parsed_key(settings.key)
        written = _key_to_write(wanted, keys)
        interval = None if written == wanted else written.interval_to(wanted)
    header_change = _protect_header([UNKNOWN, END, *forbidden], list(keys)) if forbidden else None
    return TuneTask(settings, header_change, interval)


def _forbidden_fields(settings: GenerationSettings, vocabulary: Vocabulary) -> list[int]:
    """Return the ids of the keys and metres that are not asked for."""
    forbidden: list[int] = []
    if settings.key is not None:
        keys = _fields(vocabulary, "K")
        written = _key_to_write(_parsed_key(settings.key), keys)
        forbidden += [number for number, value in keys.items() if parse_key(value) != written]
    if settings.metre is not None:
        metres = _fields(vocabulary, "M")
        metre = _metre_to_write(settings.metre, metres)
        forbidden += [number for number, value in metres.items() if value != metre]
    return forbidden


def check_prompt(prompt: str, settings: GenerationSettings) -> None:
    """Raise SettingError if a prompt is more than a header, or already has the key or metre that is asked for."""
    lines = [line for line in prompt.split("\n") if line.strip()]
    flags = [flag for flag in settings.tune_flags if flag != "--only-valid"]
    if flags and not all(FIELD.match(line) or line.startswith("%") for line in lines):
        raise SettingError(
            f"{flags[0]} belongs to the header of a tune: the prompt may only have lines of a header, like T:Title."
        )
    for letter, what, of in (("K", "key", flags), ("M", "metre", [each for each in flags if each == "--metre"])):
        if of and any(line.startswith(f"{letter}:") for line in lines):
            raise SettingError(f"The prompt already has a {what} ({letter}:): leave out {in_a_sentence(of)}.")


def with_header(seed: Seed, settings: GenerationSettings, network: Network, codec: Codec, *, starts: bool) -> Seed:
    """Return a prompt with the most probable header of a tune in the metre, and in the key if one is asked for.

    Without a key, the header ends before the key. It has no title, except in the prompt. Raise SettingError if the
    model does not know headers. `starts` says whether passages begin with START.
    """
    form, line_break = _HeaderForm(settings, codec.vocabulary), codec.vocabulary.id_of(LINE_BREAK)
    if not form.known:
        raise SettingError("This model does not know the header of a tune: leave out --metre.")
    given = [*seed.ids, line_break] if seed.ids else []
    best = GenerationSettings(mode="beam", beams=_HEADER_BEAMS, length=_MAX_HEADER_TOKENS, until="K:", random_seed=0)
    blank = TextBuilder(tuple(given), best, codec)
    (found,) = beam_search(network, blank, best, [form.change], starts=starts)
    header = found.ids if settings.key is not None else found.ids[:-1]
    ids = [*given, *header, *([] if settings.key is None else [line_break])]
    decoder = codec.decoder()
    pieces = tune_task_for(settings, codec.vocabulary, None).pieces([decoder.decode_id(each) for each in ids])
    shown = "" if seed.shown is None else f"{seed.shown}\n"
    return replace(seed, ids=tuple(ids), shown=shown + "".join(pieces[len(given) :]))


class _HeaderForm:
    """Keeps a search to the header of a tune: fields of one token each, with the metre and key that are asked for."""

    def __init__(self, settings: GenerationSettings, vocabulary: Vocabulary) -> None:
        self._line_break = vocabulary.id_of(LINE_BREAK)
        forbidden = set(_forbidden_fields(settings, vocabulary))
        fields = {letter: _fields(vocabulary, letter) for letter in _HEADER_FIELDS}
        self._fields = {letter: [each for each in ids if each not in forbidden] for letter, ids in fields.items()}

    @property
    def known(self) -> bool:
        """Whether the vocabulary has what a header needs."""
        return self._line_break != UNKNOWN and bool(self._fields["K"])

    def change(self, log_probs: LogProbs, past: Past) -> LogProbs:
        changed = np.full_like(log_probs, -np.inf)
        for row, tokens in enumerate(past.tokens.tolist()):
            allowed = self._allowed_after(tokens)
            changed[row, allowed] = log_probs[row, allowed]
        return changed

    def _allowed_after(self, tokens: list[int]) -> list[int]:
        begin = max((place + 1 for place, each in enumerate(tokens) if each == END), default=0)
        tokens = [each for each in tokens[begin:] if each != NO_TOKEN]
        if tokens and tokens[-1] != self._line_break:
            return [self._line_break]
        missing = [letter for letter, ids in self._fields.items() if not set(tokens) & set(ids)]
        if "M" in missing and "K" in missing:
            missing.remove("K")  # the key ends the header
        return [each for letter in missing for each in self._fields[letter]]


def _parsed_key(text: str) -> Key:
    key = parse_key(text)
    assert key is not None
    return key


def _metre_to_write(metre: str, metres: dict[int, str]) -> str:
    """Return a metre in the form that the model knows."""
    of_value = [value for value in metres.values() if parse_metre(value) == parse_metre(metre)]
    if not of_value:
        raise SettingError(
            f"This model knows no tune in {metre}: {_known_values_in_words('metre', list(metres.values()))}."
        )
    return metre if metre in of_value else of_value[0]


def _fields(vocabulary: Vocabulary, letter: str) -> dict[int, str]:
    """Return the ids of the fields of a kind, with their values, the most frequent first."""
    return {
        number: token[2:].strip()
        for number, token in enumerate(vocabulary.tokens)
        if number > END and token.startswith(f"{letter}:") and len(token) > len("K:")
    }


def _key_to_write(wanted: Key, keys: dict[int, str]) -> Key:
    """Return the key to write in: the one that is wanted, or else the most frequent key of its mode."""
    known = [key for key in map(parse_key, keys.values()) if key is not None]
    of_mode = [key for key in known if key.mode == wanted.mode]
    if not of_mode:
        listed = _known_values_in_words("mode", [key.mode_name for key in known])
        raise SettingError(f"This model knows no tune in a {wanted.mode_name} key: {listed}.")
    return wanted if wanted in of_mode else of_mode[0]


def _known_values_in_words(what: str, values: Sequence[str]) -> str:
    different = list(dict.fromkeys(values))
    if not different:
        return f"it knows no {what}"
    return f"its {what}s are {in_a_sentence(different, limit=_SHOWN)}"


def _protect_header(forbidden: Sequence[int], keys: Sequence[int]) -> ProbabilityChange:
    """Return a change that forbids tokens until the header of a tune is complete, which ends with a key."""

    def change(log_probs: LogProbs, past: Past) -> LogProbs:
        changed = log_probs.copy()
        open_headers = _last_place(past, [END]) >= _last_place(past, keys)
        changed[np.ix_(open_headers, np.asarray(forbidden))] = -np.inf
        return changed

    return change


def _last_place(past: Past, ids: Sequence[int]) -> NDArray[np.intp]:
    """Return after how many tokens each text last has one of these ids; 0 if it has none."""
    found = np.isin(past.tokens, ids)
    return (found * np.arange(1, past.tokens.shape[1] + 1)).max(axis=1, initial=0)


def _first_fault(text: str) -> str:
    """Return the first fault of the last tune of a text; empty if it has none."""
    lines = list(enumerate(text.split("\n"), 1))
    tunes = list(whole_tunes_of(lines, LeftOut()))
    faults = faults_of(parse_lines(tunes[-1] if tunes else lines))
    return faults[0].sentence if faults else ""


class NoteCopies:
    """Knows the notes of the training tunes, and forbids the note that would complete a copy of some of them."""

    def __init__(self, training: NDArray[np.integer], vocabulary: Vocabulary, notes: int) -> None:
        """`training` has the ids of the training tunes, with END after each. `notes` is the length of a copy."""
        self._texts = ["" if number <= END else restore(token) for number, token in enumerate(vocabulary.tokens)]
        self._notes = {number: text for number, text in enumerate(self._texts) if _is_note(text)}
        self._is_note = np.isin(np.arange(len(self._texts)), list(self._notes))
        self._context_notes = notes - 1
        self._known = KnownNotes(notes)
        for text in self._tunes(training):
            self._known.add(parse_tune(text).melody)

    def _tunes(self, training: NDArray[np.integer]) -> Iterator[str]:
        begin = 0
        for end in [*np.flatnonzero(training == END).tolist(), len(training)]:
            yield self._text(training[begin:end].tolist())
            begin = end + 1

    def _text(self, ids: Iterable[int]) -> str:
        return "".join(self._texts[each] for each in ids)

    def change(self, log_probs: LogProbs, past: Past) -> LogProbs:
        """Forbid the notes that would complete a copy."""
        return forbid_by_text(log_probs, past, self._forbidden)

    def _forbidden(self, tokens: NDArray[np.intp]) -> list[int]:
        """Return the ids of the notes that are forbidden after these tokens."""
        ids = tokens[tokens != NO_TOKEN]
        last_end = np.flatnonzero(ids == END)
        ids = ids[last_end[-1] + 1 :] if len(last_end) else ids
        if np.count_nonzero(self._is_note[ids]) < self._context_notes:
            return []
        tune = parse_incomplete(self._text(ids.tolist()), self._context_notes)
        copied = self._known.completing_notes(tune.melody)
        notes = self._notes.items() if copied else ()
        return [number for number, text in notes if tune.pitch(text).half_steps in copied]


def _is_note(text: str) -> bool:
    return [token.kind for token in lex_music(text)] == ["note"]
