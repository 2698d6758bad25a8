"""Damaged or malicious files: every flipped bit is noticed, and no command hangs or ends in a traceback."""

import copy
import json
import os
import shutil
import signal
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.bundles import make_bundle
from tests.helpers.commands import ROOT
from tests.helpers.saved_runs import made_measurement, made_record, make_run
from wordgen.cli.main import main
from wordgen.corpus.finding import open_corpus
from wordgen.dataset.dataset import Dataset, UnknownWords
from wordgen.dataset.encoding import prepare
from wordgen.errors import BundleError, WordgenError
from wordgen.generation.copies import CopyIndex, write_copy_index
from wordgen.model.bundle import CONFIG, FORMAT, UNKNOWN_WORDS, VOCABULARY, WEIGHTS, Bundle, load_bundle, save_bundle
from wordgen.run.defaults import find_recipe
from wordgen.text.settings import TextSettings
from wordgen.training.checkpoint import Checkpoints, Position
from wordgen.training.reports import EpochReport, Sample
from wordgen.training.typed_json import to_json

MANY_BITS = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def stop_after_five_minutes() -> Iterator[None]:
    """End a test that hangs."""
    signal.alarm(300)
    yield
    signal.alarm(0)


def flip_bit(content: bytes, bit: int) -> bytes:
    index, mask = bit // 8 % len(content), 1 << bit % 8
    return content[:index] + bytes([content[index] ^ mask]) + content[index + 1 :]


def check_flipped_bit_is_refused(path: Path, bit: int, load: Callable[[], object]) -> None:
    original = path.read_bytes()
    path.write_bytes(flip_bit(original, bit))
    try:
        with pytest.raises(BundleError):
            load()
    finally:
        path.write_bytes(original)
    load()


