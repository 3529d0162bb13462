"""Measure served models on Ray Serve: config -> deploy, warm up, drive, score -> run folder.

    python jobs/benchmark_serve.py CONFIG [key=value ...] [--json FILE]

The same door as `raybio benchmark-serve`.
"""

import sys

from raybio.cli import main

if __name__ == "__main__":
    sys.exit(main(["benchmark-serve", *sys.argv[1:]]))
