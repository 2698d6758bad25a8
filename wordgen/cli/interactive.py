"""`wordgen generate --interactive` and `--co-writer`: write text in a conversation.

The user types a prompt and the model continues it. Commands that begin with a colon change settings or save the text.
"""

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, NoReturn, get_args, get_type_hints

from wordgen.cli.flags import Parser, add_flags, as_text, given_settings
from wordgen.cli.output import WordWrap, print_sanitized, screen_width
from wordgen.errors import SettingError, WordgenError
from wordgen.files import as_storage_error
from wordgen.generation.settings import GenerationSettings, no_effect_note
from wordgen.settings import flag_name

if TYPE_CHECKING:
    from wordgen.generation.prompt import UnknownWord
    from wordgen.generation.texts import NextWord
    from wordgen.generation.trained import TrainedModel, WritingSession

_HELP = """\
Type the beginning of a text and press Enter. An empty line lets the model write the beginning, too.
  :again              write another text with the same beginning
  :more               continue where the text stopped
  :undo               undo the last step
  :words              write together: choose from the five most probable next words
  :save [FILE]        add the text to a file (default: wordgen.txt)
  :settings           show all settings
  :temperature 0.7    change a setting; :temperature alone shows its value
  :help  :quit
"""
_CO_WRITER_HELP = """\
Type a number from 1 to 5 to take that word, or type your own words. An empty line takes word 1.
  :undo               undo the last step
  :more               let the model continue by itself
  :new [BEGINNING]    begin another text
  :prompt             stop choosing words, and type beginnings of texts again
  :save [FILE]  :settings  :temperature 0.7  :help  :quit
"""
_COMMANDS = ("again", "more", "undo", "words", "new", "prompt", "save", "settings", "help", "quit")
_DEFAULT_FILE = "wordgen.txt"


class Conversation:
    """Answers the lines that the user types. `print_text` prints the answers, so it works with any screen."""

    def __init__(
        self,
        model: "TrainedModel",
        settings: GenerationSettings,
        print_text: Callable[[str], None],
        *,
        co_writer: bool = False,
    ) -> None:
        self._model = model
        self._settings = settings
        self._print_text = print_text
        self._seed = ""
        self._repetitions = 0
        self._session = model.session()
        self._steps: list[WritingSession] = []
        self._saved: dict[Path, str] = {}
        """The version of the current text that was last saved to each file."""
        self._proposals: Sequence[NextWord] = ()
        self._co_writer = co_writer
        self.is_over = False

    @property
    def prompt(self) -> str:
        return "+ " if self._co_writer else "> "

    def begin(self, first: str) -> None:
        self._help()
        if self._co_writer:
            self._begin_with(first)
            self._propose()
        elif first:
            self.answer(first)

    def answer(self, line: str) -> None:
        """Answer one line that the user typed. Errors are shown, and the conversation continues."""
        try:
            if line.startswith(":"):
                self._command(line[1:].strip())
            elif self._co_writer:
                self._write_together(line)
            else:
                self._seed, self._repetitions = line, 0
                self._write_from_the_seed()
        except WordgenError as error:
            self._print_text(f"{error}\n")
        except KeyboardInterrupt:
            self._print_text("\n(stopped)\n")

    def _command(self, line: str) -> None:
        name, _, value = line.partition(" ")
        match name:
            case "quit" | "q":
                self.is_over = True
            case "help" | "":
                self._help()
            case "again" if not self._co_writer:
                self._repetitions += 1
                self._write_from_the_seed()
            case "more":
                self._write_more()
            case "undo":
                self._undo()
            case "words":
                self._co_writer = True
                self._help()
                self._propose()
            case "new" if self._co_writer:
                self._begin_with(value)
                self._propose()
            case "prompt":
                self._co_writer = False
                self._help()
            case "save":
                self._save(Path(value.strip() or _DEFAULT_FILE))
            case "settings":
                for each in fields(self._settings):
                    self._show_setting(each.name)
            case _:
                self._set(name, value.strip())

    def _help(self) -> None:
        self._print_text(_CO_WRITER_HELP if self._co_writer else _HELP)

    def _begin_with(self, beginning: str) -> None:
        self._print_unknown_words(self._model.read_seed(beginning).unknown)
        self._session = self._model.session(beginning)
        self._steps, self._saved = [], {}

    def _write_from_the_seed(self) -> None:
        self._begin_with(self._seed)
        self._print_text(self._session.text)
        self._write()

    def _write(self) -> None:
        """Let the model continue the text. Each `:again` adds 1 to the random seed, so that it can be repeated."""
        settings = self._settings
        if settings.random_seed is not None:
            settings = replace(settings, random_seed=settings.random_seed + self._repetitions)
        try:
            for piece in self._session.write(settings):
                self._print_text(piece)
        finally:
            self._print_text("\n")

    def _write_more(self) -> None:
        self._remember()
        try:
            self._write()
        except WordgenError:  # nothing was written
            self._steps.pop()
            raise
        if self._co_writer:
            self._propose()

    def _write_together(self, line: str) -> None:
        picked = line.strip()
        is_number = len(picked) == 1 and picked.isdecimal()
        number = int(picked) if is_number else 0 if picked else 1
        if is_number and not 1 <= number <= len(self._proposals):
            raise SettingError(
                f"There are only the words 1 to {len(self._proposals)}. A number of two or more digits is added to the "
                "text."
            )
        self._remember()
        if 1 <= number <= len(self._proposals):
            self._session.pick(self._proposals[number - 1])
        else:
            self._print_unknown_words(self._session.type(line))
        self._propose()

    def _remember(self) -> None:
        self._steps.append(self._session.duplicate())

    def _undo(self) -> None:
        if not self._steps:
            raise SettingError("There is nothing to undo.")
        self._session = self._steps.pop()
        if self._co_writer:
            self._propose()
        else:
            self._print_text(f"{self._session.text}\n")

    def _propose(self) -> None:
        self._proposals = self._session.next_words(5, mix=self._settings.mix)
        listed = "   ".join(f"{n} {each.word} {each.probability:.0%}" for n, each in enumerate(self._proposals, 1))
        self._print_text(f"{self._session.text}\n  {listed}\n")

    def _print_unknown_words(self, unknown: "Sequence[UnknownWord]") -> None:
        for each in unknown:
            near = f" Did you mean {' or '.join(each.similar)}?" if each.similar else ""
            self._print_text(f"({each.word} is unknown.{near})\n")

    def _set(self, name: str, value: str) -> None:
        names = {each.name for each in fields(self._settings)}
        setting = name.replace("-", "_")
        if setting not in names and not value:
            setting = setting.removeprefix("no_")  # `:no-NAME` turns a switch off
        if setting not in names:
            raise SettingError(f"There is no command or setting :{name}. Type :help to see the commands.")
        if setting == "count":
            raise SettingError("The prompt writes one text at a time. Type :again to write another one.")
        switch = isinstance(getattr(self._settings, setting), bool)
        optional = NoneType in get_args(get_type_hints(GenerationSettings)[setting])
        if switch and value:
            raise SettingError(f"A switch has no value. :{name} turns it on, and :no-{name} turns it off.")
        if optional and value == "none":
            self._settings = replace(self._settings, **{setting: None})
        elif value or switch:
            typed = flag_name(name) + (f"={value}" if value else "")
            given = given_settings(GenerationSettings, _parser().parse_args([typed]))
            self._settings = replace(self._settings, **given)
        self._show_setting(setting)
        if value and (note := no_effect_note(self._settings.mode, [setting])):
            self._print_text(f"  ({note})\n")

    def _show_setting(self, name: str) -> None:
        value = getattr(self._settings, name)
        self._print_text(f"  {flag_name(name)[2:]} {'none' if value is None else value}\n")

    def _save(self, path: Path) -> None:
        if not self._session.text.strip():
            raise SettingError("There is no text to save yet.")
        if "\0" in str(path):
            raise SettingError("The name of a file cannot have a NUL character: take another one.")
        before, text = self._saved.get(path), self._session.text
        entry = f"{text}\n\n".encode()
        earlier = None if before is None else f"{before}\n\n".encode()
        message = "Added to"
        with as_storage_error(path), path.open("a+b") as file:
            end = file.seek(0, os.SEEK_END)
            if earlier is not None and entry.startswith(earlier[:-2]):  # saved before: this text or its beginning
                file.seek(max(0, end - len(earlier)))
                if file.read() == earlier:
                    file.truncate(end - 2)
                    entry = entry[len(earlier) - 2 :]
                    message = "The text is already in" if before == text else message
            file.write(entry)
        self._saved[path] = text
        self._print_text(f"{message} {path}.\n")


