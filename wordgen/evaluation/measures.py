"""What a loss means."""

import math


def perplexity_of(mean_loss: float) -> float:
    """e to the mean loss in nats; infinite where that is beyond any number."""
    return math.exp(mean_loss) if mean_loss < 700 else math.inf
