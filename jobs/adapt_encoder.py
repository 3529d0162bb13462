"""Go on with an encoder's pretraining on Ray Train: config -> reading on -> run folder.

    python jobs/adapt_encoder.py CONFIG [key=value ...] [--json FILE]

The same door as `raybio adapt-encoder`.
"""

import sys

from raybio.cli import main

if __name__ == "__main__":
    sys.exit(main(["adapt-encoder", *sys.argv[1:]]))
