"""The records of an XML file one after another, in constant memory; and text in it that no reader looks for.

Entity declarations are refused and none is resolved: an external one could read this machine's
files, and nested ones grow without bound. The DTD a file names is not loaded.

A reader asks for the elements it knows, so that text in a misspelt or misplaced one would be lost
without a word. A format therefore gives the part of its DTD that bears text as a `Grammar`, and
rejects a record in which the grammar finds a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from lxml import etree

from raybio.corpora.limits import MAX_RECORD_BYTES, PART_BYTES, too_large_error
from raybio.corpora.opening import no_records
from raybio.entities import Rejected
from raybio.errors import FormatError

CHUNK = 64 * 1024
MAX_ATTRIBUTES = 100
"""Of one element: PubMed and BioC know a handful."""
REMEDY = "Fix the element named; if it is new in the format, its reader must learn it"

Element: TypeAlias = Any  # lxml's stubs name no public type that all its functions take.


class Grammar:
    """The elements that a record's text may stand in, and what may stand in each, as a DTD says it.

    `records` are the names of the records, and `rules` map an element's name to those of its
    children. A child that has a rule may stand there once, or often where a `*` follows its name;
    one that has none (dates, authors) holds none of the record's text, and may stand there at will.
    "#PCDATA" says that the reader takes all the text inside.
    """

    def __init__(self, records: Iterable[str], rules: Mapping[str, str]) -> None:
        self.records = tuple(records)
        self._rules = {
            name: {child.rstrip("*"): child.endswith("*") for child in children.split()}
            for name, children in rules.items()
        }

    def fault_of(self, record: Element) -> str:
        """Return where text stands in `record` that would not be read, in one clause, or ""."""
        outer, inner = record.iterancestors(*self.records), record.iterdescendants(*self.records)
        if (other := next(chain(outer, inner), None)) is not None:
            return f"a <{record.tag}> and a <{other.tag}> stand one inside the other"
        # lxml looks each attribute up among all of its element: reading them takes their number squared.
        for element in record.iter(etree.Element):
            if len(element.attrib) > MAX_ATTRIBUTES:
                return f"<{element.tag}> has more than {MAX_ATTRIBUTES:,} attributes"
        return next(filter(None, map(self._fault_at, record.iter(*self._rules))), "")

    def strays(self, parent: Element, children: Iterable[Element]) -> Iterator[Element]:
        """Yield the children beside the records that hold text and are unknown there, or precede text."""
        known = self._rules.get(parent.tag, self.records)
        for child in children:
            if not _is_blank(child.tail) or (child.tag not in known and _has_text(child)):
                yield child

    def _fault_at(self, element: Element) -> str:
        parent, rule = element.getparent(), self._rules[element.tag]
        # Records stand where they like: with or without a collection around them.
        known = element.tag in self.records or element.tag in self._rules.get(parent.tag, ())
        if not known and _has_text(element):
            return f"<{parent.tag}> holds text in <{element.tag}>, which does not belong there"
        return "" if "#PCDATA" in rule else self._fault_inside(element, rule)

    def _fault_inside(self, element: Element, rule: Mapping[str, bool]) -> str:
        loose = not _is_blank(element.text)
        seen = set()
        for child in element:
            if child.tag not in rule and _has_text(child):
                return f"<{element.tag}> holds text in {_name(child)}, which does not belong there"
            if child.tag in seen and not rule[child.tag] and _has_text(child):
                return f"<{element.tag}> holds text in a second <{child.tag}>"
            if child.tag in self._rules:
                seen.add(child.tag)
            loose = loose or not _is_blank(child.tail)
        return f"<{element.tag}> holds text outside the elements in it" if loose else ""


def read_records(
    stream: BinaryIO,
    source: str,
    grammar: Grammar,
    expected: str,
    name_of: Callable[[Element], str],
    max_record_bytes: int = MAX_RECORD_BYTES,
) -> Iterator[Element | Rejected]:
    """Yield each record, emptied once the next one is asked for, and a Rejected for text beside them.

    A record inside another one is yielded first, and the other one without it; the grammar finds
    fault with both. `name_of` returns what people call a record, "PMID 7" say, for error messages.

    Raises:
        FormatError: the XML is broken (the records before the fault have been yielded), declares
            entities of its own, holds no record, which the message calls `expected`, or a record, or what
            stands between two, is too large: no parser can pass over that without building it.
    """
    parser = _parser(grammar)
    # read1 hands out what is there before a truncated gzip fails; read would lose it.
    read_some = getattr(stream, "read1", stream.read)
    offset, count, last = 0, 0, ""
    size = 0  # of what the parser holds: all since the last record
    for chunk in chain(iter(partial(read_some, CHUNK), b""), [b""]):
        root, fault = _parse(parser, chunk)
        for _, record in parser.read_events():
            if not count:
                _refuse_entities(record, source)
            yield from _strays_before(record, source, count, grammar)
            count += 1
            last = name_of(record) or last
            yield record
            _release(record, grammar)
            size = 0
        if fault and offset + len(chunk):  # an empty file has no records, which says it better
            raise fault.error(source, f"bytes {offset} to {offset + len(chunk)}", last)
        offset += len(chunk)
        size += len(chunk) + PART_BYTES * (chunk.count(b"<") + chunk.count(b"="))
        if size > max_record_bytes:
            what = f"what stands {_after(last)}"
            raise too_large_error(source, f"byte {offset}", what, max_record_bytes)
    if root is not None:
        _refuse_entities(root, source)
    if not count:
        raise no_records(source, expected)
    yield from _strays_left(root, source, grammar)


def _parser(grammar: Grammar) -> Any:
    return etree.XMLPullParser(
        events=("end",),
        tag=grammar.records,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


class _Fault(NamedTuple):
    """Where and why the XML cannot be parsed on."""

    line: int
    column: int
    problem: str

    def error(self, source: str, where: str, last: str) -> FormatError:
        place = f"line {self.line}, column {self.column}, {where}"
        problem = f"the XML is broken {_after(last)} ({self.problem.strip()})"
        return FormatError(source, place, problem, "Fetch or write the file again")


def _after(last: str) -> str:
    return f"after {last}" if last else "before the first record"


def _parse(parser: Any, chunk: bytes) -> tuple[Element | None, _Fault | None]:
    """Parse `chunk`, b"" being the file's end; return the root then, or the fault that ends the parsing.

    lxml raises for most faults but only logs some (an undeclared entity), ignoring what follows.
    """
    try:
        if not chunk:
            return parser.close(), None
        parser.feed(chunk)
    except etree.XMLSyntaxError as error:
        return None, _Fault(*error.position, error.msg)
    for entry in parser.feed_error_log.filter_from_fatals():
        return None, _Fault(entry.line, entry.column, entry.message)
    return None, None


def _refuse_entities(element: Element, source: str) -> None:
    dtd = element.getroottree().docinfo.internalDTD
    names = [] if dtd is None else [entity.name for entity in dtd.iterentities()]
    if names:
        problem = f"the file declares XML entities of its own ({', '.join(names[:5])}), which are not read"
        raise FormatError(source, "DOCTYPE", problem, "Do not trust it; fetch or write it without <!ENTITY")


def _strays_before(record: Element, source: str, count: int, grammar: Grammar) -> Iterator[Rejected]:
    """Yield text beside the records that stands before `record`, which nobody has seen yet."""
    if record.getparent() is None or _is_nested(record, grammar):
        return
    siblings = reversed(list(record.itersiblings(preceding=True)))
    for stray in grammar.strays(record.getparent(), siblings):
        yield _rejected(stray, source, f"before record {count + 1}")


def _strays_left(root: Element, source: str, grammar: Grammar) -> Iterator[Rejected]:
    """Yield text beside the records in what is left of the tree at the end of the file."""
    place = "beside the records"
    if not _is_blank(root.text):
        yield Rejected(
            source, place, f"<{root.tag}> holds text outside the elements in it", REMEDY, raw=root.text
        )
    for stray in grammar.strays(root, root):
        yield _rejected(stray, source, place)


def _rejected(stray: Element, source: str, place: str) -> Rejected:
    raw = etree.tostring(stray, encoding="unicode")
    reason = f"text stands in or after {_name(stray)}, which is part of no record"
    return Rejected(source, place, reason, REMEDY, raw=raw)


def _release(record: Element, grammar: Grammar) -> None:
    """Empty `record` and forget those before it: the parser would keep the whole file."""
    record.clear(keep_tail=True)
    parent = record.getparent()
    # What stands before a record inside another one belongs to that one, which is still to be read.
    while parent is not None and record.getprevious() is not None and not _is_nested(record, grammar):
        del parent[0]


def _is_nested(record: Element, grammar: Grammar) -> bool:
    return any(True for _ in record.iterancestors(*grammar.records))


def _has_text(element: Element) -> bool:
    return not isinstance(element.tag, str) or any(map(str.strip, element.itertext()))


def _is_blank(text: str | None) -> bool:
    return not text or text.isspace()


def _name(element: Element) -> str:
    """Return how `element` is written: `<b>`, or `&entity;` for one that nobody declared."""
    return f"<{element.tag}>" if isinstance(element.tag, str) else element.text
