import re

import pytest

from wordgen.cli import generate, serve, train
from wordgen.errors import SettingError

TRAIN_FLAGS = [
    "corpus", "tokenizer", "vocab-size", "min-count", "seq-len", "layers", "units", "cell", "dropout", "tied",
    "no-tied", "optimizer", "learning-rate", "clip", "batch-size", "epochs", "patience", "name", "random-seed", "quiet",
    "debug", "overwrite",
]  # fmt: skip
GENERATE_FLAGS = ["seed", "mode", "model", "length", "count", "temperature", "random-seed", "json", "debug"]


@pytest.mark.parametrize(("verb", "flags"), [(train, TRAIN_FLAGS), (generate, GENERATE_FLAGS)])
def test_the_flags_that_scripts_rely_on_are_there(verb: object, flags: list[str]):
    text = verb.make_parser("wordgen").format_help()  # pyright: ignore[reportAttributeAccessIssue]
    assert not [flag for flag in flags if not re.search(rf"(^|[\s,])--{flag}\b", text)]


@pytest.mark.parametrize("verb", [train, generate, serve])
def test_every_flag_says_its_default(verb: object):
    parser = verb.make_parser("wordgen")  # pyright: ignore[reportAttributeAccessIssue]
    told = re.compile(r"\(default: .+\)|by default|\(required\)")
    actions = [action for action in parser._actions if action.dest != "help"]
    silent = [action.option_strings for action in actions if not told.search(action.help or "")]
    assert silent == []
    assert all(len(action.help or "") > 15 for action in parser._actions)


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
