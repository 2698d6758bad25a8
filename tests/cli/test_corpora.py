"""`wordgen corpora`: list the texts, show one, and add one."""

import io
import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from wordgen.cli import corpora
from wordgen.cli.corpora import readable
from wordgen.cli.main import main
from wordgen.corpus.catalogue import catalogue
from wordgen.corpus.finding import open_corpus
from wordgen.run.settings import TrainSettings
from wordgen.run.train import plan_run
from wordgen.text.tokenizers import tokenizer_named

pytestmark = pytest.mark.usefixtures("in_empty_folder")


def stdout_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["corpora", *arguments]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return output.out


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["corpora", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("Error: ")
    assert output.err.count("\n") == 1
    return output.err


def test_list_has_all_texts_with_size_licence_and_place(capsys: pytest.CaptureFixture[str]):
    output = stdout_of(capsys)
    assert output == stdout_of(capsys, "list")
    lines = output.split("\n")
    for name in catalogue():
        assert any(line.startswith(f"{name} ") for line in lines)
    assert any(
        re.match(r"grimm +Grimms' Fairy Tales +english +560 kB +public domain +not downloaded", x) for x in lines
    )
    assert any(re.match(r"lotr .* english +116 kB +CC0-1.0 +bundled", line) for line in lines)
    assert "python -m wordgen train --corpus shakespeare" in output


def test_show_describes_english_text(capsys: pytest.CaptureFixture[str]):
    output = stdout_of(capsys, "show", "lotr")
    assert output.startswith("lotr: english tokenizer, one passage per paragraph\n")
    assert re.search(r"title +About The Lord of the Rings.*\nlicence +CC0-1\.0\nsource +written for wordgen\n", output)
    assert re.search(r"passages +\d{3} paragraphs\n", output)
    lengths = re.search(
        r"lengths +(\d+) to (\d+) tokens; half of the passages have at most (\d+), 90% at most (\d+)\n", output
    )
    assert lengths is not None
    shortest, longest, median, percentile_90 = map(int, lengths.groups())
    assert shortest < median < percentile_90 < longest
    assert re.search(r"--vocab-size +covers\n +1,000 +9\d\.\d%\n +2,000 +9\d\.\d%", output)
    assert re.search(r"[\d,]+ +100\.0% +all different tokens", output)
    assert re.search(r"the [\d,]+ ", output)
    assert re.search(r"~, [\d,]+ ", output)
    assert re.search(r"- .* \| .* \| .* ~\.", output.replace("\n", " "))
    assert "\uffed" not in output


def test_show_describes_japanese_text(capsys: pytest.CaptureFixture[str]):
    output = stdout_of(capsys, "show", "lyrics")
    assert "lyrics: japanese tokenizer, one passage per line" in output
    assert re.search(r"の \d+ +て \d+", output)
    assert re.search(r"lines, of which [\d,]+ are blank", output)
    rows = output.split("The most frequent tokens\n")[1].split("\n\n")[0].split("\n")
    second_columns = {cell_len(match[0]) for match in map(re.compile(r"\S+ [\d,]+ +").match, rows) if match}
    assert len(rows) > 3
    assert len(second_columns) == 1  # aligned, although some letters are two cells wide


def test_show_uses_flags_of_train(capsys: pytest.CaptureFixture[str]):
    Path("song.txt").write_text("Rain falls\non the roof\n\nand on the road\ntonight\n\nand stays\nwith me\n")
    assert "song: english tokenizer, one passage per document with line breaks" in stdout_of(capsys, "show", "song.txt")
    output = stdout_of(
        capsys, "show", "song.txt", "--passage", "line", "--line-breaks", "joined", "--tokenizer", "characters"
    )
    assert "song: characters tokenizer, one passage per line" in output
    assert "passages  6 lines\n" in output
    assert "R | a | i | n | ␣ | f" in output


def test_show_reads_folder_files_and_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    Path("book").mkdir()
    Path("book/1.txt").write_text("One road.\n\nTwo roads.\n")
    Path("2.txt").write_text("Three roads.\n")
    assert "passages  3 paragraphs\n" in stdout_of(capsys, "show", "book", "2.txt")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"A road.\n\nAnother.\n")))
    assert "standard-input: english" in stdout_of(capsys, "show", "-")


def test_own_files_do_not_get_title_of_bundled_text(capsys: pytest.CaptureFixture[str]):
    Path("data/lotr").mkdir(parents=True)
    Path("data/lotr/mine.txt").write_text("A road.\n\nAnother.\n")
    assert "title" not in stdout_of(capsys, "show", "lotr")


