"""Models behind Ray Serve: deployments, a client that retries, an HTTP interface with a page; a benchmark."""

import os

# Ray Serve reads these when it is imported, and its processes inherit them. A replica says how many
# requests it has in flight before it gets one; where all cores compute, that takes more than the 0.1 s
# that are allowed by default, and every late answer is a line in the log and another try.
os.environ.setdefault("RAY_SERVE_QUEUE_LENGTH_RESPONSE_DEADLINE_S", "1")
