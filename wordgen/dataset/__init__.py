"""Ids on disk, the split into train, valid and test, and the batches of a given step."""
