"""Write texts with a network: one or many at once, by sampling, greedy decoding or beam search, words or whole tunes.

The modules for tunes are imported only if a tune is asked for.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wordgen.errors import SettingError
from wordgen.generation.copies import COPY_INDEX, CopyIndex
from wordgen.generation.decoding import Progress, beam_search, write_texts
from wordgen.generation.prediction import NgramMixture, NgramModel, NumpyNetwork, order_for
from wordgen.generation.prompt import WARM_UP, Seed, TextReader
from wordgen.generation.sampling import (
    NO_TOKEN,
    ProbabilityChange,
    SpellingIds,
    TokenKinds,
    draw_changes,
    probability_changes,
)
from wordgen.generation.settings import GenerationSettings, completed
from wordgen.generation.texts import Ended, Text, TextBuilder, UnknownReplacer, WrittenToken
from wordgen.model.bundle import Bundle
from wordgen.music.harmony import Interval
from wordgen.text.tokenizers import MUSIC_TOKENIZERS
from wordgen.text.vocabulary import END, LINE_BREAK, START, UNKNOWN, is_word

if TYPE_CHECKING:
    from wordgen.generation.tunes import NoteCopies, TuneTask

_BATCH_SIZE = 256
_MAX_TOKENS_TO_COUNT = 10_000_000
"""In tokens. Counting as many takes about 2 GB of memory, and a quarter of a minute before the first word."""
MAX_DRAWS = 100
"""How often a tune is drawn before the search ends."""
_MAX_DRAWS_WITHOUT_SUCCESS = 10 * MAX_DRAWS
"""Draws of all texts together, after which the search ends if none of them is valid."""
_REDRAW_SEED = 1
"""Part of the random seed of a text that is drawn again."""


class FinishedText(NamedTuple):
    """A text that is complete."""

    builder: TextBuilder
    pieces: Sequence[str]
    """The characters that each token adds; for a tune, in the key that is asked for."""
    draws: int
    """How many texts were drawn until this one."""


class TextGenerator:
    """Writes texts that continue prompts, with the network of a bundle."""

    def __init__(self, bundle: Bundle, folder: Path | None = None) -> None:
        """`folder` is the folder of the bundle, which may also contain a copy index."""
        self.architecture = bundle.architecture
        self.vocabulary = bundle.vocabulary
        self.corpus = bundle.text.corpus
        self.tokenizer = bundle.text.tokenizer
        self.folder = folder
        self._bundle = bundle
        self._codec = bundle.codec
        self._reader = TextReader(self._codec, bundle.text)
        self._network = NumpyNetwork(bundle.architecture, bundle.weights)
        self._starts = bundle.text.starts
        """Whether passages begin with START. Those of a corpus with its own <eos> do not."""
        self._last_read: tuple[str, GenerationSettings | None, Seed] | None = None
        self._note_copies: dict[int, NoteCopies] = {}
        """What forbids copies of each number of notes, made when it is first needed."""
        self._counting: Future[NgramModel] | None = None
        self._counting_lock = threading.Lock()

    @property
    def has_copy_index(self) -> bool:
        return self.folder is not None and (self.folder / COPY_INDEX).is_dir()

    @cached_property
    def copy_index(self) -> CopyIndex:
        """The index that finds copies of the training text. Raise SettingError if the model has none."""
        if self.folder is None or not self.has_copy_index:
            raise SettingError(
                "This model has no copy index, so copies cannot be found: it was trained with --no-copy-index, or its "
                f"folder {COPY_INDEX} is missing."
            )
        return CopyIndex(self.folder / COPY_INDEX, self.vocabulary)

    @cached_property
    def _unknown_replacer(self) -> UnknownReplacer | None:
        """Replaces UNKNOWN by words. None if the bundle has no unknown words of the training text."""
        unknown = self._bundle.unknown_words
        return UnknownReplacer(unknown, self.vocabulary) if unknown else None

    @cached_property
    def _kinds(self) -> TokenKinds:
        vocabulary, text = self.vocabulary, self._bundle.text
        words = np.array([is_word(token) for token in vocabulary.tokens])
        words[[UNKNOWN, START, END]] = False
        spelling = SpellingIds(vocabulary) if vocabulary.spells else None
        if spelling is not None:
            words[spelling.all] = False
        line_break = vocabulary.id_of(LINE_BREAK)
        line_break = NO_TOKEN if line_break == UNKNOWN else line_break
        empty_passages = (text.passage, text.line_breaks) == ("line", "kept") or not text.starts
        return TokenKinds(
            words, line_break, empty_passages, spelling, replaces_unknown=self._unknown_replacer is not None
        )

    def check(self, settings: GenerationSettings) -> None:
        """Raise SettingError if this model cannot write with these settings."""
        self._changes(settings)
        if settings.mix:
            self._ids_to_count()

    def _ngram_mixture(self, weight: float) -> NgramMixture | None:
        """Return what mixes the n-gram of the training text into the probabilities. None if its weight is 0.

        Raise SettingError if the model does not have its training text, or if the text is too long to count.
        """
        return NgramMixture(self.count_ngrams_in_background().result(), weight) if weight else None

    def count_ngrams_in_background(self) -> Future[NgramModel]:
        """Begin to count the n-grams that `mix` needs, in a thread of its own, and return the future result.

        They are counted only once, unless that has failed. Raise SettingError if the model cannot mix them in.
        """
        with self._counting_lock:
            failed = self._counting is not None and self._counting.done() and self._counting.exception() is not None
            if self._counting is None or failed:
                size, order = len(self.vocabulary), order_for(self.tokenizer)
                self._counting = _count_in_background(self._ids_to_count(), size, order)
            return self._counting

    def _ids_to_count(self) -> NDArray[np.integer]:
        try:
            ids = self.copy_index.ids
        except SettingError as error:
            raise SettingError(
                "--mix counts the training text, but this model has no copy index: leave out --mix, or train without "
                "--no-copy-index."
            ) from error
        if len(ids) > _MAX_TOKENS_TO_COUNT:
            raise SettingError(
                f"--mix counts training texts of up to {_MAX_TOKENS_TO_COUNT:,} tokens, and that of this model has "
                f"{len(ids):,}: leave out --mix."
            )
        return ids

    def _check_tunes(self, settings: GenerationSettings) -> None:
        """Raise SettingError if the settings are about tunes in ABC, and the model does not write such tunes."""
        flags = [*settings.tune_flags, *(["--max-copy-notes"] if settings.max_copy_notes else [])]
        if flags and self.tokenizer != "abc":
            what = self.tokenizer if self.tokenizer in MUSIC_TOKENIZERS else "text"
            raise SettingError(
                f"{flags[0]} is for models of tunes in ABC, and this model writes {what} (--tokenizer "
                f"{self.tokenizer}): leave it out."
            )

    def pieces(
        self, tokens: Sequence[str], settings: GenerationSettings, original_key_interval: Interval | None
    ) -> Sequence[str]:
        """Return the characters that each token adds to the text; those of a tune in the key that the settings name.

        `original_key_interval` is that of the prompt (see `Seed`).
        """
        decoder = self._codec.decoder()
        pieces = [decoder.decode_token(each) for each in tokens]
        task = self._task(settings, original_key_interval)
        return pieces if task is None else task.pieces(pieces)

    def continue_text(
        self,
        ids: Sequence[int],
        settings: GenerationSettings,
        on_token: Callable[[], None] = lambda: None,
        *,
        prompt: Seed | None = None,
    ) -> Generator[WrittenToken, None, tuple[Ended, int]]:
        """Write one text that continues `ids`. Yield each new token when it can no longer be removed.

        The generator returns why the text ended, and how many texts were drawn until this one. `on_token` is called
        before each token is chosen; an exception that it raises stops the writing. `prompt` is what `ids` begin with,
        for a tune in the key of its prompt. A tune that is transposed or must be valid is yielded when it is complete.
        """
        settings = replace(completed(settings), count=1)
        seed = self._with_written_tokens(ids, settings, prompt or Seed("", (), (), cut=False))
        task = self._task(settings, seed.original_key_interval)
        if task is not None and task.must_be_complete:
            ((_, (builder, pieces, draws)),) = self._write([seed], settings, on_token=on_token)
            for each, piece in zip(builder.written, pieces, strict=True):
                yield each._replace(piece=piece)
            return builder.ended or "length", draws
        blank = builder = self._builder(seed, settings=settings)
        yielded = 0
        for builder in self._after_each_token(blank, settings, on_token):
            yield from builder.written[yielded : builder.final_count]
            yielded = builder.final_count
        return builder.ended or "length", 1

    def _with_written_tokens(self, ids: Sequence[int], settings: GenerationSettings, prompt: Seed) -> Seed:
        """Return a prompt together with the tokens after it."""
        shown = prompt.shown
        if shown is not None and len(ids) > len(prompt.ids):
            tokens = [self.vocabulary.tokens[each] for each in ids]
            shown += "".join(self.pieces(tokens, settings, prompt.original_key_interval)[len(prompt.ids) :])
        return replace(prompt, ids=tuple(ids[-WARM_UP:]), shown=shown)

    def _after_each_token(
        self, builder: TextBuilder, settings: GenerationSettings, on_token: Callable[[], None]
    ) -> Iterator[TextBuilder]:
        """Yield the builder after each token; in mode beam the best text after the search."""
        if settings.mode == "beam":
            yield from self._beam_search(builder, settings, on_token)
            return
        on_token()
        for _ in self._write_batch([builder], settings):
            yield builder
            on_token()

    def write(
        self, seeds: Sequence[str], settings: GenerationSettings, progress: Progress = lambda done, tokens: None
    ) -> Iterator[Text]:
        """Yield `count` texts for each prompt in `seeds`.

        `progress` receives the numbers of tokens written and to write at most. It is not called in mode beam.
        """
        settings = completed(settings)
        assert settings.random_seed is not None
        read = [self.read_seed(seed, settings) for seed in seeds]
        for seed, (builder, pieces, draws) in self._write(read, settings, progress):
            yield Text(
                seed=seed.text,
                text=("".join(builder.seed_pieces) if seed.shown is None else seed.shown) + "".join(pieces),
                tokens=tuple(each.token for each in builder.written),
                unknown_replacements=tuple(builder.unknown_replacements),
                log_probabilities=tuple(each.log_probability for each in builder.written),
                ended=builder.ended or "length",
                unknown=seed.unknown,
                settings=settings,
                random_seed=settings.random_seed + builder.number,
                number=builder.number,
                draws=draws,
            )

    def read_seed(self, seed: str, settings: GenerationSettings | None = None) -> Seed:
        """Return the prompt as ids of the words that the model knows, and the words that it does not know.

        If the settings ask for a metre, the prompt ends with the header of a tune. Raise SettingError if the prompt
        does not fit the settings. The last prompt is kept, because `copies` needs it for each of its texts.
        """
        last = self._last_read
        if last is None or last[:2] != (seed, settings):
            last = self._last_read = seed, settings, self._read_seed(seed, settings)
        return last[2]

    def _read_seed(self, seed: str, settings: GenerationSettings | None) -> Seed:
        read = self._reader.seed(seed)
        if settings is None or not settings.tune_flags:
            return read
        from wordgen.generation.tunes import check_prompt, with_header

        self._check_tunes(settings)
        check_prompt(seed, settings)
        if settings.metre is None:
            return read
        return with_header(read, settings, self._network, self._codec, starts=self._starts)

    def _write(
        self,
        seeds: Sequence[Seed],
        settings: GenerationSettings,
        progress: Progress = lambda done, tokens: None,
        on_token: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[Seed, FinishedText]]:
        """Yield the finished texts, each with its prompt. Batches of _BATCH_SIZE texts are written together.

        The settings must be completed (see `completed`). `progress` is that of `write`. `on_token` is called before or
        after each token.
        """
        if settings.mode == "beam":
            for seed in seeds:
                found = self._beam_search(self._builder(seed, settings=settings), settings, on_token)
                for number, builder in enumerate(found):
                    builder.number = number
                yield from self._draw_until_accepted(
                    [seed] * len(found), settings, lambda places, draw, found=found: found
                )
            return
        jobs = [(seed, number) for seed in seeds for number in range(settings.count)]
        done = 0
        for first in range(0, len(jobs), _BATCH_SIZE):
            part = jobs[first : first + _BATCH_SIZE]

            def write(
                places: Sequence[int], draw: int, part: Sequence[tuple[Seed, int]] = part, before: int = done
            ) -> list[TextBuilder]:
                builders = [self._builder(*part[place], settings=settings) for place in places]
                for _ in self._write_batch(builders, settings, draw):
                    on_token()
                    if not draw:
                        progress(before + sum(each.chosen_count for each in builders), len(jobs) * settings.length)
                return builders

            for seed, drawn in self._draw_until_accepted([seed for seed, _ in part], settings, write):
                done += drawn.builder.chosen_count
                yield seed, drawn

    def _draw_until_accepted(
        self,
        seeds: Sequence[Seed],
        settings: GenerationSettings,
        write: Callable[[Sequence[int], int], Sequence[TextBuilder]],
    ) -> Iterator[tuple[Seed, FinishedText]]:
        """Write one text for each prompt, and draw a tune again until it is as asked for, at most MAX_DRAWS times.

        Yield the texts in their order. `write` writes the texts with the given places; its second argument is how often
        they were drawn before. Raise SettingError at the first tune that was not found.
        """
        intervals = {seed.original_key_interval for seed in seeds}
        task_for = {interval: self._task(settings, interval) for interval in intervals}
        tasks = [task_for[seed.original_key_interval] for seed in seeds]
        found: dict[int, FinishedText] = {}
        refusals: list[list[str]] = [[] for _ in seeds]
        missing, draws = list(range(len(seeds))), 0
        for draw in range(MAX_DRAWS if settings.mode == "sample" else 1):
            for place, builder in zip(missing, write(missing, draw), strict=True):
                task = tasks[place]
                pieces, refusal = (
                    (builder.pieces, "") if task is None else task.finished_pieces(seeds[place].shown, builder)
                )
                if refusal:
                    refusals[place].append(refusal)
                else:
                    found[place] = FinishedText(builder, pieces, draw + 1)
            draws += len(missing)
            missing = [place for place in missing if place not in found]
            if not missing or (not found and draws >= _MAX_DRAWS_WITHOUT_SUCCESS):
                break
        for place, (seed, task) in enumerate(zip(seeds, tasks, strict=True)):
            if task is not None and place not in found:
                raise SettingError(task.refusal_summary(refusals[place]))
            yield seed, found[place]

    def _builder(self, seed: Seed, number: int = 0, *, settings: GenerationSettings) -> TextBuilder:
        if seed.original_key_interval is not None:  # `until` is looked for when the text is in the key of the prompt
            settings = replace(settings, until=None)
        replacer = None if settings.allow_unknown else self._unknown_replacer
        return TextBuilder(seed.ids, settings, self._codec, replacer, number)

    def _write_batch(
        self, builders: Sequence[TextBuilder], settings: GenerationSettings, draw: int = 0
    ) -> Iterator[None]:
        """Do what `write_texts` does. Each `draw` has its own random numbers."""
        generators = None
        if settings.mode == "sample":
            assert settings.random_seed is not None
            seeds = [settings.random_seed + builder.number for builder in builders]
            generators = [np.random.default_rng([seed, draw, _REDRAW_SEED] if draw else seed) for seed in seeds]
        changes, before_draw = self._changes(settings), draw_changes(settings)
        mix = self._ngram_mixture(settings.mix)
        return write_texts(self._network, builders, generators, changes, before_draw, starts=self._starts, mix=mix)

    def _beam_search(
        self, blank: TextBuilder, settings: GenerationSettings, on_token: Callable[[], None]
    ) -> list[TextBuilder]:
        changes, mix = self._changes(settings), self._ngram_mixture(settings.mix)
        return beam_search(self._network, blank, settings, changes, starts=self._starts, mix=mix, on_token=on_token)

    def _changes(self, settings: GenerationSettings) -> list[ProbabilityChange]:
        task = self._task(settings)
        followers = self.copy_index.followers if settings.max_copy else None
        changes = probability_changes(settings, self._kinds, followers)
        if task is not None and task.header_change is not None:
            changes.append(task.header_change)
        if settings.max_copy_notes:
            changes.append(self._note_copies_of(settings.max_copy_notes).change)
        return changes

    def _task(self, settings: GenerationSettings, original_key_interval: Interval | None = None) -> "TuneTask | None":
        """Return what a tune must be; None for a text that is not transposed and of which no tune is asked."""
        self._check_tunes(settings)
        if original_key_interval is None and not settings.tune_flags:
            return None
        from wordgen.generation.tunes import tune_task_for

        return tune_task_for(settings, self.vocabulary, original_key_interval)

    def _note_copies_of(self, notes: int) -> "NoteCopies":
        from wordgen.generation.tunes import NoteCopies

        if notes not in self._note_copies:
            self._note_copies[notes] = NoteCopies(self.copy_index.ids, self.vocabulary, notes)
        return self._note_copies[notes]


def _count_in_background(ids: NDArray[np.integer], vocabulary_size: int, order: int) -> Future[NgramModel]:
    """Count n-grams in a thread that ends with the process, and return the future result."""
    future: Future[NgramModel] = Future()

    def run() -> None:
        try:
            future.set_result(NgramModel(ids, vocabulary_size, order))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
