"""`wordgen corpora`: the list, a look into a text, a name for one's own."""

import io
import re
from pathlib import Path

import pytest

from tests.conftest import Command
from wordgen.cli import corpora
from wordgen.cli.corpora import readable
from wordgen.cli.main import main
from wordgen.corpora.catalogue import catalogue
from wordgen.corpora.finding import open_corpus
from wordgen.text.tokenizers import tokenizer_named

pytestmark = pytest.mark.usefixtures("in_empty_folder")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["corpora", *arguments]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return told.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["corpora", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("Error: ")
    assert told.err.count("\n") == 1
    return told.err


def test_the_list_has_all_texts_with_what_one_wants_to_know(capsys: pytest.CaptureFixture[str]):
    told = shown(capsys)
    assert told == shown(capsys, "list")
    lines = told.split("\n")
    for name in catalogue():
        assert any(line.startswith(f"{name} ") for line in lines)
    assert any(re.match(r"grimm +Grimms' Fairy Tales +english +560 kB +public domain +on first use", x) for x in lines)
    assert any(re.match(r"lotr .* english +116 kB +CC0-1.0 +bundled", line) for line in lines)
    assert "python -m wordgen train --corpus shakespeare" in told


def test_a_look_into_an_english_text(capsys: pytest.CaptureFixture[str]):
    told = shown(capsys, "show", "lotr")
    assert told.startswith("lotr: english by the paragraph\n")
    assert re.search(r"title +About The Lord of the Rings.*\nlicence +CC0-1\.0\nsource +written for wordgen\n", told)
    assert re.search(r"units +\d{3} paragraphs\n", told)
    lengths = re.search(
        r"their lengths +(\d+) to (\d+) symbols; half of them have at most (\d+), nine of ten at most (\d+)\n", told
    )
    assert lengths is not None
    shortest, longest, half, most = map(int, lengths.groups())
    assert shortest < half < most < longest
    assert re.search(r"--vocab-size +covers\n +1,000 +9\d\.\d%\n +2,000 +9\d\.\d%", told)
    assert re.search(r"[\d,]+ +100\.0% +all types", told)
    assert re.search(r"the [\d,]+ ", told)
    assert re.search(r"~, [\d,]+ ", told)
    assert re.search(r"- .* \| .* \| .* ~\.", told.replace("\n", " "))
    assert "\uffed" not in told


def test_a_look_into_a_japanese_text(capsys: pytest.CaptureFixture[str]):
    told = shown(capsys, "show", "lyrics")
    assert "lyrics: japanese by the line" in told
    assert re.search(r"の \d+ +て \d+", told)
    assert re.search(r"blank lines in between", told)
    rows = told.split("The commonest symbols\n")[1].split("\n\n")[0].split("\n")
    second_columns = {wide(begin[0]) for begin in map(re.compile(r"\S+ [\d,]+ +").match, rows) if begin}
    assert len(rows) > 3
    assert len(second_columns) == 1  # below each other, wide letters or not


def wide(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def test_the_flags_of_train_change_what_is_seen(capsys: pytest.CaptureFixture[str]):
    Path("song.txt").write_text("Rain falls\non the roof\n\nand on the road\ntonight\n\nand stays\nwith me\n")
    assert "song: english by the document with its line breaks" in shown(capsys, "show", "song.txt")
    told = shown(capsys, "show", "song.txt", "--unit", "line", "--line-breaks", "joined", "--tokenizer", "characters")
    assert "song: characters by the line" in told
    assert "units          6 lines\n" in told
    assert "R | a | i | n | ␣ | f" in told


def test_a_folder_several_files_and_standard_input_are_shown_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    Path("book").mkdir()
    Path("book/1.txt").write_text("One road.\n\nTwo roads.\n")
    Path("2.txt").write_text("Three roads.\n")
    assert "units          3 paragraphs\n" in shown(capsys, "show", "book", "2.txt")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"A road.\n\nAnother.\n")))
    assert "standard-input: english" in shown(capsys, "show", "-")


def test_other_files_of_a_known_name_are_not_called_by_its_title(capsys: pytest.CaptureFixture[str]):
    Path("data/lotr").mkdir(parents=True)
    Path("data/lotr/mine.txt").write_text("A road.\n\nAnother.\n")
    assert "title" not in shown(capsys, "show", "lotr")


def test_how_it_was_read_is_shown(capsys: pytest.CaptureFixture[str]):
    Path("old.txt").write_bytes("雨が降る夜の街で、きみを待っていた。\n".encode("cp932") * 20)
    assert "read as Shift JIS" in shown(capsys, "show", "old.txt")


