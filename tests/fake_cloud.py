"""A cloud on one machine for Ray's autoscaler, which refuses launches, and whose machines take time to boot.

A node type's `node_config` may say `refused`, the words with which each launch of it fails, and `boot_s`, how
many seconds a machine takes from its launch to Ray. The provider's `log` has a line of JSON for each launch
that is asked for and each machine that is up.
"""

import json
import threading
import time
from pathlib import Path
from typing import Any

from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.tags import TAG_RAY_USER_NODE_TYPE

NO_CAPACITY = "InsufficientInstanceCapacity: no spot capacity in us-east-2a"


def node_type(
    most: int, priority: int = 0, node: dict[str, object] | None = None, **resources: int
) -> object:
    """What cluster.yaml says of a type of nodes, of which there are at most so many."""
    return {
        "resources": {**resources, "object_store_memory": 100 * 2**20},
        "node_config": node or {},
        "min_workers": 0,
        "max_workers": most,
        "priority": priority,
    }


def launches(folder: Path, node_type: str) -> list[str]:
    """The outcome of each launch of a type, in order; `folder` is the head's."""
    log = folder / "launches.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [line["event"] for line in lines if line["type"] == node_type]


class FakeCloud(FakeMultiNodeProvider):
    """Ray's own provider of nodes that are processes, less willing."""

    def create_node_with_resources_and_labels(
        self, node_config: dict[str, Any], tags: dict[str, str], count: int, *rest: Any
    ) -> None:
        for _ in range(count):
            self._note("asked", tags)
            if reason := node_config.get("refused"):
                raise RuntimeError(reason)
            boot = threading.Timer(node_config.get("boot_s", 0), self._boot, [node_config, tags, *rest])
            boot.daemon = True
            boot.start()

    def _boot(self, node_config: dict[str, Any], tags: dict[str, str], *rest: Any) -> None:
        self._create_node_with_resources_and_labels(node_config, tags, 1, *rest)
        self._note("up", tags)

    def _note(self, event: str, tags: dict[str, str]) -> None:
        line = {"event": event, "type": tags[TAG_RAY_USER_NODE_TYPE], "time": time.time()}
        with Path(self.provider_config["log"]).open("a") as log:
            log.write(json.dumps(line) + "\n")
