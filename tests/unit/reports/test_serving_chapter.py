"""Benchmark-serve runs in a report: their figures, several merged, and what is missing or wrong."""

import json
import re
from pathlib import Path

import lxml.html
import pyarrow.parquet as pq
import pytest
from benchmark_runs import DECODER, ENCODER, SENTENCES, Made, make_benchmark
from lxml import etree

from raybio.config.prices import load_prices, shipped_prices
from raybio.errors import FormatError
from raybio.reports import render_markdown, write_report
from raybio.reports.benchmark import read_benchmark
from raybio.reports.blocks import Chapter, Chart, Headline, Table
from raybio.reports.serving_chapter import across_corpora, serving_chapters


def page_of(path: Path) -> lxml.html.HtmlElement:
    return lxml.html.fromstring(path.read_text(encoding="utf-8"))


def text_of(path: Path) -> str:
    return re.sub(r"\s+", " ", page_of(path).find("body").text_content())


def chapter_of(*runs: Path) -> Chapter:
    (chapter,) = serving_chapters([read_benchmark(run) for run in runs], load_prices(shipped_prices()))
    return chapter


def blocks_of(chapter: Chapter, kind: type) -> list:
    return [block for section in chapter.sections for block in section.blocks if isinstance(block, kind)]


def headline_of(chapter: Chapter) -> list[str]:
    return [figure.detail for each in blocks_of(chapter, Headline) for figure in each.figures]


def table_of(chapter: Chapter, caption: str) -> Table:
    (table,) = (each for each in blocks_of(chapter, Table) if each.caption.startswith(caption))
    return table


def change(run: Path, alter) -> Path:
    """Write `run` again as `alter` leaves its benchmark.json."""
    report = json.loads((run / "benchmark.json").read_text())
    alter(report)
    (run / "benchmark.json").write_text(json.dumps(report))
    return run


@pytest.fixture
def run(tmp_path):
    return make_benchmark(tmp_path / "bench")


def test_it_answers_how_good_how_fast_and_at_what_cost(run, tmp_path):
    page = write_report([run], tmp_path / "report.html")
    text = text_of(page)
    results = json.loads((run / "benchmark.json").read_text())["results"]
    for result in results:
        assert f"{100 * result['accuracy']['served_strict_f1']:.2f}" in text
        single = next(each for each in result["scenarios"] if each["scenario"] == "single-stream")
        for name in ("p50", "p90", "p99"):
            found = single["latency"][name]
            assert f"{1000 * found['value']:,.1f}" in text
            assert f"{1000 * found['low']:,.1f} to {1000 * found['high']:,.1f}" in text
    assert text.count("extrapolated") > 1 and "Assumed throughout: an abstract has 10.4 sentences" in text
    assert "Table IV of" in text and "'paper' timing: wall / instances" in text and "2.0953" in text
    assert "Not equal work" not in text
    captions = [each.text_content() for each in page_of(page).iter("figcaption")]
    for chart in ("Requests answered", "Poisson arrivals", "Throughput against replicas", "F1 against cost"):
        assert any(caption.startswith(chart) for caption in captions), chart


def test_the_page_is_well_formed_and_says_what_the_markdown_says(run, tmp_path):
    page = write_report([run], tmp_path / "report.html")
    source = page.read_text(encoding="utf-8")
    tree = etree.fromstring(
        re.sub(r"<(meta[^>]*)>", r"<\1/>", source).replace("<!DOCTYPE html>", "").encode()
    )
    assert not tree.xpath("//script | //link | //img")
    reported = page_of(page).xpath("//body//text()[not(ancestor::*[local-name() = 'svg'])]")
    figures = set(re.findall(r"\d+\.\d\d\b", " ".join(reported)))
    assert figures - set(re.findall(r"\d+\.\d\d\b", render_markdown([run]))) == set()


def test_unequal_work_comes_first(tmp_path):
    run = make_benchmark(tmp_path / "bench", models=[ENCODER, Made("odd", equal=False)])
    page = page_of(write_report([run], tmp_path / "report.html"))
    first = page.xpath("//section[1]/p")[0].text_content()
    assert first.startswith("Not equal work: the answers of odd are not the tagger's own (strict F1 ")
    assert "3 sentences differ, 0 have no answer" in first


def test_sentences_without_an_answer_are_reported(tmp_path):
    run = make_benchmark(tmp_path / "bench", models=[ENCODER, Made("odd", unanswered=40)])
    assert "0 sentences differ, 40 have no answer" in blocks_of(chapter_of(run), str)[0]
    assert [row[-2] for row in table_of(chapter_of(run), "Strict F1 of the").rows if row[0] == "odd"] == [
        "40"
    ]


