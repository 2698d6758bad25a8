"""The ids of a text do not depend on how its bytes are read, and each passage is in exactly one split."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.texts import passage_texts
from wordgen.corpus import reading
from wordgen.corpus.catalogue import SPLITS, bundled_data
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.settings import ReadingSettings
from wordgen.dataset.encoding import prepare
from wordgen.dataset.splits import MIN_PASSAGES
from wordgen.text.settings import TextSettings


def bundled_bytes(name: str, encoding: str) -> bytes:
    """Return the beginning of a bundled text, with Windows line ends and multi-byte characters."""
    lines = (bundled_data() / f"{name}.txt").read_text(encoding="utf-8").split("\n")[:150]
    return "\r\n".join(f"“{line}” – 夜é" if encoding == "utf-8" and line else line for line in lines).encode(encoding)


def encoded_files(folder: Path) -> dict[str, bytes]:
    (dataset_folder,) = folder.iterdir()
    return {file.name: file.read_bytes() for file in dataset_folder.iterdir()}


@pytest.mark.parametrize("longest_piece", [60, 100_000])
@pytest.mark.parametrize(("name", "encoding"), [("spells", "utf-8"), ("lyrics", "cp932"), ("lyrics", "utf-16")])
def test_ids_do_not_depend_on_block_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, encoding: str, longest_piece: int
):
    (tmp_path / "text.txt").write_bytes(bundled_bytes(name, encoding))
    monkeypatch.setattr(reading, "MAX_PIECE_CHARACTERS", longest_piece)
    prepare(open_corpus(str(tmp_path / "text.txt")), TextSettings(), tmp_path / "whole")
    for block in (1, 3, 61):
        monkeypatch.setattr(reading, "_BLOCK", block)
        folder = tmp_path / f"by {block}"
        prepare(open_corpus(str(tmp_path / "text.txt")), TextSettings(), folder)
        assert encoded_files(folder) == encoded_files(tmp_path / "whole")


def passages_by_split(path: Path, folder: Path, reading_settings: ReadingSettings) -> list[list[str]]:
    """Return the decoded passages of train, valid and test. Tokens are characters, so none is UNKNOWN."""
    text_settings = TextSettings(tokenizer="characters", min_count=1)
    dataset = prepare(open_corpus(str(path), reading_settings), text_settings, folder)
    separator = dataset.codec.separator
    return [dataset.codec.decode(dataset.ids[split]).split(separator) for split in SPLITS]


def passage_names(count: int) -> list[str]:
    """Return sorted names for passages. They have only two characters, which every training set has."""
    return [f"{number:09b}" for number in range(count)]


@settings(max_examples=40, deadline=None)
@given(
    files=st.lists(st.integers(10, 150), min_size=1, max_size=3).filter(lambda counts: sum(counts) >= MIN_PASSAGES),
    kind=st.sampled_from(["line", "paragraph"]),
)
def test_each_passage_is_in_exactly_one_split(tmp_path_factory: pytest.TempPathFactory, files: list[int], kind: str):
    folder = tmp_path_factory.mktemp("passages")
    (folder / "texts").mkdir()
    names = passage_names(sum(files))
    ends = [sum(files[: number + 1]) for number in range(len(files))]
    for number, (count, end) in enumerate(zip(files, ends, strict=True)):
        text = ("\n" if kind == "line" else "\n\n").join(names[end - count : end])
        (folder / "texts" / f"{number}.txt").write_text(text, encoding="utf-8")
    reading_settings = ReadingSettings(passage=kind, line_breaks="joined")  # pyright: ignore[reportArgumentType]
    splits = passages_by_split(folder / "texts", folder / "encoded", reading_settings)
    assert sorted(name for passages in splits for name in passages) == names
    assert all(passages == sorted(passages) for passages in splits)


def test_each_document_is_in_exactly_one_split(tmp_path: Path):
    (tmp_path / "texts").mkdir()
    names = passage_names(50)
    for name in names:
        (tmp_path / "texts" / f"{name}.txt").write_text(f"{name}\n{name}", encoding="utf-8")
    reading_settings = ReadingSettings(passage="document", line_breaks="kept")
    splits = passages_by_split(tmp_path / "texts", tmp_path / "encoded", reading_settings)
    assert sorted(passage for passages in splits for passage in passages) == [f"{name}\n{name}" for name in names]


def test_published_splits_are_kept(tmp_path: Path):
    (tmp_path / "texts").mkdir()
    for split in SPLITS:
        (tmp_path / "texts" / f"{split}.txt").write_text(f"{split}\nvital\nset\n" * 30, encoding="utf-8")
    splits = passages_by_split(tmp_path / "texts", tmp_path / "encoded", ReadingSettings(passage="line"))
    assert splits[0] == ["train", "vital", "set"] * 30
    assert [len(passages) for passages in splits] == [90, 90, 90]
    assert len(passage_texts(open_corpus(str(tmp_path / "texts")))) == 270
