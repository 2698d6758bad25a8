"""Runs of music, and how to use the music player of a page and record the tones that it plays."""

from dataclasses import replace

from tests.helpers.browser import Page
from tests.helpers.saved_runs import made_epoch, made_record
from wordgen.report.music import Music
from wordgen.run.record import RunRecord
from wordgen.text.settings import TokenizerName
from wordgen.training.reports import Sample

SCORE_DRAWN = "document.querySelector('.music .score svg')"
PLAYING = "document.querySelector('.music .play').textContent === 'Stop'"
STOPPED = "document.querySelector('.music .play').textContent === 'Play'"
HEAD = "M:4/4\nL:1/8\nK:C\n"
HOSTILE_WORDS = [
    "<script>alert(1)</script>", "</script><b>", "<!--", '"><img src=x onerror=y>', "]]>", "\u2028", "\\u003c", "'",
]  # fmt: skip


def run_of_music(tokenizer: TokenizerName, *texts: str, epochs: int = 1) -> RunRecord:
    """Return the record of a run whose samples after each epoch are these texts."""
    samples = tuple(Sample("sample", text) for text in texts)
    record = made_record(epochs=tuple(made_epoch(n, 50.0 - n, samples=samples) for n in range(1, epochs + 1)))
    return replace(record, text=replace(record.text, tokenizer=tokenizer))


def record_tones(page: Page) -> None:
    """From now on, record each tone that starts and its audio context."""
    page.value(
        """(() => {
          window.tones = [];
          const real = AudioScheduledSourceNode.prototype.start;
          AudioScheduledSourceNode.prototype.start = function (at) {
            window.tones.push({ at, frequency: this.frequency.value, context: this.context });
            return real.call(this, at);
          };
        })()"""
    )


def recorded_tones(page: Page) -> list[tuple[float, float]]:
    """Return the start of each tone, in milliseconds after the first, and its frequency."""
    first, *others = page.value("window.tones.map(({ at, frequency }) => [at, frequency])")
    return [((at - first[0]) * 1000, frequency) for at, frequency in (first, *others)]


def audio_state(page: Page) -> str:
    """Return the state of the audio context of the last tone."""
    return page.value("window.tones.at(-1).context.state")


def expected_tones(music: Music, faster: float = 1) -> list[tuple[float, float]]:
    """Return the tones of a piece as `recorded_tones` does."""
    first = music.notes[0][0]
    return [((begin - first) / faster, 440 * 2 ** ((pitch - 69) / 12)) for begin, _, pitch, _ in music.notes]


def set_tempo(page: Page, tempo: int) -> None:
    """Move the slider and delete the recorded tones."""
    page.value(
        f"(slider => (slider.value = {tempo}, window.tones?.splice(0), slider.dispatchEvent(new Event('input'))))"
        "(document.querySelector('.music .tempo input'))"
    )
