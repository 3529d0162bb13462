"""Fine-tune an LLM's adapter on Ray Train with DeepSpeed and score it: config -> training -> run folder.

    python jobs/train_decoder.py CONFIG [key=value ...] [--json FILE]

The same door as `raybio train-decoder`.
"""

import sys

from raybio.cli import main

if __name__ == "__main__":
    sys.exit(main(["train-decoder", *sys.argv[1:]]))
