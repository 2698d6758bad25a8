"""`python -m wordgen`: the same as the `wordgen` command."""

import sys

from wordgen.cli.main import main

sys.exit(main(program="python -m wordgen"))
