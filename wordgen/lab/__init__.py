"""Experiments of many runs: sweeps over settings and random seeds, and what of their results is more than chance."""
