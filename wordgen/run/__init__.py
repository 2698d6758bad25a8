"""Runs: settings, recipes and plans, folders and records, and the training, evaluation, listing and comparison."""
