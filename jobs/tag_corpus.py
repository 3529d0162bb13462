"""Tag a corpus on Ray Data, shard by shard: config -> bulk tagging -> output folder.

    python jobs/tag_corpus.py CONFIG [key=value ...] [--json FILE]

The same door as `raybio tag-corpus`; run it again to go on where it stopped.
"""

import sys

from raybio.cli import main

if __name__ == "__main__":
    sys.exit(main(["tag-corpus", *sys.argv[1:]]))
