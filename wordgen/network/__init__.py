"""The Keras network, its recurrent state and its losses.

Importing this package imports TensorFlow and hides its start-up messages, which would distract from what the user needs
to see. wordgen only works with the TensorFlow backend of Keras, so the package selects it, whatever the user's own
configuration says. It also selects the fast matrix products, unless the user's environment says otherwise.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wordgen.errors import unusable_package

Tensor = Any
"""A tensor, a variable or a gradient. TensorFlow has no type annotations."""


@contextmanager
def _native_notes_hidden() -> Iterator[None]:
    """Hide what native code writes to standard error, past Python. Show it if the block fails."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(kept, notes.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


def _import_tensorflow() -> None:
    """Import TensorFlow and Keras. Raise an error with one sentence if they are missing or broken in any way."""
    try:
        import keras
        import tensorflow

        _ = tensorflow.__version__, keras.__version__  # the empty folder of a removed package has no version
    except ImportError as error:
        raise unusable_package(error) from error
    except Exception as error:
        raise unusable_package(ImportError(f"TensorFlow: {type(error).__name__}: {error}")) from error


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
# oneDNN's matrix products take half the time of TensorFlow's own. By default, TensorFlow uses them only on some
# processors (docs/experiments.md, 2026-11-29).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ["KERAS_BACKEND"] = "tensorflow"

with _native_notes_hidden():
    _import_tensorflow()
