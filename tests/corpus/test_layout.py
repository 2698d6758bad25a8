"""However a text is laid out, its passages are found: prose in every layout, verse, plays, lists and tunes."""

import random
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.texts import passage_texts, write_text
from wordgen.corpus.finding import open_corpus
from wordgen.corpus.layout import Layout, guess_layout
from wordgen.corpus.passages import hyphens_of, passages_of
from wordgen.corpus.settings import ReadingSettings

WORDS = """
the a of and to in his her it was had with for as but not that on at by from they were all there when then house river
mountain evening morning window garden captain letter together nothing something well-known remembered understood
extraordinary half-past stranger sister brother garden-gate unfortunately
""".split()  # noqa: SIM905


def sentence(chance: random.Random) -> str:
    words = chance.choices(WORDS, k=chance.randint(3, 22))
    return " ".join(words).capitalize() + chance.choice([".", ".", ".", "?", "!"])


def paragraph(chance: random.Random, width: int) -> str:
    """A paragraph whose last line, wrapped at this width, has room for any word."""
    spoken = chance.random() < 0.4
    sentences = [sentence(chance) for _ in range(chance.randint(1, 2) if spoken else chance.randint(1, 9))]
    while True:
        text = f'"{" ".join(sentences)}" {chance.choice(["he said.", "she asked."])}' if spoken else " ".join(sentences)
        if all(len(wrapped(text, width, indent)[-1]) < width - 20 for indent in (0, 3)):
            return text
        sentences[-1] = f"So {sentences[-1][0].lower()}{sentences[-1][1:]}"


def wrapped(text: str, width: int, indent: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=" " * indent, break_long_words=False)


def passages(text: str) -> list[str]:
    layout = guess_layout(text)
    lines = list(enumerate(text.split("\n"), 1))
    hyphens = hyphens_of(lambda: lines)
    return [
        passage.text
        for passage in passages_of(lines, layout.passage, layout.line_breaks, wrap=layout.wrap, hyphens=hyphens)
    ]


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), width=st.integers(55, 80), number=st.integers(12, 60))
def test_the_same_prose_in_every_layout_has_the_same_passages(seed: int, width: int, number: int):
    chance = random.Random(seed)
    prose = [paragraph(chance, width) for _ in range(number)]
    plain = ["\n".join(wrapped(each, width, 0)) for each in prose]
    indented = ["\n".join(wrapped(each, width, 3)) for each in prose]
    layouts = {
        "a paragraph a line": "\n".join(prose),
        "a paragraph a line, blank lines between": "\n\n".join(prose),
        "wrapped, blank lines between": "\n\n".join(plain),
        "wrapped, first lines indented, blank lines between": "\n\n".join(indented),
        "wrapped": "\n".join(plain),
        "wrapped, first lines indented": "\n".join(indented),
        "wrapped, with a margin": textwrap.indent("\n".join(indented), "    "),
        "wrapped, blank lines between a few": "\n\n".join("\n".join(plain[at : at + 9]) for at in range(0, number, 9)),
    }
    assert {name: passages(text) for name, text in layouts.items()} == dict.fromkeys(layouts, prose)


CHANCE = random.Random(1)
PROSE = [paragraph(CHANCE, 60) for _ in range(60)]
TALK = [f'"{sentence(CHANCE)}"' for _ in range(3)]
JAPANESE = f"\u3000{'雨が降る。' * 30}\n「行こうか。」\n「ああ。」\n「よし。」\n"
IN_LINES = Layout("line", "joined")
KEPT = Layout("document", "kept")


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("\n".join(each if place % 7 else f"\n{each}" for place, each in enumerate(PROSE + TALK * 30)), IN_LINES),
        ("\n\n".join(PROSE + TALK * 30 + ["CHAPTER II\nTHE GATE"]), Layout("paragraph", "joined")),
        (
            "\n".join(f"\u3000{'雨が降る。' * 30}\n「行こうか。」\n「ああ。」\n「よし。」\n" for _ in range(20)),
            IN_LINES,
        ),
        ("\n\n".join(f"HAMLET: {each}\nGHOST: Speak.\nHAMLET: {each[:30]}." for each in PROSE), KEPT),
        ("\n\n".join("\n".join(f"X:{n}|:A2 Bc|d2 e{'fg' * (n % 9)}:|" for n in range(5)) for _ in range(9)), KEPT),
        ("\n".join(f"{word} {n}, a thing of {word}" for n, word in enumerate(WORDS)), IN_LINES),
        ("\n".join("ACGT" * 15 for _ in range(90)), IN_LINES),
        ("\n".join(f"{n:05} {n * n:09} a row of one table in all its width {n % 7}" for n in range(90)), IN_LINES),
        ("\n\n".join("so the rain\nfalls on the roof of the house\nwhere nobody sleeps. now" for _ in range(9)), KEPT),
    ],
    ids=["lines and sections", "headings", "Japanese talk", "play", "tunes", "list", "genes", "table", "verse"],
)
def test_texts_of_other_kinds_are_known(text: str, layout: Layout):
    assert guess_layout(text) == layout


