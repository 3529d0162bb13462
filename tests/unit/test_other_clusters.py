"""configs/clusters/: Google Cloud, SkyPilot, Slurm. What can be checked of them without any of these."""

import copy
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import cli

from raybio.config import TagCorpusConfig, load_job

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "configs" / "clusters"
GCP = yaml.safe_load((FOLDER / "gcp.yaml").read_text("utf-8"))
AWS = yaml.safe_load((ROOT / "cluster.yaml").read_text("utf-8"))
SKY = yaml.safe_load((FOLDER / "skypilot.yaml").read_text("utf-8"))


def page(name):
    return (ROOT / "docs" / name).read_text("utf-8")


@pytest.mark.parametrize(
    "name", ["gcp.md", "skypilot.md", "slurm.md", "on_premises.md", "kubernetes.md", "monitoring.md"]
)
def test_a_page_says_what_was_not_run_and_is_in_the_sites_list(name):
    assert re.search(r"(was|were) (not )?at\s+hand", page(name))
    assert f": {name}\n" in (ROOT / "mkdocs.yml").read_text("utf-8")


# Google Cloud -----------------------------------------------------------------------------------


def test_rays_own_schema_takes_the_file_of_google_cloud():
    prepared = prepare_config(copy.deepcopy(GCP))
    validate_config(prepared)
    assert prepared["available_node_types"]["gpu_spot"]["resources"] == {"CPU": 4, "GPU": 1}
    del prepared["provider"]
    with pytest.raises(Exception, match="provider"):
        validate_config(prepared)


def test_google_cloud_has_the_kinds_of_nodes_that_aws_has():
    def kinds(cluster):
        return {
            name: (kind["resources"], kind.get("max_workers"), kind.get("labels"), kind.get("priority"))
            for name, kind in cluster["available_node_types"].items()
        }

    assert kinds(GCP) == kinds(AWS)
    for key in ("head_start_ray_commands", "worker_start_ray_commands", "max_workers", "cluster_name"):
        assert GCP[key] == AWS[key]
    spot = [
        name
        for name, kind in GCP["available_node_types"].items()
        if {"provisioningModel": "SPOT"}.items() <= kind["node_config"].get("scheduling", [{}])[0].items()
    ]
    assert spot == ["gpu_spot"]
    accounts = {
        name: kind["node_config"]["serviceAccounts"][0]["email"].split("@")[0]
        for name, kind in GCP["available_node_types"].items()
    }
    assert accounts.pop("head") == "raybio-head" and set(accounts.values()) == {"raybio-worker"}


def test_the_page_of_google_cloud_asks_for_quotas_of_all_its_nodes():
    words = " ".join(page("gcp.md").split())
    types = GCP["available_node_types"]
    spot, listed = types["gpu_spot"]["max_workers"], types["gpu_on_demand"]["max_workers"]
    assert f"`NVIDIA_L4_GPUS` {listed} and `PREEMPTIBLE_NVIDIA_L4_GPUS` {spot}" in words
    assert f"`GPUS_ALL_REGIONS` {spot + listed}" in words
    assert f"{8 + types['cpu']['max_workers'] * types['cpu']['resources']['CPU']} CPUs of N2" in words


# SkyPilot ---------------------------------------------------------------------------------------


def shell(text):
    """Return what a shell says of a script's syntax; nothing where it is right."""
    return subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False).stderr


def job_line(text):
    """Return the job's config file and overrides in a script that runs one."""
    [line] = re.findall(r"python jobs/tag_corpus\.py (.*)", text.replace("\\\n", " "))
    variables = {"BUCKET": "s3://bucket", "SKYPILOT_NUM_NODES": str(SKY["num_nodes"])}
    return re.sub(r"\$(\w+)", lambda match: variables[match[1]], line).replace('"', "").split()


def test_skypilots_file_runs_a_job_that_its_nodes_have_room_for():
    assert shell(SKY["run"]) == ""
    assert SKY.keys() == {"name", "num_nodes", "resources", "workdir", "envs", "secrets", "run"}
    config, *words = job_line(SKY["run"])
    loaded = load_job(TagCorpusConfig, str(ROOT / config), words)
    assert loaded.taggers.count == SKY["num_nodes"]
    assert SKY["resources"]["accelerators"] == "L4:1"
    assert SKY["secrets"] == {"RAY_AUTH_TOKEN": None}  # it is given on the command line
    assert SKY["resources"]["job_recovery"]["max_restarts_on_errors"] == 0


def test_skypilots_own_schema_takes_the_file(tmp_path):
    sky = pytest.importorskip("sky", reason="SkyPilot is not installed")
    task = sky.Task.from_yaml(str(FOLDER / "skypilot.yaml"))
    assert task.num_nodes == SKY["num_nodes"]


# Slurm ------------------------------------------------------------------------------------------

SCRIPT = (FOLDER / "slurm.sbatch").read_text("utf-8")


def test_the_script_of_slurm_gives_symmetric_run_the_nodes_and_the_job(tmp_path):
    """Run with stand-ins for Slurm's commands and Ray: what would be started, and with what token."""
    assert shell(SCRIPT) == ""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    stand_ins = {
        "scontrol": 'printf "node7\\nnode8\\n"',
        "srun": 'printf "%s\\n" "$@" > asked; cat "$RAY_AUTH_TOKEN_PATH" > token; exit 3',
        "python": 'exec python3 "$@"',
    }
    for name, text in stand_ins.items():
        (bin_ / name).write_text(f"#!/bin/sh\n{text}\n")
        (bin_ / name).chmod(0o755)
    environment = {
        "PATH": f"{bin_}:{os.environ['PATH']}",
        "RAYBIO_BIN": str(bin_),
        "SLURM_JOB_ID": "42",
        "SLURM_JOB_NODELIST": "node[7-8]",
        "SLURM_JOB_NUM_NODES": "2",
    }
    command = ["bash", str(FOLDER / "slurm.sbatch"), "tag-corpus", "a config.yaml", "output=/shared/out"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 3  # the job's own
    asked = (tmp_path / "asked").read_text().splitlines()
    start = asked.index("symmetric-run")
    assert asked[start + 1 :] == [
        *("--address", "node7:6379", "--min-nodes", "2", "--"),
        *("python", "jobs/tag_corpus.py", "a config.yaml", "output=/shared/out"),
    ]
    assert re.fullmatch(r"[0-9a-f]{64}\n", (tmp_path / "token").read_text())
    assert [path.name for path in tmp_path.iterdir() if "token-" in path.name] == []


def test_the_script_of_slurm_asks_for_whole_nodes_and_for_time_to_stop():
    """`symmetric-run` ends with `ray stop`, which would end another job's Ray on a shared node."""
    options = re.findall(r"^#SBATCH (\S+)$", SCRIPT, re.M)
    assert "--exclusive" in options and "--ntasks-per-node=1" in options
    assert any(re.fullmatch(r"--signal=B:TERM@\d+", option) for option in options)


def test_this_ray_has_symmetric_run_with_the_options_of_the_script():
    said = CliRunner().invoke(cli, ["symmetric-run", "--help"]).output
    assert "--address" in said and "--min-nodes" in said
