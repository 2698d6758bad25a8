"""Training: the settings, the training loop, and the observers that show and record its progress.

Only devices.py, loop.py, optimizers.py, step.py and trainer.py import TensorFlow, so flags, plan and progress appear
without a delay.
"""
