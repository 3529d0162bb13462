"""From a YAML file and override words to one typed config, or to every fault at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from raybio.config.faults import WHOLE_FILE, Fault, KeyPath, Place, closest, dotted, shown
from raybio.config.overrides import apply, split_words
from raybio.config.renamed import with_present_names
from raybio.config.section import JobConfig
from raybio.config.shipped import find_config, similar
from raybio.config.validation import validate
from raybio.config.yaml_text import Parsed, parse
from raybio.errors import ConfigError
from raybio.special_files import special_kind

MAX_BYTES = 1 << 20
_COMMANDS = {"run-study": "study run"}  # the others are called as their jobs

SomeJob = TypeVar("SomeJob", bound=JobConfig)


def load(
    path: str | Path,
    overrides: Sequence[str],
    jobs: Mapping[str, type[SomeJob]],
    other_jobs: Collection[str] = (),
    recorded: bool = False,
) -> SomeJob:
    """Read the config at `path`, or the shipped one of that name; apply `overrides` in order, and check it.

    `jobs` maps each name that `job:` may have here to its config class; `other_jobs` are
    those that another command takes, which the message then names. A `recorded` config is raybio's own,
    maybe of a time when options had other names.

    Raises:
        ConfigError: holds every fault of the file and the overrides, in the order one reads them.
        UsageError: several shipped configs have that name.
    """
    file = Path(path) if recorded else find_config(path, jobs)
    parsed = read_yaml(file)
    if not recorded and not file.exists():
        parsed = _unread(f"no such file; {similar(path)}")
    words, faults = split_words(overrides)
    faults += parsed.faults
    config = None
    if isinstance(parsed.data, dict):
        if recorded:
            parsed.data = with_present_names(parsed.data)
        job = parsed.data.get("job")
        config_class = jobs.get(job) if isinstance(job, str) else None
        if config_class is None:
            faults.append(_not_this_job(parsed.data, _place(("job",), parsed.places), jobs, other_jobs))
        else:
            faults += filter(None, [apply(word, parsed, config_class) for word in words])
            config, problems = validate(config_class, parsed.data)
            faults += [Fault(_place(at, parsed.places), dotted(at), problem) for at, problem in problems]
    elif not parsed.faults:
        found = "nothing" if parsed.data is None else shown(parsed.data)
        faults.append(Fault(WHOLE_FILE, "", f"found {found}; a config is a mapping with 'job: NAME' in it"))
    if config is None or faults:
        raise ConfigError(str(path), [str(fault) for fault in sorted(set(faults))])
    return config


def check(data: Mapping[str, object], config_class: type[SomeJob], source: str) -> SomeJob:
    """Return the config that plain nested `data` holds.

    Raises:
        ConfigError: names `source` and holds every fault.
    """
    config, problems = validate(config_class, data)
    if config is None:
        faults = [Fault(WHOLE_FILE, dotted(at), problem) for at, problem in problems]
        raise ConfigError(source, [str(fault) for fault in faults])
    return config


def read_yaml(path: Path) -> Parsed:
    """Read the YAML file at `path`; what makes that impossible is a fault of the result."""
    try:
        if kind := special_kind(path):
            return _unread(f"is {kind}, not a file; save what it gives in a file")
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            return _unread(f"larger than {MAX_BYTES:,} bytes; give a config, not data")
        return parse(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return _unread("no such file; check the path")
    except OSError as error:
        return _unread(f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        return _unread(f"not UTF-8 text at byte {error.start}; save it as UTF-8")


def _unread(problem: str) -> Parsed:
    return Parsed(faults=[Fault(WHOLE_FILE, "", problem)])


def _not_this_job(
    data: Mapping[str, object], place: Place, jobs: Collection[str], other_jobs: Collection[str]
) -> Fault:
    name = data.get("job")
    if isinstance(name, str) and name in other_jobs:
        command = _COMMANDS.get(name, name)
        return Fault(place, "job", f"this file configures {name}; run `raybio {command}` with it")
    found = f"found {shown(name)}" if "job" in data else "missing"
    match = closest(name, jobs) if isinstance(name, str) else None
    hint = f"; did you mean {match!r}?" if match else ""
    return Fault(place, "job", f"{found}; allowed: one of {', '.join(jobs)}{hint}")


def _place(path: KeyPath, places: Mapping[KeyPath, Place]) -> Place:
    """Return where `path` was given, or else the section it belongs in."""
    ends = range(len(path), 0, -1)
    return next((places[path[:end]] for end in ends if path[:end] in places), WHOLE_FILE)
