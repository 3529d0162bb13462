"""plan: from what runs measured to machines, hours and dollars."""

import json

import pytest
from benchmark_runs import DECODER, ENCODER, Made, make_benchmark

CORPUS = ("--citations", 39_000_000, "--deadline", "24h")


@pytest.fixture
def run(tmp_path):
    return make_benchmark(tmp_path / "bench", models=[ENCODER], scenarios=["offline", "scaling"])


@pytest.fixture
def tagged(tmp_path):
    """A tagged output that was tagged by taggers of one CPU each."""

    def make(count=2, gpus=0.0, documents=1000, pool=None, max_count=None, accelerators=None):
        folder = tmp_path / "tagged"
        folder.mkdir(exist_ok=True)
        taggers = {"count": count, "max_count": max_count, "cpus": 1.0, "gpus": gpus, "threads": 1}
        making = {"model": "runs/x/model", "config": {"taggers": taggers}}
        summary = {
            "counts": {"documents": 2000, "sentences": 16_000},
            "documents_this_run": documents,
            "tagging_seconds": 100.0,
            "pool": pool,
            "environment": {"cpus": 4, "accelerators": accelerators},
        }
        (folder / "provenance.json").write_text(json.dumps(making))
        (folder / "summary.json").write_text(json.dumps(summary))
        return folder

    return make


def test_the_table_says_what_was_measured_extrapolated_and_assumed(raybio, run):
    outcome = raybio("plan", run, *CORPUS, "--instance", "c7i.4xlarge")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("39,000,000 citations, of which 9,750,000 without abstract (assumed)")
    assert "minilm on BC5CDR: 80.00 sentences/s measured" in outcome.out
    for line in (
        "  measured: 80.00",
        "  extrapolated: c7i.4xlarge: from 1 x CPU",
        "  assumed: 25% of citations",
    ):
        assert line in outcome.out
    assert "c7i.4xlarge: github.com/skypilot-org" in outcome.out and "read on 2026-" in outcome.out


def test_the_json_holds_the_plan_and_its_prices(raybio, run):
    found = json.loads(
        raybio("plan", run, *CORPUS, "--instance", "c7i.4xlarge", "--efficiency", 1, "--json", "-").out
    )
    (plan,) = found["plans"]
    sentences = 39_000_000 * (1 + 0.75 * 10.4)
    assert plan["sentences"] == sentences
    assert plan["unit"]["node_sentences_per_second"] == pytest.approx(16 * 80)
    assert plan["nodes"] == 4 and plan["hours"] < 24
    assert plan["on_demand"] == pytest.approx(4 * plan["hours"] * found["prices"][0]["on_demand"])
    assert [price["name"] for price in found["prices"]] == ["c7i.4xlarge"]


def test_assumptions_are_the_users_to_replace(raybio, run):
    words = (
        "--without-abstract",
        0,
        "--sentences-per-abstract",
        4,
        "--startup-minutes",
        0,
        "--efficiency",
        ".5",
    )
    found = json.loads(raybio("plan", run, *CORPUS, *words, "--json", "-").out)
    assert {plan["sentences"] for plan in found["plans"]} == {39_000_000 * 5}
    assert "0% of citations" in found["plans"][0]["basis"]["assumed"][0]
    assert "efficiency 0.50, as asked for" in found["plans"][0]["basis"]["extrapolated"][0]


def test_machines_are_those_with_the_device_measured(raybio, tmp_path):
    run = make_benchmark(
        tmp_path / "gpu", [Made("llama", "decoder", gpus=1.0), DECODER], scenarios=["offline"]
    )
    found = json.loads(raybio("plan", run, *CORPUS, "--json", "-").out)
    gpus = {price["name"]: price["gpus"] for price in found["prices"]}
    on = {plan["model"]: {bool(gpus[p["instance"]]) for p in found["plans"] if p["model"] == plan["model"]}
          for plan in found["plans"]}  # fmt: skip
    assert on == {"llama on BC5CDR": {True}, "smol on BC5CDR": {False}}


def test_a_gpu_of_another_kind_is_priced_where_it_is_named(raybio, tmp_path):
    run = make_benchmark(tmp_path / "gpu", [Made("llama", "decoder", gpus=1.0)], scenarios=["offline"])
    report = json.loads((run / "benchmark.json").read_text())
    report["models"]["llama"]["accelerator"] = "NVIDIA H100 80GB HBM3"
    (run / "benchmark.json").write_text(json.dumps(report))
    found = json.loads(raybio("plan", run, *CORPUS, "--json", "-").out)
    assert {price["accelerator"] for price in found["prices"]} == {"H100"}
    named = raybio("plan", run, *CORPUS, "--instance", "g6.xlarge").out
    assert "extrapolated: g6.xlarge: from 1 x NVIDIA H100 80GB HBM3 to 1 x L4, each taken" in named


def test_a_tagged_output_will_do(raybio, tagged):
    out = raybio("plan", tagged(), *CORPUS).out
    assert "model in tagged: 80.00 sentences/s measured" in out
    assert "10.00 documents/s of 8.0 sentences" in out and "from 2 x CPU" in out
    old = tagged(count=2, pool=None)
    assert "from 2 x CPU" in raybio("plan", old, *CORPUS).out


