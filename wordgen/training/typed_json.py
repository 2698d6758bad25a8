"""Convert typed values to JSON and back. Reading is strict: wrong types, unknown keys and missing keys are errors.

It is made for records of plain data: dataclasses of numbers, strings, tuples, mappings and NumPy arrays.
"""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

_hints = cache(get_type_hints)
_MAX_SHOWN_CHARACTERS = 40


Kind = TypeVar("Kind")


def to_json(value: object) -> Any:
    """Return the value in a form that `json.dumps` accepts. JSON has no infinity and no NaN: they become strings."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: to_json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, list | tuple):
        return [to_json(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def from_json(kind: type[Kind], value: object, where: str = "it") -> Kind:
    """Return the value that `to_json` has converted. Raise a ValueError that says what is wrong with `where`."""
    return _convert(kind, value, where)


def _convert(kind: Any, value: object, where: str) -> Any:
    """Do the same as `from_json`, for all types that a field can have: unions, literals and tuples, too."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _one_of(parts, value, where)
    if origin is Literal:
        return _require(value in parts, value, where)
    if origin in (tuple, list):
        items = _require(isinstance(value, list), value, where)
        return origin(_convert(parts[0], each, where) for each in items)
    if origin is not None and issubclass(origin, Mapping):
        return _table(parts, _require(isinstance(value, dict), value, where), where)
    if origin is np.ndarray:
        return np.array(_numbers(_require(isinstance(value, list), value, where), where), np.float64)
    if is_dataclass(kind):
        return _record(kind, _require(isinstance(value, dict), value, where), where)
    if kind is float:
        return _number(value, where)
    return _require(type(value) is kind, value, where)


def _record(kind: Any, table: Mapping[str, object], where: str) -> object:
    hints = _hints(kind)
    names = [each.name for each in fields(kind)]
    for name in table:
        if name not in names:
            raise ValueError(f"{where} has an unknown key '{name[:_MAX_SHOWN_CHARACTERS]}'")
    for name in names:
        if name not in table:
            raise ValueError(f"{where} has no '{name}'")
    return kind(**{name: _convert(hints[name], table[name], name) for name in names})


def _table(parts: tuple[object, ...], table: Mapping[str, object], where: str) -> dict[object, object]:
    """Return a mapping with typed keys and values. JSON keys are strings, so integer keys are converted back."""
    key, content = parts
    return {
        _convert(key, int(name) if key is int else name, where): _convert(content, table[name], name) for name in table
    }


def _one_of(kinds: tuple[object, ...], value: object, where: str) -> object:
    """Return the value as the first type of a union that accepts it. None is only accepted if the union has None."""
    if value is None:
        return _require(NoneType in kinds, value, where)
    others = [kind for kind in kinds if kind is not NoneType]
    for kind in others[:-1]:
        try:
            return _convert(kind, value, where)
        except ValueError:
            continue
    return _convert(others[-1], value, where)


def _numbers(value: object, where: str) -> object:
    """Return a list of numbers, or of lists of numbers at any depth."""
    return [_numbers(each, where) for each in value] if isinstance(value, list) else _number(value, where)


def _number(value: object, where: str) -> float:
    if isinstance(value, str) and value in ("inf", "-inf", "nan"):
        return float(value)
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    return float(_require(fits, value, where))


def _require(fits: bool, value: object, where: str) -> Any:
    if not fits:
        shown = repr(value)
        raise ValueError(
            f"{where} must not be {shown[:_MAX_SHOWN_CHARACTERS]}{'...' if len(shown) > _MAX_SHOWN_CHARACTERS else ''}"
        )
    return value
