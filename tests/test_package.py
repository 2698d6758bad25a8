"""`pip install .` installs a command with all data, which works in an empty folder."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.commands import ROOT, command_environment


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel, and with the wheel installed by pip, without its requirements."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder / "wheel", ROOT], check=True, timeout=300)
    (wheel,) = (folder / "wheel").glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True, timeout=300)
    return folder


def run_installed(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = installed / "site" / "bin" / "wordgen"
    return subprocess.run(
        [sys.executable, program, *arguments],
        cwd=folder,
        env={**command_environment(), "PYTHONPATH": str(installed / "site")},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_wheel_has_code_and_data_and_nothing_else(installed: Path):
    (wheel,) = (installed / "wheel").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        "wordgen/data/corpora.toml",
        "wordgen/data/novels.tsv",
        "wordgen/data/aozora.tsv",
        "wordgen/data/lotr.txt",
        "wordgen/data/lyrics.txt",
        "wordgen/data/airs.abc",
        "wordgen/data/nottingham.tsv",
        "wordgen/data/preludes/01-c-major.mid",
        "wordgen/data/sweeps/cells.toml",
    } <= set(names)
    bases = (path for path in (ROOT / "data" / "bases").rglob("*") if path.is_file())
    assert {f"wordgen/{path.relative_to(ROOT).as_posix()}" for path in bases} <= set(names)
    assert "wordgen/py.typed" in names
    pages = {f"wordgen/web/static/{path.name}" for path in (ROOT / "wordgen" / "web" / "static").iterdir()}
    assert len(pages) > 5
    assert pages <= set(names)
    music = {f"wordgen/report/static/{path.name}" for path in (ROOT / "wordgen" / "report" / "static").iterdir()}
    assert "wordgen/report/static/abcjs-basic-min.js.LICENSE" in music
    assert music <= set(names)
    licences = [name.rpartition("/licenses/")[2] for name in names if "/licenses/" in name]
    assert sorted(licences) == ["LICENSE", "wordgen/report/static/abcjs-basic-min.js.LICENSE"]
    assert not [name for name in names if not name.startswith("wordgen")]


def test_requirements_equal_the_requirements_files(installed: Path):
    (metadata,) = (installed / "site").glob("wordgen-*.dist-info/METADATA")
    declared = {line.split(": ")[1] for line in metadata.read_text().split("\n") if line.startswith("Requires-Dist")}
    always = {each for each in declared if "extra ==" not in each}
    parts = {"requirements.txt": always}
    for extra in ("web", "onnx", "music"):
        of_extra = {each.partition(";")[0].strip() for each in declared if f"extra == '{extra}'" in each}
        parts[f"requirements-{extra}.txt"] = of_extra
    for name, part in parts.items():
        listed = {line for line in (ROOT / name).read_text().split("\n") if line and line[0] != "#"}
        assert {_normalized(each) for each in part} == {_normalized(each) for each in listed}


def _normalized(requirement: str) -> tuple[str, ...]:
    return tuple(sorted(requirement.replace("==", ",==").replace(">=", ",>=").replace("<", ",<").split(",")))


def test_installed_command_trains_and_generates(installed: Path, tmp_path: Path):
    options = ["--layers", "1", "--units", "16", "--epochs", "1"]
    trained = run_installed(installed, tmp_path, "train", "--corpus", "lyrics", *options)
    assert trained.returncode == 0, trained.stderr
    written = run_installed(installed, tmp_path, "generate", "--seed", "君の", "--length", "12")
    assert written.returncode == 0, written.stderr
    assert written.stdout.startswith("君の")
    assert " " not in written.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"data", "saved_models"}
