"""Commands for child processes. They use this installation of wordgen and import nothing from the working folder."""

import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def wordgen_command(*arguments: str) -> list[str]:
    """Return a command that does the same as `python -m wordgen ARGUMENTS`.

    It runs `__main__.py` by its path. `-P` keeps the working folder out of the module search path.
    """
    return [sys.executable, "-P", str(_PACKAGE / "__main__.py"), *arguments]


def python_command(code: str) -> list[str]:
    """Return a command that runs Python code which can import wordgen.

    Files next to the package folder cannot be imported: their folder is in the search path only for `import wordgen`.
    """
    import_wordgen = f"import sys; sys.path.insert(0, {str(_PACKAGE.parent)!r}); import wordgen; del sys.path[0]"
    return [sys.executable, "-P", "-c", f"{import_wordgen}; {code}"]


def environment_with(threads: int) -> dict[str, str]:
    """Return the environment of a child process in which TensorFlow has this number of threads."""
    thread_limits = {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)}
    return {**os.environ, "PYTHONUTF8": "1", **thread_limits}
