"""What a benchmark prints and keeps: its table, its first line, its rows of requests."""

import asyncio
from dataclasses import replace

import pytest
from samples import sentence_of_words
from serving_fakes import FakeModel

from raybio.serving.benchmark_record import SCHEMA, render_benchmark, table_of, unequal_work
from raybio.serving.load_generator import in_window
from raybio.serving.scenarios import Figures, Goodput, MeanSeconds, Measured, figures_of, latency_of

SENTENCES = [sentence_of_words("a", "b", name=str(i)) for i in range(4)]


@pytest.fixture(scope="module")
def measured():
    model = FakeModel(fails=lambda turn: turn == 3, retries=2)
    outcomes = asyncio.run(in_window(model.tag, [[sentence] for sentence in SENTENCES], 1))
    figures = replace(figures_of("server", outcomes), point={"rate": 5.0}, latency=latency_of(outcomes))
    return Measured(figures, outcomes)


def report(*scenarios, **accuracy):
    figures = {
        "served_strict_f1": 0.86,
        "offline_strict_f1": 0.86,
        "equal": True,
        "different_sentences": 0,
        "unanswered_sentences": 0,
    }
    return {
        "results": [
            {
                "model": "m",
                "corpus": "c",
                "sentences": 4,
                "accuracy": {**figures, **accuracy},
                "scenarios": [scenario.to_dict() for scenario in scenarios],
            }
        ],
        "failed": [],
    }


OFFLINE = Figures("offline", 4, 2.0, 2.0, 4.0, MeanSeconds(0.5, 0.4, 0.3))


def test_equal_work_is_said_and_nothing_stands_above_it():
    assert unequal_work(report(OFFLINE)) == ""
    first = render_benchmark(report(OFFLINE)).splitlines()[0]
    assert first == "m on c: 4 sentences, strict F1 86.00, as the tagger alone"


def test_the_first_line_says_where_the_work_was_not_equal():
    unequal = report(OFFLINE, served_strict_f1=0.85, equal=False, different_sentences=3)
    assert (
        render_benchmark(unequal).splitlines()[0]
        == unequal_work(unequal)
        == (
            "NOT EQUAL WORK: the served answers are not the tagger's own: "
            "m on c (strict F1 85.00 served, 86.00 alone; 3 sentences differ, 0 have no answer)"
        )
    )


def test_the_table_has_a_line_for_each_scenario(measured):
    good = replace(measured.figures, goodput=Goodput(1.0, 0.75, 3.0))
    scaled = replace(OFFLINE, scenario="scaling", point={"replicas": 2}, efficiency=0.93)
    lines = render_benchmark(report(OFFLINE, good, scaled)).splitlines()
    (server,) = [line for line in lines if " server " in line]
    assert "rate 5" in server and " 75.0" in server
    assert server.count("?]") == 3, "three requests bound nothing"
    (scaling,) = [line for line in lines if " scaling " in line]
    assert "replicas 2" in scaling and scaling.endswith("93.00")
    assert "p50 needs 6, p90 needs 36, p99 needs 368" in lines[-1]


def test_what_failed_is_reported():
    failed = {**report(OFFLINE), "failed": [{"model": "n", "corpus": "c", "error": "it did not start"}]}
    assert render_benchmark(failed).splitlines()[1] == "n on c: FAILED: it did not start"


def test_every_request_is_a_row(measured):
    table = table_of("m", "c", [measured, Measured(OFFLINE)])
    assert table.schema.equals(SCHEMA)
    rows = table.to_pylist()
    assert len(rows) == 4
    assert {(row["model"], row["corpus"], row["scenario"], row["point"]) for row in rows} == {
        ("m", "c", "server", "rate 5")
    }
    for row, outcome in zip(rows[:3], measured.outcomes, strict=False):
        assert row["scheduled"] + row["seconds"] == pytest.approx(outcome.finished)
        assert row["replica_seconds"] == outcome.served.answer.replica_seconds
        assert (row["sentences"], row["words"], row["retries"], row["error"]) == (1, 2, 2, None)
    assert rows[3]["error"] == "the model is down"
    assert rows[3]["replica"] is rows[3]["model_seconds"] is None
    assert rows[3]["retries"] == 2


def test_scenarios_without_requests_still_have_the_columns():
    assert table_of("m", "c", [Measured(OFFLINE)]).schema.equals(SCHEMA)
