"""Tunes for tests, and strategies for texts that look like tunes."""

from hypothesis import strategies as st

from wordgen.music.abc_parsing import parse_tune
from wordgen.music.abc_text import Token, lex_line, lex_music, parse_note, written_note
from wordgen.music.tune import Fault, faults_of

TUNE = """\
T:Test
M:6/8
L:1/8
K:G
|:D|"G"GAB "D7"d2c|"C"e3 "G"d2B|"Am"cBA "D"^cde|"G"G3 G2:|
|:B|"G"gfg B2d|"C"e2d c2B|"D7"ABA F2A|"G"G3 G2:|"""
"""A valid tune: two parts of four bars, each with a pick-up."""

_ABC_SIGNS = st.sampled_from(
    ["^", "_", "=", "|", ":", "[", "]", "(", ")", "(3", "{", "}", '"', "!", "+", "+ceg+", "~", ".", "-", ">", "<", "&",
     "\\", "/", "2", "3/2", "z", "Z", "x", "y", "A", "B,", "c", "d'", '"G"', '"Bbm7/d"', "[1", "[2", "K:", "M:", "L:",
     "X:1", "[K:D]", "[M:3/4]", "%", " ", "\n", "\n\n", "K:G\n", "M:6/8\n", "V:2\n", "w:la la\n", ":|2", "\\%", "é",
     "♯"]
)  # fmt: skip
ABC_TEXTS = st.lists(_ABC_SIGNS, max_size=60).map("".join)

_NOTES = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "", "^", "_", "=", "^^", "__"]),
    st.sampled_from("ABCDEFGabcdefg"),
    st.sampled_from(["", "", ",", "'", ",,", "''", "',"]),
    st.sampled_from(["", "2", "/", "3/2"]),
)
_CHORDS = st.builds(
    '"{}{}{}"'.format,
    st.sampled_from("ABCDEFG"),
    st.sampled_from(["", "#", "b"]),
    st.sampled_from(["", "m", "7", "m7", "maj7", "sus4", "dim", "/G", "/Bb", "/f+", "m/c", "7b9"]),
)
_OTHER_TOKENS = st.sampled_from(
    [
        "|",
        ":|",
        "|:",
        "[1",
        " ",
        "z2",
        "(3",
        "{ga}",
        "{_B'c}",
        "!trill!",
        '"slowly"',
        "[CEG]2",
        "+CEg+2",
        "+_e^g2,b'+",
        "+BB+",
        "+_e_e+",
        "+ff+",
        "+trill+",
        "\n",
        "-",
        "A>B",
        "%b c",
    ]
)
_KEY_CHANGES = st.sampled_from(["[K:D]", "[K:Em]", "\nK:Bb\n", "\nK:F#m\n", "\nK:G dorian\n"])
KEYS = [
    f"{letter}{sign}{mode}"
    for letter in "ABCDEFG"
    for sign in ("", "#", "b")
    for mode in ("", "m", " dorian", "mix", "Lyd", "phr")
]
MUSIC = st.lists(_NOTES | _NOTES | _CHORDS | _OTHER_TOKENS | _KEY_CHANGES, max_size=40).map("".join)


def check(text: str) -> tuple[Fault, ...]:
    """Return all faults of a tune."""
    return faults_of(parse_tune(text))


def normal_form(text: str) -> str:
    """Return a tune with its octaves written as transposing writes them."""
    return "\n".join("".join(map(_in_normal_form, lex_line(line))) for line in text.split("\n"))


def _in_normal_form(token: Token) -> str:
    if token.kind == "grace":
        return "{" + "".join(map(_in_normal_form, lex_music(token.text[1:-1]))) + "}"
    return written_note(*parse_note(token.text)) if token.kind == "note" else token.text
