"""A trained model as one file for other programs: its step, from ids and a carry to logits and the next carry."""
