"""What the playground answers: a model's words, one by one, as plain values that become JSON."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain, islice
from math import log, log2
from typing import TypeVar

from wordgen.errors import SettingError
from wordgen.generation.scoring import perplexity
from wordgen.generation.settings import GenerationSettings, with_random_seed
from wordgen.generation.texts import WrittenSymbol
from wordgen.generation.trained import TrainedModel
from wordgen.text.escapes import END_TOKEN, UNKNOWN_TOKEN
from wordgen.text.spelling import byte_of
from wordgen.text.vocabulary import START, UNKNOWN
from wordgen.web.asked import NextWordsAsked, ScoreAsked, TextAsked
from wordgen.web.shelf import Shelf
from wordgen.web.turns import Check, Event, TimeUpError

Each = TypeVar("Each")

_EXAMPLES = 5
_SYMBOLS_OF_AN_EXAMPLE = 3
_LETTERS_OF_AN_EXAMPLE = 12
_LONGEST_SHOWN = 60


def text(shelf: Shelf, asked: TextAsked, check: Check) -> Iterator[Event]:
    """A text as it is written: how it begins, each word, what of it stands in the training text, how it ended."""
    check()
    name, model = shelf.find(asked.model)
    settings = with_random_seed(asked.settings)
    if settings.max_copy:
        _ = model.copy_index  # if it is missing, say so before anything is written
    seed = model.read_seed(asked.seed)
    ids = [*seed.ids, *_ids(model, asked.symbols)]
    before = [*(model.vocabulary.symbols[each] for each in seed.ids), *asked.symbols]
    yield {
        "event": "begin",
        "model": name,
        "random_seed": settings.random_seed,
        "seed_words": _seed_words(model, seed.ids),
        "unknown": [asdict(each) for each in seed.unknown],
        "cut": seed.cut,
    }
    began = time.monotonic()
    writing = _Writing(model, ids, settings, check)
    yield from writing.words()
    yield {"event": "copies", "copies": _copies(model, [*before, *(each.symbol for each in writing.symbols)])}
    yield {
        "event": "end",
        "ended": writing.ended,
        "symbols": len(writing.symbols),
        "perplexity": round(perplexity([each.log_probability for each in writing.symbols]), 3),
        "seconds": round(time.monotonic() - began, 3),
    }


def whole_text(events: Sequence[Event]) -> Event:
    """All that is told of a text, as one value."""
    told = {event["event"]: event for event in events if event["event"] != "word"}
    words = [_without_name(event) for event in events if event["event"] == "word"]
    begin = _without_name(told["begin"])
    text = "".join(each["piece"] for each in (*begin["seed_words"], *words))
    copies = told["copies"]["copies"]
    return {**begin, "text": text, "words": words, "copies": copies, **_without_name(told["end"])}


def next_words(shelf: Shelf, asked: NextWordsAsked, check: Check) -> Iterator[Event]:
    """What could follow on a text, the likeliest first, by the odds that the network itself gives it."""
    check()
    name, model = shelf.find(asked.model)
    ids = [*model.read_seed(asked.seed).ids, *_ids(model, asked.symbols)]
    words = [
        {
            "word": each.word,
            "piece": "" if each.symbol == END_TOKEN else each.piece,
            "symbols": [each.symbol],
            "probability": each.probability,
            "bits": round(-log2(max(each.probability, 1e-300)), 3),
        }
        for each in model.next_after(ids, asked.number)
    ]
    yield {"model": name, "words": words}


def score(shelf: Shelf, asked: ScoreAsked, check: Check) -> Iterator[Event]:
    """How likely each word of a text is, and each sentence."""
    check()
    name, model = shelf.find(asked.model)
    scored = model.score(asked.text, lambda done, symbols: check())
    if not scored.symbols:
        raise SettingError("text holds nothing to score: give some words.")
    words = [
        {"piece": each.piece, "symbol": each.symbol, "bits": round(each.surprisal, 3), "known": each.known}
        for each in scored.symbols
    ]
    sentences = [{"text": each.text, "perplexity": round(each.perplexity, 3)} for each in scored.sentences]
    yield {"model": name, "words": words, "sentences": sentences, "perplexity": round(scored.perplexity, 3)}


def about_model(shelf: Shelf, name: str, check: Check) -> Iterator[Event]:
    """What one may want to know of a model before it writes."""
    check()
    name, model = shelf.find(name)
    yield {
        "name": name,
        "corpus": model.corpus,
        "symbols": len(model.vocabulary),
        "knows_copies": model.has_copy_index,
        "examples": _examples(model),
    }


def _examples(model: TrainedModel) -> list[str]:
    """Beginnings to try, always the same: what the model itself begins with and can read again, else common words."""
    ordinary = model.vocabulary.symbols[model.vocabulary.special :]
    words = any(len(symbol) > 1 for symbol in ordinary)
    length = _SYMBOLS_OF_AN_EXAMPLE if words else _LETTERS_OF_AN_EXAMPLE
    settings = GenerationSettings(count=4 * _EXAMPLES, length=length, stop="line", at_least=2, random_seed=1)
    written = (text.text.strip() for text in model.generate_with("", settings))
    good = (each for each in written if each[:1].isalnum() and not model.read_seed(each).unknown)
    common = (symbol for symbol in ordinary if symbol.isalpha() and symbol.istitle() and len(symbol) > 1)
    return list(islice(dict.fromkeys(chain(good, common)), _EXAMPLES))


class _Writing:
    """A text that grows, and what is to be told of it in the end."""

    def __init__(self, model: TrainedModel, ids: Sequence[int], settings: GenerationSettings, check: Check) -> None:
        self.symbols: list[WrittenSymbol] = []
        self.ended = "time"
        self._model = model
        self._growing = model.go_on(ids, settings, between=check)

    def words(self) -> Iterator[Event]:
        for word in _whole_words(self._each_symbol(), lambda each: each.symbol):
            bits = -sum(each.log_probability for each in word) / log(2)
            piece = "".join(each.piece for each in word)
            symbols = [each.symbol for each in word]
            put_in = any(self._model.stands_for_unknown(each) for each in symbols)
            yield {"event": "word", "piece": piece, "symbols": symbols, "bits": round(bits, 3), "put_in": put_in}

    def _each_symbol(self) -> Iterator[WrittenSymbol]:
        """Where the time is up, what stands by then is the text; where nothing does, that is said instead."""
        try:
            while True:
                written = next(self._growing)
                self.symbols.append(written)
                yield written
        except StopIteration as end:
            self.ended = end.value
        except TimeUpError:
            if not self.symbols:
                raise


def _whole_words(symbols: Iterable[Each], name: Callable[[Each], str]) -> Iterator[list[Each]]:
    """The bytes of a word that is spelled out, with the mark behind them, are one word."""
    word: list[Each] = []
    for each in symbols:
        word.append(each)
        if byte_of(name(each)) is None:
            yield word
            word = []
    if word:
        yield word


def _seed_words(model: TrainedModel, ids: Sequence[int]) -> list[Event]:
    spoken = zip(ids, model.pieces(ids), strict=True)
    words = _whole_words(spoken, lambda each: model.vocabulary.symbols[each[0]])
    return [
        {"piece": "".join(piece for _, piece in word), "symbols": [model.vocabulary.symbols[each] for each, _ in word]}
        for word in words
    ]


def _ids(model: TrainedModel, symbols: Sequence[str]) -> list[int]:
    """Of symbols that the model's own answers named."""
    ids = [model.vocabulary.id_of(symbol) for symbol in symbols]
    for symbol, number in zip(symbols, ids, strict=True):
        if number in (UNKNOWN, START) and symbol != UNKNOWN_TOKEN and not model.stands_for_unknown(symbol):
            raise SettingError(f"'{symbol[:_LONGEST_SHOWN]}' is no symbol of this model: put words into seed instead.")
    return ids


def _copies(model: TrainedModel, symbols: Sequence[str]) -> list[Event] | None:
    """What stands word for word in the training text, where that is known; `start` counts from the seed on."""
    if not model.has_copy_index:
        return None
    kept = ("start", "symbols", "text", "file", "line")
    return [{name: getattr(each, name) for name in kept} for each in model.copies_in(symbols)]


def _without_name(event: Event) -> Event:
    return {name: value for name, value in event.items() if name != "event"}
