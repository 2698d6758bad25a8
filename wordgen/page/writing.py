"""Puts the page into a run's folder, made from the files that lie there."""

from pathlib import Path

from wordgen.files import write_whole
from wordgen.page.facts import Facts
from wordgen.page.measured import read_measured
from wordgen.page.whole import page_of
from wordgen.run_names import name_of
from wordgen.training.report_file import read_report

PAGE = "report.html"


def write_page(folder: Path) -> Path:
    """Where it lies. The run is called as its folder is, for commands find it by that."""
    facts = Facts.of(name_of(folder), read_report(folder), read_measured(folder))
    path = folder / PAGE
    write_whole(path, page_of(facts).encode("utf-8"))
    return path
