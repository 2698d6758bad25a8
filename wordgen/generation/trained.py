"""A trained model, ready to write: what `wordgen.load` gives."""

from collections.abc import Callable, Generator, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np

from wordgen.architecture import shown_layers
from wordgen.bundle import Bundle, fingerprint
from wordgen.corpora.layout import Layout, otherwise_in_words
from wordgen.errors import SettingError
from wordgen.generation.beams import search
from wordgen.generation.choosing import SymbolKinds, odds_changes
from wordgen.generation.copies import COPY_INDEX, FEWEST_SYMBOLS, Copy, CopyIndex, Run
from wordgen.generation.decoding import Reader, Writer
from wordgen.generation.drafts import Draft, Ended, write_to_the_end
from wordgen.generation.filling import Filler, chooser
from wordgen.generation.manuscript import Manuscript
from wordgen.generation.odds import NO_SYMBOL, OddsChange
from wordgen.generation.reading import WARM_UP, Seed, TextReader
from wordgen.generation.scoring import Progress, Score, score
from wordgen.generation.settings import GenerationSettings, with_random_seed
from wordgen.generation.spelled import SpellingIds
from wordgen.generation.step import NumpyNetwork
from wordgen.generation.texts import NextWord, Text, WrittenSymbol
from wordgen.settings import speaking_python
from wordgen.text.codec import Codec, Speaker
from wordgen.text.escapes import END_TOKEN, OTHER_FORM
from wordgen.text.lines import LINE_BREAK
from wordgen.text.vocabulary import END, START, UNKNOWN

_SIDE_BY_SIDE = 256


