"""The choice of the next token: its log-probabilities, the functions that change them, and the draw.

Each change is a pure function of a batch of log-probabilities and of the tokens so far. `probability_changes` defines
the order of the changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from wordgen.generation.settings import GenerationSettings
from wordgen.text.vocabulary import BYTES, END, START, UNKNOWN, WORD_END, Vocabulary, allowed_after

LogProbs = NDArray[np.float32]
"""Natural logarithms of probabilities, shape (texts, vocabulary). Minus infinity means that the token is impossible."""
_PENALTY_WINDOW = 64
_MAX_WORD_BYTES = 200
_BLOCK = 128
_NOTHING = np.empty(0, np.intp)
NO_TOKEN = -1
"""Fills the positions before a text that is shorter than the others of its batch."""


@dataclass(frozen=True)
class Past:
    """The tokens so far of texts that are written as one batch."""

    tokens: NDArray[np.intp]
    """Shape (texts, time): the prompt and the tokens after it, with END, without START. Shorter texts are padded with
    NO_TOKEN on the left."""
    written: int
    """The number of tokens written in each text, without the prompt."""

    @property
    def last(self) -> NDArray[np.intp]:
        """The last token of each text, or NO_TOKEN."""
        return self.tokens[:, -1] if self.tokens.shape[1] else np.full(len(self.tokens), NO_TOKEN)


ProbabilityChange = Callable[[LogProbs, Past], LogProbs]
"""Returns changed log-probabilities. They need not add up to 1 as probabilities."""


def changed_by(changes: Sequence[ProbabilityChange], log_probs: LogProbs, past: Past) -> LogProbs:
    """Return the log-probabilities after all changes, applied in order."""
    for change in changes:
        log_probs = change(log_probs, past)
    return log_probs


def log_probs(logits: NDArray[np.floating]) -> LogProbs:
    """Return the log-softmax of logits, shape (rows, vocabulary)."""
    shifted = np.asarray(logits - logits.max(axis=1, keepdims=True), np.float32)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


class SpellingIds:
    """The ids in a vocabulary that spell words: 256 for bytes, and one for the end of a word."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.size = len(vocabulary)
        self.word_end = vocabulary.id_of(WORD_END)
        self.values = {vocabulary.id_of(token): value for value, token in enumerate(BYTES)}
        """Maps the id of each byte to the value of the byte."""
        self.all = np.array([*self.values, self.word_end])
        self.is_byte = np.isin(np.arange(self.size), list(self.values))
        """Which ids are bytes, shape (vocabulary,)."""
        self._masks: dict[frozenset[str], NDArray[np.bool_]] = {}
        self._id_of = vocabulary.id_of

    def unfinished_word(self, ids: Sequence[int]) -> bytes:
        """Return the bytes at the end of `ids`: the beginning of an unfinished word, or empty."""
        word = takewhile(self.values.__contains__, reversed(ids))
        return bytes(self.values[each] for each in word)[::-1]

    def last_words(self, tokens: NDArray[np.intp], count: int) -> list[int] | None:
        """Return the ids of the last `count` words of a text.

        Return None if the text has fewer words, or if its last word is not finished.
        """
        begin = len(tokens)
        if begin and tokens[-1] in self.values:
            return None
        for _ in range(count):
            if not begin or tokens[begin - 1] == NO_TOKEN:
                return None
            begin -= 1
            while begin and tokens[begin - 1] in self.values:
                begin -= 1
        return tokens[begin:].tolist()

    def forbidden_after(self, word: bytes) -> NDArray[np.bool_]:
        """Return which tokens are forbidden after the bytes of an unfinished word, shape (vocabulary,).

        After an empty `word`, all tokens are allowed except the end of a word and bytes that cannot begin a character.
        """
        allowed = allowed_after(word)
        if allowed not in self._masks:
            forbidden = np.full(self.size, bool(word))
            forbidden[self.all] = True
            forbidden[[self._id_of(token) for token in allowed]] = False
            self._masks[allowed] = forbidden
        return self._masks[allowed]


