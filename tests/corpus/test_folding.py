"""Wide and narrow forms become the usual ones where that is asked for, and nothing else changes."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.texts import passage_texts, write_text
from wordgen.corpus.catalogue import LineBreaks, PassageKind
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.passages import Changes, Passage, folded, folded_passage, passages_of, visible_width
from wordgen.corpus.settings import ReadingSettings

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
def test_what_is_folded_and_what_is_not(text: str, expected: str):
    assert folded(text) == expected


def usual(character: str) -> str:
    """What a wide or narrow form stands for, as Unicode's own table says, if that is ASCII or Japanese."""
    kind, *code = unicodedata.decomposition(character).split() or [""]
    stands_for = chr(int(code[0], 16)) if kind in ("<wide>", "<narrow>") else ""
    wanted = "!" <= stands_for <= "~" or "\u3001" <= stands_for <= "\u30ff"
    return stands_for if wanted else character


@given(FORMS | st.text())
def test_any_text_is_folded_as_unicode_says(text: str):
    text = unicodedata.normalize("NFC", text)  # as every text is that was read
    once = folded(text)
    assert once == unicodedata.normalize("NFC", "".join(map(usual, text)))
    assert folded(once) == once
    for each, forms in (text, sum(usual(character) != character for character in text)), (once, 0):
        changes = Changes()
        folded_passage(Passage(each, 1, (visible_width(each),)), changes)
        assert changes.forms == forms


@pytest.mark.parametrize("passage", ["line", "paragraph", "section", "document"])
@pytest.mark.parametrize("line_breaks", ["joined", "kept"])
@given(lines=st.lists(FORMS.map(lambda text: text.replace("\n", "")), max_size=8))
def test_a_folded_passage_knows_its_lines(passage: PassageKind, line_breaks: LineBreaks, lines: list[str]):
    for each in passages_of(enumerate(lines, 1), passage, line_breaks):
        after = folded_passage(each, Changes())
        theirs = lines[each.line - 1 : each.line - 1 + len(each.widths)]
        # A mark that the join put behind its letter stays by itself: it belongs to the next line.
        assert after.text.split() == "".join(map(folded, pieces_of(each.text, each.widths))).split()
        assert after.line == each.line
        assert sum(after.widths) == visible_width(after.text)
        assert after.widths == tuple(visible_width(folded(line)) for line in theirs) or not each.text


def pieces_of(text: str, widths: tuple[int, ...]) -> list[str]:
    """A text, cut where so many visible characters have gone by."""
    pieces, counts, number = [""], list(widths), 0
    for character in text:
        while number < len(counts) - 1 and not counts[number] and not character.isspace():
            pieces.append("")
            number += 1
        counts[number] -= not character.isspace()
        pieces[-1] += character
    return pieces


def test_a_corpus_is_folded_when_that_is_asked_for_and_says_so(tmp_path: Path):
    path = write_text(tmp_path / "text.txt", "ＴＶを見る！\n\nﾃﾚﾋﾞ\n\n夜\n")
    plain, fold = open_corpus(path), open_corpus(path, FOLD)
    assert passage_texts(plain) == ["ＴＶを見る！", "ﾃﾚﾋﾞ", "夜"]
    assert passage_texts(fold) == ["TVを見る!", "テレビ", "夜"]
    assert plain.digest() != fold.digest()
    reading = fold.reading()
    assert list(reading.passages())
    assert reading.notes == ("replaced 7 wide and narrow characters by the usual forms",)


def test_lines_are_joined_as_their_letters_ask_before_they_are_folded(tmp_path: Path):
    """No space comes between them because a wide sign became an ASCII one."""
    how = ReadingSettings(fold_width=True, passage="paragraph", line_breaks="joined")
    path = write_text(tmp_path / "text.txt", "すごい！\n次は１\n２月\n\n夜\n\n朝\n")
    assert passage_texts(open_corpus(path, how))[0] == "すごい!次は12月"


def test_editors_marks_are_found_before_they_are_folded(tmp_path: Path):
    lines = ["題", "名前", "", "-" * 55, "【テキスト中に現れる記号について】", "", "《》：ルビ", "-" * 55, ""]
    text = "\n".join([*lines, "｜夜《よる》のＴＶ［＃「ＴＶ」に傍点］が鳴る", "", "底本：「本」", "　　出版社"])
    path = write_text(tmp_path / "text.txt", text, "cp932")
    assert "夜のTVが鳴る" in passage_texts(open_corpus(path, FOLD))


@pytest.mark.parametrize("before", ["", "x"])
def test_a_line_in_pieces_is_never_cut_between_a_letter_and_its_mark(tmp_path: Path, before: str):
    path = write_text(tmp_path / "text.txt", before + "ｶﾞ" * 160_000 + "\nb\nc\n")
    corpus = open_corpus(path, ReadingSettings(fold_width=True, passage="line"))
    assert set("".join(passage_texts(corpus))) - {"x"} == {"ガ", "b", "c"}
