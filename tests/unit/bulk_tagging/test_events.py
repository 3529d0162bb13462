"""What a worker logs can be read by a program, and tells the run."""

import json
import logging

from raybio.bulk_tagging.events import log_as_json


def test_every_event_is_a_line_of_json_with_the_run(capsys):
    logger = logging.getLogger("raybio.somewhere")
    log_as_json("r1")
    log_as_json("r2")
    logger.info("shard %s\nis done", "β", extra={"shard": "in-00000", "documents": 9})
    try:
        raise ValueError("no")
    except ValueError:
        logger.exception("it failed")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    reported = {key: first[key] for key in ("level", "message", "run_id", "shard", "documents")}
    assert reported == {
        "level": "INFO",
        "message": "shard β\nis done",
        "run_id": "r2",
        "shard": "in-00000",
        "documents": 9,
    }
    assert first["time"].endswith("+00:00")
    assert (second["level"], second["error"].splitlines()[-1]) == ("ERROR", "ValueError: no")