def test_show_names_the_encoding(capsys: pytest.CaptureFixture[str]):
    Path("old.txt").write_bytes("雨が降る夜の街で、きみを待っていた。\n".encode("cp932") * 20)
    assert "read as Shift JIS" in stdout_of(capsys, "show", "old.txt")


@pytest.mark.parametrize(
    ("token", "expected"),
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
def test_readable_shows_every_token(token: str, expected: str):
    assert readable(token) == expected


def test_readable_marks_joined_tokens():
    tokens = tokenizer_named("english").tokenize('"Well," he didn\'t say.')
    assert [readable(token) for token in tokens] == ['"~', "Well", "~,", '~"', "he", "did", "~n't", "say", "~."]


def test_added_text_can_be_listed_shown_and_replaced(capsys: pytest.CaptureFixture[str]):
    Path("moby.txt").write_text("Call me Ishmael.\n\nSome years ago I went to sea.\n\nIt is a way I have.\n")
    output = stdout_of(capsys, "add", "sea", "moby.txt", "--title", "Moby-Dick", "--language", "english")
    assert output.split("\n") == [
        "Added sea, 69 bytes: english tokenizer, one passage per paragraph.",
        "  Chosen from the text: passage, line breaks and tokenizer. To change this, use --replace with other flags.",
        "  3 passages",
        "Show it:       python -m wordgen corpora show sea",
        "Train on it:   python -m wordgen train --corpus sea",
        "",
    ]
    assert re.search(r"sea +Moby-Dick +english +69 bytes +yours", stdout_of(capsys))
    assert "sea: english tokenizer, one passage per paragraph" in stdout_of(capsys, "show", "sea")
    assert open_corpus("sea").passage == "paragraph"
    output = stdout_of(capsys, "add", "sea", "moby.txt", "--replace", "--passage", "line", "--tokenizer", "characters")
    assert (
        "Added sea, 69 bytes: characters tokenizer, one passage per line.\n  Chosen from the text: line breaks."
        in output
    )
    error = error_of(capsys, "show", "seaa")
    assert "There is no corpus 'seaa'" in error
    assert "Did you mean sea?" in error


def test_bad_arguments_get_one_sentence(capsys: pytest.CaptureFixture[str]):
    Path("song.txt").write_text("Rain falls\n")
    Path("odd.txt").write_bytes(bytes(100))
    assert "comes with wordgen: choose another name" in error_of(capsys, "add", "lotr", "song.txt")
    assert "odd.txt is not a text" in error_of(capsys, "add", "odd", "song.txt", "odd.txt")
    assert "no file or folder none.txt" in error_of(capsys, "add", "odd", "none.txt")
    assert "The following arguments are required: FILE" in error_of(capsys, "add", "odd")
    error = error_of(capsys, "add", "odd", "song.txt", "--titel", "x")
    assert "Did you mean --title?" in error
    assert "See wordgen corpora add --help" in error
    assert "choose from" in error_of(capsys, "shwo", "lotr")
    assert "There is no corpus 'lotrr'" in error_of(capsys, "show", "lotrr")
    assert not Path("data").exists()


def test_broken_symbolic_link_is_reported(capsys: pytest.CaptureFixture[str]):
    Path("book").mkdir()
    Path("book/1.txt").write_text("One.\n\nTwo.\n")
    Path("book/2.txt").symlink_to("nowhere")
    assert "book/2.txt cannot be read: No such file" in error_of(capsys, "show", "book")
    assert "book/2.txt cannot be read: No such file" in error_of(capsys, "add", "mine", "book")


def test_help_of_actions_has_example_and_defaults(capsys: pytest.CaptureFixture[str]):
    for action in ("list", "show", "add"):
        assert main(["corpora", action, "--help"]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert "Example: wordgen corpora " + action in text
        flags = set(re.findall(r" (--[a-z][a-z-]+)", text.split("options:")[1])) - {"--help", "--corpus"}
        flags = {flag for flag in flags if not flag.startswith("--no-")}
        assert text.count("default: ") + text.count("by default") == len(flags) > 0
    assert "{list,show,add}" not in corpora.corpora_parser("wordgen corpora").format_help()


def test_train_finds_added_text(capsys: pytest.CaptureFixture[str]):
    Path("mine.txt").write_text("".join(f"The road number {n} goes on and on.\n\n" for n in range(300)))
    stdout_of(capsys, "add", "road", "mine.txt")
    plan = plan_run(TrainSettings(corpus="road", layers=1, units=8))
    assert (plan.text.corpus, Path(plan.text.source).name) == ("road", "mine.txt")
    assert (plan.text.tokenizer, plan.text.passage) == ("english", "paragraph")
