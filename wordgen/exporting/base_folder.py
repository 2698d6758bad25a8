"""A base as a folder: a bundle with 8-bit weights, what a plan says of it, and a model card to fill in."""

import json
from dataclasses import replace
from pathlib import Path

from wordgen.architecture import shown_layers
from wordgen.base import ABOUT
from wordgen.bundle import Bundle, fingerprint, load_bundle, save_bundle
from wordgen.dataset.unknown_words import UnknownWords
from wordgen.files import whole_folder, write_whole

CARD = "README.md"
_CARD = """# {name}

A trained model that new runs begin from: `python train.py --corpus my-book.txt --init-from {name}`.

| | |
|---|---|
| network | {network}, word vectors of {embedding}, {parameters:,} parameters |
| vocabulary | {tokens:,} tokens, tokenizer {tokenizer} |
| trained on | {corpus} |
| weights | 8-bit integers with a scale a row, fingerprint {fingerprint} |

## What it has read

(sources, years and licences of the texts; the command that trained it, its date and commit; curve and figures)

## What it is good and bad at

(perplexity on its own test text and on others, before and after a run begins from it; the manner in which it talks)

## What 8 bits cost

(`wordgen evaluate` of the run and of this folder, on the same text)

## Licence

(of these weights)
"""


def write_base(bundle: Bundle, folder: Path) -> None:
    """Write a model as a base; where one is replaced, what people wrote about it stays.

    The words that the model would put in for UNKNOWN are left out, for they take more room than the network.
    """
    with whole_folder(folder, overwrite=True) as partial:
        save_bundle(replace(bundle, unknown_words=UnknownWords()), partial, eight_bits=True)
        written = {
            ABOUT: f"read = {json.dumps(f'the corpus {bundle.text.corpus}', ensure_ascii=False)}\n",
            CARD: _card(load_bundle(partial), folder.resolve().name),
        }
        for name, text in written.items():
            before = folder / name
            write_whole(partial / name, before.read_bytes() if before.exists() else text.encode())


def _card(bundle: Bundle, name: str) -> str:
    shape = bundle.architecture
    return _CARD.format(
        name=name,
        network=shown_layers(shape),
        embedding=shape.embedding,
        parameters=shape.parameters,
        tokens=len(bundle.vocabulary),
        tokenizer=bundle.text.tokenizer,
        corpus=bundle.text.corpus,
        fingerprint=fingerprint(bundle),
    )
