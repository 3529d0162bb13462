"""Each scenario against a stand-in for a model, and the figures that its requests come to."""

import asyncio
import json
from dataclasses import replace

import pytest
from samples import sentence_of_words
from serving_fakes import FakeModel, tags_of

from raybio.config.benchmark_serve import OfflineSection, ServerSection, SingleStreamSection
from raybio.serving.answers import Answer, Served
from raybio.serving.load_generator import Outcome
from raybio.serving.scenarios import Scenarios, figures_of, goodput_of, latency_of, paper, scaling

SENTENCES = [sentence_of_words("a", "b", "c", name=str(i)) for i in range(20)]
SCENARIOS = Scenarios(
    SingleStreamSection(requests=10),
    ServerSection(requests=30, seconds=1, target_seconds=0.05),
    OfflineSection(request_sentences=4, window=3),
    warmup_seconds=0,
    seed=1,
)


def outcome(
    scheduled=0.0, started=0.0, finished=1.0, *, requests=1, sentences=1, model=0.1, retries=0
) -> Outcome:
    answer = Answer((tags_of(SENTENCES[0]),), model, 0.5, requests, sentences, "r")
    served = Served(answer, finished - started, retries)
    return Outcome(SENTENCES[:1], scheduled, started, finished, served, retries=retries)


def failed(finished=1.0, retries=0) -> Outcome:
    return Outcome(SENTENCES[:1], 0.0, 0.0, finished, None, "down", retries)


def test_single_stream_has_the_latency_of_as_many_sentences_as_asked_for():
    model = FakeModel(seconds=0.004)
    measured = asyncio.run(SCENARIOS.single_stream(model.tag, SENTENCES))
    figures = measured.figures
    assert model.most_at_once == 1
    assert (figures.scenario, figures.requests, figures.point) == ("single-stream", 10, {})
    assert figures.latency is not None and figures.goodput is None
    assert 0.004 <= figures.latency.p50.value <= figures.latency.max
    assert figures.latency.p99.high is None
    assert figures.seconds.client >= figures.seconds.replica >= figures.seconds.model > 0


def test_the_warm_up_is_not_measured():
    model = FakeModel()
    measured = asyncio.run(SCENARIOS.single_stream(model.tag, SENTENCES))
    assert (model.asked, measured.figures.requests, len(measured.outcomes)) == (11, 10, 10)


def test_server_sends_singles_at_the_rate_and_counts_what_was_in_time():
    slow = FakeModel(seconds=lambda turn: 0.2 if turn % 3 == 0 else 0.001)
    measured = asyncio.run(SCENARIOS.server(slow.tag, SENTENCES, 60.0))
    figures = measured.figures
    assert (figures.scenario, figures.point) == ("server", {"rate": 60.0})
    assert all(len(outcome.request) == 1 for outcome in measured.outcomes)
    assert figures.requests == len(measured.outcomes) <= 30
    late = sum(outcome.seconds > 0.05 for outcome in measured.outcomes)
    assert late >= figures.requests // 3
    assert figures.goodput.fraction == pytest.approx(1 - late / figures.requests)
    assert figures.goodput.per_second == pytest.approx((figures.requests - late) / figures.wall_seconds)


@pytest.mark.parametrize(("replicas", "at_once"), [(1, 3), (2, 6)])
def test_offline_sends_everything_once_and_fills_the_window_of_each_replica(replicas, at_once):
    model = FakeModel(seconds=0.01)
    measured = asyncio.run(SCENARIOS.offline(model.tag, SENTENCES, replicas))
    assert [s for outcome in measured.outcomes for s in outcome.request] == SENTENCES
    assert model.most_at_once == at_once, "the warm-up fills it, and sends what it has twice for that"
    assert measured.figures.latency is None
    assert measured.figures.sentences_per_second == pytest.approx(20 / measured.figures.wall_seconds)
    assert measured.figures.words_per_second == pytest.approx(60 / measured.figures.wall_seconds)


def test_efficiency_is_against_one_replica():
    model = FakeModel()
    one = asyncio.run(SCENARIOS.offline(model.tag, SENTENCES, 1))
    first = scaling(one, 1, None)
    twice = replace(
        one, figures=replace(one.figures, sentences_per_second=1.8 * one.figures.sentences_per_second)
    )
    second = scaling(twice, 2, first)
    assert (first.figures.scenario, first.figures.point, first.figures.efficiency) == (
        "scaling",
        {"replicas": 1},
        1.0,
    )
    assert second.figures.efficiency == pytest.approx(0.9)
    assert second.figures.point_in_words == "replicas 2"


def test_paper_divides_the_wall_by_the_instances():
    figures = paper(SENTENCES, 5.0).figures
    assert (figures.seconds.client, figures.sentences_per_second, figures.latency) == (0.25, 4.0, None)


def test_latency_is_from_the_schedule_and_client_seconds_are_from_sending():
    outcomes = [outcome(scheduled=0.0, started=0.75, finished=1.0)]
    assert latency_of(outcomes).mean == 1.0
    assert figures_of("server", outcomes).seconds.client == 0.25


def test_failed_requests_are_errors_and_give_no_latency_and_no_goodput():
    outcomes = [outcome(finished=0.5, retries=2), failed(finished=2.0, retries=3)]
    figures = figures_of("server", outcomes)
    assert (figures.requests, figures.errors, figures.retries, figures.wall_seconds) == (2, 1, 5, 2.0)
    assert figures.sentences_per_second == 0.5
    assert latency_of(outcomes).max == 0.5
    assert goodput_of(outcomes, 1.0).fraction == 0.5
    assert goodput_of(outcomes, 1.0).per_second == 0.5


def test_where_nothing_was_answered_there_are_no_means():
    figures = figures_of("offline", [failed()])
    assert (figures.errors, figures.sentences_per_second, figures.batch_sentences_mean) == (1, 0.0, None)
    assert figures.seconds.client is None
    assert latency_of([failed()]) is None


def test_the_mean_batch_is_over_batches_and_not_over_requests():
    # One batch of three requests, and one of a single sentence alone.
    outcomes = [outcome(requests=3, sentences=3)] * 3 + [outcome(requests=1, sentences=1)]
    assert figures_of("server", outcomes).batch_sentences_mean == pytest.approx(2.0)


def test_figures_are_plain_json():
    measured = asyncio.run(SCENARIOS.server(FakeModel().tag, SENTENCES, 200.0))
    figures = json.loads(json.dumps(measured.figures.to_dict()))
    assert set(figures) == {
        "scenario", "point", "requests", "errors", "retries", "wall_seconds", "sentences_per_second",
        "words_per_second", "latency", "seconds", "batch_sentences_mean", "goodput", "efficiency",
    }  # fmt: skip
    assert set(figures["latency"]) == {"mean", "p50", "p90", "p99", "max"}
    assert set(figures["latency"]["p99"]) == {"value", "low", "high"}
    assert set(figures["seconds"]) == {"client", "replica", "model"}
    assert set(figures["goodput"]) == {"target_seconds", "fraction", "per_second"}
