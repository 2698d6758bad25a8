"""Writing text: the network's step in NumPy, choosing the next symbol, and the loop that does it again."""
