"""Run a study, or go on with it: config -> runs, as the cluster has room -> a folder of run folders.

    python jobs/run_study.py CONFIG [key=value ...] [--json FILE]

The same door as `raybio study run`.
"""

import sys

from raybio.cli import main

if __name__ == "__main__":
    sys.exit(main(["study", "run", *sys.argv[1:]]))
