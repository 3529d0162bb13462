"""cluster.yaml, configs/kuberay/, the Dockerfile: well-formed, big enough, and what they cost."""

import copy
import re
from pathlib import Path

import pytest
import yaml
from dockerfile import instructions
from ray.autoscaler._private.util import prepare_config, validate_config

from raybio.config import JOBS, load_config
from raybio.config.demand import Demand
from raybio.config.prices import load_prices, shipped_prices
from raybio.config.study_cells import demands
from raybio.on_demand import resource_of
from raybio.submission.room import check_room, nodes_of_file

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "cluster.yaml"
CLUSTER = yaml.safe_load(FILE.read_text("utf-8"))
TYPES = CLUSTER["available_node_types"]
KUBERAY = sorted((ROOT / "configs" / "kuberay").glob("*.yaml"))
PAGE = (ROOT / "docs" / "cluster.md").read_text("utf-8")
PRICES = {machine.name: machine for machine in load_prices(shipped_prices())}
# A driver takes this much of a node, where the head takes no tasks.
DRIVER = Demand("driver", 1, 1, 0)

# What our manifests may say, from the published definitions of KubeRay v1.7.0
# (ray-operator/config/crd/bases/ray.io_{rayclusters,rayjobs,rayservices}.yaml, version v1, `spec`).
CLUSTER_FIELDS = {
    "rayVersion": str,
    "authOptions": {"mode": ("disabled", "token")},
    "enableInTreeAutoscaling": bool,
    "autoscalerOptions": {"version": ("v1", "v2"), "idleTimeoutSeconds": int},
    "headGroupSpec": {"serviceType": str, "rayStartParams": dict, "template": dict},
    "workerGroupSpecs": [
        {
            "groupName": str,
            "replicas": int,
            "minReplicas": int,
            "maxReplicas": int,
            "rayStartParams": dict,
            "template": dict,
        }
    ],
}
FIELDS = {
    "RayCluster": CLUSTER_FIELDS,
    "RayJob": {
        "entrypoint": str,
        "entrypointNumCpus": (int, float),
        "shutdownAfterJobFinishes": bool,
        "ttlSecondsAfterFinished": int,
        "backoffLimit": int,
        "rayClusterSpec": CLUSTER_FIELDS,
    },
    "RayService": {"serveConfigV2": str, "rayClusterConfig": CLUSTER_FIELDS},
}


def job_configs() -> list[str]:
    files = sorted((ROOT / "configs").rglob("*.yaml"))
    return [
        str(file.relative_to(ROOT)) for file in files if re.search(r"(?m)^job: ", file.read_text("utf-8"))
    ]


def test_rays_own_schema_takes_the_file():
    prepared = prepare_config(copy.deepcopy(CLUSTER))
    validate_config(prepared)
    assert prepared["available_node_types"]["gpu_spot"]["resources"] == {"CPU": 4, "GPU": 1}
    del prepared["provider"]
    with pytest.raises(Exception, match="provider"):
        validate_config(prepared)


def test_the_head_runs_no_tasks_and_nothing_outlives_its_use():
    assert TYPES[CLUSTER["head_node_type"]]["resources"] == {"CPU": 0}
    assert CLUSTER["provider"]["cache_stopped_nodes"] is False
    assert all(kind.get("min_workers", 0) == 0 for kind in TYPES.values())


def test_image_and_ami_are_pinned():
    assert re.fullmatch(r"rayproject/ray:\d+\.\d+\.\d+-py\d+-cu\d+", CLUSTER["docker"]["image"])
    amis = {kind["node_config"]["ImageId"] for kind in TYPES.values()}
    assert len(amis) == 1 and re.fullmatch(r"ami-[0-9a-f]{17}", *amis)


