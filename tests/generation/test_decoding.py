"""Decoding: prompts and passages, where texts end, beam search, and the scores of given texts."""

import math
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wordgen.api import load
from wordgen.errors import SettingError
from wordgen.generation.copies import COPY_INDEX
from wordgen.generation.decoding import Reader, beam_search, write_texts
from wordgen.generation.prediction import NgramModel, NumpyNetwork, State
from wordgen.generation.sampling import NO_TOKEN, TokenKinds, draw_changes, probability_changes
from wordgen.generation.settings import GenerationSettings, Stop
from wordgen.generation.texts import TextBuilder
from wordgen.generation.trained import TrainedModel
from wordgen.model.architecture import Architecture
from wordgen.text.tokenizers import Codec, tokenizer_named
from wordgen.text.vocabulary import END, RESERVED, START, Vocabulary

TOKENS = (*RESERVED, "a", "b", "c", "￭.", "\n")
SIZE = len(TOKENS)
CODEC = Codec(tokenizer_named("english"), Vocabulary([(token, 1) for token in TOKENS]), "\n\n")
KINDS = TokenKinds(np.array([False] * 3 + [True] * 3 + [False] * 2), 7)


class CountingNetwork:
    """It predicts the id after the last one. Its state is that id, and the number of ids it was fed."""

    def __init__(self) -> None:
        self.fed: list[list[int]] = []

    def zero_state(self, texts: int) -> State:
        return ((np.zeros((texts, 2), np.float32),),)

    def feed(self, ids: NDArray[np.integer], state: State) -> State:
        self.fed.append(ids.tolist())
        return ((np.stack([ids.astype(np.float32), state[0][0][:, 1] + 1], axis=1),),)

    def logits(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        last = hidden[:, 0].astype(int)
        logits = np.zeros((len(hidden), SIZE), np.float32)
        predicted = np.where(last == START, 3, np.where(last == SIZE - 1, END, last + 1))
        logits[np.arange(len(hidden)), predicted] = 4
        return logits


def random_network(seed: int = 3, cell: str = "lstm") -> NumpyNetwork:
    architecture = Architecture.from_mapping(
        {"vocabulary_size": SIZE, "embedding": 6, "layers": 2, "units": 6, "cell": cell, "tied": False}
    )
    rng = np.random.default_rng(seed)
    weights = {
        name: rng.normal(scale=1.5, size=shape).astype(np.float32)
        for name, shape in architecture.weight_shapes().items()
    }
    weights["output/kernel"] = weights["output/kernel"].reshape(-1, SIZE).T.copy()
    return NumpyNetwork(architecture, weights)


def write(
    network: CountingNetwork | NumpyNetwork,
    prompts: Sequence[Sequence[int]],
    numbers: Sequence[int] | None = None,
    *,
    starts: bool = True,
    **options: Any,
) -> list[TextBuilder]:
    settings = GenerationSettings(**{"random_seed": 1, "length": 10, **options})  # pyright: ignore[reportArgumentType]
    builders = [TextBuilder(tuple(prompt), settings, CODEC) for prompt in prompts]
    generators = None
    if settings.mode == "sample":
        generators = [np.random.default_rng([1, number]) for number in numbers or range(len(prompts))]
    for _ in write_texts(
        network, builders, generators, probability_changes(settings, KINDS), draw_changes(settings), starts=starts
    ):
        pass
    return builders


def text_of(builder: TextBuilder) -> str:
    return "".join([*builder.seed_pieces, *builder.pieces])


def log_probabilities(builder: TextBuilder) -> list[float]:
    return [token.log_probability for token in builder.written]


def ids(builders: Sequence[TextBuilder]) -> list[list[int]]:
    return [builder.ids for builder in builders]


def test_prompt_is_fed_and_not_written():
    network = CountingNetwork()
    assert ids(write(network, [[3, 4]], mode="greedy", length=2)) == [[5, 6]]
    assert network.fed == [[END], [START], [END], [START], [3], [4], [5], [6]]


def test_equal_prompts_are_fed_once():
    network = CountingNetwork()
    write(network, [[3, 4]] * 5, mode="greedy", length=1)
    assert network.fed[3:6] == [[START], [3], [4]]


def test_prompts_of_different_lengths_are_read_independently():
    prompts = [[3], [3, 4, 5], [], [5, 5]]
    network = random_network()
    together = Reader(network, prompts, starts=True).log_probs()
    for row, prompt in enumerate(prompts):
        np.testing.assert_allclose(together[row], Reader(network, [prompt], starts=True).log_probs()[0], atol=1e-5)


def test_start_is_fed_after_end():
    network = CountingNetwork()
    assert ids(write(network, [[6]], mode="greedy", length=5)) == [[7, END, 3, 4, 5]]
    assert [START] in network.fed[5:]


def test_start_is_fed_after_end_in_prompt():
    network = CountingNetwork()
    write(network, [[3, END, 4]], mode="greedy", length=1)
    assert network.fed[3:8] == [[START], [3], [END], [START], [4]]


def test_start_is_not_fed_to_models_without_starts():
    network = CountingNetwork()
    assert ids(write(network, [[6]], starts=False, mode="greedy", length=3)) == [[7, END, 3]]
    assert network.fed[0] == [END]
    assert [START] not in network.fed


@pytest.mark.parametrize("stop", ["none", "end", "sentence", "line"])
def test_text_does_not_depend_on_other_texts_of_batch(stop: str):
    prompts = [[], [3], [4, 5], [3, 3, 3, 3], [5]]
    for network in (CountingNetwork(), random_network(), random_network(cell="gru")):
        options = {"stop": stop, "length": 30, "temperature": 1.3, "no_repeat_ngram": 6}
        together = write(network, prompts, **options)
        for number, prompt in enumerate(prompts):
            (single,) = write(network, [prompt], [number], **options)
            assert single.ids == together[number].ids
            assert text_of(single) == text_of(together[number])
            assert single.ended == together[number].ended
            np.testing.assert_allclose(log_probabilities(single), log_probabilities(together[number]), atol=1e-5)


def test_stop_and_until_end_text():
    def end_of(stop: str, **options: Any) -> tuple[str, str | None]:
        (builder,) = write(CountingNetwork(), [[3]], mode="greedy", stop=stop, length=20, **options)
        return text_of(builder), builder.ended

    assert end_of("line") == ("a b c.", "line")
    assert end_of("end") == ("a b c.\n", "end")
    assert end_of("sentence") == ("a b c.", "sentence")
    assert end_of("none")[1] == "length"
    assert end_of("none", until="b c") == ("a b c", "until")
    assert end_of("none", until="c.\n\n\na") == ("a b c.\n\n\na", "until")
    assert end_of("end", at_least=9) == ("a b c.\na b c.\n", "end")  # END is forbidden before


def test_incomplete_last_sentence_is_removed():
    (builder,) = write(CountingNetwork(), [[3]], mode="greedy", stop="sentence", at_least=6, length=8)
    assert (text_of(builder), builder.ended) == ("a b c.", "sentence")
    assert len(builder.written) == 3
    (builder,) = write(CountingNetwork(), [[3]], mode="greedy", stop="sentence", length=2)
    assert (text_of(builder), builder.ended) == ("a b c", "length")


def test_text_ends_if_all_tokens_are_forbidden():
    (builder,) = write(CountingNetwork(), [[3]], mode="greedy", no_repeat_ngram=1, length=20)
    assert builder.ended == "nothing left"
    assert len(set(builder.ids)) == len(builder.ids) == SIZE - 3  # all but UNKNOWN, START and the prompt


def best_texts(network: CountingNetwork | NumpyNetwork, prompt: Sequence[int], **options: object) -> list[TextBuilder]:
    settings = GenerationSettings(**{"mode": "beam", "length": 8, **options})  # pyright: ignore[reportArgumentType]
    changes = probability_changes(settings, TokenKinds(KINDS.words, NO_TOKEN))
    return beam_search(network, TextBuilder(tuple(prompt), settings, CODEC), settings, changes, starts=True)


@given(st.integers(0, 10**6), st.sampled_from(["none", "end", "sentence"]), st.integers(0, 3))
def test_beam_search_with_one_beam_is_greedy(seed: int, stop: str, no_repeat: int):
    network = random_network(seed)
    (beam,) = best_texts(network, [3], beams=1, stop=stop, no_repeat_ngram=no_repeat)
    (greedy,) = write(network, [[3]], mode="greedy", stop=stop, length=8, no_repeat_ngram=no_repeat)
    assert (beam.ids, beam.ended) == (greedy.ids, greedy.ended)


def log_probability_of(network: NumpyNetwork, builder: TextBuilder) -> float:
    """Return the log-probability of a text, and of the END that ended it."""
    log_probability = sum(log_probabilities(builder))
    if builder.ended == "end":
        text = [*builder.seed, *builder.ids]
        log_probability += float(Reader(network, [text], starts=True).log_probs()[0, END])
    return log_probability


@given(st.integers(0, 10**6), st.sampled_from([2, 3, 8]), st.sampled_from(["none", "end", "sentence"]))
def test_beam_search_is_at_least_as_probable_as_greedy(seed: int, beams: int, stop: str):
    network = random_network(seed)
    (best,) = best_texts(network, [3], beams=beams, stop=stop)
    (greedy,) = write(network, [[3]], mode="greedy", stop=stop, length=8)
    assert log_probability_of(network, best) >= log_probability_of(network, greedy) - 1e-4


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_widest_beam_finds_most_probable_text(seed: int):
    network = random_network(seed)
    (best,) = best_texts(network, [], beams=SIZE**2, length=3)
    all_texts = best_texts(network, [], beams=SIZE**3, count=SIZE**3, length=3)
    assert len(all_texts) == (SIZE - 2) ** 3
    assert sum(log_probabilities(best)) == pytest.approx(max(sum(log_probabilities(text)) for text in all_texts))


def test_beam_search_returns_different_texts_best_first():
    for penalty in (0.0, 1.0):
        network = random_network()
        texts = best_texts(network, [3], beams=6, count=4, stop="end", length_penalty=penalty, length=12)
        lengths = [len(text.ids) + (text.ended == "end") for text in texts]
        scores = [
            log_probability_of(network, text) / length**penalty for text, length in zip(texts, lengths, strict=True)
        ]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(text.ids) for text in texts}) == len(texts) == 4


