"""Runs in another folder than saved_models: they are found there, and the suggested commands name it."""

import json
import shlex
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wordgen
from tests.helpers.bundles import make_bundle
from tests.helpers.saved_runs import made_record
from wordgen.cli.flags import parser_of
from wordgen.cli.main import main
from wordgen.errors import BundleError, SettingError
from wordgen.model.bundle import save_bundle
from wordgen.palindromes.settings import StudySettings
from wordgen.report.page import page_of
from wordgen.run import commands
from wordgen.run.folder import find_model, find_run, folder_for, removable, remove
from wordgen.run.listing import find_saved, find_sweep, saved_runs
from wordgen.run.names import SAVED_MODELS, is_run, models_folder, models_in, name_of, run_name
from wordgen.run.record import save_record
from wordgen.run.settings import TrainSettings
from wordgen.web.answers import ModelStore
from wordgen.web.limits import RefusedError

ELSEWHERE = Path("else where/models")
PARSERS = {verb: parser_of(verb, "x") for verb in ("train", "generate", "evaluate", "runs", "palindromes")}


def make_run_in(models: Path, name: str) -> Path:
    folder = models / name
    folder.mkdir(parents=True)
    save_record(folder, made_record())
    save_bundle(make_bundle(), folder)
    return folder


def test_runs_are_found_only_in_the_chosen_folder(in_empty_folder: Path):
    here, there = make_run_in(SAVED_MODELS, "here"), make_run_in(ELSEWHERE, "there")
    inner = make_run_in(ELSEWHERE / "sizes", "small-1")
    with models_in(ELSEWHERE):
        assert find_model("there") == find_model() == there
        assert find_run("there") == there
        assert find_run("sizes/small-1") == inner
        assert [run.name for run in saved_runs()] == ["there"]
        assert [run.name for run in find_sweep("sizes").runs] == ["sizes/small-1"]
        assert (name_of(inner), find_saved("sizes/small-1").called) == ("sizes/small-1", "sizes/small-1")
        assert is_run("there")
        assert not is_run("here")
        assert run_name(None, "tale").startswith("tale-")
        assert folder_for("new", overwrite=False) == ELSEWHERE / "new"
        assert StudySettings(name="study").folder == ELSEWHERE / "study"
        with pytest.raises(BundleError, match="neither as a folder nor in else where/models/"):
            find_model("here")
        remove(removable(["there"])[0])
        assert not there.exists()
    assert find_model() == here
    assert models_folder() == SAVED_MODELS


def test_the_working_folder_may_be_the_folder_of_runs(in_empty_folder: Path):
    make_run_in(Path(), "there")
    make_run_in(Path("sizes"), "small-1")
    with models_in("."):
        assert [run.name for run in saved_runs()] == ["there"]
        assert [run.name for run in find_sweep("sizes").runs] == ["sizes/small-1"]
        assert find_run("there") == find_model("there") == Path("there")
        assert (name_of(Path("there")), name_of(Path("sizes/small-1"))) == ("there", "sizes/small-1")
        remove(removable(["there"])[0])
    assert not Path("there").exists()


def test_the_playground_has_the_flag_beside_its_models():
    parser = parser_of("serve", "x")
    given = parser.parse_args(["--models", "shelf", "lotr"])
    assert (given.models, given.served) == ("shelf", ["lotr"])
    assert "models" not in parser.parse_args([])


@pytest.mark.parametrize("models", [ELSEWHERE, Path("-odd"), Path("/an/absolute one")])
def test_suggested_commands_name_the_folder(models: Path):
    settings = TrainSettings(corpus="tale", layers=1)
    with models_in(models):
        advised = [
            commands.training_command(settings),
            commands.resuming_command("run", 9),
            commands.writing_command("run", "Once"),
            commands.evaluating_command("run", samples=3),
            commands.runs_command("list", "sizes"),
            commands.runs_command("show", "-run"),
            commands.runs_command("compare", "a", "b"),
            commands.runs_command("rm", "run"),
            commands.palindromes_command(StudySettings(lengths=7)),
            commands.first_training(),
        ]
        for_children = [commands.training_arguments(settings, "run"), commands.resuming_arguments("run")]
    words = [shlex.split(command.removeprefix(commands.TRY)) for command in advised]
    for verb, *rest in (*words, *for_children):
        assert PARSERS[verb].parse_args(rest).models == str(models)
    assert "--models" not in commands.resuming_command("run")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12))
