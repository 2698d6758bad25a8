"""`wordgen serve` as a process: start, errors and end."""

import contextlib
import json
import re
import signal
import socket
from pathlib import Path

import pytest

from tests.helpers.commands import run_python
from tests.helpers.playground import make_model, save_random_model, served, text_config
from tests.helpers.workers import free_ports
from wordgen.cli.main import main
from wordgen.text.vocabulary import Vocabulary

SERVE_WITHOUT_UVICORN = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "uvicorn" else found(name, *more)
from wordgen.cli.main import main
sys.exit(main(["serve"]))
"""
SERVE_ONE_REQUEST = """
import json, os, signal, sys, threading, time, urllib.request
from wordgen.cli.main import main

def ask():
    request = urllib.request.Request("http://127.0.0.1:{port}/api/text", b'{{"seed": "moon", "length": 5}}')
    request.add_header("Authorization", "Bearer moonlight")
    while True:
        try:
            answer = json.load(urllib.request.urlopen(request, timeout=30))
            break
        except OSError:
            time.sleep(0.05)
    print(answer["text"])
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=ask, daemon=True).start()
code = main(["serve", "--port", "{port}", "--token", "moonlight"])
print(json.dumps([code, sorted(name.partition(".")[0] for name in sys.modules)]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    vocabulary = Vocabulary.from_counts({"moon": 3, "light": 2, "￭.": 1}, 100, 1)
    save_random_model(folder / "saved_models" / "moon", vocabulary, text_config())
    return folder


def test_sigterm_ends_server_with_goodbye(folder: Path):
    with served(folder) as playground:
        assert "anyone" not in playground.startup_output
        assert playground.ask("GET", "/").status == 200
        assert playground.stop(signal.SIGTERM) == (0, "\nThe playground is closed. Goodbye!\n")


def test_sigint_ends_server_while_requests_run_and_wait(folder: Path):
    with served(folder, "--at-once", "1", "--longest", "100000", "--time-out", "600") as playground:
        connections = [playground.connect() for _ in range(3)]
        for number, connection in enumerate(connections):
            connection.request("POST", "/api/write", json.dumps({"length": 100_000, "no_repeat_ngram": 9}))
            if number == 0:  # it runs before the others come
                assert b'"begin"' in connection.getresponse().readline()
        assert playground.stop() == (0, "\nThe playground is closed. Goodbye!\n")
        for connection in connections:
            connection.close()


def test_server_does_not_import_tensorflow(folder: Path):
    (port,) = free_ports(1)
    result = run_python("-c", SERVE_ONE_REQUEST.format(port=port), cwd=folder)
    assert result.returncode == 0, result.stderr
    text, probe = result.stdout.strip().rsplit("\n", 1)  # the text may have line breaks
    code, modules = json.loads(probe)
    assert (code, text[:4]) == (0, "moon")
    assert "uvicorn" in modules
    assert not set(modules) & {"tensorflow", "keras", "tensorboard"}


def test_missing_uvicorn_is_reported(folder: Path):
    result = run_python("-c", SERVE_WITHOUT_UVICORN, cwd=folder)
    assert result.returncode == 2
    assert result.stderr == (
        'Error: The playground needs two more packages: pip install "wordgen[web]" (in a checkout: '
        "pip install -r requirements-web.txt).\n"
    )


def error_of(arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with contextlib.chdir(folder):
        assert main(["serve", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    return output.err.strip()


def test_unknown_model_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]):
    expected = "Error: There is no model 'sun', neither as a folder nor in saved_models/. Trained models: moon."
    assert error_of(["sun"], folder, capsys) == expected


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("", "all addresses")])
def test_port_in_use_is_refused(folder: Path, capsys: pytest.CaptureFixture[str], host: str, shown: str):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        error = error_of(["--host", host, "--port", str(port)], folder, capsys)
    expected = (
        rf"Error: wordgen cannot listen on {shown}, port {port} \(Address already in use\): "
        r"give another --port \(0 chooses a free one\), or another --host\."
    )
    assert re.fullmatch(expected, error)


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--host", "no such host"], "wordgen cannot listen on no such host, port 8000"),
        (["--host", "no such host"], "or another --host."),
        (["--port", "99999"], "--port must be at least 0 and at most 65,535, not 99999."),
        (["--at-once", "0"], "--at-once must be at least 1"),
        (["--time-out", "0"], "--time-out must be at most 86,400 and above 0, not 0.0."),
        (["--token", "short"], "--token must have 8 to 100 letters, digits, - and _."),
        (["--prot", "1"], "Did you mean --port?"),
    ],
)
def test_bad_flags_get_one_sentence(flags: list[str], part: str, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert part in error_of(flags, folder, capsys)


def test_host_0_0_0_0_warns_and_refuses_other_host_names(folder: Path):
    with served(folder, "--host", "0.0.0.0") as playground:
        assert "anyone who can reach this machine and knows the token can use it" in playground.startup_output
        assert playground.ask("GET", "/api/models").status == 200
        assert playground.ask("GET", "/", Host="evil.example").status == 400


def test_only_named_models_are_served(tmp_path: Path):
    make_model(tmp_path / "saved_models" / "one", "spells")
    make_model(tmp_path / "elsewhere" / "two", "lyrics")
    with served(tmp_path, "elsewhere/two") as playground:
        assert [model["name"] for model in playground.ask("GET", "/api/models").content["models"]] == ["two"]
        assert playground.post("/api/text", model="one").status == 404
        assert playground.post("/api/text", seed="夜", length=1).content["model"] == "two"


def test_server_without_models_suggests_train(tmp_path: Path):
    with served(tmp_path) as playground:
        assert playground.ask("GET", "/api/models").content == {"models": []}
        answer = playground.post("/api/text", seed="x")
        assert answer.status == 404
        assert answer.content["error"].startswith("There is no trained model in saved_models yet. Train one first")