def test_beam_search_forbids_repeated_ngrams():
    (text,) = best_texts(CountingNetwork(), [3], beams=4, no_repeat_ngram=1, length=4)
    assert len({3, *text.ids}) == 5


@pytest.mark.parametrize(("stop", "mix"), [("none", 0.0), ("end", 0.0), ("none", 0.4), ("end", 0.8)])
def test_score_equals_log_probabilities_of_generated_text(overfitted: TrainedModel, stop: Stop, mix: float):
    compared = 0
    texts = overfitted.generate("The caster", count=24, length=30, random_seed=6, temperature=1.0, stop=stop, mix=mix)
    prompt_length = len(overfitted.read_seed("The caster").ids)
    for text in texts:
        scored = overfitted.score(text.text, mix=mix).tokens[prompt_length:]
        if [each.token for each in scored] != list(text.tokens):
            continue  # the tokenizer splits the text into other tokens
        compared += 1
        np.testing.assert_allclose([each.log_probability for each in scored], text.log_probabilities, atol=1e-4)
    assert compared >= 6


def test_score_includes_unknown_words(model: TrainedModel):
    score = model.score("The frobnicator casts a light. The caster sleeps!")
    assert [(each.token, each.known) for each in score.tokens[:2]] == [("The", True), ("frobnicator", False)]
    assert [sentence.text for sentence in score.sentences] == ["The frobnicator casts a light.", "The caster sleeps!"]
    log_probability = sum(each.log_probability for each in score.tokens)
    assert score.perplexity == pytest.approx(math.exp(-log_probability / len(score.tokens)))
    assert score.tokens[0].surprisal == pytest.approx(-score.tokens[0].log_probability / math.log(2))


