"""Headers, footers and marks that Project Gutenberg and Aozora Bunko add are removed; the text between is unchanged."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.corpus.reading import Boilerplate, Line, without_boilerplate

BODY = ["CHAPTER ONE", "", "A road went on.", "It ended, and that was that.", ""]
FORMS = {
    "new": """The Project Gutenberg eBook of A Road

Title: A Road

*** START OF THE PROJECT GUTENBERG EBOOK A ROAD ***
BODY
*** END OF THE PROJECT GUTENBERG EBOOK A ROAD ***

Updated editions ...""",
    "of 2004": """Project Gutenberg's A Road, by Nobody
***START OF THIS PROJECT GUTENBERG EBOOK A ROAD***


Produced by
three people

BODY
End of the Project Gutenberg EBook of A Road

*** END OF THIS PROJECT GUTENBERG EBOOK A ROAD ***
licence""",
    "small print": """The Project Gutenberg Etext of A Road
words of law
*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*
BODY
End of Project Gutenberg's Etext of A Road""",
    "French": """The Project Gutenberg EBook of Une Route
*** START OF THE PROJECT GUTENBERG EBOOK UNE ROUTE ***
Produit par quelqu'un

BODY
Fin du Project Gutenberg EBook of Une Route""",
    "German": """Project Gutenberg's Eine Straße
*** START OF THE PROJECT GUTENBERG EBOOK EINE STRASSE ***
BODY
Ende dieses Project Gutenberg Etextes
more""",
}
RULE = "-" * 55
AOZORA = [
    "道",
    "誰か",
    "",
    "-" * 55,
    "【テキスト中に現れる記号について】",
    "",
    "《》：ルビ",
    "（例）道《みち》",
    "-" * 55,
]
EDITION = ["底本：「道」どこか文庫", "　　　2001（平成13）年", "入力：誰か"]


def cut(lines: list[str]) -> tuple[list[str], Boilerplate]:
    boilerplate = Boilerplate()
    return [line for _, line in without_boilerplate(enumerate(lines, 1), boilerplate)], boilerplate


@pytest.mark.parametrize("form", list(FORMS))
def test_header_and_footer_become_blank_lines(form: str):
    header, footer = (part.split("\n") for part in FORMS[form].split("BODY\n"))
    header.pop()  # the empty string after the last line break
    kept, boilerplate = cut([*header, *BODY, *footer])
    assert kept == [""] * len(header) + BODY + [""] * len(footer)
    assert boilerplate.library == "Project Gutenberg"
    assert 0 < boilerplate.lines <= len(header) + len(footer)


def test_footer_without_header_is_removed():
    kept, _ = cut(["Read by Project Gutenberg", *BODY, "End of Project Gutenberg's A Road", "licence"])
    assert kept == ["Read by Project Gutenberg", *BODY, "", ""]


@pytest.mark.parametrize(
    "lines",
    [
        ["A history", "Project Gutenberg was founded by Michael Hart.", "The end."],
        ["I love Project Gutenberg.", "", "The end of Project Gutenberg would be a loss.", "", "So it goes on."],
    ],
)
def test_text_about_project_gutenberg_is_unchanged(lines: list[str]):
    assert cut(lines)[0] == lines


def test_aozora_bunko_marks_are_removed():
    body = [
        "［＃２字下げ］一［＃「一」は中見出し］",
        "　私《わたくし》は先生一人｜麦藁帽《むぎわらぼう》を見た。",
        "※［＃「てへん＋劣」、第3水準1-84-77］と※［＃「口＋愛」、U+566F、123-4］",
    ]
    kept, boilerplate = cut([*AOZORA, *body, "", *EDITION])
    assert kept == [
        *[""] * len(AOZORA), "一", "　私は先生一人麦藁帽を見た。", "挘と噯", "", *[""] * len(EDITION)
    ]  # fmt: skip
    assert boilerplate == Boilerplate("Aozora Bunko", lines=len(AOZORA) + len(EDITION), marks=7)


def test_other_japanese_text_keeps_brackets():
    lines = ["《夜》という歌", "底本：なし"]
    assert cut(lines) == (lines, Boilerplate())


@given(st.lists(st.text(st.sampled_from("ab 。*《》-"), max_size=12), max_size=40))
def test_any_other_text_is_unchanged(lines: list[str]):
    assert cut(lines)[0] == lines


START_LINE = "*** START OF THE PROJECT GUTENBERG EBOOK {} ***"
END_LINE = "*** END OF THE PROJECT GUTENBERG EBOOK {} ***"


@pytest.mark.parametrize("paragraphs", [3, 2000])
def test_bodies_of_several_books_in_a_file_are_kept(paragraphs: int):
    books = {name: [f"{name} {n}." for n in range(paragraphs)] for name in ("Alpha", "Beta", "Gamma")}
    lines: list[str] = []
    for name, body in books.items():
        lines += ["The Project Gutenberg eBook", START_LINE.format(name), *body, END_LINE.format(name), "licence"]
    kept, boilerplate = cut(lines)
    assert [line for line in kept if line] == [line for body in books.values() for line in body]
    assert boilerplate.lines == 4 * len(books)


def test_line_that_begins_like_a_footer_is_kept():
    lines = [*AOZORA, "雨だ。", "底本では違う話だった。", "朝だ。", *EDITION]
    assert [line for line in cut(lines)[0] if line] == ["雨だ。", "底本では違う話だった。", "朝だ。"]


def test_aozora_bunko_without_legend_is_recognized():
    body = ["私《わたくし》は行く。", "［＃ここから２字下げ］", "夜《よる》だ。", "※［＃「姉」の正字］と朝《あさ》。"]
    kept, boilerplate = cut(["題名", "誰か", *body, "", *EDITION])
    assert kept == ["題名", "誰か", "私は行く。", "", "夜だ。", "〓と朝。", "", *[""] * len(EDITION)]
    assert (boilerplate.library, boilerplate.missing_characters) == ("Aozora Bunko", 1)


@pytest.mark.parametrize(
    ("mark", "letter"),
    [
        ("※［＃「てへん＋國」、第3水準1-84-89］", "摑"),
        ("※［＃「姉」の正字、第4水準2-1-1］", "𠂉"),
        ("※［＃別の字、U+D800、12-3］", "〓"),
        ("※［＃別の字、U+110000］", "〓"),
        ("※［＃別の字、1-99-1］", "〓"),
    ],
)
def test_described_characters_become_letters(mark: str, letter: str):
    assert cut([*AOZORA, f"私は{mark}。"])[0][-1] == f"私は{letter}。"


@pytest.mark.parametrize(
    "line",
    [
        " " * 100_000 + "x",
        "*" * 100_000 + "x",
        "［＃" * 50_000,
        "《" * 100_000,
        "※［＃" * 30_000,
        "Fin de" + " Project" * 12_000,
    ],
)
def test_long_lines_are_read_quickly(line: str):
    for header in (["Project Gutenberg", START_LINE.format("A")], AOZORA):
        began = time.process_time()
        cut([*header, line, line])
        assert time.process_time() - began < 5


def test_only_beginning_of_one_line_text_is_searched_for_header():
    """The line comes in pieces; to search a thousand of them would mean to read all of it first."""
    piece_count = 0

    def pieces() -> Iterator[Line]:
        nonlocal piece_count
        while True:
            piece_count += 1
            yield 1, "x" * 100_000

    assert next(without_boilerplate(pieces(), Boilerplate())) == (1, "x" * 100_000)
    assert piece_count < 20
