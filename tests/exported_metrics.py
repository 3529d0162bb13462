"""What the exporter of this session's cluster gives to Prometheus."""

import time
import urllib.request

import ray

# Whatever proxy this machine's user has, it is not for this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def wait_for_metrics(wanted: set[str], label: str, seconds: float = 90) -> set[str]:
    """Return the names with `label` ('model="m"') once all `wanted` are there, or time is over."""
    (node,) = ray.nodes()
    address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    until = time.monotonic() + seconds
    found: set[str] = set()
    while not wanted <= found and time.monotonic() < until:
        time.sleep(2)  # they are passed on every few seconds
        with _OPENER.open(address) as answer:
            lines = answer.read().decode().splitlines()
        found = {line.partition("{")[0] for line in lines if label in line}
    return found
