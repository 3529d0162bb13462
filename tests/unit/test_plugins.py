"""What other packages add: names without an import, and faults of one package that do not hurt the rest."""

import json
import logging
import re
from importlib.metadata import EntryPoint

import pytest

from raybio import corpora, plugins
from raybio.corpora import Format, format_named, formats
from raybio.errors import ModelError, UsageError
from raybio.model_files import inspect_model
from raybio.taggers.card import kind_of


@pytest.fixture
def added(monkeypatch):
    """Have these entry points installed: group -> {name: value}."""

    def install(**groups):
        found = {
            f"raybio.{group}": {name: EntryPoint(name, value, group) for name, value in each.items()}
            for group, each in groups.items()
        }
        monkeypatch.setattr(plugins, "_found", lambda group: found.get(group, {}))
        formats.cache_clear()

    yield install
    formats.cache_clear()


PSV = Format("psv", "columns", (".psv",), "nowhere.at_all")
OTHER = Format("tsv", "columns", (".tab",), "nowhere.at_all")
BRAT = Format("brat", "another", (".ann",), "nowhere.at_all")


def test_a_format_is_there_before_its_reader_is_imported(added):
    added(formats={"psv": f"{__name__}:PSV"})
    assert plugins.names(plugins.FORMATS) == ("psv",)
    assert format_named("psv") is PSV and corpora.format_of("a.psv.gz") == "psv"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("psv", "no_such_module:PSV", "'psv' of the installed package no_such_module .* cannot be loaded"),
        ("psv", f"{__name__}:MISSING", "cannot be loaded: .*MISSING"),
        ("psv", f"{__name__}:OTHER", "the format 'psv' of an installed package is left out"),
        ("psv", "json:dumps", "the format 'psv' of an installed package is left out"),
        ("brat", f"{__name__}:BRAT", "the name is one of raybio's own"),
    ],
)
def test_a_format_that_is_none_is_left_out_with_a_warning(added, caplog, name, value, said):
    added(formats={name: value})
    with caplog.at_level(logging.WARNING):
        assert formats()["brat"].module == "raybio.corpora.brat" and "psv" not in formats()
    [record] = caplog.records
    assert re.search(said, record.getMessage())


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "raybio.json").write_text(json.dumps({"kind": "lexicon", "label": "Gene"}))
    return tmp_path


def test_a_model_of_an_added_kind_needs_nothing_of_hugging_face(added, folder):
    added(taggers={"lexicon": "json:loads"})
    inspect_model(folder)
    assert kind_of(folder) == "lexicon"


def test_without_the_package_its_kind_is_named(added, folder):
    added()
    with pytest.raises(ModelError, match=r"kind 'lexicon': install the package that adds it"):
        inspect_model(folder)
    with pytest.raises(ModelError, match=r"kind 'lexicon'.*install the package that adds it"):
        kind_of(folder)


def test_a_tagger_that_cannot_be_loaded_is_refused(added):
    added(taggers={"lexicon": "no_such_module:load"})
    with pytest.raises(UsageError, match="Repair or uninstall that package"):
        plugins.load(plugins.TAGGERS, "lexicon")


def test_a_package_does_not_take_over_raybio_s_own_kinds(added, folder):
    added(taggers={"encoder": "json:loads", "lexicon": "json:loads"})
    assert plugins.names(plugins.TAGGERS) == ("lexicon",)
    (folder / "raybio.json").write_text('{"kind": "encoder"}')
    assert kind_of(folder) == "encoder"
    with pytest.raises(ModelError, match=r"has no config\.json"):
        inspect_model(folder)
