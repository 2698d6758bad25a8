"""Flags are made from the declarations of the settings."""

import re

import pytest

from wordgen.cli.flags import parser_of, settings_from
from wordgen.errors import SettingError
from wordgen.training.settings import TrainingSettings


@pytest.mark.parametrize("verb", ["train", "generate", "serve", "palindromes"])
def test_every_flag_says_its_default(verb: str):
    text = parser_of(verb, "wordgen").format_help()
    entries = re.findall(r"^  ((?:--|[A-Z])[^\n]*(?:\n {4,}[^\n]*)*)", text, re.MULTILINE)
    told = re.compile(r"\(default: .+\)|by default|\(required\)")
    assert len(entries) > 5
    assert [each for each in entries if not told.search(" ".join(each.split()))] == []


def test_what_is_not_given_is_left_to_the_settings():
    arguments = parser_of("train", "wordgen").parse_args(["--corpus", "lotr", "--batch-size", "7", "--no-tied"])
    assert settings_from(TrainingSettings, arguments) == TrainingSettings(batch_size=7)


def test_a_width_for_all_layers_or_one_for_each():
    parser = parser_of("train", "wordgen")
    for given, units in (("64", 64), ("64 32", (64, 32))):
        assert parser.parse_args(["--corpus", "lotr", "--units", *given.split()]).units == units
    with pytest.raises(SettingError, match="--units: invalid int value: 'many'"):
        parser.parse_args(["--units", "64", "many"])
