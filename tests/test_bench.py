"""The computations of the scripts in bench/, without their measurements."""

import argparse
import re
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.growth import bend, in_words
from bench.pictures import draw_curves
from bench.results import put_between, some_of
from bench.rows import SPECIAL, Row, batches, tokens, write_text
from bench.turns import FailedError, TimeUpError, Way


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6))
def test_streams_continue_from_batch_to_batch(batch_size: int, seq_len: int, number_of_batches: int):
    row = Row(layers=1, units=1, batch_size=batch_size, seq_len=seq_len, vocabulary=50)
    windows = batches(row, number_of_batches)
    assert windows.shape == (number_of_batches, batch_size, seq_len + 1)
    np.testing.assert_array_equal(windows[1:, :, 0], windows[:-1, :, -1])
    streams = np.concatenate([windows[0, :, :1], *windows[:, :, 1:]], axis=1)
    np.testing.assert_array_equal(streams.ravel(), tokens(streams.size, 50))


def test_tokens_are_repeatable_and_not_special():
    ids = tokens(10_000, 20)
    assert set(ids) == set(range(SPECIAL, 20))
    np.testing.assert_array_equal(ids, tokens(10_000, 20))
    counts = np.bincount(ids)
    assert counts[SPECIAL] > counts[SPECIAL + 5] > counts[19]


def test_generated_text_has_given_number_of_words(tmp_path: Path):
    write_text(tmp_path / "text.txt", 3000, 700)
    words = (tmp_path / "text.txt").read_text().split()
    assert len(words) == 3000
    assert len(set(words)) == 700 - SPECIAL


@given(st.floats(-2, 2), st.floats(-2, 2), st.integers(1, 4))
def test_bend_is_where_the_exponent_changes(before: float, after: float, place: int):
    xs = [2.0**n for n in range(6)]
    ys = [x**before if n <= place else xs[place] ** (before - after) * x**after for n, x in enumerate(xs)]
    assert bend(xs, ys) == (place if abs(before - after) >= 0.26 else None) or 0.24 < abs(before - after) < 0.26


def test_growth_is_described_in_words():
    xs = [1.0, 10.0, 100.0]
    assert in_words(xs, [2.0, 20.0, 200.0]) == "x^1.0"
    assert in_words(xs, [2.0, 2.0, 200.0]) == "x^0.0 up to 10, then x^2.0"
    assert in_words(xs[:1], [2.0]) == "needs more than one point"


def test_text_outside_of_the_marks_stays_unchanged(tmp_path: Path):
    path = tmp_path / "page.md"
    marks = "<!-- x: written by bench/document.py -->\n<!-- end of x -->"
    path.write_text(f"before\n{marks}\nbehind\n<!-- end of y -->\n", encoding="utf-8")
    for text in ("one", "two\nlines"):
        put_between(path, "x", text)
        content = path.read_text(encoding="utf-8")
        assert (
            re.sub(r"(?s)(document.py -->).*(<!-- end of x)", r"\1\n\2", content)
            == f"before\n{marks}\nbehind\n<!-- end of y -->\n"
        )
        assert content.split("-->\n\n")[1].split("\n\n<!--")[0] == text
    with pytest.raises(SystemExit, match="no place for z"):
        put_between(path, "z", "text")


def test_names_are_split_at_commas_and_empty_means_all():
    names = some_of({"large": 1, "small": 2})
    assert names("small") == ["small"]
    assert names("small,large") == ["small", "large"]
    assert names("") == ["large", "small"]
    with pytest.raises(argparse.ArgumentTypeError, match="there is no tiny: there are large, small"):
        names("large,tiny")


DOUBLING_SCRIPT = """
from bench.turns import Turns

turns = Turns()
print("a note of a library")
turns.answer(ready=True)
while True:
    turns.answer(doubled=2 * int(turns.wait()), **turns.spent())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="select takes no pipes there")
def test_way_answers_each_turn_and_reports_failure(tmp_path: Path):
    (tmp_path / "doubling.py").write_text(DOUBLING_SCRIPT)
    with closing(Way(sys.executable, "doubling", [], tmp_path)) as way:
        assert way.answer() == {"ready": True}
        answers = [way.turn(line) for line in ("2", "21")]
        assert [answer["doubled"] for answer in answers] == [4, 42]
        assert all(answer["cpu"] >= 0 and 0 < answer["wall"] < 10 for answer in answers)
        with pytest.raises(FailedError, match="ValueError: invalid literal"):
            way.turn("x")
    late = Way(sys.executable, "doubling", [], tmp_path, until=time.monotonic())
    with closing(late), pytest.raises(TimeUpError):
        late.answer()


def test_axis_of_perplexity_has_plain_numbers(tmp_path: Path):
    falling = {"points": [{"cpu": 60.0 * k, "valid": 58 + 80 / k} for k in range(1, 9)]}
    draw_curves({"a": {"corpus": "sea", "recipe": "book", "ours": falling, "pytorch": falling}}, tmp_path, "curves")
    texts = re.findall(r">([^<>]+)</text>", (tmp_path / "curves.svg").read_text())
    assert {"80", "100"} <= set(texts)
    assert not [each for each in texts if "$" in each]
