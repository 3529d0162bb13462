r"""brat: a folder with `ID.txt` and `ID.ann` for each document.

    T1<TAB>Chemical 0 10<TAB>Famotidine
    T2<TAB>Disease 0 5;16 23<TAB>heart failure      a discontinuous annotation
    N1<TAB>Reference T1 MESH:D015738<TAB>Famotidine   its concept, where it reads DATABASE:ID
    #1<TAB>Concept T2<TAB>D006333                     its concept otherwise
    #2<TAB>Score T1<TAB>0.98                          its score
    R1<TAB>CID Arg1:T1 Arg2:T2                        a relation of two annotations

Offsets are Unicode code points of the `.txt` file. No fragment may hold a line break: a
mention over lines is written as one fragment a line, and fragments that only line breaks
part are read as one mention. Tools that read texts in Python's text mode count "\r\n" as one character:
where only that makes offsets and words agree, the text is read so too. An id becomes a file name by
percent-encoding whatever is not a letter, digit or one of `_.-~` (and a leading dot), so that no id
leaves the folder.

Every annotation has a name in brat: mentions keep ids such as "T7", the others are numbered
when written. A document that nobody annotated has no `.ann` file. Mentions read come in the
order of the text. The BioNLP shared tasks' `.a1` and `.a2` files are read as one `.ann`. A relation of
concepts is written as one of the first mention of each. Lines of other kinds (events, attributes,
annotators' notes) are `Document.extra["brat"]`. Not held: passages (the whole text is read as one),
words, versions, attributes, and relations that are not between two annotations: `losses` counts them.
Format: https://brat.nlplab.org/standoff.html
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from urllib.parse import quote, unquote

from raybio.corpora import brat_writing
from raybio.corpora.brat_lines import Annotations
from raybio.corpora.limits import KEPT, MAX_RECORD_BYTES, PART_BYTES, too_large
from raybio.corpora.lines import read_lines
from raybio.corpora.opening import no_records, read_whole
from raybio.corpora.standoff import cannot_hold, check_mentions, in_order
from raybio.entities import Document, Passage, Record, Rejected
from raybio.errors import AccessError, InputError, StorageError, UsageError
from raybio.filesystems import is_url
from raybio.special_files import special_kind
from raybio.storage import reason_of

logger = logging.getLogger(__name__)

LONGEST_NAME = 240
"""Characters of the longest file name without its suffix; file systems end at 255."""

_REMEDY = "Fix the .ann file: offsets count the code points of the .txt file"
_ANNOTATIONS = (".ann", ".a1", ".a2")
_MOST_NAMED = 5


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
    found = sorted(folder.iterdir())
    stems = sorted({file.stem for file in found if file.suffix in (".txt", *_ANNOTATIONS)})
    below = [file.name for file in found if file.is_dir() and file.suffix not in (".txt", *_ANNOTATIONS)]
    if not stems:
        inside = f"; there are folders in it, {_named(below)}: name one of those" if below else ""
        raise no_records(str(path), f"brat document (.txt and .ann files{inside})")
    others = [each.name for each in found if each.suffix not in (".txt", *_ANNOTATIONS)]
    if passed_over := [name for name in others if not name.startswith(".")]:
        logger.warning("%s: not read, as no document of this folder: %s", path, _named(passed_over))
    home = folder.resolve()
    for stem in stems:
        text = folder / f"{stem}.txt"
        annotations = [file for end in _ANNOTATIONS if (file := folder / f"{stem}{end}").exists()]
        foreign = _foreign((text, *(annotations or [folder / f"{stem}.ann"])), home)
        yield foreign or _read_document(text, annotations, max_record_bytes)


def write_folder(documents: Iterable[Document], path: str | Path) -> None:
    """Write `documents` into a folder, made if missing; no file that is there is written over.

    Raises:
        UsageError: `path` is a URL.
        FormatError: brat cannot hold a document, or a document of its id is there already.
        OffsetError: a mention does not cover its text.
    """
    folder = _local(path)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside the folder, not in it: whatever fails, nothing is left where it would be in the way.
        draft = Path(tempfile.mkdtemp(prefix=".raybio-", dir=folder.parent))
    except OSError as error:
        raise StorageError(str(path), reason_of(error)) from error
    try:
        for document in documents:
            for name, content in _files(document).items():
                if (folder / name).exists() or (draft / name).exists():
                    problem = f"two documents of one id in a folder, and {name!r} is there"
                    raise cannot_hold("brat", document, problem, "Write unique ids to an empty folder")
                (draft / name).write_bytes(content)
        folder.mkdir(exist_ok=True)
        for file in draft.iterdir():
            file.rename(folder / file.name)
    except OSError as error:
        raise StorageError(str(path), reason_of(error)) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def check(document: Document) -> None:
    """Refuse a document that brat cannot hold.

    Raises:
        FormatError: says what of it.
        OffsetError: a mention does not cover its text.
    """
    _files(document)


def losses(document: Document) -> Counter[str]:
    """Count what `write_folder` leaves out of a document, by kind."""
    return brat_writing.losses(document)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


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


def _read_document(
    text_file: Path, annotation_files: Sequence[Path], max_record_bytes: int
) -> Document | Rejected:
    document_id = unquote(text_file.stem)
    if not text_file.exists():
        reason = f"its text, {text_file.name}, is missing"
        beside = annotation_files[0]
        return Rejected(str(beside), "", reason, f"Put the .txt beside the {beside.suffix}", document_id)
    with text_file.open("rb") as stream:
        raw_text = read_whole(stream, max_record_bytes)
        stream.seek(0)
        beginning = stream.read(KEPT)
    contents: list[bytes] = []
    room = max_record_bytes - len(raw_text or b"")
    for file in annotation_files:
        with file.open("rb") as stream:
            content = read_whole(stream, max(0, room))
        room = -1 if content is None else room - len(content) - PART_BYTES * content.count(b"\n")
        contents.append(content or b"")
    if raw_text is None or room < 0:
        what = "the text with its annotations"
        return too_large(str(text_file), "", what, max_record_bytes, beginning, document_id)
    try:
        # Not by `decoded`: a byte order mark counts in brat's offsets.
        text = raw_text.decode("utf-8")
    except UnicodeDecodeError as error:
        raw = raw_text.decode("utf-8", "backslashreplace")
        remedy = "Convert it to UTF-8"
        return Rejected(str(text_file), f"byte {error.start}", str(error), remedy, document_id, raw)
    if not annotation_files:
        return Document(document_id, text, _whole(text))
    found = _annotated(document_id, text, annotation_files, contents)
    if isinstance(found, Rejected) and "\r" in text:
        as_lines = text.replace("\r\n", "\n").replace("\r", "\n")
        other = _annotated(document_id, as_lines, annotation_files, contents)
        found = other if isinstance(other, Document) else found
    return found


def _whole(text: str) -> tuple[Passage, ...]:
    return (Passage(0, len(text), "text"),) if text else ()


def _annotated(
    document_id: str, text: str, files: Sequence[Path], contents: Sequence[bytes]
) -> Document | Rejected:
    found = Annotations(text)
    for file, content in zip(files, contents, strict=True):
        number = 0
        try:
            for number, line in read_lines(BytesIO(content), str(file)):  # noqa: B007 (at fault, below)
                found.read(line)
            mentions = tuple(found.mentions()) if file == files[-1] else ()
        except InputError as error:
            raw = content.decode("utf-8", "backslashreplace")
            return Rejected(str(file), error.place, error.problem, error.remedy, document_id, raw)
        except ValueError as fault:
            raw = content.decode("utf-8", "backslashreplace")
            return Rejected(str(file), f"line {number}", str(fault), _REMEDY, document_id, raw)
    kept = found.other_lines()
    extra = {"brat": kept} if kept else {}
    return Document(
        document_id, text, _whole(text), in_order(mentions), relations=tuple(found.relations), extra=extra
    )


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


def _files(document: Document) -> dict[str, bytes]:
    """Return the contents of a document's files by their names."""
    check_mentions(document)
    name = _file_name(document)
    files = {f"{name}.txt": document.text}
    if document.mentions is not None:
        files[f"{name}.ann"] = "".join(f"{line}\n" for line in brat_writing.lines_of(document))
    try:
        return {file: text.encode() for file, text in files.items()}
    except UnicodeEncodeError as error:
        raise cannot_hold("UTF-8", document, "a lone surrogate", "Fix the text") from error
