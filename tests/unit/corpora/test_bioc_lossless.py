"""BioC in and out: every infon at every level, every key, id, role and level is where it was."""

import io
import json
from collections import Counter

import pytest
from bioc import biocjson, biocxml
from hypothesis import given
from hypothesis import strategies as st

from raybio.corpora import bioc_json, bioc_xml

WORDS = "β-Blockers 😀 cause e\u0301mesis and heart failure."
STRINGS = st.text("aβ😀 :<&\"'\u2028", max_size=5)
KEYS = st.sampled_from(
    ["identifier", "MESH", "NCBI Gene identifier", "note", "kind", "score note", "valid", "journal", "a:b"]
)
VALUES = STRINGS | st.integers() | st.booleans() | st.none() | st.lists(st.integers(), min_size=1, max_size=2)


def infons(values, **always):
    return st.dictionaries(KEYS, values, max_size=3).map(lambda found: {**always, **found})


@st.composite
def annotations(draw, values, start, end, names):
    cuts = sorted(draw(st.sets(st.integers(start, end), min_size=2, max_size=4)))
    places = list(zip(cuts[::2], cuts[1::2], strict=False))
    label = {"type": draw(st.sampled_from(["Chemical", "Disease"]))} if draw(st.booleans()) else {"kind": "X"}
    return {
        "id": next(names) if draw(st.booleans()) else "0",
        "infons": draw(infons(values)) | label,
        "text": " ".join(WORDS[a - start : b - start] for a, b in places),
        "locations": [{"offset": a, "length": b - a} for a, b in places],
    }


def relations(values):
    ends = st.builds(
        lambda role, name: {"refid": name, "role": role}, STRINGS, st.sampled_from(["T1", "T2", "x"])
    )
    named = st.fixed_dictionaries({"Chemical": STRINGS, "Disease": STRINGS, "relation": STRINGS})
    placed = st.fixed_dictionaries({"entity1": STRINGS, "entity2": STRINGS, "novel": STRINGS})
    return st.lists(
        st.fixed_dictionaries(
            {
                "id": st.sampled_from(["R1", "R2"]),
                "infons": infons(values) | named | placed,
                "nodes": st.lists(ends, max_size=3),
            }
        ),
        max_size=2,
    )


@st.composite
def trees(draw, values=VALUES, keys=True):
    """A document as BioC JSON has it, in any shape that BioC's tools write."""
    names = (f"T{number}" for number in range(1, 100))
    passages, offset = [], 0

    def unit(start):
        return {
            "offset": start,
            "infons": draw(infons(values)),
            "annotations": draw(st.lists(annotations(values, start, start + len(WORDS), names), max_size=2)),
            "relations": draw(relations(values)),
        }

    for _ in range(draw(st.integers(0, 3))):
        passage = unit(offset) | {"sentences": []}
        passage["infons"]["type"] = draw(st.sampled_from(["title", "abstract", "fig"]))
        kind = draw(st.sampled_from(["text", "sentences", "both"]))
        if kind != "text":
            passage["sentences"] = [unit(offset) | {"text": WORDS}]
        if kind != "sentences":
            passage["text"] = WORDS
        if keys:
            passage |= draw(st.dictionaries(st.sampled_from(["_id", "meta"]), VALUES, max_size=1))
        passages.append(passage)
        offset += len(WORDS) + 1
    more = draw(st.dictionaries(st.sampled_from(["pmid", "authors"]), VALUES, max_size=2)) if keys else {}
    node = {"id": "1", "infons": draw(infons(values)), "passages": passages, "annotations": []}
    return node | {"relations": draw(relations(values))} | more


def canonical(node):
    """The same for trees that say the same: annotations have no order, and an empty list says nothing."""
    if isinstance(node, dict):
        return {
            key: sorted(map(json.dumps, map(canonical, value)))
            if key in ("annotations", "relations")
            else canonical(value)
            for key, value in sorted(node.items())
            if value != []
        }
    return [*map(canonical, node)] if isinstance(node, list) else node


def copied(bioc, content: bytes) -> bytes:
    stream = io.BytesIO()
    bioc.write(bioc.read(io.BytesIO(content), "x"), stream)
    return stream.getvalue()


def has_plain_references(tree) -> bool:
    """Whether no relation names an id that several annotations have: copies must give those other ids."""
    units = [tree, *tree["passages"], *(s for p in tree["passages"] for s in p["sentences"])]
    ids = Counter(each["id"] for unit in units for each in unit["annotations"])
    ends = {end["refid"] for unit in units for each in unit["relations"] for end in each["nodes"]}
    return all(ids[name] < 2 for name in ends)


HEADERS = st.sampled_from(
    [{}, {"source": "PubTator", "date": "20260101", "key": "x.key", "infons": {"a": "b"}, "license": [1]}]
)


