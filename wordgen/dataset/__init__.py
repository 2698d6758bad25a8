"""The dataset of a corpus: the ids of its training, validation and test set on disk, and the batches made from them."""
