from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordgen.generation.texts import SentenceEnds
from wordgen.text.settings import TokenizerName
from wordgen.text.tokenizers import tokenizer_named


def sentences(tokenizer: TokenizerName, text: str) -> list[str]:
    """Cut a text where its sentences are known to end; what stays open is the last."""
    chosen = tokenizer_named(tokenizer)
    tokens = chosen.tokenize(text)
    pieces = [chosen.piece(token, before) for token, before in zip(tokens, [None, *tokens], strict=False)]
    ends, cuts = SentenceEnds(stops_in_words=tokenizer == "whitespace"), [0]
    for piece in pieces:
        end = ends.see(piece)
        if end is not None:
            cuts.append(end)
    last = ends.end()
    if last is not None and last > cuts[-1]:
        cuts.append(last)
    return ["".join(pieces[a:b]).strip() for a, b in pairwise(cuts)]


@pytest.mark.parametrize(
    "expected",
    [
        ["He went.", "She stayed."],
        ["Stop!", "Who goes there?", "I do..."],
        ["“Stop!” he said.", "“Who goes there?”", "Nobody answered."],
        ['"Stop!" he said.', '"Go."', '"No."', "They left."],
        ["It took 3.5 days (or four.)", "Then it ended."],
        ["Mr. Frodo left.", "Dr. Who did not."],
        ["Wait… what?", "Yes."],
        ["No end at all"],
    ],
)
def test_english(expected: list[str]):
    assert sentences("english", " ".join(expected)) == expected


def test_japanese_needs_no_space():
    assert sentences("japanese", "雨が降る。「行こう！」と彼は言った。夜だ") == [
        "雨が降る。",
        "「行こう！」",
        "と彼は言った。",
        "夜だ",
    ]


def test_words_that_keep_their_stops():
    assert sentences("whitespace", "He went home. Then he “slept.” All was well") == [
        "He went home.",
        "Then he “slept.”",
        "All was well",
    ]
    assert sentences("whitespace", "tokenized <unk> . Next ,") == ["tokenized <unk> .", "Next ,"]


def test_letter_by_letter():
    assert sentences("characters", "It is 3.5. “No!” Then") == ["It is 3.5.", "“No!”", "Then"]


def test_the_end_of_a_passage_ends_any_sentence():
    ends = SentenceEnds()
    assert ends.end() is None
    for piece in ("A", " title"):
        assert ends.see(piece) is None
    assert ends.end() == 3  # the first end of a passage was a piece, too


@given(st.lists(st.sampled_from(["a", " B", ".", " .", "!", "”", " ", "\n", "。", "", " c"]), max_size=20))
def test_ends_are_told_in_order_and_never_beyond_what_was_seen(pieces: list[str]):
    ends, last = SentenceEnds(), 0
    for number, piece in enumerate(pieces):
        end = ends.see(piece)
        if end is not None:
            assert last < end <= number
            last = end
