"""Names that libraries keep for themselves, and raybio uses all the same: a test says when one is gone."""

from __future__ import annotations

import ast
import importlib
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Use(NamedTuple):
    """A file of raybio, the module with the private name, that name, and what it is needed for."""

    file: str
    module: str
    name: str
    purpose: str


_BACKPRESSURE = "ray.data._internal.execution.backpressure_policy"
_TASK_POOL = "ray.data._internal.execution.operators.task_pool_map_operator"

USES = [
    Use("cluster.py", "ray._common.utils", "get_default_system_temp_dir", "where Ray puts its session"),
    Use("cluster.py", "ray._private.ray_constants", "ENABLE_RAY_CLUSTER", "ports of this machine alone"),
    Use("cluster.py", "ray._private.ray_constants", "ENABLE_RAY_CLUSTERS_ENV_VAR", "the same"),
    Use("cluster.py", "ray._raylet", "AuthenticationTokenLoader", "a token that protects those ports"),
    Use("cluster.py", "ray._raylet", "Config.initialize", "the same"),
    Use("bulk_tagging/pool.py", _BACKPRESSURE, "BackpressurePolicy", "few readers for few taggers"),
    Use("bulk_tagging/pool.py", _BACKPRESSURE, "ENABLED_BACKPRESSURE_POLICIES", "the same"),
    Use("bulk_tagging/pool.py", _BACKPRESSURE, "ENABLED_BACKPRESSURE_POLICIES_CONFIG_KEY", "the same"),
    Use("bulk_tagging/pool.py", _TASK_POOL, "TaskPoolMapOperator", "the same"),
    Use("bulk_tagging/pool.py", "ray.data._internal.execution.interfaces", "PhysicalOperator", "its type"),
    Use("model_metrics.py", "ray.util.metrics", "Counter._record", "counters that begin at 0"),
    Use("ray_messages.py", "ray._private.worker", "print_to_stdstream", "each cause of death said once"),
    Use("serving/ingress.py", "ray.serve._private.logging_utils", "get_serve_logs_dir", "where Serve logs"),
    Use("training/trainer.py", "ray.train.torch", "TorchTrainer._register_sigint_handler", "Ctrl-C"),
    Use("training/deepspeed.py", "deepspeed.ops", "__compatible_ops__", "no kernel compiled on a CPU"),
    Use("taggers/prepacked.py", "torch", "ops.mkldnn._linear_pointwise", "layers packed once"),
    Use("taggers/prepacked.py", "torch", "ops.mkldnn._reorder_linear_weight", "the same"),
    Use("training/activations.py", "torch._subclasses.fake_tensor", "FakeTensorMode", "memory by shapes"),
    Use("taggers/both_ways.py", "transformers", "PretrainedConfig._attn_implementation", "attention's masks"),
]


@pytest.mark.parametrize("use", USES, ids=lambda use: use.name)
def test_a_private_name_is_still_there(use: Use) -> None:
    found: object = importlib.import_module(use.module)
    try:
        for name in use.name.split("."):
            found = getattr(found, name)
    except AttributeError:
        library = use.module.partition(".")[0]
        pytest.fail(
            f"{library} {version(library)} has no {use.module}.{use.name} any more, which raybio/{use.file} "
            f"needs ({use.purpose}). Find what took its place, or set an upper bound in pyproject.toml"
        )


def test_each_import_of_a_private_module_is_listed() -> None:
    found = {
        (path.relative_to(ROOT / "raybio").as_posix(), module)
        for path in (ROOT / "raybio").rglob("*.py")
        for module in _imported(path)
        if any(part.startswith("_") for part in module.split(".")) and module != "__future__"
    }
    listed = {(use.file, use.module) for use in USES}
    private = {(file, module) for file, module in listed if "._" in module}
    assert found == private, "USES names each, with what it is needed for"


def _imported(path: Path) -> set[str]:
    """Return the modules that a file imports; of a package's private parts, `from ray._private import x`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            last = node.module.rpartition(".")[2]
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names}
                if last.startswith("_private")
                else {node.module}
            )
    return found
