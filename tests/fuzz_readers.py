"""Coverage-guided fuzzing of the readers, with atheris: `python fuzz_readers.py CORPUS -max_total_time=60`.

The first byte of an input chooses the format, the rest is the file. A reader may yield rejected records
or raise InputError; whatever else it raises, or a hang, ends the run. CORPUS is a folder: it is
filled with good files where it is empty, and keeps what was found to reach new code.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["raybio.corpora"]):
    from raybio.corpora import format_named, formats
    from raybio.errors import InputError

    for each in formats().values():
        __import__(each.module)

from mutations import FORMATS_MUTATED, good_file

_FILE = Path(tempfile.mkdtemp(prefix="raybio-fuzz-"), "input")


def read(data: bytes) -> None:
    """Read one input to its end."""
    if not data:
        return
    format = format_named(FORMATS_MUTATED[data[0] % len(FORMATS_MUTATED)])
    _FILE.write_bytes(data[1:])
    try:
        for _ in format.read_path(str(_FILE)):
            pass
    except InputError:
        pass


if __name__ == "__main__":
    corpus = Path(sys.argv[1])
    if not any(corpus.iterdir()):
        for number, name in enumerate(FORMATS_MUTATED):
            (corpus / name).write_bytes(bytes([number]) + good_file(name))
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
