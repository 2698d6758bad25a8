"""How many passages come back from their tokens unchanged, except for runs of white space: with wordgen and with NLTK.

PYTHONPATH=. python bench/round_trip.py [TEXT ...]

Each passage is cut and joined again by wordgen's English tokenizer, and by NLTK's NLTKWordTokenizer and
TreebankWordDetokenizer. A text is a file or a name of the catalogue; by default, the bundled English texts.
"""

import sys
from collections.abc import Callable, Sequence

from nltk.tokenize import NLTKWordTokenizer
from nltk.tokenize.treebank import TreebankWordDetokenizer

from bench.results import print_row
from wordgen.corpus.catalogue import bundled_catalogue
from wordgen.corpus.finding import open_corpus
from wordgen.text.tokenizers import tokenizer_named


def by_wordgen(text: str) -> str:
    english = tokenizer_named("english")
    return english.detokenize(english.tokenize(text))


def by_nltk(text: str) -> str:
    return TreebankWordDetokenizer().detokenize(NLTKWordTokenizer().tokenize(text))


def share_that_comes_back(passages: Sequence[str], way: Callable[[str], str]) -> str:
    exact = sum(way(passage).split() == passage.split() for passage in passages)
    return f"{exact / len(passages):.1%}".replace("%", " %")


def bundled_english() -> list[str]:
    return [
        name
        for name, entry in bundled_catalogue().items()
        if entry.tokenizer == "english" and not (entry.downloads or entry.listing)
    ]


def main(names: Sequence[str]) -> None:
    print_row("text", "passages", "wordgen", "TreebankWordDetokenizer")
    for name in names:
        corpus = open_corpus(name)
        passages = [passage.text for _, passage in corpus.reading().passages() if passage.text]
        shares = (share_that_comes_back(passages, way) for way in (by_wordgen, by_nltk))
        print_row(corpus.name, f"{len(passages):,}", *shares)


if __name__ == "__main__":
    main(sys.argv[1:] or bundled_english())
