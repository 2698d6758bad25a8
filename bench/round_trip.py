"""How many texts come back from their words as they were, up to runs of white space: wordgen's way and NLTK's.

PYTHONPATH=. python bench/round_trip.py [TEXT ...]

Each text is read as wordgen reads it, and each of its units is cut and put together again by either way: by wordgen's
English tokenizer, and by NLTK's NLTKWordTokenizer and TreebankWordDetokenizer. A text is a file, or a name of the
catalogue; without any the bundled English ones are taken.
"""

import sys
from collections.abc import Callable, Sequence

from nltk.tokenize import NLTKWordTokenizer
from nltk.tokenize.treebank import TreebankWordDetokenizer

from wordgen.corpora.catalogue import bundled_catalogue
from wordgen.corpora.finding import open_corpus
from wordgen.text.tokenizers import tokenizer_named


def by_wordgen(text: str) -> str:
    english = tokenizer_named("english")
    return english.detokenize(english.tokenize(text))


def by_nltk(text: str) -> str:
    return TreebankWordDetokenizer().detokenize(NLTKWordTokenizer().tokenize(text))


def share_that_comes_back(units: Sequence[str], way: Callable[[str], str]) -> str:
    exact = sum(way(unit).split() == unit.split() for unit in units)
    return f"{exact / len(units):.1%}".replace("%", " %")


def bundled_english() -> list[str]:
    return [
        name for name, entry in bundled_catalogue().items() if entry.tokenizer == "english" and not entry.is_fetched
    ]


def main(names: Sequence[str]) -> None:
    print("| text | units | wordgen | TreebankWordDetokenizer |")
    print("|---|---|---|---|")
    for name in names:
        corpus = open_corpus(name)
        units = [unit.text for _, unit in corpus.reading().units() if unit.text]
        shares = (share_that_comes_back(units, way) for way in (by_wordgen, by_nltk))
        print(f"| {' | '.join((corpus.name, f'{len(units):,}', *shares))} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or bundled_english())
