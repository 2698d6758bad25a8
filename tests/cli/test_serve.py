"""`wordgen serve` as a process: how it begins, what it refuses, and how it leaves."""

import contextlib
import json
import re
import signal
import socket
from pathlib import Path

import pytest

from tests.helpers.commands import run_python
from tests.helpers.playground import make_model, plain_text, save_drawn, served
from tests.helpers.workers import free_ports
from wordgen.cli.main import main
from wordgen.text.vocabulary import Vocabulary

WITHOUT_THE_EXTRA = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "uvicorn" else found(name, *more)
from wordgen.cli.main import main
sys.exit(main(["serve"]))
"""
WITH_A_REQUEST = """
import json, os, signal, sys, threading, time, urllib.request
from wordgen.cli.main import main

def ask():
    request = urllib.request.Request("http://127.0.0.1:{port}/api/text", b'{{"seed": "moon", "length": 5}}')
    request.add_header("Authorization", "Bearer moonlight")
    for attempt in range(200):
        try:
            answer = json.load(urllib.request.urlopen(request, timeout=30))
            break
        except OSError:
            time.sleep(0.05)
    print(answer["text"])
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=ask).start()
code = main(["serve", "--port", "{port}", "--token", "moonlight"])
print(json.dumps([code, sorted(name.partition(".")[0] for name in sys.modules)]))
"""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("served")
    vocabulary = Vocabulary.from_counts({"moon": 3, "light": 2, "￭.": 1}, 100, 1)
    save_drawn(room / "saved_models" / "moon", vocabulary, plain_text())
    return room


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_it_with_a_goodbye(how: signal.Signals, room: Path):
    with served(room) as playground:
        assert playground.ask("GET", "/").status == 200
        assert playground.stop(how) == (0, "\nThe playground is closed. Goodbye!\n")


def test_it_leaves_at_once_even_while_it_writes_and_others_wait(room: Path):
    with served(room, "--at-once", "1", "--longest", "100000", "--time-out", "600") as playground:
        connections = [playground.connect() for _ in range(3)]
        for connection in connections:
            connection.request("POST", "/api/write", json.dumps({"length": 100_000, "no_repeat_ngram": 9}))
        assert b'"begin"' in connections[0].getresponse().readline()
        assert playground.stop() == (0, "\nThe playground is closed. Goodbye!\n")
        for connection in connections:
            connection.close()


def test_no_tensorflow_comes_into_its_process(room: Path):
    (port,) = free_ports(1)
    ended = run_python("-c", WITH_A_REQUEST.format(port=port), cwd=room)
    assert ended.returncode == 0, ended.stderr
    text, told = ended.stdout.strip().rsplit("\n", 1)  # the text may have line breaks
    code, modules = json.loads(told)
    assert (code, text[:4]) == (0, "moon")
    assert "uvicorn" in modules
    assert not set(modules) & {"tensorflow", "keras", "tensorboard"}


def test_without_the_extra_it_says_how_to_get_it(room: Path):
    ended = run_python("-c", WITHOUT_THE_EXTRA, cwd=room)
    assert ended.returncode == 2
    assert ended.stderr == (
        'Error: The playground needs two more packages: pip install "wordgen[web]" (in a checkout: '
        "pip install -r requirements-web.txt).\n"
    )


def refused(arguments: list[str], room: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with contextlib.chdir(room):
        assert main(["serve", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    return told.err.strip()


def test_a_model_that_is_not_there_is_told(room: Path, capsys: pytest.CaptureFixture[str]):
    told = "Error: There is no model 'sun', neither as a folder nor in saved_models/. Trained models: moon."
    assert refused(["sun"], room, capsys) == told


def test_a_port_that_is_taken_is_told(room: Path, capsys: pytest.CaptureFixture[str]):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        told = refused(["--port", str(port)], room, capsys)
    said = (
        rf"Error: wordgen cannot listen on 127.0.0.1, port {port} \(.+\): "
        "give another --port, or --port 0 for any free port."
    )
    assert re.fullmatch(said, told)


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--host", "no such host"], "wordgen cannot listen on no such host, port 8000"),
        (["--port", "99999"], "--port must be at least 0 and at most 65,535, not 99999."),
        (["--at-once", "0"], "--at-once must be at least 1"),
        (["--time-out", "0"], "--time-out must be at most 86,400 and above 0, not 0.0."),
        (["--token", "short"], "--token must have 8 to 100 letters, digits, - and _."),
        (["--prot", "1"], "Did you mean --port?"),
    ],
)
def test_what_cannot_be_is_one_sentence(flags: list[str], part: str, room: Path, capsys: pytest.CaptureFixture[str]):
    assert part in refused(flags, room, capsys)


def test_it_says_so_when_others_can_reach_it(room: Path):
    with served(room, "--host", "0.0.0.0") as playground:
        assert "anyone who can reach this machine and knows the token can use it" in playground.told
        assert playground.ask("GET", "/api/models").status == 200
        assert playground.ask("GET", "/", Host="evil.example").status == 400
    with served(room) as playground:
        assert "anyone" not in playground.told


def test_only_the_models_that_are_named_are_served(tmp_path: Path):
    make_model(tmp_path / "saved_models" / "one", "spells")
    make_model(tmp_path / "elsewhere" / "two", "lyrics")
    with served(tmp_path, "elsewhere/two") as playground:
        assert [each["name"] for each in playground.ask("GET", "/api/models").content["models"]] == ["two"]
        assert playground.post("/api/text", model="one").status == 404
        assert playground.post("/api/text", seed="夜", length=1).content["model"] == "two"


def test_an_empty_room_is_served_with_how_to_get_a_model(tmp_path: Path):
    with served(tmp_path) as playground:
        assert playground.ask("GET", "/api/models").content == {"models": []}
        refused = playground.post("/api/text", seed="x")
        assert refused.status == 404
        assert refused.content["error"].startswith("There is no trained model in saved_models yet. Train one first")
