"""Write with a trained model: python generate.py --seed Aragorn --mode sample"""

import sys

from wordgen.cli.main import run_verb

if __name__ == "__main__":
    sys.exit(run_verb("generate", sys.argv[1:], prog="python generate.py"))
