"""Train a model on a text: python train.py --corpus lotr --seq-len 15 --layers 3"""

import sys

try:
    from wordgen.cli.start import run_script
except KeyboardInterrupt:  # Ctrl-C before the signal handler was installed
    print("Stopped.", file=sys.stderr)
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(run_script("train"))
