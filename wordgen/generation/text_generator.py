"""Write texts with a network: one or many at once, by sampling, greedy decoding or beam search, words or whole tunes.

The modules for tunes are imported only if a tune is asked for.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from wordgen.errors import SettingError
from wordgen.generation.copies import COPY_INDEX, CopyIndex
from wordgen.generation.decoding import Progress, search, write_to_the_end
from wordgen.generation.prediction import NgramMixture, NgramModel, NumpyNetwork, order_for
from wordgen.generation.prompt import WARM_UP, Seed, TextReader
from wordgen.generation.sampling import NO_TOKEN, ProbabilityChange, SpellingIds, TokenKinds, probability_changes
from wordgen.generation.settings import GenerationSettings, completed
from wordgen.generation.texts import Ended, Filler, Text, TextBuilder, WrittenToken
from wordgen.model.bundle import Bundle
from wordgen.music.harmony import Interval
from wordgen.text.tokenizers import OF_MUSIC
from wordgen.text.vocabulary import END, LINE_BREAK, START, UNKNOWN

if TYPE_CHECKING:
    from wordgen.generation.tunes import NoteCopies, TuneTask

Result = TypeVar("Result")
Jobs = Sequence[tuple[Seed, int]]
"""Prompts, and which of the texts of each prompt is written."""

_SIDE_BY_SIDE = 256
_MOST_COUNTED = 10_000_000
"""In tokens. Counting as many takes about 2 GB of memory, and a quarter of a minute before the first word."""
MOST_DRAWS = 100
"""How often a tune is drawn before the search ends."""
_MOST_WITHOUT_SUCCESS = 10 * MOST_DRAWS
"""Draws of all texts together, after which the search ends if none of them is valid."""
_REDRAWN = 1
"""Part of the random seed of a text that is drawn again."""


class Drawn(NamedTuple):
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
        self._note_copies: dict[int, NoteCopies] = {}
        """What forbids copies of each number of notes, made when it is first needed."""
        self._counting: Future[NgramModel] | None = None
        self._begins_counting = threading.Lock()

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
    def _filler(self) -> Filler | None:
        """Replaces UNKNOWN by words. None if the bundle has no unknown words of the training text."""
        unknown = self._bundle.unknown_words
        return Filler(unknown, self.vocabulary) if unknown else None

    @cached_property
    def _kinds(self) -> TokenKinds:
        vocabulary, text = self.vocabulary, self._bundle.text
        words = np.array([any(map(str.isalnum, token)) for token in vocabulary.tokens])
        words[[UNKNOWN, START, END]] = False
        spelling = SpellingIds(vocabulary) if vocabulary.spells else None
        if spelling is not None:
            words[spelling.all] = False
        line_break = vocabulary.id_of(LINE_BREAK)
        line_break = NO_TOKEN if line_break == UNKNOWN else line_break
        empty_passages = (text.passage, text.line_breaks) == ("line", "kept") or not text.starts
        return TokenKinds(words, line_break, empty_passages, spelling, fills=self._filler is not None)

    def check(self, settings: GenerationSettings) -> None:
        """Raise SettingError if this model cannot write with these settings."""
        self._changes(settings)
        if settings.mix:
            self._text_to_count()

    def _mix(self, weight: float) -> NgramMixture | None:
        """Return what mixes the n-gram of the training text into the probabilities. None if its weight is 0.

        Raise SettingError if the model does not have its training text, or if the text is too long to count.
        """
        return NgramMixture(self.counting().result(), weight) if weight else None

    def counting(self) -> Future[NgramModel]:
        """Begin to count the n-grams that `mix` needs, in a thread of its own, and return the future result.

        They are counted only once, unless that has failed. Raise SettingError if the model cannot mix them in.
        """
        with self._begins_counting:
            failed = self._counting is not None and self._counting.done() and self._counting.exception() is not None
            if self._counting is None or failed:
                self._counting = _in_background(self._counted, self._text_to_count())
            return self._counting

    def _counted(self, ids: NDArray[np.integer]) -> NgramModel:
        order = order_for(self.tokenizer)
        return NgramModel(ids.astype(np.int64), len(self.vocabulary), order)

    def _text_to_count(self) -> NDArray[np.integer]:
        try:
            ids = self.copy_index.ids
        except SettingError as error:
            raise SettingError(
                "--mix counts the training text, but this model has no copy index: leave out --mix, or train without "
                "--no-copy-index."
            ) from error
        if len(ids) > _MOST_COUNTED:
            raise SettingError(
                f"--mix counts training texts of up to {_MOST_COUNTED:,} tokens, and that of this model has "
                f"{len(ids):,}: leave out --mix."
            )
        return ids

    def _check_tunes(self, settings: GenerationSettings) -> None:
        """Raise SettingError if the settings are about tunes in ABC, and the model does not write such tunes."""
        flags = [*settings.of_a_tune, *(["--max-copy-notes"] if settings.max_copy_notes else [])]
        if flags and self.tokenizer != "abc":
            what = self.tokenizer if self.tokenizer in OF_MUSIC else "text"
            raise SettingError(
                f"{flags[0]} is for models of tunes in ABC, and this model writes {what} (--tokenizer "
                f"{self.tokenizer}): leave it out."
            )

    def pieces(self, tokens: Sequence[str], settings: GenerationSettings, back: Interval | None) -> Sequence[str]:
        """Return the characters that each token adds to the text; those of a tune in the key that the settings name.

        `back` is that of the prompt (see `Seed`).
        """
        decoder = self._codec.decoder()
        pieces = [decoder.say_token(each) for each in tokens]
        task = self._task(settings, back)
        return pieces if task is None else task.pieces(pieces)

    def go_on(
        self,
        ids: Sequence[int],
        settings: GenerationSettings,
        between: Callable[[], None] = lambda: None,
        *,
        prompt: Seed | None = None,
    ) -> Generator[WrittenToken, None, tuple[Ended, int]]:
        """Write one text that continues `ids`. Yield each new token when it can no longer be removed.

        The generator returns why the text ended, and how many texts were drawn until this one. `between` is called
        before each token is chosen; an exception that it raises stops the writing. `prompt` is what `ids` begin with,
        for a tune in the key of its prompt. A tune that is transposed or must be valid is yielded when it is complete.
        """
        settings = replace(completed(settings), count=1)
        seed = self._so_far(ids, settings, prompt or Seed("", (), (), cut=False))
        task = self._task(settings, seed.back)
        if task is not None and task.whole:
            ((_, (builder, pieces, draws)),) = self._write([seed], settings, between=between)
            for each, piece in zip(builder.written, pieces, strict=True):
                yield each._replace(piece=piece)
            return builder.ended or "length", draws
        blank = builder = self._builder(seed, settings=settings)
        told = 0
        for builder in self._as_it_grows(blank, settings, between):
            yield from builder.written[told : builder.settled]
            told = builder.settled
        return builder.ended or "length", 1

    def _so_far(self, ids: Sequence[int], settings: GenerationSettings, prompt: Seed) -> Seed:
        """Return a prompt together with the tokens after it."""
        shown = prompt.shown
        if shown is not None and len(ids) > len(prompt.ids):
            tokens = [self.vocabulary.tokens[each] for each in ids]
            shown += "".join(self.pieces(tokens, settings, prompt.back)[len(prompt.ids) :])
        return replace(prompt, ids=tuple(ids[-WARM_UP:]), shown=shown)

    def _as_it_grows(
        self, builder: TextBuilder, settings: GenerationSettings, between: Callable[[], None]
    ) -> Iterator[TextBuilder]:
        """Yield the builder after each token; in mode beam the best text after the search."""
        if settings.mode == "beam":
            yield from self._searched(builder, settings, between)
            return
        between()
        for _ in self._written([builder], settings):
            yield builder
            between()

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
                seed=seed.given,
                text=("".join(builder.seed_pieces) if seed.shown is None else seed.shown) + "".join(pieces),
                tokens=tuple(each.token for each in builder.written),
                put_in=tuple(builder.put_in),
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
        does not fit the settings.
        """
        read = self._reader.seed(seed)
        if settings is None or not settings.of_a_tune:
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
        between: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[Seed, Drawn]]:
        """Yield the finished texts, each with its prompt. Batches of _SIDE_BY_SIDE texts are written together.

        The settings must be completed (see `completed`). `progress` is that of `write`. `between` is called before or
        after each token.
        """
        if settings.mode == "beam":
            for seed in seeds:
                found = self._searched(self._builder(seed, settings=settings), settings, between)
                for number, builder in enumerate(found):
                    builder.number = number
                yield from self._drawn([seed] * len(found), settings, lambda places, draw, found=found: found)
            return
        jobs = [(seed, number) for seed in seeds for number in range(settings.count)]
        done = 0
        for first in range(0, len(jobs), _SIDE_BY_SIDE):
            part = jobs[first : first + _SIDE_BY_SIDE]

            def write(places: Sequence[int], draw: int, part: Jobs = part, before: int = done) -> list[TextBuilder]:
                builders = [self._builder(*part[place], settings=settings) for place in places]
                for _ in self._written(builders, settings, draw):
                    between()
                    if not draw:
                        progress(before + sum(each.chosen for each in builders), len(jobs) * settings.length)
                return builders

            for seed, drawn in self._drawn([seed for seed, _ in part], settings, write):
                done += drawn.builder.chosen
                yield seed, drawn

    def _drawn(
        self,
        seeds: Sequence[Seed],
        settings: GenerationSettings,
        write: Callable[[Sequence[int], int], Sequence[TextBuilder]],
    ) -> Iterator[tuple[Seed, Drawn]]:
        """Write one text for each prompt, and draw a tune again until it is as asked for, at most MOST_DRAWS times.

        Yield the texts in their order. `write` writes the texts with the given places; its second argument is how often
        they were drawn before. Raise SettingError at the first tune that was not found.
        """
        tasks = [self._task(settings, seed.back) for seed in seeds]
        found: dict[int, Drawn] = {}
        refusals: dict[int, list[str]] = {place: [] for place in range(len(seeds))}
        missing, draws = list(refusals), 0
        for draw in range(MOST_DRAWS if settings.mode == "sample" else 1):
            for place, builder in zip(missing, write(missing, draw), strict=True):
                task = tasks[place]
                pieces, refusal = (builder.pieces, "") if task is None else task.finish(seeds[place].shown, builder)
                if refusal:
                    refusals[place].append(refusal)
                else:
                    found[place] = Drawn(builder, pieces, draw + 1)
            draws += len(missing)
            missing = [place for place in missing if place not in found]
            if not missing or (not found and draws >= _MOST_WITHOUT_SUCCESS):
                break
        for place, (seed, task) in enumerate(zip(seeds, tasks, strict=True)):
            if task is not None and place not in found:
                raise SettingError(task.why_none(refusals[place]))
            yield seed, found[place]

    def _builder(self, seed: Seed, number: int = 0, *, settings: GenerationSettings) -> TextBuilder:
        filler = None if settings.allow_unknown else self._filler
        return TextBuilder(seed.ids, settings, self._codec, filler, number)

    def _written(self, builders: Sequence[TextBuilder], settings: GenerationSettings, draw: int = 0) -> Iterator[None]:
        """Do what `write_to_the_end` does. Each `draw` has its own random numbers."""
        dice = None
        if settings.mode == "sample":
            assert settings.random_seed is not None
            seeds = [settings.random_seed + builder.number for builder in builders]
            dice = [np.random.default_rng([seed, draw, _REDRAWN] if draw else seed) for seed in seeds]
        changes, draw_changes = self._changes(settings)
        mix = self._mix(settings.mix)
        return write_to_the_end(self._network, builders, dice, changes, draw_changes, starts=self._starts, mix=mix)

    def _searched(
        self, blank: TextBuilder, settings: GenerationSettings, between: Callable[[], None]
    ) -> list[TextBuilder]:
        changes, _ = self._changes(settings)
        mix = self._mix(settings.mix)
        return search(self._network, blank, settings, changes, starts=self._starts, mix=mix, between=between)

    def _changes(self, settings: GenerationSettings) -> tuple[list[ProbabilityChange], list[ProbabilityChange]]:
        task = self._task(settings)
        followers = self.copy_index.followers if settings.max_copy else None
        changes, draw_changes = probability_changes(settings, self._kinds, followers)
        if task is not None and task.ban is not None:
            changes.append(task.ban)
        if settings.max_copy_notes:
            changes.append(self._copies_of_notes(settings.max_copy_notes).change)
        return changes, draw_changes

    def _task(self, settings: GenerationSettings, back: Interval | None = None) -> "TuneTask | None":
        """Return what a tune must be; None for a text that is not transposed and of which no tune is asked."""
        self._check_tunes(settings)
        if back is None and not settings.of_a_tune:
            return None
        from wordgen.generation.tunes import task_of

        return task_of(settings, self.vocabulary, back)

    def _copies_of_notes(self, notes: int) -> "NoteCopies":
        from wordgen.generation.tunes import NoteCopies

        if notes not in self._note_copies:
            self._note_copies[notes] = NoteCopies(self.copy_index.ids, self.vocabulary, notes)
        return self._note_copies[notes]


def _in_background(function: Callable[..., Result], *arguments: object) -> Future[Result]:
    """Call a function in a thread that ends with the process, and return the future result."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
