"""Evaluation of a model: its perplexity, and what simple baselines reach on the same text.

Only perplexity.py runs the Keras network and needs TensorFlow. The other modules use NumPy.
"""
