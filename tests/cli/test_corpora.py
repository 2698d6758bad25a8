"""`wordgen corpora`: the list, a look into a text, a name for one's own."""

import io
import re
from pathlib import Path

import pytest

from wordgen.cli import corpora
from wordgen.cli.corpora import readable
from wordgen.cli.main import main
from wordgen.corpus.catalogue import catalogue
from wordgen.corpus.finding import open_corpus
from wordgen.run.settings import TrainSettings
from wordgen.run.train import plan_run
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
    assert any(
        re.match(r"grimm +Grimms' Fairy Tales +english +560 kB +public domain +not downloaded", x) for x in lines
    )
    assert any(re.match(r"lotr .* english +116 kB +CC0-1.0 +bundled", line) for line in lines)
    assert "python -m wordgen train --corpus shakespeare" in told


def test_a_look_into_an_english_text(capsys: pytest.CaptureFixture[str]):
    told = shown(capsys, "show", "lotr")
    assert told.startswith("lotr: english tokenizer, one passage per paragraph\n")
    assert re.search(r"title +About The Lord of the Rings.*\nlicence +CC0-1\.0\nsource +written for wordgen\n", told)
    assert re.search(r"passages +\d{3} paragraphs\n", told)
    lengths = re.search(
        r"lengths +(\d+) to (\d+) tokens; half of the passages have at most (\d+), 90% at most (\d+)\n", told
    )
    assert lengths is not None
    shortest, longest, half, most = map(int, lengths.groups())
    assert shortest < half < most < longest
    assert re.search(r"--vocab-size +covers\n +1,000 +9\d\.\d%\n +2,000 +9\d\.\d%", told)
    assert re.search(r"[\d,]+ +100\.0% +all different tokens", told)
    assert re.search(r"the [\d,]+ ", told)
    assert re.search(r"~, [\d,]+ ", told)
    assert re.search(r"- .* \| .* \| .* ~\.", told.replace("\n", " "))
    assert "\uffed" not in told


def test_a_look_into_a_japanese_text(capsys: pytest.CaptureFixture[str]):
    told = shown(capsys, "show", "lyrics")
    assert "lyrics: japanese tokenizer, one passage per line" in told
    assert re.search(r"の \d+ +て \d+", told)
    assert re.search(r"lines, of which [\d,]+ are blank", told)
    rows = told.split("The most frequent tokens\n")[1].split("\n\n")[0].split("\n")
    second_columns = {wide(begin[0]) for begin in map(re.compile(r"\S+ [\d,]+ +").match, rows) if begin}
    assert len(rows) > 3
    assert len(second_columns) == 1  # below each other, wide letters or not


def wide(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def test_the_flags_of_train_change_what_is_seen(capsys: pytest.CaptureFixture[str]):
    Path("song.txt").write_text("Rain falls\non the roof\n\nand on the road\ntonight\n\nand stays\nwith me\n")
    assert "song: english tokenizer, one passage per document with line breaks" in shown(capsys, "show", "song.txt")
    told = shown(
        capsys, "show", "song.txt", "--passage", "line", "--line-breaks", "joined", "--tokenizer", "characters"
    )
    assert "song: characters tokenizer, one passage per line" in told
    assert "passages  6 lines\n" in told
    assert "R | a | i | n | ␣ | f" in told


def test_a_folder_several_files_and_standard_input_are_shown_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    Path("book").mkdir()
    Path("book/1.txt").write_text("One road.\n\nTwo roads.\n")
    Path("2.txt").write_text("Three roads.\n")
    assert "passages  3 paragraphs\n" in shown(capsys, "show", "book", "2.txt")
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
    ("token", "seen"),
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
def test_every_token_can_be_seen(token: str, seen: str):
    assert readable(token) == seen


def test_where_tokens_touch_can_be_seen():
    tokens = tokenizer_named("english").tokenize('"Well," he didn\'t say.')
    assert [readable(token) for token in tokens] == ['"~', "Well", "~,", '~"', "he", "did", "~n't", "say", "~."]


def test_a_text_of_ones_own_gets_a_name(capsys: pytest.CaptureFixture[str]):
    Path("moby.txt").write_text("Call me Ishmael.\n\nSome years ago I went to sea.\n\nIt is a way I have.\n")
    told = shown(capsys, "add", "sea", "moby.txt", "--title", "Moby-Dick", "--language", "english")
    assert told.split("\n") == [
        "Added sea, 69 bytes: english tokenizer, one passage per paragraph.",
        "  Chosen from the text: passage, line breaks and tokenizer. To change this, use --replace with other flags.",
        "  3 passages",
        "Show it:       python -m wordgen corpora show sea",
        "Train on it:   python -m wordgen train --corpus sea",
        "",
    ]
    assert re.search(r"sea +Moby-Dick +english +69 bytes +yours", shown(capsys))
    assert "sea: english tokenizer, one passage per paragraph" in shown(capsys, "show", "sea")
    assert open_corpus("sea").passage == "paragraph"
    told = shown(capsys, "add", "sea", "moby.txt", "--replace", "--passage", "line", "--tokenizer", "characters")
    assert (
        "Added sea, 69 bytes: characters tokenizer, one passage per line.\n  Chosen from the text: line breaks." in told
    )
    assert "There is no corpus 'seaa'" in refused(capsys, "show", "seaa")
    assert "Did you mean sea?" in refused(capsys, "show", "seaa")


def test_what_cannot_be_is_said_in_one_sentence(capsys: pytest.CaptureFixture[str]):
    Path("song.txt").write_text("Rain falls\n")
    Path("odd.txt").write_bytes(bytes(100))
    assert "comes with wordgen: choose another name" in refused(capsys, "add", "lotr", "song.txt")
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
    assert "{list,show,add}" not in corpora.corpora_parser("wordgen corpora").format_help()


def test_a_run_learns_the_text_of_a_name_that_was_added(capsys: pytest.CaptureFixture[str]):
    Path("mine.txt").write_text("".join(f"The road number {n} goes on and on.\n\n" for n in range(300)))
    shown(capsys, "add", "road", "mine.txt")
    plan = plan_run(TrainSettings(corpus="road", layers=1, units=8))
    assert (plan.text.corpus, Path(plan.text.source).name) == ("road", "mine.txt")
    assert (plan.text.tokenizer, plan.text.passage) == ("english", "paragraph")
