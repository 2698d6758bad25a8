"""Text never becomes markup."""

from hypothesis import given
from hypothesis import strategies as st

from tests.page_reader import read_page
from wordgen.page.markup import Markup, element, escaped, joined

TEXTS = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("<>&\"'/=-! \n\r\x00;#x")))


@given(TEXTS, TEXTS)
def test_what_goes_in_as_text_comes_out_as_text(inside: str, attribute: str):
    read = read_page(element("p", inside, title=attribute))
    assert [tag for tag, _ in read.tags] == ["p"]
    assert list(read.tags[0][1]) == ["title"]
    told = "".join(text for _, text in read.texts)
    assert [c for c in told if c != "\ufffd"] == [c for c in escaped_by_hand(inside) if c != "\ufffd"]


def escaped_by_hand(text: str) -> str:
    """The text without what no page can hold."""
    kept = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        c if c in "\n\t" or not (ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000) else "\ufffd"
        for c in kept.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
    )


@given(TEXTS)
def test_every_text_can_be_written_as_utf_8(text: str):
    assert escaped(text).encode("utf-8").decode("utf-8") == escaped(text)


def test_markup_is_left_as_it_is_and_nested_as_one_likes():
    inner = element("b", "1 < 2")
    assert joined("a<", [inner, [("&", inner)]]) == "a&lt;<b>1 &lt; 2</b>&amp;<b>1 &lt; 2</b>"
    assert isinstance(joined("a"), Markup)


def test_attributes_are_called_as_html_has_them_and_none_is_left_out():
    assert element("td", class_="x", aria_label="y", id=None) == '<td class="x" aria-label="y"></td>'
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'
