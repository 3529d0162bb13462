"""Public corpora and PubMed files, downloaded from where their owners keep them and checked.

Corpora come from GitHub at a pinned commit: each file's git blob id is known, and its SHA-256
where somebody has held the file. PubMed files come with an MD5 from NLM. A mirror may stand in
for either server: name it in `RAYBIO_FETCH_GITHUB` or `RAYBIO_FETCH_PUBMED`; the checks stay.

What is asked for is looked up in a table or built from numbers, so no name that a user gives
becomes part of a path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from raybio.corpora.download import FetchedFile, Progress, fetch_file, fetch_text, is_right
from raybio.errors import FetchError, UsageError
from raybio.safe_text import without_secrets
from raybio.storage import write_text

GITHUB = "https://raw.githubusercontent.com"
PUBMED = "https://ftp.ncbi.nlm.nih.gov/pubmed"
PUBMED_FOLDERS = MappingProxyType({"baseline": "baseline", "updates": "updatefiles"})
LAST_PUBMED_NUMBER = 9999


def address(server: str, *names: str) -> str:
    """Return the address of a file on `server`; what the server's own has after "?" stays at the end."""
    base, mark, query = server.partition("?")
    return "/".join((base.rstrip("/"), *names)) + mark + query


ON_REQUEST = MappingProxyType(
    {
        "Reddit-Impacts": "not public: ask its authors for it, and put what they send into the folder "
        "{folder} as train.tsv, dev.tsv and test.tsv, with one word, a tab and its IOB2 tag on each line "
        "(labels ClinicalImpacts and SocialImpacts) and a blank line between sentences"
    }
)


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a corpus: its name here, where it is on GitHub, and its checksums.

    `sha256` is empty where nobody has held the file; the git blob id is always known.
    """

    name: str
    repository: str
    commit: str
    path: str
    blob: str
    sha256: str = ""

    def url(self, github: str) -> str:
        """Return the file's address on `github` or a mirror of it."""
        return address(github, self.repository, self.commit, self.path)

    @property
    def checksums(self) -> Mapping[str, str]:
        """The known checksums by name, as `fetch_file` expects them."""
        return {"git blob": self.blob} | ({"SHA-256": self.sha256} if self.sha256 else {})


_MTL = ("cambridgeltl/MTL-Bioinformatics-2016", "df0df02fae6dbb87d88ffcf323b9096528f06f84")
_SCIBERT = ("allenai/scibert", "06793f77d7278898159ed50da30d173cdc8fdea9")
_CHEMPROT = ("bionlproc/end-to-end-ChemProt", "a42a0a1637d489c257a4eb36ee30aa0817c7718a")
_AIONER = ("ncbi/AIONER", "b8fa941dc8f49e1c99756832da0c61e9c58dcef8")

