"""Learning: settings, the loop, and what watches it.

settings.py, reports.py and progress.py do without TensorFlow, so flags, plan and progress are there at once.
"""
