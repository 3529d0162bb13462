from raybio.refusals import reasons

SPOT = "Node Launch Exception (InsufficientInstanceCapacity): no capacity for g6.xlarge: none."
LOG = f"""\
2026-11-30 09:17:28,001	INFO node_provider.py:485 -- Launching 2 nodes of type spot.
2026-11-30 09:17:28,011	INFO node_provider.py:491 -- Failed to launch 2 nodes of type spot: the first reason
2026-11-30 09:17:29,996	INFO event_logger.py:77 -- Adding 1 node(s) of type spot.
2026-11-30 09:17:30,011	INFO node_provider.py:491 -- Failed to launch 1 nodes of type spot: {SPOT}
2026-11-30 09:17:30,012	INFO node_provider.py:491 -- Failed to launch 1 nodes of type cpu: \x1b[31mquota of 0
2026-11-30 09:17:30,013	INFO node_provider.py:491 -- Failed to launch 1 nodes of type silent:
"""


def test_the_last_reason_of_each_type_is_found_in_the_autoscalers_log():
    assert reasons(LOG.splitlines()) == {"spot": SPOT, "cpu": "quota of 0"}


def test_a_log_without_failures_has_none():
    assert reasons(["Launching 2 nodes of type spot.", ""]) == {}
