"""Makes flags from the declarations of the settings.

The name, type, choices, default and help of a flag are declared only once, in the settings.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from types import UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from wordgen.cli.output import put
from wordgen.cli.suggestions import about_choice, about_unknown
from wordgen.errors import SettingError
from wordgen.settings import Settings, flag_name

Group = TypeVar("Group", bound=Settings)

WHICH_MODEL = "the name of a run, the beginning of its name, or the folder of a model; by default the newest model"
"""The help of the arguments that name a model."""


class _AsGiven(list[str]):
    def remove(self, value: str) -> None:
        """Do nothing, so that argparse cannot remove the value `--` from the list."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises SettingError, with one sentence that says what is wrong.

    The parser of an action, for example of `runs show`, reports its unknown arguments itself, because only it knows
    its flags.
    """

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """Accept `--` as the value of a flag, as in `--seed=--`.

        argparse takes it for the mark that ends the flags, removes it, and then fails because the value is missing.
        """
        return super()._get_values(action, _AsGiven(arg_strings) if action.option_strings else arg_strings)

    def _print_message(self, message: str, file: object = None) -> None:
        """Print the message of --help or --version. Raise StorageError if that fails; argparse would ignore it."""
        put(message)

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        given = list(sys.argv[1:] if args is None else args)
        parsed, unknown = super().parse_known_args(given, argparse.Namespace() if namespace is None else namespace)
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
        sentences = [f"{message[0].upper()}{message[1:]}.", hint, f"See {self.prog} --help"]
        raise SettingError(" ".join(filter(None, sentences)))


def verb_parser(prog: str, description: str, example: str, *, of_runs: bool = True) -> Parser:
    """Return the parser of a verb, with an example and the flags that every verb has.

    A verb that is about runs (`of_runs`) has the flag `--models`, too.
    """
    return _complete(Parser(prog=prog, description=description, allow_abbrev=False), example, of_runs=of_runs)


def action_parser(
    actions: "argparse._SubParsersAction[Parser]",
    name: str,
    action: Callable[[argparse.Namespace], None],
    help: str,
    example: str,
    *,
    of_runs: bool = True,
) -> Parser:
    """Add the parser of one action of a verb, for example `show` of `runs`, and return it.

    `action` is the function that receives the parsed arguments.
    """
    parser = actions.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.", allow_abbrev=False)
    parser.set_defaults(action=action)
    return _complete(parser, example, of_runs=of_runs)


def _complete(parser: Parser, example: str, *, of_runs: bool) -> Parser:
    parser.epilog = f"Example: {parser.prog} {example}".rstrip()
    if of_runs:
        parser.add_argument(
            "--models",
            metavar="FOLDER",
            default=argparse.SUPPRESS,  # a verb has this flag before and after its action
            help="the folder of runs (default: saved_models)",
        )
    add_switch(parser, "--debug", "show the traceback of an error")
    return parser


def add_switch(parser: "argparse.ArgumentParser | argparse._ArgumentGroup", flag: str, help: str) -> None:
    """Add a flag without a value, which is off if it is not given."""
    parser.add_argument(flag, action="store_true", help=f"{help} (default: no)")


def check_number(flag: str, value: int | None, least: int, most: int) -> None:
    """Raise SettingError if the value of a flag is given and out of bounds."""
    if value is not None and not least <= value <= most:
        raise SettingError(f"{flag} must be {least} to {most}, not {value}.")


def add_flags(
    parser: argparse.ArgumentParser,
    group: type[Settings],
    title: str,
    *,
    required: bool = True,
    without: type[Settings] = Settings,
) -> None:
    """Add a flag for each setting of a group, except for the settings that the group `without` has, too.

    A setting without a default becomes a required flag. If `required` is False it does not, and the verb must check
    that the user gives it.
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
            default=argparse.SUPPRESS,  # the settings know the default of a flag that is not given
            **_kind(hints[each.name]),
        )


class _OneOrMany(argparse.Action):
    """Stores a single value as itself and several values as a tuple. A flag that is given again adds its values."""

    def __call__(
        self, parser: object, namespace: argparse.Namespace, values: Any, option_string: object = None
    ) -> None:
        before = getattr(namespace, self.dest, ())
        every = (*(before if isinstance(before, tuple) else (before,)), *values)
        setattr(namespace, self.dest, every[0] if len(every) == 1 else every)


def settings_from(group: type[Group], arguments: argparse.Namespace) -> Group:
    return group(**given_settings(group, arguments))


def given_settings(group: type[Settings], arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of a group that the user gave as flags, by name."""
    given = vars(arguments)
    return {each.name: given[each.name] for each in fields(group) if each.name in given}


def as_text(argument: str) -> str:
    """Return an argument as valid Unicode text. Bytes from the shell that are not text become question marks."""
    return argument.encode(errors="replace").decode()


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, tuple):
        return " ".join(map(str, default))
    return str(default)


def _kind(hint: object) -> dict[str, Any]:
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
    return {"type": hint, "metavar": _METAVARS[hint]}


_METAVARS: dict[object, str] = {int: "N", float: "X", str: "TEXT"}
