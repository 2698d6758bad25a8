"""The bundled texts and tunes have the size and quality that the catalogue promises."""

import re
from collections import Counter

import pytest

from bench.airs import airs
from tests.helpers.texts import passage_texts
from wordgen.corpus.catalogue import bundled_catalogue, bundled_data, catalogue
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.settings import ReadingSettings
from wordgen.music.abc_parsing import parse_tune
from wordgen.music.abc_text import numbered
from wordgen.music.copied_notes import Families
from wordgen.music.tune import faults_of
from wordgen.text.settings import TextSettings

MIN_BYTES = {"lotr": 60_000, "fables": 40_000, "spells": 30_000, "lyrics": 30_000, "airs": 30_000}


@pytest.mark.parametrize("name", list(MIN_BYTES))
def test_bundled_text_is_long_enough(name: str):
    assert sum((bundled_data() / file).stat().st_size for file in catalogue()[name].files) >= MIN_BYTES[name]


@pytest.mark.parametrize("name", list(MIN_BYTES))
def test_bundled_text_repeats_no_passage(name: str):
    passages = Counter(
        passage
        for passage in passage_texts(open_corpus(str(bundled_data() / catalogue()[name].files[0])))
        if len(passage) > 40
    )
    assert passages
    assert max(passages.values()) == 1


def test_entries_name_known_tokenizers_and_available_files():
    for entry in bundled_catalogue().values():
        TextSettings(tokenizer=entry.tokenizer)  # pyright: ignore[reportArgumentType]
        assert entry.licence
        downloadable = {download.file for download in entry.with_listed_files().downloads}
        bundled = {*entry.files, *entry.valid_files, *entry.test_files} - downloadable
        assert all((bundled_data() / file).is_file() for file in bundled)


def test_downloads_are_pinned_to_a_commit():
    downloads = [download for entry in bundled_catalogue().values() for download in entry.with_listed_files().downloads]
    assert len(downloads) == 8 + 92 + 645 + 14
    for download in downloads:
        assert re.match(r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/", download.address)


def test_files_of_listing_are_sorted():
    """A folder is read in the order of names, too, so both give the same text."""
    for entry in bundled_catalogue().values():
        if entry.listing is not None:
            files = entry.with_listed_files().files
            assert list(files) == sorted(files)
            assert all(file.endswith((".txt", ".abc")) for file in files)


def test_catalogue_says_that_tolkiens_books_are_not_included():
    assert "copyright" in catalogue()["lotr"].note
    assert "data/lotr/" in catalogue()["lotr"].note


TUNES = [parse_tune(text) for text in passage_texts(open_corpus("airs", ReadingSettings(transpose="none")))]


def test_airs_have_no_faults_and_end_on_tonic():
    assert len(TUNES) > 100
    for tune in TUNES:
        assert faults_of(tune) == (), tune.field("T")
        assert tune.ends_on_tonic, tune.field("T")


def test_airs_have_many_metres_keys_and_modes():
    metres, keys = Counter(tune.field("M") for tune in TUNES), Counter(tune.field("K") for tune in TUNES)
    assert {"2/4", "3/4", "4/4", "6/8", "9/8"} <= set(metres)
    assert min(metres.values()) >= 10
    assert len(keys) >= 15
    assert len({tune.key.mode for tune in TUNES if tune.key is not None}) >= 4
    assert len({tune.field("T") for tune in TUNES}) == len(TUNES)


def test_airs_have_parts_of_eight_bars_and_some_chords():
    for tune in TUNES:
        full = [bar for bar in tune.played_bars if bar.length == bar.full_length]
        pick_up = tune.bars[0].length != tune.bars[0].full_length
        assert (len(full) + 4 * pick_up) % 8 == 0, tune.field("T")
    with_chords = sum(any(note.chord for note in tune.notes) for tune in TUNES)
    assert 0.3 < with_chords / len(TUNES) < 0.9


def test_airs_have_no_near_duplicates():
    families = Families()
    for tune in TUNES:
        families.add(tune)
    assert families.groups() == list(range(len(TUNES)))


def test_airs_equal_output_of_script():
    assert (bundled_data() / "airs.abc").read_text(encoding="utf-8") == numbered(airs())
