"""The results of measurements: saved as JSON in bench/results/, printed as tables, and written into documents.

The arguments that several scripts share are here, too.
"""

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.turns import ROOT
from wordgen.files import write_atomically

FOLDER = ROOT / "bench" / "results"
PEER_PYTHON = "--peer-python"
_MADE_FROM_THEM = ["bench/results", "docs"]
"""Files that are written after a measurement. Changes in them do not change what was measured."""


def parser_for(script: str | None, minutes: float | None = None) -> argparse.ArgumentParser:
    """Return the parser of a script with this docstring. With `minutes`, it has `--minutes`, which gives `until`.

    `until` is the time of the monotonic clock when the script must stop.
    """
    parser = argparse.ArgumentParser(description=(script or "").partition("\n")[0])
    if minutes is not None:
        parser.add_argument(
            "--minutes",
            dest="until",
            metavar="MINUTES",
            type=lambda given: time.monotonic() + 60 * float(given),
            default=str(minutes),
            help=f"when to stop, whatever is left (default: {minutes:g})",
        )
    return parser


def add_peer_python(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(PEER_PYTHON, default=str(ROOT / ".peers" / "bin" / "python"), help="a Python with the peers")


def some_of(known: Collection[str]) -> Callable[[str], list[str]]:
    """Return the type of an argument that takes some of these names, with commas between them. No name means all."""

    def names(given: str) -> list[str]:
        chosen = given.split(",") if given else list(known)
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"there is no {name}: there are {', '.join(known)}")
        return chosen

    return names


def print_row(*cells: object) -> None:
    """Print a row of a table at once, because the next row may take minutes."""
    print(*cells, sep=" | ", flush=True)


def load(name: str) -> dict[str, Any]:
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def save(name: str, key: str, found: dict[str, Any]) -> None:
    """Save one result beside the others of this name."""
    FOLDER.mkdir(exist_ok=True)
    content = json.dumps(load(name) | {key: found}, indent=1, ensure_ascii=False) + "\n"
    write_atomically(FOLDER / f"{name}.json", content.encode())


def circumstances() -> dict[str, Any]:
    """Return when, where and by which command something was measured, without the path of the peers' Python."""
    given = [Path(sys.argv[0]).resolve().relative_to(ROOT).as_posix(), *sys.argv[1:]]
    if PEER_PYTHON in given:
        place = given.index(PEER_PYTHON)
        del given[place : place + 2]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "moment": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "command": shlex.join(["python", *given]),
        "machine": machine(),
    }


def commit() -> str:
    """Return the short hash of the commit, with a plus if files have changed since."""
    changed = _git("status", "--porcelain", "--", ".", *(f":!{each}" for each in _MADE_FROM_THEM))
    return (_git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if changed else "")


def machine() -> dict[str, Any]:
    model = re.search(r"model name\s*:\s*(.+)", _processor())
    return {
        "processor": model[1] if model else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "bfloat16": has_bfloat16(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def has_bfloat16() -> bool:
    """Return whether the processor computes products in bfloat16."""
    return bool(re.search(r"\b(avx512_bf16|amx_bf16)\b", _processor()))


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    return facts.read_text() if facts.exists() else ""


def shown_origin(measured: dict[str, Any]) -> str:
    """Return the command, the date, the commit and the machine of a measurement."""
    where = measured["machine"]
    return (
        f"`{measured['command']}`, {measured['date']}, commit {measured['commit']}; {where['processor']}, "
        f"{where['cores']} cores, Python {where['python']}"
    )


def put_between(path: Path, mark: str, text: str) -> None:
    """Replace the part of a document between the two marks of that name."""
    begin, end = f"<!-- {mark}: written by bench/document.py -->", f"<!-- end of {mark} -->"
    content = path.read_text(encoding="utf-8")
    before, found, rest = content.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{path} has no place for {mark}: it needs the lines {begin} and {end}")
    write_atomically(path, f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}".encode())


def _git(*arguments: str) -> str:
    found = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return found.stdout.strip()
