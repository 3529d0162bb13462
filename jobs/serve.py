"""Serve models on Ray Serve until it is stopped: config -> deployments -> HTTP interface and page.

    python jobs/serve.py CONFIG [key=value ...]

The same door as `raybio serve`; Ctrl-C or SIGTERM stops it once open requests are answered.
"""

import sys

from raybio.cli import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
