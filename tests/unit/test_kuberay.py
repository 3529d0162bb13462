"""configs/kuberay/: what KubeRay takes, big enough, tried once, and what docs/kubernetes.md says."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from raybio.config import ServeConfig, job_of, load_config
from raybio.config.demand import Demand
from raybio.serving import applications
from raybio.submission.room import check_room, nodes_of_file

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "configs" / "kuberay"
PAGE = (ROOT / "docs" / "kubernetes.md").read_text("utf-8")
MANIFESTS = {file.stem: [*yaml.safe_load_all(file.read_text("utf-8"))] for file in FOLDER.glob("*.yaml")}
OF_RAY = [name for name, (first, *_) in MANIFESTS.items() if first["apiVersion"] == "ray.io/v1"]

# What our manifests may say, from Kubernetes' core/v1 and the published definitions of KubeRay v1.7.0
# (ray-operator/config/crd/bases/ray.io_{rayclusters,rayjobs,rayservices}.yaml, version v1, `spec`).
KEY = {"name": str, "key": str}
RESOURCES = {"cpu": str, "memory": str, "nvidia.com/gpu": str}
CONTAINER = {
    "name": str,
    "image": str,
    "args": [str],
    "env": [{"name": str, "value": str, "valueFrom": {"secretKeyRef": KEY}}],
    "envFrom": [{"secretRef": {"name": str, "optional": bool}}],
    "ports": [{"containerPort": int, "name": str}],
    "readinessProbe": {"exec": {"command": [str]}},
    "volumeMounts": [{"name": str, "mountPath": str}],
    "resources": {"requests": RESOURCES, "limits": RESOURCES},
}
POD = {
    "serviceAccountName": str,
    "imagePullSecrets": [{"name": str}],
    "nodeSelector": dict,
    "tolerations": [{"key": str, "operator": ("Exists", "Equal"), "effect": ("NoSchedule", "NoExecute")}],
    "containers": [CONTAINER],
}
CLUSTER_FIELDS = {
    "rayVersion": str,
    "authOptions": {"mode": ("disabled", "token")},
    "enableInTreeAutoscaling": bool,
    "autoscalerOptions": {"version": ("v1", "v2"), "idleTimeoutSeconds": int},
    "gcsFaultToleranceOptions": {"redisAddress": str, "redisPassword": {"valueFrom": {"secretKeyRef": KEY}}},
    "headGroupSpec": {"serviceType": str, "rayStartParams": dict, "template": {"spec": POD}},
    "workerGroupSpecs": [
        {
            "groupName": str,
            "replicas": int,
            "minReplicas": int,
            "maxReplicas": int,
            "rayStartParams": dict,
            "template": {"spec": POD},
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
    "RayService": {
        "serveConfigV2": str,
        "upgradeStrategy": {"type": ("NewCluster", "NewClusterWithIncrementalUpgrade", "None")},
        "rayClusterConfig": CLUSTER_FIELDS,
    },
    "Service": {"selector": dict, "ports": [{"name": str, "port": int}]},
    "StatefulSet": {
        "serviceName": str,
        "replicas": int,
        "selector": {"matchLabels": dict},
        "template": {"metadata": {"labels": dict}, "spec": POD},
        "volumeClaimTemplates": [
            {
                "metadata": {"name": str},
                "spec": {"accessModes": [str], "resources": {"requests": {"storage": str}}},
            }
        ],
    },
}


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


def spec_of(name):
    [manifest] = MANIFESTS[name]
    return manifest["spec"]


def cluster_of(name):
    spec = spec_of(name)
    return spec.get("rayClusterSpec") or spec.get("rayClusterConfig") or spec


def groups_of(name):
    return {group["groupName"]: group for group in cluster_of(name)["workerGroupSpecs"]}


def pods_of(name):
    cluster = cluster_of(name)
    return [group["template"]["spec"] for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]]


# Fields -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MANIFESTS)
def test_every_field_is_known(name):
    found = [
        fault
        for manifest in MANIFESTS[name]
        for fault in faults(manifest["spec"], FIELDS[manifest["kind"]], manifest["kind"])
    ]
    assert found == []


def test_there_is_one_manifest_of_each_kind():
    assert sorted(manifest["kind"] for some in MANIFESTS.values() for manifest in some) == sorted(FIELDS)


def strict(schema):
    """Return a schema of Kubernetes as JSON Schema that refuses what it does not name."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: value for key, value in schema.items() if key in ("enum", "default", "required")}
    made |= {key: strict(value) for key, value in schema.items() if key not in (*made, "properties")}
    if "properties" in schema:
        made["properties"] = {name: strict(value) for name, value in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
    return made


def validator(crds: Path, kind: str):
    """Return what checks a `kind` against the version v1 of its definition."""
    definition = yaml.load((crds / f"ray.io_{kind.lower()}s.yaml").read_text("utf-8"), yaml.CSafeLoader)
    [version] = [each for each in definition["spec"]["versions"] if each["name"] == "v1"]
    schema = strict(version["schema"]["openAPIV3Schema"])
    # Kubernetes checks an object's metadata itself; the definition has no fields for it.
    schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", OF_RAY)
def test_the_definitions_of_kuberay_take_every_manifest(crds, name):
    [manifest] = MANIFESTS[name]
    check = validator(crds, manifest["kind"])
    assert [f"{error.json_path}: {error.message}" for error in check.iter_errors(manifest)] == []
    pod = pods_of(name)[-1]["containers"][0]
    for field, value in [("envfrom", []), ("env", [{"nam": "A"}]), ("image", 1)]:
        before = pod.get(field)
        pod[field] = value
        assert [*check.iter_errors(manifest)], f"{field} {value} was not refused"
        if before is None:
            del pod[field]
        else:
            pod[field] = before


def test_the_pod_of_redis_is_one_that_kubernetes_takes(crds):
    """Its template is of the same kind as those of a RayCluster."""
    *_, redis = MANIFESTS["redis"]
    schema = validator(crds, "RayCluster").schema["properties"]["spec"]["properties"]["headGroupSpec"]
    check = jsonschema.Draft202012Validator(schema["properties"]["template"])
    template = {"spec": redis["spec"]["template"]["spec"]}
    assert [f"{error.json_path}: {error.message}" for error in check.iter_errors(template)] == []


# Pods -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_RAY)
def test_pods_ask_for_what_they_may_have_at_most(name):
    """Ray counts limits; a pod that asked for less would be put where there is no such room."""
    for pod in pods_of(name):
        for container in pod["containers"]:
            assert container["resources"]["requests"] == container["resources"]["limits"]
    cluster_file = yaml.safe_load((ROOT / "cluster.yaml").read_text("utf-8"))
    assert cluster_of(name)["rayVersion"] == cluster_file["docker"]["image"].split(":")[1].split("-")[0]


@pytest.mark.parametrize("name", OF_RAY)
def test_a_gpu_pod_fits_on_its_machine_and_only_it_goes_there(name):
    """A node with 4 CPUs has less than 4 to give."""
    pods = groups_of(name)["gpu"]["template"]["spec"]
    [container] = pods["containers"]
    assert int(container["resources"]["limits"]["cpu"]) <= 3
    assert int(container["resources"]["limits"]["memory"].removesuffix("Gi")) <= 12
    assert pods["nodeSelector"] == {"node.kubernetes.io/instance-type": "g6.xlarge"}
    assert pods["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    others = [pod for pod in pods_of(name) if pod is not pods]
    assert not any("nodeSelector" in pod or "tolerations" in pod for pod in others)


@pytest.mark.parametrize("name", OF_RAY)
def test_every_pod_has_the_environment_the_registry_and_the_account(name):
    for pod in pods_of(name):
        assert pod["serviceAccountName"] == "raybio"
        assert pod["imagePullSecrets"] == [{"name": "raybio-registry"}]
        assert "volumes" not in pod  # models come from the bucket
        for container in pod["containers"]:
            assert container["envFrom"] == [{"secretRef": {"name": "raybio-env", "optional": True}}]
            assert {each["name"] for each in container["env"]} == {"RAYBIO_MODEL_CACHE_GB"}
    for secret in ("raybio-env", "raybio-registry", "raybio-redis"):
        assert re.search(rf"kubectl create secret \S+ {secret} ", PAGE), secret


# Jobs and services ------------------------------------------------------------------------------


def test_the_rayjob_is_tried_once():
    """An attempt starts a cluster of its own, and to KubeRay all failures are the same."""
    spec = spec_of("rayjob")
    assert spec["backoffLimit"] == 0
    assert "model=s3://" in spec["entrypoint"]


def test_the_rayjob_runs_one_of_our_jobs_and_has_room_for_it():
    spec = spec_of("rayjob")
    python, script, config, *words = spec["entrypoint"].split()
    inside = {path: ROOT / Path(path).relative_to("/home/ray/raybio") for path in (script, config)}
    assert python == "python" and inside[script].is_file()
    loaded = load_config(inside[config], words)
    assert loaded.taggers.max_count == groups_of("rayjob")["gpu"]["maxReplicas"]
    driver = Demand("driver", 1, spec["entrypointNumCpus"], 0)
    most = Demand("tagger", loaded.taggers.max_count, loaded.taggers.cpus, loaded.taggers.gpus)
    check_room([(most, driver)], nodes_of_file(FOLDER / "rayjob.yaml"))


def test_the_rayservice_names_applications_that_are_there():
    served = yaml.safe_load(spec_of("rayservice")["serveConfigV2"])
    model, http = served["applications"]
    for application in (model, http):
        module, name = application["import_path"].split(":")
        assert module == applications.__name__ and callable(getattr(applications, name))
    config = job_of(ServeConfig, {"models": [model["args"]]}, source="rayservice.yaml")
    assert [config.models[0].name] == [model["name"]] == http["args"]["models"]
    replicas = Demand("replica", config.models[0].max_replicas, 1, 1)
    check_room([(replicas,)], nodes_of_file(FOLDER / "rayservice.yaml"))


def test_the_rayservice_keeps_its_heads_state_in_the_redis_beside_it():
    service, stateful = MANIFESTS["redis"]
    [port] = service["spec"]["ports"]
    options = cluster_of("rayservice")["gcsFaultToleranceOptions"]
    assert options["redisAddress"] == f"{service['metadata']['name']}:{port['port']}"
    [container] = stateful["spec"]["template"]["spec"]["containers"]
    [password] = container["env"]
    assert password["valueFrom"] == options["redisPassword"]["valueFrom"]
    assert container["args"][:3] == ["redis-server", "--requirepass", f"$({password['name']})"]
    labels = stateful["spec"]["template"]["metadata"]["labels"]
    assert labels == service["spec"]["selector"] == stateful["spec"]["selector"]["matchLabels"]
    [claim] = stateful["spec"]["volumeClaimTemplates"]
    assert [mount["name"] for mount in container["volumeMounts"]] == [claim["metadata"]["name"]]


def test_the_page_says_what_an_upgrade_costs():
    assert spec_of("rayservice")["upgradeStrategy"]["type"] == "NewCluster"
    gpu = groups_of("rayservice")["gpu"]
    words = " ".join(PAGE.split())
    assert f"{gpu['minReplicas']} more at least and {gpu['maxReplicas']} at most" in words
    assert f"a quota for {2 * gpu['maxReplicas']} GPUs" in words
