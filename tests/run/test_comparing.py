"""Which of several runs came out better, and where that cannot be said."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.helpers.saved_runs import made_dataset, made_measurement, make_run
from wordgen.errors import BundleError
from wordgen.evaluation.measurement import Loss
from wordgen.run.comparing import Comparison, compare
from wordgen.run.listing import SavedRun, look_at
from wordgen.run.record import keep_measurement

pytestmark = pytest.mark.usefixtures("in_empty_folder")


def compared(*reports: dict[str, Any]) -> Comparison:
    return compare([look_at(make_run(f"run-{number}", **report)) for number, report in enumerate(reports)])


def better(comparison: Comparison) -> dict[str, list[int]]:
    return {f"{each.part} {each.measure}": sorted(each.better) for each in comparison.figures}


def test_of_the_same_tokens_the_lower_figure_is_better():
    found = compared({"valid": 30, "bits": 1.2, "test": 35}, {"valid": 29, "bits": 1.3, "test": 34}, {"valid": 31})
    assert found.ground == "tokens"
    assert better(found) == {
        "valid perplexity": [1],
        "valid bits per character": [0],
        "test perplexity": [1],
        "test bits per character": better(found)["test bits per character"],  # equal but for rounding
    }
    assert [run.name for run in found.unmeasured] == ["run-2"]


def test_equal_figures_are_no_better_and_a_single_one_neither():
    assert better(compared({"valid": 30, "test": 35}, {"valid": 30})) == {
        "valid perplexity": [],
        "valid bits per character": [],
        "test perplexity": [],
        "test bits per character": [],
    }


def test_of_the_same_text_in_other_tokens_bits_per_character_alone_are_compared():
    found = compared(
        {"valid": 30, "bits": 1.2, "dataset": made_dataset("f")},
        {"valid": 20, "bits": 1.3, "dataset": made_dataset("g")},
    )
    assert found.ground == "text"
    assert better(found)["valid perplexity"] == []
    assert better(found)["valid bits per character"] == [0]


def measured(name: str, nats: Sequence[float], **report: Any) -> SavedRun:
    """A run that was measured on a test part of passages that cost so many nats for ten tokens each."""
    folder = make_run(name, **report)
    blocks = np.array([(each, 10.0) for each in nats])
    loss = Loss(float(sum(nats)), 10 * len(nats), blocks)
    keep_measurement(folder, "test", made_measurement(9.0, own=loss, characters=1000))
    return look_at(folder)


def test_a_difference_that_may_be_chance_makes_none_better():
    """By the same passages, where both were cut into the same tokens: what is hard for one is hard for all."""
    hard = [40.0, 30.0] * 10
    plain, lucky, surely = (
        measured("plain", hard),
        measured("lucky", [each - change for each, change in zip(hard, [4.0, -3.0] * 10, strict=True)]),
        measured("surely", [each - 0.5 for each in hard]),
    )
    found = compare([plain, lucky])
    assert better(found)["test perplexity"] == []
    assert [sorted(each.no_difference) for each in found.figures if each.part == "test"] == [[0, 1], [0, 1]]
    assert found.to_mapping()["no_difference"]["test_perplexity"] == ["plain", "lucky"]
    found = compare([plain, surely])
    assert better(found)["test perplexity"] == [1]
    assert not any(each.no_difference for each in found.figures)
    off = found.figures[2].off[0]
    assert off is not None
    assert off > plain.perplexity("test") - surely.perplexity("test")  # pyright: ignore[reportOperatorIssue]


def test_of_other_tokens_a_difference_must_be_larger_than_both_may_be_off_by():
    hard = [40.0, 30.0] * 10
    one = measured("one", hard, dataset=made_dataset("f"))
    near = measured("near", [each - 0.5 for each in hard[1:]], dataset=made_dataset("g"))
    far = measured("far", [each / 2 for each in hard[1:]], dataset=made_dataset("g"))
    assert compare([one, near]).ground == "text"
    assert better(compare([one, near]))["test bits per character"] == []
    assert better(compare([one, far]))["test bits per character"] == [1]


@pytest.mark.parametrize(
    "other",
    [{"dataset": made_dataset("g", characters=9)}, {"dataset": made_dataset("g"), "settings": {"corpus": "else"}}],
)
def test_of_other_texts_nothing_is_compared(other: dict[str, Any]):
    found = compared({"valid": 30, "bits": 1.2}, {"valid": 20, "bits": 1.3, **other})
    assert found.ground == "nothing"
    assert not any(better(found).values())


def test_the_settings_that_differ_are_told_and_no_others():
    found = compared({"settings": {"units": 8, "name": "one"}}, {"settings": {"units": (4, 8), "name": "other"}})
    assert found.settings == {"units": (8, (4, 8))}


def test_settings_of_one_run_alone_are_no_difference():
    where = {"join_timeout": 9, "histograms": True, "name": "other", "checkpoint_every": "5m"}
    assert compared({}, {"settings": where}).settings == {}


def test_a_run_without_a_report_cannot_be_compared():
    folder = make_run("bare")
    (folder / "report.json").unlink()
    with pytest.raises(BundleError, match="bare has no report"):
        compare([look_at(make_run("tale")), look_at(folder)])
