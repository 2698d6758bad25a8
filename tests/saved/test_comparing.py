"""Which of several runs came out better, and where that cannot be said."""

from typing import Any

import pytest

from tests.saved_runs import SPLIT, made_report, make_run
from wordgen.errors import BundleError
from wordgen.saved.comparing import Comparison, compare
from wordgen.saved.listing import look_at

pytestmark = pytest.mark.usefixtures("in_empty_folder")


def compared(*reports: dict[str, Any]) -> Comparison:
    return compare([look_at(make_run(f"run-{number}", **report)) for number, report in enumerate(reports)])


def better(comparison: Comparison) -> dict[str, list[int]]:
    return {f"{each.part} {each.measure}": sorted(each.better) for each in comparison.figures}


def dataset(fingerprint: str, characters: int = 2259) -> dict[str, Any]:
    splits = {part: {**SPLIT, "characters": characters} for part in ("train", "valid", "test")}
    return {**made_report()["dataset"], "fingerprint": fingerprint, "splits": splits}


def test_of_the_same_symbols_the_lower_figure_is_better():
    found = compared({"valid": 30, "bits": 1.2, "test": 35}, {"valid": 29, "bits": 1.3, "test": 34}, {"valid": 31})
    assert found.ground == "symbols"
    assert better(found) == {
        "valid perplexity": [1],
        "valid bits per character": [0],
        "test perplexity": [1],
        "test bits per character": [],
    }
    assert [run.name for run in found.unmeasured] == ["run-2"]


def test_equal_figures_are_no_better_and_a_single_one_neither():
    assert better(compared({"valid": 30, "test": 35}, {"valid": 30})) == {
        "valid perplexity": [],
        "valid bits per character": [],
        "test perplexity": [],
        "test bits per character": [],
    }


def test_of_the_same_text_in_other_symbols_bits_per_character_alone_are_compared():
    found = compared(
        {"valid": 30, "bits": 1.2, "dataset": dataset("f")}, {"valid": 20, "bits": 1.3, "dataset": dataset("g")}
    )
    assert found.ground == "text"
    assert better(found)["valid perplexity"] == []
    assert better(found)["valid bits per character"] == [0]


@pytest.mark.parametrize(
    "other", [{"dataset": dataset("g", characters=9)}, {"dataset": dataset("g"), "settings": {"corpus": "else"}}]
)
def test_of_other_texts_nothing_is_compared(other: dict[str, Any]):
    found = compared({"valid": 30, "bits": 1.2}, {"valid": 20, "bits": 1.3, **other})
    assert found.ground == "nothing"
    assert not any(better(found).values())


def test_the_settings_that_differ_are_told_and_no_others():
    found = compared({"settings": {"units": 8, "name": "one"}}, {"settings": {"units": (4, 8), "name": "other"}})
    assert found.settings == {"units": (8, (4, 8))}


def test_a_run_without_a_report_cannot_be_compared():
    folder = make_run("bare")
    (folder / "report.json").unlink()
    with pytest.raises(BundleError, match="bare has no report"):
        compare([look_at(make_run("tale")), look_at(folder)])
