"""Texts that a user and the model write in turns."""

from pathlib import Path

from wordgen.api import load
from wordgen.generation.settings import GenerationSettings
from wordgen.generation.trained import TrainedModel


def test_a_session_is_written_in_turns(model: TrainedModel):
    session = model.session("The caster")
    before = session.duplicate()
    word = session.next_words(5)[2]
    session.pick(word)
    assert session.text == "The caster" + word.piece
    assert session.type(", frobs")[0].word == "frobs"
    assert session.text == "The caster" + word.piece + ", frobs"
    pieces = list(session.write(GenerationSettings(length=6, random_seed=1)))
    assert session.text.endswith("".join(pieces))
    assert len(pieces) == 6
    assert before.text == "The caster"


def test_what_has_no_letters_can_be_picked_and_gone_on_from(japanese_room: Path):
    session = load(japanese_room / "saved_models" / "lyrics").session("夜の街")
    (end,) = (word for word in session.next_words(10**6) if word.word == "(end)")
    first = session.next_words(3)
    session.pick(end)
    assert session.text == "夜の街\n"
    assert session.next_words(3) != first
    assert session.type("街") == ()
    assert session.text == "夜の街\n街"
