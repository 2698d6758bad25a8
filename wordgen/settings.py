"""Settings as frozen dataclasses that check their own types and bounds.

Each setting is declared once, in the module that uses it, with its default, its bounds and the help text that the
command line shows. The flags, the Python API and the JSON files are all made from this declaration.
"""

import math
import operator
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from functools import partial
from types import UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

from wordgen.errors import SettingError, WordgenError, in_a_sentence

_COMMAND_PATTERN = r"(?:python (?:train|generate)\.py|(?:python -m )?wordgen [a-z]+)(?: [^\s().,;:]+)*"
_FLAG_PATTERN = r"--(?P<name>[a-z][a-z-]*[a-z])(?: (?P<number>\d(?:[\d.,]*\d)?)\b)?"


Scope = Literal["run", "text", "network", "learning", "device", "display"]
"""The subject of a training setting.

The scope decides which settings runs are compared by, which may change when a run is resumed, which must be equal on
all workers, which TensorBoard shows, and which a sweep may vary.

- run: the name of this one run.
- text: what is read, and how it becomes tokens.
- network: the shape of the network, and which model it begins from.
- learning: how it is trained.
- device: where it is trained.
- display: what is shown and saved during the training.
"""


def setting(
    default: Any = MISSING,
    *,
    help: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    scope: Scope | None = None,
    keeps_recipe: bool = False,
) -> Any:
    """Return a dataclass field. If `keeps_recipe` is True, wordgen chooses a recipe even if the user gives a value."""
    bounds = {"at_least": at_least, "at_most": at_most, "above": above, "below": below}
    return field(default=default, metadata={"help": help, **bounds, "scope": scope, "keeps_recipe": keeps_recipe})


learning = partial(setting, scope="learning")
"""Like `setting`, but for settings of how the network is trained."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base class of all groups of settings. Raises a SettingError if a value has the wrong type or is out of bounds."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for each in fields(self):
            value, hint = getattr(self, each.name), hints[each.name]
            if not _fits(value, hint):
                raise SettingError(f"{flag_name(each.name)} must be {_describe_type(hint)}, not {value!r}.")
            _check_bounds(each, value)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> Self:
        """Make the settings from a JSON or TOML table. Raise a SettingError for an unknown or missing key."""
        known = {each.name: each for each in fields(cls)}
        for key in mapping:
            if key not in known:
                raise SettingError(f"'{key}' is not a setting; the settings are {', '.join(known)}.")
        for name, each in known.items():
            if each.default is MISSING and name not in mapping:
                raise SettingError(f"the setting '{name}' is missing.")
        lists_as_tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in mapping.items()}
        return cls(**lists_as_tuples)

    def to_mapping(self) -> dict[str, Any]:
        return asdict(self)

    def non_default_fields(self) -> "list[Field[object]]":
        """Return the fields whose value differs from the default, or that have no default."""
        return [each for each in fields(self) if each.default is MISSING or getattr(self, each.name) != each.default]

    @classmethod
    def part_of(cls, whole: "Settings") -> Self:
        """Return the settings of this group, taken from a larger group that has them all."""
        return cls(**{each.name: getattr(whole, each.name) for each in fields(cls)})


def flag_name(name: str) -> str:
    """Return the flag of a setting: `--seq-len` for `seq_len`."""
    return "--" + name.replace("_", "-")


def in_python(sentence: str) -> str:
    """Rewrite a sentence about flags for the Python API.

    `--seq-len 20` becomes `seq_len=20`, `--no-tied` becomes `tied=False`, and "flag" becomes "setting". Commands in the
    sentence do not change.
    """
    return re.sub(f"{_COMMAND_PATTERN}|{_FLAG_PATTERN}|\\bflag(?=s?\\b)", _as_argument, sentence)


def _as_argument(found: "re.Match[str]") -> str:
    if found["name"] is None:
        return "setting" if found[0] == "flag" else found[0]
    name = found["name"].replace("-", "_")
    if name.startswith("no_") and name != "no_repeat_ngram":
        return f"{name.removeprefix('no_')}=False"
    return name if found["number"] is None else f"{name}={found['number']}"


@contextmanager
def errors_in_python_terms() -> Generator[None]:
    """Rewrite the message of each WordgenError that the block raises for the Python API (see `in_python`)."""
    try:
        yield
    except WordgenError as error:
        error.args = (in_python(str(error)), *error.args[1:])
        raise


def _fits(value: object, hint: object) -> bool:
    origin = get_origin(hint)
    if origin is Literal:
        return value in get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    if origin is tuple:
        part = get_args(hint)[0]
        return isinstance(value, tuple) and all(_fits(each, part) for each in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(hint, type) and isinstance(value, hint)


def _describe_type(hint: object) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(map(_describe_type, get_args(hint)))
    if get_origin(hint) is tuple:
        part = get_args(hint)[0]
        return f"a list of {_PLURAL_TYPE_NAMES[part]}" if part in _PLURAL_TYPE_NAMES else "a list of these"
    return _TYPE_NAMES.get(hint, "nothing")


_TYPE_NAMES: dict[object, str] = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
_PLURAL_TYPE_NAMES: dict[object, str] = {int: "whole numbers", str: "texts"}
_BOUND_CHECKS: dict[str, Callable[[float, float], bool]] = {
    "at_least": operator.ge,
    "at_most": operator.le,
    "above": operator.gt,
    "below": operator.lt,
}


def _check_bounds(each: "Field[object]", value: object) -> None:
    if isinstance(value, tuple):
        for part in value:
            _check_bounds(each, part)
    if not isinstance(value, int | float):
        return
    bounds = {key: bound for key, bound in each.metadata.items() if key in _BOUND_CHECKS and bound is not None}
    finite = isinstance(value, int) or math.isfinite(value)
    if not (finite and all(_BOUND_CHECKS[key](value, bound) for key, bound in bounds.items())):
        required = in_a_sentence(f"{key.replace('_', ' ')} {bound:,}" for key, bound in bounds.items())
        required = required or "a finite number"
        raise SettingError(f"{flag_name(each.name)} must be {required}, not {_shorten(value)}.")


def _shorten(value: object) -> str:
    """Return a wrong value as text for an error message. Very large integers are not written out."""
    return "such a large number" if isinstance(value, int) and abs(value) > 10**18 else str(value)
