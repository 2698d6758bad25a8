"""Texts of any size: the same ids from any number of processes, and nothing broken when some of them die."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.helpers.commands import ROOT, command_environment
from tests.helpers.texts import passage_texts
from wordgen.corpus.catalogue import bundled_data
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.passages import Passage
from wordgen.dataset import encoding
from wordgen.dataset.encoding import prepare
from wordgen.dataset.numbering import Batch, NumberedText, cut, cut_all
from wordgen.errors import CorpusError
from wordgen.text.settings import TextSettings
from wordgen.text.tokenizers import tokenizer_named


def batches(count: int = 12, passages: int = 40) -> list[Batch]:
    texts = passage_texts(open_corpus("spells"))
    return [
        Batch([(n % 3, Passage(texts[(n * 7 + i) % len(texts)], i + 1, (5,))) for i in range(passages)], n)
        for n in range(count)
    ]


def folder_contents(folder: Path) -> dict[str, bytes]:
    (place,) = (each for each in folder.iterdir() if not each.name.startswith("."))
    return {file.name: file.read_bytes() for file in sorted(place.iterdir())}


def write_large(path: Path, size: int) -> str:
    """The bundled English texts again and again, in ever other order, up to so many bytes."""
    names = ("lotr", "fables", "spells")
    paragraphs = [
        passage for name in names for passage in passage_texts(open_corpus(str(bundled_data() / f"{name}.txt")))
    ]
    dice = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            dice.shuffle(paragraphs)
            file.write("\n\n".join(paragraphs) + "\n\n")
    return str(path)


@pytest.mark.parametrize("processes", [1, 3])
def test_tokens_have_the_numbers_of_their_first_appearance(tmp_path: Path, processes: int):
    tokenize = tokenizer_named("english").tokenize
    with NumberedText(tmp_path) as text, closing(cut_all(batches(), "english", processes)) as cuts:
        for each in cuts:
            text.add(each)
        names = list(text.tokens)
        found = [names[number] for block in text.blocks() for number in block.tokens]
        files = [file for block in text.blocks() for file in block.passages["file"].tolist()]
    passages = [passage for batch in batches() for passage in batch.passages]
    expected = [token for _, passage in passages for token in tokenize(passage.text)]
    assert found == expected
    assert names == list(dict.fromkeys(expected))
    assert files == [file for file, _ in passages]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("tokenizer", "corpus"), [("english", "lotr"), ("japanese", "lyrics")])
def test_the_ids_do_not_depend_on_processes_batches_and_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: str, corpus: str
):
    settings = TextSettings(tokenizer=tokenizer)  # pyright: ignore[reportArgumentType]
    prepare(open_corpus(corpus), settings, tmp_path / "alone")
    monkeypatch.setattr(encoding, "_SMALL", 0)
    monkeypatch.setattr(encoding, "_CHARACTERS_AT_ONCE", 5000)
    monkeypatch.setattr("wordgen.dataset.numbering._TOKENS_AT_ONCE", 700)
    monkeypatch.setattr("wordgen.dataset.numbering._PASSAGES_AT_ONCE", 50)
    for processes in (1, 3):
        monkeypatch.setattr(encoding, "useful_processes", lambda processes=processes: processes)
        folder = tmp_path / str(processes)
        prepare(open_corpus(corpus), settings, folder)
        assert folder_contents(folder) == folder_contents(tmp_path / "alone")


def test_progress_grows_to_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(encoding, "_CHARACTERS_AT_ONCE", 5000)
    told: list[tuple[int, int]] = []
    corpus = open_corpus("lotr")
    prepare(corpus, TextSettings(), tmp_path, lambda done, size: told.append((done, size)))
    done = [done for done, _ in told]
    assert {size for _, size in told} == {corpus.bytes}
    assert done == sorted(done)
    assert done[-1] == corpus.bytes
    assert len(told) > 20


def test_a_text_that_changed_is_encoded_again_though_its_size_and_time_are_the_same(tmp_path: Path):
    path = Path(write_large(tmp_path / "text.txt", 1000))
    first = prepare(open_corpus(str(path)), TextSettings(), tmp_path / "encoded")
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_bytes(path.read_bytes()[:-3] + b"x\n\n")
    os.utime(path, ns=times)
    again = prepare(open_corpus(str(path)), TextSettings(), tmp_path / "encoded")
    assert again.fingerprint != first.fingerprint


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
    found: list[int] = []
    for thread in Path(f"/proc/{process}/task").iterdir():
        found += map(int, (thread / "children").read_text().split())
    return found


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():  # pyright: ignore[reportCallIssue]
        assert time.monotonic() < end
        time.sleep(0.02)


def endless_batches() -> Iterator[Batch]:
    while True:
        yield from batches()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_a_cutter_that_is_killed_is_told_in_a_sentence(tmp_path: Path):
    before = children(os.getpid())
    with closing(cut_all(endless_batches(), "english", 2)) as cuts:
        next(cuts)
        mine = [process for process in children(os.getpid()) if process not in before]
        os.kill(mine[-1], signal.SIGKILL)
        with pytest.raises(CorpusError, match="ended unexpectedly"):
            for _ in cuts:
                pass
    wait_until(lambda: not any(map(is_running, mine)))


ENCODE = """
import sys
from pathlib import Path
from wordgen.corpus.finding import open_corpus
from wordgen.dataset import encoding
from wordgen.dataset.encoding import prepare
from wordgen.text.settings import TextSettings
encoding._SMALL = 0
dataset = prepare(open_corpus(sys.argv[1]), TextSettings(tokenizer=sys.argv[3]), Path(sys.argv[2]))
print(dataset.fingerprint)
"""


def encoding_process(path: str, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", ENCODE, path, str(folder), "auto"]
    return subprocess.Popen(command, env=command_environment(), stdout=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_killed_half_way_nothing_is_broken_and_no_process_stays(
    large: str, encoded_large: dict[str, bytes], tmp_path: Path
):
    folder = tmp_path / "encoded"
    process = encoding_process(large, folder)
    wait_until(lambda: any(file.stat().st_size > 200_000 for file in folder.glob(".*/tokens.numbers")))
    cutters = children(process.pid)
    process.kill()
    process.communicate()
    assert cutters
    wait_until(lambda: not any(map(is_running, cutters)))
    (leftover,) = folder.iterdir()
    assert leftover.name.startswith(".")

    an_hour_ago = time.time() - 3700
    for each in (leftover, *leftover.iterdir()):
        os.utime(each, (an_hour_ago, an_hour_ago))
    prepare(open_corpus(large), TextSettings(), folder)
    assert not leftover.exists()
    assert folder_contents(folder) == encoded_large


def test_two_at_once_do_not_harm_each_other(large: str, encoded_large: dict[str, bytes], tmp_path: Path):
    folder = tmp_path / "encoded"
    both = [encoding_process(large, folder) for _ in range(2)]
    fingerprints = {process.communicate(timeout=120)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(fingerprints) == 1
    assert len(list(folder.iterdir())) == 1
    assert folder_contents(folder) == encoded_large


MEMORY = """
import re
from resource import RUSAGE_CHILDREN, getrusage
from wordgen.dataset.numbering import useful_processes
own = int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
print(own + useful_processes() * getrusage(RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks into /proc")
def test_memory_does_not_grow_with_the_text(tmp_path: Path):
    """70 MB in less than 400 MB, all processes together; they are cut by the quickest tokenizer."""
    path = write_large(tmp_path / "large.txt", 70_000_000)
    ended = subprocess.run(
        [sys.executable, "-c", ENCODE + MEMORY, path, str(tmp_path / "encoded"), "whitespace"],
        env=command_environment(), cwd=ROOT, capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    kilobytes = int(ended.stdout.split()[-1])
    assert 0 < kilobytes < 400_000


def test_a_cut_says_where_the_lines_of_a_passage_begin():
    passage = Passage("Alpha one, beta two. gamma", 7, (9, 8, 0, 5))
    found = cut(Batch([(0, passage)], 0), tokenizer_named("english"))
    assert found.passages.tolist() == [(6, 26, 3, 0)]
    assert [found.tokens[number] for number in found.numbers[found.lines["token"]]] == ["Alpha", "beta", "gamma"]
    assert found.lines["number"].tolist() == [7, 8, 10]
