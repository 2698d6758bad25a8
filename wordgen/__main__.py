"""`python -m wordgen`, which does the same as the `wordgen` command. Child processes of wordgen run this file, too."""

import os
import sys

if not getattr(sys.flags, "safe_path", False):
    del sys.path[0]  # the working folder or that of this file: wordgen must not import files from it
if not __package__:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    import wordgen  # noqa: F401 - from now on Python finds the modules of wordgen

    del sys.path[0]

try:
    from wordgen.cli.start import main
except KeyboardInterrupt:  # Ctrl-C before the signal handler was installed
    print("Stopped.", file=sys.stderr)
    sys.exit(130)

sys.exit(main("python -m wordgen"))
