"""Fine-tune an encoder on Ray Train and score it: config -> training -> run folder.

    python jobs/train_encoder.py CONFIG [key=value ...] [--json FILE]

The same door as `raybio train-encoder`.
"""

import sys

from raybio.cli import main

if __name__ == "__main__":
    sys.exit(main(["train-encoder", *sys.argv[1:]]))
