"""What libraries add is cut, in each form that it has had, and the text between stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.corpora.boilerplate import Cuts, without_boilerplate

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
        *[""] * len(AOZORA), "一", "　私は先生一人麦藁帽を見た。", "〓と噯", "", *[""] * len(EDITION)
    ]  # fmt: skip
    assert (cuts.library, cuts.lines, cuts.marks) == ("Aozora Bunko", len(AOZORA) + len(EDITION), 7)


def test_japanese_that_is_not_aozoras_keeps_its_brackets():
    lines = ["《夜》という歌", "底本：なし"]
    assert cut(lines) == (lines, Cuts())


@given(st.lists(st.text(st.sampled_from("ab 。*《》-"), max_size=12), max_size=40))
def test_any_other_text_is_left_alone(lines: list[str]):
    assert cut(lines)[0] == lines
