import pytest

from raybio.errors import UsageError
from raybio.evaluation.label_sets import check_labels


def check(known, found):
    return check_labels(known, found, "train", "dev", "Rename them")


def test_no_label_in_common_is_refused_with_both_lists():
    with pytest.raises(UsageError) as caught:
        check({"Disease", "Chemical"}, ["DISEASE"])
    assert str(caught.value) == (
        "dev and train have no label in common: dev has DISEASE, train has Chemical, Disease. Rename them"
    )


def test_some_labels_more_are_named():
    assert check({"A"}, {"A", "B", "C"}).startswith("B, C of dev are no labels of train: ")
    assert check({"A"}, {"A", "B"}) == "B of dev is no label of train: dev has A, B, train has A. Rename them"


@pytest.mark.parametrize(
    ("known", "found"), [({"A", "B"}, {"A"}), ({"A"}, set()), (set(), {"A"}), (set(), set())]
)
def test_nothing_is_said_where_nothing_is_missing(known, found):
    assert check(known, found) == ""
