"""`wordgen evaluate`: the table, the JSON and the suggested command."""

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
from tests.helpers.terminal import stderr_in_terminal
from wordgen.cli.flags import settings_from
from wordgen.cli.main import main
from wordgen.cli.train import train_parser
from wordgen.evaluation.measurement import Loss, Match
from wordgen.evaluation.verdict import Finding
from wordgen.run.commands import command_to_try
from wordgen.run.evaluate import Evaluation
from wordgen.run.settings import TrainSettings


@pytest.fixture(autouse=True)
def folder(trained_folder: Path, in_empty_folder: Path) -> Path:
    shutil.copytree(trained_folder, in_empty_folder, dirs_exist_ok=True)
    return in_empty_folder


@pytest.fixture(scope="module")
def evaluated(trained_folder: Path) -> Evaluation:
    with contextlib.chdir(trained_folder):
        return wordgen.evaluate("small")


@pytest.fixture(scope="module")
def screen_text(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output of `wordgen evaluate`."""
    folder = tmp_path_factory.mktemp("table")
    shutil.copytree(trained_folder, folder, dirs_exist_ok=True)
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as stdout:
        assert main(["evaluate"]) == 0
    return stdout.getvalue()


def stdout_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["evaluate", *arguments]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return output.out


def test_table_compares_model_with_ngrams_and_frequencies(screen_text: str, evaluated: Evaluation):
    lines = {line.split("  ")[0]: line.split() for line in screen_text.split("\n")}
    text = " ".join(screen_text.split())
    assert evaluated.ngram is not None
    assert evaluated.unigram is not None
    assert evaluated.mixture is not None
    for name, loss in (
        ("the model", evaluated.loss),
        ("mixed with the 5-gram", evaluated.mixture.loss),
        ("5-gram, Kneser-Ney", evaluated.ngram),
        ("word frequencies", evaluated.unigram),
    ):
        characters = evaluated.statistics.all_characters
        bits = [f"{loss.bits_per(characters):.3f}", "±", f"{loss.margin_per(characters):.3f}"]
        assert lines[name][len(name.split()) :][:6] == [f"{loss.perplexity:,.1f}", "±", f"{loss.margin:,.1f}", *bits]
        if loss is not evaluated.loss:
            times = f"{loss.perplexity / evaluated.perplexity:,.2f} times the model's"
            expected = "no difference" if loss.differs(evaluated.loss) is False else times
            assert " ".join(lines[name]).endswith(f" {expected}")
    assert "± gives a 95% confidence interval" in text
    assert "How good is small on the test set of spells?" in screen_text
    share = f"The mixture takes {evaluated.mixture.weight:.0%} of each probability from the 5-gram"
    assert f"{share} (chosen on the validation set)." in text
    assert f"{evaluated.tokens:,} tokens" in screen_text
    assert f"{evaluated.unknown_share:.1%} of the words are UNKNOWN" in screen_text
    assert " ".join(str(evaluated.verdict).split()) in text
    assert f"Try:  {command_to_try(evaluated)}\n" in screen_text


def test_difference_that_may_be_chance_is_no_difference(
    evaluated: Evaluation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    equal = replace(evaluated, unigram=replace(evaluated.loss), novelty=None)
    assert re.search("word frequencies [^a-z]+ no difference", screen_text_of(equal, capsys, monkeypatch))
    assert evaluated.loss.blocks is not None
    larger = Loss(2 * evaluated.loss.nats, evaluated.loss.tokens, evaluated.loss.blocks * (2, 1))
    twice = replace(evaluated, unigram=larger, novelty=None)
    assert re.search("word frequencies [^a-z]+ times the model's", screen_text_of(twice, capsys, monkeypatch))


def test_novelty_compares_generated_with_held_out_text(screen_text: str, evaluated: Evaluation):
    text = " ".join(screen_text.split())
    novelty = evaluated.novelty
    assert novelty is not None
    assert (
        "3,000 tokens in 30 texts that the model wrote at temperature 1, compared with 500 tokens in 5 pieces of the "
        "held-out text." in text
    )
    assert "A sequence that contains UNKNOWN counts as new." in text
    for name, figures in (("generated text", novelty.samples), ("the held-out text", novelty.held_out)):
        assert None not in figures.shares.values()
        assert f"{name} {' '.join(f'{share:.1%}' for share in figures.shares.values())} " in text
        varied = (figures.distinct_1, figures.distinct_2, figures.repetition, figures.self_bleu)
        assert figures.longest is not None
        assert f"{name} {' '.join(f'{share:.1%}' for share in varied)} {figures.longest.tokens} " in text
    assert f" {novelty.verdict} The longest match, " in text
    longest = novelty.samples.longest
    assert longest is not None
    assert f"{longest.tokens} tokens, begins in spells.txt, line {longest.line}: {longest.text} Try: " in text


def screen_text_of(evaluation: Evaluation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The output of `wordgen evaluate` if it measures these figures, with single spaces."""
    monkeypatch.setattr("wordgen.run.evaluate.evaluate", lambda *arguments, **options: evaluation)
    return " ".join(stdout_of(capsys).split())


def test_long_match_is_shortened_on_screen(
    evaluated: Evaluation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    words = " ".join(f"word{number}" for number in range(100))
    assert evaluated.novelty is not None
    samples = replace(evaluated.novelty.samples, longest=Match(100, words, "a.txt", 1234))
    text = screen_text_of(replace(evaluated, novelty=replace(evaluated.novelty, samples=samples)), capsys, monkeypatch)
    match = text.partition("The longest match, 100 tokens, begins in a.txt, line 1,234: ")[2].partition(" ... Try: ")[0]
    assert match.startswith("word0 word1 ")
    assert 200 < len(match) <= 300
    assert words.startswith(f"{match} ")


def test_missing_figures_are_dashes(capsys: pytest.CaptureFixture[str], folder: Path):
    (folder / "two.txt").write_text("The caster\n")
    text = " ".join(stdout_of(capsys, "--split", "two.txt", "--samples", "1").split())
    assert (
        "100 tokens in 1 text that the model wrote at temperature 1, compared with 3 tokens in 1 piece of two.txt."
        in text
    )
    assert f"two.txt{6 * ' –'} " in text
    assert "the training text also has" not in text  # so there is no verdict


def test_samples_0_leaves_out_novelty(capsys: pytest.CaptureFixture[str]):
    assert "new" not in stdout_of(capsys, "--samples", "0")
    assert json.loads(stdout_of(capsys, "--samples", "0", "--json"))["novelty"] is None


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--samples", "-1", "--samples must be at least 0 and at most 1,000, not -1."),
        ("--samples", "1001", "--samples must be at least 0 and at most 1,000, not 1001."),
        ("--samples", "many", "invalid int value: 'many'"),
        ("--split", "", "There is no text file ''"),
    ],
)
def test_wrong_value_of_flag_gets_one_sentence(capsys: pytest.CaptureFixture[str], flag: str, value: str, message: str):
    assert main(["evaluate", flag, value]) == 2
    output = capsys.readouterr()
    assert message in output.err
    assert output.err.startswith("Error: ")
    assert output.err.count("\n") == 1
    assert output.out == ""


