"""The tabs of TensorBoard in Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.browser import PROGRAMS, Page, find_chromium, open_browser
from tests.helpers.tensorboard import tensorboard
from wordgen.training.tensorboard import BITS, LONGEST_COPY, PERPLEXITY, PLAN, REPORT, SAMPLES, SPEED

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason=f"none of {', '.join(PROGRAMS)} is installed"),
]
VISIBLE_TEXT = """
(function text(node) {
  if (node.nodeType === Node.TEXT_NODE) return node.data;
  if (["STYLE", "SCRIPT", "TEMPLATE"].includes(node.nodeName)) return "";
  const inside = [node.shadowRoot, node.contentDocument && node.contentDocument.body];
  return [...inside, ...node.childNodes].filter(Boolean).map(text).join(" ");
})(document.body).replace(/\\s+/g, " ")
"""  # the text of TensorBoard is in shadow roots


@pytest.fixture(scope="module")
def address(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with tensorboard(trained_folder, tmp_path_factory.mktemp("watched") / "tensorboard.log") as served:
        yield served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Page]:
    with open_browser() as page:
        page.set_screen(1600, 2400)
        yield page


def _heading(tag: str) -> str:
    """The heading of a chart. TensorBoard shows a tag in two parts, so that it can shorten the first."""
    return tag.replace("/", " /")


@pytest.mark.parametrize(
    ("tab", "texts"),
    [
        (
            "timeseries",
            ["small/train", "small/valid", *map(_heading, (PERPLEXITY, BITS, LONGEST_COPY)), "3 steps 3 cards"],
        ),
        ("scalars", ["small/train", "small/valid", PERPLEXITY, SPEED.split("/")[0]]),
        (
            "text",
            [
                f"{SAMPLES}/greedy without prompt",
                f"{SAMPLES}/sampled with prompt",
                PLAN,
                REPORT,
                "one passage per line",
            ],
        ),
        ("hparams", ["Trial ID", "small", "corpus", "spells", f"valid.{PERPLEXITY}"]),
        ("projector", ["Points: 770", "Dimension: 48"]),
        ("histograms", ["small", "embedding", "layer_1", "output"]),
        ("distributions", ["small", "embedding", "layer_1", "output"]),
    ],
)
def test_tab_shows_the_run(tab: str, texts: list[str], chromium: Page, address: str):
    chromium.errors.clear()
    chromium.open("about:blank")
    chromium.open(f"{address}#{tab}")
    for text in texts:
        chromium.wait(f"{VISIBLE_TEXT}.includes({text!r})", seconds=60)
    assert chromium.errors == []


def test_chart_has_train_and_valid_curves(chromium: Page, address: str):
    chromium.open("about:blank")
    chromium.open(f"{address}#timeseries")
    chromium.wait(f"{VISIBLE_TEXT}.includes({_heading(PERPLEXITY)!r})", seconds=60)
    first = "document.querySelector('scalar-card')"
    chromium.wait(f"{first}.querySelector('canvas, path')")
    chromium.wait(f"{first}.innerText.includes('small/valid') && {first}.innerText.includes('small/train')")
    words = chromium.value(f"{first}.innerText").split()
    assert {"small/train", "small/valid"} <= set(words)
