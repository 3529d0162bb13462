"""What the exporter of this session's cluster gives to Prometheus."""

import time
import urllib.request

import ray

# Whatever proxy this machine's user has, it is not for this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def wait_for_metrics(wanted: set[str], label: str, seconds: float = 90) -> dict[str, float]:
    """Return the metrics with `label` ('model="m"') once all `wanted` are there, or time is over.

    Of samples with the same name the value is their sum.
    """
    (node,) = ray.nodes()
    address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    until = time.monotonic() + seconds
    found: dict[str, float] = {}
    while not wanted <= found.keys() and time.monotonic() < until:
        time.sleep(2)  # they are passed on every few seconds
        with _OPENER.open(address) as answer:
            lines = answer.read().decode().splitlines()
        found = {}
        for name, value in (
            (line.partition("{")[0], line.rpartition(" ")[2]) for line in lines if label in line
        ):
            found[name] = found.get(name, 0.0) + float(value)
    return found
