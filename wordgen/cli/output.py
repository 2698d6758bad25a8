"""What is written onto the screen, and what is said when that fails."""

import sys

from wordgen.errors import StorageError


def show(text: str) -> None:
    """Onto standard output, at once."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(f"The text cannot be written out: {error.strerror}.") from error


def tell(sentence: str) -> None:
    """Beside the output, for the user alone."""
    print(sentence, file=sys.stderr)
