"""XML's own hazards; test_bioc.py has what is in a document."""

import io
import tracemalloc

import pytest
from lxml import etree

from raybio.corpora import bioc_xml
from raybio.entities import Document, Mention, Passage, Rejected, Relation
from raybio.errors import FormatError

# The BioC DTD, version 1.0.
DTD = """
<!ELEMENT collection ( source, date, key, infon*, document+ ) >
<!ELEMENT source (#PCDATA)> <!ELEMENT date (#PCDATA)> <!ELEMENT key (#PCDATA)>
<!ELEMENT infon (#PCDATA)> <!ATTLIST infon key CDATA #REQUIRED >
<!ELEMENT document ( id, infon*, passage+, relation* ) > <!ELEMENT id (#PCDATA)>
<!ELEMENT passage ( infon*, offset, ( ( text?, annotation* ) | sentence* ), relation* ) >
<!ELEMENT offset (#PCDATA)> <!ELEMENT text (#PCDATA)>
<!ELEMENT sentence ( infon*, offset, text?, annotation*, relation* ) >
<!ELEMENT annotation ( infon*, location*, text ) > <!ATTLIST annotation id CDATA #IMPLIED >
<!ELEMENT location EMPTY> <!ATTLIST location offset CDATA #REQUIRED length CDATA #REQUIRED >
<!ELEMENT relation ( infon*, node* ) > <!ATTLIST relation id CDATA #IMPLIED >
<!ELEMENT node EMPTY> <!ATTLIST node refid CDATA #REQUIRED role CDATA "" >
"""

ONE = (
    "<document><id>1</id><passage><infon key='type'>title</infon><offset> 0 </offset><text>{}</text>"
    "<annotation id='3'><infon key='type'>Disease</infon><location offset='0' length='2'/><text>ab</text>"
    "</annotation></passage></document>"
)
EXPECTED = Document("1", "abc", (Passage(0, 3, "title"),), (Mention(0, 2, "Disease", "ab", id="3"),))


def read(content: str | bytes) -> list:
    raw = content.encode() if isinstance(content, str) else content
    return list(bioc_xml.read(io.BytesIO(raw), "x.xml"))


def write(*found: Document) -> bytes:
    stream = io.BytesIO()
    bioc_xml.write(found, stream)
    return stream.getvalue()


def test_what_is_written_follows_the_dtd():
    relation = Relation("CID", (("", "3"), ("x", "3")), "R")
    content = write(Document("1", "abc d", EXPECTED.passages, EXPECTED.mentions, relations=(relation,)))
    dtd = etree.DTD(io.StringIO(DTD))
    assert dtd.validate(etree.fromstring(content)), dtd.error_log
    assert content.startswith(
        b"<?xml version='1.0' encoding='utf-8'?>\n<!DOCTYPE collection SYSTEM \"BioC.dtd\">"
    )


@pytest.mark.parametrize(
    "text", ["abc", "a<!-- x -->bc", "a<?x y?>bc", "<![CDATA[ab]]>c", "<i>a</i>bc", "&#97;bc"]
)
def test_text_is_read_whole(text):
    assert read(f"<collection>{ONE.format(text)}</collection>") == [EXPECTED]
    assert read(ONE.format(text)) == [EXPECTED], "without a collection around it"


def test_other_encodings_are_read_as_declared():
    content = f"<?xml version='1.0' encoding='UTF-16'?><collection>{ONE.format('abc')}</collection>"
    assert read(content.encode("utf-16")) == [EXPECTED]


@pytest.mark.parametrize("text", ["a\rb", "a\r\nb", "\n", " ", "\t a", "a\u0085b\u2028c", "]]>&amp;"])
def test_whitespace_and_markup_survive(text):
    document = Document("1", text, (Passage(0, len(text), "title"),), ())
    assert read(write(document)) == [document]


def test_what_stands_before_a_break_is_read():
    whole = f"<collection>{ONE.format('abc')}{ONE.format('abc')}</collection>"
    for content in (whole[:-120], whole[: -len("</collection>")], whole.replace("</collection>", "<<")):
        records = bioc_xml.read(io.BytesIO(content.encode()), "x.xml")
        assert next(records) == EXPECTED
        with pytest.raises(FormatError, match=r"x\.xml, line 1, .*: the XML is broken after document 1"):
            list(records)


