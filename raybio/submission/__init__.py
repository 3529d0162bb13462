"""A job on somebody else's cluster: checked here, sent there, followed to its exit code.

demand.py        what a job's config asks of a cluster
room.py          what the nodes of a cluster have, or those that its file may start
identity.py      a job's name on the cluster: the same for the same job, config and code
job_server.py    the cluster's job server over HTTP
jobs.py          all of it: check, refuse or send, follow; and the list of jobs
"""

from raybio.submission.jobs import follow, list_jobs, submit

__all__ = ["follow", "list_jobs", "submit"]
