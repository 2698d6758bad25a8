"""A trained model for others: its step as one file for other programs, or the model in a quarter of the bytes."""