@given(st.lists(trees().filter(has_plain_references), min_size=1, max_size=2), HEADERS)
def test_json_comes_back_as_it_was(found, header):
    said = {"source": "raybio", "date": "", "key": "", "infons": {}} | header | {"documents": found}
    again = json.loads(copied(bioc_json, json.dumps(said).encode()))
    assert canonical(again) == canonical(said)


@given(trees(STRINGS, keys=False).filter(has_plain_references))
def test_xml_comes_back_as_it_was_in_the_eyes_of_the_bioc_library(tree):
    said = {"source": "s", "date": "d", "key": "k", "version": "1.0", "infons": {"a": "b"}}
    theirs = biocjson.loads(json.dumps(said | {"documents": [tree]}))
    content = biocxml.dumps(theirs).encode()
    one, other = (
        json.loads(biocjson.dumps(biocxml.load(io.BytesIO(each))))
        for each in (content, copied(bioc_xml, content))
    )
    assert canonical(other) == canonical(one)


def through_xml(tree):
    (document,) = bioc_json.read(io.BytesIO(json.dumps(tree).encode()), "x")
    stream = io.BytesIO()
    bioc_xml.write([document], stream)
    (back,) = bioc_xml.read(io.BytesIO(stream.getvalue()), "x")
    return document, back


@given(trees().filter(has_plain_references))
def test_json_survives_xml(tree):
    """XML has strings only: read from it, values are strings, and all else is as it was."""
    document, back = through_xml(tree)
    assert (back.id, back.text, len(back.mentions)) == (document.id, document.text, len(document.mentions))
    assert len(back.relations) == len(document.relations)
    assert back.extra.get("bioc", {}).get("keys") == document.extra.get("bioc", {}).get("keys")


@given(trees(STRINGS | st.integers()).filter(has_plain_references))
def test_arguments_survive_xml(tree):
    """A number names a mention as its string does; what is neither names none in JSON."""
    document, back = through_xml(tree)
    assert [each.arguments for each in back.relations] == [each.arguments for each in document.relations]


@pytest.mark.parametrize(
    ("infons", "nodes", "arguments"),
    [
        ({}, [{"refid": "T1", "role": ""}, {"refid": "T1", "role": ""}], (("", "T1"), ("", "T1"))),
        ({"identifier": None, "MESH": "0"}, [], ()),  # a mention without a concept is not one named ""
        ({"a": 0, "b": "0"}, [], (("a", "0"), ("b", "0"))),
        ({"entity1": "T1", "entity2": "T2", "novel": False}, [], (("", "T1"), ("", "T2"), ("note", "false"))),
    ],
)
def test_relations_at_the_edge_come_back(infons, nodes, arguments):
    fever = {"id": "0", "infons": {"kind": "X"}, "text": "Fever", "locations": [{"offset": 0, "length": 5}]}
    passage = {"offset": 0, "infons": {}, "text": "Fever day.", "annotations": [fever]}
    relation = {"id": "R1", "infons": infons, "nodes": nodes}
    tree = {"id": "1", "infons": {}, "passages": [passage], "relations": [relation]}
    document, back = through_xml(tree)
    assert document.relations[0].arguments == back.relations[0].arguments == arguments
    again = json.loads(copied(bioc_json, json.dumps(tree).encode()))["documents"][0]
    assert again["relations"] == [relation]


TWICE = """<collection><document><id>9</id>
<passage><infon key="type">title</infon><offset>0</offset><text>Fever day.</text>
<annotation id="0"><infon key="type">Disease</infon><location offset="0" length="5"/><text>Fever</text>
</annotation></passage>
<passage><infon key="type">abstract</infon><offset>11</offset><text>Cold and flu.</text>
<annotation id="0"><infon key="type">Disease</infon><location offset="11" length="4"/><text>Cold</text>
</annotation>{relation}</passage></document></collection>"""


def test_annotations_that_share_an_id_stay_apart():
    content = TWICE.format(relation="").encode()
    (document,) = bioc_xml.read(io.BytesIO(content), "x")
    assert [(each.id, each.text) for each in document.mentions] == [("0", "Fever"), ("0~2", "Cold")]
    assert copied(bioc_xml, content).count(b'<annotation id="0">') == 2


def test_a_relation_inside_a_passage_means_the_annotation_there():
    said = '<relation id="R"><node refid="0" role="what"/></relation>'
    (document,) = bioc_xml.read(io.BytesIO(TWICE.format(relation=said).encode()), "x")
    assert document.relations[0].arguments == (("what", "0~2"),)


