"""The command `plan`."""

from __future__ import annotations

import argparse
import re
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from raybio.cli.command_line import Commands, add_command, add_json, whole_number
from raybio.cli.terminal import show_figures
from raybio.errors import UsageError

if TYPE_CHECKING:
    from raybio.config.prices import InstancePrice
    from raybio.cost import Assumptions, Measurement, Plan, SideBySide

_HOURS = {"m": 1 / 60, "h": 1.0, "d": 24.0}


def add_commands(commands: Commands) -> None:
    """Declare the commands of this file."""
    plan = add_command(commands, "plan", _plan)
    plan.add_argument(
        "runs", nargs="+", metavar="RUN", help="benchmark-serve run folder, or tagged output (a local folder)"
    )
    plan.add_argument(
        "--citations", type=_positive, required=True, metavar="N", help="size of the corpus: 39000000"
    )
    plan.add_argument(
        "--deadline", type=_hours, required=True, metavar="TIME", help="when it is to be done: 90m, 24h or 3d"
    )
    plan.add_argument(
        "--one-pass",
        metavar="RUN",
        help="run of one model that finds what the models of all the others find together: its pass beside "
        "theirs, one of each",
    )
    plan.add_argument(
        "--instance",
        action="append",
        metavar="NAME",
        help="machine of the price list; may be given several times. Default: all with the device measured",
    )
    plan.add_argument("--prices", metavar="FILE", help="price list; default: the one that comes with raybio")
    assumed = plan.add_argument_group("assumptions, each of which the plan names")
    assumed.add_argument(
        "--without-abstract", type=_number, metavar="SHARE", help="citations with a title only; default 0.25"
    )
    assumed.add_argument(
        "--sentences-per-abstract", type=_number, metavar="X", help="default 10.4, without the title"
    )
    assumed.add_argument(
        "--efficiency",
        type=_number,
        metavar="X",
        help="what each further replica of a node adds, of what the first does; default: as measured, else 1",
    )
    assumed.add_argument(
        "--startup-minutes",
        type=_number,
        metavar="X",
        help="from renting a node to its first tag; default 10",
    )
    add_json(plan)


def _plan(options: Namespace) -> None:
    """Plan the tagging of a whole corpus: machines, hours and dollars, from what runs measured.

    Prices are those of a list with a date and a source for each. Every plan says what was measured,
    what was extrapolated from it and what was assumed.
    """
    from raybio.config.prices import load_prices, shipped_prices
    from raybio.cost import Assumptions, plan
    from raybio.reports.measurements import read_measurements

    prices_file = Path(options.prices) if options.prices else shipped_prices()
    machines = load_prices(prices_file)
    names = ("without_abstract", "sentences_per_abstract", "efficiency", "startup_minutes")
    given = {name: getattr(options, name) for name in names}
    assumptions = Assumptions(**{name: value for name, value in given.items() if value is not None})
    measurements = [each for run in options.runs for each in read_measurements(Path(run))]
    if options.one_pass:
        by_speed = sorted(read_measurements(Path(options.one_pass)), key=lambda m: m.sentences_per_second)
        measurements.append(by_speed[0])  # on several corpora: where it is slowest
    plans: list[tuple[Measurement, list[Plan]]] = []
    for measurement in measurements:
        chosen = _choose(machines, options.instance, measurement, prices_file)
        within = options.citations, options.deadline, assumptions
        plans.append((measurement, [plan(measurement, machine, *within) for machine in chosen]))
    passes = _passes([each_plans for _, each_plans in plans]) if options.one_pass else {}
    used = {each.instance for _, each_plans in plans for each in each_plans}
    figures = {
        "citations": options.citations,
        "deadline_hours": options.deadline,
        "prices": [machine.model_dump() for machine in machines if machine.name in used],
        "plans": [each.to_dict() for _, each_plans in plans for each in each_plans],
        **(
            {
                "passes": [
                    {"instance": name, "one": asdict(one), "several": asdict(several)}
                    for name, (one, several) in passes.items()
                ]
            }
            if options.one_pass
            else {}
        ),
    }
    lines = [
        *_corpus_lines(options, assumptions),
        *(line for measurement, each_plans in plans for line in _plan_lines(measurement, each_plans)),
        *(_pass_lines(passes, len(plans) - 1) if options.one_pass else ()),
        *_price_lines([machine for machine in machines if machine.name in used]),
    ]
    show_figures("".join(f"{line}\n" for line in lines), figures, options.json)