@pytest.mark.parametrize(
    ("symbol", "seen"),
    [
        ("\n", "⏎"),
        ("word", "word"),
        (" ", "␣"),
        ("\u3000", "□"),
        ("\x1b[31m", "<001B>[31m"),
        ("\u202e", "<202E>"),
        ("UNKNOWN_TOKEN", "<unk>"),
        ("END_TOKEN", "<eos>"),
    ],
)
def test_every_symbol_can_be_seen(symbol: str, seen: str):
    assert readable(symbol) == seen


def test_where_symbols_touch_can_be_seen():
    symbols = tokenizer_named("english").tokenize('"Well," he didn\'t say.')
    assert [readable(symbol) for symbol in symbols] == ['"~', "Well", "~,", '~"', "he", "did", "~n't", "say", "~."]


def test_a_text_of_ones_own_gets_a_name(capsys: pytest.CaptureFixture[str]):
    Path("moby.txt").write_text("Call me Ishmael.\n\nSome years ago I went to sea.\n\nIt is a way I have.\n")
    told = shown(capsys, "add", "sea", "moby.txt", "--title", "Moby-Dick", "--language", "english")
    assert told.split("\n") == [
        "Added sea, 69 bytes: english by the paragraph.",
        "  unit, line breaks and tokenizer found from the text: --replace with other flags changes that",
        "  3 units",
        "Look into it:  python -m wordgen corpora show sea",
        "Learn it:      python -m wordgen train --corpus sea",
        "",
    ]
    assert re.search(r"sea +Moby-Dick +english +69 bytes +yours", shown(capsys))
    assert "sea: english by the paragraph" in shown(capsys, "show", "sea")
    assert open_corpus("sea").unit == "paragraph"
    told = shown(capsys, "add", "sea", "moby.txt", "--replace", "--unit", "line", "--tokenizer", "characters")
    assert "Added sea, 69 bytes: characters by the line.\n  line breaks found from the text" in told
    assert "There is no corpus 'seaa'" in refused(capsys, "show", "seaa")
    assert "Did you mean sea?" in refused(capsys, "show", "seaa")


def test_what_cannot_be_is_said_in_one_sentence(capsys: pytest.CaptureFixture[str]):
    Path("song.txt").write_text("Rain falls\n")
    Path("odd.txt").write_bytes(bytes(100))
    assert "brings: choose another name" in refused(capsys, "add", "lotr", "song.txt")
    assert "odd.txt is not a text" in refused(capsys, "add", "odd", "song.txt", "odd.txt")
    assert "no file or folder none.txt" in refused(capsys, "add", "odd", "none.txt")
    assert "The following arguments are required: FILE" in refused(capsys, "add", "odd")
    assert "Did you mean --title?" in refused(capsys, "add", "odd", "song.txt", "--titel", "x")
    assert "See wordgen corpora add --help" in refused(capsys, "add", "odd", "song.txt", "--titel", "x")
    assert "choose from" in refused(capsys, "shwo", "lotr")
    assert "There is no corpus 'lotrr'" in refused(capsys, "show", "lotrr")
    assert not Path("data").exists()


def test_a_file_that_leads_nowhere_is_said(capsys: pytest.CaptureFixture[str]):
    Path("book").mkdir()
    Path("book/1.txt").write_text("One.\n\nTwo.\n")
    Path("book/2.txt").symlink_to("nowhere")
    assert "book/2.txt cannot be read: No such file" in refused(capsys, "show", "book")
    assert "book/2.txt cannot be read: No such file" in refused(capsys, "add", "mine", "book")


def test_help_says_every_default(capsys: pytest.CaptureFixture[str]):
    for action in ("list", "show", "add"):
        assert main(["corpora", action, "--help"]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert "Example: wordgen corpora " + action in text
        flags = set(re.findall(r" (--[a-z][a-z-]+)", text.split("options:")[1])) - {"--help", "--corpus"}
        flags = {flag for flag in flags if not flag.startswith("--no-")}
        assert text.count("default: ") + text.count("by default") == len(flags) > 0
    assert "{list,show,add}" not in corpora.make_parser("wordgen corpora").format_help()


def test_a_trained_model_comes_of_a_name_that_was_added(command: Command, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("".join(f"The road number {n} goes on and on.\n\n" for n in range(300)))
    assert command("corpora", "add", "road", "mine.txt").returncode == 0
    ended = command("train", "--corpus", "road", "--layers", "1", "--units", "8", "--epochs", "1")
    assert ended.returncode == 0, ended.stderr
    assert "road, english by the paragraph" in ended.stdout
