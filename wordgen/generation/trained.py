"""A trained model that generates text, which `wordgen.load` returns, and texts that it writes with a person."""

from collections.abc import Iterator, Sequence
from copy import copy
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from wordgen.corpus.layout import Layout, layout_warnings
from wordgen.errors import SettingError
from wordgen.generation.copies import Copy
from wordgen.generation.decoding import Progress, Reader, Score, score
from wordgen.generation.prompt import WARM_UP, Seed, UnknownWord
from wordgen.generation.settings import GenerationSettings, ScoringSettings
from wordgen.generation.text_generator import TextGenerator
from wordgen.generation.texts import NextWord, Text, chooser
from wordgen.model.architecture import shown_layers
from wordgen.model.bundle import fingerprint, load_bundle
from wordgen.settings import errors_in_python_terms
from wordgen.text.tokenizers import StreamDecoder
from wordgen.text.vocabulary import (
    END_TOKEN,
    LINE_BREAK,
    OTHER_APOSTROPHE,
    START,
    UNKNOWN,
    incomplete_character,
)


class TrainedModel(TextGenerator):
    """A trained model that generates and scores text. It needs only NumPy and does not import TensorFlow."""

    @classmethod
    def load(cls, folder: Path) -> "TrainedModel":
        """Load the model in a folder."""
        return cls(load_bundle(folder), folder)

    def __repr__(self) -> str:
        where = "" if self.folder is None else f" in {self.folder}"
        shape = f"{shown_layers(self.architecture)}, {len(self.vocabulary):,} tokens"
        return f"<TrainedModel of {self.corpus}{where}: {shape}>"

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the config, vocabulary, weights and words for UNKNOWN. Equal models have equal hashes."""
        return fingerprint(self._bundle)

    def generate(
        self,
        seed: str = "",
        *,
        # the settings
        mode: Literal["greedy", "sample", "beam"] = "sample",
        length: int = 50,
        count: int = 1,
        stop: Literal["none", "end", "sentence", "line"] = "none",
        at_least: int = 1,
        until: str | None = None,
        temperature: float = 0.7,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        no_repeat_ngram: int = 0,
        max_copy: int = 0,
        beams: int = 5,
        length_penalty: float = 0.0,
        mix: float = 0.0,
        allow_unknown: bool = False,
        random_seed: int | None = None,
        key: str | None = None,
        metre: str | None = None,
        only_valid: bool = False,
        max_copy_notes: int = 0,
        # their end
    ) -> list[Text]:
        """Write texts that continue the prompt `seed`: `model.generate("Aragorn", temperature=0.8, count=3)`.

        Settings:
            mode: sample draws each token by its probability; greedy always takes the most probable token and soon
                repeats itself; beam searches for the text that is most probable as a whole (default: sample)
            length: the maximum number of tokens (words and punctuation marks) to write (default: 50)
            count: the number of texts to write for each prompt (default: 1)
            stop: where a text ends before length: at the end of a passage (end), of a sentence or of a line; none
                writes up to length (default: none)
            at_least: the number of tokens to write before stop takes effect (default: 1)
            until: end the text as soon as it contains these characters (by default, none)
            temperature: 1 uses the probabilities of the model; a lower value makes the text more predictable, a
                higher value makes it more varied; instead of 0, use mode greedy (default: 0.7)
            top_k: draw only from this number of most probable tokens; 0 draws from all (default: 0)
            top_p: draw only from the most probable tokens that together have this probability; 1 draws from all
                (default: 1.0)
            min_p: draw only from tokens that have at least this share of the highest probability; 0 draws from all
                (default: 0.0)
            repetition_penalty: above 1, make words less probable that are among the last 64 tokens; 1 changes
                nothing, 1.2 has a clear effect (default: 1.0)
            no_repeat_ngram: never write the same sequence of this many tokens twice in a text; 0 allows any
                repetition (default: 0)
            max_copy: never copy more than this many tokens in a row from the training text; 0 allows any copy
                (default: 0)
            beams: the number of unfinished texts that mode beam compares (default: 5)
            length_penalty: mode beam divides the log-probability of a text by its length to this power; 0 prefers
                short texts, 1 compares the mean of the tokens (default: 0.0)
            mix: the share of each probability that comes from a 5-gram of the training text, and not from the
                network; evaluate says which share is best (default: 0.0)
            allow_unknown: show UNKNOWN_TOKEN where the model writes it, instead of a suitable rare word (default:
                False)
            random_seed: the same number gives the same text again; by default, a new number is drawn
            key: write a tune in this key, for example D, F#m or 'D dorian', with a model of tunes in ABC (by
                default, the model chooses)
            metre: write a tune in this metre, for example 6/8, with a model of tunes in ABC (by default, the model
                chooses)
            only_valid: draw again until a tune ends within length and has no fault, for example bars that do not
                add up; with a model of tunes in ABC (default: False)
            max_copy_notes: never write this many notes in a row that a training tune has in any key, by interval
                and length; 0 allows any copy, else it is 4 or more; with a model of tunes in ABC (default: 0)
        """
        given = {name: value for name, value in locals().items() if name not in ("self", "seed")}
        with errors_in_python_terms():
            return self.generate_with(seed, GenerationSettings(**given))

    def stream(
        self,
        seed: str = "",
        *,
        # the settings
        mode: Literal["greedy", "sample", "beam"] = "sample",
        length: int = 50,
        count: int = 1,
        stop: Literal["none", "end", "sentence", "line"] = "none",
        at_least: int = 1,
        until: str | None = None,
        temperature: float = 0.7,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        no_repeat_ngram: int = 0,
        max_copy: int = 0,
        beams: int = 5,
        length_penalty: float = 0.0,
        mix: float = 0.0,
        allow_unknown: bool = False,
        random_seed: int | None = None,
        key: str | None = None,
        metre: str | None = None,
        only_valid: bool = False,
        max_copy_notes: int = 0,
        # their end
    ) -> Iterator[str]:
        """Write one text piece by piece, the prompt first: `for piece in model.stream("Aragorn"): ...`.

        The settings are those of `generate`.
        """
        given = {name: value for name, value in locals().items() if name not in ("self", "seed")}
        with errors_in_python_terms():
            return _with_errors_in_python_terms(self.stream_with(seed, GenerationSettings(**given)))

    def generate_with(self, seed: str, settings: GenerationSettings) -> list[Text]:
        """Do the same as `generate`, with the settings in one object."""
        return list(self.write([seed], settings))

    def stream_with(self, seed: str, settings: GenerationSettings) -> Iterator[str]:
        """Do the same as `stream`, with the settings in one object."""
        read = self.read_seed(seed, settings)
        self.check(settings)  # raises before the first piece
        shown = self._codec.pieces(read.ids) if read.shown is None else [read.shown]
        return chain(shown, (each.piece for each in self.continue_text(read.ids, settings, prompt=read)))

    def session(self, beginning: str = "") -> "WritingSession":
        """Return a session in which a person and the model continue the text `beginning` in turns."""
        return WritingSession(self, beginning)

    def copies(self, text: Text) -> tuple[Copy, ...]:
        """Return the matches of a text with the training text that have MIN_TOKENS (5) tokens or more.

        The prompt is part of the text. Raise SettingError if the model has no copy index.
        """
        with errors_in_python_terms():
            _ = self.copy_index
        seed = self.read_seed(text.seed, text.settings)
        tokens = [*(self.vocabulary.tokens[each] for each in seed.ids), *text.tokens]
        pieces = None
        if seed.shown is not None or text.settings.tune_flags:
            pieces = _pieces_in_text(text.text, seed, self.pieces(tokens, text.settings, seed.original_key_interval))
        return self.copies_in(tokens, len(text.text), pieces)

    def copies_in(
        self, tokens: Sequence[str], characters: int | None = None, pieces: Sequence[str] | None = None
    ) -> tuple[Copy, ...]:
        """Return the matches of `tokens` with the training text, as `copies` does for a text.

        Matches end at the latest after `characters` characters of the text of these tokens (None: no limit). A word
        that replaced UNKNOWN can be part of a match only if the training text has it between the same neighbours.
        `pieces` has the characters of each token, if they are not the usual ones.
        """
        ids = [self.vocabulary.id_of(token) for token in tokens]
        replacer = self._unknown_replacer
        around = zip((None, *ids), tokens, (*ids[1:], None), strict=False)
        new = [place for place, each in enumerate(around) if replacer is not None and replacer.is_new(*each)]
        decoder = self._codec.decoder()
        pieces = [decoder.decode_token(each) for each in tokens] if pieces is None else pieces
        text = "".join(pieces)[:characters]
        ends = np.cumsum([0, *map(len, pieces)])
        found: list[Copy] = []
        for match in self.copy_index.matches(ids, new):
            begin, end = int(ends[match.start]), min(int(ends[match.start + match.tokens]), len(text))
            begin += len(text[begin:end]) - len(text[begin:end].lstrip())
            file, line = self.copy_index.file_and_line(match.place)
            found.append(Copy(match.start, match.tokens, begin, end, text[begin:end], file, line))
        return tuple(found)

    def layout_warnings_for(self, file_layout: Layout) -> tuple[str, ...]:
        """Return sentences that warn if text in a layout is read in another layout than the training text.

        Return an empty tuple if both are the same.
        """
        return layout_warnings([self._reader.layout_for(file_layout)], self._reader.training_layout)

    def score(
        self,
        text: str,
        progress: Progress = lambda done, tokens: None,
        *,
        file_layout: Layout | None = None,
        mix: float = ScoringSettings.mix,
    ) -> Score:
        """Return how probable each token of a text is, sentence by sentence.

        The text is read in the layout of the training text, or if it is prose, in the layout `file_layout` of its file.
        `progress` receives the numbers of tokens done and of all. `mix` is the share of each probability that comes
        from a 5-gram of the training text.
        """
        with errors_in_python_terms():
            mixture = self._ngram_mixture(ScoringSettings(mix=mix).mix)
        tokens = self._reader.tokens(text.strip(), file_layout)
        return score(self._network, tokens, self._codec, starts=self._starts, mix=mixture, progress=progress)

    def next_words(self, text: str, count: int = 5, *, mix: float = ScoringSettings.mix) -> tuple[NextWord, ...]:
        """Return the `count` most probable next words after `text`, most probable first.

        The probabilities are those of the model, before any setting but `mix` changes them.
        """
        return self.next_words_after_ids(self.read_seed(text).ids, count, mix=mix)

    def next_words_after_ids(
        self, ids: Sequence[int], count: int, *, mix: float = ScoringSettings.mix
    ) -> tuple[NextWord, ...]:
        """Return the `count` most probable next words after `ids`, as `next_words` does after a text."""
        with errors_in_python_terms():
            mixture = self._ngram_mixture(ScoringSettings(mix=mix).mix)
        recent = ids[-WARM_UP:]
        reader = Reader(self._network, [recent], starts=self._starts, mix=mixture)
        probs = reader.log_probs()[0]
        replacer = None if recent and recent[-1] == UNKNOWN else self._unknown_replacer
        most_probable = chooser(GenerationSettings(mode="greedy"), 0, 0)
        replacement = replacer.word(recent, replacer.expected(probs), most_probable) if replacer else None
        probs[[UNKNOWN, START] if replacement is None else [START]] = -np.inf
        if (spelling := self._kinds.spelling) is not None:  # a single byte is not a word
            probs[spelling.all] = -np.inf
        if OTHER_APOSTROPHE in self.vocabulary:  # nor is this mark
            probs[self.vocabulary.id_of(OTHER_APOSTROPHE)] = -np.inf
        best = np.argsort(-probs, kind="stable")[: max(0, min(count, int(np.isfinite(probs).sum())))]
        decoder = self._codec.decoder()
        for each in recent:
            decoder.decode_id(each)
        tokens = [replacement if i == UNKNOWN and replacement else self.vocabulary.tokens[i] for i in best.tolist()]
        chosen = zip(tokens, np.exp(probs[best]).tolist(), strict=True)
        return tuple(self._next_word(token, decoder, probability) for token, probability in chosen)

    def _next_word(self, token: str, decoder: StreamDecoder, probability: float) -> NextWord:
        piece = self._codec.separator if token == END_TOKEN else copy(decoder).decode_token(token)
        word = "(end)" if token == END_TOKEN else piece.replace(LINE_BREAK, "(line break)").strip() or "(space)"
        return NextWord(word, piece, token, probability)

    def may_replace_unknown(self, token: str) -> bool:
        """Return whether the model may replace UNKNOWN by this token."""
        return self._unknown_replacer is not None and token in self._unknown_replacer


def _with_errors_in_python_terms(pieces: Iterator[str]) -> Iterator[str]:
    with errors_in_python_terms():
        yield from pieces


def _pieces_in_text(text: str, seed: Seed, pieces: Sequence[str]) -> list[str]:
    """Return the pieces of a text with a prompt that is shown as it was given: each piece from where it is in the text.

    What the model does not read of a prompt belongs to the piece before it.
    """
    places, at = [0], 0
    end = len(text) - sum(map(len, pieces[len(seed.ids) :]))
    for piece in pieces[: len(seed.ids)]:
        found = text.find(piece, at, end)
        at = at if found < 0 else found + len(piece)
        places.append(at)
    places[-1] = end
    prompt = [text[begin:stop] for begin, stop in pairwise(places)]
    return [*prompt, *pieces[len(seed.ids) :]]


class WritingSession:
    """A text that a person and a model write in turns.

    It keeps the tokens and not only the characters, so the network reads exactly the tokens that were written.
    """

    def __init__(self, model: TrainedModel, beginning: str) -> None:
        self._model = model
        self._codec, self._reader = model._codec, model._reader  # pyright: ignore[reportPrivateUsage]
        self._decoder = self._codec.decoder()
        self.ids: list[int] = []
        self._pieces: list[str] = []
        for each in self._reader.seed(beginning).ids:
            self._add(each)

    @property
    def text(self) -> str:
        return "".join(self._pieces) + self._decoder.pending_text

    def duplicate(self) -> "WritingSession":
        other = copy(self)
        other.ids, other._pieces, other._decoder = list(self.ids), list(self._pieces), copy(self._decoder)
        return other

    def type(self, line: str) -> tuple[UnknownWord, ...]:
        """Add text that a person typed, and return its words that the model does not know, and does not read."""
        self._end_word()
        tokens = [(token, self._reader.ids_in_any_form(token)) for token in self._reader.tokens_within(line)]
        for token, ids in tokens:
            for each in ids:
                self._add(each)
            if not ids:
                self._pieces.append(self._decoder.decode_token(token))
        return self._reader.unknown_words([token for token, ids in tokens if not ids])

    def pick(self, word: NextWord) -> None:
        self._end_word()
        self._add(self._codec.vocabulary.id_of(word.token), word.token)

    def next_words(self, count: int, *, mix: float = 0.0) -> tuple[NextWord, ...]:
        other = self.duplicate()
        other._end_word()
        return self._model.next_words_after_ids(other.ids, count, mix=mix)

    def write(self, settings: GenerationSettings) -> Iterator[str]:
        """Let the model continue the text. Yield each piece when it can no longer be removed.

        A piece is already part of the text when it is yielded. Raise SettingError for settings of whole tunes.
        """
        if settings.tune_flags:
            raise SettingError(f"{settings.tune_flags[0]} writes a whole tune: use generate without --interactive.")
        for written in self._model.continue_text(self.ids, settings):
            self.ids.append(written.id)
            self._pieces.append(written.piece)
            self._decoder.decode_token(written.token)
            yield written.piece

    def _end_word(self) -> None:
        """End a word that the model has begun to spell: only the model itself continues it.

        The bytes of an incomplete character are removed.
        """
        spelling = self._model._kinds.spelling  # pyright: ignore[reportPrivateUsage]
        if spelling is None:
            return
        word = spelling.unfinished_word(self.ids)
        incomplete = len(incomplete_character(word))
        if incomplete:
            ids, self.ids, self._pieces, self._decoder = self.ids[:-incomplete], [], [], self._codec.decoder()
            for each in ids:
                self._add(each)
        if incomplete < len(word):
            self._add(spelling.word_end)

    def _add(self, number: int, token: str | None = None) -> None:
        self.ids.append(number)
        self._pieces.append(self._decoder.decode_token(token or self._codec.vocabulary.tokens[number]))
