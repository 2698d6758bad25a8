"""The progress bar in a notebook: one output that is replaced, and cleared at the end."""

import importlib.util

import pytest
from rich.text import Text

from tests.helpers.commands import ROOT
from wordgen.training.screen import NotebookLive

CELLS = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom rich.text import Text\n"
    "from wordgen.training.screen import NotebookLive",
    "text = Text('first <b>')\nlive = NotebookLive(text, 40)\nlive.refresh()\n"
    "live._last_drawing_time = 0\ntext.append(' second')\nlive.refresh()\n"
    "print('a line')\ntext.append(' third')\nlive.refresh()",
    "live.stop()",
)


def test_html_is_escaped():
    html = NotebookLive(Text("<script>alert(1)</script>"), 60)._as_html()
    assert html.startswith("<pre")
    assert "&lt;script&gt;" in html
    assert "<script" not in html


@pytest.mark.skipif(importlib.util.find_spec("IPython") is not None, reason="IPython is installed")
def test_stop_before_drawing_needs_no_ipython():
    NotebookLive(Text("text"), 40).stop()
    with pytest.raises(ModuleNotFoundError, match="IPython"):
        NotebookLive(Text("text"), 40).refresh()


def test_notebook_replaces_its_output():
    nbclient = pytest.importorskip("nbclient", reason="no Jupyter is installed")
    nbformat = pytest.importorskip("nbformat")
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    for count in (2, 3):  # the third cell stops the bar
        notebook = nbformat.v4.new_notebook(cells=cells[:count])
        nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
        display, printed = notebook.cells[1].outputs
        assert printed["text"] == "a line\n"
        html = display["data"]["text/html"]
        assert ("first &lt;b&gt; second" in html) == (count == 2)
        assert "third" not in html  # the bar is drawn at most twice a second
        assert (html == "") == (count == 3)
