"""The prompt: what it answers, and one real terminal with a real process in it."""

import io
import os
import pty
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.helpers.commands import command_environment
from tests.helpers.terminal import read_until
from wordgen.api import load
from wordgen.cli.interactive import Conversation, converse
from wordgen.cli.output import WordWrap
from wordgen.generation.settings import GenerationSettings
from wordgen.generation.trained import TrainedModel


@pytest.fixture(scope="module")
def model(trained_room: Path) -> TrainedModel:
    return load(trained_room / "saved_models" / "small")


class Talk:
    def __init__(self, model: TrainedModel, *, co_writer: bool = False, **settings: object) -> None:
        self._said: list[str] = []
        chosen = GenerationSettings(**{"length": 8, "random_seed": 1, **settings})  # pyright: ignore[reportArgumentType]
        self.conversation = Conversation(model, chosen, self._said.append, co_writer=co_writer)

    def say(self, line: str) -> str:
        self._said.clear()
        self.conversation.answer(line)
        return "".join(self._said)


def test_a_beginning_is_written_on_from(model: TrainedModel):
    (text,) = model.generate("The caster", length=8, random_seed=1)
    assert Talk(model).say("The caster") == text.text + "\n"


def test_again_and_more(model: TrainedModel):
    talk = Talk(model, random_seed=None)
    first = talk.say("The caster")
    assert talk.say(":again").startswith("The caster")
    assert len({first, *(talk.say(":again") for _ in range(3))}) > 1
    talk.say(":random-seed 5")
    assert talk.say("The caster") != talk.say(":again")
    more = talk.say(":more")
    assert not more.startswith("The caster")
    assert len(more.split()) > 2


def test_settings_change_and_are_shown(model: TrainedModel):
    talk = Talk(model)
    assert talk.say(":temperature 0.5") == "  temperature 0.5\n"
    assert talk.say(":temperature") == "  temperature 0.5\n"
    assert talk.say(":stop sentence") == "  stop sentence\n"
    assert talk.say(":allow-unknown") == "  allow-unknown True\n"
    assert talk.say(":no-allow-unknown") == "  allow-unknown False\n"
    assert "temperature 0.5" in talk.say(":settings")
    assert talk.say(":random-seed none") == "  random-seed none\n"
    assert talk.say(":until the end") == "  until the end\n"
    assert talk.say(":until none") == "  until none\n"


def test_a_setting_that_the_mode_has_no_use_for_is_told(model: TrainedModel):
    talk = Talk(model, mode="greedy")
    assert "takes the most probable token: --temperature has no effect" in talk.say(":temperature 0.5")
    assert "no effect" not in talk.say(":temperature")
    assert "no effect" not in talk.say(":length 5")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (":temperature 0", "use --mode greedy"),
        (":temperature warm", "invalid float value"),
        (":sing", "There is no command or setting :sing"),
        (":save", "no text to save yet"),
        (":undo", "nothing to undo"),
        (":count 3", "one text at a time"),
        (":until", "until none"),
        (":stop never", "invalid choice"),
    ],
)
def test_what_is_wrong_is_said_and_the_talk_goes_on(model: TrainedModel, line: str, said: str):
    talk = Talk(model)
    assert said in talk.say(line)
    assert talk.say("The").startswith("The")
    assert not talk.conversation.over


def test_texts_are_added_to_a_file(model: TrainedModel, tmp_path: Path):
    talk = Talk(model)
    texts = [talk.say("The"), talk.say("A light")]
    talk.say(f":save {tmp_path / 'kept.txt'}")
    talk.say("The")
    talk.say(f":save {tmp_path / 'kept.txt'}")
    assert (tmp_path / "kept.txt").read_text(encoding="utf-8") == f"{texts[1]}\n{texts[0]}\n"
    assert "Cannot write" in talk.say(f":save {tmp_path / 'nowhere' / 'kept.txt'}")


def test_what_is_saved_twice_stands_there_once(model: TrainedModel, tmp_path: Path):
    talk, path = Talk(model), tmp_path / "kept.txt"
    path.write_text("mine\n\n", encoding="utf-8")
    first = talk.say("The caster").strip()
    assert talk.say(f":save {path}") == f"Added to {path}.\n"
    assert talk.say(f":save {path}") == f"The text is already in {path}.\n"
    assert path.read_text(encoding="utf-8") == f"mine\n\n{first}\n\n"
    grown = first + talk.say(":more").rstrip("\n")
    talk.say(f":save {path}")
    assert path.read_text(encoding="utf-8") == f"mine\n\n{grown}\n\n"
    path.write_text("something else", encoding="utf-8")
    talk.say(f":save {path}")
    assert path.read_text(encoding="utf-8") == f"something else{grown}\n\n"


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z", "M")), min_size=1, max_size=9)
SPACED = st.lists(WORDS | st.sampled_from([" ", "  ", "\n", "\n\n"])).map("".join)