def test_unequal_work_wins_nothing(tmp_path):
    best = Made("odd", seconds=0.001, errs=0.0, equal=False)
    chapter = chapter_of(make_benchmark(tmp_path / "bench", models=[best, ENCODER, DECODER]))
    assert len(headline_of(chapter)) == 4 and not any("odd" in each for each in headline_of(chapter))
    assert [row[0] for row in table_of(chapter, "How good").rows] == ["minilm", "smol", "odd"]
    on_front = {row[0]: row[2] for row in table_of(chapter, "F1 points bought").rows}
    assert (on_front["odd"], on_front["minilm"]) == ("–", "yes")
    assert [row[-1] for row in table_of(chapter, "How good").rows if row[0] == "odd"] == [
        "encoder fp32, NOT EQUAL WORK"
    ]
    alone = chapter_of(make_benchmark(tmp_path / "alone", models=[best]))
    assert headline_of(alone) == [] and blocks_of(alone, str)[0].startswith("Not equal work")


def test_a_part_of_a_corpus_is_marked_and_wins_nothing(tmp_path):
    whole = make_benchmark(tmp_path / "whole", models=[ENCODER])
    lucky = Made("lucky", seconds=0.001, errs=0.0)
    part = make_benchmark(tmp_path / "part", models=[lucky], sentences=SENTENCES[:40], limit=10)
    chapter = chapter_of(whole, part)
    name = "lucky (first 10 documents)"
    reported = blocks_of(chapter, str)[0]
    assert reported.startswith(f"Not the same sentences: {name} tagged 40 of the 100 that others did.")
    assert not any("lucky" in each for each in headline_of(chapter))
    for caption in ("How good", "Strict F1 of the", "Milliseconds at", "Everything at once", "F1 points"):
        assert {row[0] for row in table_of(chapter, caption).rows} == {"minilm", name}
    assert {row[0]: row[2] for row in table_of(chapter, "F1 points").rows} == {"minilm": "yes", name: "–"}
    assert all({name, "minilm"} <= {line.name for line in each.lines} for each in blocks_of(chapter, Chart))
    assert dict(chapter.facts)["Corpus"].endswith("; or 40 sentences, 190 words")
    # Alone it is all there is.
    assert name in headline_of(chapter_of(part))[0]


def test_a_rate_that_was_too_much_is_reported(run, tmp_path):
    def overload(report):
        for result in report["results"]:
            slowest, worst = (each for each in result["scenarios"] if each["scenario"] == "server")
            worst.update(point={"rate": 64.0}, latency=None, errors=worst["requests"])
            if result["model"] == "smol":
                slowest["latency"] = None

    chapter = chapter_of(change(run, overload))
    rows = table_of(chapter, "Milliseconds from the scheduled time").rows
    assert len(rows) == 4
    worst = next(row for row in rows if row[:2] == ("minilm", "64"))
    assert worst[2] == worst[3] == "401" and worst[5:9] == ("–",) * 4
    (chart,) = (each for each in blocks_of(chapter, Chart) if each.caption.startswith("Poisson"))
    assert "Not drawn: minilm answered no request at 64 requests a second." in chart.notes
    assert write_report([run], tmp_path / "report.html").is_file()


def test_one_request_at_a_time_without_an_answer_is_a_row(run):
    def fail(report):
        report["results"][0]["scenarios"][0].update(latency=None, errors=401)

    rows = table_of(chapter_of(change(run, fail)), "Milliseconds at the client").rows
    assert ("minilm", "401", "401", *["–"] * 8) in rows


def test_scaling_from_nothing_is_not_drawn(run, tmp_path):
    def fail(report):
        next(each for each in report["results"][0]["scenarios"] if each["scenario"] == "scaling").update(
            sentences_per_second=0.0, efficiency=None
        )

    chapter = chapter_of(change(run, fail))
    (chart,) = (each for each in blocks_of(chapter, Chart) if each.caption.startswith("Throughput"))
    assert [line.name for line in chart.lines] == ["smol", "as many times as replicas"]
    assert write_report([run], tmp_path / "report.html").is_file()


def test_what_could_not_be_measured_is_reported(tmp_path):
    run = make_benchmark(tmp_path / "bench", models=[ENCODER])

    def fail(report):
        report["failed"] = [
            {"model": "smol", "corpus": corpus, "error": "it did not start"}
            for corpus in ("BC5CDR", "JNLPBA")
        ]

    text = text_of(write_report([change(run, fail)], tmp_path / "report.html"))
    assert text.count("Not measured: smol in run bench: it did not start") == 2
    assert "Serving: BC5CDR" in text and "Serving: JNLPBA" in text and "Served: minilm, smol" in text