def test_a_tagged_output_is_priced_by_what_its_pool_had(raybio, tagged):
    def reported(taggers, cpus=0.0, cluster_gpus=0.0, **options):
        pool = {"taggers": taggers, "cluster_cpus": cpus, "cluster_gpus": cluster_gpus}
        return raybio("plan", tagged(pool=pool, **options), *CORPUS).out

    assert "from 64 x CPU" in reported(64, cpus=64.0, count=None)
    assert "from 6 x CPU" in reported(6, cpus=64.0, count=2, max_count=6)
    assert "from 8 x CPU" in reported(99, cpus=8.0, count=2, max_count=99)
    assert "from 2 x GPU (which kind was not noted)" in reported(4, cluster_gpus=8.0, count=None, gpus=0.5)


@pytest.mark.parametrize(
    ("accelerators", "reported"),
    [("NVIDIA L4, NVIDIA L4", "NVIDIA L4"), ("NVIDIA L4, NVIDIA T4", "GPU (which kind was not noted)")],
)
def test_the_kind_of_gpu_is_reported_where_all_are_alike(raybio, tagged, accelerators, reported):
    out = raybio("plan", tagged(gpus=1.0, accelerators=accelerators), *CORPUS).out
    assert f"from 2 x {reported} to" in out
    assert ("g6.xlarge" in out, "H100" in out) == (True, reported != "NVIDIA L4")


def test_unequal_work_is_priced_with_a_warning(raybio, tmp_path):
    run = make_benchmark(tmp_path / "odd", [Made("odd", unanswered=4)], scenarios=["offline"])
    out = raybio("plan", run, *CORPUS).out
    assert "/s: NOT EQUAL WORK (strict F1 " in out and "4 have no answer): offline, 1 replica" in out


def test_a_part_of_a_gpu_is_priced_as_the_whole(raybio, tmp_path):
    run = make_benchmark(tmp_path / "part", [Made("llama", "decoder", gpus=0.25)], scenarios=["offline"])
    assert "from 1 x GPU" in raybio("plan", run, *CORPUS).out


def test_refusals(refused, raybio, run, tagged, tmp_path):
    assert "neither a benchmark-serve run" in refused("plan", tmp_path, *CORPUS)
    assert "summary.json tells no throughput" in refused("plan", tagged(documents=0), *CORPUS)
    assert "does not tell how many GPUs" in refused("plan", tagged(count=None, gpus=1), *CORPUS)
    assert "does not tell how many CPUs" in refused("plan", tagged(count=None), *CORPUS)
    assert "does not tell how many CPUs" in refused("plan", tagged(count=2, max_count=8), *CORPUS)
    assert "has no c9.huge. It has c7i.2xlarge" in refused("plan", run, *CORPUS, "--instance", "c9.huge")
    assert "between 0 and 1" in refused("plan", run, *CORPUS, "--without-abstract", 2)
    quiet = make_benchmark(tmp_path / "quiet", scenarios=["single-stream"])
    assert "measured no throughput" in refused("plan", quiet, *CORPUS)
    for words in (("0", "24h"), ("10", "24"), ("10", "0h"), ("ten", "24h")):
        assert raybio("plan", run, "--citations", words[0], "--deadline", words[1]).code == 2


def test_one_pass_is_priced_beside_those_that_it_replaces(raybio, tmp_path):
    corpora, offline = ["BC5CDR", "BioRED", "JNLPBA"], {"scenarios": ["offline"]}
    of_each = make_benchmark(tmp_path / "each", [ENCODER], corpora, **offline)
    of_all = make_benchmark(tmp_path / "all", [Made("all-types")], corpora[:2], **offline)
    words = ("plan", of_each, *CORPUS, "--one-pass", of_all, "--instance", "c7i.4xlarge")
    outcome = raybio(*words)
    assert (outcome.code, outcome.err) == (0, "")
    heading = "one pass beside 3 passes at the same time, one of each other model\n"
    table = outcome.out.partition(heading)[2]
    _, first, second, *_ = (line.split() for line in table.splitlines())
    assert (first[0], first[1], first[-1]) == ("c7i.4xlarge", "1", "1.00")
    assert (second[0], second[-1]) == ("3", "3.00")

    (passes,) = json.loads(raybio(*words, "--json", "-").out)["passes"]
    one, several = passes["one"], passes["several"]
    assert passes["instance"] == "c7i.4xlarge" and several["nodes"] == 3 * one["nodes"]
    assert several["hours"] == one["hours"] and several["spot"] == pytest.approx(3 * one["spot"])


def test_one_pass_is_taken_where_it_is_slowest(raybio, run, tmp_path):
    made = make_benchmark(tmp_path / "all", [Made("quick"), Made("slow", seconds=1.0)], scenarios=["offline"])
    outcome = raybio("plan", run, *CORPUS, "--one-pass", made)
    assert "slow on BC5CDR" in outcome.out and "quick on BC5CDR" not in outcome.out


def test_passes_on_unlike_devices_are_not_compared(raybio, run, tagged):
    outcome = raybio("plan", run, *CORPUS, "--one-pass", tagged(gpus=1.0, accelerators=["NVIDIA H100"]))
    assert outcome.code == 0
    assert "the price list has no machine with the device that all were measured on" in outcome.out
