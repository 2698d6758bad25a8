"""Runs of music, what somebody does with a player of music on a page, and what it then plays."""

from dataclasses import replace

from tests.helpers.browser import Page
from tests.helpers.saved_runs import made_epoch, made_record
from wordgen.report.music import Music
from wordgen.run.record import RunRecord
from wordgen.text.settings import TokenizerName
from wordgen.training.reports import Sample

DRAWN = "document.querySelector('.music .score svg')"
PLAYS = "document.querySelector('.music .play').textContent === 'Stop'"
RESTS = "document.querySelector('.music .play').textContent === 'Play'"
HEAD = "M:4/4\nL:1/8\nK:C\n"
HOSTILE_WORDS = [
    "<script>alert(1)</script>", "</script><b>", "<!--", '"><img src=x onerror=y>', "]]>", "\u2028", "\\u003c", "'",
]  # fmt: skip


def run_of_music(tokenizer: TokenizerName, *texts: str, epochs: int = 1) -> RunRecord:
    """The record of a run whose model has written these texts after each epoch."""
    samples = tuple(Sample("sample", text) for text in texts)
    made = made_record(epochs=tuple(made_epoch(n, 50.0 - n, samples=samples) for n in range(1, epochs + 1)))
    return replace(made, text=replace(made.text, tokenizer=tokenizer))


def listen(page: Page) -> None:
    """Note from now on which tones are begun, and by which contexts; they sound as before."""
    page.value(
        """(() => {
          window.heard = [];
          const real = AudioScheduledSourceNode.prototype.start;
          AudioScheduledSourceNode.prototype.start = function (at) {
            window.heard.push({ at, frequency: this.frequency.value, context: this.context });
            return real.call(this, at);
          };
        })()"""
    )


def heard(page: Page) -> list[tuple[float, float]]:
    """When each tone begins, in milliseconds after the first one, and its frequency."""
    first, *others = page.value("window.heard.map(({ at, frequency }) => [at, frequency])")
    return [((at - first[0]) * 1000, frequency) for at, frequency in (first, *others)]


def state(page: Page) -> str:
    """The state of the context that has begun the last tone."""
    return page.value("window.heard.at(-1).context.state")


def tones_of(music: Music, faster: float = 1) -> list[tuple[float, float]]:
    """The tones of a piece as `heard` gives them."""
    first = music.notes[0][0]
    return [((begin - first) / faster, 440 * 2 ** ((pitch - 69) / 12)) for begin, _, pitch, _ in music.notes]


def set_tempo(page: Page, tempo: int) -> None:
    """Move the slider, and forget the tones that were begun before."""
    page.value(
        f"(slider => (slider.value = {tempo}, window.heard?.splice(0), slider.dispatchEvent(new Event('input'))))"
        "(document.querySelector('.music .tempo input'))"
    )
