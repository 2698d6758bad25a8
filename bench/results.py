"""What was measured, kept as JSON in bench/results/, and put from there into documents between two marks."""

import json
import os
import platform
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.turns import ROOT
from wordgen.files import write_whole

FOLDER = ROOT / "bench" / "results"
PEER_PYTHON = "--peer-python"
_MADE_FROM_THEM = ["bench/results", "docs"]
"""What is written after measuring does not change what was measured."""


def load(name: str) -> dict[str, Any]:
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def save(name: str, found: dict[str, Any]) -> None:
    FOLDER.mkdir(exist_ok=True)
    content = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    write_whole(FOLDER / f"{name}.json", content.encode())


def circumstances() -> dict[str, Any]:
    """When, where and by which command something was measured; where the peers lie is nobody's business."""
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
    """With a plus where files were changed since."""
    head = _git("rev-parse", "--short", "HEAD")
    return head + ("+" if _git("status", "--porcelain", "--", ".", *(f":!{each}" for each in _MADE_FROM_THEM)) else "")


def machine() -> dict[str, Any]:
    facts = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*:\s*(.+)", facts.read_text()) if facts.exists() else []
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "bfloat16": has_bfloat16(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def has_bfloat16() -> bool:
    """Whether the processor computes products in it."""
    facts = Path("/proc/cpuinfo")
    return facts.exists() and bool(re.search(r"\b(avx512_bf16|amx_bf16)\b", facts.read_text()))


def load_of_others() -> float:
    """How many processes wanted a core in the last minute, beside this one."""
    return os.getloadavg()[0]


def shown_origin(measured: dict[str, Any]) -> str:
    """The command, the date, the commit and the machine of a measurement, for a document."""
    where = measured["machine"]
    return (
        f"`{measured['command']}`, {measured['date']}, commit {measured['commit']}; {where['processor']}, "
        f"{where['cores']} cores, Python {where['python']}"
    )


def put_between(path: Path, mark: str, text: str) -> None:
    """Replace what stands in a document between the two marks of that name."""
    begin, end = f"<!-- {mark}: written by bench/document.py -->", f"<!-- end of {mark} -->"
    content = path.read_text(encoding="utf-8")
    before, found, rest = content.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{path} has no place for {mark}: it needs the lines {begin} and {end}")
    write_whole(path, f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}".encode())


def _git(*arguments: str) -> str:
    found = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown" if arguments[0] == "rev-parse" else found.stdout.strip()
