"""The loops and the scores of a network that needs no training: it prefers the id after the one it was fed."""

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
from wordgen.generation.decoding import Reader, search, write_to_the_end
from wordgen.generation.prediction import NgramModel, NumpyNetwork, State
from wordgen.generation.sampling import NO_TOKEN, TokenKinds, probability_changes
from wordgen.generation.settings import GenerationSettings, Stop
from wordgen.generation.texts import TextBuilder
from wordgen.generation.trained import TrainedModel
from wordgen.text.tokenizers import Codec, tokenizer_named
from wordgen.text.vocabulary import END, RESERVED, START, Vocabulary

TOKENS = (*RESERVED, "a", "b", "c", "￭.", "\n")
SIZE = len(TOKENS)
CODEC = Codec(tokenizer_named("english"), Vocabulary([(token, 1) for token in TOKENS]), "\n\n")
KINDS = TokenKinds(np.array([False] * 3 + [True] * 3 + [False] * 2), 7)


class CountingNetwork:
    """Its state is the last id, and how many ids it was fed."""

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
        following = np.where(last == START, 3, np.where(last == SIZE - 1, END, last + 1))
        logits[np.arange(len(hidden)), following] = 4
        return logits


def random_network(seed: int = 3, cell: str = "lstm") -> NumpyNetwork:
    from wordgen.model.architecture import Architecture

    architecture = Architecture.from_mapping(
        {"vocabulary_size": SIZE, "embedding": 6, "layers": 2, "units": 6, "cell": cell, "tied": False}
    )
    dice = np.random.default_rng(seed)
    weights = {
        name: dice.normal(scale=1.5, size=shape).astype(np.float32)
        for name, shape in architecture.weight_shapes().items()
    }
    weights["output/kernel"] = weights["output/kernel"].reshape(-1, SIZE).T.copy()
    return NumpyNetwork(architecture, weights)


def written(
    network: CountingNetwork | NumpyNetwork,
    seeds: Sequence[Sequence[int]],
    numbers: Sequence[int] | None = None,
    *,
    starts: bool = True,
    **chosen: Any,
) -> list[TextBuilder]:
    settings = GenerationSettings(**{"random_seed": 1, "length": 10, **chosen})  # pyright: ignore[reportArgumentType]
    builders = [TextBuilder(tuple(seed), settings, CODEC) for seed in seeds]
    dice = None
    if settings.mode == "sample":
        dice = [np.random.default_rng([1, number]) for number in numbers or range(len(seeds))]
    for _ in write_to_the_end(network, builders, dice, *probability_changes(settings, KINDS), starts=starts):
        pass
    return builders


def text_of(builder: TextBuilder) -> str:
    return "".join([*builder.seed_pieces, *builder.pieces])


def log_probabilities(builder: TextBuilder) -> list[float]:
    return [each.log_probability for each in builder.written]


def ids(builders: Sequence[TextBuilder]) -> list[list[int]]:
    return [builder.ids for builder in builders]


def test_the_seed_warms_up_the_state_and_is_not_written():
    network = CountingNetwork()
    assert ids(written(network, [[3, 4]], mode="greedy", length=2)) == [[5, 6]]
    assert network.fed == [[END], [START], [END], [START], [3], [4], [5], [6]]


def test_the_same_seed_is_read_once():
    network = CountingNetwork()
    written(network, [[3, 4]] * 5, mode="greedy", length=1)
    assert network.fed[3:6] == [[START], [3], [4]]


def test_seeds_of_different_lengths_are_each_read_to_their_end():
    seeds = [[3], [3, 4, 5], [], [5, 5]]
    network = random_network()
    together = Reader(network, seeds, starts=True).log_probs()
    for row, seed in enumerate(seeds):
        np.testing.assert_allclose(together[row], Reader(network, [seed], starts=True).log_probs()[0], atol=1e-5)


def test_after_an_end_a_new_passage_starts():
    network = CountingNetwork()
    assert ids(written(network, [[6]], mode="greedy", length=5)) == [[7, END, 3, 4, 5]]
    assert [START] in network.fed[5:]


def test_an_end_in_the_seed_starts_one_too():
    network = CountingNetwork()
    written(network, [[3, END, 4]], mode="greedy", length=1)
    assert network.fed[3:8] == [[START], [3], [END], [START], [4]]