def test_json_equals_python_api(capsys: pytest.CaptureFixture[str]):
    parsed = json.loads(stdout_of(capsys, "small", "--split", "valid", "--json", "--samples", "9"))
    evaluation = wordgen.evaluate("small", split="valid", samples=9)
    assert parsed["perplexity"] == pytest.approx(evaluation.perplexity)
    assert parsed["bits_per_character"] == pytest.approx(evaluation.bits_per_character)
    assert (parsed["split"], parsed["tokens"], parsed["verdict"]) == ("valid", evaluation.tokens, evaluation.verdict)
    assert parsed["perplexity_margin"] == evaluation.loss.margin
    assert evaluation.loss.margin_in_nats is not None
    bits_margin = evaluation.loss.margin_in_nats / math.log(2) * evaluation.tokens / parsed["characters"]
    assert parsed["bits_per_character_margin"] == pytest.approx(bits_margin)
    assert evaluation.unigram is not None
    assert (parsed["kneser_ney"]["differs"], parsed["unigram"]["differs"]) == (
        True,
        evaluation.unigram.differs(evaluation.loss),
    )
    assert "blocks" not in parsed
    assert parsed["kneser_ney"]["order"] == 5
    assert parsed["kneser_ney"]["perplexity"] == evaluation.ngram.perplexity  # pyright: ignore[reportOptionalMemberAccess]
    assert parsed["unigram"]["perplexity"] > 1
    assert evaluation.mixture is not None
    assert parsed["mixture"]["weight"] == evaluation.mixture.weight
    assert parsed["mixture"]["perplexity"] == evaluation.mixture.loss.perplexity
    assert parsed["mixture"]["perplexity_margin"] == evaluation.mixture.loss.margin
    assert parsed["mixture"]["differs"] == evaluation.mixture.loss.differs(evaluation.loss)
    assert parsed["fit"] == (evaluation.finding and evaluation.finding.fit)
    novelty = evaluation.novelty
    assert novelty is not None
    assert parsed["novelty"]["verdict"] == novelty.verdict
    assert parsed["novelty"]["originality"] == novelty.originality
    for name, figures in (("samples", novelty.samples), ("held_out", novelty.held_out)):
        assert parsed["novelty"][name]["shares"] == {str(length): share for length, share in figures.shares.items()}
        assert parsed["novelty"][name]["self_bleu"] == figures.self_bleu
        assert figures.longest is not None
        assert parsed["novelty"][name]["longest"] == asdict(figures.longest)


def test_split_reads_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path):
    text = "The caster sleeps.\nThe target is blinded.\n"
    (folder / "text.txt").write_text(text)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    piped, from_file = (
        json.loads(stdout_of(capsys, "--json", "--samples", "0", "--split", split)) for split in ("-", "text.txt")
    )
    assert piped["perplexity"] == from_file["perplexity"]


