"""No control character from a text or a name reaches the terminal."""

import json
import math
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
from wordgen.cli.output import print_json, print_message, print_sanitized, render
from wordgen.cli.train import train_parser
from wordgen.errors import replace_controls
from wordgen.model.bundle import Bundle, save_bundle
from wordgen.run.settings import TrainSettings
from wordgen.run.train import plan_run
from wordgen.text.vocabulary import Vocabulary
from wordgen.training.progress import TerminalProgress
from wordgen.training.screen import screen

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202edlrow\u2066"
CONTROLS = {*map(chr, range(32)), *map(chr, range(127, 160)), *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}


def controls_in(text: str) -> set[str]:
    return set(text) & (CONTROLS - set("\n\t"))


@given(text=st.text(st.one_of(st.characters(), st.sampled_from(sorted(CONTROLS)))))
def test_plain_replaces_only_control_characters(text: str):
    assert not controls_in(replace_controls(text))
    kept = "".join(character for character in text if character not in CONTROLS or character in "\n\t")
    assert replace_controls(text).replace("?", "") == kept.replace("?", "")
    assert len(replace_controls(text)) == len(text)


@given(text=st.text(st.sampled_from([*sorted(CONTROLS), "a", "夜", "[", "\u200d"]), max_size=20))
def test_render_has_no_control_characters(text: str):
    table = Table(text)
    table.add_row(Text(text))
    assert not controls_in(render([text, Text(text), Group(table)]))


def test_print_functions_replace_control_characters(capsys: pytest.CaptureFixture[str]):
    print_sanitized(f"a\tb\n{HOSTILE}")
    print_message(HOSTILE)
    captured = capsys.readouterr()
    assert not controls_in(captured.out + captured.err)
    assert captured.out.startswith("a\tb\n?]0;owned??[2J")


def test_json_has_null_for_infinity(capsys: pytest.CaptureFixture[str]):
    print_json({"夜": [math.inf, -math.inf, math.nan, 0.1], "Infinity": "NaN"})
    assert capsys.readouterr().out == '{"夜": [null, null, null, 0.1], "Infinity": "NaN"}\n'


@pytest.fixture
def hostile_folder(in_empty_folder: Path) -> Path:
    """A folder with a run, a model and a corpus that have control characters in names, tokens and text."""
    bundle = make_bundle()
    pairs = [*zip(bundle.vocabulary.tokens, bundle.vocabulary.counts, strict=True)][:-1]
    vocabulary = Vocabulary([*pairs, (f"road{HOSTILE}", 5)])
    (in_empty_folder / "saved_models").mkdir()
    folder = in_empty_folder / "saved_models" / f"model{HOSTILE}"
    save_bundle(Bundle(bundle.architecture, bundle.text, vocabulary, bundle.weights), folder)
    make_run("made", settings={"corpus": f"tale{HOSTILE}"}, ended=f"ended{HOSTILE}")
    text = ("The road goes on and on, and nobody knows where it ends.\n\n" * 9 + f"One road{HOSTILE} ends.\n\n") * 20
    (in_empty_folder / f"text{HOSTILE}.txt").write_text(text)
    return in_empty_folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "--model", f"model{HOSTILE}", "--length", "40"],
        ["generate", "--model", f"model{HOSTILE}", "--length", "40", "--count", "2", "--seed", f"so {HOSTILE}"],
        ["score", "--model", f"model{HOSTILE}", f"a road{HOSTILE} , b"],
        ["evaluate", f"model{HOSTILE}", "--split", f"text{HOSTILE}.txt"],
        ["evaluate", f"{HOSTILE}"],
        ["runs"],
        ["runs", "show", f"model{HOSTILE}"],
        ["runs", "show", "made"],
        ["runs", "compare", "made", f"model{HOSTILE}"],
        ["runs", "rm", f"x{HOSTILE}"],
        ["corpora", "show", f"text{HOSTILE}.txt"],
        ["corpora", "add", "mine", f"text{HOSTILE}.txt"],
        ["train", "--corpus", f"none{HOSTILE}"],
        ["train", f"--{HOSTILE}"],
        [f"verb{HOSTILE}"],
        ["sweep", f"{HOSTILE}.toml"],
        ["export", f"model{HOSTILE}", "--to", "onnx"],
    ],
)
def test_no_command_prints_control_characters(
    arguments: list[str], hostile_folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(arguments) in (0, 2)
    captured = capsys.readouterr()
    assert captured.out + captured.err
    assert not controls_in(captured.out + captured.err)
    assert "itself" not in captured.err


def test_plan_has_no_control_characters(hostile_folder: Path, capsys: pytest.CaptureFixture[str]):
    settings = TrainSettings(corpus=f"text{HOSTILE}.txt", layers=1, units=4)
    TerminalProgress(screen(), train_parser("x").get_default("writing_command")).planned(plan_run(settings))
    stdout = capsys.readouterr().out
    assert "Plan for" in stdout
    assert not controls_in(stdout)


def test_json_and_files_keep_control_characters(hostile_folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--model", f"model{HOSTILE}", "--length", "300", "--json"]) == 0
    assert f"road{HOSTILE}" in json.loads(capsys.readouterr().out)["text"]
    assert main(["generate", "--model", f"model{HOSTILE}", "--length", "300", "--output", "text"]) == 0
    assert f"road{HOSTILE}" in Path("text").read_text()


def test_styles_keep_their_escape_sequences(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = screen(sys.stdout)
    console.begin_capture()
    console.print(Text(f"bold {HOSTILE}", "bold"))
    assert console.end_capture().startswith("\x1b[1mbold ")
