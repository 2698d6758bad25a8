"""Sweeps: many runs with different settings and random seeds, and which of their differences are beyond chance."""
