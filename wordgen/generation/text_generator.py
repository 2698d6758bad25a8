"""Write texts with a network: one or many at once, by sampling, greedy decoding or beam search, words or whole tunes.

The modules for tunes are imported only if a tune is asked for.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from wordgen.errors import SettingError
from wordgen.generation.copies import CopyIndex
from wordgen.generation.decoding import Progress, search, write_to_the_end
from wordgen.generation.prediction import MixedIn, NgramModel, NumpyNetwork, order_for
from wordgen.generation.prompt import WARM_UP, Seed
from wordgen.generation.sampling import NO_TOKEN, ProbabilityChange, SpellingIds, TokenKinds, probability_changes
from wordgen.generation.settings import GenerationSettings, completed
from wordgen.generation.texts import Drawn, Ended, Filler, TextBuilder, WrittenToken
from wordgen.model.bundle import Bundle
from wordgen.music.harmony import Interval
from wordgen.text.tokenizers import OF_MUSIC
from wordgen.text.vocabulary import END, LINE_BREAK, START, UNKNOWN

if TYPE_CHECKING:
    from wordgen.generation.tunes import NoteCopies, TuneTask, Write

Result = TypeVar("Result")

_SIDE_BY_SIDE = 256
_MOST_COUNTED = 10_000_000
"""In tokens. Counting as many takes about 2 GB of memory, and a quarter of a minute before the first word."""
_REDRAWN = 1
"""Part of the random seed of a text that is drawn again."""


class TextGenerator:
    """Writes texts that continue prompts, with the network of a bundle."""

    def __init__(self, bundle: Bundle, copy_index: Callable[[], CopyIndex]) -> None:
        """`copy_index` returns the copy index of the model, or raises SettingError if it has none."""
        self.network = NumpyNetwork(bundle.architecture, bundle.weights)
        self.codec = bundle.codec
        self.starts = bundle.text.starts
        """Whether passages begin with START. Those of a corpus with its own <eos> do not."""
        self._bundle = bundle
        self._copy_index = copy_index
        self._note_copies: dict[int, NoteCopies] = {}
        """What forbids copies of each number of notes, made when it is first needed."""
        self._counting: Future[NgramModel] | None = None
        self._begins_counting = threading.Lock()

    @cached_property
    def filler(self) -> Filler | None:
        """Replaces UNKNOWN by words. None if the bundle has no unknown words of the training text."""
        unknown = self._bundle.unknown_words
        return Filler(unknown, self._bundle.vocabulary) if unknown else None

    @cached_property
    def kinds(self) -> TokenKinds:
        vocabulary, text = self._bundle.vocabulary, self._bundle.text
        words = np.array([any(map(str.isalnum, token)) for token in vocabulary.tokens])
        words[[UNKNOWN, START, END]] = False
        spelling = SpellingIds(vocabulary) if vocabulary.spells else None
        if spelling is not None:
            words[spelling.all] = False
        line_break = vocabulary.id_of(LINE_BREAK)
        line_break = NO_TOKEN if line_break == UNKNOWN else line_break
        empty_passages = (text.passage, text.line_breaks) == ("line", "kept") or not text.starts
        return TokenKinds(words, line_break, empty_passages, spelling, fills=self.filler is not None)

    def check(self, settings: GenerationSettings) -> None:
        """Raise SettingError if the model cannot write with these settings."""
        self._changes(settings)
        if settings.mix:
            self._text_to_count()

    def mix(self, weight: float) -> MixedIn | None:
        """Return what mixes the n-gram of the training text into the probabilities. None if its weight is 0.

        Raise SettingError if the model does not have its training text, or if the text is too long to count.
        """
        return MixedIn(self.counting().result(), weight) if weight else None

    def counting(self) -> Future[NgramModel]:
        """Count the n-grams of the training text once, in a thread of its own, and return the future result.

        They are counted again if that has failed. Raise SettingError as `mix` does.
        """
        with self._begins_counting:
            failed = self._counting is not None and self._counting.done() and self._counting.exception() is not None
            if self._counting is None or failed:
                self._counting = _in_background(self._counted, self._text_to_count())
            return self._counting

    def _counted(self, ids: NDArray[np.integer]) -> NgramModel:
        order = order_for(self._bundle.text.tokenizer)
        return NgramModel(ids.astype(np.int64), len(self._bundle.vocabulary), order)

    def _text_to_count(self) -> NDArray[np.integer]:
        try:
            ids = self._copy_index().ids
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

    def check_tunes(self, settings: GenerationSettings) -> None:
        """Raise SettingError if the settings are about tunes in ABC, and the model does not write such tunes."""
        flags = [*settings.of_a_tune, *(["--max-copy-notes"] if settings.max_copy_notes else [])]
        tokenizer = self._bundle.text.tokenizer
        if flags and tokenizer != "abc":
            what = tokenizer if tokenizer in OF_MUSIC else "text"
            raise SettingError(
                f"{flags[0]} is for models of tunes in ABC, and this model writes {what} (--tokenizer "
                f"{tokenizer}): leave it out."
            )

    def pieces(self, tokens: Sequence[str], settings: GenerationSettings, back: Interval | None) -> Sequence[str]:
        """Return the characters that each token adds to the text; those of a tune in the key that the settings name.

        `back` is that of the prompt (see `Seed`).
        """
        decoder = self.codec.decoder()
        pieces = [decoder.say_token(each) for each in tokens]
        task = self._task(settings, back)
        return pieces if task is None else task.pieces(pieces)

    def go_on(
        self, ids: Sequence[int], settings: GenerationSettings, between: Callable[[], None], prompt: Seed
    ) -> Generator[WrittenToken, None, tuple[Ended, int]]:
        """Do what `TrainedModel.go_on` does."""
        settings = replace(completed(settings), count=1)
        seed = self._so_far(ids, settings, prompt)
        task = self._task(settings, seed.back)
        if task is not None and task.whole:
            ((_, written),) = self.write([seed], settings, between=between)
            builder = written.builder
            whole = zip(builder.ids, builder.tokens, written.pieces, builder.log_probabilities, strict=True)
            yield from map(WrittenToken._make, whole)
            return builder.ended or "length", written.draws
        blank = builder = self._builder(seed, settings=settings)
        told = 0
        for builder in self._as_it_grows(blank, settings, between):
            while told < builder.settled:
                token, piece = builder.tokens[told], builder.pieces[told]
                yield WrittenToken(builder.ids[told], token, piece, builder.log_probabilities[told])
                told += 1
        return builder.ended or "length", 1

    def _so_far(self, ids: Sequence[int], settings: GenerationSettings, prompt: Seed) -> Seed:
        """Return a prompt together with the tokens after it."""
        shown = prompt.shown
        if shown is not None and len(ids) > len(prompt.ids):
            tokens = [self._bundle.vocabulary.tokens[each] for each in ids]
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
        self,
        seeds: Sequence[Seed],
        settings: GenerationSettings,
        progress: Progress = lambda done, tokens: None,
        between: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[Seed, Drawn]]:
        """Yield the finished texts, each with its prompt. Batches of _SIDE_BY_SIDE texts are written together.

        The settings must be completed (see `completed`). `progress` is that of `TrainedModel.write`. `between` is
        called before or after each token.
        """
        if settings.mode == "beam":
            for seed in seeds:
                yield from self._found(seed, settings, between)
            return
        jobs = [(seed, number) for seed in seeds for number in range(settings.count)]
        done, most = 0, len(jobs) * settings.length
        for first in range(0, len(jobs), _SIDE_BY_SIDE):
            part = jobs[first : first + _SIDE_BY_SIDE]

            def tell(written: int, before: int = done) -> None:
                progress(before + written, most)

            for seed, drawn in self._drawn_together(part, settings, tell, between):
                done += drawn.builder.chosen
                yield seed, drawn

    def _found(
        self, seed: Seed, settings: GenerationSettings, between: Callable[[], None]
    ) -> Iterator[tuple[Seed, Drawn]]:
        """Yield the texts that beam search finds for a prompt."""
        found = self._searched(self._builder(seed, settings=settings), settings, between)
        for number, builder in enumerate(found):
            builder.number = number
        return self._finished([seed] * len(found), settings, lambda places, draw: found)

    def _drawn_together(
        self,
        jobs: Sequence[tuple[Seed, int]],
        settings: GenerationSettings,
        tell: Callable[[int], None],
        between: Callable[[], None],
    ) -> Iterator[tuple[Seed, Drawn]]:
        """Yield the texts with these prompts and numbers. `tell` receives the tokens written in the first draw."""

        def write(places: Sequence[int], draw: int) -> list[TextBuilder]:
            builders = [self._builder(*jobs[place], settings=settings) for place in places]
            for _ in self._written(builders, settings, draw):
                between()
                if not draw:
                    tell(sum(each.chosen for each in builders))
            return builders

        return self._finished([seed for seed, _ in jobs], settings, write)

    def _finished(
        self, seeds: Sequence[Seed], settings: GenerationSettings, write: "Write"
    ) -> Iterator[tuple[Seed, Drawn]]:
        """Write one text for each prompt, and again if a tune must be valid. Yield the texts in their order."""
        tasks = [self._task(settings, seed.back) for seed in seeds]
        if all(task is None for task in tasks):
            return zip(
                seeds, (Drawn(builder, builder.pieces, 1) for builder in write(range(len(seeds)), 0)), strict=True
            )
        from wordgen.generation.tunes import drawn

        shown = [seed.shown for seed in seeds]
        return zip(seeds, drawn(list(zip(tasks, shown, strict=True)), settings, write), strict=True)

    def _builder(self, seed: Seed, number: int = 0, *, settings: GenerationSettings) -> TextBuilder:
        filler = None if settings.allow_unknown else self.filler
        return TextBuilder(seed.ids, settings, self.codec, filler, number)

    def _written(self, builders: Sequence[TextBuilder], settings: GenerationSettings, draw: int = 0) -> Iterator[None]:
        """Do what `write_to_the_end` does. Each `draw` has its own random numbers."""
        dice = None
        if settings.mode == "sample":
            assert settings.random_seed is not None
            seeds = [settings.random_seed + builder.number for builder in builders]
            dice = [np.random.default_rng([seed, draw, _REDRAWN] if draw else seed) for seed in seeds]
        bans, shapes = self._changes(settings)
        mix = self.mix(settings.mix)
        return write_to_the_end(self.network, builders, dice, bans, shapes, starts=self.starts, mix=mix)

    def _searched(
        self, blank: TextBuilder, settings: GenerationSettings, between: Callable[[], None]
    ) -> list[TextBuilder]:
        bans, _ = self._changes(settings)
        mix = self.mix(settings.mix)
        return search(self.network, blank, settings, bans, starts=self.starts, mix=mix, between=between)

    def _changes(self, settings: GenerationSettings) -> tuple[list[ProbabilityChange], list[ProbabilityChange]]:
        task = self._task(settings)
        followers = self._copy_index().followers if settings.max_copy else None
        bans, shapes = probability_changes(settings, self.kinds, followers)
        if task is not None and task.ban is not None:
            bans.append(task.ban)
        if settings.max_copy_notes:
            bans.append(self._copies_of_notes(settings.max_copy_notes).change)
        return bans, shapes

    def _task(self, settings: GenerationSettings, back: Interval | None = None) -> "TuneTask | None":
        """Return what a tune must be; None for a text that is not transposed and of which no tune is asked."""
        self.check_tunes(settings)
        if back is None and not settings.of_a_tune:
            return None
        from wordgen.generation.tunes import task_of

        return task_of(settings, self._bundle.vocabulary, back)

    def _copies_of_notes(self, notes: int) -> "NoteCopies":
        from wordgen.generation.tunes import NoteCopies

        if notes not in self._note_copies:
            self._note_copies[notes] = NoteCopies(self._copy_index().ids, self._bundle.vocabulary, notes)
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
