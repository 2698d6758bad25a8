"""The list says of every text that has a name whether it is here."""

from pathlib import Path

import pytest

from wordgen.corpus.catalogue import bundled_data, catalogue
from wordgen.corpus.finding import known_texts

pytestmark = pytest.mark.usefixtures("in_empty_folder")


def whereabouts() -> dict[str, str]:
    return {text.name: text.whereabouts for text in known_texts()}


def put(path: str, content: str = "A text.\n") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content)


def test_the_catalogue_is_bundled_or_comes_on_first_use():
    told = whereabouts()
    assert set(told) == set(catalogue())
    assert {name for name, where in told.items() if where == "bundled"} == {
        "lotr", "fables", "spells", "lyrics", "airs", "preludes",
    }  # fmt: skip
    assert {name for name, where in told.items() if where == "not downloaded"} == {
        "shakespeare", "grimm", "aesop", "quijote", "kokoro", "wikitext-2", "novels", "aozora", "nottingham",
    }  # fmt: skip


def test_in_a_checkout_the_folder_of_the_bases_is_no_corpus(monkeypatch: pytest.MonkeyPatch):
    """It has a README.md, and Markdown counts as text."""
    assert (bundled_data() / "bases" / "README.md").exists()
    monkeypatch.setenv("WORDGEN_DATA", str(bundled_data()))
    assert "bases" not in whereabouts()


def test_sizes_are_those_of_the_files_here_or_to_come():
    sizes = {text.name: text.bytes for text in known_texts()}
    assert sizes["lotr"] > 60_000
    assert sizes["wikitext-2"] == 10797148 + 1121681 + 1256449
    put("data/lotr/mine.txt", "0123456789")
    assert {text.name: text.bytes for text in known_texts()}["lotr"] == 10


def test_what_has_come_is_downloaded_once_all_of_it_is_here():
    put("data/downloads/grimm/grimm.txt.part")
    put("data/downloads/aesop/aesop.txt")
    put("data/downloads/wikitext-2/train.txt")
    told = whereabouts()
    assert (told["grimm"], told["aesop"], told["wikitext-2"]) == ("not downloaded", "downloaded", "not downloaded")


def test_texts_of_ones_own_are_yours():
    put("data/lotr/mine.txt")
    put("data/sea/deep/mine.txt")
    put("data/encoded/no.txt")
    put("data/empty/no.pdf")
    put("data/here.txt")
    entry = 'language = ""\ntokenizer = "auto"\npassage = "line"\nline_breaks = "joined"\nlicence = ""\nsource = ""\n'
    put(
        "data/own.toml",
        f'[here]\ntitle = "Here"\nfiles = ["here.txt"]\n{entry}\n[gone]\ntitle = "Gone"\nfiles = ["gone.txt"]\n{entry}',
    )
    told = whereabouts()
    assert (told["lotr"], told["sea"], told["here"], told["gone"]) == ("yours", "yours", "yours", "missing")
    assert not {"encoded", "downloads", "empty"} & set(told)
