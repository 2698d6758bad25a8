"""A text is tokenized by several processes: the ids do not depend on their number, and a killed one breaks nothing."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.helpers.commands import ROOT, command_environment
from tests.helpers.texts import passage_texts
from wordgen.corpus.catalogue import bundled_data
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.passages import Passage
from wordgen.dataset import encoding
from wordgen.dataset.encoding import prepare
from wordgen.dataset.numbering import Batch, NumberedText, tokenize_batch, tokenize_batches
from wordgen.errors import CorpusError
from wordgen.text.settings import TextSettings
from wordgen.text.tokenizers import tokenizer_named


def make_batches(count: int = 12, passages: int = 40) -> list[Batch]:
    texts = passage_texts(open_corpus("spells"))
    return [
        Batch([(n % 3, Passage(texts[(n * 7 + i) % len(texts)], i + 1, (5,))) for i in range(passages)], n)
        for n in range(count)
    ]


def folder_contents(folder: Path) -> dict[str, bytes]:
    (dataset,) = (path for path in folder.iterdir() if not path.name.startswith("."))
    return {file.name: file.read_bytes() for file in sorted(dataset.iterdir())}


def write_large(path: Path, size: int) -> str:
    """Write the bundled English texts repeatedly, shuffled each time, until the file has `size` bytes."""
    names = ("lotr", "fables", "spells")
    paragraphs = [
        passage for name in names for passage in passage_texts(open_corpus(str(bundled_data() / f"{name}.txt")))
    ]
    rng = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            rng.shuffle(paragraphs)
            file.write("\n\n".join(paragraphs) + "\n\n")
    return str(path)


@pytest.mark.parametrize("processes", [1, 3])
def test_tokens_are_numbered_in_order_of_first_occurrence(tmp_path: Path, processes: int):
    tokenize = tokenizer_named("english").tokenize
    with NumberedText(tmp_path) as text, closing(tokenize_batches(make_batches(), "english", processes)) as results:
        for result in results:
            text.add(result)
        names = list(text.tokens)
        tokens = [names[number] for block in text.blocks() for number in block.tokens]
        files = [file for block in text.blocks() for file in block.passages["file"].tolist()]
    passages = [passage for batch in make_batches() for passage in batch.passages]
    expected = [token for _, passage in passages for token in tokenize(passage.text)]
    assert tokens == expected
    assert names == list(dict.fromkeys(expected))
    assert files == [file for file, _ in passages]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("tokenizer", "corpus"), [("english", "lotr"), ("japanese", "lyrics")])
def test_ids_do_not_depend_on_processes_batches_and_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: str, corpus: str
):
    settings = TextSettings(tokenizer=tokenizer)  # pyright: ignore[reportArgumentType]
    prepare(open_corpus(corpus), settings, tmp_path / "expected")
    monkeypatch.setattr(encoding, "_MAX_BYTES_FOR_ONE_PROCESS", 0)
    monkeypatch.setattr(encoding, "_CHARACTERS_AT_ONCE", 5000)
    monkeypatch.setattr("wordgen.dataset.numbering._TOKENS_AT_ONCE", 700)
    monkeypatch.setattr("wordgen.dataset.numbering._PASSAGES_AT_ONCE", 50)
    for processes in (1, 3):
        monkeypatch.setattr(encoding, "useful_processes", lambda processes=processes: processes)
        folder = tmp_path / str(processes)
        prepare(open_corpus(corpus), settings, folder)
        assert folder_contents(folder) == folder_contents(tmp_path / "expected")


def test_progress_grows_to_size_of_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(encoding, "_CHARACTERS_AT_ONCE", 5000)
    reports: list[tuple[int, int]] = []
    corpus = open_corpus("lotr")
    prepare(corpus, TextSettings(), tmp_path, lambda done, size: reports.append((done, size)))
    done = [done for done, _ in reports]
    assert {size for _, size in reports} == {corpus.bytes}
    assert done == sorted(done)
    assert done[-1] == corpus.bytes
    assert len(reports) > 20


def test_changed_text_of_equal_size_and_time_is_encoded_again(tmp_path: Path):
    path = Path(write_large(tmp_path / "text.txt", 1000))
    first = prepare(open_corpus(str(path)), TextSettings(), tmp_path / "encoded")
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_bytes(path.read_bytes()[:-3] + b"x\n\n")
    os.utime(path, ns=times)
    changed = prepare(open_corpus(str(path)), TextSettings(), tmp_path / "encoded")
    assert changed.fingerprint != first.fingerprint


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A text of several batches."""
    return write_large(tmp_path_factory.mktemp("large") / "large.txt", 2_000_000)