@pytest.mark.parametrize(
    ("infons", "arguments"),
    [
        ({"Chemical": "D1", "Disease": "D2", "relation": "CID"}, (("Chemical", "D1"), ("Disease", "D2"))),
        ({"type": "A", "entity1": "D1", "entity2": "D2"}, (("", "D1"), ("", "D2"))),
        (
            {"type": "A", "entity1": "D1", "entity2": "D2", "novel": "Novel"},
            (("", "D1"), ("", "D2"), ("note", "Novel")),
        ),
        (
            {"role1": {"identifier": "D1", "type": "Chemical"}, "role2": {"identifier": "D2"}},
            (("", "D1"), ("", "D2")),
        ),
        ({"cause": "D1", "effect": "D2", "score": "0.9"}, (("cause", "D1"), ("effect", "D2"))),
    ],
)
def test_infons_name_the_arguments_of_a_relation(infons, arguments):
    annotated = [
        {
            "id": str(i),
            "infons": {"type": "X", "MESH": f"D{i + 1}"},
            "text": "ab"[i],
            "locations": [{"offset": i, "length": 1}],
        }
        for i in range(2)
    ]
    relation = {"id": "R1", "infons": infons, "nodes": [{"refid": "7", "role": "0,1"}]}
    passage = {"offset": 0, "text": "ab", "infons": {"type": "title"}, "annotations": annotated}
    node = {"id": "1", "passages": [passage], "relations": [relation]}
    content = json.dumps(node).encode()
    (document,) = bioc_json.read(io.BytesIO(content), "x")
    assert document.relations[0].arguments == arguments
    assert [mention.concept for mention in document.mentions] == ["D1", "D2"]
    (again,) = json.loads(copied(bioc_json, content))["documents"]
    assert again["relations"] == [relation]
    assert again["passages"][0]["annotations"] == annotated


@pytest.mark.parametrize(
    ("role", "argument"),
    [
        ("Chemical|MESH:D1", "MESH:D1"),
        ('{"identifier": "MESH:D1", "type": "Chemical"}', "MESH:D1"),
        ("MESH:D1", "MESH:D1"),
        ("a|b", "a|b"),
        ("Gene|7", "Gene|7"),
        ("{no JSON", "{no JSON"),
    ],
)
def test_roles_as_pubtator_3_has_them_in_xml_name_concepts(role, argument):
    annotations = "".join(
        f'<annotation id="{i + 1}"><infon key="type">X</infon><infon key="identifier">{concept}</infon>'
        f'<location offset="{i}" length="1"/><text>{"ab"[i]}</text></annotation>'
        for i, concept in enumerate(["MESH:D1", "a|b"])
    )
    roles = f'<infon key="role1">{role}</infon><infon key="role2">a|b</infon>'
    content = (
        f"<collection><document><id>1</id><passage><offset>0</offset><text>ab</text>{annotations}</passage>"
        f'<relation id="R1"><infon key="type">A</infon>{roles}<node refid="0" role="0,1"/></relation>'
        "</document></collection>"
    ).encode()
    (document,) = bioc_xml.read(io.BytesIO(content), "x")
    assert document.relations[0].arguments == (("", argument), ("", "a|b"))
    (again,) = bioc_xml.read(io.BytesIO(copied(bioc_xml, content)), "x")
    assert again == document and again.relations[0].infons["role1"] == role


@pytest.mark.parametrize(
    ("key", "concept"),
    [
        ("identifier", "7157"), ("MESH", "7157"), ("NCBI Gene identifier", "7157"), ("concept_id", "7157"),
        ("NCBI Homologene", "7157"), ("NCBI Gene", "7157"), ("other", ""),
    ],
)  # fmt: skip
def test_infons_name_the_concept_of_a_mention(key, concept):
    annotation = {
        "id": "1",
        "infons": {"type": "Gene", key: "7157"},
        "text": "p53",
        "locations": [{"offset": 0, "length": 3}],
    }
    node = {"id": "1", "passages": [{"offset": 0, "text": "p53", "annotations": [annotation]}]}
    (document,) = bioc_json.read(io.BytesIO(json.dumps(node).encode()), "x")
    assert document.mentions[0].concept == concept


def test_an_annotation_without_label_or_place_is_no_mention_and_stays():
    annotations = [
        {"id": "1", "infons": {}, "text": "p53", "locations": [{"offset": 0, "length": 3}]},
        {"id": "2", "infons": {"type": "MeSH"}, "text": "Genes", "locations": []},
    ]
    node = {"id": "1", "passages": [{"offset": 0, "text": "p53", "annotations": annotations}]}
    content = json.dumps(node).encode()
    (document,) = bioc_json.read(io.BytesIO(content), "x")
    assert document.mentions == ()
    assert json.loads(copied(bioc_json, content))["documents"][0]["passages"][0]["annotations"] == annotations


def test_annotations_without_text_to_stand_in_are_named():
    content = b"""<collection><document><id>1</id><passage><offset>0</offset><sentence><offset>70</offset>
    <annotation id="0"><infon key="type">X</infon><location offset="70" length="1"/>
    <text>a</text></annotation>    </sentence></passage></document></collection>"""
    (bad,) = bioc_xml.read(io.BytesIO(content), "x")
    assert bad.reason == "the sentence at offset 70 has no 'text'"
    assert "offsets" not in bad.remedy
