"""Strange texts can be decoded from their ids, or are refused with an error."""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from tests.helpers.commands import ROOT, command_environment
from tests.helpers.round_trip import EncodedText, encode_text, without_white_space
from wordgen.corpus.reading import clean
from wordgen.corpus.settings import ReadingSettings
from wordgen.errors import CorpusError
from wordgen.text.settings import TokenizerChoice
from wordgen.text.vocabulary import JOINER, RESERVED

TOKENIZERS: list[TokenizerChoice] = ["english", "japanese", "characters", "whitespace", "abc"]
LARGE = ("words of a megabyte", "Japanese without a full stop", "one repeated character")
"""These are hostile because of their length. They take seconds, so only some tokenizers read them."""
CONTROLS = [chr(number) for number in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)]
HOSTILE = {
    "zero width": "a\u200bb \u200c c\u200dd \ufeff e\u2060f\u00adg \u200b\u200b",
    "control characters": "".join(f"a{each}b {each} c" for each in CONTROLS),
    "zero bytes": "in the mid\0dle, \0 and \0\0 again",
    "white space of all kinds": "a\x1cb\x1dc\x1ed\x1fe\x85f\u2028g\u2029h\x0bi\x0cj\u00a0k\u3000l\u2003m\tn",
    "two directions": "\u200eleft\u200f \u202aא\u202bב\u202cג\u202dד\u202e \u2066שלום\u2067, \u2068world\u2069!",
    "emoji": "👨‍👩‍👧‍👦 👩🏽‍🚀! 🇯🇵🇫🇷, (1️⃣) ❤️‍🔥. 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "thousands of combining marks": "e" + "\u0301\u0316" * 5000 + " か" + "\u3099" * 3000 + " " + "\u0301" * 2000,
    "code points that are not characters": "\ufffe \uffff \U0001ffff \ue123 \U00100000 \u0378 \ufffd",
    "marks of wordgen": f"{JOINER} a{JOINER}b {JOINER * 3} \ue000 \ue000e\ue000n\ue000j \ue000UNKNOWN_TOKEN",
    "special tokens": " ".join((*RESERVED, "<unk>", "<unk", *(f"x{name}." for name in RESERVED), RESERVED[1] * 2)),
    "end marks of benchmarks": "<eos> a <eos><eos> b<eos>",
    "one repeated word": "word " * 30_000,
    "one repeated character": "x" * 250_000,
    "words of a megabyte": f"{'x' * 1_000_000} {'a.b,c' * 200_000}",
    "quotation marks": "\"'`" * 3000 + " " + "''" * 3000 + " " + "“" * 3000,
    "apostrophes": "don't don’t 'tis ’tis giants' giants’ '' ’’ ‘n’ ’n’ 'n' o'clock’s '’'’ <'’> ' ’ 雨don't雨don’t "
    * 3,
    "brackets": "(" * 3000 + "." * 3000 + ")" * 3000,
    "Japanese without a full stop": "雨が降る夜のTVで" * 20_000,
}


def with_other_passages(text: str) -> str:
    """Add other passages after a text, so that it is in the training set."""
    return "\n\n".join([text, "more", text, "valid words", "test words"])


def encode_with_others(text: str, tokenizer: TokenizerChoice, folder: Path, encoding: str) -> EncodedText:
    (folder / "text.txt").write_bytes(with_other_passages(text).encode())
    reading_settings = ReadingSettings(encoding=encoding, passage="paragraph", line_breaks="joined")  # pyright: ignore[reportArgumentType]
    return encode_text(folder / "text.txt", folder / "encoded", tokenizer, reading_settings)


