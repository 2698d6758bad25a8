"""The answers of the playground equal the results of the Python API."""

import math
import threading
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.music import music_bundle
from tests.helpers.playground import Playground, save_random_model, text_config
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
from wordgen.web.limits import RefusedError, TimeLimitError
from wordgen.web.requests import NextWordsRequest, TextRequest

PROMPT = "The caster"


def no_check() -> None:
    """A check between two tokens that never stops the work."""


@pytest.fixture
def store(playground_folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    monkeypatch.chdir(playground_folder)
    return ModelStore([])


def write_answer(store: ModelStore, **request: Any) -> dict[str, Any]:
    return answers.whole_text(list(answers.text(store, TextRequest(**{"model": "spells", **request}), no_check)))


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
def test_text_and_surprisal_equal_those_of_model(
    settings: dict[str, Any], store: ModelStore, spells_model: TrainedModel
):
    answer = write_answer(store, seed=PROMPT, random_seed=4, **settings)
    (text,) = spells_model.generate(PROMPT, random_seed=4, **settings)
    assert answer["text"] == text.text
    assert [token for word in answer["words"] for token in word["tokens"]] == list(text.tokens)
    bits = [-each / math.log(2) for each in text.log_probabilities]
    assert [word["bits"] for word in answer["words"]] == pytest.approx(bits, abs=1e-3)
    assert (answer["ended"], answer["random_seed"]) == (text.ended, 4)
    assert answer["perplexity"] == pytest.approx(text.perplexity, rel=1e-3)
    copies = [(each.start, each.tokens, each.file, each.line) for each in spells_model.copies(text)]
    assert [(each["start"], each["tokens"], each["file"], each["line"]) for each in answer["copies"]] == copies


def test_continuing_tokens_equals_continuing_their_text(store: ModelStore):
    first = write_answer(store, seed=PROMPT, length=10, mode="greedy")
    tokens = [token for word in first["seed_words"] + first["words"] for token in word["tokens"]]
    rest = write_answer(store, tokens=tuple(tokens[:6]), length=6, mode="greedy")
    assert [word["tokens"][0] for word in rest["words"]] == tokens[6:]
    assert rest["text"] == first["text"][-len(rest["text"]) :]


def test_words_for_unknown_are_marked_and_can_be_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    vocabulary = Vocabulary.from_counts({"moon": 3, "light": 2, "￭.": 1}, 100, 1)
    unknown = UnknownWords(("owl", "Wren"), ((3, 0, 4, False), (2, 1, 4, True)))
    save_random_model(
        tmp_path / "saved_models" / "moon", vocabulary, text_config(), always=UNKNOWN_TOKEN, unknown=unknown
    )
    monkeypatch.chdir(tmp_path)
    answer = write_answer(ModelStore([]), model="moon", seed="moon", length=7, stop="line", at_least=7)
    assert [word["replaces_unknown"] for word in answer["words"]] == [True, False] * 3 + [True]
    assert {word["piece"].strip().lower() for word in answer["words"][::2]} <= {"owl", "wren"}
    tokens = [token for word in answer["words"][:3] for token in word["tokens"]]
    rest = write_answer(ModelStore([]), model="moon", seed="moon", tokens=tuple(tokens), length=3)
    assert [word["replaces_unknown"] for word in rest["words"]] == [False, True, False]
    (next_words,) = answers.next_words(ModelStore([]), NextWordsRequest(model="moon", seed="moon", number=1), no_check)
    assert next_words["words"][0]["word"].lower() in ("owl", "wren")
    with pytest.raises(SettingError, match="'eagle' is not a token of this model"):
        write_answer(ModelStore([]), model="moon", tokens=("eagle",), length=3)


def test_next_words_equal_those_of_model(store: ModelStore, spells_model: TrainedModel):
    (answer,) = answers.next_words(store, NextWordsRequest(model="spells", seed=PROMPT, number=7), no_check)
    expected = [(each.word, [each.token], each.probability) for each in spells_model.next_words(PROMPT, 7)]
    assert [(each["word"], each["tokens"], each["probability"]) for each in answer["words"]] == expected


def test_next_words_are_in_the_key_of_the_tune(store: ModelStore):
    beginning: dict[str, Any] = {"model": "airs", "seed": "T:", "key": "D", "metre": "6/8"}
    written = write_answer(store, **beginning, length=20, temperature=1.0, random_seed=3)["words"]
    tokens = [token for word in written for token in word["tokens"]]
    pieces: list[tuple[str, str]] = []
    for place, word in enumerate(written):
        request = NextWordsRequest(**beginning, tokens=tuple(tokens[:place]), number=50)
        (answer,) = answers.next_words(store, request, no_check)
        pieces += [(word["piece"], each["piece"]) for each in answer["words"] if each["tokens"] == word["tokens"]]
    assert len(pieces) > 10
    assert all(piece == listed for piece, listed in pieces)
    assert any(piece not in tokens for piece, _ in pieces)


def test_errors_of_models_name_settings_as_in_the_api(playground: Playground):
    for path in ("/api/text", "/api/write", "/api/next"):
        error = playground.post(path, model="spells", key="D").content["error"]
        assert error.startswith("key is for models of tunes in ABC, and this model writes text")


def test_match_has_file_and_line(store: ModelStore):
    lines = Path(open_corpus("spells").files[0]).read_text(encoding="utf-8").split("\n")
    number, line = next((n, each) for n, each in enumerate(lines, 1) if len(each.split()) > 9)
    answer = write_answer(store, seed=line, length=1)
    assert answer["copies"][0]["line"] == number
    assert answer["copies"][0]["file"] == "spells.txt"
    assert answer["copies"][0]["text"] in line


def test_model_without_copy_index_reports_no_matches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    vocabulary = Vocabulary.from_counts({"moon": 3, "light": 2, "￭.": 1}, 100, 1)
    save_random_model(tmp_path / "saved_models" / "moon", vocabulary, text_config())
    monkeypatch.chdir(tmp_path)
    assert write_answer(ModelStore([]), model="moon", length=4)["copies"] is None
    with pytest.raises(SettingError, match="no copy index"):
        write_answer(ModelStore([]), model="moon", length=4, max_copy=5)


def test_spelled_out_word_is_one_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    vocabulary = Vocabulary.from_counts({"moon": 3, "light": 2, "rare": 1}, 400, 2, spelling=True)
    save_random_model(tmp_path / "saved_models" / "moon", vocabulary, text_config())
    monkeypatch.chdir(tmp_path)
    answer = write_answer(ModelStore([]), model="moon", seed="moon zebra light", length=80, random_seed=2)
    assert [word["piece"].strip() for word in answer["seed_words"]] == ["moon", "zebra", "light"]
    assert len(answer["seed_words"][1]["tokens"]) == 6
    spelled = [word for word in answer["words"][:-1] if len(word["tokens"]) > 1]
    assert spelled
    assert all(word["piece"].strip() for word in spelled)
    (text,) = load("saved_models/moon").generate("moon zebra light", length=80, random_seed=2)
    assert "".join(word["piece"] for word in answer["seed_words"] + answer["words"]) == text.text


def test_answer_counts_draws_until_valid_tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    save_bundle(music_bundle("abc", ["C", "D", "|"]), tmp_path / "saved_models" / "tunes")
    tunes, draws = load("tunes"), []
    for number in range(5, 10):
        settings: dict[str, Any] = {"only_valid": True, "temperature": 1.0, "length": 30, "random_seed": number}
        answer = write_answer(ModelStore([]), model="tunes", seed="M:none\nL:1/8\nK:C\nC", **settings)
        (text,) = tunes.generate("M:none\nL:1/8\nK:C\nC", **settings)
        assert answer["draws"] == text.draws
        assert text.text.endswith(answer["text"])  # the answer has no tokens that the model does not know
        assert len(answer["text"]) > 1
        draws.append(answer["draws"])
    assert max(draws) > 1
    assert write_answer(ModelStore([]), model="tunes", length=3)["draws"] == 1


def test_unknown_word_of_prompt_gets_suggestions(store: ModelStore):
    answer = write_answer(store, seed="The castr", length=1)
    assert answer["unknown"][0]["word"] == "castr"
    assert "caster" in answer["unknown"][0]["similar"]
    with pytest.raises(SettingError, match="'castr' is not a token of this model"):
        write_answer(store, tokens=("castr",))


@pytest.mark.parametrize("mode", ["sample", "beam"])
def test_check_can_stop_writing_between_two_tokens(mode: str, spells_model: TrainedModel):
    class StopError(Exception):
        pass

    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks == 4:
            raise StopError

    settings = GenerationSettings(mode=mode, length=30, random_seed=1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(StopError):
        list(spells_model.continue_text([], settings, check))
    assert checks == 4


def test_ngrams_are_counted_once_for_all_waiting_requests(store: ModelStore, monkeypatch: pytest.MonkeyPatch):
    class StopError(Exception):
        pass

    released, counts = threading.Event(), []

    class SlowModel(NgramModel):
        def __init__(self, *arguments: Any) -> None:
            counts.append(arguments)
            released.wait(20)
            super().__init__(*arguments)

    monkeypatch.setattr(text_generator, "NgramModel", SlowModel)
    stopped = False

    def check() -> None:
        if stopped:
            raise StopError

    checks = iter([None])

    def check_once_then_time_up() -> None:
        if next(checks, "late"):
            raise TimeLimitError(60)

    mixed = TextRequest(model="spells", length=3, random_seed=1, mix=0.2)
    first, second = (answers.text(store, mixed, check) for _ in range(2))
    assert [next(each)["event"] for each in (first, second)] == ["wait", "wait"]
    assert next(answers.text(store, replace(mixed, mix=0.0), check))["event"] == "begin"
    stopped = True
    for each in (first, answers.next_words(store, NextWordsRequest(model="spells", mix=0.2), check)):
        with pytest.raises(StopError):
            next(each)
    stopped = False
    with pytest.raises(RefusedError, match="are still being counted: try again in 5 seconds, or without mix"):
        next(answers.next_words(store, NextWordsRequest(model="spells", mix=0.2), check_once_then_time_up))
    released.set()
    assert [each["event"] for each in second] == ["begin", "word", "word", "word", "copies", "end"]
    assert next(answers.text(store, mixed, check))["event"] == "begin"
    assert len(counts) == 1


def test_failed_count_of_ngrams_is_tried_again(store: ModelStore, monkeypatch: pytest.MonkeyPatch):
    counts = []

    class FailingModel(NgramModel):
        def __init__(self, *arguments: Any) -> None:
            counts.append(arguments)
            if len(counts) < 3:
                raise MemoryError
            super().__init__(*arguments)

    monkeypatch.setattr(text_generator, "NgramModel", FailingModel)
    request = NextWordsRequest(model="spells", mix=0.2)
    for _ in range(2):
        with pytest.raises(MemoryError):
            next(answers.next_words(store, request, no_check))
    assert next(answers.next_words(store, request, no_check))["words"]
    assert len(counts) == 3


def test_example_prompts_are_known_words_and_do_not_change(playground: Playground):
    first, again = (playground.ask("GET", "/api/models/lyrics").content for _ in range(2))
    assert first == again
    assert 2 <= len(first["examples"]) <= 5
    continued = playground.post("/api/text", model="lyrics", seed=first["examples"][0], length=1).content
    assert continued["unknown"] == []
    assert continued["text"].startswith(first["examples"][0])


def test_examples_are_common_words_if_texts_begin_with_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    vocabulary = Vocabulary.from_counts({"=": 9, "There": 5, "there": 5, "A": 4, "Frodo": 3}, 100, 1)
    save_random_model(tmp_path / "saved_models" / "signs", vocabulary, text_config(), always="=")
    monkeypatch.chdir(tmp_path)
    (description,) = answers.about_model(ModelStore([]), "signs", no_check)
    assert description["examples"] == ["There", "Frodo"]


def test_score_equals_score_of_model(playground: Playground, spells_model: TrainedModel):
    text = "The caster sleeps. A light goes out."
    answer = playground.post("/api/score", model="spells", text=text).content
    score = spells_model.score(text)
    assert [each["bits"] for each in answer["words"]] == pytest.approx([s.surprisal for s in score.tokens], abs=1e-3)
    assert "".join(each["piece"] for each in answer["words"]) == text
    assert [each["text"] for each in answer["sentences"]] == [each.text for each in score.sentences]
    refused = playground.post("/api/score", model="spells", text="  ")
    assert (refused.status, refused.content["error"]) == (422, "text has no tokens to score: give at least one word.")


def test_streamed_words_join_to_whole_text(playground: Playground):
    request = {"model": "lyrics", "seed": "夜", "length": 12, "random_seed": 9}
    streamed, whole = playground.post("/api/write", **request), playground.post("/api/text", **request).content
    assert streamed.headers["content-type"] == "application/x-ndjson"
    kinds = [line["event"] for line in streamed.lines]
    assert kinds == ["begin", *["word"] * 12, "copies", "end"]
    pieces = [line["piece"] for line in streamed.lines if line["event"] == "word"]
    assert "".join(["夜", *pieces]) == whole["text"]


def test_explicit_default_settings_change_nothing(playground: Playground):
    settings = playground.ask("GET", "/api/settings").content["settings"]
    defaults = {each["name"]: each["default"] for each in settings}
    assert set(defaults) == {each.name for each in fields(GenerationSettings)} - {"count"}
    implicit = playground.post("/api/text", model="spells", random_seed=1).content
    explicit = playground.post("/api/text", **{**defaults, "model": "spells", "random_seed": 1}).content
    assert explicit["text"] == implicit["text"]
