"""The Keras network, its recurrent state and its losses.

Importing this package imports TensorFlow and hides its start-up messages, which would distract from what the user needs
to see. wordgen only works with the TensorFlow backend of Keras, so the package selects it, whatever the user's own
configuration says. It also selects the fast matrix products, unless the user's environment says otherwise.
"""

import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from wordgen.errors import package_error

Tensor = Any
"""A tensor, a variable or a gradient. TensorFlow has no type annotations."""


@contextmanager
def _native_messages_hidden() -> Generator[None]:
    """Hide what native code writes to standard error, past Python. Show it if the block fails."""
    if sys.stderr is None:  # it was closed when Python started
        yield
        return
    original_stderr = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except BaseException:
            messages.seek(0)
            os.write(original_stderr, messages.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(original_stderr, 2)
            os.close(original_stderr)


def _import_tensorflow() -> None:
    """Import TensorFlow and Keras. Raise an error with one sentence if they are missing or broken in any way."""
    try:
        import keras
        import tensorflow

        _ = tensorflow.__version__, keras.__version__  # the empty folder of a removed package has no version
    except ImportError as error:
        raise package_error(error) from error
    except Exception as error:
        raise package_error(ImportError(f"TensorFlow: {type(error).__name__}: {error}")) from error


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
# oneDNN's matrix products take half the time of TensorFlow's own. By default, TensorFlow uses them only on some
# processors (docs/experiments.md, 2026-11-29).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ["KERAS_BACKEND"] = "tensorflow"

with _native_messages_hidden():
    _import_tensorflow()
