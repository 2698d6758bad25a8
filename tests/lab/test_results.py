"""The table of a sweep: means and spreads, the best first, and what did not come to an end named."""

import statistics

from tests.made_up_sweeps import result, sweep_with
from wordgen.lab.results import Spread
from wordgen.lab.sweep_file import Network
from wordgen.lab.tables import COLUMNS, as_markdown, as_rows


def test_mean_and_spread_are_those_of_the_random_seeds():
    spread = Spread((30.0, 32.0, 37.0))
    assert spread.mean == 33.0
    assert spread.deviation == statistics.stdev((30, 32, 37))
    assert spread.shown() == "33.0 ± 3.6"
    assert Spread((1234.5,)).shown() == "1,234.5"
    assert Spread((1e20, 3e20)).shown() == "2.0e+20 ± 1.4e+20"


def test_what_did_not_come_to_an_end_is_in_no_mean_and_named():
    mixed = result(Network("a | b", {}), [30.0, None, 32.0])
    row = dict(zip((*COLUMNS, "note"), as_rows([mixed])[0], strict=True))
    assert row["valid perplexity"] == "31.0 ± 1.4"
    assert row["test perplexity"] == "34.1 ± 1.6"
    assert (row["runs"], row["note"]) == ("2", "1 of 3 diverged")
    nothing = as_rows([result(Network("c", {}), [None, None])])[0]
    assert nothing[1:5] == ("-", "-", "-", "-")
    assert nothing[-1] == "2 of 2 diverged"


def test_markdown_has_a_line_a_network_and_notes_only_where_there_are_any():
    _, results = sweep_with(("cell",), {("rnn",): [50.0, 51.0], ("lstm",): [40.0, 41.0]})
    lines = as_markdown(results).split("\n")
    assert len(lines) == 4
    assert lines[2].startswith("| lstm | 40.5 ± 0.7 |")
    assert "note" not in lines[0]
    noted = as_markdown([result(Network("a | b", {}), [None])]).split("\n")
    assert noted[0].endswith("| note |")
    assert noted[2].startswith("| a \\| b |")
