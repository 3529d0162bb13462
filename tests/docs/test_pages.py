"""The pages that train and tag, followed to the letter on a small generated corpus, one after the other."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pages import PAGES, ROOT, Page, Printed, follow
from ray_session import ray_session

from raybio.cli import main
from raybio.corpora.sample import generate_sample

# Each finds what those before it have made, as a reader would.
READ = ["README.md", "docs/python.md", "docs/your_own_corpus.md", "docs/read_the_report.md", "docs/study.md"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A reader's folder, with a corpus of their own and the configs of a checkout; Ray starts in it."""
    folder = tmp_path_factory.mktemp("desk")
    generate_sample(folder / "my_corpus", train=120, dev=30, test=40, citations=1)
    (folder / "configs").symlink_to(ROOT / "configs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with ray_session():
            yield folder


@pytest.mark.parametrize("path", READ)
def test_a_page_followed_to_the_letter_works(
    path: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = capsys.readouterr

    def run(words: Sequence[str]) -> Printed:
        printed()
        assert main(words) == 0
        return printed()

    follow(Page(path), run, printed)


def test_every_page_that_needs_ray_is_read() -> None:
    assert {page.path for page in PAGES if page.needs_ray} <= set(READ)
