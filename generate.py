"""Generate text with a trained model: python generate.py --seed Aragorn --mode sample"""

import sys

try:
    from wordgen.cli.start import run_script
except KeyboardInterrupt:  # Ctrl-C before the signal handler was installed
    print("Stopped.", file=sys.stderr)
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(run_script("generate"))
