"""`python -m wordgen`: the same as the `wordgen` command. Processes of wordgen's own run it by its path."""

import os
import sys

if not getattr(sys.flags, "safe_path", False):
    del sys.path[0]  # the working folder, or the package's own: a file there is no module that wordgen imports
if not __package__:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    import wordgen  # noqa: F401 - now it is known where its modules lie

    del sys.path[0]

try:
    from wordgen.cli.start import main
except KeyboardInterrupt:  # it came before it could be listened for
    print("Stopped.", file=sys.stderr)
    sys.exit(130)

sys.exit(main("python -m wordgen"))
