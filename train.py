"""Learn a text: python train.py --corpus lotr --seq-len 15 --layers 3"""

import sys

from wordgen.cli.main import run_verb

if __name__ == "__main__":
    sys.exit(run_verb("train", sys.argv[1:], prog="python train.py"))
