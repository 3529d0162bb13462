"""Models behind Ray Serve: deployments, a client that retries, and an HTTP interface with a page.

answers.py       what a replica says to a request, and what its client knows besides
batcher.py       lets requests wait, and gives them to a model in batches, in turns
replica.py       holds a tagger; measures
deployment.py    deploy(), described(), handle_of(), undeploy(): a model as an application of Ray Serve
client.py        asks again where asking again helps, and counts
metrics.py       the metrics that Prometheus reads
requests.py      an HTTP body -> documents; documents with mentions -> the format asked for
schema.py        what requests and answers look like, for OpenAPI
refusal.py       a request that is refused: status, message, remedy
guard.py         which hosts are answered; headers of every answer
body_limit.py    bounds what reading bodies costs
app.py           the HTTP interface over any models, without Ray
http_server.py   an HTTP server for it in a replica's own event loop
deployed_model.py  a model behind a handle, as the interface sees it
ingress.py       the same as a deployment, and `raybio serve`
applications.py  models and interface for Ray Serve's own config files

load_generator.py   requests one at a time, in a window, or as they arrive; latency from the schedule
scenarios.py        single-stream, server, offline, scaling and the study's own timing
figures.py          what the requests of one scenario come to
bare_tagger.py      the model without a server: the answers that served ones are compared with
accuracy.py         whether the work was equal
request_table.py    requests.parquet
benchmark_table.py  the figures as text
benchmark.py        `raybio benchmark-serve`: every model on every corpus, and its run folder
"""

import os

# Ray Serve reads these when it is imported, and its processes inherit them. A replica says how many
# requests it has in flight before it gets one; where all cores compute, that takes more than the 0.1 s
# that are allowed by default, and every late answer is a line in the log and another try.
os.environ.setdefault("RAY_SERVE_QUEUE_LENGTH_RESPONSE_DEADLINE_S", "1")