class TrainedModel:
    """Writes text. Needs NumPy alone: no TensorFlow is imported."""

    def __init__(self, bundle: Bundle, folder: Path | None = None) -> None:
        """Of a bundle, and the folder that it lies in, where a copy index may lie beside it."""
        self.architecture = bundle.architecture
        self.vocabulary = bundle.vocabulary
        self.corpus = bundle.text.corpus
        self.folder = folder
        self._bundle = bundle
        self._codec = bundle.codec
        self._network = NumpyNetwork(bundle.architecture, bundle.weights)
        self._reader = TextReader(self._codec, bundle.text)
        # A corpus that brings its own <eos> was never enclosed by START.
        self._starts = bundle.text.starts

    def __repr__(self) -> str:
        where = "" if self.folder is None else f" in {self.folder}"
        shape = f"{shown_layers(self.architecture)}, {len(self.vocabulary):,} symbols"
        return f"<TrainedModel of {self.corpus}{where}: {shape}>"

    @cached_property
    def fingerprint(self) -> str:
        """The same for the same model: of its config, vocabulary and weights."""
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
        allow_unknown: bool = False,
        random_seed: int | None = None,
        # their end
    ) -> list[Text]:
        """Write texts that go on from the seed: `model.generate("Aragorn", temperature=0.8, count=3)`.

        Settings:
            mode: sample draws each word by its odds and is lively; greedy takes the likeliest and soon repeats;
                beam looks for the likeliest text as a whole (default: sample)
            length: the most symbols (words and punctuation) to write (default: 50)
            count: how many texts to write from the same seed (default: 1)
            stop: where a text ends before length: at the end of a paragraph or whatever the corpus is made of
                (end), of a sentence, or of a line; none writes on (default: none)
            at_least: how many symbols to write before stop counts (default: 1)
            until: end the text where it has written this (by default nothing)
            temperature: 1 draws by the model's own odds, less is plainer, more is wilder; for 0 use mode greedy
                (default: 0.7)
            top_k: draw from so many of the likeliest only; 0 from all (default: 0)
            top_p: draw from the fewest of the likeliest that together have these odds; 1 from all (default: 1.0)
            min_p: leave out what is less likely than this share of the likeliest; 0 nothing (default: 0.0)
            repetition_penalty: make words less likely that stood among the last 64 symbols; 1 does nothing, 1.2 is
                felt (default: 1.0)
            no_repeat_ngram: never write the same so many symbols in a row twice in a text; 0 allows it (default: 0)
            max_copy: never write more symbols in a row than so many that stand so in the training text; 0 allows it
                (default: 0)
            beams: how many texts mode beam keeps an eye on (default: 5)
            length_penalty: what beam compares is the log odds over length to this power: 0 likes short texts, 1 is
                fair (default: 0.0)
            allow_unknown: show UNKNOWN_TOKEN where the model writes it, instead of a rare word that fits there
                (default: False)
            random_seed: a number that makes the same text come again; by default a new one is drawn
        """
        given = {name: value for name, value in locals().items() if name not in ("self", "seed")}
        with speaking_python():
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
        allow_unknown: bool = False,
        random_seed: int | None = None,
        # their end
    ) -> Iterator[str]:
        """Write one text piece by piece, the seed first: `for piece in model.stream("Aragorn"): ...`.

        The settings are those of `generate`.
        """
        given = {name: value for name, value in locals().items() if name not in ("self", "seed")}
        with speaking_python():
            return self.stream_with(seed, GenerationSettings(**given))

    def generate_with(self, seed: str, settings: GenerationSettings) -> list[Text]:
        """The same with a group of settings."""
        return list(self.write([seed], settings))

    def stream_with(self, seed: str, settings: GenerationSettings) -> Iterator[str]:
        """The same with a group of settings."""
        self._changes(settings)  # what cannot be done is said before the first piece
        ids = self.read_seed(seed).ids
        return chain(self._codec.pieces(ids), (each.piece for each in self.go_on(ids, settings)))

    def go_on(
        self, ids: Sequence[int], settings: GenerationSettings, between: Callable[[], None] = lambda: None
    ) -> Generator[WrittenSymbol, None, Ended]:
        """Write one text that goes on from some symbols: each new one once it is sure, and in the end why it ended.

        `between` is called before each symbol, sure or not; what it raises stops the writing.
        """
        settings = replace(with_random_seed(settings), count=1)
        blank = draft = self._draft(ids[-WARM_UP:], settings)
        told = 0
        for draft in self._as_it_grows(blank, settings, between):
            while told < draft.settled:
                symbol, piece = draft.symbols[told], draft.pieces[told]
                yield WrittenSymbol(draft.ids[told], symbol, piece, draft.log_probabilities[told])
                told += 1
        return draft.ended or "length"

    def _as_it_grows(self, draft: Draft, settings: GenerationSettings, between: Callable[[], None]) -> Iterator[Draft]:
        """The draft, after each symbol; of a beam search the best, for nothing is sure before the search is over."""
        if settings.mode == "beam":
            yield from self._searched(draft, settings, between)
            return
        between()
        for _ in self._written([draft], [0], settings):
            yield draft
            between()

    def write(
        self,
        seeds: Sequence[str],
        settings: GenerationSettings,
        progress: Progress = lambda done, symbols: None,
    ) -> Iterator[Text]:
        """Write `count` texts for each seed, some side by side, and hand them out as they are done.

        `progress` is told how many symbols are written, and how many there can be at the most; a beam search tells it
        nothing.
        """
        settings = with_random_seed(settings)
        assert settings.random_seed is not None
        read = [self.read_seed(seed) for seed in seeds]
        for seed, number, draft in self._drafts(read, settings, progress):
            yield Text(
                seed=seed.given,
                text=draft.text,
                symbols=tuple(draft.symbols),
                put_in=tuple(draft.put_in),
                log_probabilities=tuple(draft.log_probabilities),
                ended=draft.ended or "length",
                unknown=seed.unknown,
                settings=settings,
                random_seed=settings.random_seed + number,
                number=number,
            )

    def read_seed(self, seed: str) -> Seed:
        """What a text would begin with: the ids of the words that the model knows, and the words that it does not."""
        return self._reader.seed(seed)

    def manuscript(self, beginning: str = "") -> Manuscript:
        """A text to write in turns with the model."""
        return Manuscript(self, self._codec, self._reader, beginning)

    def copies(self, text: Text) -> tuple[Copy, ...]:
        """The runs of five symbols or more, the seed's included, that stand so in the training text."""
        seed = [self.vocabulary.symbols[each] for each in self.read_seed(text.seed).ids]
        return self.copies_in([*seed, *text.symbols], len(text.text))

    def copies_in(self, symbols: Sequence[str], characters: int | None = None) -> tuple[Copy, ...]:
        """The same of symbols; of the text that they make, so many characters are shown.

        A word that was put in for UNKNOWN is part of a copy if it stood between the same neighbours.
        """
        ids = [self.vocabulary.id_of(symbol) for symbol in symbols]
        put_in = {place for place, symbol in enumerate(symbols) if self.stands_for_unknown(symbol)}
        new = [place for place in put_in if not self._stood(ids, place, symbols[place])]
        speaker = self._codec.speaker()
        pieces = [speaker.say_symbol(each) for each in symbols]
        text = "".join(pieces)[:characters]
        ends = np.cumsum([0, *map(len, pieces)])
        found: list[Copy] = []
        for run in self._whole_words(ids, self.copy_index.runs(ids, new)):
            begin, end = int(ends[run.start]), min(int(ends[run.start + run.symbols]), len(text))
            begin += len(text[begin:end]) - len(text[begin:end].lstrip())
            found.append(Copy(run.start, run.symbols, begin, end, text[begin:end], run.file, run.line))
        return tuple(found)

    def _stood(self, ids: Sequence[int], place: int, symbol: str) -> bool:
        inside = 0 < place < len(ids) - 1
        return inside and self._filler is not None and self._filler.stood(ids[place - 1], symbol, ids[place + 1])

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """What each symbol adds to the text."""
        speaker = self._codec.speaker()
        return [speaker.say(each) for each in ids]

    def _whole_words(self, ids: Sequence[int], runs: Sequence[Run]) -> Iterator[Run]:
        """The runs without half a spelled word at either end; those that are long only as such words count as one."""
        letters = {} if self._kinds.spelling is None else self._kinds.spelling.values
        for run in runs:
            begin, end = run.start, run.start + run.symbols
            if begin and ids[begin - 1] in letters:
                begin += 1 + next((n for n, each in enumerate(ids[begin:end]) if each not in letters), end - begin)
            while end > begin and ids[end - 1] in letters:
                end -= 1
            if sum(each not in letters for each in ids[begin:end]) >= FEWEST_SYMBOLS:
                yield replace(run, start=begin, symbols=end - begin)

    @property
    def has_copy_index(self) -> bool:
        return self.folder is not None and (self.folder / COPY_INDEX).is_dir()

    @cached_property
    def copy_index(self) -> CopyIndex:
        """The training text beside the model."""
        if self.folder is None or not self.has_copy_index:
            raise SettingError(
                "This model has no copy index beside it, so copies cannot be seen: it was trained with "
                "--no-copy-index, or copied without that folder."
            )
        return CopyIndex(self.folder / COPY_INDEX, self.vocabulary)

    def reads_otherwise(self, laid_out: Layout) -> tuple[str, ...]:
        """A sentence where a text that is laid out so is read otherwise than what the model learned."""
        return otherwise_in_words([self._reader.layout_for(laid_out)], self._reader.learned)

    def score(
        self, text: str, progress: Progress = lambda done, symbols: None, *, laid_out: Layout | None = None
    ) -> Score:
        """How likely each word of a text is, sentence by sentence; `progress` is told how far it is.

        The text is read as what the model learned was; prose of a file that is `laid_out` otherwise, as it is.
        """
        symbols = self._reader.symbols(text.strip(), laid_out)
        return score(self._network, symbols, self._codec, starts=self._starts, progress=progress)

    def next_words(self, text: str, count: int = 5) -> tuple[NextWord, ...]:
        """What could follow on a text, the likeliest first, with the odds that the network itself gives it."""
        return self.next_after(self.read_seed(text).ids, count)

    def next_after(self, ids: Sequence[int], count: int) -> tuple[NextWord, ...]:
        """The same after symbols."""
        recent = ids[-WARM_UP:]
        reader = Reader(self._network, [recent], starts=self._starts)
        odds = reader.log_odds()[0]
        filler = None if recent and recent[-1] == UNKNOWN else self._filler
        likeliest = chooser(GenerationSettings(mode="greedy"), 0, 0)
        put_in = filler.word(recent, filler.expected(odds), likeliest) if filler else None
        odds[[UNKNOWN, START] if put_in is None else [START]] = -np.inf
        if self._kinds.spelling is not None:  # a byte alone is nothing to choose
            odds[self._kinds.spelling.all] = -np.inf
        if OTHER_FORM in self.vocabulary:  # nor is a mark
            odds[self.vocabulary.id_of(OTHER_FORM)] = -np.inf
        best = np.argsort(-odds, kind="stable")[: max(0, min(count, int(np.isfinite(odds).sum())))]
        speaker = self._codec.speaker()
        for each in recent:
            speaker.say(each)
        symbols = [put_in if i == UNKNOWN and put_in else self.vocabulary.symbols[i] for i in best.tolist()]
        chosen = zip(symbols, np.exp(odds[best]).tolist(), strict=True)
        return tuple(self._next_word(symbol, speaker, probability) for symbol, probability in chosen)

    def _next_word(self, symbol: str, speaker: Speaker, probability: float) -> NextWord:
        piece = self._codec.separator if symbol == END_TOKEN else copy(speaker).say_symbol(symbol)
        word = "(end)" if symbol == END_TOKEN else piece.replace(LINE_BREAK, "(line break)").strip() or "(space)"
        return NextWord(word, piece, symbol, probability)

    def _drafts(
        self, seeds: Sequence[Seed], settings: GenerationSettings, progress: Progress
    ) -> Iterator[tuple[Seed, int, Draft]]:
        """The finished drafts of each seed in turn, numbered."""
        if settings.mode == "beam":
            for seed in seeds:
                for number, draft in enumerate(self._searched(self._draft(seed.ids, settings), settings)):
                    yield seed, number, draft
            return
        jobs = [(seed, number) for seed in seeds for number in range(settings.count)]
        done = 0
        for first in range(0, len(jobs), _SIDE_BY_SIDE):
            part = jobs[first : first + _SIDE_BY_SIDE]
            drafts = [self._draft(seed.ids, settings, number) for seed, number in part]
            for _ in self._written(drafts, [number for _, number in part], settings):
                progress(done + sum(draft.chosen for draft in drafts), len(jobs) * settings.length)
            done += sum(draft.chosen for draft in drafts)
            for (seed, number), draft in zip(part, drafts, strict=True):
                yield seed, number, draft

    def _draft(self, ids: Sequence[int], settings: GenerationSettings, number: int = 0) -> Draft:
        return Draft(tuple(ids), settings, self._codec, None if settings.allow_unknown else self._filler, number)

    @cached_property
    def _filler(self) -> Filler | None:
        """What puts words in for UNKNOWN, if those of the training text are there."""
        unknown = self._bundle.unknown_words
        return Filler(unknown, self.vocabulary) if unknown else None

    def stands_for_unknown(self, symbol: str) -> bool:
        """Whether this is a word that the model puts in for UNKNOWN."""
        return self._filler is not None and symbol in self._filler

    def _written(self, drafts: Sequence[Draft], numbers: Sequence[int], settings: GenerationSettings) -> Iterator[None]:
        """Write on in all drafts, symbol by symbol, until each has ended."""
        dice = None
        if settings.mode == "sample":
            assert settings.random_seed is not None
            dice = [np.random.default_rng(settings.random_seed + number) for number in numbers]
        bans, shapes = self._changes(settings)
        writer = Writer(self._network, [draft.seed for draft in drafts], dice, bans, shapes, starts=self._starts)
        return write_to_the_end(drafts, writer)

    def _searched(
        self, blank: Draft, settings: GenerationSettings, between: Callable[[], None] = lambda: None
    ) -> list[Draft]:
        bans, _ = self._changes(settings)
        return search(self._network, blank, settings, bans, starts=self._starts, between=between)

    def _changes(self, settings: GenerationSettings) -> tuple[list[OddsChange], list[OddsChange]]:
        followers = self.copy_index.followers if settings.max_copy else None
        return odds_changes(settings, self._kinds, followers)

    @cached_property
    def _kinds(self) -> SymbolKinds:
        symbols = self.vocabulary.symbols
        words = np.array([any(map(str.isalnum, symbol)) for symbol in symbols])
        words[[UNKNOWN, START, END]] = False
        spelling = SpellingIds(self.vocabulary) if self.vocabulary.spells else None
        if spelling is not None:
            words[spelling.all] = False
        line_break = self.vocabulary.id_of(LINE_BREAK)
        config = self._bundle.text
        empty_units = (config.unit, config.line_breaks) == ("line", "kept") or not config.starts
        line_break = NO_SYMBOL if line_break == UNKNOWN else line_break
        return SymbolKinds(words, line_break, empty_units, spelling, fills=self._filler is not None)


def word_to_try(codec: Codec) -> str | None:
    """A word that is good to begin with: the commonest name, or else the commonest longer word, if there is any."""
    vocabulary = codec.vocabulary
    words = [symbol for symbol in vocabulary.symbols[3:] if symbol.isalpha()]
    names = (word for word in words if len(word) > 3 and word.istitle() and word.lower() not in vocabulary)
    longer = (word for word in words if len(word) > 1)
    candidates = chain(names, longer, words)
    return next((word for word in candidates if codec.tokenizer.tokenize(word) == [word]), None)