@pytest.mark.parametrize(
    "declared",
    [
        '<!ENTITY secret SYSTEM "file:///etc/passwd">',
        '<!ENTITY secret "abc">',
        '<!ENTITY % secret SYSTEM "file:///etc/passwd"> %secret;',
        '<!ENTITY l0 "lol">'
        + "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 9))
        + '<!ENTITY secret "&l8;">',
    ],
    ids=["external", "internal", "parameter", "bomb"],
)
def test_declared_entities_are_refused(declared):
    content = f"<!DOCTYPE collection [{declared}]><collection>{ONE.format('&secret;')}</collection>"
    tracemalloc.start()
    with pytest.raises(FormatError, match=r"the file declares XML entities|the XML is broken") as error:
        read(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "root:" not in str(error.value)
    assert peak < 10_000_000


def test_an_entity_nobody_declared_rejects_its_document():
    content = f"<collection>{ONE.format('ab&alpha;')}{ONE.format('abc')}</collection>"
    bad, good = read(f'<!DOCTYPE collection SYSTEM "BioC.dtd">{content}')
    assert (bad.place, bad.reason, bad.document_id) == (
        "document 1",
        "the entity &alpha; is not declared",
        "1",
    )
    assert good == EXPECTED


def test_a_document_that_is_not_bioc_is_rejected_with_its_xml():
    bad, good = read(f"<collection>{ONE.format('xyz')}{ONE.format('abc')}</collection>")
    assert isinstance(bad, Rejected)
    assert bad.reason == "the mention at 0-2 says 'ab' but the text there is 'xy'"
    assert bad.raw == ONE.format("xyz").replace("'", '"')
    assert good == EXPECTED


@pytest.mark.parametrize(
    "content",
    [b"  ", b"plain text", b"{}", b"<collection><document><id>\xe9</id></document></collection>"],
    ids=["blank", "text", "json", "latin-1"],
)
def test_what_is_not_xml_is_an_error(content):
    with pytest.raises(FormatError, match=r"x\.xml, line \d+, .*: the XML is broken"):
        read(content)


@pytest.mark.parametrize("character", ["\0", "\x08", "\x0b", "\x1f", "\ufffe", "\ud800"])
@pytest.mark.parametrize("where", ["id", "text", "attributes"])
def test_characters_xml_cannot_hold_are_an_error(character, where):
    values = {"id": "7", "text": "x", where: {"k": character} if where == "attributes" else character}
    with pytest.raises(FormatError, match=r"document '.*': XML cannot hold a control character"):
        write(Document(**values))


def test_memory_does_not_grow_with_the_file():
    def grown_by(count: int) -> int:
        body = io.BytesIO(f"<collection>{ONE.format('abc ' * 5_000) * count}</collection>".encode())
        tracemalloc.start()
        assert sum(1 for _ in bioc_xml.read(body, "x.xml")) == count
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert grown_by(200) < 2 * grown_by(20)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("<text>abc</text>", "<txt>abc</txt>", "<passage> holds text in <txt>, which does not belong there"),
        ("<text>abc</text>", "<text>abc</text><text>def</text>", "<passage> holds text in a second <text>"),
        ("<passage>", "<passage>abc ", "<passage> holds text outside the elements in it"),
        ("<id>1</id>", "<id>1</id><text>abc</text>", "<document> holds text in <text>, which does not"),
        ("<offset> 0 ", "<offset><text>abc</text>0", "<offset> holds text in <text>, which does not"),
        ("</passage>", "</passage> abc", "<document> holds text outside the elements in it"),
        ("</passage>", "</passage><passages>abc</passages>", "<document> holds text in <passages>, which"),
        ("</annotation>", "</annotation><annotation><text>de</text><text>f</text></annotation>", "a second"),
    ],
)
def test_text_where_bioc_has_none_rejects_its_document(old, new, fault):
    document = ONE.format("abc")
    bad, good = read(f"<collection>{document.replace(old, new, 1)}{document}</collection>")
    assert fault in bad.reason
    assert new.replace("'", '"') in bad.raw
    assert (bad.place, bad.document_id) == ("document 1", "1")
    assert good == EXPECTED


def test_a_document_may_have_two_texts_of_one_name_where_bioc_has():
    more = (
        "<passage><infon key='a'>x</infon><infon key='b'>y</infon><offset>4</offset><text>d</text></passage>"
    )
    (found,) = read(ONE.format("abc").replace("</document>", f"{more}</document>"))
    assert found.text == "abc d"


def test_a_document_inside_another_one_rejects_both():
    inner = ONE.format("def").replace("<id>1", "<id>2")
    outer = ONE.format("abc").replace("</passage>", f"{inner}</passage>")
    first, second, third = read(f"<collection>{outer}{ONE.format('abc')}</collection>")
    assert (first.document_id, second.document_id) == ("2", "1")
    assert "def" in first.raw
    assert "abc" in second.raw
    assert third == EXPECTED


@pytest.mark.parametrize("where", ["location", "passage", "annotation"])
def test_an_element_of_very_many_attributes_rejects_its_record(where):
    many = " ".join(f'a{number}="1"' for number in range(5000))
    record = ONE.format("abc").replace(f"<{where}", f"<{where} {many}", 1)
    rejected, following = read(f"<collection>{record}{ONE.format('abc')}</collection>")
    assert rejected.reason == f"<{where}> has more than 100 attributes"
    assert following == EXPECTED
