"""Lines of columns -> blocks of them, one a sentence -> its words and tags: what "iob2" is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from raybio.corpora.limits import PART_BYTES, shown
from raybio.corpora.lines import Line
from raybio.entities import Rejected
from raybio.errors import FormatError

DOCUMENT_START = "-DOCSTART-"


@dataclass(slots=True)
class Block:
    """The lines of one sentence as they stand, and the number of the first one.

    `document` counts the `-DOCSTART-` lines before it; the file's lines have `width` columns. `fault` is
    that of a line that cannot be read. Of a sentence of a larger `size` than may be, not all lines are here.
    """

    first_line: int
    lines: list[str]
    document: int
    width: int
    size: int = 0
    fault: Rejected | None = None


def blocks(lines: Iterable[Line], max_record_bytes: int) -> Iterator[Block]:
    """Yield the lines between blank ones and `-DOCSTART-` ones; of a larger block, not all of them."""
    document = width = 0
    block = Block(0, [], document, width)
    for number, line, size, fault in lines:
        opens = line.startswith(DOCUMENT_START)
        if not opens and line.strip(" \t"):
            # The first line that is one of columns says how many there are.
            if not width and not fault and len(columns := _split(line)) > 1:
                width = len(columns)
            block.width = width
            block.first_line = block.first_line or number
            block.size += size + PART_BYTES
            block.fault = block.fault or fault
            if block.size <= max_record_bytes or not block.lines:
                block.lines.append(line)
            continue
        if block.lines:
            yield block
        document += opens
        block = Block(0, [], document, width)
    if block.lines:
        yield block


def columns_of(block: Block, source: str) -> tuple[list[str], list[str]]:
    """Return the words of a block, which are its first column, and the tags, its last.

    Raises:
        FormatError: a line has other columns than the first of the file, or an empty word or tag.
    """
    words, tags = [], []
    one_of_each: dict[str, str] = {}  # tags are few, and a string for each word would be most of the memory
    for number, line in enumerate(block.lines, block.first_line):
        columns = _split(line)
        if len(columns) < 2 or not columns[0] or not columns[-1]:
            problem = f"{shown(line)} is not a word and a tag"
            remedy = "Write the word, a tab and the tag, or leave the line blank"
            raise FormatError(source, f"line {number}", problem, remedy)
        if len(columns) != block.width:
            problem = (
                f"{shown(line)} has {len(columns)} columns, where this file's first line has {block.width}"
            )
            remedy = "Give all lines the same columns; a word holds no blank"
            raise FormatError(source, f"line {number}", problem, remedy)
        words.append(columns[0])
        tags.append(one_of_each.setdefault(columns[-1], columns[-1]))
    return words, tags


def _split(line: str) -> list[str]:
    # str.split() would also cut at U+0085 and U+2028, which words hold.
    return line.split("\t") if "\t" in line else [part for part in line.split(" ") if part]
