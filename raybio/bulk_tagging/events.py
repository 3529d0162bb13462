"""What workers log: a line of JSON for each event, with the run's id, in Ray's folder of logs."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from raybio.safe_text import safe

_PLAIN = frozenset(vars(logging.makeLogRecord({})))


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON: when, how grave, what, `run_id`, and whatever came as `extra`."""

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self._run_id = run_id

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": safe(record.getMessage()),
            "run_id": self._run_id,
            **{name: value for name, value in vars(record).items() if name not in _PLAIN},
        }
        if record.exc_info:
            event["error"] = safe(self.formatException(record.exc_info))
        return json.dumps(event, ensure_ascii=False, default=str)


def log_as_json(run_id: str) -> None:
    """Let all that raybio logs in this process from now on go to stderr as lines of JSON.

    A worker's stderr is a file of its own in Ray's folder of logs.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(run_id))
    logger = logging.getLogger("raybio")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
