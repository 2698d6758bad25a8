import re
from dataclasses import dataclass, fields
from typing import Literal

import pytest

from wordgen.errors import SettingError
from wordgen.model.architecture import DropoutSettings
from wordgen.run.settings import TrainSettings
from wordgen.settings import Settings, flag_name, in_python, setting


def test_every_setting_of_training_has_a_scope():
    assert [each.name for each in fields(TrainSettings) if each.metadata["scope"] is None] == []


@dataclass(frozen=True, kw_only=True)
class Shop(Settings):
    seats: int = setting(4, at_least=1, at_most=9, help="chairs")
    share: float = setting(0.5, at_least=0, below=1, help="part")
    kind: Literal["tea", "cake"] = setting("tea", help="what it sells")
    name: str | None = setting(None, help="sign")
    dishes: tuple[str, ...] = setting((), help="menu")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"seats": 0}, "--seats must be at least 1 and at most 9, not 0."),
        ({"seats": 10}, "--seats must be at least 1 and at most 9, not 10."),
        ({"seats": 2.5}, "--seats must be a whole number, not 2.5."),
        ({"seats": True}, "--seats must be a whole number, not True."),
        ({"share": 1.0}, "--share must be at least 0 and below 1, not 1.0."),
        ({"share": float("nan")}, "--share must be at least 0 and below 1, not nan."),
        ({"share": "much"}, "--share must be a number, not 'much'."),
        ({"kind": "pie"}, "--kind must be one of tea, cake, not 'pie'."),
        ({"seats": 10**400}, "--seats must be at least 1 and at most 9, not such a large number."),
        ({"name": 3}, "--name must be text or nothing, not 3."),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(wrong: dict[str, object], sentence: str):
    with pytest.raises(SettingError, match=re.escape(sentence)):
        Shop(**wrong)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("--seq-len must be at least 1, not 0.", "seq_len must be at least 1, not 0."),
        ("--at-least 10 is more than --length 5.", "at_least=10 is more than length=5."),
        ("trained with --no-copy-index, or copied", "trained with copy_index=False, or copied"),
        ("as --no-repeat-ngram 4.", "as no_repeat_ngram=4."),
        (
            "Train one: python train.py --corpus lotr (or --name x).",
            "Train one: python train.py --corpus lotr (or name x).",
        ),
        ("python -m wordgen train --help has all flags.", "python -m wordgen train --help has all flags."),
        ("flags win over --recipe", "settings win over recipe"),
        ("a dash - or -- or ---- is none", "a dash - or -- or ---- is none"),
    ],
)
def test_who_calls_from_python_is_told_of_names(sentence: str, told: str):
    assert in_python(sentence) == told


def test_a_mapping_gives_the_settings_back():
    shop = Shop(seats=2, dishes=("scone",))
    assert Shop.from_mapping(shop.to_mapping()) == shop
    assert Shop.from_mapping({"dishes": ["scone"], "seats": 2}) == shop


def test_unknown_keys_are_refused():
    with pytest.raises(SettingError, match="'chairs' is not a setting"):
        Shop.from_mapping({"chairs": 2})


def test_missing_keys_are_refused():
    @dataclass(frozen=True, kw_only=True)
    class Needy(Settings):
        name: str = setting()

    with pytest.raises(SettingError, match="'name' is missing"):
        Needy.from_mapping({})


def test_a_group_is_taken_out_of_a_larger_one():
    @dataclass(frozen=True, kw_only=True)
    class Town(Shop):
        streets: int = setting(3)

    assert Shop.part_of(Town(seats=7, streets=5)) == Shop(seats=7)


def test_flags_are_spelled_with_dashes():
    assert flag_name("batch_size") == "--batch-size"


def test_the_dropout_that_acts_is_that_of_the_places_there_are():
    ends = DropoutSettings(dropout=0.1, input_dropout=0.6, output_dropout=0.0)
    assert ends.acting(layers=2) == {"dropout": 0.1, "input_dropout": 0.6, "output_dropout": 0.0}
    assert ends.acting(layers=1) == {"input_dropout": 0.6, "output_dropout": 0.0}
    assert DropoutSettings(dropout=0.1, input_dropout=0.6).acting(layers=1) == {"dropout": 0.1, "input_dropout": 0.6}
    assert DropoutSettings(dropout=0.1, weight_drop=0.5).acting(layers=2) == {"dropout": 0.1, "weight_drop": 0.5}
