"""The start of a command: early Ctrl-C, closed or full streams, modules in the working folder, missing packages."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.commands import ROOT, command_environment, run_python
from tests.helpers.saved_runs import make_run
from wordgen.child_process import python_command, wordgen_command
from wordgen.cli.main import main

START_WITH_SIGINT = """
import os, signal, sys
from wordgen.cli import start
class Finder:
    left = {number}
    def find_spec(self, name, path=None, target=None):
        Finder.left -= 1
        if not Finder.left:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.exit(start.main())
"""


@pytest.mark.parametrize("number", [1, 60, 400])
def test_ctrl_c_during_imports_prints_one_line(number: int, tmp_path: Path):
    result = run_python(
        "-c", START_WITH_SIGINT.format(number=number), "train", "--corpus", "spells", "--dry-run", cwd=tmp_path
    )
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "Stopped.\n")


def run_shell(line: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    python = f"{sys.executable} -m wordgen"
    return subprocess.run(
        ["bash", "-c", line.replace("wordgen", python)],
        cwd=folder, env=command_environment(), capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "code", "stderr"),
    [
        ("wordgen runs >&-", 2, "Error: The output cannot be written: Bad file descriptor.\n"),
        ("wordgen runs > /dev/full", 2, "Error: The output cannot be written: No space left on device.\n"),
        ("wordgen --help > /dev/full", 2, "Error: The output cannot be written: No space left on device.\n"),
        ("wordgen runs >&- 2>&- <&-", 2, ""),
        ("wordgen generate --model nowhere 2> /dev/full", 2, ""),
        ("wordgen generate --model nowhere 2>&-", 2, ""),
        ("wordgen train --corpus - <&-", 2, "Error: Standard input is empty: there is no text to read.\n"),
        ("wordgen generate --interactive <&- > /dev/null", 0, ""),
        ("wordgen runs rm small <&- > /dev/null", 2, "Error: There is nobody to answer the question: give --yes "
         "to delete without asking.\n"),
    ],
)  # fmt: skip
def test_closed_or_full_streams_give_one_sentence(line: str, code: int, stderr: str, in_empty_folder: Path):
    make_run("small")
    result = run_shell(line, in_empty_folder)
    assert (result.returncode, result.stderr) == (code, stderr)
    assert "Traceback" not in result.stdout


MODULE_THAT_LEAVES_A_MARK = """
import builtins, os
with open({mark!r}, "a") as mark:
    mark.write(__name__ + "\\n")
"""


def test_modules_in_working_folder_are_not_imported(tmp_path: Path):
    mark = tmp_path / "mark"
    (tmp_path / "nothing.py").write_text("import sys; print(*sys.modules)")
    imported_at_start = set(run_python("-m", "nothing", cwd=tmp_path).stdout.split())  # Python itself looks for these
    packages = {"filelock", "numpy", "requests", "rich", "safetensors", "tensorflow", "tomlkit", "wordgen"}
    for name in (set(sys.stdlib_module_names) | packages) - imported_at_start:
        (tmp_path / f"{name}.py").write_text(MODULE_THAT_LEAVES_A_MARK.format(mark=str(mark)))
    (tmp_path / "wordgen.py").unlink()  # `python -m wordgen` would run it
    environment = {name: value for name, value in command_environment().items() if name != "PYTHONPATH"}
    code = "import wordgen.dataset.numbering, wordgen.run.folder, filelock"
    for command in (wordgen_command("train", "--corpus", "nowhere"), python_command(code)):
        result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert "Traceback" not in result.stderr
        assert not mark.exists(), mark.read_text()
    result = run_python("-m", "wordgen", "train", "--corpus", "nowhere", cwd=tmp_path)
    assert "no corpus 'nowhere'" in result.stderr
    assert not mark.exists(), mark.read_text()


def test_python_without_packages_is_reported(tmp_path: Path):
    for command in ([str(ROOT / "train.py"), "--corpus", "lotr"], ["-m", "wordgen", "runs"]):
        result = run_python("-S", *command, cwd=tmp_path)
        assert result.returncode == 2
        assert result.stderr.startswith(f"Error: This Python ({sys.executable}) does not have ")
        assert result.stderr.endswith(
            ", which wordgen needs: activate the environment of wordgen first (. .venv/bin/activate), or run  make "
            "demo  to create it.\n"
        )
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "TensorFlow: AttributeError: module 'tensorflow' has no attribute '__version__'"),
        ("import no_such_module", "does not have no_such_module"),
        ("raise ImportError('libfoo.so.9: cannot open\\nshared object')", "libfoo.so.9: cannot open shared object"),
        ("raise TypeError('Descriptors cannot be created')", "TensorFlow: TypeError: Descriptors cannot be created"),
    ],
)
def test_broken_tensorflow_is_reported_in_one_sentence(content: str, message: str, tmp_path: Path):
    for name in ("tensorflow", "keras"):
        package = tmp_path / "broken" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(content)
    path = os.pathsep.join([str(tmp_path / "broken"), str(ROOT)])
    options = "--corpus spells --tokenizer characters --layers 1 --units 8 --quiet"  # no UNKNOWN to warn of
    result = run_python("-m", "wordgen", "train", *options.split(), cwd=tmp_path, PYTHONPATH=path)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1, result.stderr
    assert message in result.stderr
    assert "activate the environment of wordgen" in result.stderr
    assert not list((tmp_path / "saved_models").glob("*"))


def test_command_runs_in_a_program_that_has_read_standard_input(monkeypatch: pytest.MonkeyPatch):
    stdin = io.TextIOWrapper(io.BytesIO(b"one\ntwo\n"))
    stdin.readline()
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main(["--version"]) == 0
