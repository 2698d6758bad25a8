"""--models: runs in another folder than saved_models, and suggested commands that name this folder."""

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
from wordgen.report.page import render_page
from wordgen.run import commands
from wordgen.run.folder import find_model, find_run, folder_for, removable_folders, remove
from wordgen.run.listing import find_saved_run, find_sweep, saved_runs
from wordgen.run.names import LOGS, SAVED_MODELS, models_folder, name_of, run_exists, run_name, use_models_folder
from wordgen.run.record import save_record
from wordgen.run.settings import TrainSettings
from wordgen.web.answers import ModelStore
from wordgen.web.limits import RefusedError

OTHER_MODELS = Path("else where/models")
PARSERS = {verb: parser_of(verb, "x") for verb in ("train", "generate", "evaluate", "runs", "palindromes")}


def make_run_in(models: Path, name: str) -> Path:
    folder = models / name
    folder.mkdir(parents=True)
    save_record(folder, made_record())
    save_bundle(make_bundle(), folder)
    return folder


def test_runs_are_found_only_in_the_chosen_folder(in_empty_folder: Path):
    here, there = make_run_in(SAVED_MODELS, "here"), make_run_in(OTHER_MODELS, "there")
    inner = make_run_in(OTHER_MODELS / "sizes", "small-1")
    (inner.parent / LOGS).mkdir()
    with use_models_folder(OTHER_MODELS):
        assert find_model("there") == find_model() == there
        assert find_run("there") == there
        assert find_run("sizes/small-1") == inner
        assert [run.name for run in saved_runs()] == ["there"]
        assert [run.name for run in find_sweep("sizes").runs] == ["sizes/small-1"]
        assert (name_of(inner), find_saved_run("sizes/small-1").command_argument) == ("sizes/small-1", "sizes/small-1")
        assert run_exists("there")
        assert not run_exists("here")
        assert run_name(None, "tale").startswith("tale-")
        assert folder_for("new", overwrite=False) == OTHER_MODELS / "new"
        assert StudySettings(name="study").folder == OTHER_MODELS / "study"
        with pytest.raises(BundleError, match="neither as a folder nor in else where/models/"):
            find_model("here")
        remove(removable_folders(["there"])[0])
        assert not there.exists()
    assert find_model() == here
    assert models_folder() == SAVED_MODELS


def test_working_folder_can_be_the_models_folder(in_empty_folder: Path):
    make_run_in(Path(), "there")
    make_run_in(Path("sizes"), "small-1")
    Path("sizes", LOGS).mkdir()
    with use_models_folder("."):
        assert [run.name for run in saved_runs()] == ["there"]
        assert [run.name for run in find_sweep("sizes").runs] == ["sizes/small-1"]
        assert find_run("there") == find_model("there") == Path("there")
        assert (name_of(Path("there")), name_of(Path("sizes/small-1"))) == ("there", "sizes/small-1")
        remove(removable_folders(["there"])[0])
    assert not Path("there").exists()


def test_serve_takes_the_models_folder_and_model_names():
    parser = parser_of("serve", "x")
    arguments = parser.parse_args(["--models", "shelf", "lotr"])
    assert (arguments.models, arguments.served) == ("shelf", ["lotr"])
    assert "models" not in parser.parse_args([])


@pytest.mark.parametrize("models", [OTHER_MODELS, Path("-odd"), Path("/an/absolute one")])
def test_suggested_commands_name_the_models_folder(models: Path):
    settings = TrainSettings(corpus="tale", layers=1)
    with use_models_folder(models):
        suggested = [
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
        for_child_processes = [commands.training_arguments(settings, "run"), commands.resuming_arguments("run")]
    words = [shlex.split(command.removeprefix(commands.COMMAND_PREFIX)) for command in suggested]
    for verb, *rest in (*words, *for_child_processes):
        assert PARSERS[verb].parse_args(rest).models == str(models)
    assert "--models" not in commands.resuming_command("run")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12))
