"""Text generation: the network in NumPy, the choice of the next token, and the loop that repeats both."""
