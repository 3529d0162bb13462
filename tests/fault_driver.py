"""A driver as the fault tests start it: the real job, with a tagger that does what words tell it to.

    python fault_driver.py CONFIG SECONDS [REJECTED]

The tagger takes SECONDS for a document, tags each word with a capital, dies of the word "Lethal" and
hangs at the word "Endless". Where REJECTED records are replayed, "Lethal" has become harmless. On a node
whose environment says RAYBIO_TEST_BROKEN=load it does not load, with =die it dies of that, and with =write
its shards cannot be written.
It gets in by Ray's own way to set up worker processes; the job knows nothing of it. In the folder
RAYBIO_TEST_PLACES each node has a file where files were read or text cut on it. RAYBIO_TEST_SAID_SECONDS is
how often the driver says what it waits for.
"""

import errno
import logging
import os
import signal
import sys
import time
from pathlib import Path


def install_tagger(seconds: float, lethal: bool) -> None:
    """Put the tagger in the place of those that model folders hold."""
    import raybio.taggers

    class Capitals:
        labels = ("Name",)

        def __init__(self):
            self.counts = {}

        def tag(self, sentences):
            words = {word for sentence in sentences for word in sentence.words}
            if lethal and "Lethal" in words:
                os.kill(os.getpid(), signal.SIGKILL)
            if "Endless" in words:
                time.sleep(10_000)
            time.sleep(seconds * len({sentence.document_id for sentence in sentences}))
            return [
                raybio.taggers.Tags(
                    tuple("B-Name" if word[0].isupper() else "O" for word in sentence.words),
                    (0.5,) * len(sentence),
                )
                for sentence in sentences
            ]

    def load_tagger(*_, **__):
        if os.environ.get("RAYBIO_TEST_BROKEN") == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return full() if os.environ.get("RAYBIO_TEST_BROKEN") == "load" else Capitals()

    raybio.taggers.load_tagger = load_tagger
    if os.environ.get("RAYBIO_TEST_BROKEN") == "write":
        from raybio.bulk_tagging.commit import ShardFiles

        ShardFiles.write = full
    if places := os.environ.get("RAYBIO_TEST_PLACES"):
        from raybio.bulk_tagging import stages

        stages.read_shards = noting(stages.read_shards, Path(places))
        stages.cut = noting(stages.cut, Path(places))


def full(*_):
    """Fail as what writes to a disk that is full; note it in a folder."""
    (Path(os.environ["RAYBIO_TEST_PLACES"]) / "refused").touch()
    raise OSError(errno.ENOSPC, "No space left on device")


def noting(function, places):
    """Return what does the same, and notes in a folder on which node."""

    def noted(*arguments):
        import ray

        (places / ray.get_runtime_context().get_node_id()).touch()
        return function(*arguments)

    return noted


def main(config: str, seconds: float, replay: str | None = None) -> int:
    """Run the job of the file `config`; return what the command would exit with."""
    import ray

    from raybio import waiting
    from raybio.bulk_tagging import tag_corpus
    from raybio.config import load_config
    from raybio.errors import RaybioError

    if said := os.environ.get("RAYBIO_TEST_SAID_SECONDS"):
        waiting.SAID_SECONDS = waiting._ASKED_SECONDS = float(said)
    # Workers find this file as a module, through it the tagger, and the way to a bucket where one is given.
    tests = str(Path(__file__).parent)
    given = ("AWS_", "RAYBIO_TEST_PLACES")
    store = {name: value for name, value in os.environ.items() if name.startswith(given)}
    ray.init(
        address=os.environ["RAY_ADDRESS"],
        logging_level=logging.WARNING,
        log_to_driver=False,
        runtime_env={
            "worker_process_setup_hook": lambda: install_tagger(seconds, lethal=replay is None),
            "env_vars": {"PYTHONPATH": f"{Path(tests).parent}:{tests}", "OMP_NUM_THREADS": "1", **store},
        },
    )
    try:
        tag_corpus(load_config(config), lambda line: print(line, file=sys.stderr), replay)
    except RaybioError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]), *sys.argv[3:]))
