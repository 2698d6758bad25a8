"""Writes the signatures and docstrings of the Python API into its modules, from the declarations of the settings.

Run `python -m tests.helpers.written_signatures`. tests/test_api.py checks that they are up to date.
"""

import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from tests.helpers.commands import ROOT
from wordgen.generation.settings import GenerationSettings
from wordgen.run.settings import TrainSettings
from wordgen.settings import Settings, in_python

_WIDTH = 116
_MAX_LINE_LENGTH = 120
_ANNOTATIONS = {"corpus": "str | Path | Sequence[str | Path]", "units": "int | Sequence[int]"}
"""Parameters for which Python accepts more types than a settings file."""
_FIRST = ("corpus",)

PLACES: dict[str, dict[str, tuple[type[Settings], bool]]] = {
    "wordgen/api.py": {"train": (TrainSettings, True)},
    "wordgen/generation/trained.py": {"generate": (GenerationSettings, False), "stream": (GenerationSettings, False)},
}
"""By file and function: its settings, and whether the recipe decides settings that are not given."""


def with_signatures(source: str, functions: dict[str, tuple[type[Settings], bool]]) -> str:
    """Return the source of a module with current parameters and docstrings."""
    for name, (group, left_to_recipe) in functions.items():
        found = re.search(rf'( *)def {name}\(\n(.*?)\) -> [^\n]*:\n +""".*?\n( +)"""\n', source, re.DOTALL)
        assert found is not None, name
        old, indent = found[0], found[1] + "    "
        parameters = _parameters(group, left_to_recipe=left_to_recipe)
        wanted = [f"{indent}{line}\n" for each in parameters for line in _in_lines(*each, len(indent))]
        new = _between(old, "# the settings\n", f"{indent}# their end\n", "".join(wanted))
        if "Settings:\n" in new:
            described = [f"{indent}{line}".rstrip() + "\n" for line in _descriptions(group, len(indent))]
            new = _between(new, "Settings:\n", f'{indent}"""\n', "".join(described))
        source = source.replace(old, new)
    return source


def _between(text: str, begin: str, end: str, content: str) -> str:
    before, rest = text.split(begin, 1)
    return before + begin + content + rest[rest.index(end) :]


def _ordered(group: type[Settings]) -> "list[Field[Any]]":
    return sorted(fields(group), key=lambda each: each.name not in _FIRST)


def _parameters(group: type[Settings], *, left_to_recipe: bool) -> Iterator[tuple[str, str, str]]:
    """Yield the name, type and default of each parameter; the default of a required one is empty."""
    hints = get_type_hints(group)
    for each in _ordered(group):
        kind = _ANNOTATIONS.get(each.name) or _as_source(hints[each.name])
        if each.default is MISSING:
            yield each.name, kind, ""
        elif left_to_recipe:
            yield each.name, f"{kind.removesuffix(' | None')} | None", " = None"
        else:
            default = f'"{each.default}"' if isinstance(each.default, str) else repr(each.default)
            yield each.name, kind, f" = {default}"


def _in_lines(name: str, kind: str, default: str, indent: int) -> list[str]:
    """Return the lines of a parameter as ruff formats it."""
    line = f"{name}: {kind}{default},"
    return [line] if indent + len(line) <= _MAX_LINE_LENGTH else [f"{name}: (", f"    {kind}", f"){default},"]


def _as_source(hint: Any) -> str:
    if get_origin(hint) is Literal:
        choices = ", ".join(f'"{each}"' for each in get_args(hint))
        return f"Literal[{choices}]"
    if get_origin(hint) in (Union, UnionType):
        return " | ".join(_as_source(part) for part in get_args(hint))
    return "None" if hint is type(None) else hint.__name__


def _descriptions(group: type[Settings], indent: int) -> Iterator[str]:
    for each in _ordered(group):
        text = in_python(each.metadata["help"])
        if each.default is not MISSING and each.default is not None:
            text += f" (default: {each.default})"
        yield from textwrap.wrap(
            f"{each.name}: {text}", _WIDTH - indent, initial_indent="    ", subsequent_indent="        ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip


def rewrite(handle: Callable[[str, str, str], None]) -> None:
    """Call `handle` for each file with its name, its present source and its wanted source."""
    for file, functions in PLACES.items():
        source = (ROOT / file).read_text(encoding="utf-8")
        handle(file, source, with_signatures(source, functions))


def _write(file: str, _: str, wanted: str) -> None:
    (ROOT / file).write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    rewrite(_write)
