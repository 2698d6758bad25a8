"""Every text can be decoded from its ids, except for runs of white space.

WORDGEN_TEST_TEXTS may be a folder with more texts: all files in it, also in subfolders, are tested as well.
"""

import os
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.helpers.round_trip import encode_text, without_white_space
from wordgen.corpus.catalogue import bundled_catalogue, bundled_data
from wordgen.corpus.reading import clean
from wordgen.corpus.settings import LineBreaks, PassageKind, ReadingSettings
from wordgen.errors import CorpusError
from wordgen.text.settings import TokenizerChoice
from wordgen.text.vocabulary import JOINER, OTHER_APOSTROPHE, RESERVED

BUNDLED = [
    file
    for entry in bundled_catalogue().values()
    if not (entry.downloads or entry.listing) and entry.language != "music"
    for file in entry.files
]
FOLDER = Path(os.environ.get("WORDGEN_TEST_TEXTS") or os.devnull)
MORE_TEXTS = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file())
TOKENIZERS: list[TokenizerChoice] = ["english", "japanese", "characters", "whitespace", "abc", "notes", "chords"]


@pytest.mark.parametrize("tokenizer", ["auto", "characters"])
@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_text_round_trip(name: str, tokenizer: TokenizerChoice, tmp_path: Path):
    encoded = encode_text(bundled_data() / name, tmp_path, tokenizer)
    assert len(encoded.passages) > 100
    encoded.assert_round_trip()


@pytest.mark.skipif(not MORE_TEXTS, reason="WORDGEN_TEST_TEXTS names no folder with files")
@pytest.mark.parametrize("tokenizer", ["auto", "characters"])
@pytest.mark.parametrize("name", MORE_TEXTS)
def test_given_text_round_trip(name: str, tokenizer: TokenizerChoice, tmp_path: Path):
    try:
        encoded = encode_text(FOLDER / name, tmp_path, tokenizer)
    except CorpusError as error:
        pytest.skip(str(error))
    encoded.assert_round_trip()


SPECIAL_TOKENS = (*RESERVED, "<unk>", "<eos>", OTHER_APOSTROPHE, JOINER, "\ue000", "\ue000e")
FRAGMENTS = st.sampled_from(
    [*SPECIAL_TOKENS, "don't", "don’t", "'", "’", " o'clock’s ", " Ann’s", " Ann's", "’’ ", "雨が", "\n", "\n\n", "\r",
     '"']
)  # fmt: skip
ANY_TEXT = st.text() | st.lists(FRAGMENTS | st.text(max_size=3)).map("".join)


@settings(max_examples=150, deadline=None)
@given(
    text=ANY_TEXT,
    tokenizer=st.sampled_from(TOKENIZERS),
    passage=st.sampled_from(["line", "paragraph", "section", "document"]),
    line_breaks=st.sampled_from(["joined", "kept"]),
)
def test_any_text_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    tokenizer: TokenizerChoice,
    passage: PassageKind,
    line_breaks: LineBreaks,
):
    folder = tmp_path_factory.mktemp("any")
    # With "whitespace", an <eos> would end passages, and the last passage without an end would be an error.
    assume(tokenizer != "whitespace" or "<eos>" not in text.split())
    text = f"One.\n\n\n{text}\n\n\ntwo\n\n\nthree"  # otherwise the text can be too short to split
    (folder / "text.txt").write_bytes(text.encode())
    reading_settings = ReadingSettings(
        encoding="utf-8", passage=passage, line_breaks=line_breaks, keep_boilerplate=True
    )
    encoded = encode_text(folder / "text.txt", folder / "encoded", tokenizer, reading_settings)
    assert without_white_space("".join(passage for _, passage in encoded.passages)) == without_white_space(clean(text))
    encoded.assert_round_trip()