Followers = Callable[[Sequence[int]], NDArray[np.integer]]
"""Returns the ids that follow a sequence of tokens in the training text."""


@dataclass(frozen=True)
class TokenKinds:
    """Properties of the vocabulary and the corpus that the changes depend on."""

    words: NDArray[np.bool_]
    """Which tokens are words: not punctuation, line breaks or special tokens. Shape (vocabulary,)."""
    line_break: int
    """The id of the line break, or NO_TOKEN if the vocabulary has none."""
    empty_passages: bool = True
    """Whether the corpus has empty passages, for example the blank lines between verses."""
    spelling: SpellingIds | None = None
    """The ids that spell words, or None if the vocabulary does not spell."""
    replaces_unknown: bool = False
    """Whether a chosen UNKNOWN is replaced by a word."""


def probability_changes(
    settings: GenerationSettings, kinds: TokenKinds, followers: Followers | None = None
) -> list[ProbabilityChange]:
    """Return the changes that forbid or weaken tokens, in the order in which they are made.

    Before a token is drawn, those of `draw_changes` follow. `followers` is needed if `settings.max_copy` is not 0.
    """
    never = [START] if settings.allow_unknown or kinds.replaces_unknown else [UNKNOWN, START]
    changes: list[ProbabilityChange] = [partial(forbid, ids=never)]
    if kinds.replaces_unknown and not settings.allow_unknown:
        changes.append(forbid_unknown_twice)
    if kinds.spelling is not None:
        changes.append(partial(forbid_bad_spelling, spelling=kinds.spelling))
    stops = {"end": [END], "line": [END, kinds.line_break]}.get(settings.stop, [])
    if not kinds.empty_passages:
        changes.append(forbid_empty_passages)
    if stops:
        ids = [each for each in stops if each != NO_TOKEN]
        changes.append(partial(forbid_before, written=settings.at_least, ids=ids))
    if settings.repetition_penalty != 1:
        changes.append(partial(penalize_repetition, penalty=settings.repetition_penalty, words=kinds.words))
    if settings.no_repeat_ngram:
        changes.append(partial(forbid_repeated_ngrams, n=settings.no_repeat_ngram, spelling=kinds.spelling))
    if settings.max_copy:
        assert followers is not None
        changes.append(partial(forbid_copies, most=settings.max_copy, followers=followers, spelling=kinds.spelling))
    return changes


def draw_changes(settings: GenerationSettings) -> list[ProbabilityChange]:
    """Return the changes for sampling. Each works on the tokens that the previous one has left."""
    changes: list[ProbabilityChange] = []
    if settings.temperature != 1:
        changes.append(partial(apply_temperature, temperature=settings.temperature))
    if settings.top_k:
        changes.append(partial(keep_top_k, k=settings.top_k))
    if settings.top_p < 1:
        changes.append(partial(keep_top_p, p=settings.top_p))
    if settings.min_p > 0:
        changes.append(partial(keep_min_p, share=settings.min_p))
    return changes


def forbid(log_probs: LogProbs, past: Past, *, ids: Sequence[int]) -> LogProbs:
    """Forbid these tokens."""
    changed = log_probs.copy()
    changed[:, ids] = -np.inf
    return changed


def forbid_by_text(
    log_probs: LogProbs, past: Past, forbidden: Callable[[NDArray[np.intp]], Sequence[int] | NDArray[np.integer]]
) -> LogProbs:
    """Forbid in each text the ids that `forbidden` returns for its tokens."""
    changed = log_probs.copy()
    for row, tokens in enumerate(past.tokens):
        changed[row, forbidden(tokens)] = -np.inf
    return changed


def forbid_before(log_probs: LogProbs, past: Past, *, written: int, ids: Sequence[int]) -> LogProbs:
    """Forbid these tokens until `written` tokens have been written."""
    return forbid(log_probs, past, ids=ids) if past.written < written else log_probs