class _PromptParser(Parser):
    @property
    def _where_to_look(self) -> str:
        return "Type :help to see the commands."

    def _refuse(self, message: str, hint: str) -> NoReturn:
        super()._refuse(re.sub("^argument --", ":", message), hint)


def _parser() -> Parser:
    parser = _PromptParser(add_help=False, allow_abbrev=False)
    add_flags(parser, GenerationSettings, "settings")
    return parser


def converse(
    model: "TrainedModel", name: str, settings: GenerationSettings, *, first: str = "", co_writer: bool = False
) -> None:
    """Answer lines until the user leaves or the input ends. A terminal gets history and completion."""
    if settings.max_copy or settings.mix:
        model.check(settings)  # raises SettingError now if the copy index is missing
    if settings.mix:
        model.count_ngrams_in_background()  # it goes on while the user types
    print_sanitized(f"Writing with {name}.\n")
    conversation = Conversation(model, settings, _printer(), co_writer=co_writer)
    conversation.begin(first)
    read = _terminal_reader() if sys.stdin.isatty() else _read_from_pipe
    while not conversation.is_over:
        try:
            conversation.answer(read(conversation.prompt))
        except EOFError:
            break
        except KeyboardInterrupt:
            print_sanitized("(type :quit to leave)\n")


def _printer() -> Callable[[str], None]:
    """Return the function that prints to standard output. On a terminal it breaks lines only between words."""
    if not sys.stdout.isatty():
        return print_sanitized
    wrap = WordWrap(screen_width())
    return lambda text: print_sanitized(wrap.feed(text))


def _read_from_pipe(prompt: str) -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")


def _terminal_reader() -> Callable[[str], str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter

    names = [f":{name}" for name in (*_COMMANDS, *(flag_name(each.name)[2:] for each in fields(GenerationSettings)))]
    completer = WordCompleter(names, sentence=True)
    session: PromptSession[str] = PromptSession(completer=completer, complete_while_typing=False)
    return lambda prompt: as_text(session.prompt(prompt))
