"""Passages are found in any layout: wrapped and indented prose, verse, plays, lists and tunes."""

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


def sentence(rng: random.Random) -> str:
    words = rng.choices(WORDS, k=rng.randint(3, 22))
    return " ".join(words).capitalize() + rng.choice([".", ".", ".", "?", "!"])


def paragraph(rng: random.Random, width: int) -> str:
    """Return a paragraph whose last line, wrapped at this width, has space for any word."""
    speech = rng.random() < 0.4
    sentences = [sentence(rng) for _ in range(rng.randint(1, 2) if speech else rng.randint(1, 9))]
    while True:
        text = f'"{" ".join(sentences)}" {rng.choice(["he said.", "she asked."])}' if speech else " ".join(sentences)
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
def test_prose_has_equal_passages_in_every_layout(seed: int, width: int, number: int):
    rng = random.Random(seed)
    prose = [paragraph(rng, width) for _ in range(number)]
    plain = ["\n".join(wrapped(text, width, 0)) for text in prose]
    indented = ["\n".join(wrapped(text, width, 3)) for text in prose]
    layouts = {
        "one paragraph per line": "\n".join(prose),
        "one paragraph per line, blank lines between": "\n\n".join(prose),
        "wrapped, blank lines between": "\n\n".join(plain),
        "wrapped, first lines indented, blank lines between": "\n\n".join(indented),
        "wrapped": "\n".join(plain),
        "wrapped, first lines indented": "\n".join(indented),
        "wrapped, with a margin": textwrap.indent("\n".join(indented), "    "),
        "wrapped, blank lines between a few": "\n\n".join("\n".join(plain[n : n + 9]) for n in range(0, number, 9)),
    }
    assert {name: passages(text) for name, text in layouts.items()} == dict.fromkeys(layouts, prose)


RNG = random.Random(1)
PROSE = [paragraph(RNG, 60) for _ in range(60)]
SPEECH = [f'"{sentence(RNG)}"' for _ in range(3)]
JAPANESE = f"\u3000{'雨が降る。' * 30}\n「行こうか。」\n「ああ。」\n「よし。」\n"
BY_LINE = Layout("line", "joined")
KEPT = Layout("document", "kept")


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("\n".join(text if n % 7 else f"\n{text}" for n, text in enumerate(PROSE + SPEECH * 30)), BY_LINE),
        ("\n\n".join(PROSE + SPEECH * 30 + ["CHAPTER II\nTHE GATE"]), Layout("paragraph", "joined")),
        (
            "\n".join(f"\u3000{'雨が降る。' * 30}\n「行こうか。」\n「ああ。」\n「よし。」\n" for _ in range(20)),
            BY_LINE,
        ),
        ("\n\n".join(f"HAMLET: {text}\nGHOST: Speak.\nHAMLET: {text[:30]}." for text in PROSE), KEPT),
        ("\n\n".join("\n".join(f"X:{n}|:A2 Bc|d2 e{'fg' * (n % 9)}:|" for n in range(5)) for _ in range(9)), KEPT),
        ("\n".join(f"{word} {n}, a thing of {word}" for n, word in enumerate(WORDS)), BY_LINE),
        ("\n".join("ACGT" * 15 for _ in range(90)), BY_LINE),
        ("\n".join(f"{n:05} {n * n:09} a row of one table in all its width {n % 7}" for n in range(90)), BY_LINE),
        ("\n\n".join("so the rain\nfalls on the roof of the house\nwhere nobody sleeps. now" for _ in range(9)), KEPT),
    ],
    ids=["lines and sections", "headings", "Japanese talk", "play", "tunes", "list", "genes", "table", "verse"],
)
def test_layout_of_other_kinds_of_text_is_detected(text: str, layout: Layout):
    assert guess_layout(text) == layout


def test_sentence_continues_over_indented_line():
    letter = "He wrote:\n    My dear, the road was long and the river was\n    wide, so I came late.\n"
    text = "\n".join([*("\n".join(wrapped(text, 60, 0)) for text in PROSE), letter])
    assert passages(text)[-1] == "My dear, the road was long and the river was wide, so I came late."


def test_changing_wrap_width_is_followed():
    text = "\n".join("\n".join(wrapped(prose, 60 if n < 30 else 45, 0)) for n, prose in enumerate(PROSE))
    result = passages(text)
    assert result[:30] == PROSE[:30]
    assert len(set(result) & set(PROSE)) > 45  # a last line may be full at the other width


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
def test_hyphen_is_removed_if_word_occurs_without_it(line: str, following: str, joined: str):
    other_lines = [
        "Somebody came.",
        "To-day or today, to-day is to-day.",
        "A well-known man is known well.",
    ]
    lines = list(enumerate([line, following, "", *other_lines], 1))
    passages = list(passages_of(lines, "paragraph", "joined", hyphens=hyphens_of(lambda: lines)))
    assert passages[0].text == joined
    assert sum(passages[0].widths) == len(joined.replace(" ", ""))


def test_files_of_folder_may_have_different_layouts(tmp_path: Path):
    plain = ["\n".join(wrapped(text, 60, 0)) for text in PROSE]
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
    by_line = open_corpus(str(tmp_path / "books"), ReadingSettings(passage="line", line_breaks="joined"))
    assert passage_texts(by_line)[60:62] == plain[0].split("\n")[:2] or len(plain[0].split("\n")) == 1


def test_layout_of_large_file_is_detected_from_beginning(tmp_path: Path):
    path = tmp_path / "large.txt"
    with path.open("w") as file:
        file.write("\n".join(PROSE * 20) + "\n")
        file.truncate(1 << 40)  # a sparse file of a terabyte, too large to be read completely
    assert open_corpus(str(path), ReadingSettings(encoding="utf-8")).passage == "line"


def test_wrap_width_is_not_that_of_table_of_contents():
    contents = [f"      {number}. THE {word.upper()}" for number, word in enumerate(WORDS * 2, 1)]
    text = "\n".join([*contents, *("\n".join(wrapped(text, 60, 0)) for text in PROSE)])
    assert passages(text)[-len(PROSE) :] == PROSE


def test_hyphenated_word_is_joined_at_any_break():
    broken = "The uni-\nversity was old.\nOf the univer-\nsity they spoke.\n"
    lines = list(enumerate(f"{broken}A university, university and university.".split("\n"), 1))
    hyphens = hyphens_of(lambda: lines)
    joined = " ".join(passage.text for passage in passages_of(lines, "paragraph", "joined", hyphens=hyphens))
    assert joined.count("university") == 5