def test_what_is_spot_is_to_be_had_on_demand_too():
    """By the resource with which a job asks for nodes in the place of spot nodes, as many as fit."""

    def stand_in(kind):
        resource, amount = resource_of(kind["resources"])
        return kind["node_config"]["InstanceType"], {**kind["resources"], resource: amount}

    spot = [kind for kind in TYPES.values() if "InstanceMarketOptions" in kind["node_config"]]
    listed = [
        (kind["node_config"]["InstanceType"], kind["resources"])
        for kind in TYPES.values()
        if kind not in spot
    ]
    assert spot and all(stand_in(kind) in listed for kind in spot)
    # The expensive one only where the other is not to be had.
    assert all(kind["priority"] > 0 for kind in spot)


def test_nothing_listens_in_the_open_and_no_secret_is_written():
    (head,) = (line for line in CLUSTER["head_start_ray_commands"] if "--head" in line)
    assert "--dashboard-host=127.0.0.1" in head
    started = CLUSTER["head_start_ray_commands"] + CLUSTER["worker_start_ray_commands"]
    assert all("RAY_AUTH_MODE=token" in line for line in started if "ray start" in line)
    assert all("Name" in kind["node_config"]["IamInstanceProfile"] for kind in TYPES.values())
    for file in [FILE, *KUBERAY, ROOT / "Dockerfile"]:
        assert not re.search(r"AKIA|(?i:secret_access_key|password|auth_token=)", file.read_text("utf-8"))


@pytest.mark.parametrize("name", TYPES)
def test_a_node_type_promises_what_its_machine_has(name):
    machine = PRICES[TYPES[name]["node_config"]["InstanceType"]]
    resources = TYPES[name]["resources"]
    assert resources.get("GPU", 0) == machine.gpus
    assert resources["CPU"] in ({0} if name == CLUSTER["head_node_type"] else {machine.vcpus})


def test_the_page_states_the_ceiling_of_cost():
    head = PRICES[TYPES["head"]["node_config"]["InstanceType"]].on_demand
    workers = [
        PRICES[kind["node_config"]["InstanceType"]].on_demand
        for name, kind in TYPES.items()
        if name != "head"
        for _ in range(kind["max_workers"])
    ]
    ceiling = head + sum(sorted(workers, reverse=True)[: CLUSTER["max_workers"]])
    # Rounded up: a ceiling.
    assert f"Never more than {ceiling + 0.005:.2f} dollars an hour" in PAGE
    assert f"only the head is left: {head:.2f} dollars an hour" in PAGE


@pytest.mark.parametrize("name", TYPES)
def test_the_page_states_each_node_type_with_its_prices(name):
    kind = TYPES[name]
    instance, spot = kind["node_config"]["InstanceType"], "InstanceMarketOptions" in kind["node_config"]
    price = PRICES[instance]
    most = kind.get("max_workers", 1)
    cells = [name, instance, f"{most}", f"{price.on_demand}", f"{price.spot}" if spot else ""]
    assert f"| {' | '.join(cells)} |".replace("|  |", "| |") in PAGE


@pytest.mark.parametrize("name", job_configs())
@pytest.mark.parametrize("cluster", ["cluster.yaml", "configs/kuberay/raycluster.yaml"])
def test_every_shipped_job_finds_room_with_its_driver(name, cluster):
    config = load_config(ROOT / name)
    assert type(config) is JOBS[config.job]
    check_room([(*together, DRIVER) for together in demands(config)], nodes_of_file(ROOT / cluster))


def faults(data, fields, at):
    if isinstance(fields, dict):
        for key, value in data.items():
            if key not in fields:
                yield f"{at}.{key}: no such field"
            else:
                yield from faults(value, fields[key], f"{at}.{key}")
    elif isinstance(fields, list):
        for number, value in enumerate(data):
            yield from faults(value, fields[0], f"{at}[{number}]")
    elif isinstance(fields, tuple) and all(isinstance(field, str) for field in fields):
        if data not in fields:
            yield f"{at}: {data!r} is not in {fields}"
    elif not isinstance(data, fields) or (fields is int and isinstance(data, bool)):
        yield f"{at}: {data!r} is no {fields}"


@pytest.mark.parametrize("file", KUBERAY, ids=lambda file: file.stem)
def test_kuberay_knows_every_field(file):
    data = yaml.safe_load(file.read_text("utf-8"))
    assert data["apiVersion"] == "ray.io/v1"
    assert list(faults(data["spec"], FIELDS[data["kind"]], "spec")) == []