def test_texts_that_brought_their_own_ends_get_no_start():
    network = CountingNetwork()
    assert ids(written(network, [[6]], starts=False, mode="greedy", length=3)) == [[7, END, 3]]
    assert network.fed[0] == [END]
    assert [START] not in network.fed


@pytest.mark.parametrize("stop", ["none", "end", "sentence", "line"])
def test_texts_do_not_depend_on_which_others_are_written_with_them(stop: str):
    seeds = [[], [3], [4, 5], [3, 3, 3, 3], [5]]
    for network in (CountingNetwork(), random_network(), random_network(cell="gru")):
        options = {"stop": stop, "length": 30, "temperature": 1.3, "no_repeat_ngram": 6}
        together = written(network, seeds, **options)
        for number, seed in enumerate(seeds):
            (alone,) = written(network, [seed], [number], **options)
            assert alone.ids == together[number].ids
            assert text_of(alone) == text_of(together[number])
            assert alone.ended == together[number].ended
            np.testing.assert_allclose(log_probabilities(alone), log_probabilities(together[number]), atol=1e-5)


def test_where_a_text_ends():
    def one(stop: str, **more: Any) -> tuple[str, str | None]:
        (builder,) = written(CountingNetwork(), [[3]], mode="greedy", stop=stop, length=20, **more)
        return text_of(builder), builder.ended

    assert one("line") == ("a b c.", "line")
    assert one("end") == ("a b c.\n", "end")
    assert one("sentence") == ("a b c.", "sentence")
    assert one("none")[1] == "length"
    assert one("none", until="b c") == ("a b c", "until")
    assert one("none", until="c.\n\n\na") == ("a b c.\n\n\na", "until")
    assert one("end", at_least=9) == ("a b c.\na b c.\n", "end")  # END was forbidden before


def test_a_sentence_that_does_not_end_is_cut_off():
    (builder,) = written(CountingNetwork(), [[3]], mode="greedy", stop="sentence", at_least=6, length=8)
    assert (text_of(builder), builder.ended) == ("a b c.", "sentence")
    assert len(builder.written) == 3
    (builder,) = written(CountingNetwork(), [[3]], mode="greedy", stop="sentence", length=2)
    assert (text_of(builder), builder.ended) == ("a b c", "length")


def test_where_nothing_may_be_written_the_text_ends():
    (builder,) = written(CountingNetwork(), [[3]], mode="greedy", no_repeat_ngram=1, length=20)
    assert builder.ended == "nothing left"
    assert len(set(builder.ids)) == len(builder.ids) == SIZE - 3  # all but UNKNOWN, START and the seed


def found(network: CountingNetwork | NumpyNetwork, seed: Sequence[int], **chosen: object) -> list[TextBuilder]:
    settings = GenerationSettings(**{"mode": "beam", "length": 8, **chosen})  # pyright: ignore[reportArgumentType]
    changes, _ = probability_changes(settings, TokenKinds(KINDS.words, NO_TOKEN))
    return search(network, TextBuilder(tuple(seed), settings, CODEC), settings, changes, starts=True)


@given(st.integers(0, 10**6), st.sampled_from(["none", "end", "sentence"]), st.integers(0, 3))
def test_one_beam_is_greedy(seed: int, stop: str, no_repeat: int):
    network = random_network(seed)
    (beam,) = found(network, [3], beams=1, stop=stop, no_repeat_ngram=no_repeat)
    (greedy,) = written(network, [[3]], mode="greedy", stop=stop, length=8, no_repeat_ngram=no_repeat)
    assert (beam.ids, beam.ended) == (greedy.ids, greedy.ended)


def total(builder: TextBuilder) -> float:
    return sum(log_probabilities(builder)) + builder.log_probability_of_the_end


@given(st.integers(0, 10**6), st.sampled_from([2, 3, 8]), st.sampled_from(["none", "end", "sentence"]))
def test_a_wide_beam_is_never_below_greedy(seed: int, beams: int, stop: str):
    network = random_network(seed)
    (best,) = found(network, [3], beams=beams, stop=stop)
    (greedy,) = written(network, [[3]], mode="greedy", stop=stop, length=8)
    assert total(best) >= total(greedy) - 1e-4


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_a_beam_as_wide_as_all_texts_finds_the_likeliest(seed: int):
    network = random_network(seed)
    (best,) = found(network, [], beams=SIZE**2, length=3)
    every = [sum(log_probabilities(each)) for each in found(network, [], beams=SIZE**3, count=SIZE**3, length=3)]
    assert len(every) == (SIZE - 2) ** 3
    assert sum(log_probabilities(best)) == pytest.approx(max(every))


