"""Flags are made from the settings' own declarations: name, type, choices, default and help stand once."""

import argparse
import re
import sys
from dataclasses import MISSING, fields
from types import UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from wordgen.cli.output import put
from wordgen.cli.suggestions import about_choice, about_unknown
from wordgen.errors import SettingError
from wordgen.settings import Settings, flag_name

Group = TypeVar("Group", bound=Settings)


class _AsGiven(list[str]):
    def remove(self, value: str) -> None:
        """Nothing."""


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one sentence, as every other error does.

    The parser of an action says by itself which arguments it does not know, for it knows its own flags.
    """

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """Of `--seed=--` that value: argparse takes it for the mark behind which no flags come, and fails."""
        return super()._get_values(action, _AsGiven(arg_strings) if action.option_strings else arg_strings)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Of --help and --version: argparse would be silent where it cannot be written out."""
        put(message)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        given = list(sys.argv[1:] if args is None else args)
        parsed, unknown = super().parse_known_args(given, namespace)
        if unknown:
            self._refuse(f"unrecognized arguments: {' '.join(unknown)}", about_unknown(self, given, unknown))
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        wrong = re.match(r"argument (\S+): invalid choice: '(.*?)' \(choose from (.*)\)", message, re.DOTALL)
        hint = ""
        if wrong is not None:
            hint = about_choice(self, wrong[1], wrong[2], [each.strip("' ") for each in wrong[3].split(",")])
        self._refuse(message, hint)

    def _refuse(self, message: str, hint: str) -> NoReturn:
        told = [f"{message[0].upper()}{message[1:]}.", hint, f"See {self.prog} --help"]
        raise SettingError(" ".join(filter(None, told)))


def verb_parser(prog: str, description: str, example: str) -> Parser:
    """The parser of a verb, with what every verb has."""
    parser = Parser(prog=prog, description=description, epilog=f"Example: {prog} {example}", allow_abbrev=False)
    return _with_debug(parser)


def action_parser(actions: "argparse._SubParsersAction[Parser]", name: str, help: str, example: str) -> Parser:
    """The parser of one of several things that a verb does."""
    description = f"{help[0].upper()}{help[1:]}."
    parser = actions.add_parser(name, help=help, description=description, allow_abbrev=False)
    parser.epilog = f"Example: {parser.prog} {example}".rstrip()
    return _with_debug(parser)


def _with_debug(parser: Parser) -> Parser:
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error (default: no)")
    return parser


def add_flags(
    parser: argparse.ArgumentParser,
    group: type[Settings],
    title: str,
    *,
    required: bool = True,
    without: type[Settings] = Settings,
) -> None:
    """The flags of a group, but for those `without` which it is told.

    `required` can be taken off those without a default, for the verb to look after.
    """
    hints = get_type_hints(group)
    flags = parser.add_argument_group(title)
    elsewhere = {each.name for each in fields(without)}
    for each in fields(group):
        if each.name in elsewhere:
            continue
        needed = each.default is MISSING
        default = "required" if needed else f"default: {_shown(each.default)}"
        text = each.metadata["help"] + ("" if each.default is None else f" ({default})")
        flags.add_argument(
            flag_name(each.name),
            help=text.replace("%", "%%"),
            required=needed and required,
            default=argparse.SUPPRESS,  # what is not given is left to the settings
            **_kind(hints[each.name]),
        )


class _OneOrMany(argparse.Action):
    """One value as itself, several as a tuple; a flag that is given again adds its values to those before."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        before = getattr(namespace, self.dest, ())
        every = (*(before if isinstance(before, tuple) else (before,)), *values)
        setattr(namespace, self.dest, every[0] if len(every) == 1 else every)


def settings_from(group: type[Group], arguments: argparse.Namespace) -> Group:
    return group(**given_settings(group, arguments))


def given_settings(group: type[Settings], arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings of a group that were given by hand."""
    given = vars(arguments)
    return {each.name: given[each.name] for each in fields(group) if each.name in given}


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return str(default)


def _kind(hint: Any) -> dict[str, Any]:
    if get_origin(hint) in (Union, UnionType):
        parts = [part for part in get_args(hint) if part is not type(None)]
        lists = [part for part in parts if get_origin(part) is tuple]
        if lists:
            return {"nargs": "+", "action": _OneOrMany, **_kind(get_args(lists[0])[0])}
        hint = parts[0]
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if get_origin(hint) is Literal:
        choices = list(get_args(hint))
        return {"choices": choices, "metavar": "{" + ",".join(choices) + "}"}
    return {"type": hint, "metavar": {int: "N", float: "X", str: "TEXT"}[hint]}
