"""`generate --interactive` and `--co-writer`: the answers, and one process in a terminal."""

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
def model(trained_folder: Path) -> TrainedModel:
    return load(trained_folder / "saved_models" / "small")


class Session:
    def __init__(self, model: TrainedModel, *, co_writer: bool = False, **settings: object) -> None:
        self._output: list[str] = []
        chosen = GenerationSettings(**{"length": 8, "random_seed": 1, **settings})  # pyright: ignore[reportArgumentType]
        self.conversation = Conversation(model, chosen, self._output.append, co_writer=co_writer)

    def enter(self, line: str) -> str:
        """Enter a line and return the answer."""
        self._output.clear()
        self.conversation.answer(line)
        return "".join(self._output)


def test_answer_continues_the_prompt(model: TrainedModel):
    (text,) = model.generate("The caster", length=8, random_seed=1)
    assert Session(model).enter("The caster") == text.text + "\n"


def test_again_generates_new_text_and_more_continues(model: TrainedModel):
    session = Session(model, random_seed=None)
    first = session.enter("The caster")
    assert session.enter(":again").startswith("The caster")
    assert len({first, *(session.enter(":again") for _ in range(3))}) > 1
    session.enter(":random-seed 5")
    assert session.enter("The caster") != session.enter(":again")
    assert session.enter(":more").strip()


def test_settings_can_be_changed_and_shown(model: TrainedModel):
    session = Session(model)
    assert session.enter(":temperature 0.5") == "  temperature 0.5\n"
    assert session.enter(":temperature") == "  temperature 0.5\n"
    assert session.enter(":stop sentence") == "  stop sentence\n"
    assert session.enter(":allow-unknown") == "  allow-unknown True\n"
    assert session.enter(":no-allow-unknown") == "  allow-unknown False\n"
    assert "temperature 0.5" in session.enter(":settings")
    assert session.enter(":random-seed none") == "  random-seed none\n"
    assert session.enter(":until the end") == "  until the end\n"
    assert session.enter(":until none") == "  until none\n"


def test_setting_without_effect_in_mode_is_reported(model: TrainedModel):
    session = Session(model, mode="greedy")
    assert "takes the most probable token: --temperature has no effect" in session.enter(":temperature 0.5")
    assert "no effect" not in session.enter(":temperature")
    assert "no effect" not in session.enter(":length 5")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (":temperature 0", "use --mode greedy"),
        (":temperature warm", "invalid float value"),
        (":sing", "There is no command or setting :sing"),
        (":save", "no text to save yet"),
        (":undo", "nothing to undo"),
        (":count 3", "one text at a time"),
        (":until", "until none"),
        (":stop never", "invalid choice"),
        (":mode Sample", ":mode: invalid choice: 'Sample' (choose from "),
        (":mode Sample", "Did you mean sample? Type :help to see the commands."),
        (":only-valid yes", "A switch has no value. :only-valid turns it on, and :no-only-valid turns it off."),
        (":temperature 0.5 --top-k 3", "invalid float value: '0.5 --top-k 3'. Type :help to see the commands."),
        (":until --", "until --"),
    ],
)
def test_session_continues_after_an_error(model: TrainedModel, line: str, message: str):
    session = Session(model)
    assert message in session.enter(line)
    assert session.enter("The").startswith("The")
    assert not session.conversation.is_over


def test_save_appends_to_file(model: TrainedModel, tmp_path: Path):
    session = Session(model)
    texts = [session.enter("The"), session.enter("A light")]
    session.enter(f":save {tmp_path / 'kept.txt'}")
    session.enter("The")
    session.enter(f":save {tmp_path / 'kept.txt'}")
    assert (tmp_path / "kept.txt").read_text(encoding="utf-8") == f"{texts[1]}\n{texts[0]}\n"
    assert "Cannot write" in session.enter(f":save {tmp_path / 'nowhere' / 'kept.txt'}")


def test_text_saved_again_replaces_itself(model: TrainedModel, tmp_path: Path):
    session, path = Session(model), tmp_path / "kept.txt"
    path.write_text("mine\n\n", encoding="utf-8")
    text = session.enter("The caster").strip()
    assert session.enter(f":save {path}") == f"Added to {path}.\n"
    assert session.enter(f":save {path}") == f"The text is already in {path}.\n"
    assert path.read_text(encoding="utf-8") == f"mine\n\n{text}\n\n"
    longer = text + session.enter(":more").rstrip("\n")
    session.enter(f":save {path}")
    assert path.read_text(encoding="utf-8") == f"mine\n\n{longer}\n\n"
    path.write_text("something else", encoding="utf-8")
    assert session.enter(f":save {path}") == f"Added to {path}.\n"
    assert path.read_text(encoding="utf-8") == f"something else{longer}\n\n"


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z", "M")), min_size=1, max_size=9)
TEXTS = st.lists(WORDS | st.sampled_from([" ", "  ", "\n", "\n\n"])).map("".join)


