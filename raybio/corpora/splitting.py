"""Raw text -> sentences and words, with exact offsets.

A word is a run of letters and digits, or any other single character that is not white space:
`beta-blocker (5%)` has the words `beta - blocker ( 5 % )`. BC5CDR and ChemProt were cut that way, so
a model trained on them sees in raw text the words that it knows. (JNLPBA was not: it keeps `IL-2`.)

A sentence ends at `.`, `?` or `!`, and quotes or brackets that close there, before white space, unless
what stands before or after says otherwise: the tables below, asked in the order of `_ends_sentence`.
They were made from BC5CDR's training and development abstracts; `benchmarks/sentence_splitting.py`
measures them. No pattern looks back or ahead without bound, so time is linear in any text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Combining accents (U+0300 to U+036F) stay with their letter: text is never normalised here.
WORD = re.compile(r"([^\W_]+(?:[\u0300-\u036f]+[^\W_]*)*|[^\w\s]|_)")

# Either a short bracketed remark, jumped over as a whole unless it is itself a sentence, or what may
# be an end: a full stop before white space, an East Asian one anywhere, a blank line. All that may
# begin one stands first, as one set: `re` looks for a set faster than for alternatives.
_BRACKETED_OR_END = re.compile(
    r"""
    [(\[.?!。！？\n]
    (?: (?<=\() [^()]{0,300}+ (?<![.?!]) \)
      | (?<=\[) [^\[\]]{0,300}+ (?<![.?!]) \]
      | (?<=[.?!]) ["'’”)\]]*+ (?=\s)
      | (?<=[.?!]) \[\d[\d,;\s–-]{0,30}+\] (?=\s)
      | (?<=[。！？]) ["'’”」』）)\]]*+
      | (?<=\n) [^\S\n]*+ \n
    )
    """,
    re.VERBOSE,
)

# fmt: off
# Abbreviations that something always follows,
_NEVER_LAST = frozenset(
    {"vs", "v", "cf", "e.g", "i.e", "viz", "Fig", "Figs", "fig", "figs", "Dr", "Drs", "Mr", "Mrs",
     "Prof", "St", "Mt", "pv", "bv", "cv", "ser", "str", "Int", "Proc", "Natl", "Acad", "Biol"}
)
# those that a number follows ("no." may also be a word),
_BEFORE_NUMBER = frozenset(
    {"No", "Nos", "no", "nos", "Ref", "Refs", "ref", "refs", "Eq", "Eqs", "Vol", "vol", "p", "pp", "ca",
     "approx", "Tab", "Tabs", "Suppl", "suppl", "Sect", "Chap", "max",
     "Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec"}
)
# and those that end a sentence only before a capital, as the dotted ones do ("i.v.", "p.o.", "U.S.").
_SELDOM_LAST = frozenset(
    {"al", "spp", "sp", "subsp", "var", "etc", "Jr", "Sr", "resp"}
)
# Part of a name, more often than not, even before a capital ("U.S. Food and Drug Administration"):
# they end a sentence only before a word that begins one.
_IN_NAMES = frozenset({"U.S", "U.K", "U.S.A", "E.U", "U.N", "Inc", "Ltd", "Co", "Corp"})
_STARTS = frozenset(
    ["A", "After", "All", "Although", "Among", "An", "And", "As", "At", "Background", "Because", "Before",
     "Between", "Both", "But", "By", "Case", "Cases", "Children", "Compared", "Conclusion", "Conclusions",
     "Data", "During", "Each", "Finally", "First", "For", "From", "Furthermore", "Group", "Groups", "Here",
     "How", "However", "If", "In", "It", "Its", "Levels", "Many", "Men", "Methods", "Mice", "Moreover",
     "Most", "Neither", "No", "Not", "Of", "On", "One", "Only", "Our", "Overall", "Participants",
     "Patients", "Previous", "Purpose", "Rats", "Recent", "Results", "Second", "Serum", "Several",
     "Similarly", "Since", "Six", "Some", "Studies", "Subjects", "Such", "That", "The", "Their", "Then",
     "There", "Therefore", "These", "They", "This", "Those", "Three", "Thus", "To", "Treatment", "Two",
     "Under", "Using", "We", "What", "When", "Where", "Whereas", "Whether", "Which", "While", "With",
     "Without", "Women"]
)
# Before a letter that abbreviates a name ("with S. Typhimurium"); after other words it is the name's last
# part ("vitamin D. High doses").
_BEFORE_NAMES = frozenset(
    ["a", "against", "an", "and", "are", "as", "avirulent", "between", "by", "during", "for", "found", "from",
     "in", "into", "is", "like", "live", "of", "on", "or", "strain", "strains", "than", "that", "the", "to",
     "toward", "towards", "versus", "via", "virulent", "vs", "was", "were", "whereas", "wild-type", "with",
     "without"]
)
_VERB = re.compile(r"[a-z-]{2,}(?:ing|ed)")  # "infected S. Typhimurium"
# fmt: on
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
_ABBREVIATION = re.compile(r"(?:[^\W\d_]{1,8}\.){0,5}[^\W\d_]{1,8}\Z")
_LONGEST_ABBREVIATION = 12
_LONGEST_WORD = 24
_LETTER_AND = re.compile(r"\b[A-Z\d]+ and \Z")

_CAPITALISED = re.compile(r"[\"'“‘]?(?:[A-Z][a-z]|[A-Z][A-Z /]{0,60}:|A\s)")
_INITIAL = re.compile(r"[A-Z]\.")
_NOT_SPACE = re.compile(r"\S")
_NEXT_WORD = re.compile(r"[\"'“‘(]?([A-Z][A-Za-z]*)")
_NAME = re.compile(r"[A-Z][a-z]{2,}")
_LAST_WORD = re.compile(r"(?:\A|(?<=[\s(\[]))(\S{1,20})\s+\Z")
_DIGITS_APART = re.compile(r"\d\s\.\Z")
# Names that keep their small first letter at the start of a sentence: mRNA, p53, c-Jun, beta-Blocker.
_SMALL_NAME = re.compile(
    r"[a-z]{1,4}[A-Z]|[a-z]{1,6}\d|[a-z]-[A-Z]|(?:alpha|beta|gamma|delta|kappa|omega)-|[α-ω]"
)


def split_words(text: str) -> list[tuple[int, int]]:
    """Return the `[start, end)` characters of each word: every character but white space is in one."""
    return [match.span() for match in WORD.finditer(text)]


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Return the `[start, end)` characters of each sentence, white space around it left out."""
    sentences = []
    start = 0
    for end in (*_sentence_ends(text), len(text)):
        piece = text[start:end]
        if stripped := piece.strip():
            first = start + piece.index(stripped[0])
            sentences.append((first, first + len(stripped)))
        start = end
    return sentences


def _sentence_ends(text: str) -> Iterator[int]:
    for match in _BRACKETED_OR_END.finditer(text):
        mark = text[match.start()]
        if mark in "([":
            continue
        if mark not in ".?!" or _ends_sentence(text, match.start(), match.end()):
            yield match.end()


def _ends_sentence(text: str, stop: int, end: int) -> bool:
    """Say whether the full stop at `stop`, with closing marks up to `end`, ends a sentence."""
    following = _NOT_SPACE.search(text, end)
    if following is None:
        return True
    after = following.start()
    if text[after].islower() and not _SMALL_NAME.match(text, after):
        return False
    if text[after].isdigit() and _DIGITS_APART.search(text[max(0, stop - 2) : stop + 1]):
        return False  # words that somebody set apart: "Nav 1 . 5"
    before = _ABBREVIATION.search(text[max(0, stop - _LONGEST_ABBREVIATION) : stop])
    if text[stop] != "." or before is None:
        return True
    word = before[0]
    if word in _NEVER_LAST:
        return False
    if word in _BEFORE_NUMBER:
        return not text[after].isdigit()
    if word in _IN_NAMES:
        return _begins_sentence(text, after)
    if word in _SELDOM_LAST or _DOTTED.fullmatch(word):
        return _CAPITALISED.match(text, after) is not None
    if len(word) != 1 or not word.isupper():
        return True
    # "A. B. Smith" and "with S. Typhimurium"; but "group A. Patients" and "vitamin D. The" end.
    return not (_INITIAL.match(text, after) or _abbreviates(text, stop - 1, after))


def _begins_sentence(text: str, start: int) -> bool:
    word = _NEXT_WORD.match(text, start)
    return word is not None and (word[1] in _STARTS or (word[1].isupper() and len(word[1]) > 1))


def _abbreviates(text: str, letter: int, after: int) -> bool:
    """Say whether the capital at `letter` abbreviates a name that continues at `after` (genus, journal)."""
    if not _NAME.match(text, after) or _begins_sentence(text, after):
        return False
    before = _LAST_WORD.search(text[max(0, letter - _LONGEST_WORD) : letter])
    # At the beginning of a text, or of what brackets hold.
    if before is None:
        return not text[:letter].strip() or text[letter - 1] in "(["
    word = before[1]
    if word == "and" and _LETTER_AND.search(text[max(0, letter - _LONGEST_WORD) : letter]):
        return False  # "groups A and B. Rats"
    return word in _BEFORE_NAMES or word[-1] == "." or _VERB.fullmatch(word) is not None
