"""Keras as its documentation has it: stock layers, `compile` and `fit`; state goes on from batch to batch.

python -m bench.ways.stock_keras ROW PRECISION SECONDS_OF_A_TURN [HOW]

HOW is a JSON object that says how to compute. Without it, all ways are tried, and the fastest one is printed.
"""

import json
import os
import sys
import time
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # the matrix products that wordgen has

from bench.rows import CLIP, DROPOUT, LEARNING_RATE, ROWS, Row, batches
from bench.turns import Turns

turns = Turns()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

_STEPS_OF_A_TRY = 8
_WAYS: tuple[dict[str, Any], ...] = (
    {"unrolled": False, "xla": False, "steps_per_execution": 1},
    {"unrolled": False, "xla": False, "steps_per_execution": 8},
    {"unrolled": True, "xla": False, "steps_per_execution": 8},
    {"unrolled": False, "xla": True, "steps_per_execution": 8},
)


def network(row: Row, how: dict[str, Any]) -> keras.Model:
    kind = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}[row.cell]
    words = (keras.layers.ReversibleEmbedding if row.tied else keras.layers.Embedding)(row.vocabulary, row.units)
    ids = keras.Input(batch_shape=(row.batch_size, row.seq_len), dtype="int32")
    hidden = keras.layers.Dropout(DROPOUT)(words(ids))
    for _ in range(row.layers):
        hidden = kind(row.units, return_sequences=True, stateful=True, unroll=how["unrolled"])(hidden)
        hidden = keras.layers.Dropout(DROPOUT)(hidden)
    logits = words(hidden, reverse=True) if row.tied else keras.layers.Dense(row.vocabulary)(hidden)
    model = keras.Model(ids, keras.layers.Activation("linear", dtype="float32")(logits))
    rate = LEARNING_RATE[row.optimizer]
    optimizer = (
        keras.optimizers.SGD(rate, global_clipnorm=CLIP)
        if row.optimizer == "sgd"
        else keras.optimizers.RMSprop(rate, global_clipnorm=CLIP)
    )
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=how["xla"],
        steps_per_execution=how["steps_per_execution"],
    )
    return model


class Learning:
    def __init__(self, row: Row, precision: str, how: dict[str, Any]) -> None:
        keras.utils.set_random_seed(1)
        keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
        self._row, self._model = row, network(row, how)
        self.fit(_STEPS_OF_A_TRY)  # it makes the graph
        began = time.monotonic()
        self.fit(_STEPS_OF_A_TRY)
        self.seconds_a_step = (time.monotonic() - began) / _STEPS_OF_A_TRY

    def fit(self, steps: int) -> int:
        windows = batches(self._row, steps).reshape(-1, self._row.seq_len + 1)
        x, y = windows[:, :-1], windows[:, 1:]
        self._model.fit(x, y, batch_size=self._row.batch_size, shuffle=False, verbose=0)  # pyright: ignore[reportArgumentType]
        return x.size


def best(row: Row, precision: str) -> dict[str, Any]:
    tried: list[dict[str, Any]] = []
    for how in _WAYS:
        try:
            learning = Learning(row, precision, how)
        except Exception as error:  # not every layer is for XLA
            print(f"{how}: {error}", file=sys.stderr)
            continue
        tried.append({**how, "wall": 1e6 * learning.seconds_a_step / row.batch_size / row.seq_len})
    found = min(tried, key=lambda each: each["wall"])
    return {"how": {name: found[name] for name in _WAYS[0]}, "tried": tried}


def main(row: str, precision: str, seconds: str, how: str = "") -> None:
    if not how:
        turns.answer(**best(ROWS[row], precision))
        return
    turns.imported()
    learning = Learning(ROWS[row], precision, json.loads(how))
    steps = -(-int(max(1, float(seconds) / learning.seconds_a_step)) // _STEPS_OF_A_TRY) * _STEPS_OF_A_TRY
    turns.answer(versions={"keras": keras.__version__, "tensorflow": tf.__version__})
    turns.take(lambda: learning.fit(steps), float(seconds) / 2)


if __name__ == "__main__":
    main(*sys.argv[1:])