def test_several_runs_and_corpora_merge(tmp_path):
    first = make_benchmark(tmp_path / "one", models=[ENCODER], corpora=["BC5CDR", "JNLPBA"])
    second = make_benchmark(tmp_path / "two", models=[ENCODER, DECODER])
    text = text_of(write_report([first, second], tmp_path / "report.html"))
    assert "Serving: BC5CDR" in text and "Serving: JNLPBA" in text
    assert "minilm (one)" in text and "minilm (two)" in text and "smol" in text
    assert "Who finds the 175 gold entities" in text  # between the best encoder and the LLM


def test_training_runs_and_served_ones_in_one_report(make_run, run, tmp_path):
    page = page_of(write_report([make_run("trained"), run], tmp_path / "report.html"))
    assert [each.text for each in page.iter("h2")] == ["Serving: BC5CDR", "trained"]
    assert "2 runs, trained and served" in page.text_content()


def test_a_served_model_says_what_its_run_learned_from(make_run, run, tmp_path):
    path = make_run("rebuilt", corpus={"name": "BC5CDR", "max_train_documents": 4_560})
    report = json.loads((run / "benchmark.json").read_text())
    report["results"][0]["model_source"] = str(path / "model")
    (run / "benchmark.json").write_text(json.dumps(report))
    text = text_of(write_report([run], tmp_path / "report.html"))
    assert "whole of train, minilm from the first 4,560 documents of train." in text


def test_differences_have_intervals_and_examples(run, tmp_path):
    page = page_of(write_report([run], tmp_path / "report.html"))
    rows = page.xpath("//figure[contains(figcaption, 'Differences in strict F1')]//tbody/tr")
    assert [re.fullmatch(r"[+-]\d+\.\d\d to [+-]\d+\.\d\d", row[3].text) is not None for row in rows] == [
        True
    ]
    sides = {each.text for each in page.find_class("side")}
    assert sides == {"gold", "minilm", "smol"}
    assert "minilm right, smol wrong" in {each.text for each in page.iter("h4")}
    assert any(mark.text_content().endswith(" by smol") for mark in page.find_class("differs"))


def test_failed_requests_are_no_latencies(run):
    benchmark = read_benchmark(run)
    result = benchmark.results[0]
    for each in result["scenarios"]:
        if each["scenario"] in ("single-stream", "server"):
            assert len(benchmark.seconds(result["model"], result["corpus"], each)) == each["requests"] - 1
    assert 99.0 in pq.read_table(run / "requests.parquet")["seconds"].to_pylist()


def test_what_was_not_run_is_left_out(tmp_path):
    run = make_benchmark(tmp_path / "bench", models=[ENCODER], scenarios=["single-stream"])
    (run / "requests.parquet").unlink()
    text = text_of(write_report([run], tmp_path / "report.html"))
    assert "There are no dollars: no throughput was measured" in text
    assert "Poisson" not in text and "Throughput against" not in text and "How they differ" not in text


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"version": 2}', "found version 2; version 1 is known"),
        ("[]", "found version None"),
        ('{"version": 1, "models": {}}', "a part is missing"),
        ('{"version": 1, "models": {}, "results": [{"model": "x"}]}', "'x'"),
        ("{", "not JSON"),
    ],
)
def test_a_broken_benchmark_is_named(run, tmp_path, content, problem):
    (run / "benchmark.json").write_text(content)
    with pytest.raises(FormatError, match=re.escape(problem)):
        write_report([run], tmp_path / "report.html")


def test_broken_requests_are_named(run, tmp_path):
    (run / "requests.parquet").write_bytes(b"no parquet")
    with pytest.raises(FormatError, match=r"requests\.parquet"):
        write_report([run], tmp_path / "report.html")


def test_several_corpora_are_one_table_and_never_one_axis(tmp_path):
    prices = load_prices(shipped_prices())
    several = read_benchmark(make_benchmark(tmp_path / "bench", corpora=["BC5CDR", "JNLPBA"]))
    (table,) = across_corpora([several], prices)
    assert [row[:2] for row in table.rows] == [
        ("minilm", "BC5CDR"),
        ("minilm", "JNLPBA"),
        ("smol", "BC5CDR"),
        ("smol", "JNLPBA"),
    ]
    alone = {
        (row[0], chapter.heading.removeprefix("Serving: ")): row
        for chapter in serving_chapters([several], prices)
        for row in table_of(chapter, "How good").rows
    }
    for model, corpus, f1, _, p50, sentences, dollars in table.rows:
        assert {f1, p50, sentences, dollars} <= set(alone[model, corpus])
    assert across_corpora([read_benchmark(make_benchmark(tmp_path / "one"))], prices) == ()