CORPORA: Mapping[str, tuple[Source, ...]] = MappingProxyType(
    {
        "BC5CDR": (
            Source(
                "train.tsv",
                *_MTL,
                "data/BC5CDR-IOB/train.tsv",
                "dcc350bbfb973b05619f9eb871132f77ca7f4f84",
                "b731361c0ed73afd04cc5fdad39afcdfd8f325d6e46c282339185a91d1af4c14",
            ),
            Source(
                "dev.tsv",
                *_MTL,
                "data/BC5CDR-IOB/devel.tsv",
                "2c7b436450e06a2fb932a75a6d645da8197e6c2c",
                "b909de65c4f7e3c23bb09ad52d654cdc92e96db941abe1a5dcf6f6010c03cff5",
            ),
            Source(
                "test.tsv",
                *_MTL,
                "data/BC5CDR-IOB/test.tsv",
                "b635b899356707c6b75ea9de4af6eb9f1b7f11df",
                "e41a2843a5fff0cd8d1a88cb147968d61ae29336ca70cddc3d7fb8ff21dfa1e8",
            ),
            Source(
                "BC5CDR_TrainDev.PubTator",
                *_AIONER,
                "data/pubtator/BC5CDR_TrainDev.PubTator",
                "d49181b0a559915d7784936c57f47bccd8e3019d",
                "6e548098709c1e42a98645e20b42c00771772151791a3a3098e8255d0db0beaa",
            ),
            Source(
                "BC5CDR_Test.PubTator",
                *_AIONER,
                "data/pubtator/BC5CDR_Test.PubTator",
                "d1f844dfe4a31767f332f059a8b0b1c1642867e2",
                "d4dca7c46d60fcd66a7c61bf45b398ffcecfcdf3332c0626ab1cf41fa9a25b31",
            ),
        ),
        "JNLPBA": (
            Source("train.tsv", *_MTL, "data/JNLPBA/train.tsv", "5aa9d1ac3d60c924ac225d0c07695c82c31326a5"),
            Source(
                "dev.tsv",
                *_MTL,
                "data/JNLPBA/devel.tsv",
                "a88b36a9fcaebea8db560e40a7724ccd4dc5ecaf",
                "462b09bc79a4dd69cec2e70b6041f54383b4b94892d2ee971a587fdc74caae80",
            ),
            Source(
                "test.tsv",
                *_MTL,
                "data/JNLPBA/test.tsv",
                "eae0728d2c79fbd8857edda5a0cd42c3694c5249",
                "87c9b8f1f7fcf94add38c16088203d4ddf35c2f61eb2c7e61240c738d8dd9d35",
            ),
            Source(
                "train.4col.txt",
                *_SCIBERT,
                "data/ner/JNLPBA/train.txt",
                "282fd113f0ee57bf415cacc4746f3e0bf7af9789",
            ),
            Source(
                "dev.4col.txt",
                *_SCIBERT,
                "data/ner/JNLPBA/dev.txt",
                "363d10df70a5a7d9cb0ba70c21247da4713ff21a",
                "634c0051ebe3381bd3e3660ebb8698f64cb32ea50f6a55f8ca1a764608127f17",
            ),
            Source(
                "test.4col.txt",
                *_SCIBERT,
                "data/ner/JNLPBA/test.txt",
                "bc9502fa6dcc1eb3944f633f8da2b74672c1a6e4",
                "e0316fc81d7e187e399ed1769656effa47b3445a15eba281673ba226a69a8351",
            ),
        ),
        "ChemProt": (
            Source(
                "train.json",
                *_CHEMPROT,
                "chemprot_data/processed_data/json/train.json",
                "c12bf7c4ce5a65704c4b50b05e9c2785db1d3072",
            ),
            Source(
                "dev.json",
                *_CHEMPROT,
                "chemprot_data/processed_data/json/dev.json",
                "c11065d44abb3f32436815e2f032e7a0fcf8cd99",
                "e0184dc3b398670eba4f28779b8f366be8d1212fc989ec3ff6c98daf5b067ad2",
            ),
            Source(
                "test.json",
                *_CHEMPROT,
                "chemprot_data/processed_data/json/test.json",
                "f052ff4e05371de58ad46fe894d3cae5edb59e2c",
                "7a7a7e65e646b443d9eeea7ea885595a98bb03ded60693a7dba0c7ff5c3e810c",
            ),
        ),
        "BioRED": (
            Source(
                "BioRED_TrainDev.PubTator",
                *_AIONER,
                "data/pubtator/BioRED_TrainDev.PubTator",
                "6143d8ca2a66a47859f040959b84509f4dbfa74d",
                "c509b83786ff7a82119d3bce6e28b7508b76decb99c6cad45d6d3dde656138b0",
            ),
            Source(
                "BioRED_Test.PubTator",
                *_AIONER,
                "data/pubtator/BioRED_Test.PubTator",
                "a544f855de565235ce80110ff73b88d3ed1fec67",
                "a32f5a56ab7fdf66a435da69660440251ca2dacc288276abcc3d25f9f1c10ea0",
            ),
        ),
    }
)