def test_the_best_texts_come_first_and_differ():
    for penalty in (0.0, 1.0):
        texts = found(random_network(), [3], beams=6, count=4, stop="end", length_penalty=penalty, length=12)
        lengths = [len(text.ids) + (text.ended == "end") for text in texts]
        scores = [total(text) / length**penalty for text, length in zip(texts, lengths, strict=True)]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(text.ids) for text in texts}) == len(texts) == 4


def test_beams_obey_what_forbids():
    (text,) = found(CountingNetwork(), [3], beams=4, no_repeat_ngram=1, length=4)
    assert len({3, *text.ids}) == 5


@pytest.mark.parametrize(("stop", "mix"), [("none", 0.0), ("end", 0.0), ("none", 0.4), ("end", 0.8)])
def test_a_score_gives_the_probabilities_that_writing_told(overfitted: TrainedModel, stop: Stop, mix: float):
    alike = 0
    written = overfitted.generate("The caster", count=12, length=30, random_seed=6, temperature=1.0, stop=stop, mix=mix)
    for text in written:
        scored = overfitted.score(text.text, mix=mix).tokens
        before = len(overfitted.read_seed("The caster").ids)
        if [each.token for each in scored[before:]] != list(text.tokens):
            continue  # what was written would be cut into other tokens
        alike += 1
        np.testing.assert_allclose(
            [each.log_probability for each in scored[before:]], text.log_probabilities, atol=1e-4
        )
    assert alike >= 6


def test_a_score_names_unknown_words_and_counts_them(model: TrainedModel):
    score = model.score("The frobnicator casts a light. The caster sleeps!")
    assert [(each.token, each.known) for each in score.tokens[:2]] == [("The", True), ("frobnicator", False)]
    assert [sentence.text for sentence in score.sentences] == ["The frobnicator casts a light.", "The caster sleeps!"]
    total = sum(each.log_probability for each in score.tokens)
    assert score.perplexity == pytest.approx(math.exp(-total / len(score.tokens)))
    assert score.tokens[0].surprisal == pytest.approx(-score.tokens[0].log_probability / math.log(2))


def test_a_long_text_is_scored_as_its_parts_are(model: TrainedModel):
    text = " ".join(["The caster touches a creature."] * 60)
    long = [each.log_probability for each in model.score(text).tokens]
    assert len(long) == 360
    short = [each.log_probability for each in model.score(" ".join(text.split()[:20])).tokens]
    np.testing.assert_allclose(long[: len(short)], short, atol=1e-4)


def test_a_mixture_has_its_share_of_each_probability(model: TrainedModel):
    text = "The caster touches a creature. A light shines, and the frobnicator sleeps."
    plain, counted, mixed = (
        np.array([each.log_probability for each in model.score(text, mix=mix).tokens]) for mix in (0.0, 1.0, 0.3)
    )
    np.testing.assert_allclose(mixed, np.logaddexp(np.log(0.7) + plain, np.log(0.3) + counted), atol=1e-5)
    ngram = NgramModel(np.array(model.copy_index.ids, np.int64), len(model.vocabulary))
    ids = np.array([START, *(model.vocabulary.id_of(each.token) for each in model.score(text).tokens)])
    np.testing.assert_allclose(counted, ngram.log_probs(ids), atol=1e-5)
    assert abs(plain - counted).max() > 0.1


def test_a_mixture_needs_the_training_text(model: TrainedModel, tmp_path: Path):
    assert model.folder is not None
    shutil.copytree(model.folder, tmp_path / "alone", ignore=shutil.ignore_patterns(COPY_INDEX))
    alone = load(tmp_path / "alone")
    sentence = "this model has no copy index: leave out mix, or train without copy_index=False"
    with pytest.raises(SettingError, match=re.escape(sentence)):
        alone.score("The caster", mix=0.2)
    with pytest.raises(SettingError, match=re.escape(sentence)):
        alone.generate("The caster", mix=0.2)
    with pytest.raises(SettingError, match="mix must be"):
        alone.score("The caster", mix=1.5)


def test_nothing_has_no_score(model: TrainedModel):
    assert model.score("").sentences == ()
    assert model.score("").perplexity == 1
