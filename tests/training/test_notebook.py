"""The bar in a notebook: one output that is replaced, and taken away in the end."""

import pytest
from rich.text import Text

from tests.helpers.commands import ROOT
from wordgen.training.screen import NotebookLive

CELLS = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom rich.text import Text\n"
    "from wordgen.training.screen import NotebookLive",
    "text = Text('first <b>')\nlive = NotebookLive(text, 40)\nlive.refresh()\n"
    "live._drawn = 0\ntext.append(' second')\nlive.refresh()\nprint('a line')\ntext.append(' third')\nlive.refresh()",
    "live.stop()",
)


def test_what_is_drawn_is_text_and_no_markup():
    html = NotebookLive(Text("<script>alert(1)</script>"), 60)._as_html()
    assert html.startswith("<pre")
    assert "&lt;script&gt;" in html
    assert "<script" not in html


def test_what_was_never_drawn_is_not_taken_away():
    """That would need IPython, which is there in notebooks alone."""
    NotebookLive(Text("nothing"), 40).stop()
    with pytest.raises(ModuleNotFoundError, match="IPython"):
        _without_ipython().refresh()


def _without_ipython() -> NotebookLive:
    import importlib.util

    if importlib.util.find_spec("IPython") is not None:
        pytest.skip("IPython is here")
    return NotebookLive(Text("something"), 40)


def test_a_real_notebook_has_one_output_that_is_replaced():
    nbclient = pytest.importorskip("nbclient", reason="no Jupyter is installed")
    nbformat = pytest.importorskip("nbformat")
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    for shown in (2, 3):
        notebook = nbformat.v4.new_notebook(cells=cells[:shown])
        nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
        drawn, printed = notebook.cells[1].outputs
        assert printed["text"] == "a line\n"
        html = drawn["data"]["text/html"]
        assert ("first &lt;b&gt; second" in html) == (shown == 2)
        assert "third" not in html  # drawn twice a second at most
        assert (html == "") == (shown == 3)