def test_there_is_one_manifest_of_each_kind():
    assert {yaml.safe_load(file.read_text("utf-8"))["kind"] for file in KUBERAY} == set(FIELDS)


@pytest.mark.parametrize("file", KUBERAY, ids=lambda file: file.stem)
def test_pods_ask_for_what_they_may_have_at_most(file):
    """Ray counts limits; a pod that asked for less would be put where there is no such room."""
    spec = yaml.safe_load(file.read_text("utf-8"))["spec"]
    cluster = spec.get("rayClusterSpec") or spec.get("rayClusterConfig") or spec
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        for container in group["template"]["spec"]["containers"]:
            assert container["resources"]["requests"] == container["resources"]["limits"]
    version = CLUSTER["docker"]["image"].split(":")[1].split("-")[0]
    assert cluster["rayVersion"] == version


def test_the_rayjob_is_tried_once_and_leaves_its_nodes_what_kubernetes_needs():
    """An attempt starts a cluster of its own; a node with 4 CPUs has less than 4 to give."""
    spec = yaml.safe_load((ROOT / "configs" / "kuberay" / "rayjob.yaml").read_text())["spec"]
    assert spec["backoffLimit"] == 0
    groups = {
        group["groupName"]: group["template"]["spec"] for group in spec["rayClusterSpec"]["workerGroupSpecs"]
    }
    [container] = groups["gpu"]["containers"]
    assert container["resources"]["limits"]["cpu"] == "3"
    assert "model=s3://" in spec["entrypoint"]
    assert not any("volumes" in pod for pod in groups.values())


def test_the_rayjob_runs_one_of_our_jobs_and_has_room_for_it(tmp_path):
    file = ROOT / "configs" / "kuberay" / "rayjob.yaml"
    spec = yaml.safe_load(file.read_text("utf-8"))["spec"]
    python, script, config, *words = spec["entrypoint"].split()
    inside = {path: ROOT / Path(path).relative_to("/home/ray/raybio") for path in (script, config)}
    assert python == "python" and inside[script].is_file()
    loaded = load_config(inside[config], words)
    assert loaded.taggers.max_count == next(
        group["maxReplicas"]
        for group in spec["rayClusterSpec"]["workerGroupSpecs"]
        if group["groupName"] == "gpu"
    )
    driver = Demand("driver", 1, spec["entrypointNumCpus"], 0)
    most = Demand("tagger", loaded.taggers.max_count, loaded.taggers.cpus, loaded.taggers.gpus)
    check_room([(most, driver)], nodes_of_file(file))


def test_the_rayservice_names_applications_that_are_there():
    from raybio.config import ServeConfig, job_of
    from raybio.serving import applications

    file = ROOT / "configs" / "kuberay" / "rayservice.yaml"
    served = yaml.safe_load(yaml.safe_load(file.read_text("utf-8"))["spec"]["serveConfigV2"])
    model, http = served["applications"]
    for application in (model, http):
        module, name = application["import_path"].split(":")
        assert module == applications.__name__ and callable(getattr(applications, name))
    config = job_of(ServeConfig, {"models": [model["args"]]}, source="rayservice.yaml")
    assert [config.models[0].name] == [model["name"]] == http["args"]["models"]
    check_room([(Demand("replica", config.models[0].max_replicas, 1, 1),)], nodes_of_file(file))


def test_the_dockerfile_stands_on_the_clusters_image_and_copies_what_is_there():
    steps = list(instructions(ROOT / "Dockerfile"))
    assert steps[0] == ("FROM", CLUSTER["docker"]["image"])
    assert [word for word, _ in steps] == ["FROM", "WORKDIR", "COPY", "COPY", "COPY", "COPY", "RUN", "ENV"]
    for word, rest in steps:
        if word == "COPY":
            *sources, _ = [part for part in rest.split() if not part.startswith("--")]
            assert all((ROOT / source).exists() for source in sources)
