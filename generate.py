"""Write with a trained model: python generate.py --seed Aragorn --mode sample"""

import sys

try:
    from wordgen.cli.start import run_script
except KeyboardInterrupt:  # it came before it could be listened for
    print("Stopped.", file=sys.stderr)
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(run_script("generate"))
