"""`wordgen evaluate`: the table, the JSON, and the command it would try next."""

import contextlib
import io
import json
import math
import re
import shlex
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

import wordgen
from tests.helpers.terminal import said_beside
from wordgen.cli.evaluate import command_to_try
from wordgen.cli.flags import settings_from
from wordgen.cli.main import main
from wordgen.cli.train import train_parser
from wordgen.evaluation.measurement import Loss, Match
from wordgen.evaluation.verdict import Finding
from wordgen.run.evaluate import Evaluation
from wordgen.run.settings import TrainSettings


@pytest.fixture(autouse=True)
def room(trained_room: Path, in_empty_folder: Path) -> Path:
    shutil.copytree(trained_room, in_empty_folder, dirs_exist_ok=True)
    return in_empty_folder


@pytest.fixture(scope="module")
def evaluated(trained_room: Path) -> Evaluation:
    with contextlib.chdir(trained_room):
        return wordgen.evaluate("small")


@pytest.fixture(scope="module")
def table(trained_room: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the command shows of it."""
    room = tmp_path_factory.mktemp("table")
    shutil.copytree(trained_room, room, dirs_exist_ok=True)
    with contextlib.chdir(room), contextlib.redirect_stdout(io.StringIO()) as said:
        assert main(["evaluate"]) == 0
    return said.getvalue()


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["evaluate", *arguments]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


def test_the_table_has_the_model_and_what_counting_reaches(table: str, evaluated: Evaluation):
    told = table
    lines = {line.split("  ")[0]: line.split() for line in told.split("\n")}
    assert evaluated.ngram is not None
    assert evaluated.unigram is not None
    assert evaluated.mixture is not None
    for name, loss in (
        ("the model", evaluated.own),
        ("mixed with the 5-gram", evaluated.mixture.loss),
        ("5-gram, Kneser-Ney", evaluated.ngram),
        ("word frequencies", evaluated.unigram),
    ):
        characters = evaluated.statistics.all_characters
        bits = [f"{loss.bits_per(characters):.3f}", "±", f"{loss.off_per(characters):.3f}"]
        assert lines[name][len(name.split()) :][:6] == [f"{loss.perplexity:,.1f}", "±", f"{loss.off:,.1f}", *bits]
    assert "± gives a 95% confidence interval" in " ".join(told.split())
    assert evaluated.own.differs(evaluated.unigram) is False  # it learned for seconds
    assert lines["word frequencies"][8:] == ["no", "difference"]
    assert lines["5-gram, Kneser-Ney"][9:] == ["times", "the", "model's"]
    assert "How good is small on the test set of spells?" in told
    share = f"The mixture takes {evaluated.mixture.weight:.0%} of each probability from the 5-gram"
    assert f"{share} (chosen on the validation set)." in " ".join(told.split())
    assert f"{evaluated.tokens:,} tokens" in told
    assert f"{evaluated.unknown_share:.1%} of the words are UNKNOWN" in told
    assert " ".join(str(evaluated.verdict).split()) in " ".join(told.split())
    assert f"Try:  {command_to_try(evaluated)}\n" in told


def test_what_it_writes_stands_beside_held_out_text(table: str, evaluated: Evaluation):
    told = " ".join(table.split())
    new = evaluated.novelty
    assert new is not None
    assert (
        "3,000 tokens in 30 texts that the model wrote at temperature 1, compared with 500 tokens in 5 pieces of the "
        "held-out text." in told
    )
    assert "A sequence that contains UNKNOWN counts as new." in told
    for name, figures in (("generated text", new.samples), ("the held-out text", new.held_out)):
        assert None not in figures.shares.values()
        assert f"{name} {' '.join(f'{share:.1%}' for share in figures.shares.values())} " in told
        varied = (figures.distinct_1, figures.distinct_2, figures.repetition, figures.self_bleu)
        assert figures.longest is not None
        assert f"{name} {' '.join(f'{share:.1%}' for share in varied)} {figures.longest.tokens} " in told
    assert f" {new.verdict} The longest match, " in told
    longest = new.samples.longest
    assert longest is not None
    assert f"{longest.tokens} tokens, begins in spells.txt, line {longest.line}: {longest.text} Try: " in told


def shown_of(made: Evaluation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What is shown of figures that are made up, with single spaces."""
    monkeypatch.setattr("wordgen.run.evaluate.evaluate", lambda *given, **named: made)
    return " ".join(shown(capsys).split())


def test_a_long_match_is_cut_on_the_screen(
    evaluated: Evaluation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    words = " ".join(f"word{number}" for number in range(100))
    assert evaluated.novelty is not None
    samples = replace(evaluated.novelty.samples, longest=Match(100, words, "a.txt", 1234))
    told = shown_of(replace(evaluated, novelty=replace(evaluated.novelty, samples=samples)), capsys, monkeypatch)
    match = told.partition("The longest match, 100 tokens, begins in a.txt, line 1,234: ")[2].partition(" ... Try: ")[0]
    assert match.startswith("word0 word1 ")
    assert 200 < len(match) <= 300
    assert words.startswith(f"{match} ")


def test_figures_that_there_are_not_are_a_dash(capsys: pytest.CaptureFixture[str], room: Path):
    (room / "two.txt").write_text("The caster\n")
    told = " ".join(shown(capsys, "--split", "two.txt", "--samples", "1").split())
    assert (
        "100 tokens in 1 text that the model wrote at temperature 1, compared with 3 tokens in 1 piece of two.txt."
        in told
    )
    assert f"two.txt{6 * ' –'} " in told
    assert "It is" not in told


def test_without_samples_nothing_is_said_of_it(capsys: pytest.CaptureFixture[str]):
    assert "new" not in shown(capsys, "--samples", "0")
    assert json.loads(shown(capsys, "--samples", "0", "--json"))["novelty"] is None


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ("-1", "--samples must be at least 0 and at most 1,000, not -1."),
        ("1001", "--samples must be at least 0 and at most 1,000, not 1001."),
        ("many", "invalid int value: 'many'"),
    ],
)
def test_a_wrong_number_of_samples_is_told(capsys: pytest.CaptureFixture[str], samples: str, said: str):
    assert main(["evaluate", "--samples", samples]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.err.startswith("Error: ")
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]):
    told = json.loads(shown(capsys, "small", "--split", "valid", "--json", "--samples", "9"))
    found = wordgen.evaluate("small", split="valid", samples=9)
    assert told["perplexity"] == pytest.approx(found.perplexity)
    assert told["bits_per_character"] == pytest.approx(found.bits_per_character)
    assert (told["split"], told["tokens"], told["verdict"]) == ("valid", found.tokens, found.verdict)
    assert told["perplexity_off"] == found.own.off
    assert found.own.may_be_off is not None
    bits_off = found.own.may_be_off / math.log(2) * found.tokens / told["characters"]
    assert told["bits_per_character_off"] == pytest.approx(bits_off)
    assert found.unigram is not None
    assert (told["kneser_ney"]["differs"], told["unigram"]["differs"]) == (True, found.unigram.differs(found.own))
    assert "blocks" not in told
    assert told["kneser_ney"]["order"] == 5
    assert told["kneser_ney"]["perplexity"] == found.ngram.perplexity  # pyright: ignore[reportOptionalMemberAccess]
    assert told["unigram"]["perplexity"] > 1
    assert found.mixture is not None
    assert told["mixture"]["weight"] == found.mixture.weight
    assert told["mixture"]["perplexity"] == found.mixture.loss.perplexity
    assert told["mixture"]["perplexity_off"] == found.mixture.loss.off
    assert told["mixture"]["differs"] == found.mixture.loss.differs(found.own)
    assert told["fit"] == (found.finding and found.finding.fit)
    new = found.novelty
    assert new is not None
    assert told["novelty"]["verdict"] == new.verdict
    assert told["novelty"]["originality"] == new.originality
    for name, figures in (("samples", new.samples), ("held_out", new.held_out)):
        assert told["novelty"][name]["shares"] == {str(length): share for length, share in figures.shares.items()}
        assert told["novelty"][name]["self_bleu"] == figures.self_bleu
        assert figures.longest is not None
        assert told["novelty"][name]["longest"] == asdict(figures.longest)


