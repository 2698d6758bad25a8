"""A playground to test: models with random weights, and the real server on a free port."""

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers.bundles import random_weights
from tests.helpers.commands import command_environment
from wordgen.corpus.finding import open_corpus
from wordgen.dataset.dataset import TextConfig, UnknownWords
from wordgen.dataset.encoding import prepare
from wordgen.generation.copies import COPY_INDEX, write_copy_index
from wordgen.model.architecture import Architecture
from wordgen.model.bundle import Bundle, save_bundle
from wordgen.text.settings import TextSettings
from wordgen.text.vocabulary import WORD_END, Vocabulary

SECONDS = 60


def make_model(folder: Path, corpus: str, *, units: int = 24) -> Path:
    """Save a model with random weights and the vocabulary of a bundled text."""
    opened = open_corpus(corpus)
    dataset = prepare(opened, TextSettings(min_count=1), folder.parent.parent / "encoded")
    text = TextConfig(
        corpus=corpus,
        tokenizer=dataset.codec.tokenizer.name,
        passage=opened.effective_passage,
        line_breaks=opened.line_breaks,
        starts=True,
    )
    save_random_model(folder, dataset.codec.vocabulary, text, units=units)
    write_copy_index(dataset, folder / COPY_INDEX)
    return folder


def save_random_model(
    folder: Path,
    vocabulary: Vocabulary,
    text: TextConfig,
    *,
    units: int = 8,
    always: str | None = None,
    unknown: UnknownWords = UnknownWords(),  # noqa: B008 - it is immutable
) -> Path:
    """Save a bundle with random weights, or one that always writes the token `always`."""
    architecture = Architecture(
        vocabulary_size=len(vocabulary), embedding=8, layers=1, units=units, cell="lstm", tied=False
    )
    weights = random_weights(architecture, seed=5)
    if vocabulary.spells:
        weights["output/bias"][vocabulary.id_of(WORD_END)] += 6  # otherwise spelled words would not end
    if always is not None:
        weights["output/bias"][vocabulary.id_of(always)] += 100
    save_bundle(Bundle(architecture, text, vocabulary, weights, unknown), folder)
    return folder


def text_config(corpus: str = "tale") -> TextConfig:
    return TextConfig(corpus=corpus, tokenizer="english", passage="line", line_breaks="joined", starts=True)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


class _Connection(http.client.HTTPConnection):
    def __init__(self, port: int, token: str) -> None:
        super().__init__("127.0.0.1", port, timeout=SECONDS)
        self._bearer = {"Authorization": f"Bearer {token}"}

    def request(self, method: str, url: str, body: Any = None, headers: Any = {}, **how: Any) -> None:  # noqa: B006
        super().request(method, url, body, {**self._bearer, **headers}, **how)


@dataclass(frozen=True)
class Playground:
    """A running server, and methods to send requests."""

    process: "subprocess.Popen[str]"
    port: int
    token: str
    startup_output: str
    """Its messages up to its address."""

    @property
    def address(self) -> str:
        """The address for a browser, as it was printed."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection that sends the token in a header, as programs do."""
        return _Connection(self.port, self.token)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request; a body that is not bytes is sent as JSON."""
        connection = self.connect()
        try:
            sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, sent, {name.replace("_", "-"): each for name, each in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def post(self, path: str, **content: Any) -> Answer:
        return self.ask("POST", path, content)

    def stop(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Stop the server and return its exit code and its messages since its address."""
        self.process.send_signal(how)
        _, stderr = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, stderr


@contextmanager
def served(folder: Path, *arguments: str, program: Sequence[str] = ("-m", "wordgen")) -> Generator[Playground]:
    """Start `wordgen serve` in a folder and wait for its address; kill it after the block."""
    process = start(folder, *arguments, program=program)
    try:
        yield Playground(process, *_read_startup(process))
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def start(folder: Path, *arguments: str, program: Sequence[str] = ("-m", "wordgen")) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *program, "serve", "--port", "0", *arguments],
        cwd=folder,
        env=command_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _read_startup(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Return its port, its token and its messages up to its address."""
    assert process.stderr is not None
    output = ""
    for line in process.stderr:
        output += line
        if found := re.search(r"http://\S+:(\d+)/\?token=(\S+)", line):
            return int(found[1]), found[2], output
    raise AssertionError(f"it printed no address: {output}")


def wait_until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never became true"
        time.sleep(0.02)
