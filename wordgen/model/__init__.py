"""The Keras network, its recurrent state, its losses.

TensorFlow is imported here first, with its start-up notes kept off the screen: they would hide what a
user wants to see. Another Keras backend would not work, whatever a user's own configuration says.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from wordgen.errors import unusable_package


@contextmanager
def _native_notes_hidden() -> Iterator[None]:
    """Catch what native code writes to standard error, past Python; show it if the block fails."""
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
    """With one sentence where it is not there or is broken, in whatever way."""
    try:
        import keras
        import tensorflow

        _ = tensorflow.__version__, keras.__version__  # the folder of one that was removed has nothing in it
    except ImportError as error:
        raise unusable_package(error) from error
    except Exception as error:
        raise unusable_package(ImportError(f"TensorFlow: {type(error).__name__}: {error}")) from error


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
os.environ["KERAS_BACKEND"] = "tensorflow"

with _native_notes_hidden():
    _import_tensorflow()
