"""Every text comes back from its ids as it was, up to runs of white space.

WORDGEN_TEST_TEXTS names a folder with texts of any kind; each file in it, at any depth, is tried as well.
"""

import os
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.helpers.journey import travel, visible
from wordgen.corpus.catalogue import LineBreaks, PassageKind, bundled_catalogue, bundled_data
from wordgen.corpus.reading import clean
from wordgen.corpus.settings import ReadingSettings
from wordgen.errors import CorpusError
from wordgen.text.settings import TokenizerChoice
from wordgen.text.vocabulary import JOINER, OTHER_FORM, RESERVED

BUNDLED = [
    file
    for entry in bundled_catalogue().values()
    if not (entry.downloads or entry.listing) and entry.language != "music"
    for file in entry.files
]
FOLDER = Path(os.environ.get("WORDGEN_TEST_TEXTS") or os.devnull)
BROUGHT = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file())
TOKENIZERS: list[TokenizerChoice] = ["english", "japanese", "characters", "whitespace", "abc", "notes", "chords"]


@pytest.mark.parametrize("tokenizer", ["auto", "characters"])
@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_texts_come_back(name: str, tokenizer: TokenizerChoice, tmp_path: Path):
    journey = travel(bundled_data() / name, tmp_path, tokenizer)
    assert len(journey.passages) > 100
    journey.check()


@pytest.mark.skipif(not BROUGHT, reason="WORDGEN_TEST_TEXTS names no folder with files")
@pytest.mark.parametrize("tokenizer", ["auto", "characters"])
@pytest.mark.parametrize("name", BROUGHT)
def test_texts_that_were_brought_come_back(name: str, tokenizer: TokenizerChoice, tmp_path: Path):
    try:
        journey = travel(FOLDER / name, tmp_path, tokenizer)
    except CorpusError as error:
        pytest.skip(str(error))
    journey.check()


OURS = (*RESERVED, "<unk>", "<eos>", OTHER_FORM, JOINER, "\ue000", "\ue000e")
BITS = st.sampled_from(
    [*OURS, "don't", "don’t", "'", "’", " o'clock’s ", " Ann’s", " Ann's", "’’ ", "雨が", "\n", "\n\n", "\r", '"']
)
ANY_TEXT = st.text() | st.lists(BITS | st.text(max_size=3)).map("".join)


@settings(max_examples=150, deadline=None)
@given(
    text=ANY_TEXT,
    tokenizer=st.sampled_from(TOKENIZERS),
    passage=st.sampled_from(["line", "paragraph", "section", "document"]),
    line_breaks=st.sampled_from(["joined", "kept"]),
)
def test_any_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    tokenizer: TokenizerChoice,
    passage: PassageKind,
    line_breaks: LineBreaks,
):
    folder = tmp_path_factory.mktemp("any")
    assume(
        tokenizer != "whitespace" or "<eos>" not in text.split()
    )  # else the last passages have no end, and are refused
    text = f"One.\n\n\n{text}\n\n\ntwo\n\n\nthree"  # or there might be too little to split
    (folder / "text.txt").write_bytes(text.encode())
    how = ReadingSettings(encoding="utf-8", passage=passage, line_breaks=line_breaks, keep_boilerplate=True)
    journey = travel(folder / "text.txt", folder / "encoded", tokenizer, how)
    assert visible("".join(passage for _, passage in journey.passages)) == visible(clean(text))
    journey.check()
