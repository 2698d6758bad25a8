"""The list of corpora says where each one is: bundled, downloaded, not downloaded, yours or missing."""

from pathlib import Path

import pytest

from wordgen.corpus.catalogue import bundled_data, catalogue
from wordgen.corpus.finding import known_texts

pytestmark = pytest.mark.usefixtures("in_empty_folder")


def locations() -> dict[str, str]:
    return {text.name: text.location for text in known_texts()}


def write_file(path: str, content: str = "A text.\n") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content)


def test_catalogue_is_bundled_or_not_downloaded():
    places = locations()
    assert set(places) == set(catalogue())
    assert {name for name, place in places.items() if place == "bundled"} == {
        "lotr", "fables", "spells", "lyrics", "airs", "preludes",
    }  # fmt: skip
    assert {name for name, place in places.items() if place == "not downloaded"} == {
        "shakespeare", "grimm", "aesop", "quijote", "kokoro", "wikitext-2", "novels", "aozora", "nottingham",
    }  # fmt: skip


def test_folder_of_bases_is_not_a_corpus(monkeypatch: pytest.MonkeyPatch):
    """In a checkout, it has a README.md, and Markdown is a kind of text."""
    assert (bundled_data() / "bases" / "README.md").exists()
    monkeypatch.setenv("WORDGEN_DATA", str(bundled_data()))
    assert "bases" not in locations()


def test_sizes_are_of_present_or_downloadable_files():
    sizes = {text.name: text.bytes for text in known_texts()}
    assert sizes["lotr"] > 60_000
    assert sizes["wikitext-2"] == 10797148 + 1121681 + 1256449
    write_file("data/lotr/mine.txt", "0123456789")
    assert {text.name: text.bytes for text in known_texts()}["lotr"] == 10


def test_text_is_downloaded_once_all_files_are_present():
    write_file("data/downloads/grimm/grimm.txt.part")
    write_file("data/downloads/aesop/aesop.txt")
    write_file("data/downloads/wikitext-2/train.txt")
    places = locations()
    assert (places["grimm"], places["wikitext-2"]) == ("not downloaded", "not downloaded")
    assert places["aesop"] == "downloaded"


def test_own_texts_are_yours_or_missing():
    write_file("data/lotr/mine.txt")
    write_file("data/sea/deep/mine.txt")
    write_file("data/encoded/no.txt")
    write_file("data/empty/no.pdf")
    write_file("data/here.txt")
    entry = 'language = ""\ntokenizer = "auto"\npassage = "line"\nline_breaks = "joined"\nlicence = ""\nsource = ""\n'
    write_file(
        "data/own.toml",
        f'[here]\ntitle = "Here"\nfiles = ["here.txt"]\n{entry}\n[gone]\ntitle = "Gone"\nfiles = ["gone.txt"]\n{entry}'
        f'[long]\ntitle = "Not a valid path"\nfiles = ["{"x" * 300}.txt"]\n{entry}',
    )
    places = locations()
    assert places["long"] == "missing"
    assert (places["lotr"], places["sea"], places["here"], places["gone"]) == ("yours", "yours", "yours", "missing")
    assert not {"encoded", "downloads", "empty"} & set(places)
