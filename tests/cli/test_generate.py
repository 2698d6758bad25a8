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
def room(trained_room: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained_room)
    return trained_room


def written(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["generate", *arguments]) == 0
    return capsys.readouterr().out


def test_it_writes_on_from_the_seed_with_the_newest_model(capsys: pytest.CaptureFixture[str]):
    text = written(capsys, "--seed", "The caster", "--length", "20", "--random-seed", "3")
    assert text.startswith("The caster")
    assert text.endswith("\n")


def test_a_model_is_found_by_name_and_by_folder(capsys: pytest.CaptureFixture[str]):
    by_name = written(capsys, "--model", "small", "--random-seed", "3")
    assert by_name == written(capsys, "--model", "saved_models/small", "--random-seed", "3")


def test_it_says_which_model_writes_and_how_to_have_the_text_again(capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--length", "5"]) == 0
    told = re.search(r"Writing with small, random seed (\d+)\.", (first := capsys.readouterr()).err)
    assert told is not None
    assert written(capsys, "--length", "5", "--random-seed", told[1]) == first.out


def test_many_texts_are_told_apart(capsys: pytest.CaptureFixture[str]):
    text = written(capsys, "--count", "2", "--length", "5")
    assert text.startswith("--- 1 of 2\n")
    assert "\n--- 2 of 2\n" in text


def test_streamed_text_is_the_text_of_the_json(capsys: pytest.CaptureFixture[str]):
    options = ["--seed", "A", "--random-seed", "8", "--length", "30"]
    assert json.loads(written(capsys, *options, "--json"))["text"] + "\n" == written(capsys, *options)


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]):
    lines = written(capsys, "--count", "3", "--length", "5", "--json").strip().split("\n")
    texts = [json.loads(line) for line in lines]
    assert [text["number"] for text in texts] == [0, 1, 2]
    assert all(len(text["tokens"]) == 5 for text in texts)


