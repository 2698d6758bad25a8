"""Flags are made from the declarations of the settings."""

import re

import pytest

from wordgen.cli import generate, palindromes, serve, train
from wordgen.errors import SettingError


@pytest.mark.parametrize("verb", [train, generate, serve, palindromes])
def test_every_flag_says_its_default(verb: object):
    text = verb.make_parser("wordgen").format_help()  # pyright: ignore[reportAttributeAccessIssue]
    entries = re.findall(r"^  ((?:--|[A-Z])[^\n]*(?:\n {4,}[^\n]*)*)", text, re.MULTILINE)
    told = re.compile(r"\(default: .+\)|by default|\(required\)")
    assert len(entries) > 5
    assert [each for each in entries if not told.search(" ".join(each.split()))] == []


def test_what_is_not_given_is_left_to_the_settings():
    from wordgen.cli.flags import settings_from
    from wordgen.training.settings import TrainingSettings

    arguments = train.make_parser("wordgen").parse_args(["--corpus", "lotr", "--batch-size", "7", "--no-tied"])
    assert settings_from(TrainingSettings, arguments) == TrainingSettings(batch_size=7)


def test_a_width_for_all_layers_or_one_for_each():
    parser = train.make_parser("wordgen")
    for given, units in (("64", 64), ("64 32", (64, 32))):
        assert parser.parse_args(["--corpus", "lotr", "--units", *given.split()]).units == units
    with pytest.raises(SettingError, match="--units: invalid int value: 'many'"):
        parser.parse_args(["--units", "64", "many"])