def test_a_folder_may_have_any_name(name: str):
    folder = Path("not there") / name.replace("/", "_")
    with models_in(folder):
        verb, *rest = shlex.split(commands.writing_command("run").removeprefix(commands.TRY))
    assert Path(PARSERS[verb].parse_args(rest).models) == folder


def test_the_page_of_a_run_has_commands_that_name_the_folder():
    with models_in(ELSEWHERE):
        assert "--models" in page_of("tale", made_record(ended="stopped"))
        assert "that contains <code>saved_models</code>" not in page_of("tale", made_record())
    assert "that contains <code>saved_models</code>" in page_of("tale", made_record())


def test_a_store_keeps_its_folder_in_other_threads(in_empty_folder: Path):
    make_run_in(ELSEWHERE, "there")
    make_run_in(SAVED_MODELS, "here")
    found: list[str] = []
    with models_in(ELSEWHERE):
        store = ModelStore([])

        def look() -> None:
            found.extend([*store.folders(), str(models_folder())])

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert found == ["there", "saved_models"]


def test_a_store_without_models_names_its_folder(in_empty_folder: Path):
    with models_in("none here"):
        store = ModelStore([])
    with pytest.raises(RefusedError, match=r"no trained model in none here yet.*--models 'none here' --corpus lotr"):
        store.find(None)


@pytest.mark.parametrize(
    ("models", "part"),
    [("", "must be a folder"), ("a.txt", "must be a folder, and a.txt is not one"), ("x" * 300, "cannot be x"),
     ("a.txt/b", "cannot be a.txt/b"), ("a\0b", "must be a folder")],
)  # fmt: skip
def test_what_cannot_be_a_folder_is_refused(
    in_empty_folder: Path, models: str, part: str, capsys: pytest.CaptureFixture[str]
):
    Path("a.txt").write_text("no folder")
    with pytest.raises(SettingError, match=part), models_in(models):
        pass
    assert main(["runs", "--models", models]) == 2
    assert part in capsys.readouterr().err


def test_runs_and_its_actions_take_the_flag(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    make_run_in(ELSEWHERE, "there")
    for arguments in (
        ["runs", "--models", str(ELSEWHERE), "--json"],
        ["runs", "list", "--models", str(ELSEWHERE), "--json"],
    ):
        assert main(arguments) == 0
        assert [run["name"] for run in json.loads(capsys.readouterr().out)] == ["there"]
    assert main(["runs", "--models", str(ELSEWHERE), "show", "there"]) == 0
    assert f"--models '{ELSEWHERE}'" in capsys.readouterr().out
    assert main(["runs"]) == 0
    assert "There are no runs in saved_models/." in capsys.readouterr().out
    assert main(["generate", "--models", str(ELSEWHERE), "--length", "2", "--random-seed", "1"]) == 0


def test_python_programs_have_a_parameter_for_it(in_empty_folder: Path):
    make_run_in(ELSEWHERE, "there")
    assert wordgen.load("there", models=ELSEWHERE).generate("", length=2)
    with pytest.raises(BundleError, match="There is no model 'there'"):
        wordgen.load("there")
    with pytest.raises(SettingError, match=r"^models must be a folder"):
        wordgen.load("there", models="")


def test_a_training_goes_there_and_can_be_resumed_there(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    small = ["--corpus", "spells", "--cell", "rnn", "--layers", "1", "--units", "4", "--epochs", "1"]
    assert main(["train", "--models", "mine", *small, "--name", "tale"]) == 0
    assert not (in_empty_folder / "saved_models").exists()
    assert (in_empty_folder / "mine" / "tale" / "report.json").is_file()
    assert "--model tale --models mine" in " ".join(capsys.readouterr().out.split())
    assert main(["train", "--models", "mine", "--resume", "tale", "--epochs", "2"]) == 0
    assert main(["train", "--resume", "tale"]) == 2
