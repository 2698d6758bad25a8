"""PyTorch: `nn.LSTM` (or GRU, RNN) with dropout, clipping and optimizer as wordgen has them.

python -m bench.ways.pytorch ROW PRECISION SECONDS_OF_A_TURN [HOW]

HOW is a JSON object that says how to compute. Without it, all ways are tried, and the fastest one is printed.
"""

import json
import sys
import time
from typing import Any

from bench.rows import CLIP, DROPOUT, LEARNING_RATE, ROWS, Row, batches
from bench.turns import Turns

turns = Turns()

import os  # noqa: E402

import torch  # noqa: E402  # pyright: ignore[reportMissingImports] - behind the catching of what it prints
from torch import Tensor, nn  # noqa: E402  # pyright: ignore[reportMissingImports]

_POOL = 32
"""So many batches, again and again."""
_SECONDS_OF_A_TRY = 0.7


class Network(nn.Module):
    def __init__(self, row: Row, dropout: float = DROPOUT) -> None:
        super().__init__()
        kind = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[row.cell]
        self.embedding = nn.Embedding(row.vocabulary, row.units)
        self.dropout = nn.Dropout(dropout)
        self.layers = kind(row.units, row.units, row.layers, dropout=dropout if row.layers > 1 else 0.0)
        self.output = nn.Linear(row.units, row.vocabulary)
        if row.tied:
            self.output.weight = self.embedding.weight

    def forward(self, ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        return self.layers(self.dropout(self.embedding(ids)), state)

    def logits(self, hidden: Tensor) -> Tensor:
        return self.output(self.dropout(hidden)).float()

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(self.logits(hidden).flatten(0, 1), targets.flatten())


class Learning:
    """One network and its steps."""

    def __init__(self, row: Row, precision: str, how: dict[str, Any]) -> None:
        torch.manual_seed(1)
        torch.set_num_threads(how["threads"])
        torch.set_flush_denormal(True)
        self._row, self._bfloat16, self._foreach = row, precision == "bfloat16", how["update"] == "foreach"
        self._network = Network(row)
        self._loss: Any = torch.compile(self._network.loss) if how["compiled"] else self._network.loss
        parameters, rate = self._network.parameters(), LEARNING_RATE[row.optimizer]
        many = {"foreach": True} if self._foreach else {"foreach": False}
        if row.optimizer == "sgd":
            more = {"fused": True} if how["update"] == "fused" else many
            self._optimizer: Any = torch.optim.SGD(parameters, lr=rate, **more)
        else:
            self._optimizer = torch.optim.RMSprop(parameters, lr=rate, alpha=0.9, eps=1e-7, **many)
        pool = torch.from_numpy(batches(row, _POOL)).transpose(1, 2)  # (steps, seq len + 1, batch size)
        self._pool, self._step, self._state = [each.contiguous() for each in pool], 0, None

    def step(self) -> int:
        batch = self._pool[self._step % _POOL]
        self._step += 1
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            hidden, state = self._network(batch[:-1], self._state)
            loss = self._loss(hidden, batch[1:])
        self._state = tuple(each.detach() for each in state) if isinstance(state, tuple) else state.detach()
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), CLIP, foreach=self._foreach)
        self._optimizer.step()
        loss.item()  # wordgen reads it as well
        return self._row.batch_size * self._row.seq_len


def best(row: Row, precision: str) -> dict[str, Any]:
    """What took the least time on the clock of all that could help."""
    updates = ["foreach", "fused"] if row.optimizer == "sgd" else ["foreach", "one by one"]
    threads = sorted({1, os.cpu_count() or 1})
    ways = [{"threads": each, "update": update, "compiled": False} for each in reversed(threads) for update in updates]
    tried = [{**how, "wall": _wall_of(row, precision, how)} for how in ways]
    found = min(tried, key=lambda each: each["wall"])
    try:
        tried.append({**found, "compiled": True, "wall": _wall_of(row, precision, {**found, "compiled": True})})
    except Exception as error:  # as where there is no compiler
        print(f"torch.compile: {error}", file=sys.stderr)
    found = min(tried, key=lambda each: each["wall"])
    return {"how": {name: found[name] for name in ("threads", "update", "compiled")}, "tried": tried}


def _wall_of(row: Row, precision: str, how: dict[str, Any]) -> float:
    """Microseconds a token."""
    learning = Learning(row, precision, how)
    for _ in range(2):
        learning.step()
    began, learned = time.monotonic(), 0
    while time.monotonic() - began < _SECONDS_OF_A_TRY:
        learned += learning.step()
    return 1e6 * (time.monotonic() - began) / learned


def main(row: str, precision: str, seconds: str, how: str = "") -> None:
    if not how:
        turns.answer(**best(ROWS[row], precision))
        return
    turns.imported()
    learning = Learning(ROWS[row], precision, json.loads(how))
    for _ in range(3):
        learning.step()
    turns.answer(versions={"torch": torch.__version__})
    turns.take(learning.step, float(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
