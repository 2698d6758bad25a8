"""What the playground answers is what the model itself says."""

import math
import threading
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.music import music_bundle
from tests.helpers.playground import Playground, plain_text, save_drawn
from wordgen.api import load
from wordgen.corpus.finding import open_corpus
from wordgen.dataset.dataset import UnknownWords
from wordgen.errors import SettingError
from wordgen.generation import text_generator
from wordgen.generation.prediction import NgramModel
from wordgen.generation.settings import GenerationSettings
from wordgen.generation.trained import TrainedModel
from wordgen.model.bundle import save_bundle
from wordgen.text.vocabulary import UNKNOWN_TOKEN, Vocabulary
from wordgen.web import answers
from wordgen.web.answers import ModelStore
from wordgen.web.limits import RefusedError, TimeUpError
from wordgen.web.requests import NextWordsRequest, TextRequest

KNOWN_LINE = "The caster"


def nothing() -> None:
    """Between two tokens."""


@pytest.fixture
def store(playground_room: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    monkeypatch.chdir(playground_room)
    return ModelStore([])


def told(store: ModelStore, **asked: Any) -> dict[str, Any]:
    return answers.whole_text(list(answers.text(store, TextRequest(**{"model": "spells", **asked}), nothing)))


@pytest.mark.parametrize(
    "settings",
    [
        {"length": 30},
        {"length": 30, "mode": "greedy"},
        {"length": 12, "mode": "beam", "beams": 3},
        {"length": 60, "stop": "sentence", "at_least": 5},
        {"length": 30, "top_k": 4, "repetition_penalty": 1.5, "no_repeat_ngram": 2, "max_copy": 5},
    ],
)
def test_the_words_are_those_that_the_model_writes_with_their_surprisal(
    settings: dict[str, Any], store: ModelStore, spells: TrainedModel
):
    answer = told(store, seed=KNOWN_LINE, random_seed=4, **settings)
    (text,) = spells.generate(KNOWN_LINE, random_seed=4, **settings)
    assert answer["text"] == text.text
    assert [token for word in answer["words"] for token in word["tokens"]] == list(text.tokens)
    bits = [-each / math.log(2) for each in text.log_probabilities]
    assert [word["bits"] for word in answer["words"]] == pytest.approx(bits, abs=1e-3)
    assert (answer["ended"], answer["random_seed"]) == (text.ended, 4)
    assert answer["perplexity"] == pytest.approx(text.perplexity, rel=1e-3)
    copies = [(each.start, each.tokens, each.file, each.line) for each in spells.copies(text)]
    assert [(each["start"], each["tokens"], each["file"], each["line"]) for each in answer["copies"]] == copies


def test_going_on_from_tokens_is_going_on_from_their_text(store: ModelStore):
    first = told(store, seed=KNOWN_LINE, length=10, mode="greedy")
    tokens = [token for word in first["seed_words"] + first["words"] for token in word["tokens"]]
    rest = told(store, tokens=tuple(tokens[:6]), length=6, mode="greedy")
    assert [word["tokens"][0] for word in rest["words"]] == tokens[6:]
    assert rest["text"] == first["text"][-len(rest["text"]) :]


def test_a_word_in_the_place_of_unknown_is_said_to_be_one_and_may_be_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    vocabulary = Vocabulary.from_counts({"moon": 3, "light": 2, "￭.": 1}, 100, 1)
    unknown = UnknownWords(("owl", "Wren"), ((3, 0, 4, False), (2, 1, 4, True)))
    save_drawn(tmp_path / "saved_models" / "moon", vocabulary, plain_text(), always=UNKNOWN_TOKEN, unknown=unknown)
    monkeypatch.chdir(tmp_path)
    answer = told(ModelStore([]), model="moon", seed="moon", length=7, stop="line", at_least=7)
    assert [word["put_in"] for word in answer["words"]] == [True, False] * 3 + [True]
    assert {word["piece"].strip().lower() for word in answer["words"][::2]} <= {"owl", "wren"}
    tokens = [token for word in answer["words"][:3] for token in word["tokens"]]
    rest = told(ModelStore([]), model="moon", seed="moon", tokens=tuple(tokens), length=3)
    assert [word["put_in"] for word in rest["words"]] == [False, True, False]
    (offers,) = answers.next_words(ModelStore([]), NextWordsRequest(model="moon", seed="moon", number=1), nothing)
    assert offers["words"][0]["word"].lower() in ("owl", "wren")
    with pytest.raises(SettingError, match="'eagle' is not a token of this model"):
        told(ModelStore([]), model="moon", tokens=("eagle",), length=3)


def test_the_alternatives_are_the_models_own_next_words(store: ModelStore, spells: TrainedModel):
    (answer,) = answers.next_words(store, NextWordsRequest(model="spells", seed=KNOWN_LINE, number=7), nothing)
    expected = [(each.word, [each.token], each.probability) for each in spells.next_words(KNOWN_LINE, 7)]
    assert [(each["word"], each["tokens"], each["probability"]) for each in answer["words"]] == expected


def test_a_piece_of_the_training_text_is_told_with_its_line(store: ModelStore, spells: TrainedModel):
    lines = Path(open_corpus("spells").files[0]).read_text(encoding="utf-8").split("\n")
    number, line = next((n, each) for n, each in enumerate(lines, 1) if len(each.split()) > 9)
    answer = told(store, seed=line, length=1)
    assert answer["copies"][0]["line"] == number
    assert answer["copies"][0]["file"] == "spells.txt"
    assert answer["copies"][0]["text"] in line


def test_a_model_without_an_index_does_not_know_of_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    vocabulary = Vocabulary.from_counts({"moon": 3, "light": 2, "￭.": 1}, 100, 1)
    save_drawn(tmp_path / "saved_models" / "moon", vocabulary, plain_text())
    monkeypatch.chdir(tmp_path)
    assert told(ModelStore([]), model="moon", length=4)["copies"] is None
    with pytest.raises(SettingError, match="no copy index"):
        told(ModelStore([]), model="moon", length=4, max_copy=5)


def test_a_word_that_is_spelled_out_is_one_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    vocabulary = Vocabulary.from_counts({"moon": 3, "light": 2, "rare": 1}, 400, 2, spelling=True)
    save_drawn(tmp_path / "saved_models" / "moon", vocabulary, plain_text())
    monkeypatch.chdir(tmp_path)
    answer = told(ModelStore([]), model="moon", seed="moon zebra light", length=80, random_seed=2)
    assert [word["piece"].strip() for word in answer["seed_words"]] == ["moon", "zebra", "light"]
    assert len(answer["seed_words"][1]["tokens"]) == 6
    spelled = [word for word in answer["words"][:-1] if len(word["tokens"]) > 1]
    assert spelled
    assert all(word["piece"].strip() for word in spelled)
    (text,) = load("saved_models/moon").generate("moon zebra light", length=80, random_seed=2)
    assert "".join(word["piece"] for word in answer["seed_words"] + answer["words"]) == text.text


def test_how_often_a_valid_tune_was_drawn_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    save_bundle(music_bundle("abc", ["C", "D", "|"]), tmp_path / "saved_models" / "tunes")
    tunes, draws = load("tunes"), []
    for number in range(5, 10):
        asked: dict[str, Any] = {"only_valid": True, "temperature": 1.0, "length": 30, "random_seed": number}
        answer = told(ModelStore([]), model="tunes", seed="M:none\nL:1/8\nK:C\nC", **asked)
        (text,) = tunes.generate("M:none\nL:1/8\nK:C\nC", **asked)
        assert answer["draws"] == text.draws
        assert text.text.endswith(answer["text"])  # the answer has only those tokens of the prompt that the model knows
        assert len(answer["text"]) > 1
        draws.append(answer["draws"])
    assert max(draws) > 1
    assert told(ModelStore([]), model="tunes", length=3)["draws"] == 1


def test_what_a_seed_has_that_is_unknown_is_told(store: ModelStore):
    answer = told(store, seed="The castr", length=1)
    assert answer["unknown"][0]["word"] == "castr"
    assert "caster" in answer["unknown"][0]["near"]
    with pytest.raises(SettingError, match="'castr' is not a token of this model"):
        told(store, tokens=("castr",))


@pytest.mark.parametrize("mode", ["sample", "beam"])
def test_the_work_stops_between_two_tokens(mode: str, spells: TrainedModel):
    class EnoughError(Exception):
        pass

    called = 0

    def between() -> None:
        nonlocal called
        called += 1
        if called == 4:
            raise EnoughError

    settings = GenerationSettings(mode=mode, length=30, random_seed=1)  # pyright: ignore[reportArgumentType]
    written: list[int] = []
    with pytest.raises(EnoughError):
        written.extend(each.id for each in spells.go_on([], settings, between))
    assert called == 4


def test_who_mixes_first_is_told_that_the_ngrams_are_counted_and_stops_without_stopping_the_count(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
):
    class EnoughError(Exception):
        pass

    released, counts = threading.Event(), []

    class SlowModel(NgramModel):
        def __init__(self, *given: Any) -> None:
            counts.append(given)
            released.wait(20)
            super().__init__(*given)

    monkeypatch.setattr(text_generator, "NgramModel", SlowModel)
    stopped = False

    def check() -> None:
        if stopped:
            raise EnoughError

    checks = iter([None])

    def time_up() -> None:
        if next(checks, "late"):
            raise TimeUpError(60)

    mixed = TextRequest(model="spells", length=3, random_seed=1, mix=0.2)
    first, second = (answers.text(store, mixed, check) for _ in range(2))
    assert [next(each)["event"] for each in (first, second)] == ["wait", "wait"]
    assert next(answers.text(store, replace(mixed, mix=0.0), check))["event"] == "begin"
    stopped = True
    for each in (first, answers.next_words(store, NextWordsRequest(model="spells", mix=0.2), check)):
        with pytest.raises(EnoughError):
            next(each)
    stopped = False
    with pytest.raises(RefusedError, match="are still being counted: try again in 5 seconds, or without mix"):
        next(answers.next_words(store, NextWordsRequest(model="spells", mix=0.2), time_up))
    released.set()
    assert [each["event"] for each in second] == ["begin", "word", "word", "word", "copies", "end"]
    assert next(answers.text(store, mixed, check))["event"] == "begin"
    assert len(counts) == 1


def test_a_count_of_ngrams_that_failed_is_begun_again(store: ModelStore, monkeypatch: pytest.MonkeyPatch):
    counts = []

    class OftenTooLarge(NgramModel):
        def __init__(self, *given: Any) -> None:
            counts.append(given)
            if len(counts) < 3:
                raise MemoryError
            super().__init__(*given)

    monkeypatch.setattr(text_generator, "NgramModel", OftenTooLarge)
    asked = NextWordsRequest(model="spells", mix=0.2)
    for _ in range(2):
        with pytest.raises(MemoryError):
            next(answers.next_words(store, asked, lambda: None))
    assert next(answers.next_words(store, asked, lambda: None))["words"]
    assert len(counts) == 3


def test_the_examples_are_words_of_the_model_and_always_the_same(playground: Playground):
    first, again = (playground.ask("GET", "/api/models/lyrics").content for _ in range(2))
    assert first == again
    assert 2 <= len(first["examples"]) <= 5
    begun = playground.post("/api/text", model="lyrics", seed=first["examples"][0], length=1).content
    assert begun["unknown"] == []
    assert begun["text"].startswith(first["examples"][0])


def test_where_a_model_begins_with_signs_common_words_are_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    vocabulary = Vocabulary.from_counts({"=": 9, "There": 5, "there": 5, "A": 4, "Frodo": 3}, 100, 1)
    save_drawn(tmp_path / "saved_models" / "signs", vocabulary, plain_text(), always="=")
    monkeypatch.chdir(tmp_path)
    (told_of,) = answers.about_model(ModelStore([]), "signs", nothing)
    assert told_of["examples"] == ["There", "Frodo"]


def test_a_text_is_scored_as_the_model_scores_it(playground: Playground, spells: TrainedModel):
    text = "The caster sleeps. A light goes out."
    answer = playground.post("/api/score", model="spells", text=text).content
    score = spells.score(text)
    assert [each["bits"] for each in answer["words"]] == pytest.approx([s.surprisal for s in score.tokens], abs=1e-3)
    assert "".join(each["piece"] for each in answer["words"]) == text
    assert [each["text"] for each in answer["sentences"]] == [each.text for each in score.sentences]
    refused = playground.post("/api/score", model="spells", text="  ")
    assert (refused.status, refused.content["error"]) == (422, "text has no tokens to score: give at least one word.")


def test_the_lines_of_a_stream_are_the_whole_text(playground: Playground):
    asked = {"model": "lyrics", "seed": "夜", "length": 12, "random_seed": 9}
    streamed, whole = playground.post("/api/write", **asked), playground.post("/api/text", **asked).content
    assert streamed.headers["content-type"] == "application/x-ndjson"
    kinds = [line["event"] for line in streamed.lines]
    assert kinds == ["begin", *["word"] * 12, "copies", "end"]
    pieces = [line["piece"] for line in streamed.lines if line["event"] == "word"]
    assert "".join(["夜", *pieces]) == whole["text"]


def test_every_setting_of_writing_is_taken(playground: Playground):
    """With the defaults as they are told, nothing changes."""
    told_settings = playground.ask("GET", "/api/settings").content["settings"]
    defaults = {each["name"]: each["default"] for each in told_settings}
    assert set(defaults) == {each.name for each in fields(GenerationSettings)} - {"count"}
    plain = playground.post("/api/text", model="spells", random_seed=1).content
    given = playground.post("/api/text", **{**defaults, "model": "spells", "random_seed": 1}).content
    assert given["text"] == plain["text"]
