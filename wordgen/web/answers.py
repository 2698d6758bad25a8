"""The answers of the API: the models by their names, and what they answer, as events that become JSON."""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import wait
from dataclasses import asdict, replace
from itertools import chain, islice
from math import log, log2
from pathlib import Path
from typing import Any, TypeVar

from wordgen.errors import BundleError, CorpusError, SettingError, WordgenError
from wordgen.generation.prompt import Seed
from wordgen.generation.settings import GenerationSettings, with_random_seed
from wordgen.generation.texts import Ended, NextWord, WrittenToken, perplexity
from wordgen.generation.trained import TrainedModel
from wordgen.model.architecture import shown_layers
from wordgen.model.bundle import is_bundle, load_bundle, read_config
from wordgen.run.commands import first_training
from wordgen.run.folder import find_model, saved_at, trained_models
from wordgen.run.names import models_folder, name_of, use_models_folder
from wordgen.text.tokenizers import MUSIC_TOKENIZERS
from wordgen.text.vocabulary import END_TOKEN, START, UNKNOWN, UNKNOWN_TOKEN, byte_of
from wordgen.web.limits import MAX_LOADED_MODELS, SECONDS_TO_RETRY_AFTER, RefusedError, TimeLimitError
from wordgen.web.requests import MusicRequest, NextWordsRequest, ScoreRequest, TextRequest

Each = TypeVar("Each")
Event = dict[str, Any]
Check = Callable[[], None]
"""A function that is called between two tokens. It raises an exception when the work must stop."""

_EXAMPLES = 5
_TOKENS_OF_AN_EXAMPLE = 3
_LETTERS_OF_AN_EXAMPLE = 12
_MAX_NAME_CHARACTERS = 100
_MAX_TOKEN_CHARACTERS = 60
_SECONDS_BETWEEN_CHECKS = 0.1


class ModelStore:
    """Finds models by name, from any thread, and keeps the last few in memory while their weights do not change."""

    def __init__(self, models: Sequence[str]) -> None:
        """Offer the given models (names of runs, or folders of models).

        If `models` is empty, offer all models in saved_models, also those that are trained later. Raises BundleError if
        a model does not exist, and SettingError if two models have the same name.
        """
        self._runs = models_folder()
        self._given = _by_name([find_model(each) for each in models])
        self._loaded: dict[Path, tuple[float, TrainedModel]] = {}
        """The models in memory by their folders, the last used one last, each with the time of its weights file."""
        self._lock = threading.Lock()
        """Held while `_loaded` or `_loading` is changed, never while a model is loaded."""
        self._loading: dict[Path, threading.Lock] = {}
        """For each folder, the lock of the thread that loads its model. Other models need not wait for it."""

    def folders(self) -> dict[str, Path]:
        """Return the folder of each model by the name of the model, the newest first."""
        with use_models_folder(self._runs):  # this thread does not know the folder that another one has chosen
            found = self._given or {name_of(folder): folder for folder in trained_models()}
        return dict(sorted(found.items(), key=lambda pair: -saved_at(pair[1])))

    def list(self) -> list[dict[str, str | None]]:
        return [{"name": name, **_describe(folder)} for name, folder in self.folders().items()]

    def find(self, name: str | None) -> tuple[str, TrainedModel]:
        """Return a model and its name. `name` must be a full name as in `list`; None means the newest model.

        Raises RefusedError (404) if there is no such model, and BundleError if it is damaged.
        """
        folders = self.folders()
        if not folders:
            with use_models_folder(self._runs):
                advice = f"There is no trained model in {self._runs} yet. Train one first: {first_training()}"
            raise RefusedError(404, advice)
        name = next(iter(folders)) if name is None else name
        if name not in folders:
            raise RefusedError(
                404, f"There is no model '{name[:_MAX_NAME_CHARACTERS]}'. There are: {', '.join(folders)}."
            )
        try:
            return name, self._read(folders[name])
        except BundleError:
            if is_bundle(folders[name]):
                raise
            raise RefusedError(404, f"The model '{name}' is not there any more.") from None

    def _read(self, folder: Path) -> TrainedModel:
        with self._lock:
            loading = self._loading.setdefault(folder, threading.Lock())
        with loading:  # if two threads need the same model, only one loads it
            saved = saved_at(folder)
            with self._lock:
                saved_before, model = self._loaded.pop(folder, (saved, None))
            if model is None or saved_before != saved:
                model = None  # so that the old weights are not in memory while the new ones are read
                model = TrainedModel(load_bundle(folder), folder)
            with self._lock:
                self._loaded[folder] = saved, model
                if len(self._loaded) > MAX_LOADED_MODELS:
                    del self._loaded[next(iter(self._loaded))]
            return model