def forbid_unknown_twice(log_probs: LogProbs, past: Past) -> LogProbs:
    """Forbid UNKNOWN directly after UNKNOWN: a word that replaces UNKNOWN is chosen by a known neighbour."""
    changed = log_probs.copy()
    changed[past.last == UNKNOWN, UNKNOWN] = -np.inf
    return changed


def forbid_empty_passages(log_probs: LogProbs, past: Past) -> LogProbs:
    """Forbid END directly after END, and at the beginning of the text."""
    changed = log_probs.copy()
    changed[np.isin(past.last, [END, NO_TOKEN]), END] = -np.inf
    return changed


def forbid_bad_spelling(log_probs: LogProbs, past: Past, *, spelling: SpellingIds) -> LogProbs:
    """Let spelled words be valid UTF-8 only."""
    words = (spelling.unfinished_word(tokens) for tokens in past.tokens[:, -_MAX_WORD_BYTES:].tolist())
    return np.where([spelling.forbidden_after(word) for word in words], np.float32(-np.inf), log_probs)


def penalize_repetition(log_probs: LogProbs, past: Past, *, penalty: float, words: NDArray[np.bool_]) -> LogProbs:
    """Raise the probability of each word among the last _PENALTY_WINDOW tokens to the power `penalty`."""
    recent = past.tokens[:, -_PENALTY_WINDOW:]
    rows, columns = np.nonzero((recent != NO_TOKEN) & words[recent])
    repeated = np.zeros(log_probs.shape, np.bool_)
    repeated[rows, recent[rows, columns]] = True
    return np.where(repeated, log_probs * np.float32(penalty), log_probs)


def forbid_repeated_ngrams(log_probs: LogProbs, past: Past, *, n: int, spelling: SpellingIds | None = None) -> LogProbs:
    """Forbid tokens that complete a sequence of n tokens that the text already has.

    A spelled word counts as one token. It is forbidden by its first byte, so a word that has begun can always end.
    """

    def forbidden(tokens: NDArray[np.intp]) -> NDArray[np.integer]:
        last = _last_words(tokens, n - 1, spelling)
        if last is None:
            return _NOTHING
        begins_word = tokens != NO_TOKEN
        if spelling is not None:
            begins_word[1:] &= ~spelling.is_byte[tokens[:-1]]
        begins = np.flatnonzero(begins_word[: len(tokens) - len(last)])
        for place, token in enumerate(last):
            begins = begins[tokens[begins + place] == token]
            if not len(begins):
                break
        return tokens[begins + len(last)]

    return forbid_by_text(log_probs, past, forbidden)


def forbid_copies(
    log_probs: LogProbs, past: Past, *, most: int, followers: Followers, spelling: SpellingIds | None = None
) -> LogProbs:
    """Forbid tokens that make a match with the training text of more than `most` tokens.

    Spelled words are treated as in `forbid_repeated_ngrams`.
    """

    def forbidden(tokens: NDArray[np.intp]) -> NDArray[np.integer]:
        last = _last_words(tokens, most, spelling)
        return _NOTHING if last is None else followers(last)

    return forbid_by_text(log_probs, past, forbidden)


def _last_words(tokens: NDArray[np.intp], count: int, spelling: SpellingIds | None) -> list[int] | None:
    """Do what `SpellingIds.last_words` does, also for a vocabulary that does not spell: there, each token is a word."""
    if spelling is not None:
        return spelling.last_words(tokens, count)
    last: list[int] = tokens[max(0, len(tokens) - count) :].tolist()
    return None if len(last) < count or NO_TOKEN in last else last


def apply_temperature(log_probs: LogProbs, past: Past, *, temperature: float) -> LogProbs:
    """Divide the log-probabilities by the temperature. The highest one is 0, so it cannot overflow."""
    changed = log_probs - log_probs.max(axis=1, keepdims=True)
    with np.errstate(over="ignore"):  # minus infinity is the right result for a very improbable token
        changed /= np.float32(temperature)
    return changed


