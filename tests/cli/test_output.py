"""What is printed holds no control characters but those of the display, whatever texts and names are made of."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group
from rich.table import Table
from rich.text import Text

from tests.helpers.bundles import make_bundle
from tests.helpers.saved_runs import make_run
from wordgen.cli.main import main
from wordgen.cli.output import on_screen, show, tell
from wordgen.cli.train import train_parser
from wordgen.errors import plain
from wordgen.model.bundle import Bundle, save_bundle
from wordgen.run.settings import TrainSettings
from wordgen.run.train import plan_run
from wordgen.text.vocabulary import Vocabulary
from wordgen.training.progress import TerminalProgress
from wordgen.training.screen import screen

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202edlrow\u2066"
CONTROLS = {*map(chr, range(32)), *map(chr, range(127, 160)), *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}


def controls_in(text: str) -> set[str]:
    return set(text) & (CONTROLS - set("\n\t"))


@given(text=st.text(st.one_of(st.characters(), st.sampled_from(sorted(CONTROLS)))))
def test_plain_text_keeps_all_but_what_a_terminal_obeys(text: str):
    assert not controls_in(plain(text))
    kept = [each for each in text if each not in CONTROLS or each in "\n\t"]
    assert [each for each in plain(text) if each != "?"] == [each for each in kept if each != "?"]
    assert len(plain(text)) == len(text)


@given(text=st.text(st.sampled_from([*sorted(CONTROLS), "a", "夜", "[", "\u200d"]), max_size=20))
def test_whatever_way_it_is_printed(text: str):
    table = Table(text)
    table.add_row(Text(text))
    assert not controls_in(on_screen([text, Text(text), Group(table)]))


def test_show_and_tell(capsys: pytest.CaptureFixture[str]):
    show(f"a\tb\n{EVIL}")
    tell(EVIL)
    captured = capsys.readouterr()
    assert not controls_in(captured.out + captured.err)
    assert captured.out.startswith("a\tb\n?]0;owned??[2J")


@pytest.fixture
def evil_room(in_empty_folder: Path) -> Path:
    """A run, a model and a corpus that were made to write to the terminal of whoever looks at them."""
    bundle = make_bundle()
    pairs = [*zip(bundle.vocabulary.tokens, bundle.vocabulary.counts, strict=True)][:-1]
    vocabulary = Vocabulary([*pairs, (f"road{EVIL}", 5)])
    (in_empty_folder / "saved_models").mkdir()
    folder = in_empty_folder / "saved_models" / f"model{EVIL}"
    save_bundle(Bundle(bundle.architecture, bundle.text, vocabulary, bundle.weights), folder)
    make_run("made", settings={"corpus": f"tale{EVIL}"}, ended=f"ended{EVIL}")
    text = ("The road goes on and on, and nobody knows where it ends.\n\n" * 9 + f"One road{EVIL} ends.\n\n") * 20
    (in_empty_folder / f"text{EVIL}.txt").write_text(text)
    return in_empty_folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "--model", f"model{EVIL}", "--length", "40"],
        ["generate", "--model", f"model{EVIL}", "--length", "40", "--count", "2", "--seed", f"so {EVIL}"],
        ["score", "--model", f"model{EVIL}", f"a road{EVIL} , b"],
        ["evaluate", f"model{EVIL}", "--split", f"text{EVIL}.txt"],
        ["evaluate", f"{EVIL}"],
        ["runs"],
        ["runs", "show", f"model{EVIL}"],
        ["runs", "show", "made"],
        ["runs", "compare", "made", f"model{EVIL}"],
        ["runs", "rm", f"x{EVIL}"],
        ["corpora", "show", f"text{EVIL}.txt"],
        ["corpora", "add", "mine", f"text{EVIL}.txt"],
        ["train", "--corpus", f"none{EVIL}"],
        ["train", f"--{EVIL}"],
        [f"verb{EVIL}"],
        ["sweep", f"{EVIL}.toml"],
        ["export", f"model{EVIL}", "--to", "onnx"],
    ],
)
def test_no_command_writes_to_the_terminal_what_a_stranger_made_up(
    arguments: list[str], evil_room: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(arguments) in (0, 2)
    captured = capsys.readouterr()
    assert captured.out + captured.err
    assert not controls_in(captured.out + captured.err)
    assert "itself" not in captured.err


def test_the_plan_of_a_training_is_plain(evil_room: Path, capsys: pytest.CaptureFixture[str]):
    settings = TrainSettings(corpus=f"text{EVIL}.txt", layers=1, units=4)
    TerminalProgress(screen(), train_parser("x").get_default("writing_command")).planned(plan_run(settings))
    shown = capsys.readouterr().out
    assert "Plan for" in shown
    assert not controls_in(shown)


def test_json_has_all_as_it_is(evil_room: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--model", f"model{EVIL}", "--length", "300", "--json"]) == 0
    assert f"road{EVIL}" in json.loads(capsys.readouterr().out)["text"]
    assert main(["generate", "--model", f"model{EVIL}", "--length", "300", "--output", "text"]) == 0
    assert f"road{EVIL}" in Path("text").read_text()


def test_the_display_keeps_its_own_control_sequences(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = screen(sys.stdout)
    console.begin_capture()
    console.print(Text(f"bold {EVIL}", "bold"))
    assert console.end_capture().startswith("\x1b[1mbold ")