def test_models_folder_can_have_any_name(name: str):
    folder = Path("not there") / name.replace("/", "_")
    with use_models_folder(folder):
        verb, *rest = shlex.split(commands.writing_command("run").removeprefix(commands.COMMAND_PREFIX))
    assert Path(PARSERS[verb].parse_args(rest).models) == folder


def test_report_page_commands_name_the_models_folder():
    with use_models_folder(OTHER_MODELS):
        assert "--models" in render_page("tale", made_record(ended="stopped"))
        assert "that contains <code>saved_models</code>" not in render_page("tale", made_record())
    assert "that contains <code>saved_models</code>" in render_page("tale", made_record())


def test_model_store_keeps_its_folder_in_other_threads(in_empty_folder: Path):
    make_run_in(OTHER_MODELS, "there")
    make_run_in(SAVED_MODELS, "here")
    found: list[str] = []
    with use_models_folder(OTHER_MODELS):
        store = ModelStore([])

        def find() -> None:
            found.extend([*store.folders(), str(models_folder())])

        thread = threading.Thread(target=find)
        thread.start()
        thread.join()
    assert found == ["there", "saved_models"]


def test_error_of_empty_model_store_names_the_folder(in_empty_folder: Path):
    with use_models_folder("none here"):
        store = ModelStore([])
    with pytest.raises(RefusedError, match=r"no trained model in none here yet.*--models 'none here' --corpus lotr"):
        store.find(None)


@pytest.mark.parametrize(
    ("models", "message"),
    [("", "must be a folder"), ("a.txt", "must be a folder, and a.txt is not one"), ("x" * 300, "cannot be x"),
     ("a.txt/b", "cannot be a.txt/b"), ("a\0b", "must be a folder")],
)  # fmt: skip
def test_invalid_models_folder_is_refused(
    in_empty_folder: Path, models: str, message: str, capsys: pytest.CaptureFixture[str]
):
    Path("a.txt").write_text("no folder")
    with pytest.raises(SettingError, match=message), use_models_folder(models):
        pass
    assert main(["runs", "--models", models]) == 2
    assert message in capsys.readouterr().err


def test_runs_and_generate_use_the_models_folder(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    make_run_in(OTHER_MODELS, "there")
    for arguments in (
        ["runs", "--models", str(OTHER_MODELS), "--json"],
        ["runs", "list", "--models", str(OTHER_MODELS), "--json"],
    ):
        assert main(arguments) == 0
        assert [run["name"] for run in json.loads(capsys.readouterr().out)] == ["there"]
    assert main(["runs", "--models", str(OTHER_MODELS), "show", "there"]) == 0
    assert f"--models '{OTHER_MODELS}'" in capsys.readouterr().out
    assert main(["runs"]) == 0
    assert "There are no runs in saved_models/." in capsys.readouterr().out
    assert main(["generate", "--models", str(OTHER_MODELS), "--length", "2", "--random-seed", "1"]) == 0


def test_load_uses_the_models_folder(in_empty_folder: Path):
    make_run_in(OTHER_MODELS, "there")
    assert wordgen.load("there", models=OTHER_MODELS).generate("", length=2)
    with pytest.raises(BundleError, match="There is no model 'there'"):
        wordgen.load("there")
    with pytest.raises(SettingError, match=r"^models must be a folder"):
        wordgen.load("there", models="")


def test_train_and_resume_use_the_models_folder(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    small = ["--corpus", "spells", "--cell", "rnn", "--layers", "1", "--units", "4", "--epochs", "1"]
    assert main(["train", "--models", "mine", *small, "--name", "tale"]) == 0
    assert not (in_empty_folder / "saved_models").exists()
    assert (in_empty_folder / "mine" / "tale" / "report.json").is_file()
    assert "--model tale --models mine" in " ".join(capsys.readouterr().out.split())
    assert main(["train", "--models", "mine", "--resume", "tale", "--epochs", "2"]) == 0
    assert main(["train", "--resume", "tale"]) == 2
