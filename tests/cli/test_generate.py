"""`wordgen generate`: seeds, settings, output formats and errors."""

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.commands import command_environment
from wordgen.cli.main import main


@pytest.fixture(autouse=True)
def folder(trained_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained_folder)
    return trained_folder


def stdout_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["generate", *arguments]) == 0
    return capsys.readouterr().out


def test_text_begins_with_seed(capsys: pytest.CaptureFixture[str]):
    text = stdout_of(capsys, "--seed", "The caster", "--length", "20", "--random-seed", "3")
    assert text.startswith("The caster")
    assert text.endswith("\n")


def test_model_is_found_by_name_and_by_folder(capsys: pytest.CaptureFixture[str]):
    by_name = stdout_of(capsys, "--model", "small", "--random-seed", "3")
    assert by_name == stdout_of(capsys, "--model", "saved_models/small", "--random-seed", "3")


def test_printed_random_seed_repeats_the_text(capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--length", "5"]) == 0
    first = capsys.readouterr()
    random_seed = re.search(r"Writing with small, random seed (\d+)\.", first.err)
    assert random_seed is not None
    assert stdout_of(capsys, "--length", "5", "--random-seed", random_seed[1]) == first.out


def test_several_texts_get_headings(capsys: pytest.CaptureFixture[str]):
    text = stdout_of(capsys, "--count", "2", "--length", "5")
    assert text.startswith("--- 1 of 2\n")
    assert "\n--- 2 of 2\n" in text


def test_streamed_text_equals_json(capsys: pytest.CaptureFixture[str]):
    options = ["--seed", "A", "--random-seed", "8", "--length", "30"]
    assert json.loads(stdout_of(capsys, *options, "--json"))["text"] + "\n" == stdout_of(capsys, *options)


def test_json_is_one_object_per_line(capsys: pytest.CaptureFixture[str]):
    lines = stdout_of(capsys, "--count", "3", "--length", "5", "--json").strip().split("\n")
    texts = [json.loads(line) for line in lines]
    assert [text["number"] for text in texts] == [0, 1, 2]
    assert all(len(text["tokens"]) == 5 for text in texts)


def test_unknown_words_are_reported_on_stderr(capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--seed", "The frobnicator caster", "--length", "3"]) == 0
    output = capsys.readouterr()
    assert "frobnicator is unknown and left out of the seed." in output.err
    assert output.out.startswith("The caster")


def test_number_as_seed_suggests_random_seed(capsys: pytest.CaptureFixture[str]):
    main(["generate", "--seed", "42", "--length", "2"])
    assert "To write the same text again, use --random-seed 42." in capsys.readouterr().err


def test_similar_words_are_suggested(capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--seed", "castre", "--length", "3"]) == 0
    output = capsys.readouterr()
    assert "castre is unknown and left out of the seed. Did you mean caster" in output.err
    assert "No word of the seed is known, so the text begins without a seed." in output.err


def test_json_has_all_fields(capsys: pytest.CaptureFixture[str]):
    text = json.loads(stdout_of(capsys, "--seed", "The caster", "--length", "9", "--max-copy", "4", "--json"))
    assert set(text) == {
        "seed", "text", "tokens", "unknown_replacements", "log_probabilities", "ended", "unknown", "settings",
        "random_seed", "number", "perplexity", "copies", "model", "draws",
    }  # fmt: skip
    assert len(text["tokens"]) == len(text["log_probabilities"])
    assert text["copies"] == []


def test_each_line_of_seeds_file_is_a_seed(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    (tmp_path / "seeds.txt").write_text("The caster\n\n  A light\n", encoding="utf-8")
    options = ["--random-seed", "2", "--length", "6", "--json"]
    lines = stdout_of(capsys, "--seeds-file", str(tmp_path / "seeds.txt"), "--count", "2", *options).strip().split("\n")
    texts = [json.loads(line)["text"] for line in lines]
    assert [text.split()[0] for text in texts] == ["The", "The", "A", "A"]
    alone = stdout_of(capsys, "--seed", "A light", "--count", "2", *options).strip().split("\n")
    assert [json.loads(line)["text"] for line in alone] == texts[2:]


def test_seeds_file_reads_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"The caster\nA frob\n")))
    assert main(["generate", "--seeds-file", "-", "--length", "3"]) == 0
    output = capsys.readouterr()
    assert output.out.startswith("--- 1 of 2\nThe caster")
    assert "standard input, line 2: frob is unknown" in output.err


def test_warnings_name_line_of_seeds_file(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = tmp_path / "seeds.txt"
    unknown_words = " ".join(f"frob{chr(97 + n)}" for n in range(12))
    path.write_text(f"The castre\n\nA light\n{unknown_words}\n{'A light. ' * 3000}\n", encoding="utf-8")
    assert main(["generate", "--seeds-file", str(path), "--length", "2"]) == 0
    warnings = capsys.readouterr().err.strip().split("\n")
    assert warnings[0].startswith(f"{path}, line 1: castre is unknown and left out of the seed. Did you mean caster")
    assert warnings[1] == f"{path}, line 4: froba is unknown and left out of the seed."
    assert warnings[11:-1] == [
        f"{path}, line 4: 2 more words of the seed are unknown and left out.",
        f"{path}, line 4: No word of the seed is known, so the text begins without a seed.",
        f"{path}, line 5: The seed is too long: the model reads only its end, and continues from there.",
    ]


def test_output_file_equals_stdout_and_is_not_overwritten(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = tmp_path / "texts.txt"
    options = ["--seed", "A", "--random-seed", "8", "--length", "30"]
    assert stdout_of(capsys, *options, "--output", str(path)) == ""
    assert path.read_text(encoding="utf-8") == stdout_of(capsys, *options)
    assert main(["generate", *options, "--output", str(path)]) == 2
    assert "already exists: choose another name" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--max-copy", "5"], ["--show-copies"], ["--interactive", "--max-copy", "5"]])
def test_flags_for_copies_need_a_copy_index(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, flags: list[str]
):
    shutil.copytree(folder / "saved_models" / "small", tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / "copy_index")
    assert main(["generate", "--model", str(tmp_path / "bare"), "--seed", "The caster", *flags]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert "has no copy index" in output.err


def test_missing_until_text_is_reported(capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--until", "xyzzy", "--length", "4"]) == 0
    assert "'xyzzy' was not written within 4 tokens: give a larger --length." in capsys.readouterr().err
    assert main(["generate", "--until", "xyzzy", "--stop", "line", "--length", "5000"]) == 0
    sentence = "'xyzzy' was not written before the text ended: give a larger --length or leave out --stop line."
    assert sentence in capsys.readouterr().err


def test_show_copies_marks_matches_with_file_and_line(
    capsys: pytest.CaptureFixture[str], overfitted_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(overfitted_folder)
    output = stdout_of(capsys, "--mode", "greedy", "--length", "40", "--show-copies")
    assert re.search(r"⟦[^⟦⟧]+⟧1", output)
    assert re.search(r"^  1  \d+ tokens: few.txt, line \d+$", output, re.MULTILINE)
    output_with_limit = stdout_of(capsys, "--mode", "greedy", "--length", "40", "--show-copies", "--max-copy", "4")
    assert "No sequence of five tokens or more is in the training text." in output_with_limit


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode", "beam", "--count", "9"], "give a larger --beams"),
        (["--at-least", "60"], "give a larger --length"),
        (["--until", ""], "--until must not be empty"),
        (["--top-p", "1.5"], "--top-p must be at least 0 and at most 1"),
        (["--top-k", "-1"], "--top-k must be at least 0"),
        (["--repetition-penalty", "0"], "--repetition-penalty must be at most 100 and above 0"),
        (["--seed", "A", "--seeds-file", "x"], "cannot be used together"),
        (["--seeds-file", "nowhere.txt"], "nowhere.txt cannot be read"),
        (["--output", "nowhere/x.txt"], "There is no folder nowhere"),
        (["--interactive", "--json"], "leave out --json"),
        (["--co-writer", "--count", "3"], "--show-copies and --count"),
        (["--mode", "beam", "--length", "3000"], "--mode beam writes at most 2,000 tokens"),
    ],
)
def test_bad_arguments_get_one_sentence(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert main(["generate", *arguments]) == 2
    output = capsys.readouterr()
    assert message in output.err
    assert output.err.startswith("Error: ")
    assert output.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--mode", "greedy", "--temperature", "0.7"],
            "--mode greedy always takes the most probable token: --temperature has no effect.",
        ),
        (
            ["--mode", "beam", "--top-k", "3", "--top-p", "0.5", "--min-p", "0.1"],
            "--mode beam searches for the text that is most probable as a whole: --top-k, --top-p and --min-p have no "
            "effect.",
        ),
        (
            ["--beams", "9", "--length-penalty", "1"],
            "--mode sample draws each token by its probability: --beams and --length-penalty have no effect.",
        ),
    ],
)
def test_flags_without_effect_in_mode_are_reported_once(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["generate", "--length", "3", "--count", "2", *arguments]) == 0
    assert capsys.readouterr().err.count(message) == 1


@pytest.mark.parametrize("arguments", ["--mode greedy", "--temperature 2", "--mode beam --beams 2"])
def test_flags_with_effect_in_mode_get_no_warning(arguments: str, capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--length", "3", *arguments.split()]) == 0
    assert "no effect" not in capsys.readouterr().err


def test_words_are_printed_while_generating(folder: Path):
    """A process has printed the first words while it still generates the others."""
    with subprocess.Popen(
        [sys.executable, "-m", "wordgen", "generate", "--seed", "The caster", "--length", "1000000"],
        cwd=folder,
        env=command_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(40).startswith(b"The caster")
        assert process.poll() is None
        process.kill()