@pytest.fixture(scope="module")
def bundles_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same model in float32 and in 8 bits."""
    folder = tmp_path_factory.mktemp("bundles")
    words = UnknownWords(("crow", "Mice"), ((3, 0, 2, False), (2, 1, 4, True)))
    save_bundle(replace(make_bundle(), unknown_words=words), folder / "float32")
    save_bundle(make_bundle(), folder / "8 bits", eight_bits=True)
    return folder


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("float32", name) for name in (CONFIG, VOCABULARY, WEIGHTS, UNKNOWN_WORDS)), ("8 bits", WEIGHTS)],
)
@MANY_BITS
@given(bit=st.integers(0, 2**20))
def test_flipped_bit_in_bundle_is_refused(kind: str, name: str, bit: int, bundles_folder: Path):
    check_flipped_bit_is_refused(bundles_folder / kind / name, bit, lambda: load_bundle(bundles_folder / kind))


@pytest.fixture(scope="module")
def copy_index(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    folder = tmp_path_factory.mktemp("indexed")
    (folder / "tale.txt").write_text("".join(f"Road {number % 7} goes on and on.\n\n" for number in range(40)))
    dataset = prepare(open_corpus(str(folder / "tale.txt")), TextSettings(), folder / "encoded")
    write_copy_index(dataset, folder / "copy_index")
    return dataset, folder / "copy_index"


@pytest.mark.parametrize("name", ["index.json", "ids.bin", "order.bin", "lines.npy"])
@MANY_BITS
@given(bit=st.integers(0, 2**20))
def test_flipped_bit_in_copy_index_is_refused(name: str, bit: int, copy_index: tuple[Dataset, Path]):
    dataset, folder = copy_index
    check_flipped_bit_is_refused(folder / name, bit, lambda: CopyIndex(folder, dataset.codec.vocabulary))


@pytest.fixture(scope="module")
def checkpointed_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    epoch = EpochReport(
        1,
        20,
        train_perplexity=3.5,
        valid_perplexity=1e-05,
        best=True,
        seconds=1e22,
        samples=(Sample("sample", "The road\n", "The"),),
    )
    arrays = {"weights": np.arange(12, dtype=np.float32), "step": np.array(3)}
    Checkpoints(run, print).save(20, arrays, Position(2, 0, 1e-07, 3, 1e-05, 1, [epoch], seconds=3.25))
    return run


@pytest.mark.parametrize("name", ["state.safetensors", "position.json"])
@MANY_BITS
@given(bit=st.integers(0, 2**20))
def test_flipped_bit_in_checkpoint_is_refused(name: str, bit: int, checkpointed_run: Path):
    checkpoint = checkpointed_run / "checkpoints" / "step-000000000020"
    original = (checkpoint / name).read_bytes()
    warnings: list[str] = []
    (checkpoint / name).write_bytes(flip_bit(original, bit))
    with pytest.raises(BundleError):
        Checkpoints(checkpointed_run, warnings.append).newest()
    for renamed in checkpoint.parent.glob("damaged-*"):
        assert "is damaged" in warnings[0]
        renamed.rename(checkpoint)
    (checkpoint / name).write_bytes(original)
    assert Checkpoints(checkpointed_run, warnings.append).newest() is not None


def replace_file(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def attack(path: Path) -> None:
        path.unlink()
        make(path)

    return attack


ATTACKS: dict[str, Callable[[Path], object]] = {
    "a pipe": replace_file(os.mkfifo),
    "a link to an endless device": replace_file(lambda path: path.symlink_to("/dev/zero")),
    "a link to itself": replace_file(lambda path: path.symlink_to(path.name)),
    "a link to a folder": replace_file(lambda path: path.symlink_to("/proc/self/fd")),
    "a link to the terminal": replace_file(lambda path: path.symlink_to("/dev/tty")),
    "a folder": replace_file(Path.mkdir),
    "a file of a terabyte": lambda path: os.truncate(path, 2**40),
    "an empty file": lambda path: path.write_bytes(b""),
    "deeply nested lists": lambda path: path.write_text("[" * 100_000),
    "deeply nested objects": lambda path: path.write_text('{"format":' * 100_000),
    "a list": lambda path: path.write_text("[[]]"),
    "zeros": lambda path: path.write_bytes(bytes(5000)),
    "a huge header": lambda path: path.write_bytes(struct.pack("<Q", 2**62) + b"{}"),
    "invalid UTF-8": lambda path: path.write_bytes(b'{"\xff\xfe\xed\xa0\x80": 3}'),
    "a lone surrogate": lambda path: path.write_text('[["\\ud800", 1]]'),
    "a huge number": lambda path: path.write_text('{"format": ' + "9" * 5000 + "}"),
}
INTERNAL_ERROR = "itself"
"""In the message after an unexpected exception: the error is in wordgen itself."""
COMMANDS = [
    ["runs"],
    ["runs", "--json", "--sort", "valid"],
    ["runs", "show", "bad"],
    ["runs", "compare", "bad", "good"],
    ["generate", "--model", "bad", "--length", "5", "--max-copy", "6"],
    ["generate", "--model", "bad", "--length", "5", "--json"],
    ["score", "--model", "bad", "a b"],
    ["evaluate", "bad"],
    ["train", "--resume", "bad", "--quiet"],
    ["export", "bad", "--to", "onnx", "--output", "out.onnx", "--overwrite"],
]


RUNS, GENERATE, SCORE, EVALUATE, RESUME = COMMANDS[:4], COMMANDS[4:6], COMMANDS[6], COMMANDS[7], COMMANDS[8]
READERS = {
    CONFIG: [*RUNS, *GENERATE, SCORE],
    VOCABULARY: [COMMANDS[2], *GENERATE, SCORE],
    WEIGHTS: [COMMANDS[2], COMMANDS[5], SCORE],
    "report.json": [*RUNS, EVALUATE, RESUME],
    "evaluation.json": RUNS,
    "copy_index/index.json": [COMMANDS[2], COMMANDS[4]],
}
"""The commands that read each file."""


def check_commands(capsys: pytest.CaptureFixture[str], commands: list[list[str]]) -> None:
    """Check that each command succeeds or reports an expected error."""
    for arguments in commands:
        code = main(arguments)
        captured = capsys.readouterr()
        assert code in (0, 2), (arguments, captured)
        assert INTERNAL_ERROR not in captured.err, (arguments, captured.err)
        assert "NaN" not in captured.out, (arguments, captured.out)
        if arguments == ["runs"]:
            assert "good" in captured.out


def make_attacked_run(
    folder: Path, file: str, attack: Callable[[Path], object], copy_index: tuple[Dataset, Path]
) -> None:
    """Make the runs `good` and `bad`, and damage a file of `bad`."""
    shutil.rmtree(folder / "saved_models", ignore_errors=True)
    make_run("good")
    bad = make_run("bad", test=31.0)
    shutil.copytree(copy_index[1], bad / "copy_index")
    attack(bad / file)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_hostile_run_folder_gives_error_and_other_runs_are_listed(
    attack: Callable[[Path], object],
    in_empty_folder: Path,
    copy_index: tuple[Dataset, Path],
    capsys: pytest.CaptureFixture[str],
):
    for file, readers in READERS.items():
        make_attacked_run(in_empty_folder, file, attack, copy_index)
        check_commands(capsys, [COMMANDS[0], *readers])


def test_runs_show_finds_damaged_files(
    in_empty_folder: Path, copy_index: tuple[Dataset, Path], capsys: pytest.CaptureFixture[str]
):
    make_attacked_run(
        in_empty_folder, WEIGHTS, lambda path: path.write_bytes(flip_bit(path.read_bytes(), -99)), copy_index
    )
    assert main(["runs", "show", "bad"]) == 0
    assert "bad: broken, The model in saved_models/bad is damaged: the checksum of weights" in capsys.readouterr().out
    make_attacked_run(in_empty_folder, "copy_index/order.bin", lambda path: path.write_bytes(bytes(8)), copy_index)
    assert main(["runs", "show", "bad", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["note"].startswith("The copy index saved_models/bad/copy_index")


def test_copy_index_with_foreign_file_names_is_refused(in_empty_folder: Path, copy_index: tuple[Dataset, Path]):
    from wordgen.files import from_checksummed_json, to_checksummed_json

    dataset, folder = copy_index
    index = shutil.copytree(folder, in_empty_folder / "index")
    content = from_checksummed_json((index / "index.json").read_bytes())
    content["sums"] = {"/dev/zero": "0", "../../x": "1"}
    (index / "index.json").write_bytes(to_checksummed_json(content))
    with pytest.raises(BundleError, match="is damaged"):
        CopyIndex(index, dataset.codec.vocabulary)


@pytest.mark.parametrize("fill", [9e11, 2e12, 3e38, -3e38, float("inf"), float("nan")])
def test_weights_that_overflow_give_error(fill: float, in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    bundle = make_bundle()
    rng = np.random.default_rng(1)
    signs = {name: np.sign(rng.normal(size=array.shape)).astype(np.float32) for name, array in bundle.weights.items()}
    weights = {name: array * np.float32(fill) for name, array in signs.items()}
    save_bundle(Bundle(bundle.architecture, bundle.text, bundle.vocabulary, weights), Path("saved_models/bad"))
    for arguments in (
        ["generate", "--json"],
        ["generate", "--mode", "beam"],
        ["score", "a b", "--json"],
        ["score", "a b"],
    ):
        assert main([*arguments, "--model", "bad"]) == (0 if fill == 9e11 else 2)
        captured = capsys.readouterr()
        assert "NaN" not in captured.out
        assert captured.err.count("Error: ") == (0 if fill == 9e11 else 1)
        assert INTERNAL_ERROR not in captured.err


NAMES = [
    "亜" * 300,
    "x" * 5000,
    os.fsdecode(b"a\xff\xfe"),
    "\ud800",
    "a\0b",
    "a\nb",
    "\x1b[2J",
    "/dev/zero",
    "..",
    "-",
    " ",
    "",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_hostile_names_give_error(name: str, in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    make_run("good")
    make_run("bad")
    with suppress(OSError, ValueError):  # some names are not possible for a folder
        if "/" not in name and name.strip(". -"):
            shutil.copytree("saved_models/bad", Path("saved_models", name))
    Path("tale.txt").write_text("A road goes on.\n\n" * 9)
    with suppress(OSError, ValueError):
        shutil.copy("tale.txt", f"{name}.toml")
    commands = [
        ["runs"],
        ["runs", "list", "--", name],
        ["runs", "show", "--", name],
        ["runs", "compare", "--", name, "good"],
        ["runs", "rm", "--yes", "--", name],
        ["generate", "--length", "3", f"--model={name}"],
        ["score", f"--model={name}", "a b"],
        ["evaluate", "--", name],
        ["export", "--to", "onnx", "--output", "out.onnx", "--overwrite", "--", name],
        ["serve", "--", name, "nowhere"],
        ["train", "--quiet", f"--resume={name}"],
        ["train", "--quiet", "--corpus", "nowhere", "--resume", f"--name={name}"],
        ["train", "--quiet", "--corpus", "nowhere", f"--recipe={name}.toml"],
        ["train", "--quiet", "--corpus", "nowhere", f"--init-from={name}"],
        ["corpora", "show", "--", name],
        ["corpora", "add", "--", name, "tale.txt"],
        ["sweep", "--", f"{name}.toml"],
        ["sweep", "optimizers", "--dry-run", f"--name={name}/x/y"],
    ]
    for command in commands:
        code = main(command)
        captured = capsys.readouterr()
        assert code in (0, 2), (command, captured)
        assert INTERNAL_ERROR not in captured.err, (command, captured.err)
        assert captured.err.count("Error: ") == (code == 2), (command, captured.err)
        assert "\x1b" not in captured.out + captured.err


def test_base_whose_name_is_not_utf8_is_refused(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    name = os.fsdecode(b"a\xff")
    make_run("bad").rename(Path("saved_models", name))
    Path("tale.txt").write_text("A road goes on.\n\n" * 9)
    assert main(["train", "--corpus", "tale.txt", f"--init-from={name}"]) == 2
    assert "--init-from must be a name in UTF-8, not 'a\\udcff': rename that file or folder." in capsys.readouterr().err


def test_unreadable_saved_models_give_error(in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    make_run("good")
    commands = [
        ["runs"],
        ["runs", "show", "x"],
        ["generate"],
        ["generate", "--model", "x"],
        ["evaluate"],
        ["evaluate", "x"],
    ]
    for command in commands:
        main(command)  # imports all modules while they can be read
    capsys.readouterr()
    in_empty_folder.chmod(0o755)
    Path("saved_models").chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root can read everything
    try:
        if not os.access(ROOT / "data", os.R_OK, effective_ids=True):
            pytest.skip("another user cannot read the folder of wordgen")
        results = [(main(command), capsys.readouterr().err) for command in commands]
    finally:
        os.seteuid(user)
        Path("saved_models").chmod(0o755)
    for code, stderr in results:
        assert code == 2
        assert stderr.startswith("Error: saved_models cannot be read: Permission denied. Change its permissions")
        assert stderr.count("\n") == 1


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=4), inner, max_size=2)),
    max_leaves=4,
)


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to each value in a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from paths_in(each, (*path, key))


def with_change(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = with_change(value[path[0]], path[1:], new)
    return changed


REPORT = {"format": 9, **{name: each for name, each in to_json(made_record()).items() if name != "measurements"}}
EVALUATION = {"format": 9, "parts": to_json({"test": made_measurement(31.0), "valid": made_measurement(30.0)})}
CONFIG_JSON = {
    "format": FORMAT,
    "text": make_bundle().text.to_mapping(),
    "architecture": json.loads(json.dumps(make_bundle().architecture.to_mapping())),
}


@pytest.mark.parametrize(
    ("name", "content"), [("report.json", REPORT), ("evaluation.json", EVALUATION), (CONFIG, CONFIG_JSON)]
)
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_wrong_types_in_json_are_refused(
    name: str, content: Any, data: st.DataObject, in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
):
    if not Path("saved_models").exists():
        make_run("good")
        make_run("bad", test=31.0)
    path = data.draw(st.sampled_from(list(paths_in(content))))
    Path("saved_models/bad", name).write_text(json.dumps(with_change(content, path, data.draw(JSON))))
    check_commands(capsys, [data.draw(st.sampled_from([*READERS[name], EVALUATE]))])


@pytest.mark.parametrize("content", ["a=" + "[" * 100_000, "a" * 99, "\ud800", "[settings]\nunits = 1e999"])
def test_hostile_toml_files_are_refused(content: str, in_empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    Path("bad.toml").write_text(content, errors="surrogatepass")
    with pytest.raises(WordgenError):
        find_recipe("bad.toml")
    assert main(["sweep", "bad.toml"]) == 2
    Path("data").mkdir()
    shutil.copy("bad.toml", "data/own.toml")
    assert main(["corpora"]) == 2
    Path("bad.toml").unlink()
    for make in (os.mkfifo, lambda path: Path(path).symlink_to("/dev/zero")):
        make("bad.toml")
        assert main(["sweep", "bad.toml"]) == 2
        assert main(["train", "--corpus", "spells", "--recipe", "bad.toml"]) == 2
        Path("bad.toml").unlink()
    assert INTERNAL_ERROR not in capsys.readouterr().err
