"""The prompt of `generate --interactive`: type a beginning, watch it go on, change a setting, keep what you like."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wordgen.cli.flags import Parser, add_flags, given_settings
from wordgen.errors import SettingError, WordgenError
from wordgen.files import told_plainly
from wordgen.generation.settings import GenerationSettings
from wordgen.settings import flag_name

if TYPE_CHECKING:
    from wordgen.generation.trained import NextWord, TrainedModel

_HELP = """\
Type a beginning and press Enter; an empty line begins anew.
  :again              the same beginning once more, otherwise
  :more               go on where the last text stopped
  :words              write together: pick from the five best next words (:text goes back)
  :save [FILE]        add the last text to a file (default: wordgen.txt)
  :settings           all settings as they stand
  :temperature 0.7    change one of them; :temperature alone shows it
  :help  :quit
"""
_CO_WRITER_HELP = """\
A number takes that word, anything else is written as you type it, and an empty line takes the first.
  :undo  :more  :save [FILE]  :text  :quit
"""
_COMMANDS = ("again", "more", "words", "text", "undo", "save", "settings", "help", "quit")
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
        self._text = ""
        self._undo: list[str] = []
        self._next: Sequence[NextWord] = ()
        self._co_writer = co_writer
        self.over = False

    @property
    def prompt(self) -> str:
        return "+ " if self._co_writer else "> "

    def begin(self, first: str) -> None:
        self._show(_CO_WRITER_HELP if self._co_writer else _HELP)
        if self._co_writer:
            self._text = first
            self._propose()
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
                self._seed = line
                self._write(line)
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
                self._show(_CO_WRITER_HELP if self._co_writer else _HELP)
            case "again" if not self._co_writer:
                self._write(self._seed)
            case "more":
                self._write_more()
            case "undo" if self._undo:
                self._text = self._undo.pop()
                self._propose()
            case "undo":
                self._show("There is nothing to take back.\n")
            case "words":
                self._co_writer = True
                self._show(_CO_WRITER_HELP)
                self._propose()
            case "text":
                self._co_writer = False
                self._show(f"{self._text}\n")
            case "save":
                self._save(Path(value.strip() or _SAVED))
            case "settings":
                for each in fields(self._settings):
                    self._show_setting(each.name)
            case _:
                self._set(name, value)

    def _write(self, seed: str) -> None:
        pieces = self._model.stream_with(seed, self._settings)
        self._text = ""
        self._tell_unknown(seed)
        self._stream(pieces)

    def _write_more(self) -> None:
        """Go on from the whole text; what stands already is not shown again."""
        self._undo.append(self._text)
        pieces = self._model.stream_with(self._text, self._settings)
        before = len(self._model.read_seed(self._text).ids)
        for _ in range(before):
            next(pieces, "")
        self._stream(pieces)
        if self._co_writer:
            self._propose()

    def _stream(self, pieces: Iterator[str]) -> None:
        try:
            for piece in pieces:
                self._text += piece
                self._show(piece)
        finally:
            self._show("\n")

    def _tell_unknown(self, seed: str) -> None:
        for each in self._model.read_seed(seed).unknown:
            near = f", did you mean {' or '.join(each.near)}?" if each.near else "."
            self._show(f"({each.word}: unknown{near})\n")

    def _write_together(self, line: str) -> None:
        picked = line.strip()
        self._undo.append(self._text)
        if not picked and self._next:
            self._text += self._next[0].piece
        elif picked.isdecimal() and 1 <= int(picked) <= len(self._next):
            self._text += self._next[int(picked) - 1].piece
        else:
            self._tell_unknown(line)
            self._text += (" " if self._text and not self._text[-1].isspace() else "") + picked
        self._propose()

    def _propose(self) -> None:
        self._next = self._model.next_words(self._text, 5)
        listed = "   ".join(f"{n} {each.word} {each.probability:.0%}" for n, each in enumerate(self._next, 1))
        self._show(f"{self._text}\n  {listed}\n")

    def _set(self, name: str, value: str) -> None:
        names = [each.name.replace("_", "-") for each in fields(self._settings)]
        plain = name.replace("_", "-")
        if not value and plain in names and not isinstance(getattr(self._settings, plain.replace("-", "_")), bool):
            self._show_setting(plain.replace("-", "_"))
            return
        if plain.removeprefix("no-") not in names and plain not in names:
            raise SettingError(f"There is no :{name}; :help shows what there is.")
        parser = Parser(prog=":help", add_help=False, allow_abbrev=False)
        add_flags(parser, GenerationSettings, "settings")
        given = given_settings(
            GenerationSettings, parser.parse_args([f"--{plain}", *([value.strip()] if value else [])])
        )
        self._settings = replace(self._settings, **given)
        self._show_setting(*given)

    def _show_setting(self, name: str) -> None:
        self._show(f"  {flag_name(name)[2:]} {getattr(self._settings, name)}\n")

    def _save(self, path: Path) -> None:
        if not self._text:
            raise SettingError("There is no text to save yet.")
        with told_plainly(path), path.open("a", encoding="utf-8") as file:
            file.write(self._text + "\n\n")
        self._show(f"Added to {path}.\n")


def converse(
    model: "TrainedModel", name: str, settings: GenerationSettings, *, first: str = "", co_writer: bool = False
) -> int:
    """Talk until the user leaves: in a terminal with history and completion, from a pipe line by line."""

    def show(text: str) -> None:
        print(text, end="", flush=True)

    show(f"Writing with {name}.\n")
    conversation = Conversation(model, settings, show, co_writer=co_writer)
    conversation.begin(first)
    read = _terminal_reader() if sys.stdin.isatty() else _pipe_reader
    while not conversation.over:
        try:
            conversation.answer(read(conversation.prompt))
        except EOFError:
            break
        except KeyboardInterrupt:
            show("(:quit leaves)\n")
    return 0


def _pipe_reader(prompt: str) -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")


def _terminal_reader() -> Callable[[str], str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter

    names = [f":{name}" for name in (*_COMMANDS, *(flag_name(each.name)[2:] for each in fields(GenerationSettings)))]
    session: PromptSession[str] = PromptSession(
        completer=WordCompleter(names, sentence=True), complete_while_typing=False
    )
    return session.prompt