def test_left_out_words_are_named_apart_from_the_text(capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--seed", "The frobnicator caster", "--length", "3"]) == 0
    shown = capsys.readouterr()
    assert "frobnicator is unknown and left out of the seed." in shown.err
    assert shown.out.startswith("The caster")


def test_a_number_as_seed_names_the_random_seed(capsys: pytest.CaptureFixture[str]):
    main(["generate", "--seed", "42", "--length", "2"])
    assert "To write the same text again, use --random-seed 42." in capsys.readouterr().err


def test_near_words_are_proposed(capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--seed", "castre", "--length", "3"]) == 0
    shown = capsys.readouterr()
    assert "castre is unknown and left out of the seed. Did you mean caster" in shown.err
    assert "No word of the seed is known, so the text begins without a seed." in shown.err


def test_json_tells_all_that_was_asked_for(capsys: pytest.CaptureFixture[str]):
    text = json.loads(written(capsys, "--seed", "The caster", "--length", "9", "--stop", "end", "--json"))
    assert set(text) == {
        "seed", "text", "tokens", "put_in", "log_probabilities", "ended", "unknown", "settings", "random_seed",
        "number", "perplexity", "copies", "model", "draws",
    }  # fmt: skip
    assert len(text["tokens"]) == len(text["log_probabilities"])
    assert text["copies"] == []


def test_each_line_of_a_file_is_a_seed(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    (tmp_path / "seeds.txt").write_text("The caster\n\n  A light\n", encoding="utf-8")
    options = ["--random-seed", "2", "--length", "6", "--json"]
    lines = written(capsys, "--seeds-file", str(tmp_path / "seeds.txt"), "--count", "2", *options).strip().split("\n")
    texts = [json.loads(line)["text"] for line in lines]
    assert [text.split()[0] for text in texts] == ["The", "The", "A", "A"]
    alone = written(capsys, "--seed", "A light", "--count", "2", *options).strip().split("\n")
    assert [json.loads(line)["text"] for line in alone] == texts[2:]


def test_seeds_may_come_through_a_pipe(room: Path):
    ended = subprocess.run(
        [sys.executable, "-m", "wordgen", "generate", "--seeds-file", "-", "--length", "3"],
        cwd=room, env=command_environment(), input="The caster\nA frob\n", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ended.stdout.startswith("--- 1 of 2\nThe caster")
    assert "standard input, line 2: frob is unknown" in ended.stderr


def test_what_is_told_of_a_seed_names_its_line(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = tmp_path / "seeds.txt"
    many = " ".join(f"frob{chr(97 + n)}" for n in range(12))
    path.write_text(f"The castre\n\nA light\n{many}\n{'A light. ' * 3000}\n", encoding="utf-8")
    assert main(["generate", "--seeds-file", str(path), "--length", "2"]) == 0
    told = capsys.readouterr().err.strip().split("\n")
    assert told[0].startswith(f"{path}, line 1: castre is unknown and left out of the seed. Did you mean caster")
    assert told[1] == f"{path}, line 4: froba is unknown and left out of the seed."
    assert told[11:-1] == [
        f"{path}, line 4: 2 more words of the seed are unknown and left out.",
        f"{path}, line 4: No word of the seed is known, so the text begins without a seed.",
        f"{path}, line 5: The seed is too long: the model reads only its end, and continues from there.",
    ]


def test_a_file_is_written_whole_and_never_over_another(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = tmp_path / "texts.txt"
    options = ["--seed", "A", "--random-seed", "8", "--length", "30"]
    assert written(capsys, *options, "--output", str(path)) == ""
    assert path.read_text(encoding="utf-8") == written(capsys, *options)
    assert main(["generate", *options, "--output", str(path)]) == 2
    assert "already exists: choose another name" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--max-copy", "5"], ["--show-copies"], ["--interactive", "--max-copy", "5"]])
def test_without_a_copy_index_nothing_is_begun(
    capsys: pytest.CaptureFixture[str], room: Path, tmp_path: Path, flags: list[str]
):
    shutil.copytree(room / "saved_models" / "small", tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / "copy_index")
    assert main(["generate", "--model", str(tmp_path / "bare"), "--seed", "The caster", *flags]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "has no copy index" in shown.err


def test_what_is_waited_for_in_vain_is_told(capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--until", "xyzzy", "--length", "4"]) == 0
    assert "'xyzzy' was not written within 4 tokens" in capsys.readouterr().err


def test_copies_are_marked_and_their_lines_named(
    capsys: pytest.CaptureFixture[str], overfitted_room: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(overfitted_room)
    shown = written(capsys, "--mode", "greedy", "--length", "40", "--show-copies")
    assert re.search(r"⟦[^⟦⟧]+⟧1", shown)
    assert re.search(r"^  1  \d+ tokens: few.txt, line \d+$", shown, re.MULTILINE)
    guarded = written(capsys, "--mode", "greedy", "--length", "40", "--show-copies", "--max-copy", "4")
    assert "No sequence of five tokens or more is in the training text." in guarded


@pytest.mark.parametrize(
    ("arguments", "said"),
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
def test_what_cannot_be_is_said_in_a_sentence(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    assert main(["generate", *arguments]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.err.startswith("Error: ")
    assert shown.out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
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
def test_what_a_mode_has_no_use_for_is_told_once(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--length", "3", "--count", "2", *arguments]) == 0
    assert capsys.readouterr().err.count(said) == 1


@pytest.mark.parametrize("arguments", ["--mode greedy", "--temperature 2", "--mode beam --beams 2"])
def test_what_a_mode_asks_for_is_not_remarked_on(arguments: str, capsys: pytest.CaptureFixture[str]):
    assert main(["generate", "--length", "3", *arguments.split()]) == 0
    assert "no effect" not in capsys.readouterr().err


def test_words_come_as_they_are_written(room: Path):
    """The first words are here long before the last: a real process, read while it writes."""
    with subprocess.Popen(
        [sys.executable, "-m", "wordgen", "generate", "--seed", "The caster", "--length", "1000000"],
        cwd=room,
        env=command_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(40).startswith(b"The caster")
        assert process.poll() is None
        process.kill()