@given(text=TEXTS, cuts=st.lists(st.integers(0, 40)), width=st.integers(10, 30))
def test_word_wrap_keeps_words_whole_for_any_pieces(text: str, cuts: list[int], width: int):
    text += "\n"
    wrap, output = WordWrap(width), ""
    for begin, end in pairwise([0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]):
        output += wrap.feed(text[begin:end])
    assert output.split() == text.split()
    words_by_line = [line.split() for line in text.split("\n")]
    assert [line.split() for line in WordWrap(10**6).feed(text).split("\n")] == words_by_line
    for line in output.split("\n"):
        assert cell_len(line.rstrip()) <= width or len(line.split()) == 1


def test_word_wrap_shows_text_without_spaces_while_it_grows():
    wrap = WordWrap(10)
    assert [wrap.feed(piece) for piece in ("夜", "の街", "へと", "続く", "道 ")] == [
        "",
        "",
        "",
        "夜の街へと続く",
        "道 ",
    ]
    assert [wrap.feed(piece) for piece in ("a", " ", "b")] == ["", "\na ", ""]


def test_co_writer_takes_numbers_or_words(model: TrainedModel):
    session = Session(model)
    session.enter("The caster")
    session.enter(":words")
    session = Session(model, co_writer=True)
    output = session.enter("The caster")
    words = model.next_words("The caster", 5)
    assert re.findall(r"\d (\S+) \d+%", output) == [word.word for word in words]
    assert session.enter("2").startswith("The caster" + words[1].piece + "\n")
    assert session.enter(":undo").startswith("The caster\n")
    assert session.enter("").startswith("The caster" + words[0].piece + "\n")
    text = "The caster" + words[0].piece + " light"
    assert session.enter("light").startswith(f"{text}\n")
    continuation, _, shown = session.enter(":more").partition(f"\n{text}")  # only what is new, then the whole text
    assert shown.startswith(f"{continuation}\n")
    assert session.enter(":prompt").startswith("Type the beginning")
    assert session.enter(":more")


def test_typed_word_is_joined_as_tokenizer_does(japanese_folder: Path, model: TrainedModel):
    japanese = Session(load(japanese_folder / "saved_models" / "lyrics"), co_writer=True)
    japanese.enter("夜")
    assert japanese.enter("街").startswith("夜街\n")
    english = Session(model, co_writer=True)
    english.enter("The caster")
    assert english.enter(", light").startswith("The caster, light\n")


def test_number_of_no_suggested_word_is_reported(model: TrainedModel):
    session = Session(model, co_writer=True)
    session.enter("The caster")
    assert "the words 1 to 5" in session.enter("9")
    assert "\nThe caster 25\n" in session.enter("25")


def test_undo_takes_back_one_step(model: TrainedModel):
    session = Session(model)
    first = session.enter("The caster")
    session.enter(":more")
    assert session.enter(":undo") == first
    assert "nothing to undo" in session.enter(":undo")
    session.enter(":more")
    session.enter("A light")
    assert "nothing to undo" in session.enter(":undo")  # a new prompt begins another text


def test_more_that_is_refused_is_no_step_to_undo(model: TrainedModel):
    session = Session(model)
    first = session.enter("The caster")
    session.enter(":more")
    session.enter(":key G")
    assert "--key writes a whole tune" in session.enter(":more")
    assert session.enter(":undo") == first
    assert "nothing to undo" in session.enter(":undo")


def test_save_reports_impossible_file_names(model: TrainedModel):
    session = Session(model)
    session.enter("The caster")
    assert "cannot have a NUL character" in session.enter(":save a\0b")
    assert "Cannot write to" in session.enter(f":save {'x' * 5000}")


def test_unknown_words_are_reported(model: TrainedModel):
    assert "(castre is unknown. Did you mean caster" in Session(model).enter("The castre")


def test_session_in_a_terminal(trained_folder: Path):
    terminal, process_end = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "wordgen", "generate", "--interactive", "--length", "5", "--random-seed", "1"],
        cwd=trained_folder,
        env=command_environment(TERM="xterm", COLUMNS="100", LINES="30"),
        stdin=process_end,
        stdout=process_end,
        stderr=process_end,
    ) as process:
        os.close(process_end)
        read_until(terminal, ">")
        os.write(terminal, b"The caster\r")
        output = read_until(terminal, "The caster", times=2)
        os.write(terminal, b":temperature 0.5\r")
        read_until(terminal, "temperature 0.5", times=2)
        os.write(terminal, b":quit\r")
        output += read_until(terminal, None)
        assert process.wait(60) == 0
    os.close(terminal)
    assert "Traceback" not in output


def test_ngrams_are_counted_during_first_prompt(
    model: TrainedModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    counted: list[TrainedModel] = []
    monkeypatch.setattr(TrainedModel, "count_ngrams_in_background", lambda model: counted.append(model))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    converse(model, "small", GenerationSettings(mix=0.2))
    assert counted == [model]


def test_co_writer_reads_pipe_with_invalid_utf_8(trained_folder: Path, tmp_path: Path):
    path = tmp_path / "kept.txt"
    result = subprocess.run(
        [sys.executable, "-m", "wordgen", "generate", "--co-writer"],
        cwd=trained_folder,
        env=command_environment(),
        input=b":temperature 2\nThe caster\nThe \xff\xfe caster\n:save " + bytes(path) + b"\n",
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert b"temperature 2.0" in result.stdout
    assert b"\nThe caster" in result.stdout
    assert b"Added to" in result.stdout
    assert path.read_text(encoding="utf-8").startswith("The ")
