r"""brat: a folder with `ID.txt` and `ID.ann` for each document.

    T1<TAB>Chemical 0 10<TAB>Famotidine
    T2<TAB>Disease 0 5;16 23<TAB>heart failure      a discontinuous annotation
    N1<TAB>Reference T1 MESH:D015738<TAB>Famotidine   its concept, where it reads DATABASE:ID
    #1<TAB>Concept T2<TAB>D006333                     its concept otherwise
    #2<TAB>Score T1<TAB>0.98                          its score
    R1<TAB>CID Arg1:T1 Arg2:T2                        a relation of two annotations

Offsets are Unicode code points of the `.txt` file. No fragment may hold a line break: a
mention over lines is written as one fragment a line, and fragments that only line breaks
part are read as one mention. An id becomes a file name by percent-encoding whatever is not a
letter, digit or one of `_.-~` (and a leading dot), so that no id leaves the folder.

Every annotation has a name in brat: mentions keep ids such as "T7", the others are numbered
when written. A document that nobody annotated has no `.ann` file. Mentions read come in the
order of the text. Not held: passages (the whole text is read as one), words, versions,
attributes, and relations that are not between two annotations; of foreign files, events,
attributes and annotators' notes.
Format: https://brat.nlplab.org/standoff.html
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from operator import itemgetter
from pathlib import Path
from urllib.parse import quote, unquote

from raybio.corpora.limits import KEPT, MAX_RECORD_BYTES, PART_BYTES, too_large
from raybio.corpora.opening import no_records, read_lines, read_whole
from raybio.corpora.standoff import (
    annotation_parts,
    cannot_hold,
    check_inside,
    check_mentions,
    disagreement,
    in_order,
    integer,
    joined_as,
    probability,
)
from raybio.entities import Document, Mention, Passage, Record, Rejected, Relation
from raybio.errors import AccessError, InputError, UsageError
from raybio.special_files import special_kind
from raybio.storage import is_url

LONGEST_NAME = 240
"""Characters of the longest file name without its suffix; file systems end at 255."""

_REMEDY = "Fix the .ann file: offsets count the code points of the .txt file"
_ONE_WORD = re.compile(r"\S+")
_DATABASE_ID = re.compile(r"[^\s:]+:\S+")
_LINE = re.compile(r"[^\r\n]+")
_LINE_BREAKS = re.compile(r"[\r\n]+")
_BREAK_AS_SPACE = str.maketrans("\r\n", "  ")
_NOT_HELD = "EAM*"

Fragments = list[tuple[int, int]]


@dataclass
class _Annotations:
    """What an `.ann` file says, by the name of each annotation ("T1")."""

    places: dict[str, tuple[str, Fragments]] = field(default_factory=dict)
    concepts: dict[str, list[str]] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    relations: list[Relation] = field(default_factory=list)


def read_folder(path: str | Path, max_record_bytes: int = MAX_RECORD_BYTES) -> Iterator[Record]:
    """Yield the documents of a folder, by file name; one with a faulty file is Rejected.

    So is one whose text and annotations are too large together, and one with a file that is none of this
    folder's own: a link to a place outside it, a FIFO, a socket, a device.

    Raises:
        UsageError: `path` is a URL.
        AccessError: there is no such folder.
        FormatError: it holds neither `.txt` nor `.ann` files.
    """
    folder = _local(path)
    if not folder.is_dir():
        raise AccessError(str(path), "", "there is no such folder", "Check the path")
    stems = sorted({file.stem for file in folder.iterdir() if file.suffix in (".txt", ".ann")})
    if not stems:
        raise no_records(str(path), "brat document (.txt and .ann files)")
    home = folder.resolve()
    for stem in stems:
        pair = folder / f"{stem}.txt", folder / f"{stem}.ann"
        yield _foreign(pair, home) or _read_pair(*pair, max_record_bytes)


def write_folder(documents: Iterable[Document], path: str | Path) -> None:
    """Write `documents` into a folder, made if missing; no file that is there is written over.

    Raises:
        UsageError: `path` is a URL.
        FormatError: brat cannot hold a document, or a document of its id is there already.
        OffsetError: a mention does not cover its text.
    """
    folder = _local(path)
    folder.mkdir(parents=True, exist_ok=True)
    for document in documents:
        check_mentions(document)
        name = _file_name(document)
        try:
            # The .ann goes first: a .txt alone would be read as not annotated.
            if document.mentions is not None:
                lines = "".join(f"{line}\n" for line in _lines(document))
                _write_new(folder / f"{name}.ann", lines)
            _write_new(folder / f"{name}.txt", document.text)
        except FileExistsError as error:
            problem = f"two documents of one id in a folder, and {Path(error.filename).name!r} is there"
            raise cannot_hold("brat", document, problem, "Write unique ids to an empty folder") from error
        except UnicodeEncodeError as error:
            raise cannot_hold("UTF-8", document, "a lone surrogate", "Fix the text") from error


def _local(path: str | Path) -> Path:
    # As a Path, "s3://b/x" would be the folder "s3:" here.
    if is_url(str(path)):
        raise UsageError(
            f"{path}: brat is read and written in local folders only. "
            "Name a local folder, or another format for a URL"
        )
    return Path(path)


# Reading ---------------------------------------------------------------------------------------


def _foreign(pair: Iterable[Path], home: Path) -> Rejected | None:
    """Return what rejects a document one of whose files is no file of the folder `home` itself."""
    for file in pair:
        try:
            file.name.encode()
        except UnicodeEncodeError:  # it would be the document's id, which no format could hold
            name = os.fsencode(file.name).decode("utf-8", "backslashreplace")
            return Rejected(str(home), "", f"the file name {name} is not UTF-8", "Rename the file")
        document_id = unquote(file.stem)
        if kind := special_kind(file):
            return Rejected(str(file), "", f"is {kind}, not a file", "Take it out of the folder", document_id)
        if file.is_dir():
            return Rejected(str(file), "", "is a folder, not a file", "Rename it", document_id)
        if file.is_symlink() and not _is_inside(file, home):
            problem = "is a link to a place outside its folder, or to itself"
            return Rejected(str(file), "", problem, "Copy the file into the folder", document_id)
    return None


def _is_inside(link: Path, home: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(home)
    except (OSError, RuntimeError):  # it leads to nothing, or round in a circle (before Python 3.13)
        return False


def _read_pair(text_file: Path, ann_file: Path, max_record_bytes: int) -> Document | Rejected:
    document_id = unquote(text_file.stem)
    if not text_file.exists():
        reason = f"its text, {text_file.name}, is missing"
        return Rejected(str(ann_file), "", reason, "Put the .txt beside the .ann", document_id)
    with text_file.open("rb") as stream:
        raw_text = read_whole(stream, max_record_bytes)
        stream.seek(0)
        beginning = stream.read(KEPT)
    annotations: bytes | None = b""
    if raw_text is not None and ann_file.exists():
        with ann_file.open("rb") as stream:
            annotations = read_whole(stream, max_record_bytes - len(raw_text))
    size = PART_BYTES * (annotations or b"").count(b"\n") + len(raw_text or b"") + len(annotations or b"")
    if raw_text is None or annotations is None or size > max_record_bytes:
        what = "the text with its annotations"
        return too_large(str(text_file), "", what, max_record_bytes, beginning, document_id)
    try:
        # Not by `decoded`: a byte order mark counts in brat's offsets.
        text = raw_text.decode("utf-8")
    except UnicodeDecodeError as error:
        raw = raw_text.decode("utf-8", "backslashreplace")
        remedy = "Convert it to UTF-8"
        return Rejected(str(text_file), f"byte {error.start}", str(error), remedy, document_id, raw)
    passages = (Passage(0, len(text), "text"),) if text else ()
    if not ann_file.exists():
        return Document(document_id, text, passages)
    found = _Annotations()
    number = 0
    try:
        for number, line in read_lines(BytesIO(annotations), str(ann_file)):  # noqa: B007 (at fault, below)
            _read_line(line, text, found)
        mentions = tuple(_mentions(found, text))
    except InputError as error:
        raw = annotations.decode("utf-8", "backslashreplace")
        return Rejected(str(ann_file), error.place, error.problem, error.remedy, document_id, raw)
    except ValueError as fault:
        raw = annotations.decode("utf-8", "backslashreplace")
        return Rejected(str(ann_file), f"line {number}", str(fault), _REMEDY, document_id, raw)
    return Document(document_id, text, passages, in_order(mentions), relations=tuple(found.relations))


def _read_line(line: str, text: str, found: _Annotations) -> None:
    if not line.strip() or line[0] in _NOT_HELD:
        return
    name, body, said = [*line.split("\t", 2), "", ""][:3]
    words = body.split(" ")
    if name[0] == "T":
        if name in found.places:
            raise ValueError(f"there are two annotations {name}")
        found.places[name] = words[0], _fragments(" ".join(words[1:]), said, text)
    elif name[0] == "N" and len(words) == 3:
        found.concepts.setdefault(words[1], []).append(words[2])
    elif name[0] == "R" and len(words) == 3:
        found.relations.append(Relation(words[0], (_argument(words[1]), _argument(words[2])), name))
    elif name[0] == "#" and len(words) == 2:
        _read_note(words[0], words[1], said, found)
    else:
        raise ValueError(f"{line[:80]!r} is not a line of brat's")


def _fragments(places: str, said: str, text: str) -> Fragments:
    """Read "0 5;16 23" and check it against the words it is said to cover."""
    fragments: Fragments = []
    for place in places.split(";"):
        start, _, end = place.partition(" ")
        fragments.append((integer(start, "start"), integer(end, "end")))
        check_inside(text, *fragments[-1])
    if not joined_as(said, text, fragments, " ", _BREAK_AS_SPACE):
        first, last = fragments[0][0], fragments[-1][1]
        raise disagreement(first, last, said, " ".join(text[start:end] for start, end in fragments[:1]))
    return fragments


def _argument(word: str) -> tuple[str, str]:
    role, colon, reference = word.partition(":")
    if not colon:
        raise ValueError(f"the argument {word!r} does not read ROLE:NAME")
    return role, reference


def _read_note(kind: str, name: str, said: str, found: _Annotations) -> None:
    if kind == "Concept":
        found.concepts[name] = [said]
    elif kind == "Score":
        found.scores[name] = probability(said)


def _mentions(found: _Annotations, text: str) -> Iterator[Mention]:
    for name in {**found.concepts, **found.scores}:
        if name not in found.places:
            raise ValueError(f"{name} has a concept or score but no annotation")
    breaks = [match.span() for match in _LINE_BREAKS.finditer(text)]
    for name, (label, fragments) in found.places.items():
        score, concept = found.scores.get(name), "|".join(found.concepts.get(name, ()))
        for start, end in _joined(fragments, breaks):
            yield Mention(start, end, label, text[start:end], score, concept, name)


def _joined(fragments: Fragments, breaks: Fragments) -> Fragments:
    """Join the fragments that only line breaks part: they are one mention over several lines."""
    joined = fragments[:1]
    for start, end in fragments[1:]:
        before = joined[-1][1]
        run = bisect_right(breaks, before, key=itemgetter(0)) - 1
        if before < start and run >= 0 and start <= breaks[run][1]:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return joined


# Writing ---------------------------------------------------------------------------------------


def _file_name(document: Document) -> str:
    try:
        name = quote(document.id, safe="")
    except UnicodeEncodeError as error:
        raise cannot_hold("UTF-8", document, "a lone surrogate", "Fix the id") from error
    if not 0 < len(name) <= LONGEST_NAME:
        problem = f"an id of {len(name)} characters as a file name"
        raise cannot_hold("brat", document, problem, f"Use 1 to {LONGEST_NAME}")
    return "%2E" + name[1:] if name.startswith(".") else name


def _write_new(file: Path, text: str) -> None:
    content = text.encode()
    with file.open("xb") as stream:
        stream.write(content)


def _lines(document: Document) -> Iterator[str]:
    groups = annotation_parts(in_order(document.mentions or ()))
    names = _names("T", [parts[0].id for parts in groups])
    numbers = count(1)
    for name, parts in zip(names, groups, strict=True):
        first = parts[0]
        fragments = [fragment for part in parts for fragment in _cut(document, part)]
        places = ";".join(f"{start} {end}" for start, end in fragments)
        said = " ".join(document.text[start:end] for start, end in fragments)
        yield f"{name}\t{_word(document, first.label)} {places}\t{said}"
        if _DATABASE_ID.fullmatch(first.concept):
            yield f"N{next(numbers)}\tReference {name} {first.concept}\t{said}"
        elif first.concept:
            yield f"#{next(numbers)}\tConcept {name}\t{_line(document, first.concept)}"
        if first.score is not None:
            yield f"#{next(numbers)}\tScore {name}\t{first.score!r}"
    # Where mentions of one id differ in label, the first keeps the name.
    named = {parts[0].id: name for name, parts in zip(names[::-1], groups[::-1], strict=True)}
    named.pop("", None)
    yield from _relation_lines(document, named)


def _names(letter: str, ids: list[str]) -> list[str]:
    """Keep the ids that are names in brat ("T7"), each once, and number the others around them."""
    own = re.compile(rf"{letter}[0-9]+")
    taken = set(ids)
    free = (name for i in count(1) if (name := f"{letter}{i}") not in taken)
    given: set[str] = set()
    names = []
    for name in ids:
        names.append(name if own.fullmatch(name) and name not in given else next(free))
        given.add(name)
    return names


def _cut(document: Document, mention: Mention) -> Iterator[tuple[int, int]]:
    """Cut a mention into the fragments that lie in one line each."""
    if mention.text[0] in "\r\n" or mention.text[-1] in "\r\n":
        problem = f"a mention that begins or ends with a line break, {mention.text!r}"
        raise cannot_hold("brat", document, problem, "Trim the mention")
    return (match.span() for match in _LINE.finditer(document.text, mention.start, mention.end))


def _relation_lines(document: Document, named: dict[str, str]) -> Iterator[str]:
    held = [
        r for r in document.relations if len(r.arguments) == 2 and all(a[1] in named for a in r.arguments)
    ]
    for name, relation in zip(_names("R", [r.id for r in held]), held, strict=True):
        ends = [
            f"{_word(document, role or f'Arg{i}', ':')}:{named[reference]}"
            for i, (role, reference) in enumerate(relation.arguments, start=1)
        ]
        yield f"{name}\t{_word(document, relation.label)} {' '.join(ends)}"


def _word(document: Document, word: str, forbidden: str = "") -> str:
    if _ONE_WORD.fullmatch(word) and not (forbidden and forbidden in word):
        return word
    raise cannot_hold("brat", document, f"{word!r} as a label or role", "Use one word, roles without ':'")


def _line(document: Document, line: str) -> str:
    if _LINE_BREAKS.search(line):
        raise cannot_hold("brat", document, f"the concept {line!r}", "Use a concept without line breaks")
    return line
