"""Texts that a user and the model write in turns."""

from pathlib import Path

from wordgen.generation.settings import GenerationSettings
from wordgen.generation.trained import TrainedModel
from wordgen.run_folder import load


def test_a_manuscript_is_written_in_turns(model: TrainedModel):
    manuscript = model.manuscript("The caster")
    before = manuscript.duplicate()
    word = manuscript.next_words(5)[2]
    manuscript.pick(word)
    assert manuscript.text == "The caster" + word.piece
    assert manuscript.type(", frobs")[0].word == "frobs"
    assert manuscript.text == "The caster" + word.piece + ", frobs"
    pieces = list(manuscript.write(GenerationSettings(length=6, random_seed=1)))
    assert manuscript.text.endswith("".join(pieces))
    assert len(pieces) == 6
    assert before.text == "The caster"


def test_what_has_no_letters_can_be_picked_and_gone_on_from(japanese_room: Path):
    manuscript = load(japanese_room / "saved_models" / "lyrics").manuscript("夜の街")
    (end,) = (word for word in manuscript.next_words(10**6) if word.word == "(end)")
    first = manuscript.next_words(3)
    manuscript.pick(end)
    assert manuscript.text == "夜の街\n"
    assert manuscript.next_words(3) != first
    assert manuscript.type("街") == ()
    assert manuscript.text == "夜の街\n街"
