"""What `wordgen runs` prints."""

import re

import pytest

from wordgen.cli.main import main


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["runs", *arguments]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return told.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["runs", *arguments]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("Error: ")
    assert told.err.count("\n") == 1
    return told.err


def rows(told: str) -> dict[str, list[str]]:
    """The cells of each row by its first one."""
    lines = [re.split(r" {2,}", line) for line in told.split("\n") if "  " in line]
    return {first: others for first, *others in lines if first}
