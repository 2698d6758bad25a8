"""The bundled tunes are right, varied, and those that their script composes."""

from collections import Counter

from bench.airs import airs
from tests.helpers.texts import passage_texts
from wordgen.corpus.catalogue import bundled_data
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.settings import ReadingSettings
from wordgen.music.abc_parsing import parse_tune
from wordgen.music.abc_text import numbered
from wordgen.music.copied_notes import Families
from wordgen.music.tune import faults_of

TUNES = [parse_tune(text) for text in passage_texts(open_corpus("airs", ReadingSettings(transpose="none")))]


def test_all_bars_add_up_and_all_tunes_end_on_the_tonic():
    assert len(TUNES) > 100
    for tune in TUNES:
        assert faults_of(tune) == (), tune.field("T")
        assert tune.ends_on_tonic, tune.field("T")


def test_they_have_many_metres_keys_and_modes():
    metres, keys = Counter(tune.field("M") for tune in TUNES), Counter(tune.field("K") for tune in TUNES)
    assert {"2/4", "3/4", "4/4", "6/8", "9/8"} <= set(metres)
    assert min(metres.values()) >= 10
    assert len(keys) >= 15
    assert len({tune.key.mode for tune in TUNES if tune.key is not None}) >= 4
    assert len({tune.field("T") for tune in TUNES}) == len(TUNES)


def test_parts_have_eight_bars_and_some_have_chords():
    for tune in TUNES:
        full = [bar for bar in tune.played if bar.length == bar.full]
        pick_up = tune.bars[0].length != tune.bars[0].full
        assert (len(full) + 4 * pick_up) % 8 == 0, tune.field("T")
    with_chords = sum(any(note.chord for note in tune.notes) for tune in TUNES)
    assert 0.3 < with_chords / len(TUNES) < 0.9


def test_none_is_nearly_another():
    families = Families()
    for tune in TUNES:
        families.add(tune)
    assert families.groups() == list(range(len(TUNES)))


def test_the_file_is_what_the_script_writes():
    assert (bundled_data() / "airs.abc").read_text(encoding="utf-8") == numbered(airs())
