"""A sweep as one function: from its plan to a folder with runs, tables and curves."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from wordgen import __version__
from wordgen.commands import sweeping_command
from wordgen.files import make_folder, write_whole
from wordgen.lab.curves import write_curves
from wordgen.lab.effects import effects_of
from wordgen.lab.found import Found, check_all, with_test
from wordgen.lab.mattered import what_mattered
from wordgen.lab.planning import PlannedSweep
from wordgen.lab.results import NetworkResult, results_of
from wordgen.lab.tables import as_markdown
from wordgen.lab.working import Row, SweepWatcher, Work
from wordgen.run_lock import at_work_on_sweep
from wordgen.run_names import SWEEP_RESULTS, SWEEP_TABLE


@dataclass(frozen=True)
class SweepEnd:
    results: tuple[NetworkResult, ...]
    mattered: str
    """In sentences."""
    stopped: bool
    """Whether the user stopped it."""
    failed: tuple[Row, ...]
    """Runs that were lost on the way."""


def run_sweep(planned: PlannedSweep, given: str, at_once: int, threads: int, watcher: SweepWatcher) -> SweepEnd:
    """Do what is left of a sweep, and write what came out; `given` is how the user named it."""
    make_folder(planned.folder)
    with at_work_on_sweep(planned.folder):
        work = Work(planned, at_once, threads, watcher)
        stopped = work.do(check_all(planned.runs))
        failed = tuple(row for row in work.rows if row.state == "failed")
        if stopped:
            return SweepEnd((), "", stopped, failed)
        found = _measured(work.rows, watcher)
        notes = {row.run.name: row.note for row in work.rows}
        results = results_of(planned, found, notes)
        mattered = what_mattered(results, effects_of(planned.sweep, results))
        _keep(planned, given, results, mattered)
        return SweepEnd(tuple(results), mattered, stopped, failed)


def _measured(rows: Sequence[Row], watcher: SweepWatcher) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for number, row in enumerate(rows):
        watcher.measuring(number, len(rows))
        found[row.run.name] = with_test(row.run, row.found)
    return found


def _keep(planned: PlannedSweep, given: str, results: Sequence[NetworkResult], mattered: str) -> None:
    sweep = planned.sweep
    command = sweeping_command(given, None if planned.name == sweep.name else planned.name)
    date = datetime.now(UTC).date().isoformat()
    content: Mapping[str, Any] = {
        "sweep": planned.name,
        "about": sweep.about,
        "command": command,
        "date": date,
        "wordgen": __version__,
        "settings": dict(sweep.shared),
        "random_seeds": list(sweep.random_seeds),
        "mattered": mattered,
        "networks": [result.to_mapping() for result in results],
        "runs": [run.to_mapping() for result in results for run in result.runs],
    }
    write_whole(
        planned.folder / SWEEP_RESULTS, json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1).encode()
    )
    told = [f"`{command}`, {date}, wordgen {__version__}.", as_markdown(results), mattered]
    write_whole(planned.folder / SWEEP_TABLE, ("\n\n".join(told) + "\n").encode())
    write_curves(planned.folder, sweep.about.rstrip(".") or planned.name, results)
