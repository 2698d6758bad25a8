"""With fold_width, wide and narrow characters become the usual ones; nothing else changes."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.texts import passage_texts, write_text
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.passages import Changes, Passage, folded, folded_passage, passages_of, visible_width
from wordgen.corpus.settings import LineBreaks, PassageKind, ReadingSettings

FORMS = st.text(st.sampled_from("ＡＺａｚ０９！～（ｶﾊｳﾞﾟｰ｡｢ｱあかア漢 \u3000\n\u3099㈱²ﾠ￦x"), max_size=30)
FOLD = ReadingSettings(fold_width=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ＮＨＫの２０時、すごい！（笑）", "NHKの20時、すごい!(笑)"),
        ("ﾃﾚﾋﾞ｡ﾊﾟﾝ ｳﾞ ｶﾀｶﾅ", "テレビ。パン ヴ カタカナ"),
        ("かﾞ", "が"),
        ("㈱ ² ㌔ ﬁ ￦ ½ Ⅳ …", "㈱ ² ㌔ ﬁ ￦ ½ Ⅳ …"),
        ("\u3000雨が降る", "\u3000雨が降る"),
        ("plain English", "plain English"),
        ("", ""),
    ],
)
def test_folded_characters(text: str, expected: str):
    assert folded(text) == expected


def usual(character: str) -> str:
    """Return the usual form of a wide or narrow character by Unicode's table, if that form is ASCII or Japanese."""
    kind, *code = unicodedata.decomposition(character).split() or [""]
    stands_for = chr(int(code[0], 16)) if kind in ("<wide>", "<narrow>") else ""
    is_ascii_or_japanese = "!" <= stands_for <= "~" or "\u3001" <= stands_for <= "\u30ff"
    return stands_for if is_ascii_or_japanese else character


@given(FORMS | st.text())
def test_folding_follows_unicode_table(text: str):
    text = unicodedata.normalize("NFC", text)  # as the text of every corpus is
    once = folded(text)
    assert once == unicodedata.normalize("NFC", "".join(map(usual, text)))
    assert folded(once) == once
    for content, forms in (text, sum(usual(character) != character for character in text)), (once, 0):
        changes = Changes()
        folded_passage(Passage(content, 1, (visible_width(content),)), changes)
        assert changes.forms == forms


@pytest.mark.parametrize("passage", ["line", "paragraph", "section", "document"])
@pytest.mark.parametrize("line_breaks", ["joined", "kept"])
@given(lines=st.lists(FORMS.map(lambda text: text.replace("\n", "")), max_size=8))
def test_folded_passages_have_their_line_numbers(passage: PassageKind, line_breaks: LineBreaks, lines: list[str]):
    for before in passages_of(enumerate(lines, 1), passage, line_breaks):
        after = folded_passage(before, Changes())
        source_lines = lines[before.line - 1 : before.line - 1 + len(before.widths)]
        # A mark that follows its letter only because two lines were joined is not combined with it.
        assert after.text.split() == "".join(map(folded, pieces_of(before.text, before.widths))).split()
        assert after.line == before.line
        assert sum(after.widths) == visible_width(after.text)
        assert after.widths == tuple(visible_width(folded(line)) for line in source_lines) or not before.text


def pieces_of(text: str, widths: tuple[int, ...]) -> list[str]:
    """Cut a text into pieces with these numbers of visible characters."""
    pieces, counts, number = [""], list(widths), 0
    for character in text:
        while number < len(counts) - 1 and not counts[number] and not character.isspace():
            pieces.append("")
            number += 1
        counts[number] -= not character.isspace()
        pieces[-1] += character
    return pieces


def test_corpus_is_folded_and_notes_say_so(tmp_path: Path):
    path = write_text(tmp_path / "text.txt", "ＴＶを見る！\n\nﾃﾚﾋﾞ\n\n夜\n")
    unfolded_corpus, folded_corpus = open_corpus(path), open_corpus(path, FOLD)
    assert passage_texts(unfolded_corpus) == ["ＴＶを見る！", "ﾃﾚﾋﾞ", "夜"]
    assert passage_texts(folded_corpus) == ["TVを見る!", "テレビ", "夜"]
    assert unfolded_corpus.digest() != folded_corpus.digest()
    reading = folded_corpus.reading()
    assert list(reading.passages())
    assert reading.notes == ("replaced 7 wide and narrow characters by the usual forms",)


def test_lines_are_joined_before_folding(tmp_path: Path):
    """Else they were joined with a space, because a wide character became an ASCII one."""
    how = ReadingSettings(fold_width=True, passage="paragraph", line_breaks="joined")
    path = write_text(tmp_path / "text.txt", "すごい！\n次は１\n２月\n\n夜\n\n朝\n")
    assert passage_texts(open_corpus(path, how))[0] == "すごい!次は12月"


def test_aozora_marks_are_removed_before_folding(tmp_path: Path):
    lines = ["題", "名前", "", "-" * 55, "【テキスト中に現れる記号について】", "", "《》：ルビ", "-" * 55, ""]
    text = "\n".join([*lines, "｜夜《よる》のＴＶ［＃「ＴＶ」に傍点］が鳴る", "", "底本：「本」", "　　出版社"])
    path = write_text(tmp_path / "text.txt", text, "cp932")
    assert "夜のTVが鳴る" in passage_texts(open_corpus(path, FOLD))


@pytest.mark.parametrize("before", ["", "x"])
def test_long_line_is_not_cut_between_letter_and_mark(tmp_path: Path, before: str):
    path = write_text(tmp_path / "text.txt", before + "ｶﾞ" * 160_000 + "\nb\nc\n")
    corpus = open_corpus(path, ReadingSettings(fold_width=True, passage="line"))
    assert set("".join(passage_texts(corpus))) - {"x"} == {"ガ", "b", "c"}