def test_standard_input_is_a_text_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, room: Path):
    text = "The caster sleeps.\nThe target is blinded.\n"
    (room / "text.txt").write_text(text)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    piped, file = (
        json.loads(shown(capsys, "--json", "--samples", "0", "--split", split)) for split in ("-", "text.txt")
    )
    assert piped["perplexity"] == file["perplexity"]


def test_the_command_that_it_would_try_is_the_run_with_that_change_alone(evaluated: Evaluation):
    seen = Finding("overfitted", "", "", {"dropout": 0.5})
    command = command_to_try(replace(evaluated, finding=seen))
    assert command.startswith("python -m wordgen train --corpus spells ")
    assert evaluated.settings is not None
    told = settings_from(TrainSettings, train_parser("train").parse_args(shlex.split(command)[4:]))
    as_it_was = replace(evaluated.settings, name=None, overwrite=False, precision="auto")
    assert told == replace(as_it_was, dropout=0.5)


def test_it_names_every_kind_of_setting_so_that_it_can_be_read_again(evaluated: Evaluation):
    settings = TrainSettings(
        corpus=("my book.txt", "b.txt"), copy_index=False, tied=True, learning_rate=0.01, time_budget="1h", min_count=1
    )
    seen = Finding("undertrained", "", "", settings.longer())
    command = command_to_try(replace(evaluated, finding=seen, settings=settings, can_go_on=False))
    told = settings_from(TrainSettings, train_parser("train").parse_args(shlex.split(command)[4:]))
    assert told == replace(
        settings, time_budget="2h", from_scratch=True
    )  # as it was, also where a base would go with it


