"""What a notebook shows while a network learns: one output that is drawn anew, without widgets."""

import io
import time
from typing import Any

from rich.console import Console, RenderableType

_SECONDS_BETWEEN = 0.5
_HTML = '<pre style="white-space: pre; line-height: normal; font-family: Menlo, Consolas, monospace">{code}</pre>'


class NotebookLive:
    """Shows something below what the cell has said so far, and takes it away in the end.

    rich draws again and again with ipywidgets alone, which not everybody has; IPython itself can replace an output.
    """

    def __init__(self, shown: RenderableType, width: int) -> None:
        self._shown, self._width = shown, width
        self._handle: Any = None
        self._drawn = 0.0

    def refresh(self) -> None:
        """Draw it anew, unless that was done just now."""
        if self._handle is not None and time.monotonic() - self._drawn < _SECONDS_BETWEEN:
            return
        self._drawn = time.monotonic()
        self._show(self._as_html())

    def stop(self) -> None:
        if self._handle is not None:
            self._show("")

    def _as_html(self) -> str:
        console = Console(
            file=io.StringIO(),
            record=True,
            width=self._width,
            force_terminal=True,
            force_jupyter=False,
            legacy_windows=False,
        )
        console.print(self._shown)
        return console.export_html(inline_styles=True, code_format=_HTML)

    def _show(self, html: str) -> None:
        from IPython.display import HTML, display  # pyright: ignore[reportMissingImports]

        if self._handle is None:
            self._handle = display(HTML(html), display_id=True)
        else:
            self._handle.update(HTML(html))
