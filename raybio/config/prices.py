"""The price list: what an hour of a machine costs, with the day and source of every price."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from raybio.config.faults import WHOLE_FILE, Fault, KeyPath, Place, dotted, shown
from raybio.config.loading import read_yaml
from raybio.config.section import Section, Text
from raybio.config.shipped import shipped_folder
from raybio.config.validation import validate
from raybio.errors import ConfigError

_KEY = "instances"
_NOT_A_LIST = "allowed: a list of machines, each with its name, prices, date and source"


def _is_a_day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"found {text!r}; allowed: a day such as '2026-11-22'") from None
    return text


class InstancePrice(Section):
    """One machine that can be had by the hour; prices are dollars an hour for the whole machine."""

    name: Text = Field(description="what the provider calls it")
    accelerator: Text | None = Field(description="the kind of its GPUs; null = it has none")
    gpus: int = Field(ge=0, description="GPUs in it")
    vcpus: int = Field(ge=1, description="virtual CPUs in it")
    on_demand: float = Field(gt=0, description="dollars an hour, for as long as one likes")
    spot: float | None = Field(gt=0, description="dollars an hour while nobody bids more; null = not known")
    date: Annotated[str, AfterValidator(_is_a_day)] = Field(description="the day the source was read")
    source: Text = Field(description="where the price stands")


def shipped_prices() -> Path:
    """Return the price list that comes with raybio."""
    return shipped_folder() / "prices.yaml"


def load_prices(path: str | Path | None = None) -> tuple[InstancePrice, ...]:
    """Return the machines of the price list at `path`, in its order; without it, of raybio's own.

    Raises:
        ConfigError: holds every fault of the file, each with its line.
    """
    path = Path(path or shipped_prices())
    parsed = read_yaml(path)
    faults = list(parsed.faults)
    data = parsed.data if isinstance(parsed.data, Mapping) else {}
    listed = data.get(_KEY)
    entries = listed if isinstance(listed, list) else []
    if not faults and not entries:
        place = parsed.places.get((_KEY,), WHOLE_FILE)
        faults.append(Fault(place, _KEY, f"found {shown(listed)}; {_NOT_A_LIST}"))
    faults += [
        Fault(parsed.places[(key,)], key, f"unknown key; the only one here is {_KEY}")
        for key in data
        if key != _KEY
    ]
    machines: list[InstancePrice] = []
    for number, entry in enumerate(entries):
        machine, found = _machine(entry, (_KEY, number), parsed.places)
        faults += found
        machines += [machine] if machine else []
    faults += _repeated(entries, parsed.places)
    if faults:
        raise ConfigError(str(path), [str(fault) for fault in sorted(set(faults))])
    return tuple(machines)


def _machine(
    entry: object, at: KeyPath, places: Mapping[KeyPath, Place]
) -> tuple[InstancePrice | None, list[Fault]]:
    if not isinstance(entry, dict):
        return None, [Fault(places[at], dotted(at), f"found {shown(entry)}; allowed: one machine's keys")]
    machine, problems = validate(InstancePrice, entry)
    faults = [
        Fault(places.get((*at, *below), places[at]), dotted((*at, *below)), problem)
        for below, problem in problems
    ]
    if machine and bool(machine.gpus) != bool(machine.accelerator):
        problem = (
            f"found {shown(machine.accelerator)} with gpus: {machine.gpus}; GPUs and their kind go together"
        )
        faults.append(Fault(places[(*at, "accelerator")], dotted((*at, "accelerator")), problem))
    return machine, faults


def _repeated(entries: list[object], places: Mapping[KeyPath, Place]) -> Iterator[Fault]:
    names: dict[object, int] = {}
    for number, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and names.setdefault(name, number) != number:
            at = (_KEY, number, "name")
            yield Fault(places[at], dotted(at), f"found {name!r} again; a machine is listed once")
