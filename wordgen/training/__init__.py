"""Training: the settings, the training loop, and the observers that show and record its progress.

Only devices.py, trainer.py, loop.py, optimizers.py and step.py import TensorFlow, so flags, plan and progress appear
without a delay.
"""
