"""A playground to test: models that nobody had to train, and the real server on a free port."""

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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
    """A model of a bundled text with weights that were drawn: it knows the words, and no order."""
    found = open_corpus(corpus)
    dataset = prepare(found, TextSettings(min_count=1), folder.parent.parent / "encoded")
    text = TextConfig(
        corpus=corpus,
        tokenizer=dataset.codec.tokenizer.name,
        passage=found.cut_at,
        line_breaks=found.line_breaks,
        starts=True,
    )
    save_drawn(folder, dataset.codec.vocabulary, text, units=units)
    write_copy_index(dataset, folder / COPY_INDEX)
    return folder


def save_drawn(
    folder: Path,
    vocabulary: Vocabulary,
    text: TextConfig,
    *,
    units: int = 8,
    always: str | None = None,
    unknown: UnknownWords = UnknownWords(),  # noqa: B008 - it does not change
) -> Path:
    """A bundle with these words and drawn weights, or one that writes always the same."""
    architecture = Architecture(
        vocabulary_size=len(vocabulary), embedding=8, layers=1, units=units, cell="lstm", tied=False
    )
    dice = np.random.default_rng(5)
    weights = {n: dice.normal(size=shape).astype(np.float32) for n, shape in architecture.weight_shapes().items()}
    if vocabulary.spells:
        weights["output/bias"][vocabulary.id_of(WORD_END)] += 6  # or else no word that is spelled out would end
    if always is not None:
        weights["output/bias"][vocabulary.id_of(always)] += 100
    save_bundle(Bundle(architecture, text, vocabulary, weights, unknown), folder)
    return folder


def plain_text(corpus: str = "tale") -> TextConfig:
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
    """A server that runs, and how to ask it."""

    process: "subprocess.Popen[str]"
    port: int
    token: str
    told: str
    """What it said up to its address."""

    @property
    def address(self) -> str:
        """As it was printed, for a browser."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    def connect(self) -> http.client.HTTPConnection:
        """A connection whose requests have the token, as those of a program."""
        return _Connection(self.port, self.token)

    def ask(self, method: str, place: str, body: Any = None, **headers: str) -> Answer:
        """One request; what is no bytes goes as JSON."""
        connection = self.connect()
        try:
            sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, place, sent, {name.replace("_", "-"): each for name, each in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def post(self, place: str, **content: Any) -> Answer:
        return self.ask("POST", place, content)

    def stop(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Its exit code, and what it said after its address."""
        self.process.send_signal(how)
        _, said = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, said


@contextmanager
def served(room: Path, *arguments: str, program: Sequence[str] = ("-m", "wordgen")) -> Iterator[Playground]:
    """The real command in a room, once it tells where it is; it is gone after the block."""
    process = start(room, *arguments, program=program)
    try:
        yield Playground(process, *_address_and_all_said(process))
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def start(room: Path, *arguments: str, program: Sequence[str] = ("-m", "wordgen")) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *program, "serve", "--port", "0", *arguments],
        cwd=room,
        env=command_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _address_and_all_said(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Its port, its token, and what it said."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if found := re.search(r"http://\S+:(\d+)/\?token=(\S+)", line):
            return int(found[1]), found[2], said
    raise AssertionError(f"no address was told: {said}")


def wait_until(what: Any, seconds: float = SECONDS) -> None:
    """Until it is so, looked at again and again."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never came to be so"
        time.sleep(0.02)
