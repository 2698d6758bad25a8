"""Takes the pictures in docs/pictures from real runs: `make pictures`. Look at them before they are committed."""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from tests.browser import Page, open_browser
from tests.conftest import ROOT, run_command
from tests.playground import served
from tests.playground_page import LISTED, READY, choose, write
from tests.tensorboard_server import tensorboard
from wordgen.cli.sweep_screen import table_of
from wordgen.lab.planning import plan_sweep
from wordgen.lab.sweep_file import find_sweep
from wordgen.lab.sweeping import run_sweep
from wordgen.lab.working import Row, SweepWatcher
from wordgen.training.live import LiveDisplay
from wordgen.training.progress import TerminalProgress
from wordgen.training.reports import StepReport
from wordgen.training.standing import Standing

PICTURES = ROOT / "docs" / "pictures"
_RECIPES = {"lotr": "short", "lyrics": "short", "spells": "short"}
_SECONDS_TO_DRAW = 8
"""TensorBoard's charts come to rest by themselves, and nothing tells when."""


class Photographer(TerminalProgress):
    """Shows a run as a terminal does, and takes a picture in the middle of an epoch."""

    def __init__(self, epoch: int, step: int, path: Path) -> None:
        nowhere = open(os.devnull, "w")  # noqa: SIM115
        self._recording = Console(record=True, width=100, height=40, force_terminal=True, file=nowhere)
        super().__init__(self._recording, "python generate.py")
        self._when, self._path = (epoch, step), path

    def stepped(self, report: StepReport) -> None:
        super().stepped(report)
        if (report.epoch, report.step_in_epoch) == self._when:
            assert self._standing is not None
            self._recording.print(LiveDisplay(self._standing))
            title = "python train.py --corpus lotr --recipe short --name lotr"
            self._recording.save_svg(str(self._path), title=title, clear=False)

    def encoding(self, done: int, size: int) -> None:
        """Drawn again and again, a bar would be in the picture as often."""

    def _show_live(self, standing: Standing) -> None:
        """As `encoding`."""


def train(room: Path) -> None:
    """Three runs, of two languages; one of them is watched by the photographer."""
    from wordgen.complete_settings import settings_of
    from wordgen.runs import train_with

    os.chdir(room)
    for corpus, recipe in _RECIPES.items():
        settings = settings_of({"corpus": corpus, "recipe": recipe, "name": corpus, "histograms": corpus == "lotr"})
        watching = [Photographer(9, 300, PICTURES / "training.svg")] if corpus == "lotr" else []
        train_with(settings, watching)
        evaluated = run_command("evaluate", corpus, cwd=room)
        assert evaluated.returncode == 0, evaluated.stderr


def table_of_runs(room: Path) -> None:
    told = run_command("runs", cwd=room, COLUMNS="100")
    assert told.returncode == 0, told.stderr
    with open(os.devnull, "w") as nowhere:
        recording = Console(record=True, width=100, file=nowhere)
        recording.print(told.stdout.rstrip() + "\n", markup=False, highlight=False)
        recording.save_svg(str(PICTURES / "runs.svg"), title="python -m wordgen runs")


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
    """Takes a picture of a sweep's table when some of its runs are over and some are well under way."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.taken = False

    def looked(self, rows: Sequence[Row]) -> None:
        states = [row.state for row in rows]
        under_way = [row.progress for row in rows if row.progress is not None and row.progress.epoch > 2]
        if self.taken or states.count("done") < 3 or len(under_way) < 2:
            return
        self.taken = True
        with open(os.devnull, "w") as nowhere:
            recording = Console(record=True, width=90, force_terminal=True, file=nowhere)
            recording.print(table_of(rows, 20), "")
            recording.save_svg(str(self._path), title="python -m wordgen sweep cells-and-units.toml")


def sweep_at_work(room: Path) -> None:
    os.chdir(room)
    file = room / "cells-and-units.toml"
    file.write_text(_SWEEP)
    photographer = SweepPhotographer(PICTURES / "sweep.svg")
    end = run_sweep(plan_sweep(find_sweep(str(file))), file.name, 2, 1, photographer)
    assert photographer.taken, end


def tabs_of_tensorboard(page: Page, room: Path) -> None:
    _tabs(page, room, "timeseries", "scalars", "text", "projector", "histograms", "distributions")


def settings_in_tensorboard(page: Page, room: Path) -> None:
    """Where there is a sweep besides the runs."""
    _tabs(page, room, "hparams")


def _tabs(page: Page, room: Path, *tabs: str) -> None:
    with tensorboard(room, room / "tensorboard.log") as address:
        for tab in tabs:
            page.show_as(1280, 900)
            page.open("about:blank")
            page.open(f"{address}#{tab}")
            time.sleep(_SECONDS_TO_DRAW)
            page.picture(PICTURES / f"tensorboard-{tab}.png", whole=False)


def playground(page: Page, room: Path) -> None:
    with served(room) as serving:
        for name, take in (("desktop", _desktop), ("phone", _phone), ("japanese", _japanese), ("compare", _compare)):
            page.show_as(390 if name == "phone" else 1280, 844 if name == "phone" else 800, phone=name == "phone")
            page.open(serving.address)
            page.wait(READY)
            take(page)
            page.picture(PICTURES / f"playground-{name}.png", whole=False)


def _desktop(page: Page) -> None:
    choose(page, ".model", "lotr")
    write(page, "Aragorn")
    page.click(".word", 12)
    page.wait(LISTED)


def _phone(page: Page) -> None:
    choose(page, ".model", "lotr")
    write(page, "Frodo took")


def _japanese(page: Page) -> None:
    page.show_as(1280, 800, dark=True)
    choose(page, ".model", "lyrics")
    write(page, "君の")


def _compare(page: Page) -> None:
    page.click("#compare")
    choose(page, ".model", "lotr", 0)
    choose(page, ".model", "spells", 1)
    write(page, "The")


def page_about_a_run(page: Page, room: Path) -> None:
    page.show_as(1000, 1400)
    page.open((room / "saved_models" / "lotr" / "report.html").as_uri())
    page.picture(PICTURES / "report.png", whole=False)


def main() -> None:
    room = Path(tempfile.mkdtemp(prefix="wordgen-pictures-"))
    try:
        train(room)
        _take(room, tabs_of_tensorboard, playground, page_about_a_run)
        sweep_at_work(room)
        table_of_runs(room)
        _take(room, settings_in_tensorboard)
    finally:
        shutil.rmtree(room)
    print(json.dumps(sorted(path.name for path in PICTURES.iterdir())), file=sys.stderr)


def _take(room: Path, *takes: Callable[[Page, Path], None]) -> None:
    for take in takes:
        with open_browser() as page:
            take(page, room)


if __name__ == "__main__":
    main()
