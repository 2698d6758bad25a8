"""How a process starts another: with this very wordgen, and with no module of the working folder."""

import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def wordgen_command(*arguments: str) -> list[str]:
    """`python -m wordgen ARGUMENTS`, found by its path: -P keeps the working folder off the path of modules."""
    return [sys.executable, "-P", str(_PACKAGE / "__main__.py"), *arguments]


def python_command(code: str) -> list[str]:
    """Python code that may import wordgen. What lies beside the package is no module of its own either."""
    found = f"import sys; sys.path.insert(0, {str(_PACKAGE.parent)!r}); import wordgen; del sys.path[0]"
    return [sys.executable, "-P", "-c", f"{found}; {code}"]
