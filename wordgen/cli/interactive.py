"""The prompt of `generate --interactive`: type a beginning, watch it go on, change a setting, keep what you like."""

import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, NoReturn, get_args, get_type_hints

from wordgen.cli.flags import Parser, add_flags, given_settings
from wordgen.cli.output import WordWrap, screen_width, show
from wordgen.errors import SettingError, WordgenError
from wordgen.files import told_plainly
from wordgen.generation.settings import GenerationSettings, without_effect
from wordgen.settings import flag_name

if TYPE_CHECKING:
    from wordgen.generation.manuscript import Manuscript
    from wordgen.generation.reading import UnknownWord
    from wordgen.generation.texts import NextWord
    from wordgen.generation.trained import TrainedModel

_HELP = """\
Type a beginning and press Enter; an empty line begins anew.
  :again              the same beginning once more, otherwise
  :more               go on where the text stopped
  :undo               take the last step back
  :words              write together: pick from the five best next words
  :save [FILE]        add the text to a file (default: wordgen.txt)
  :settings           all settings as they stand
  :temperature 0.7    change one of them; :temperature alone shows it
  :help  :quit
"""
_CO_WRITER_HELP = """\
A number from 1 to 5 takes that word, anything else is written as you type it, and an empty line takes the first.
  :undo               take the last step back
  :more               let the model go on by itself
  :new [BEGINNING]    begin another text
  :prompt             stop picking words, and go back to beginnings
  :save [FILE]  :settings  :temperature 0.7  :help  :quit
"""
_COMMANDS = ("again", "more", "undo", "words", "new", "prompt", "save", "settings", "help", "quit")
_SAVED = "wordgen.txt"


class Conversation:
    """What the prompt answers, whatever the screen is like."""

    def __init__(
        self,
        model: "TrainedModel",
        settings: GenerationSettings,
        show: Callable[[str], None],
        *,
        co_writer: bool = False,
    ) -> None:
        self._model = model
        self._settings = settings
        self._show = show
        self._seed = ""
        self._times = 0
        self._manuscript = model.manuscript()
        self._steps: list[Manuscript] = []
        self._saved: dict[Path, str] = {}
        """What of this text stands in which files."""
        self._proposed: Sequence[NextWord] = ()
        self._co_writer = co_writer
        self.over = False

    @property
    def prompt(self) -> str:
        return "+ " if self._co_writer else "> "

    def begin(self, first: str) -> None:
        self._help()
        if self._co_writer:
            self._new(first)
        elif first:
            self.answer(first)

    def answer(self, line: str) -> None:
        """One line that was typed; what is wrong with it is said, and the conversation goes on."""
        try:
            if line.startswith(":"):
                self._command(line[1:].strip())
            elif self._co_writer:
                self._write_together(line)
            else:
                self._seed, self._times = line, 0
                self._write_from_the_seed()
        except WordgenError as error:
            self._show(f"{error}\n")
        except KeyboardInterrupt:
            self._show("\n(stopped)\n")

    def _command(self, line: str) -> None:
        name, _, value = line.partition(" ")
        match name:
            case "quit" | "q":
                self.over = True
            case "help" | "":
                self._help()
            case "again" if not self._co_writer:
                self._times += 1
                self._write_from_the_seed()
            case "more":
                self._write_on()
            case "undo":
                self._undo()
            case "words":
                self._co_writer = True
                self._help()
                self._propose()
            case "new" if self._co_writer:
                self._new(value)
            case "prompt":
                self._co_writer = False
                self._help()
            case "save":
                self._save(Path(value.strip() or _SAVED))
            case "settings":
                for each in fields(self._settings):
                    self._show_setting(each.name)
            case _:
                self._set(name, value.strip())

    def _help(self) -> None:
        self._show(_CO_WRITER_HELP if self._co_writer else _HELP)

    def _new(self, beginning: str) -> None:
        self._tell_of(self._model.read_seed(beginning).unknown)
        self._manuscript = self._model.manuscript(beginning)
        self._steps, self._saved = [], {}
        if self._co_writer:
            self._propose()

    def _write_from_the_seed(self) -> None:
        self._tell_of(self._model.read_seed(self._seed).unknown)
        manuscript = self._model.manuscript(self._seed)
        self._show(manuscript.text)
        self._manuscript, self._steps, self._saved = manuscript, [], {}
        self._write()

    def _write_on(self) -> None:
        self._remember()
        self._write()
        if self._co_writer:
            self._propose()

    def _write(self) -> None:
        """Each time with other dice, though a random seed makes the whole conversation come again."""
        settings = self._settings
        if settings.random_seed is not None:
            settings = replace(settings, random_seed=settings.random_seed + self._times)
        try:
            for piece in self._manuscript.write(settings):
                self._show(piece)
        finally:
            self._show("\n")

    def _write_together(self, line: str) -> None:
        picked = line.strip()
        number = int(picked) if picked.isdecimal() and len(picked) == 1 else 1 if not picked else 0
        if picked.isdecimal() and len(picked) == 1 and not 1 <= number <= len(self._proposed):
            raise SettingError(
                f"There are the words 1 to {len(self._proposed)}; a longer number is written as you type it."
            )
        self._remember()
        if 1 <= number <= len(self._proposed):
            self._manuscript.pick(self._proposed[number - 1])
        else:
            self._tell_of(self._manuscript.type(line))
        self._propose()

    def _remember(self) -> None:
        self._steps.append(self._manuscript.duplicate())

    def _undo(self) -> None:
        if not self._steps:
            raise SettingError("There is nothing to take back.")
        self._manuscript = self._steps.pop()
        if self._co_writer:
            self._propose()
        else:
            self._show(f"{self._manuscript.text}\n")

    def _propose(self) -> None:
        self._proposed = self._manuscript.next_words(5)
        listed = "   ".join(f"{n} {each.word} {each.probability:.0%}" for n, each in enumerate(self._proposed, 1))
        self._show(f"{self._manuscript.text}\n  {listed}\n")

    def _tell_of(self, unknown: "Sequence[UnknownWord]") -> None:
        for each in unknown:
            near = f", did you mean {' or '.join(each.near)}?" if each.near else ""
            self._show(f"({each.word}: unknown{near})\n")

    def _set(self, name: str, value: str) -> None:
        names = {each.name for each in fields(self._settings)}
        setting = name.replace("-", "_")
        if setting not in names and not value:
            setting = setting.removeprefix("no_")  # a switch that is turned off
        if setting not in names:
            raise SettingError(f"There is no :{name}; :help shows what there is.")
        if setting == "count":
            raise SettingError("At the prompt one text at a time is written; :again writes another.")
        switch = isinstance(getattr(self._settings, setting), bool)
        optional = NoneType in get_args(get_type_hints(GenerationSettings)[setting])
        if optional and value == "none":
            self._settings = replace(self._settings, **{setting: None})
        elif value or switch:
            typed = [flag_name(name), value] if value else [flag_name(name)]
            self._settings = replace(self._settings, **given_settings(GenerationSettings, _parser().parse_args(typed)))
        self._show_setting(setting)
        if value and (in_vain := without_effect(self._settings.mode, [setting])):
            self._show(f"  ({in_vain})\n")

    def _show_setting(self, name: str) -> None:
        value = getattr(self._settings, name)
        self._show(f"  {flag_name(name)[2:]} {'none' if value is None else value}\n")

    def _save(self, path: Path) -> None:
        if not self._manuscript.text.strip():
            raise SettingError("There is no text to save yet.")
        before, text = self._saved.get(path), self._manuscript.text
        entry = f"{text}\n\n".encode()
        earlier = None if before is None else f"{before}\n\n".encode()
        with told_plainly(path), path.open("a+b") as file:
            end = file.seek(0, os.SEEK_END)
            if earlier is not None and entry.startswith(earlier[:-2]):  # the same text, grown or not
                file.seek(max(0, end - len(earlier)))
                if file.read() == earlier:
                    file.truncate(end - 2)
                    entry = entry[len(earlier) - 2 :]
            file.write(entry)
        self._saved[path] = text
        self._show(f"{'There already: ' if before == text else 'Added to '}{path}.\n")


