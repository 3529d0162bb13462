"""YAML as configs use it: the scalars of YAML 1.2, and no surprises.

PyYAML follows YAML 1.1, where `5e-5` is text, `NO` is false, `010` is 8, `1:30` is 90 and
`2024-01-02` is a date. Here only what looks like a decimal number is one, only true and
false are booleans, and all the rest is text. A key given twice is a fault, tags cannot
create objects, and aliases cannot blow a small file up.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import yaml

from raybio.config.faults import WHOLE_FILE, Fault, KeyPath, Place, dotted

MAX_VALUES = 10_000
"""Values one file may hold, aliases counted each time they are used."""
MAX_LEVELS = 20

_TAG = "tag:yaml.org,2002:"
_TEXT = _TAG + "str"
_NUMBERS = list("+-.0123456789")


class _Scalar(NamedTuple):
    """One kind of plain scalar: its tag, its look, the letters it may start with, its value."""

    tag: str
    pattern: re.Pattern[str]
    first: list[str]
    value: Callable[[str], object]


# https://yaml.org/spec/1.2.2/#103-core-schema, less octal, hexadecimal, infinity and NaN, and with
# a leading zero refused (1.1 reads 010 as 8, 1.2 as 10: whoever writes it should say which).
# Whole numbers end at 18 digits: longer ones are not settings.
_SCALARS = [
    _Scalar(_TAG + "null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""], lambda text: None),
    _Scalar(
        _TAG + "bool",
        re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
        ["t", "T", "f", "F"],
        lambda text: text.lower() == "true",
    ),
    _Scalar(_TAG + "int", re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\Z"), _NUMBERS, int),
    _Scalar(
        _TAG + "float",
        re.compile(
            r"[-+]?(?:(?:0|[1-9][0-9]*)?(?:\.[0-9]+|(?<=[0-9])\.)(?:[eE][-+]?[0-9]+)?"
            r"|(?:0|[1-9][0-9]*)[eE][-+]?[0-9]+)\Z"
        ),
        _NUMBERS,
        float,
    ),
]
_HINTS = {
    "'\\t'": "indent with spaces, not tabs",
    "alias": "put text that starts with * in quotes",
    "mapping values are not allowed": "put text that holds ': ' in quotes, and line up the keys of a section",
}


class _Loader(yaml.SafeLoader):
    """Composes nodes with the scalars above; it is never asked to construct anything."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own name and type


class _Dumper(yaml.SafeDumper):
    """Quotes text that a reader of either YAML would take for something else."""

    def ignore_aliases(self, data: object) -> bool:
        """Write every value out where it stands."""
        return True


for _kind in _SCALARS:
    _Loader.add_implicit_resolver(_kind.tag, _kind.pattern, _kind.first)
    _Dumper.add_implicit_resolver(_kind.tag, _kind.pattern, _kind.first)


@dataclass
class Parsed:
    """What a text holds: plain data, the place of every key and list item, and what is wrong."""

    data: object = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def parse(text: str) -> Parsed:
    """Read one YAML document; a fault that leaves nothing to read leaves `data` None."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        return Parsed() if node is None else _Builder().build(node)
    except yaml.YAMLError as error:
        return Parsed(faults=[_syntax_fault(error)])
    except RecursionError:
        return Parsed(faults=[Fault(WHOLE_FILE, "", f"nested deeper than {MAX_LEVELS} levels")])


def plain_scalar(text: str) -> object:
    """Return what `text` means where YAML expects a plain scalar: "1e-5" -> 1e-5, "NO" -> "NO"."""
    return next((kind.value(text) for kind in _SCALARS if kind.pattern.match(text)), text)


def dump(data: object) -> str:
    """Return plain data as YAML text, in ASCII, that `parse` reads back to the same data.

    Not with `allow_unicode`: PyYAML then writes U+0085 bare, and reads it back as a space.
    """
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=110)


def _syntax_fault(error: yaml.YAMLError) -> Fault:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    said = f"{getattr(error, 'context', '')} {problem}"
    hint = next((f"; {hint}" for sign, hint in _HINTS.items() if sign in said), "")
    place = Place.line(mark.line + 1) if mark else WHOLE_FILE
    return Fault(place, "", f"not readable as YAML: {problem}{hint}")


class _Builder:
    """Turns composed nodes into a `Parsed`; an alias is copied out wherever it is used."""

    def __init__(self) -> None:
        self.parsed = Parsed()
        self.values = 0

    def build(self, node: yaml.Node) -> Parsed:
        """Return the whole document below `node`, or the one fault that stopped its reading."""
        try:
            self.parsed.data = self._value(node, ())
        except OverflowError as error:
            return Parsed(faults=[Fault(WHOLE_FILE, "", str(error))])
        return self.parsed

    def _value(self, node: yaml.Node, path: KeyPath) -> object:
        self.values += 1
        if self.values > MAX_VALUES:
            raise OverflowError(f"more than {MAX_VALUES:,} values, aliases written out; use fewer aliases")
        if len(path) > MAX_LEVELS:
            raise OverflowError(f"nested deeper than {MAX_LEVELS} levels, or an alias holds itself")
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self._entry(item, item, (*path, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._fault(node, path, f"the tag {node.tag!r} is not known here; remove it")
        return None

    def _entry(self, holder: yaml.Node, node: yaml.Node, path: KeyPath) -> object:
        self.parsed.places[path] = Place.line(holder.start_mark.line + 1)
        return self._value(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        mapping: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fault(key, path, "a key must be a word, not a list or a mapping")
            elif key.value in mapping:
                first = self.parsed.places[(*path, key.value)].text
                self._fault(key, (*path, key.value), f"given twice; {first} has it already")
            else:
                mapping[key.value] = self._entry(key, value, (*path, key.value))
        return mapping

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> object:
        text = str(node.value)
        for kind in _SCALARS:
            if node.tag == kind.tag and kind.pattern.match(text):
                return kind.value(text)
        if node.tag != _TEXT:
            self._fault(node, path, f"the tag {node.tag!r} does not fit {text!r}; remove it")
        return text

    def _fault(self, node: yaml.Node, path: KeyPath, problem: str) -> None:
        self.parsed.faults.append(Fault(Place.line(node.start_mark.line + 1), dotted(path), problem))