@given(text=SPACED, cuts=st.lists(st.integers(0, 40)), width=st.integers(10, 30))
def test_a_terminal_gets_whole_words_however_the_text_comes(text: str, cuts: list[int], width: int):
    text += "\n"
    wrap, shown = WordWrap(width), ""
    for begin, end in pairwise([0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]):
        shown += wrap.take(text[begin:end])
    assert shown.split() == text.split()
    assert [line.split() for line in WordWrap(10**6).take(text).split("\n")] == [
        line.split() for line in text.split("\n")
    ]
    for line in shown.split("\n"):
        assert cell_len(line.rstrip()) <= width or len(line.split()) == 1


def test_words_are_picked_or_typed(model: TrainedModel):
    talk = Talk(model)
    talk.say("The caster")
    talk.say(":words")
    talk = Talk(model, co_writer=True)
    shown = talk.say("The caster")
    words = model.next_words("The caster", 5)
    assert re.findall(r"\d (\S+) \d+%", shown) == [word.word for word in words]
    assert talk.say("2").startswith("The caster" + words[1].piece + "\n")
    assert talk.say(":undo").startswith("The caster\n")
    assert talk.say("").startswith("The caster" + words[0].piece + "\n")
    assert talk.say("light").startswith("The caster" + words[0].piece + " light\n")
    assert talk.say(":more").count("The caster") == 1
    assert talk.say(":prompt").startswith("Type the beginning")
    assert talk.say(":more")


def test_what_is_typed_touches_as_the_tokenizer_says(japanese_room: Path, model: TrainedModel):
    japanese = Talk(load(japanese_room / "saved_models" / "lyrics"), co_writer=True)
    japanese.say("夜")
    assert japanese.say("街").startswith("夜街\n")
    english = Talk(model, co_writer=True)
    english.say("The caster")
    assert english.say(", light").startswith("The caster, light\n")


def test_a_number_that_is_no_word_is_not_written(model: TrainedModel):
    talk = Talk(model, co_writer=True)
    talk.say("The caster")
    assert "the words 1 to 5" in talk.say("9")
    assert "\nThe caster 25\n" in talk.say("25")


def test_a_step_is_taken_back(model: TrainedModel):
    talk = Talk(model)
    first = talk.say("The caster")
    talk.say(":more")
    assert talk.say(":undo") == first
    assert "nothing to undo" in talk.say(":undo")
    talk.say(":more")
    talk.say("A light")
    assert "nothing to undo" in talk.say(":undo")  # a new beginning is another text


def test_a_name_that_no_file_can_have_does_not_end_the_talk(model: TrainedModel):
    talk = Talk(model)
    talk.say("The caster")
    assert "cannot have a NUL character" in talk.say(":save a\0b")
    assert "Cannot write to" in talk.say(f":save {'x' * 5000}")


def test_unknown_words_are_told(model: TrainedModel):
    assert "(castre is unknown. Did you mean caster" in Talk(model).say("The castre")


def test_in_a_real_terminal(trained_room: Path):
    """A process in a terminal of its own: typed at, read, and left."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "wordgen", "generate", "--interactive", "--length", "5", "--random-seed", "1"],
        cwd=trained_room,
        env=command_environment(TERM="xterm", COLUMNS="100", LINES="30"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = read_until(ours, ">")
        os.write(ours, b"The caster\r")
        shown = read_until(ours, "The caster", times=2)
        os.write(ours, b":temperature 0.5\r")
        read_until(ours, "temperature 0.5", times=2)
        os.write(ours, b":quit\r")
        shown += read_until(ours, None)
        assert process.wait(20) == 0
    os.close(ours)
    assert "Traceback" not in shown


def test_bytes_that_are_no_text_do_not_end_the_talk(trained_room: Path, tmp_path: Path):
    ended = subprocess.run(
        [sys.executable, "-m", "wordgen", "generate", "--co-writer"],
        cwd=trained_room,
        env=command_environment(),
        input=b"The \xff\xfe caster\n:save " + bytes(tmp_path / "kept.txt") + b"\n",
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert b"Added to" in ended.stdout
    assert (tmp_path / "kept.txt").read_text(encoding="utf-8").startswith("The ")


def test_ngrams_are_counted_while_the_user_types_the_first_prompt(
    model: TrainedModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    counted: list[TrainedModel] = []
    monkeypatch.setattr(TrainedModel, "counting", lambda model: counted.append(model))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    converse(model, "small", GenerationSettings(mix=0.2))
    assert counted == [model]


def test_through_a_pipe(trained_room: Path):
    ended = subprocess.run(
        [sys.executable, "-m", "wordgen", "generate", "--interactive", "--length", "4"],
        cwd=trained_room,
        env=command_environment(),
        input=":temperature 2\nThe caster\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "temperature 2.0" in ended.stdout
    assert "\nThe caster" in ended.stdout
