"""Text that nobody writes, and that somebody has: it comes back as it was, or is refused in a sentence."""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from tests.helpers.commands import ROOT, command_environment
from tests.helpers.journey import Journey, travel, visible
from wordgen.corpus.reading import clean
from wordgen.corpus.settings import ReadingSettings
from wordgen.errors import CorpusError
from wordgen.text.settings import TokenizerChoice
from wordgen.text.vocabulary import JOINER, RESERVED

TOKENIZERS: list[TokenizerChoice] = ["english", "japanese", "characters", "whitespace", "abc"]
LARGE = ("words of a megabyte", "Japanese without an end", "one character again and again")
"""Kinds whose length is what is hostile: they take seconds, and are read by the tokenizer that they are for."""
CONTROLS = [chr(number) for number in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)]
HOSTILE = {
    "zero width": "a\u200bb \u200c c\u200dd \ufeff e\u2060f\u00adg \u200b\u200b",
    "control characters": "".join(f"a{each}b {each} c" for each in CONTROLS),
    "zero bytes": "in the mid\0dle, \0 and \0\0 again",
    "white space of all kinds": "a\x1cb\x1dc\x1ed\x1fe\x85f\u2028g\u2029h\x0bi\x0cj\u00a0k\u3000l\u2003m\tn",
    "both directions": "\u200eleft\u200f \u202aא\u202bב\u202cג\u202dד\u202e \u2066שלום\u2067, \u2068world\u2069!",
    "emoji": "👨‍👩‍👧‍👦 👩🏽‍🚀! 🇯🇵🇫🇷, (1️⃣) ❤️‍🔥. 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "thousands of marks": "e" + "\u0301\u0316" * 5000 + " か" + "\u3099" * 3000 + " " + "\u0301" * 2000,
    "no characters": "\ufffe \uffff \U0001ffff \ue123 \U00100000 \u0378 \ufffd",
    "marks of our own": f"{JOINER} a{JOINER}b {JOINER * 3} \ue000 \ue000e\ue000n\ue000j \ue000UNKNOWN_TOKEN",
    "names of our own": " ".join((*RESERVED, "<unk>", "<unk", *(f"x{name}." for name in RESERVED), RESERVED[1] * 2)),
    "ends of our own": "<eos> a <eos><eos> b<eos>",
    "one word again and again": "word " * 30_000,
    "one character again and again": "x" * 250_000,
    "words of a megabyte": f"{'x' * 1_000_000} {'a.b,c' * 200_000}",
    "quotation marks": "\"'`" * 3000 + " " + "''" * 3000 + " " + "“" * 3000,
    "apostrophes": "don't don’t 'tis ’tis giants' giants’ '' ’’ ‘n’ ’n’ 'n' o'clock’s '’'’ <'’> ' ’ 雨don't雨don’t "
    * 3,
    "brackets": "(" * 3000 + "." * 3000 + ")" * 3000,
    "Japanese without an end": "雨が降る夜のTVで" * 20_000,
}


def among_others(text: str) -> str:
    """A text with others behind it, so that it stands in the part to train on."""
    return "\n\n".join([text, "more", text, "valid words", "test words"])


def through_everything(text: str, tokenizer: TokenizerChoice, folder: Path, encoding: str) -> Journey:
    (folder / "text.txt").write_bytes(among_others(text).encode())
    how = ReadingSettings(encoding=encoding, passage="paragraph", line_breaks="joined")  # pyright: ignore[reportArgumentType]
    return travel(folder / "text.txt", folder / "encoded", tokenizer, how)


@pytest.mark.parametrize(
    ("kind", "tokenizer"),
    [
        *product([kind for kind in HOSTILE if kind not in LARGE], TOKENIZERS),
        ("words of a megabyte", "english"),
        *product(["Japanese without an end"], ["japanese", "english"]),
        *product(["one character again and again"], ["english", "japanese"]),
    ],
)
def test_hostile_text_comes_back(kind: str, tokenizer: TokenizerChoice, tmp_path: Path):
    text = HOSTILE[kind]
    if (kind, tokenizer) == ("ends of our own", "whitespace"):
        text += " <eos>"  # what has no end in such a text is refused
    journey = through_everything(text, tokenizer, tmp_path, "utf-8")
    assert visible("".join(passage for _, passage in journey.passages)) == visible(clean(among_others(text)))
    journey.check()


FULL_OF_CONTROL_CHARACTERS = ("control characters", "zero bytes", "white space of all kinds")


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind not in (*LARGE, *FULL_OF_CONTROL_CHARACTERS)])
def test_hostile_text_is_recognised(kind: str, tmp_path: Path):
    through_everything(HOSTILE[kind], "auto", tmp_path, "auto").check()


@pytest.mark.parametrize("kind", FULL_OF_CONTROL_CHARACTERS)
def test_what_is_full_of_control_characters_is_no_text_until_it_is_called_one(kind: str, tmp_path: Path):
    with pytest.raises(CorpusError, match="is not a text"):
        through_everything(HOSTILE[kind], "auto", tmp_path, "auto")
    through_everything(f"{HOSTILE[kind]} {'plain words ' * 1000}", "auto", tmp_path, "auto").check()


@pytest.mark.parametrize("text", ["x" * 500_000, "word " * 100_000, "x", " \n\x0b\u2028", "\0", ""])
def test_what_cannot_be_divided_is_refused_in_a_sentence(text: str, tmp_path: Path):
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    with pytest.raises(CorpusError, match=r"at least 3 are needed|is empty"):
        travel(tmp_path / "text.txt", tmp_path / "encoded", how=ReadingSettings(encoding="utf-8"))
    assert not list(tmp_path.glob("encoded/*"))


ENCODE = """
import json, sys, time
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from tests.helpers.journey import travel
from wordgen.dataset.numbering import useful_processes
began = time.monotonic()
travel(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
own, others = getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN)
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({
    "seconds": time.monotonic() - began, "cpu": own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime,
    "megabytes": (int(peak) + useful_processes() * others.ru_maxrss) / 1024,
}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks /proc how much memory was taken")
@pytest.mark.parametrize(
    ("bit", "tokenizer", "megabytes"),
    # Of each there are more than the six million characters of three passages.
    [("x", "english", 50), ("d’accord, ", "english", 10)],
)
def test_a_single_line_of_many_megabytes_is_learned_in_little_time_and_memory(
    bit: str, tokenizer: TokenizerChoice, megabytes: int, tmp_path: Path
):
    """The line is cut into passages, and these into tokens; no process ever holds the whole of it."""
    path, folder = tmp_path / "line.txt", tmp_path / "encoded"
    path.write_text(bit * (megabytes * 1_000_000 // len(bit.encode())), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-c", ENCODE, str(path), str(folder), tokenizer],
        env=command_environment(), cwd=ROOT, capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    told = json.loads(ended.stdout)
    assert told["megabytes"] < 400
    assert told["cpu"] < 6 * megabytes
    dataset = travel(path, folder, tokenizer).dataset
    ids = dataset.ids["train"]
    assert sum(each.passages for each in dataset.statistics.values()) > 3
    # The text is one bit again and again, so whatever passages it was cut into, their beginnings and ends fit together.
    written = [visible(dataset.codec.decode(ids[place : place + 1_000_000])) for place in range(0, len(ids), 1_000_000)]
    whole = "".join(written)
    assert len(whole) > 0.4 * megabytes * 1_000_000 / len(bit.encode()) * len(visible(bit))
    assert not whole.replace(visible(bit), "")
