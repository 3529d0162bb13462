"""Whether a cluster has room: what fits on which node, and what a cluster's file lets it start."""

import pytest

from raybio.config.demand import Demand
from raybio.errors import InputError, UsageError
from raybio.submission.room import Nodes, check_room, nodes_of_file

CPU = Nodes("cpu", 2, 4, 0)
GPU = Nodes("gpu", 1, 4, 1)


@pytest.mark.parametrize(
    "asked",
    [
        [(Demand("a", 8, 1, 0),)],
        [(Demand("a", 1, 4, 1),)],
        [(Demand("a", 2, 4, 0), Demand("b", 1, 4, 1))],  # what needs no GPU leaves the GPU node free
        [(Demand("a", 2, 1, 0.5),)],
        [(Demand("a", 1, 4, 1),), (Demand("b", 1, 4, 1),)],  # one after the other
    ],
)
def test_what_fits_is_let_through(asked):
    check_room(asked, [GPU, CPU])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([(Demand("tagger", 1, 5, 0),)], "asks for 1 tagger with 5 CPU, and there is room for 0"),
        ([(Demand("tagger", 2, 1, 1),)], "2 tagger with 1 CPU and 1 GPU each, and there is room for 1"),
        ([(Demand("a", 1, 4, 1), Demand("b", 1, 1, 1))], "asks for 1 b with 1 CPU and 1 GPU"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_there_is(asked, said):
    with pytest.raises(UsageError) as refused:
        check_room(asked, [GPU, CPU])
    assert said in str(refused.value)
    assert "1 gpu (4 CPU, 1 GPU), 2 cpu (4 CPU, 0 GPU)" in str(refused.value)


def test_a_clusters_file_bounds_its_nodes(tmp_path):
    file = tmp_path / "cluster.yaml"
    file.write_text(
        "max_workers: 3\nhead_node_type: head\navailable_node_types:\n"
        "  head: {resources: {CPU: 0}}\n"
        "  few: {resources: {CPU: 8}, max_workers: 2}\n"
        "  many: {resources: {CPU: 4, GPU: 1}}\n"
    )
    assert nodes_of_file(file) == [Nodes("head", 1, 0, 0), Nodes("few", 2, 8, 0), Nodes("many", 3, 4, 1)]


@pytest.mark.parametrize("text", ["", "a: 1\n", "[1\n", "- a\n", "spec: {headGroupSpec: {}}\n"])
def test_what_describes_no_cluster_is_refused(tmp_path, text):
    file = tmp_path / "cluster.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"cluster\.yaml"):
        nodes_of_file(file)
    with pytest.raises(InputError, match="cannot be read"):
        nodes_of_file(tmp_path / "nothere.yaml")
