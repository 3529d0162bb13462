"""configs/prometheus/: alerts over metrics that the code exports, and files with the fields of Prometheus.

No Prometheus is at hand: names and labels are taken from the expressions, and fields compared with those of
Prometheus 3 (prometheus.io/docs, configuration and alerting rules) and of its operator's v1.
"""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from raybio.bulk_tagging import metrics as tagging
from raybio.serving import metrics as serving

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "configs" / "prometheus"
FILES = {file.stem: yaml.safe_load(file.read_text("utf-8")) for file in FOLDER.iterdir()}
[GROUP] = FILES["rules"]["groups"]
RULES = GROUP["rules"]
LABELS = {"model", "label", "le", "application", "deployment", "replica"}
FUNCTIONS = {"sum", "increase", "rate", "histogram_quantile"}


def exported():
    """The names that Prometheus sees: a counter has one, a histogram three."""
    histograms = serving.histogram_names() | {tagging.SHARD_SECONDS}
    counters = (serving.METRICS.keys() | tagging.METRICS.keys()) - histograms
    parts = ("bucket", "sum", "count")
    return {f"ray_{name}_total" for name in counters} | {
        f"ray_{n}_{part}" for n in histograms for part in parts
    }


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_is_of_metrics_that_are_exported(rule):
    expression = rule["expr"]
    assert expression.count("(") == expression.count(")")
    names = set(re.findall(r"ray_\w+", expression))
    assert names and names <= exported()
    grouped = {name for by in re.findall(r"by \(([^)]*)\)", expression) for name in by.split(", ")}
    assert grouped <= LABELS
    words = set(re.findall(r"[a-z_]{2,}", re.sub(r"ray_\w+|\[\w+\]|by \([^)]*\)", " ", expression)))
    assert words <= FUNCTIONS
    # Series of workers that ended begin again elsewhere: a rate is taken before the sum.
    assert all(re.search(rf"(rate|increase)\({name}\[\d+[mh]\]\)", expression) for name in names)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_has_what_prometheus_and_a_reader_need(rule):
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"].keys() == {"summary", "description"}
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "0s"))
    used = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert used <= set(re.findall(r"\w+", re.findall(r"by \(([^)]*)\)", rule["expr"])[0]))


def test_both_rooms_are_watched_and_alerts_have_names_of_their_own():
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names) and GROUP.keys() == {"name", "rules"}
    text = (FOLDER / "rules.yaml").read_text("utf-8")
    assert "ray_raybio_tagging" in text and "ray_raybio_serving" in text


@pytest.mark.parametrize("name", ["prometheus", "aws"])
def test_prometheus_finds_nodes_and_rules(name):
    config = FILES[name]
    assert config.keys() == {"global", "rule_files", "scrape_configs"}
    assert all((FOLDER / file).is_file() for file in config["rule_files"])
    [scrape] = config["scrape_configs"]
    assert scrape.keys() <= {"job_name", "file_sd_configs", "ec2_sd_configs", "relabel_configs"}


def test_prometheus_on_the_head_reads_the_list_that_ray_writes():
    from ray._private.ray_constants import PROMETHEUS_SERVICE_DISCOVERY_FILE

    [scrape] = FILES["prometheus"]["scrape_configs"]
    assert scrape["file_sd_configs"] == [{"files": [f"/tmp/ray/{PROMETHEUS_SERVICE_DISCOVERY_FILE}"]}]


def test_prometheus_on_aws_looks_for_the_nodes_of_the_file():
    cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text("utf-8"))
    [found] = FILES["aws"]["scrape_configs"][0]["ec2_sd_configs"]
    assert found["region"] == cluster["provider"]["region"]
    assert {"name": "tag:ray-cluster-name", "values": [cluster["cluster_name"]]} in found["filters"]
    started = cluster["head_start_ray_commands"] + cluster["worker_start_ray_commands"]
    ports = {port for line in started for port in re.findall(r"--metrics-export-port=(\d+)", line)}
    assert ports == {str(found["port"])}


def test_the_pod_monitor_selects_every_pod_of_kuberay():
    monitor = FILES["podmonitor"]
    assert (monitor["apiVersion"], monitor["kind"]) == ("monitoring.coreos.com/v1", "PodMonitor")
    assert monitor["spec"].keys() == {"selector", "podMetricsEndpoints"}
    # KubeRay gives each of its pods this label, and its Ray container a port of this name.
    assert monitor["spec"]["selector"] == {
        "matchExpressions": [{"key": "ray.io/cluster", "operator": "Exists"}]
    }
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint.keys() == {"port", "interval", "relabelings"} and endpoint["port"] == "metrics"


def test_the_pages_command_makes_an_object_of_the_operator():
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    [command] = re.findall(r"^(\(printf .*\)) \| kubectl apply -f -$", page, re.M)
    made = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    rule = yaml.safe_load(made)
    assert (rule["apiVersion"], rule["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert rule["spec"] == FILES["rules"]