def test_score_of_long_text_equals_score_of_its_beginning(model: TrainedModel):
    text = " ".join(["The caster touches a creature."] * 60)
    long = [each.log_probability for each in model.score(text).tokens]
    assert len(long) == 360
    short = [each.log_probability for each in model.score(" ".join(text.split()[:20])).tokens]
    np.testing.assert_allclose(long[: len(short)], short, atol=1e-4)


def test_mix_interpolates_network_and_ngram(model: TrainedModel):
    text = "The caster touches a creature. A light shines, and the frobnicator sleeps."
    of_network, of_ngram, mixed = (
        np.array([each.log_probability for each in model.score(text, mix=mix).tokens]) for mix in (0.0, 1.0, 0.3)
    )
    np.testing.assert_allclose(mixed, np.logaddexp(np.log(0.7) + of_network, np.log(0.3) + of_ngram), atol=1e-5)
    ngram = NgramModel(np.array(model.copy_index.ids, np.int64), len(model.vocabulary))
    ids = np.array([START, *(model.vocabulary.id_of(each.token) for each in model.score(text).tokens)])
    np.testing.assert_allclose(of_ngram, ngram.log_probs(ids), atol=1e-5)
    assert abs(of_network - of_ngram).max() > 0.1


def test_mix_without_copy_index_is_an_error(model: TrainedModel, tmp_path: Path):
    assert model.folder is not None
    shutil.copytree(model.folder, tmp_path / "copy", ignore=shutil.ignore_patterns(COPY_INDEX))
    without_index = load(tmp_path / "copy")
    message = "this model has no copy index: leave out mix, or train without copy_index=False"
    with pytest.raises(SettingError, match=re.escape(message)):
        without_index.score("The caster", mix=0.2)
    with pytest.raises(SettingError, match=re.escape(message)):
        without_index.generate("The caster", mix=0.2)
    with pytest.raises(SettingError, match="mix must be"):
        without_index.score("The caster", mix=1.5)


def test_empty_text_has_perplexity_one(model: TrainedModel):
    assert model.score("").sentences == ()
    assert model.score("").perplexity == 1
