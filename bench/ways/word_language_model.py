"""A language model with the settings of PyTorch's example word_language_model, tied: a turn is an epoch.

python -m bench.ways.word_language_model FOLDER EPOCHS PRECISION RANDOM_SEED

The folder has the ids of train, valid and test as .npy files, and about.json. A training that has begun continues
after the last epoch that it saved there.
"""

import json
import math
import os
import sys
from pathlib import Path
from typing import Any

from bench.rows import Row
from bench.ways.pytorch import Network, turns  # before the others, because it catches what they print

# isort: split
import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]

UNITS, LAYERS, DROPOUT, CLIP, RATE, BATCH_SIZE, SEQ_LEN = 200, 2, 0.2, 0.25, 20.0, 20, 35
"""Those of the example. The learning rate is divided by four after an epoch that is no better."""
_FIRST_WEIGHTS = 0.1
torch._dynamo.config.suppress_errors = True  # without a C++ compiler, the loss is not compiled


def network(vocabulary: int) -> Network:
    made = Network(Row(LAYERS, UNITS, BATCH_SIZE, SEQ_LEN, vocabulary, tied=True), DROPOUT)
    nn.init.uniform_(made.embedding.weight, -_FIRST_WEIGHTS, _FIRST_WEIGHTS)
    nn.init.zeros_(made.output.bias)
    return made


class Training:
    def __init__(self, folder: Path, precision: str, random_seed: int) -> None:
        torch.manual_seed(random_seed)
        torch.set_flush_denormal(True)
        self._folder, self._bfloat16 = folder, precision == "bfloat16"
        about = json.loads((folder / "about.json").read_text())
        self._never_counted, self._streams = about["never_counted"], about["streams"]
        self._network = network(about["vocabulary"])
        # Compiled, a step with 33,278 words takes 244 instead of 429 microseconds per token (results/training.json).
        self._compiled_loss: Any = torch.compile(self._loss, dynamic=False)
        self._rate, self._best, self.epoch = RATE, math.inf, 0
        if self._saved.exists():
            kept = torch.load(self._saved)
            self._network.load_state_dict(kept["network"])
            self._rate, self._best, self.epoch = kept["rate"], kept["best"], kept["epoch"]

    @property
    def _saved(self) -> Path:
        return self._folder / "checkpoint.pt"

    def train_epoch(self) -> float:
        """Train for an epoch, and return the validation perplexity."""
        self._network.train()
        optimizer = torch.optim.SGD(self._network.parameters(), lr=self._rate, foreach=True)
        state = None
        for inputs, targets in self._batches("train", BATCH_SIZE):
            with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
                hidden, state = self._network(inputs, state)
                loss = self._compiled_loss(hidden, targets)
            state = tuple(each.detach() for each in state)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self._network.parameters(), CLIP, foreach=True)
            optimizer.step()
        valid = self.perplexity("valid")
        self.epoch += 1
        if valid < self._best:
            self._best = valid
            self._write("best.pt", self._network.state_dict())
        else:
            self._rate /= 4
        kept = {"network": self._network.state_dict(), "rate": self._rate, "best": self._best, "epoch": self.epoch}
        self._write(self._saved.name, kept)
        return valid

    def _loss(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = self._network.logits(hidden).flatten(0, 1)
        return nn.functional.cross_entropy(logits, targets.flatten(), ignore_index=self._never_counted)

    def test(self) -> float:
        """Return the test perplexity of the best epoch."""
        self._network.load_state_dict(torch.load(self._folder / "best.pt"))
        return self.perplexity("test")

    @torch.no_grad()
    def perplexity(self, split: str) -> float:
        """Return the perplexity in the same number of streams as wordgen has. START is never counted."""
        self._network.eval()
        nats, counted, state = 0.0, 0, None
        for inputs, targets in self._batches(split, self._streams[split]):
            hidden, state = self._network(inputs, state)
            logits = self._network.logits(hidden).flatten(0, 1)
            never = self._never_counted
            nats += nn.functional.cross_entropy(logits, targets.flatten(), ignore_index=never, reduction="sum").item()
            counted += int((targets != never).sum())
        return math.exp(nats / counted)

    def _batches(self, split: str, streams: int) -> Any:
        """Yield inputs and targets in the shape (seq len, streams)."""
        ids = torch.from_numpy(np.load(self._folder / f"{split}.npy").astype(np.int64))
        length = (len(ids) - 1) // streams
        rows = torch.stack([ids[each * length : (each + 1) * length + 1] for each in range(streams)], dim=1)
        for begin in range(0, length, SEQ_LEN):
            window = rows[begin : begin + SEQ_LEN + 1]
            yield window[:-1], window[1:]

    def _write(self, name: str, value: Any) -> None:
        torch.save(value, self._folder / "half.pt")
        os.replace(self._folder / "half.pt", self._folder / name)


def main(folder: str, epochs: str, precision: str, random_seed: str) -> None:
    training = Training(Path(folder), precision, int(random_seed))
    turns.answer(done=training.epoch)
    while training.epoch < int(epochs):
        turns.wait()
        valid = training.train_epoch()
        turns.answer(epoch=training.epoch, valid=valid, **turns.spent_from_start())
    turns.wait()
    turns.answer(ended=True, test=training.test())


if __name__ == "__main__":
    main(*sys.argv[1:])