def fetch_corpus(
    name: str, data: str | Path, *, github: str | None = None, progress: Progress | None = None
) -> list[FetchedFile]:
    """Download the corpus `name` (in any case) into the folder `data/NAME` and check every file.

    `github` is the server's address; without it `RAYBIO_FETCH_GITHUB` or GitHub itself.

    Raises:
        UsageError: there is no such corpus, or it is given on request only.
        FetchError: a file cannot be had or is not what it should be.
    """
    found = {known.lower(): known for known in (*CORPORA, *ON_REQUEST)}.get(name.lower())
    if found is None:
        raise UsageError(f"no corpus {name!r}. Known: {', '.join(sorted((*CORPORA, *ON_REQUEST)))}")
    folder = Path(data) / found
    if found in ON_REQUEST:
        raise UsageError(f"{found} is {ON_REQUEST[found].format(folder=folder)}")
    server = github or os.environ.get("RAYBIO_FETCH_GITHUB") or GITHUB
    return [
        fetch_file(source.url(server), folder / source.name, source.checksums, progress)
        for source in CORPORA[found]
    ]


def fetch_pubmed(
    files: str,
    folder: str | Path,
    *,
    kind: str = "baseline",
    year: int = 26,
    base: str | None = None,
    progress: Progress | None = None,
) -> list[FetchedFile]:
    """Download PubMed files such as "1-3,7" of a year's (two digits) baseline or updates, with their .md5.

    The numbers of update files continue where the year's baseline ends. `base` is the server's
    address; without it `RAYBIO_FETCH_PUBMED` or NLM's own. A file that stands there with a
    fitting .md5 beside it is not asked for again.

    Raises:
        UsageError: `files`, `kind` or `year` is not one of the above.
        FetchError: a file cannot be had, or does not fit its MD5.
    """
    numbers = parse_numbers(files)
    if kind not in PUBMED_FOLDERS:
        raise UsageError(f"no kind of PubMed file {kind!r}. Known: {', '.join(PUBMED_FOLDERS)}")
    if not 0 <= year <= 99:
        raise UsageError(f"year {year}: write its last two digits, such as 26")
    server = base or os.environ.get("RAYBIO_FETCH_PUBMED") or PUBMED
    return [
        _fetch_with_md5(
            server, PUBMED_FOLDERS[kind], f"pubmed{year:02}n{number:04}.xml.gz", Path(folder), progress
        )
        for number in numbers
    ]


def parse_numbers(text: str) -> list[int]:
    """Return [1, 2, 3, 7] for "1-3,7": each number once, in rising order.

    Raises:
        UsageError: it is no such list, runs backwards, or leaves 1 to 9999.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        bounds = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", part.strip())
        first, last = (int(bounds[1]), int(bounds[2] or bounds[1])) if bounds else (0, 0)
        if not 1 <= first <= last <= LAST_PUBMED_NUMBER:
            raise UsageError(
                f"file numbers {text!r}: {part.strip()!r} is neither a number from 1 to {LAST_PUBMED_NUMBER} "
                "nor a range of them. Write for example 1-3,7"
            )
        numbers.update(range(first, last + 1))
    return sorted(numbers)


def _fetch_with_md5(
    server: str, kind: str, name: str, folder: Path, progress: Progress | None
) -> FetchedFile:
    url, target, beside = address(server, kind, name), folder / name, folder / f"{name}.md5"
    kept = _md5_in(beside.read_text("utf-8", "replace"), name) if beside.is_file() else None
    if kept and is_right(target, {"MD5": kept}):
        return FetchedFile(target, without_secrets(url), target.stat().st_size, fresh=False)
    md5 = address(server, kind, f"{name}.md5")
    text = fetch_text(md5)
    digits = _md5_in(text, name)
    if digits is None:
        raise FetchError(f"{md5}: expected a line 'MD5({name})= ' and 32 digits, got {text[:80]!r}")
    fetched = fetch_file(url, target, {"MD5": digits}, progress)
    write_text(beside, text)
    return fetched


def _md5_in(text: str, name: str) -> str | None:
    """Return the digits of NLM's line `MD5(name)= hex`, or None where it is another line."""
    line = re.fullmatch(rf"MD5\s*\({re.escape(name)}\)\s*=\s*([0-9A-Fa-f]{{32}})", text.strip())
    return line[1].lower() if line else None
