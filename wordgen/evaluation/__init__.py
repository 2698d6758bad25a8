"""How good a model is: perplexity, and what simple baselines reach on the same text.

Only perplexity.py runs a network and needs TensorFlow.
"""