def test_a_sentence_that_goes_on_over_an_indented_line_stays_one():
    letter = "He wrote:\n    My dear, the road was long and the river was\n    wide, so I came late.\n"
    text = "\n".join([*("\n".join(wrapped(each, 60, 0)) for each in PROSE), letter])
    assert passages(text)[-1] == "My dear, the road was long and the river was wide, so I came late."


def test_a_width_that_changes_is_followed():
    text = "\n".join("\n".join(wrapped(each, 60 if place < 30 else 45, 0)) for place, each in enumerate(PROSE))
    found = passages(text)
    assert found[:30] == PROSE[:30]
    assert len(set(found) & set(PROSE)) > 45  # a last line may be full at the other width


@pytest.mark.parametrize(
    ("line", "following", "joined"),
    [
        ("They went to get some-", "body from the village.", "They went to get somebody from the village."),
        ("They went up to-", "day at last.", "They went up to-day at last."),
        ("It was a well-", "known road.", "It was a well-known road."),
        ("Nobody knows a zig-", "zag like it.", "Nobody knows a zig-zag like it."),
        ("She had it --", "and lost it.", "She had it -- and lost it."),
    ],
)
def test_a_hyphen_goes_where_the_word_stands_elsewhere_without_it(line: str, following: str, joined: str):
    elsewhere = [
        "Somebody came.",
        "To-day or today, to-day is to-day.",
        "A well-known man is known well.",
    ]
    lines = list(enumerate([line, following, "", *elsewhere], 1))
    passages = list(passages_of(lines, "paragraph", "joined", hyphens=hyphens_of(lambda: lines)))
    assert passages[0].text == joined
    assert sum(passages[0].widths) == len(joined.replace(" ", ""))


def test_each_file_of_a_folder_has_a_layout_of_its_own(tmp_path: Path):
    plain = ["\n".join(wrapped(each, 60, 0)) for each in PROSE]
    write_text(tmp_path / "books" / "a.txt", "\n".join(PROSE))
    write_text(tmp_path / "books" / "b.txt", "\n\n".join(plain))
    write_text(tmp_path / "books" / "c.txt", "\n".join(plain))
    write_text(tmp_path / "books" / "d.txt", "")
    write_text(tmp_path / "books" / "e.txt", "Rain\nfalls on\nthe roof\n\nnow\nand then\n\nor\nnever")
    corpus = open_corpus(str(tmp_path / "books"))
    verse = ["Rain\nfalls on\nthe roof", "now\nand then", "or\nnever"]
    assert passage_texts(corpus) == [*PROSE, *PROSE, *PROSE, *verse]
    assert (corpus.passage, corpus.line_breaks) == ("paragraph", "joined")
    reading = corpus.reading()
    assert list(reading.passages())
    assert reading.notes[0] == (
        "read with one passage per line (1 file), one passage per paragraph (1 file), "
        "one passage per paragraph, wrapped without blank lines (1 file), "
        "one passage per paragraph with line breaks (1 file)"
    )
    said = open_corpus(str(tmp_path / "books"), ReadingSettings(passage="line", line_breaks="joined"))
    assert passage_texts(said)[60:62] == plain[0].split("\n")[:2] or len(plain[0].split("\n")) == 1


def test_the_layout_of_a_large_file_is_found_in_its_beginning(tmp_path: Path):
    path = tmp_path / "large.txt"
    with path.open("w") as file:
        file.write("\n".join(PROSE * 20) + "\n")
        file.truncate(1 << 40)  # a hole of a terabyte, which nobody reads to its end
    assert open_corpus(str(path), ReadingSettings(encoding="utf-8")).passage == "line"


def test_a_table_of_contents_is_not_taken_for_the_width():
    contents = [f"      {place}. THE {word.upper()}" for place, word in enumerate(WORDS * 2, 1)]
    text = "\n".join([*contents, *("\n".join(wrapped(each, 60, 0)) for each in PROSE)])
    assert passages(text)[-len(PROSE) :] == PROSE


def test_a_word_is_joined_wherever_it_was_broken():
    broken = "The uni-\nversity was old.\nOf the univer-\nsity they spoke.\n"
    lines = list(enumerate(f"{broken}A university, university and university.".split("\n"), 1))
    hyphens = hyphens_of(lambda: lines)
    joined = " ".join(each.text for each in passages_of(lines, "paragraph", "joined", hyphens=hyphens))
    assert joined.count("university") == 5
