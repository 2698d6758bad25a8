"""Symbols and text: tokenizers make symbols, the vocabulary makes ids, the codec joins both."""
