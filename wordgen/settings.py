"""Settings as frozen, typed values that check themselves.

A setting is declared once, beside the code that owns it, with its default, its bounds and the line
of help that the command line shows. Flags, the Python API and the JSON files all read that one place.
"""

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from types import UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

from wordgen.errors import SettingError, WordgenError

_COMMAND = r"(?:python (?:train|generate)\.py|(?:python -m )?wordgen [a-z]+)(?: [^\s().,;:]+)*"
_FLAG = r"--(?P<name>[a-z][a-z-]*[a-z])(?: (?P<number>\d(?:[\d.,]*\d)?)\b)?"


def setting(
    default: Any = MISSING,
    *,
    help: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> Any:
    """A dataclass field with bounds and a line of help."""
    bounds = {"at_least": at_least, "at_most": at_most, "above": above, "below": below}
    return field(default=default, metadata={"help": help, **bounds})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of all groups of settings: values are checked when they are made."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for each in fields(self):
            _check_type(each.name, getattr(self, each.name), hints[each.name])
            _check_bounds(each, getattr(self, each.name))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """The settings a JSON or TOML table holds; unknown and missing keys are refused."""
        known = {each.name: each for each in fields(cls)}
        for key in mapping:
            if key not in known:
                raise SettingError(f"'{key}' is no setting; there are {', '.join(known)}.")
        for name, each in known.items():
            required = each.default is MISSING and each.default_factory is MISSING
            if required and name not in mapping:
                raise SettingError(f"the setting '{name}' is missing.")
        lists_as_tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in mapping.items()}
        return cls(**lists_as_tuples)

    def to_mapping(self) -> dict[str, Any]:
        return asdict(self)

    def chosen(self) -> "list[Field[Any]]":
        """Those that are not as by default."""
        return [each for each in fields(self) if each.default is MISSING or getattr(self, each.name) != each.default]

    @classmethod
    def part_of(cls, whole: "Settings") -> Self:
        """The group that owns some of a larger group's settings, taken out of it."""
        return cls(**{each.name: getattr(whole, each.name) for each in fields(cls)})


def flag_name(name: str) -> str:
    """How a setting is called on the command line."""
    return "--" + name.replace("_", "-")


def in_python(sentence: str) -> str:
    """A sentence that speaks of flags, for those who give settings by name: `seq_len` for `--seq-len`.

    The commands in it stay as they are.
    """
    return re.sub(f"{_COMMAND}|{_FLAG}|\\bflag(?=s?\\b)", _as_argument, sentence)


def _as_argument(found: "re.Match[str]") -> str:
    if found["name"] is None:
        return "setting" if found[0] == "flag" else found[0]
    name = found["name"].replace("-", "_")
    if name.startswith("no_") and name != "no_repeat_ngram":
        return f"{name.removeprefix('no_')}=False"
    return name if found["number"] is None else f"{name}={found['number']}"


@contextmanager
def speaking_python() -> Iterator[None]:
    """What is refused in here is refused in the words of Python."""
    try:
        yield
    except WordgenError as error:
        error.args = (in_python(str(error)), *error.args[1:])
        raise


def _check_type(name: str, value: object, hint: Any) -> None:
    if not _fits(value, hint):
        raise SettingError(f"{flag_name(name)} must be {_describe(hint)}, not {value!r}.")


def _fits(value: object, hint: Any) -> bool:
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
    return isinstance(value, hint)


def _describe(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(hint))
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_describe(part) for part in get_args(hint))
    if get_origin(hint) is tuple:
        return f"a list of {_LISTED[get_args(hint)[0]]}"
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return names.get(hint, "nothing")


_LISTED: dict[Any, str] = {int: "whole numbers", str: "texts"}
_KEPT: dict[str, Callable[[Any, Any], bool]] = {
    "at_least": operator.ge,
    "at_most": operator.le,
    "above": operator.gt,
    "below": operator.lt,
}


def _check_bounds(each: "Field[Any]", value: object) -> None:
    if isinstance(value, tuple):
        for part in value:
            _check_bounds(each, part)
    if not isinstance(value, int | float):
        return
    bounds = {key: bound for key, bound in each.metadata.items() if key in _KEPT and bound is not None}
    finite = isinstance(value, int) or math.isfinite(value)
    if not (finite and all(_KEPT[key](value, bound) for key, bound in bounds.items())):
        wanted = " and ".join(f"{key.replace('_', ' ')} {bound:,}" for key, bound in bounds.items())
        wanted = wanted or "a finite number"
        raise SettingError(f"{flag_name(each.name)} must be {wanted}, not {_short(value)}.")


def _short(value: object) -> str:
    """A wrong value may be anything, and a message stays a message."""
    return "so large a number" if isinstance(value, int) and abs(value) > 10**18 else str(value)
