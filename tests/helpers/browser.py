"""Drives a real Chromium over the DevTools protocol, for tests and for pictures. Every wait has a timeout."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 60
_FLAGS = (
    "--headless=new", "--remote-debugging-port=0", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-extensions", "--disable-sync", "--mute-audio", "--hide-scrollbars",
    "--force-color-profile=srgb",
)  # fmt: skip
_KEYS = {
    "Enter": ("\r", 13), "Escape": ("", 27), "Tab": ("", 9), " ": (" ", 32), "ArrowLeft": ("", 37), "ArrowUp": ("", 38),
    "ArrowRight": ("", 39), "ArrowDown": ("", 40), "Home": ("", 36), "End": ("", 35),
}  # fmt: skip


def find_chromium() -> str | None:
    """Return the path of an installed Chromium or Chrome."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Page:
    """One tab. `errors` has the errors of its scripts and of the network, `requests` the addresses that it loads."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self.errors: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol and return its result."""
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            message = json.loads(self._connection.recv(timeout=SECONDS))
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._handle_event(message)
        raise AssertionError(f"{method} was not answered")

    def _handle_event(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(parameters["exceptionDetails"]))
        elif message.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(parameters["entry"]["text"])
        elif message.get("method") == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])

    def set_screen(self, width: int, height: int = 900, *, dark: bool = False, phone: bool = False) -> None:
        """Set the size of the screen, light or dark mode, and whether it is a phone."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def value(self, script: str) -> Any:
        """Evaluate a JavaScript expression; if it is a promise, wait for it."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, f"{script}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = SECONDS) -> None:
        """Wait until a JavaScript expression is true."""
        deadline = time.monotonic() + seconds
        while not self.value(f"Boolean({condition})"):
            assert time.monotonic() < deadline, f"never true: {condition}\n{self.shown()}\n{self.errors}"
            time.sleep(0.03)

    def shown(self) -> str:
        """Return all visible text."""
        return self.value("document.body.innerText")

    def text(self, selector: str) -> str:
        return self.value(f"document.querySelector({json.dumps(selector)}).innerText")

    def count(self, selector: str) -> int:
        return self.value(f"document.querySelectorAll({json.dumps(selector)}).length")

    def click(self, selector: str, number: int = 0) -> None:
        """Click with the mouse on the middle of the first line of an element."""
        element = f"document.querySelectorAll({json.dumps(selector)})[{number}]"
        x, y = self.value(
            f"(({element}).scrollIntoView({{block: 'center'}}),"
            f" (box => [box.x + box.width / 2, box.y + box.height / 2])(({element}).getClientRects()[0]))"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Enter text where the focus is, as a keyboard or an input method does."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, *, control: bool = False) -> None:
        text, code = _KEYS[key]
        common: dict[str, Any] = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
        common["modifiers"] = 2 if control else 0
        self.call("Input.dispatchKeyEvent", type="keyDown", **({"text": text} if text else {}), **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Save a PNG of the whole page, or of the part on the screen."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))


@contextmanager
def open_browser() -> Generator[Page]:
    """Start a Chromium with one tab and a new profile; kill it after the block."""
    program = find_chromium()
    assert program is not None, f"none of {', '.join(PROGRAMS)} is installed"
    profile = Path(tempfile.mkdtemp(prefix="chromium-"))
    flags = [*_FLAGS, f"--user-data-dir={profile}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    process = subprocess.Popen(
        [program, *flags, "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(profile)},
    )
    try:
        with connect(_tab_address(profile, process), max_size=None, ping_interval=None) as connection:
            yield Page(connection)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(profile, ignore_errors=True)


def _tab_address(profile: Path, process: "subprocess.Popen[bytes]") -> str:
    port_file = profile / "DevToolsActivePort"
    deadline = time.monotonic() + SECONDS
    while not (port_file.exists() and port_file.read_text().count("\n")):
        assert process.poll() is None, "Chromium ended at once"
        assert time.monotonic() < deadline, "Chromium did not start"
        time.sleep(0.05)
    port = port_file.read_text().split("\n")[0]
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=SECONDS) as answer:
            tabs = [each for each in json.load(answer) if each["type"] == "page"]
        if tabs:
            return tabs[0]["webSocketDebuggerUrl"]
        time.sleep(0.05)
    raise AssertionError("Chromium has no tab")