class _PromptParser(Parser):
    def error(self, message: str) -> NoReturn:
        raise SettingError(f"{message.removeprefix('argument --').capitalize()}; :help shows what there is.")


def _parser() -> Parser:
    parser = _PromptParser(add_help=False, allow_abbrev=False)
    add_flags(parser, GenerationSettings, "settings")
    return parser


def converse(
    model: "TrainedModel", name: str, settings: GenerationSettings, *, first: str = "", co_writer: bool = False
) -> int:
    """Talk until the user leaves: in a terminal with history and completion, from a pipe line by line."""
    if settings.max_copy:
        _ = model.copy_index  # if it is missing, say so before anything is asked
    show(f"Writing with {name}.\n")
    conversation = Conversation(model, settings, _shower(), co_writer=co_writer)
    conversation.begin(first)
    read = _terminal_reader() if sys.stdin.isatty() else _pipe_reader()
    while not conversation.over:
        try:
            conversation.answer(read(conversation.prompt))
        except EOFError:
            break
        except KeyboardInterrupt:
            show("(:quit leaves)\n")
    return 0


def _shower() -> Callable[[str], None]:
    """Onto the screen; in a terminal with whole words on each line."""
    if not sys.stdout.isatty():
        return show
    wrap = WordWrap(screen_width())
    return lambda text: show(wrap.take(text))


def _pipe_reader() -> Callable[[str], str]:
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")

    def read(prompt: str) -> str:
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\n")

    return read


def _terminal_reader() -> Callable[[str], str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter

    names = [f":{name}" for name in (*_COMMANDS, *(flag_name(each.name)[2:] for each in fields(GenerationSettings)))]
    session: PromptSession[str] = PromptSession(
        completer=WordCompleter(names, sentence=True), complete_while_typing=False
    )

    def read(prompt: str) -> str:
        return session.prompt(prompt).encode(errors="replace").decode()  # a terminal may hand over what is no text

    return read
