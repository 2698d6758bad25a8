"""What libraries add is cut, in each form that it has had, and the text between stays as it is."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.corpus.reading import Cuts, Line, without_boilerplate

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


def cut(lines: list[str]) -> tuple[list[str], Cuts]:
    cuts = Cuts()
    return [line for _, line in without_boilerplate(enumerate(lines, 1), cuts)], cuts


@pytest.mark.parametrize("form", list(FORMS))
def test_the_body_alone_is_left_at_its_place(form: str):
    header, footer = (part.split("\n") for part in FORMS[form].split("BODY\n"))
    header.pop()  # what stands behind the last line break
    left, cuts = cut([*header, *BODY, *footer])
    assert left == [""] * len(header) + BODY + [""] * len(footer)
    assert cuts.library == "Project Gutenberg"
    assert 0 < cuts.lines <= len(header) + len(footer)


def test_a_footer_alone_is_cut_too():
    left, _ = cut(["Read by Project Gutenberg", *BODY, "End of Project Gutenberg's A Road", "licence"])
    assert left == ["Read by Project Gutenberg", *BODY, "", ""]


def test_a_book_about_the_library_stays_as_it_is():
    lines = ["A history", "Project Gutenberg was founded by Michael Hart.", "The end."]
    assert cut(lines)[0] == lines


def test_aozora_bunko():
    body = [
        "［＃２字下げ］一［＃「一」は中見出し］",
        "　私《わたくし》は先生一人｜麦藁帽《むぎわらぼう》を見た。",
        "※［＃「てへん＋劣」、第3水準1-84-77］と※［＃「口＋愛」、U+566F、123-4］",
    ]
    left, cuts = cut([*AOZORA, *body, "", *EDITION])
    assert left == [
        *[""] * len(AOZORA), "一", "　私は先生一人麦藁帽を見た。", "挘と噯", "", *[""] * len(EDITION)
    ]  # fmt: skip
    assert (cuts.library, cuts.lines, cuts.marks) == ("Aozora Bunko", len(AOZORA) + len(EDITION), 7)


def test_japanese_that_is_not_aozoras_keeps_its_brackets():
    lines = ["《夜》という歌", "底本：なし"]
    assert cut(lines) == (lines, Cuts())


@given(st.lists(st.text(st.sampled_from("ab 。*《》-"), max_size=12), max_size=40))
def test_any_other_text_is_left_alone(lines: list[str]):
    assert cut(lines)[0] == lines


START_LINE = "*** START OF THE PROJECT GUTENBERG EBOOK {} ***"
END_LINE = "*** END OF THE PROJECT GUTENBERG EBOOK {} ***"


@pytest.mark.parametrize("paragraphs", [3, 2000])
def test_each_of_several_books_in_a_file_is_left(paragraphs: int):
    books = {name: [f"{name} {n}." for n in range(paragraphs)] for name in ("Alpha", "Beta", "Gamma")}
    lines: list[str] = []
    for name, body in books.items():
        lines += ["The Project Gutenberg eBook", START_LINE.format(name), *body, END_LINE.format(name), "licence"]
    left, cuts = cut(lines)
    assert [line for line in left if line] == [line for body in books.values() for line in body]
    assert cuts.lines == 4 * len(books)


def test_an_essay_on_the_library_is_left_whole():
    lines = ["I love Project Gutenberg.", "", "The end of Project Gutenberg would be a loss.", "", "So it goes on."]
    assert cut(lines)[0] == lines


def test_a_story_whose_line_begins_with_the_original_goes_on():
    lines = [*AOZORA, "雨だ。", "底本では違う話だった。", "朝だ。", *EDITION]
    assert [line for line in cut(lines)[0] if line] == ["雨だ。", "底本では違う話だった。", "朝だ。"]


def test_aozora_bunko_without_its_legend():
    body = ["私《わたくし》は行く。", "［＃ここから２字下げ］", "夜《よる》だ。", "※［＃「姉」の正字］と朝《あさ》。"]
    left, cuts = cut(["題名", "誰か", *body, "", *EDITION])
    assert left == ["題名", "誰か", "私は行く。", "", "夜だ。", "〓と朝。", "", *[""] * len(EDITION)]
    assert (cuts.library, cuts.lost) == ("Aozora Bunko", 1)


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
def test_signs_that_are_described_by_their_place_are_letters(mark: str, letter: str):
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
def test_long_lines_take_no_time(line: str):
    for header in (["Project Gutenberg", START_LINE.format("A")], AOZORA):
        began = time.process_time()
        cut([*header, line, line])
        assert time.process_time() - began < 5


def test_of_a_text_in_one_line_no_more_is_looked_at_than_a_header_may_have():
    """It comes in pieces, and a thousand of them would be all of it."""
    taken = 0

    def pieces() -> Iterator[Line]:
        nonlocal taken
        while True:
            taken += 1
            yield 1, "x" * 100_000

    assert next(without_boilerplate(pieces(), Cuts())) == (1, "x" * 100_000)
    assert taken < 20
