"""A trained model as values and files: its architecture, its bundle on disk, and a base that new runs begin from.

This package does not import TensorFlow. The Keras network is in `wordgen.network`.
"""