def _choose(
    machines: Sequence[InstancePrice], names: Sequence[str] | None, measurement: Measurement, source: Path
) -> list[InstancePrice]:
    from raybio.cost import fits

    if not names:
        return [machine for machine in machines if fits(measurement, machine)]
    by_name = {machine.name: machine for machine in machines}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise UsageError(f"{source} has no {', '.join(unknown)}. It has {', '.join(by_name)}")
    return [by_name[name] for name in names]


def _corpus_lines(options: Namespace, assumptions: Assumptions) -> Iterator[str]:
    without = round(options.citations * assumptions.without_abstract)
    sentences = round(options.citations * assumptions.sentences_per_citation)
    yield (
        f"{options.citations:,} citations, of which {without:,} without abstract (assumed): "
        f"{sentences:,} sentences, within {options.deadline:g} h"
    )


def _plan_lines(measurement: Measurement, plans: Sequence[Plan]) -> Iterator[str]:
    from raybio.cost import dollars
    from raybio.evaluation.tables import align

    yield ""
    yield f"{measurement.name}: {measurement.sentences_per_second:,.2f} sentences/s measured"
    if not plans:
        yield "  the price list has no machine with the device that was measured"
        return
    header = (
        "instance",
        "nodes",
        "hours",
        "on demand",
        "spot",
        "sentences/s/node",
        "1,000 sentences",
        "1M abstracts",
    )
    rows = [
        (
            each.instance,
            f"{each.nodes:,}",
            f"{each.hours:,.1f}",
            dollars(each.on_demand),
            dollars(each.spot),
            f"{each.unit.node_sentences_per_second:,.1f}",
            dollars(each.unit.per_1000_sentences),
            dollars(each.unit.per_million_abstracts),
        )
        for each in plans
    ]
    yield from (f"  {line}" for line in align(header, rows))
    for kind in ("measured", "extrapolated", "assumed"):
        said = dict.fromkeys(line for each in plans for line in getattr(each.basis, kind))
        yield from (f"  {kind}: {line}" for line in said)


def _passes(plans: Sequence[Sequence[Plan]]) -> dict[str, tuple[SideBySide, SideBySide]]:
    """Return the last model's pass and those of the others, by the machines that all have a plan for."""
    from raybio.cost import SideBySide

    *others, one = ({each.instance: each for each in each_plans} for each_plans in plans)
    return {
        name: (SideBySide.of([pass_]), SideBySide.of([each[name] for each in others]))
        for name, pass_ in one.items()
        if all(name in each for each in others)
    }


def _pass_lines(passes: Mapping[str, tuple[SideBySide, SideBySide]], count: int) -> Iterator[str]:
    from raybio.cost import dollars
    from raybio.evaluation.tables import align

    yield ""
    yield f"one pass beside {count} passes at the same time, one of each other model"
    if not passes:
        yield "  the price list has no machine with the device that all were measured on"
        return
    header = ("instance", "passes", "nodes", "hours", "on demand", "spot", "times the dollars")
    rows = [
        (
            name if each is one else "",
            "1" if each is one else f"{count}",
            f"{each.nodes:,}",
            f"{each.hours:,.1f}",
            dollars(each.on_demand),
            dollars(each.spot),
            f"{each.on_demand / one.on_demand:.2f}",
        )
        for name, (one, several) in passes.items()
        for each in (one, several)
    ]
    yield from (f"  {line}" for line in align(header, rows))


def _price_lines(machines: Sequence[InstancePrice]) -> Iterator[str]:
    yield ""
    yield "prices are dollars, for unit costs on demand and without start-up"
    by_source: dict[tuple[str, str], list[str]] = {}
    for machine in machines:
        by_source.setdefault((machine.date, machine.source), []).append(machine.name)
    for (day, source), names in by_source.items():
        yield f"  {', '.join(names)}: {source}, read on {day}"


def _hours(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([mhd])", text)
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time; allowed: a number and m, h or d, as in 24h"
        )
    return float(found[1]) * _HOURS[found[2]]


def _positive(text: str) -> int:
    number = whole_number(text)
    if number == 0:
        raise argparse.ArgumentTypeError("0 citations need no plan; allowed: 1 or more")
    return number


def _number(text: str) -> float:
    if not re.fullmatch(r"\d*\.?\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, 0 or more")
    return float(text)
