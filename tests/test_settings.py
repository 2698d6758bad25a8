import re
from dataclasses import dataclass, fields
from typing import Literal

import pytest

from wordgen.errors import SettingError
from wordgen.model.architecture import DropoutSettings
from wordgen.run.settings import TrainSettings
from wordgen.settings import Settings, in_python, setting


def test_every_training_setting_has_a_scope():
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
def test_error_names_wrong_value_and_allowed_ones(wrong: dict[str, object], sentence: str):
    with pytest.raises(SettingError, match=re.escape(sentence)):
        Shop(**wrong)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("sentence", "expected"),
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
def test_in_python_replaces_flags_by_names(sentence: str, expected: str):
    assert in_python(sentence) == expected


def test_settings_round_trip_through_mapping():
    shop = Shop(seats=2, dishes=("scone",))
    assert Shop.from_mapping(shop.to_mapping()) == shop
    assert Shop.from_mapping({"dishes": ["scone"], "seats": 2}) == shop


def test_unknown_and_missing_keys_are_refused():
    with pytest.raises(SettingError, match="'chairs' is not a setting"):
        Shop.from_mapping({"chairs": 2})

    @dataclass(frozen=True, kw_only=True)
    class RequiredName(Settings):
        name: str = setting()

    with pytest.raises(SettingError, match="'name' is missing"):
        RequiredName.from_mapping({})


def test_part_of_takes_a_group_out_of_a_larger_one():
    @dataclass(frozen=True, kw_only=True)
    class Town(Shop):
        streets: int = setting(3)

    assert Shop.part_of(Town(seats=7, streets=5)) == Shop(seats=7)


def test_acting_dropout_depends_on_number_of_layers():
    settings = DropoutSettings(dropout=0.1, input_dropout=0.6, output_dropout=0.0)
    assert settings.active_rates(layers=2) == {"dropout": 0.1, "input_dropout": 0.6, "output_dropout": 0.0}
    assert settings.active_rates(layers=1) == {"input_dropout": 0.6, "output_dropout": 0.0}
    assert DropoutSettings(dropout=0.1, input_dropout=0.6).active_rates(layers=1) == {
        "dropout": 0.1,
        "input_dropout": 0.6,
    }
    assert DropoutSettings(dropout=0.1, weight_drop=0.5).active_rates(layers=2) == {"dropout": 0.1, "weight_drop": 0.5}
