"""The command `benchmark-serve`."""

from __future__ import annotations

from argparse import Namespace

from raybio.cli.command_line import Commands, add_command, add_config, add_json
from raybio.cli.terminal import report, say_starting, show_figures


def add_commands(commands: Commands) -> None:
    """Declare the commands of this file."""
    benchmark = add_command(commands, "benchmark-serve", _benchmark_serve)
    add_config(benchmark)
    add_json(benchmark)


def _benchmark_serve(options: Namespace) -> None:
    """Score test splits through served models: latency, throughput, scaling, and the same F1."""
    from raybio.config import BenchmarkServeConfig, load_job

    config = load_job(BenchmarkServeConfig, options.config, options.overrides)

    say_starting()

    from raybio.serving.benchmark import benchmark_serve
    from raybio.serving.benchmark_record import render_benchmark

    done = benchmark_serve(config, report)
    table = f"{render_benchmark(done.report)}run folder: {done.run.path}\n"
    show_figures(table, {"run": str(done.run.path), **done.report}, options.json)
    done.check()