def test_suggested_command_changes_one_setting_of_run(evaluated: Evaluation):
    finding = Finding("overfitted", "", "", {"dropout": 0.5})
    command = command_to_try(replace(evaluated, finding=finding))
    assert command.startswith("python -m wordgen train --corpus spells ")
    assert evaluated.settings is not None
    parsed = settings_from(TrainSettings, train_parser("train").parse_args(shlex.split(command)[4:]))
    unchanged = replace(evaluated.settings, name=None, overwrite=False, precision="auto")
    assert parsed == replace(unchanged, dropout=0.5)


def test_suggested_command_parses_to_same_settings(evaluated: Evaluation):
    """Only `--from-scratch` is added: without it, the new run could begin with a base."""
    settings = TrainSettings(
        corpus=("my book.txt", "b.txt"), copy_index=False, tied=True, learning_rate=0.01, time_budget="1h", min_count=1
    )
    finding = Finding("undertrained", "", "", settings.longer_training())
    command = command_to_try(replace(evaluated, finding=finding, settings=settings, can_be_extended=False))
    parsed = settings_from(TrainSettings, train_parser("train").parse_args(shlex.split(command)[4:]))
    assert parsed == replace(settings, time_budget="2h", from_scratch=True)


def test_suggested_command_resumes_undertrained_run(evaluated: Evaluation):
    finding = Finding("undertrained", "", "", {"epochs": 24})
    assert evaluated.can_be_extended
    command = command_to_try(replace(evaluated, finding=finding))
    assert command == "python -m wordgen train --resume small --epochs 24"


def test_suggested_command_restarts_run_with_cosine_schedule(folder: Path):
    path = folder / "saved_models" / "small" / "report.json"
    report = json.loads(path.read_text())
    report["settings"]["schedule"] = "cosine"
    path.write_text(json.dumps(report))
    finding = Finding("undertrained", "", "", {"epochs": 24})
    command = command_to_try(replace(wordgen.evaluate("small", samples=0), finding=finding))
    assert command.startswith("python -m wordgen train --corpus spells ")
    assert "--epochs 24" in command


def test_suggested_command_is_generate_if_no_setting_would_help(evaluated: Evaluation):
    no_setting = replace(evaluated, finding=Finding("levelled off", "", "more text"))
    good = replace(evaluated, finding=None, loss=Loss(1.0, evaluated.tokens))
    assert not good.is_bad
    for evaluation in (no_setting, good):
        assert command_to_try(evaluation) == "python -m wordgen generate --model small"
    elsewhere = replace(good, folder=Path("my models/small"))
    assert command_to_try(elsewhere) == "python -m wordgen generate --model 'my models/small'"


def test_suggested_command_after_bad_result(evaluated: Evaluation):
    assert evaluated.is_bad  # after a training of a few seconds
    assert evaluated.settings is not None
    assert command_to_try(replace(evaluated, finding=None)) == "python -m wordgen train --corpus spells --recipe auto"
    by_recipe = replace(evaluated, finding=None, settings=replace(evaluated.settings, recipe="short"))
    assert command_to_try(by_recipe) == "python -m wordgen train --resume small --epochs 6"
    assert " --epochs 6" in command_to_try(replace(by_recipe, can_be_extended=False))


def test_unknown_share_that_rounds_to_zero_is_left_out(
    evaluated: Evaluation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def text_with(unknown: int) -> str:
        statistics = replace(evaluated.statistics, tokens=10_000, unknown=unknown, spelled=0)
        return screen_text_of(replace(evaluated, statistics=statistics, novelty=None), capsys, monkeypatch)

    assert "UNKNOWN" not in text_with(4)
    assert "0.1% of the words are UNKNOWN" in text_with(10)


def test_terminal_shows_progress_of_long_text(folder: Path):
    (folder / "long.txt").write_text("The caster sleeps.\n" * 600)
    stdout_path = folder / "written"
    stderr = stderr_in_terminal(stdout_path, "evaluate", "--split", "long.txt", "--json", cwd=folder)
    assert re.search(r"Predicting.*[1-9]\d*/3000.* tokens", stderr)
    assert json.loads(stdout_path.read_text())["tokens"] == 3000


def test_cache_is_compared_with_plain_model(capsys: pytest.CaptureFixture[str]):
    output = stdout_of(capsys, "--samples", "0", "--cache", "200", "--split", "valid")
    parsed = json.loads(stdout_of(capsys, "--samples", "0", "--cache", "200", "--split", "valid", "--json"))
    cache = parsed["cache"]
    assert cache["size"] == 200
    assert parsed["dynamic"] is None
    rows = [" ".join(line.split()) for line in output.split("\n")]
    assert any(row.startswith(f"the model {parsed['perplexity']:,.1f} ") for row in rows)
    expected = f"with a cache of 200 {cache['perplexity']:,.1f} ± {cache['perplexity_margin']:,.1f} "
    expected += f"{cache['bits_per_character']:.3f} ± {cache['bits_per_character_margin']:.3f} "
    assert any(row.startswith(expected) for row in rows)
    assert f"The cache gives {cache['weight']:.0%} of the probability" in " ".join(rows)
    assert "chosen on this same text, so the figure is slightly too good" in " ".join(rows)
    assert "chosen on the validation set" in " ".join(stdout_of(capsys, "--samples", "0", "--cache", "200").split())
