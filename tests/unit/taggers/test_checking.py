"""Labels that a model does not have are refused on the driver, by the files of its folder alone."""

import pytest

from raybio.errors import UsageError
from raybio.taggers.cascade import Cascade
from raybio.taggers.checking import check_selection
from raybio.taggers.selection import ALL, Selection


@pytest.fixture
def folders(tiny_encoder, tiny_decoder, tmp_path):
    Cascade.of(str(tiny_encoder), str(tiny_decoder), 0.5, 0.1, "dev").write(tmp_path / "cascade")
    return {"encoder": tiny_encoder, "decoder": tiny_decoder, "cascade": tmp_path / "cascade"}


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cascade"])
@pytest.mark.parametrize(
    "wrong",
    [
        Selection(("chemical",)),
        Selection(min_score={"chemical": 0.5}),
        Selection(rename={"chemical": "Drug"}),
    ],
)
def test_a_label_that_the_model_lacks_is_refused(folders, kind, wrong):
    with pytest.raises(UsageError, match=r"no label 'chemical'. Did you mean 'Chemical'\?"):
        check_selection(folders[kind], wrong)


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cascade"])
def test_those_that_it_has_are_good(folders, kind):
    for chosen in (ALL, Selection(("Chemical",), {"Chemical": 0.5}, {"Chemical": "Drug"})):
        check_selection(folders[kind], chosen)


def test_labels_that_are_given_are_the_models(tiny_encoder):
    given = {"Chemical": "Drug"}
    check_selection(tiny_encoder, Selection(("Drug",)), given)
    with pytest.raises(UsageError, match="no label 'Chemical'"):
        check_selection(tiny_encoder, Selection(("Chemical",)), given)


def test_a_least_score_that_is_no_probability_is_refused(tiny_encoder):
    with pytest.raises(UsageError, match="not a probability"):
        check_selection(tiny_encoder, Selection(min_score=80.0))