def keep_top_k(log_probs: LogProbs, past: Past, *, k: int) -> LogProbs:
    """Keep the k most probable tokens. Of equally probable ones, keep those with the lower ids."""
    size = log_probs.shape[1]
    if k >= size:
        return log_probs
    least = np.partition(log_probs, size - k, axis=1)[:, size - k]
    return _forbid_others(log_probs, _most_probable(log_probs, least, np.full(len(log_probs), k)))


def keep_top_p(log_probs: LogProbs, past: Past, *, p: float) -> LogProbs:
    """Keep the fewest of the most probable tokens whose probabilities add up to at least p, and at least one.

    Probabilities are those among the tokens still allowed. Of equally probable tokens, those with lower ids are kept.
    """
    descending = np.sort(log_probs, axis=1)[:, ::-1]
    sums = np.exp(descending - descending[:, :1]).cumsum(axis=1, dtype=np.float64)
    counts = 1 + (sums[:, :-1] < p * sums[:, -1:]).sum(axis=1)
    return _forbid_others(
        log_probs, _most_probable(log_probs, descending[np.arange(len(descending)), counts - 1], counts)
    )


def _most_probable(log_probs: LogProbs, least: LogProbs, counts: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which tokens are the `counts` most probable ones of each row, shape (texts, vocabulary).

    `least` is the log-probability of the last of them. `least` and `counts` have shape (texts,).
    """
    kept = log_probs >= least[:, None]
    for row in np.flatnonzero(kept.sum(axis=1) > counts):
        equal = np.flatnonzero(log_probs[row] == least[row])
        kept[row, equal[counts[row] - np.count_nonzero(log_probs[row] > least[row]) :]] = False
    return kept


def keep_min_p(log_probs: LogProbs, past: Past, *, share: float) -> LogProbs:
    """Keep the tokens that have at least `share` of the probability of the most probable token."""
    return _forbid_others(log_probs, log_probs >= log_probs.max(axis=1, keepdims=True) + np.float32(np.log(share)))


def _forbid_others(log_probs: LogProbs, kept: NDArray[np.bool_]) -> LogProbs:
    return np.where(kept, log_probs, np.float32(-np.inf))


def possible(log_probs: LogProbs) -> NDArray[np.bool_]:
    """Return for each text whether any token is allowed."""
    return log_probs.max(axis=1) > -np.inf


def draw(log_probs: LogProbs, generators: Sequence[np.random.Generator]) -> NDArray[np.intp]:
    """Draw one token for each row by its probability, and return the ids, shape (texts,).

    Each row has its own random number generator, so rows do not depend on each other. The probabilities need not add
    up to 1. They are summed in blocks of _BLOCK tokens first, and one by one only in the block of the random number.
    """
    probs = log_probs - log_probs.max(axis=1, keepdims=True)
    np.exp(probs, out=probs)
    starts = np.arange(0, probs.shape[1], _BLOCK)
    sums = np.add.reduceat(probs, starts, axis=1).cumsum(axis=1, dtype=np.float64)
    drawn = np.empty(len(probs), np.intp)
    for row, generator in enumerate(generators):
        # The product may be rounded up.
        point = min(generator.random() * sums[row, -1], np.nextafter(sums[row, -1], 0))
        block = int(sums[row].searchsorted(point, side="right"))
        in_block = probs[row, starts[block] : starts[block] + _BLOCK]
        before = sums[row, block - 1] if block else 0.0
        place = int(in_block.cumsum(dtype=np.float64).searchsorted(point - before, side="right"))
        # The sum of the block and the sum one by one may differ in the last digit. A token of probability 0 is never
        # drawn.
        drawn[row] = starts[block] + min(place, int(in_block.nonzero()[0][-1]))
    return drawn
