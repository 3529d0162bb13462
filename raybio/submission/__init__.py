"""A job on somebody else's cluster: checked here, sent there, followed to its exit code."""

from raybio.submission.jobs import follow, list_jobs, submit

__all__ = ["follow", "list_jobs", "submit"]
