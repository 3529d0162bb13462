"""What every XML format gets; the formats' own tests have what is in their records."""

import io
from collections.abc import Iterator

import pytest

from raybio.corpora.xml_records import CHUNK, Element, Grammar, read_records
from raybio.entities import Rejected
from raybio.errors import FormatError

GRAMMAR = Grammar(("r",), {"all": "about r*", "r": "text note", "text": "#PCDATA"})


def read(xml: str) -> Iterator[Element | Rejected]:
    def name_of(record: Element) -> str:
        return f"r {record.get('id')}"

    return read_records(io.BytesIO(xml.encode()), "x.xml", GRAMMAR, "r", name_of)


def faults(xml: str) -> list[str]:
    found = read(xml)
    return [x.reason if isinstance(x, Rejected) else GRAMMAR.fault_of(x) for x in found]


@pytest.mark.parametrize(
    "xml",
    [
        "<r/>",
        "<all> <about>x</about> <r> <text>a<b>c</b>d</text> </r><r><note>x<b>y</b></note><note/></r></all>",
        "<other><r><unknown/><text>a</text><text/></r></other>",
        "<all><unknown> </unknown><r><unknown><x/></unknown></r></all>",
    ],
)
def test_text_where_it_belongs_is_no_fault(xml):
    assert not any(faults(xml))


@pytest.mark.parametrize(
    ("xml", "found"),
    [
        ("<r><txt>a</txt></r>", ["<r> holds text in <txt>, which does not belong there"]),
        ("<r><note><text>a</text></note></r>", ["<note> holds text in <text>, which does not belong there"]),
        ("<r><text>a<text>b</text></text></r>", ["<text> holds text in <text>, which does not belong there"]),
        ("<r><text>a</text><text>b</text></r>", ["<r> holds text in a second <text>"]),
        ("<r>a<text>b</text></r>", ["<r> holds text outside the elements in it"]),
        ("<r><text>b</text>a</r>", ["<r> holds text outside the elements in it"]),
        ("<r><note><r/></note></r>", ["a <r> and a <r> stand one inside the other"] * 2),
        ("<all>a<r/></all>", ["", "<all> holds text outside the elements in it"]),
        ("<all><r/>a<r/></all>", ["", "text stands in or after <r>, which is part of no record", ""]),
        ("<all><r/><s>a</s></all>", ["", "text stands in or after <s>, which is part of no record"]),
        ("<all><r/><about>a</about></all>", [""]),
        (
            "<other><about>a</about><r/></other>",
            ["text stands in or after <about>, which is part of no record", ""],
        ),
    ],
)
def test_text_that_nobody_would_read_is_a_fault(xml, found):
    assert faults(xml) == found


def test_an_undeclared_entity_is_unknown_text():
    xml = '<!DOCTYPE all SYSTEM "all.dtd"><all><r>&what;</r></all>'
    assert faults(xml) == ["<r> holds text in &what;, which does not belong there"]


def test_what_stands_inside_another_record_is_kept_with_one_of_them():
    found = [record.xpath("string()") for record in read("<r><text>a</text><r><text>b</text></r>c</r>")]
    assert found == ["b", "ac"]


@pytest.mark.parametrize("xml", ["", "<all/>", "<all>text</all>", "<all><s>text</s></all>"])
def test_a_file_without_records_is_an_error(xml):
    with pytest.raises(FormatError, match=r"x\.xml: the file holds no r"):
        list(read(xml))


def test_broken_xml_is_an_error_that_says_after_what():
    found = read("<all><r id='7'/><r id='8'></all>")
    assert next(found).get("id") == "7"
    with pytest.raises(FormatError, match=r"x\.xml, line 1, .*: the XML is broken after r 7"):
        list(found)


def test_records_are_freed():
    """tracemalloc does not see libxml2's memory, so look at the tree: one record at a time is in it."""
    record = f"<r><text>{'abc ' * 50}</text></r> "
    left = [len(found.getparent()) for found in read(f"<all>{record * 3_000}</all>")]
    assert len(left) == 3_000
    # One chunk of the file may be parsed ahead.
    assert max(left) < CHUNK / len(record) + 3