def _by_name(folders: Sequence[Path]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for folder in folders:
        name = folder.resolve().name
        if named.setdefault(name, folder).resolve() != folder.resolve():
            raise SettingError(f"Two models have the name {name}: leave one out, or rename its folder.")
    return named


def _describe(folder: Path) -> dict[str, str | None]:
    """Describe a model without reading its weights. `problem` says why its configuration cannot be read, or is None."""
    try:
        architecture, text = read_config(folder)
    except WordgenError as error:
        return {"corpus": None, "network": None, "problem": str(error)}
    network = f"{shown_layers(architecture)}, {architecture.vocabulary_size:,} tokens"
    return {"corpus": text.corpus, "network": network, "problem": None}


def text(store: ModelStore, request: TextRequest, check: Check) -> Iterator[Event]:
    """Write a text and yield its events while it grows.

    The events are `begin`, a `word` for each word, `copies` (the matches with the training text) and `end`. Before
    them, `wait` says what must be done first.
    """
    check()
    name, model = store.find(request.model)
    settings = with_random_seed(request.settings)
    seed = model.read_seed(request.seed, settings)
    ids = [*seed.ids, *_ids(model, request.tokens)]
    model.check(settings)  # raises before anything is written
    yield from _wait_for_ngrams(model, settings.mix, check)
    before = [*(model.vocabulary.tokens[each] for each in seed.ids), *request.tokens]
    yield {
        "event": "begin",
        "model": name,
        "random_seed": settings.random_seed,
        "seed_words": _seed_words(model, seed, settings),
        "unknown": [asdict(each) for each in seed.unknown],
        "cut": seed.cut,
        "music": model.tokenizer in MUSIC_TOKENIZERS,
    }
    began = time.monotonic()
    growing = _GrowingText(model, model.continue_text(ids, settings, on_token=check, prompt=seed))
    yield from growing.words()
    tokens, pieces = [*before, *(each.token for each in growing.tokens)], None
    if seed.original_key_interval is not None or settings.tune_flags:
        pieces = [*model.pieces(before, settings, seed.original_key_interval), *(each.piece for each in growing.tokens)]
    yield {"event": "copies", "copies": _copies(model, tokens, pieces)}
    yield {
        "event": "end",
        "ended": growing.ended,
        "tokens": len(growing.tokens),
        "draws": growing.draws,
        "perplexity": round(perplexity([each.log_probability for each in growing.tokens]), 3),
        "seconds": round(time.monotonic() - began, 3),
    }


def _wait_for_ngrams(model: TrainedModel, mix: float, check: Check) -> Iterator[Event]:
    """Wait until the n-grams are counted that are mixed in. Yield an event that says so, unless they are counted.

    They are counted once for all requests. Counting goes on if a request does not wait for its end.
    """
    if not mix:
        return
    counting = model.count_ngrams_in_background()
    if not counting.done():
        yield {"event": "wait", "reason": "The n-grams of the training text are counted first, because of mix."}
        while not counting.done():
            try:
                check()
            except TimeLimitError:
                later = f"try again in {SECONDS_TO_RETRY_AFTER} seconds, or without mix"
                sentence = f"The n-grams of the training text are still being counted: {later}."
                raise RefusedError(503, sentence, SECONDS_TO_RETRY_AFTER) from None
            wait([counting], _SECONDS_BETWEEN_CHECKS)
    counting.result()  # raises the error if counting has failed


def whole_text(events: Sequence[Event]) -> Event:
    """Join all events of a text into one mapping."""
    named = [(event["event"], {key: value for key, value in event.items() if key != "event"}) for event in events]
    words = [content for name, content in named if name == "word"]
    by_name = dict(named)
    text = "".join(each["piece"] for each in (*by_name["begin"]["seed_words"], *words))
    return {**by_name["begin"], "text": text, "words": words, **by_name["copies"], **by_name["end"]}


def next_words(store: ModelStore, request: NextWordsRequest, check: Check) -> Iterator[Event]:
    """Yield one event with the words that could come next, the most probable first.

    The probabilities are those of the model itself: settings like the temperature do not change them.
    """
    check()
    name, model = store.find(request.model)
    settings = GenerationSettings(mix=request.mix, key=request.key, metre=request.metre)
    model.check(settings)
    list(_wait_for_ngrams(model, request.mix, check))
    seed = model.read_seed(request.seed, settings)
    ids = [*seed.ids, *_ids(model, request.tokens)]
    found = model.next_words_after_ids(ids, request.number, mix=request.mix)
    if seed.original_key_interval is not None or settings.tune_flags:
        before = [*(model.vocabulary.tokens[each] for each in seed.ids), *request.tokens]
        found = [_in_key_of_tune(each, model, before, settings, seed, check) for each in found]
    words = [
        {
            "word": each.word,
            "piece": "" if each.token == END_TOKEN else each.piece,
            "tokens": [each.token],
            "probability": each.probability,
            "bits": round(-log2(max(each.probability, 1e-300)), 3),
        }
        for each in found
    ]
    yield {"model": name, "words": words}


def _in_key_of_tune(
    word: NextWord, model: TrainedModel, before: Sequence[str], settings: GenerationSettings, seed: Seed, check: Check
) -> NextWord:
    """Return a word in the key in which its tune is shown. `before` has the tokens of the tune up to the word."""
    check()
    piece = model.pieces([*before, word.token], settings, seed.original_key_interval)[-1]
    return word if piece == word.piece or word.token == END_TOKEN else replace(word, word=piece.strip(), piece=piece)


def score(store: ModelStore, request: ScoreRequest, check: Check) -> Iterator[Event]:
    """Yield one event: the bits of each token of a text, and the perplexity of each sentence and of the text."""
    check()
    name, model = store.find(request.model)
    model.check(GenerationSettings(mix=request.mix))
    list(_wait_for_ngrams(model, request.mix, check))
    scored = model.score(request.text, lambda done, tokens: check(), mix=request.mix)
    if not scored.tokens:
        raise SettingError("text has no tokens to score: give at least one word.")
    words = [
        {"piece": each.piece, "token": each.token, "bits": round(each.surprisal, 3), "known": each.known}
        for each in scored.tokens
    ]
    sentences = [{"text": each.text, "perplexity": round(each.perplexity, 3)} for each in scored.sentences]
    yield {"model": name, "words": words, "sentences": sentences, "perplexity": round(scored.perplexity, 3)}


def music(store: ModelStore, request: MusicRequest, check: Check) -> Iterator[Event]:
    """Yield one event: the score of a text of music, and the notes to play. There may be no notes."""
    check()
    name, model = store.find(request.model)
    if model.tokenizer not in MUSIC_TOKENIZERS:
        raise SettingError(f"{name} writes text and no music (--tokenizer {model.tokenizer}): choose another model.")
    from wordgen.report.music import music_in

    try:
        found = music_in(request.text, model.tokenizer)
    except CorpusError as error:
        raise SettingError(str(error)) from None
    yield {"model": name, **asdict(found)}


def about_model(store: ModelStore, name: str, check: Check) -> Iterator[Event]:
    """Yield one event with what users need to know about a model before it writes, and with examples of prompts."""
    check()
    name, model = store.find(name)
    yield {
        "name": name,
        "corpus": model.corpus,
        "tokens": len(model.vocabulary),
        "has_copy_index": model.has_copy_index,
        "writes_tunes": model.tokenizer == "abc",
        "examples": _example_prompts(model),
    }


def _example_prompts(model: TrainedModel) -> list[str]:
    """Return prompts to try: beginnings of texts that the model writes, then common capitalised words."""
    ordinary = model.vocabulary.tokens[model.vocabulary.special_count :]
    words = any(len(token) > 1 for token in ordinary)
    length = _TOKENS_OF_AN_EXAMPLE if words else _LETTERS_OF_AN_EXAMPLE
    settings = GenerationSettings(count=4 * _EXAMPLES, length=length, stop="line", at_least=2, random_seed=1)
    written = (text.text.strip() for text in model.generate_with("", settings))
    good = (each for each in written if each[:1].isalnum() and not model.read_seed(each).unknown)
    common = (token for token in ordinary if token.isalpha() and token.istitle() and len(token) > 1)
    return list(islice(dict.fromkeys(chain(good, common)), _EXAMPLES))


class _GrowingText:
    """A text while it is written: its tokens so far, why it ended, and how many texts were drawn until this one."""

    def __init__(self, model: TrainedModel, token_stream: Generator[WrittenToken, None, tuple[Ended, int]]) -> None:
        self.tokens: list[WrittenToken] = []
        self.ended, self.draws = "time", 1
        self._model = model
        self._token_stream = token_stream

    def words(self) -> Iterator[Event]:
        for word in _group_words(self._each_token(), lambda each: each.token):
            bits = -sum(each.log_probability for each in word) / log(2)
            piece = "".join(each.piece for each in word)
            tokens = [each.token for each in word]
            replaces_unknown = any(self._model.may_replace_unknown(each) for each in tokens)
            yield {
                "event": "word",
                "piece": piece,
                "tokens": tokens,
                "bits": round(bits, 3),
                "replaces_unknown": replaces_unknown,
            }

    def _each_token(self) -> Iterator[WrittenToken]:
        """Yield the tokens until the text ends or the time is up. Raise TimeLimitError if there is no token by then."""
        try:
            while True:
                written = next(self._token_stream)
                self.tokens.append(written)
                yield written
        except StopIteration as end:
            self.ended, self.draws = end.value
        except TimeLimitError:
            if not self.tokens:
                raise


def _group_words(tokens: Iterable[Each], name: Callable[[Each], str]) -> Iterator[list[Each]]:
    """Yield the tokens of each word. The bytes of a spelled-out word and the mark after them form one word."""
    word: list[Each] = []
    for each in tokens:
        word.append(each)
        if byte_of(name(each)) is None:
            yield word
            word = []
    if word:
        yield word


def _seed_words(model: TrainedModel, seed: Seed, settings: GenerationSettings) -> list[Event]:
    tokens = [model.vocabulary.tokens[each] for each in seed.ids]
    pairs = zip(tokens, model.pieces(tokens, settings, seed.original_key_interval), strict=True)
    words = _group_words(pairs, lambda each: each[0])
    return [{"piece": "".join(piece for _, piece in word), "tokens": [token for token, _ in word]} for word in words]


def _ids(model: TrainedModel, tokens: Sequence[str]) -> list[int]:
    """Return the ids of tokens from earlier answers. Raises SettingError if the model does not have a token."""
    ids = [model.vocabulary.id_of(token) for token in tokens]
    for token, number in zip(tokens, ids, strict=True):
        if number in (UNKNOWN, START) and token != UNKNOWN_TOKEN and not model.may_replace_unknown(token):
            raise SettingError(
                f"'{token[:_MAX_TOKEN_CHARACTERS]}' is not a token of this model: put words into seed instead of "
                "tokens."
            )
    return ids


def _copies(model: TrainedModel, tokens: Sequence[str], pieces: Sequence[str] | None) -> list[Event] | None:
    """Return the matches with the training text, or None without a copy index. `start` counts from the prompt on."""
    if not model.has_copy_index:
        return None
    kept = ("start", "tokens", "text", "file", "line")
    return [{name: getattr(each, name) for name in kept} for each in model.copies_in(tokens, pieces=pieces)]
