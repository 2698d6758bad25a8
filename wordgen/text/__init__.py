"""Text, tokens and ids: tokenizers split text into tokens, the vocabulary gives them ids, and the codec does both."""