@pytest.fixture(scope="module")
def encoded_large(large: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("encoded")
    prepare(open_corpus(large), TextSettings(), folder)
    return folder_contents(folder)


def children(process: int) -> list[int]:
    processes: list[int] = []
    for thread in Path(f"/proc/{process}/task").iterdir():
        with suppress(OSError):  # the thread has ended
            processes += map(int, (thread / "children").read_text().split())
    return processes


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # pyright: ignore[reportCallIssue]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def endless_batches() -> Iterator[Batch]:
    while True:
        yield from make_batches()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_killed_worker_is_reported(tmp_path: Path):
    before = children(os.getpid())
    with closing(tokenize_batches(endless_batches(), "english", 2)) as results:
        next(results)
        workers = [process for process in children(os.getpid()) if process not in before]
        os.kill(workers[-1], signal.SIGKILL)
        with pytest.raises(CorpusError, match="ended unexpectedly"):
            for _ in results:
                pass
    wait_until(lambda: not any(map(is_running, workers)))


ENCODE = """
import sys
from pathlib import Path
from wordgen.corpus.finding import open_corpus
from wordgen.dataset import encoding
from wordgen.dataset.encoding import prepare
from wordgen.text.settings import TextSettings
encoding._MAX_BYTES_FOR_ONE_PROCESS = 0
processes = max(2, encoding.useful_processes())
encoding.useful_processes = lambda: processes
dataset = prepare(open_corpus(sys.argv[1]), TextSettings(tokenizer=sys.argv[3]), Path(sys.argv[2]))
print(dataset.fingerprint)
"""


def encoding_process(path: str, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", ENCODE, path, str(folder), "auto"]
    return subprocess.Popen(command, env=command_environment(), stdout=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_killed_encoding_leaves_no_process_and_can_be_repeated(
    large: str, encoded_large: dict[str, bytes], tmp_path: Path
):
    folder = tmp_path / "encoded"
    process = encoding_process(large, folder)
    wait_until(lambda: any(file.stat().st_size > 200_000 for file in folder.glob(".*/tokens.numbers")))
    workers = children(process.pid)
    process.kill()
    process.communicate()
    assert workers
    wait_until(lambda: not any(map(is_running, workers)))
    (leftover,) = folder.iterdir()
    assert leftover.name.startswith(".")

    an_hour_ago = time.time() - 3700
    for path in (leftover, *leftover.iterdir()):
        os.utime(path, (an_hour_ago, an_hour_ago))
    prepare(open_corpus(large), TextSettings(), folder)
    assert not leftover.exists()
    assert folder_contents(folder) == encoded_large


def test_two_processes_can_encode_the_same_text(large: str, encoded_large: dict[str, bytes], tmp_path: Path):
    folder = tmp_path / "encoded"
    processes = [encoding_process(large, folder) for _ in range(2)]
    fingerprints = {process.communicate(timeout=120)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(fingerprints) == 1
    assert len(list(folder.iterdir())) == 1
    assert folder_contents(folder) == encoded_large


MEMORY = """
import re
from resource import RUSAGE_CHILDREN, getrusage
own = int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
print(own + processes * getrusage(RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks into /proc")
def test_memory_does_not_grow_with_text(tmp_path: Path):
    """Encode 70 MB with less than 400 MB for all processes together, with the fastest tokenizer."""
    path = write_large(tmp_path / "large.txt", 70_000_000)
    result = subprocess.run(
        [sys.executable, "-c", ENCODE + MEMORY, path, str(tmp_path / "encoded"), "whitespace"],
        env=command_environment(), cwd=ROOT, capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    kilobytes = int(result.stdout.split()[-1])
    assert 0 < kilobytes < 400_000


def test_cut_records_where_lines_of_passage_begin():
    passage = Passage("Alpha one, beta two. gamma", 7, (9, 8, 0, 5))
    result = tokenize_batch(Batch([(0, passage)], 0), tokenizer_named("english"))
    assert result.passages.tolist() == [(6, 26, 3, 0)]
    assert [result.tokens[number] for number in result.numbers[result.lines["token"]]] == ["Alpha", "beta", "gamma"]
    assert result.lines["number"].tolist() == [7, 8, 10]