@pytest.mark.parametrize(
    ("kind", "tokenizer"),
    [
        *product([kind for kind in HOSTILE if kind not in LARGE], TOKENIZERS),
        ("words of a megabyte", "english"),
        *product(["Japanese without a full stop"], ["japanese", "english"]),
        *product(["one repeated character"], ["english", "japanese"]),
    ],
)
def test_hostile_text_round_trip(kind: str, tokenizer: TokenizerChoice, tmp_path: Path):
    text = HOSTILE[kind]
    if (kind, tokenizer) == ("end marks of benchmarks", "whitespace"):
        text += " <eos>"  # with this tokenizer, a passage without an end is an error
    encoded = encode_with_others(text, tokenizer, tmp_path, "utf-8")
    assert without_white_space("".join(passage for _, passage in encoded.passages)) == without_white_space(
        clean(with_other_passages(text))
    )
    encoded.assert_round_trip()


CONTROL_CHARACTER_KINDS = ("control characters", "zero bytes", "white space of all kinds")


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind not in (*LARGE, *CONTROL_CHARACTER_KINDS)])
def test_round_trip_with_detected_language_and_encoding(kind: str, tmp_path: Path):
    encode_with_others(HOSTILE[kind], "auto", tmp_path, "auto").assert_round_trip()


@pytest.mark.parametrize("kind", CONTROL_CHARACTER_KINDS)
def test_text_with_many_control_characters_is_refused(kind: str, tmp_path: Path):
    with pytest.raises(CorpusError, match="is not a text"):
        encode_with_others(HOSTILE[kind], "auto", tmp_path, "auto")
    encode_with_others(f"{HOSTILE[kind]} {'plain words ' * 1000}", "auto", tmp_path, "auto").assert_round_trip()


@pytest.mark.parametrize("text", ["x" * 500_000, "word " * 100_000, "x", " \n\x0b\u2028", "\0", ""])
def test_text_with_too_few_passages_is_refused(text: str, tmp_path: Path):
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    with pytest.raises(CorpusError, match=r"at least 3 are needed|is empty"):
        encode_text(tmp_path / "text.txt", tmp_path / "encoded", reading=ReadingSettings(encoding="utf-8"))
    assert not list(tmp_path.glob("encoded/*"))


ENCODE = """
import json, sys, time
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from tests.helpers.round_trip import encode_text
from wordgen.dataset.numbering import useful_processes
start = time.monotonic()
encode_text(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
own, others = getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN)
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({
    "seconds": time.monotonic() - start, "cpu": own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime,
    "megabytes": (int(peak) + useful_processes() * others.ru_maxrss) / 1024,
}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc")
@pytest.mark.parametrize(
    ("fragment", "tokenizer", "megabytes"),
    # Each text is longer than three passages, which are six million characters.
    [("x", "english", 50), ("d’accord, ", "english", 10)],
)
def test_line_of_many_megabytes_is_encoded_with_little_time_and_memory(
    fragment: str, tokenizer: TokenizerChoice, megabytes: int, tmp_path: Path
):
    """The line is cut into passages, and no process holds the whole line."""
    path, folder = tmp_path / "line.txt", tmp_path / "encoded"
    path.write_text(fragment * (megabytes * 1_000_000 // len(fragment.encode())), encoding="utf-8")
    process = subprocess.run(
        [sys.executable, "-c", ENCODE, str(path), str(folder), tokenizer],
        env=command_environment(), cwd=ROOT, capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    usage = json.loads(process.stdout)
    assert usage["megabytes"] < 400
    assert usage["cpu"] < 6 * megabytes
    dataset = encode_text(path, folder, tokenizer).dataset
    ids = dataset.ids["train"]
    assert sum(each.passages for each in dataset.statistics.values()) > 3
    # The text repeats one fragment, so the decoded passages must repeat it, too, wherever they were cut.
    blocks = [dataset.codec.decode(ids[begin : begin + 1_000_000]) for begin in range(0, len(ids), 1_000_000)]
    decoded = without_white_space("".join(blocks))
    repeated = without_white_space(fragment)
    assert len(decoded) > 0.4 * megabytes * 1_000_000 / len(fragment.encode()) * len(repeated)
    assert not decoded.replace(repeated, "")