def test_a_run_that_wants_longer_training_goes_on(evaluated: Evaluation):
    seen = Finding("undertrained", "", "", {"epochs": 24})
    assert evaluated.can_go_on
    command = command_to_try(replace(evaluated, finding=seen))
    assert command == "python -m wordgen train --resume small --epochs 24"


def test_one_whose_rate_has_come_down_begins_anew(room: Path):
    path = room / "saved_models" / "small" / "report.json"
    report = json.loads(path.read_text())
    report["settings"]["schedule"] = "cosine"
    path.write_text(json.dumps(report))
    seen = Finding("undertrained", "", "", {"epochs": 24})
    command = command_to_try(replace(wordgen.evaluate("small", samples=0), finding=seen))
    assert command.startswith("python -m wordgen train --corpus spells ")
    assert "--epochs 24" in command


def test_a_finding_without_a_setting_to_change_leaves_the_command_to_writing(evaluated: Evaluation):
    seen = Finding("levelled off", "", "more text")
    assert command_to_try(replace(evaluated, finding=seen)) == "python -m wordgen generate --model small"


def test_where_there_is_nothing_to_change_a_good_model_may_write(evaluated: Evaluation):
    good = replace(evaluated, finding=None, own=Loss(1.0, evaluated.tokens))
    assert not good.bad
    assert command_to_try(good) == "python -m wordgen generate --model small"


def test_after_a_bad_result_it_would_try_what_may_help(evaluated: Evaluation):
    assert evaluated.bad  # it learned for seconds
    assert evaluated.settings is not None
    assert command_to_try(replace(evaluated, finding=None)) == "python -m wordgen train --corpus spells --recipe auto"
    by_recipe = replace(evaluated, finding=None, settings=replace(evaluated.settings, recipe="short"))
    assert command_to_try(by_recipe) == "python -m wordgen train --resume small --epochs 6"
    assert " --epochs 6" in command_to_try(replace(by_recipe, can_go_on=False))


def test_a_share_that_rounds_to_nothing_is_not_told(
    evaluated: Evaluation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def told(unknown: int) -> str:
        statistics = replace(evaluated.statistics, tokens=10_000, unknown=unknown, spelled=0)
        return shown_of(replace(evaluated, statistics=statistics, novelty=None), capsys, monkeypatch)

    assert "UNKNOWN" not in told(4)
    assert "0.1% of the words are UNKNOWN" in told(10)


def test_no_text_is_not_all_that_lies_here(capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", "--split", ""]) == 2
    assert "There is no text file ''" in capsys.readouterr().err


def test_a_long_text_shows_on_a_terminal_how_far_it_is(room: Path):
    (room / "long.txt").write_text("The caster sleeps.\n" * 60_000)  # a fast computer shows no bar for less
    written = room / "written"
    said = said_beside(written, "evaluate", "--split", "long.txt", "--json", cwd=room)
    assert re.search(r"Predicting.*[1-9]\d*/300000.* tokens", said)
    assert json.loads(written.read_text())["tokens"] == 300_000


def test_getting_used_to_a_text_is_told_beside_the_plain_figure(capsys: pytest.CaptureFixture[str]):
    told = shown(capsys, "--samples", "0", "--cache", "200", "--split", "valid")
    found = json.loads(shown(capsys, "--samples", "0", "--cache", "200", "--split", "valid", "--json"))
    cache = found["cache"]
    assert cache["size"] == 200
    assert found["dynamic"] is None
    rows = [" ".join(line.split()) for line in told.split("\n")]
    assert any(row.startswith(f"the model {found['perplexity']:,.1f} ") for row in rows)
    expected = f"with a cache of 200 {cache['perplexity']:,.1f} ± {cache['perplexity_off']:,.1f} "
    expected += f"{cache['bits_per_character']:.3f} ± {cache['bits_per_character_off']:.3f} "
    assert any(row.startswith(expected) for row in rows)
    assert f"The cache gives {cache['weight']:.0%} of the probability" in " ".join(rows)
    assert "chosen on this same text, so the figure is slightly too good" in " ".join(rows)
    assert "chosen on the validation set" in " ".join(shown(capsys, "--samples", "0", "--cache", "200").split())
