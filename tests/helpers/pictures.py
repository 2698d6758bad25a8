"""Makes the pictures in docs/pictures from real runs: `make pictures`. Look at them before you commit them."""

import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.helpers.browser import Page, open_browser
from tests.helpers.commands import ROOT, run_command
from tests.helpers.playground import served
from tests.helpers.playground_page import LISTED, READY, choose_model, write
from tests.helpers.tensorboard import tensorboard
from wordgen.cli.sweep import table_of
from wordgen.sweep.planning import find_sweep, plan_sweep
from wordgen.sweep.results import Row
from wordgen.sweep.sweeping import SweepWatcher, run_sweep
from wordgen.training.progress import TerminalProgress
from wordgen.training.reports import StepReport
from wordgen.training.screen import LiveDisplay

PICTURES = ROOT / "docs" / "pictures"
_TABS = ("timeseries", "scalars", "text", "projector", "histograms", "distributions")
_RECIPES = {"lotr": "short", "lyrics": "short", "spells": "short"}
_DRAWING_SECONDS = 8
"""How long TensorBoard may draw its charts. It does not report when it is done."""


def recording(width: int, *, terminal: bool = True) -> Console:
    """Return a console of 40 lines that records its output for a picture instead of showing it."""
    return Console(record=True, width=width, height=40, force_terminal=terminal, file=io.StringIO())


class Photographer(TerminalProgress):
    """Shows a run as in a terminal and saves a picture at a given step of a given epoch."""

    def __init__(self, epoch: int, step: int) -> None:
        self._recording, self._when = recording(100), (epoch, step)
        super().__init__(self._recording, "python generate.py")

    def stepped(self, report: StepReport) -> None:
        super().stepped(report)
        if (report.epoch, report.step_in_epoch) == self._when:
            assert self._status is not None
            self._recording.print(LiveDisplay(self._status))
            title = "python train.py --corpus lotr --recipe short --name lotr"
            self._recording.save_svg(str(PICTURES / "training.svg"), title=title, clear=False)

    def encoding(self, done: int, size: int) -> None:
        """Show no bar, because each of its states would be in the picture."""

    def _show_live(self) -> None:
        """Show no bars, as in `encoding`."""


def train(folder: Path) -> None:
    """Train three models in two languages, one of them with the photographer."""
    from wordgen.api import train_with
    from wordgen.run.defaults import complete_settings

    os.chdir(folder)
    for corpus, recipe in _RECIPES.items():
        settings = complete_settings(
            {"corpus": corpus, "recipe": recipe, "name": corpus, "histograms": corpus == "lotr"}
        )
        observers = [Photographer(9, 300)] if corpus == "lotr" else []
        train_with(settings, observers)
        evaluated = run_command("evaluate", corpus, cwd=folder)
        assert evaluated.returncode == 0, evaluated.stderr


def take_table_of_runs(folder: Path) -> None:
    listed = run_command("runs", cwd=folder, COLUMNS="100")
    assert listed.returncode == 0, listed.stderr
    console = recording(100, terminal=False)
    console.print(listed.stdout.rstrip() + "\n", markup=False, highlight=False)
    console.save_svg(str(PICTURES / "runs.svg"), title="python -m wordgen runs")


_SWEEP = """
about = "A small one, for its picture"
random_seeds = [1, 2]

[settings]
corpus = "spells"
recipe = "short"
epochs = 8

[grid]
cell = ["lstm", "gru"]
units = [32, 96]
"""


class SweepPhotographer(SweepWatcher):
    """Saves a picture of the table of a sweep when three runs are done and two have begun their third epoch."""

    taken = False

    def updated(self, rows: Sequence[Row]) -> None:
        states = [row.state for row in rows]
        under_way = [row.progress for row in rows if row.progress is not None and row.progress.epoch > 2]
        if self.taken or states.count("done") < 3 or len(under_way) < 2:
            return
        self.taken = True
        console = recording(90)
        console.print(table_of(rows, 20), "")
        console.save_svg(str(PICTURES / "sweep.svg"), title="python -m wordgen sweep cells-and-units.toml")


def take_sweep(folder: Path) -> None:
    os.chdir(folder)
    file = folder / "cells-and-units.toml"
    file.write_text(_SWEEP)
    photographer = SweepPhotographer()
    outcome = run_sweep(plan_sweep(find_sweep(str(file))), file.name, 2, 1, photographer)
    assert photographer.taken, outcome


def take_tensorboard(page: Page, folder: Path, *tabs: str) -> None:
    with tensorboard(folder, folder / "tensorboard.log") as address:
        for tab in tabs:
            page.set_screen(1280, 900)
            page.open("about:blank")
            page.open(f"{address}#{tab}")
            time.sleep(_DRAWING_SECONDS)
            page.picture(PICTURES / f"tensorboard-{tab}.png", whole=False)


def take_playground(page: Page, folder: Path) -> None:
    with served(folder) as playground:

        def show(width: int, height: int, *, phone: bool = False, dark: bool = False) -> None:
            page.set_screen(width, height, phone=phone, dark=dark)
            page.open(playground.address)
            page.wait(READY)

        def take(name: str) -> None:
            page.picture(PICTURES / f"playground-{name}.png", whole=False)

        show(1280, 800)
        choose_model(page, "lotr")
        write(page, "Aragorn")
        page.click(".word", 12)
        page.wait(LISTED)
        take("desktop")
        show(390, 844, phone=True)
        choose_model(page, "lotr")
        write(page, "Frodo took")
        take("phone")
        show(1280, 800, dark=True)
        choose_model(page, "lyrics")
        write(page, "君の")
        take("japanese")
        show(1280, 800)
        page.click("#compare")
        choose_model(page, "lotr", 0)
        choose_model(page, "spells", 1)
        write(page, "The")
        take("compare")


def take_report(page: Page, folder: Path) -> None:
    page.set_screen(1000, 1400)
    page.open((folder / "saved_models" / "lotr" / "report.html").as_uri())
    page.picture(PICTURES / "report.png", whole=False)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="wordgen-pictures-") as name:
        folder = Path(name)
        train(folder)
        with open_browser() as page:
            take_tensorboard(page, folder, *_TABS)
        with open_browser() as page:
            take_playground(page, folder)
        with open_browser() as page:
            take_report(page, folder)
        take_sweep(folder)
        take_table_of_runs(folder)
        with open_browser() as page:
            take_tensorboard(page, folder, "hparams")  # it needs the sweep
        os.chdir(ROOT)
    print(json.dumps(sorted(path.name for path in PICTURES.iterdir())), file=sys.stderr)


if __name__ == "__main__":
    main()
