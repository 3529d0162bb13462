"""The options of a study, its cells, and the two protocols."""

from pathlib import Path

import pytest
from studies import study_of

from raybio.config import (
    CorpusSection,
    StudyConfig,
    TrainDecoderConfig,
    TrainEncoderConfig,
    load_config,
    load_job,
    to_yaml,
)
from raybio.config.options import options as options_of
from raybio.config.protocol import STUDY_OPTIONS
from raybio.config.study_cells import cells, with_seed
from raybio.corpora.sample import SampleFiles
from raybio.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
STUDY = """job: run-study
name: s
corpora: [{name: BC5CDR}, {name: ChemProt}, {name: BioRED}]
models:
  - {name: enc, config: configs/train_encoder/minilm_bc5cdr.yaml}
  - {name: llm, config: configs/train_decoder/smollm2_bc5cdr.yaml}
"""


@pytest.fixture
def study(load, monkeypatch):
    """Load a study with lines added; its train configs are the shipped ones."""
    monkeypatch.chdir(ROOT)
    return lambda text="", *overrides: load(STUDY + text, *overrides)


def points(config, model):
    return {cell.corpus: cell.points for cell in cells(config) if cell.model.name == model}


def test_a_cell_for_each_model_on_each_corpus(study):
    found = cells(study())
    assert [(cell.corpus, cell.model.name) for cell in found] == [
        (corpus, model) for corpus in ("BC5CDR", "ChemProt", "BioRED") for model in ("enc", "llm")
    ]
    (point,) = found[0].points
    assert isinstance(point, TrainEncoderConfig) and point.corpus.name == "BC5CDR"
    assert (point.output, point.test, point.seed, found[0].tested) == ("studies/s", False, 1, True)


def test_options_of_the_study_then_of_the_model(study):
    text = "options: {training.epochs: 3, bootstrap: 5}\nseeds: [7, 8]\n"
    config = study(text, "options.training.epochs=2")
    (point,) = points(config, "enc")["BC5CDR"]
    assert (point.training.epochs, point.bootstrap, point.seed) == (2, 5, 7)
    model = config.models[0].model_copy(
        update={"options": {"training.epochs": 9, "corpus.max_train_documents": 10}}
    )
    (own,) = points(config.model_copy(update={"models": (model,)}), "enc")["BC5CDR"]
    assert (own.training.epochs, own.corpus.max_train_documents) == (9, 10)


def test_a_sweep_makes_points_that_differ_in_name(study):
    config = study("options: {sweep: {training.learning_rate: [1e-5, 2e-5], training.batch_size: [4, 8]}}")
    found = points(config, "enc")["BC5CDR"]
    assert [(p.training.learning_rate, p.training.batch_size) for p in found] == [
        (1e-5, 4), (1e-5, 8), (2e-5, 4), (2e-5, 8),
    ]  # fmt: skip
    assert len({p.name for p in found}) == 4 and not any(p.sweep for p in found)


def test_a_runs_name_changes_with_its_config_and_with_nothing_else(study):
    def name(*overrides):
        return points(study("", *overrides), "enc")["BC5CDR"][0].name

    first = name()
    assert first == name("output=elsewhere", "name=t", "measure.enabled=false", "seeds=[1,2]")
    assert first != name("options.training.epochs=5") and first.startswith("enc-BC5CDR-s1-")
    config = study("seeds: [1, 2]")
    cell = cells(config)[0]
    again = with_seed(config, cell, cell.points[0], 2)
    assert again.seed == 2 and str(again.name).startswith("enc-BC5CDR-s2-")


def test_the_studys_protocol_sets_every_point_and_each_stays_overridable(study):
    config = study("protocol: study\noptions: {training.keep_checkpoint: best}\n")
    (encoder,), (llm,) = (points(config, model)["BC5CDR"] for model in ("enc", "llm"))
    assert (encoder.training.long_inputs, encoder.training.max_grad_norm) == ("cut", None)
    assert (encoder.training.aggregation_strategy, encoder.training.constrained_decoding) == (
        "majority",
        False,
    )
    assert (
        encoder.training.keep_checkpoint == "best"
        and encoder.training.metric_for_best_model == "dev_paper_strict_f1"
    )
    assert isinstance(llm, TrainDecoderConfig)
    assert (llm.training.loss_on, llm.prompt.label_order, llm.dev.mode) == ("padded", "random", "greedy")
    corpora = {name: found[0].corpus for name, found in points(config, "enc").items()}
    assert list(corpora) == ["BC5CDR", "ChemProt-study", "BioRED"]
    assert corpora["BioRED"].instance_words == 145


def test_the_protocol_leaves_a_tag_head_without_text(study):
    plain = "prompt.tag_tokens: false, prompt.leading_space: false"
    config = study(f"protocol: study\noptions: {{head: tags, {plain}, training.learning_rate: 1e-4}}\n")
    model = config.models[1]
    (point,) = points(config.model_copy(update={"models": (model,)}), "llm")["BC5CDR"]
    assert (point.head, point.training.loss_on) == ("tags", "completion")


def test_what_a_corpus_says_itself_goes_before_the_protocol(study):
    config = study("protocol: study\n", "corpora=[{name: ChemProt, protocol: corrected}, {name: ChemProt}]")
    assert list(points(config, "enc")) == ["ChemProt", "ChemProt-study"]


def test_a_resolved_study_is_the_same_study(study, load):
    config = study("protocol: study\n")
    again = load(to_yaml(config))
    assert again == config
    assert [c.points for c in cells(again)] == [c.points for c in cells(config)]


def test_all_faults_of_all_train_configs_come_at_once(study):
    config = study("options: {training.epochs: none, trainning.keep_checkpoint: best}\n")
    with pytest.raises(ConfigError) as error:
        cells(config)
    faults = "\n".join(error.value.faults)
    assert len(error.value.faults) == 4  # two for each model, whatever the number of corpora
    assert "enc (configs/train_encoder/minilm_bc5cdr.yaml): training.epochs: found 'none'" in faults
    assert "llm" in faults and "on BC5CDR" in faults


def test_a_study_does_not_learn_dev(study):
    options = (
        "options: {corpus.train_with_dev: true, training.keep_checkpoint: last, "
        "training.early_stopping_patience: 0}"
    )
    with pytest.raises(ConfigError) as error:
        cells(study(options))
    assert "corpus.train_with_dev: found true, but a study chooses on dev; remove it" in str(error.value)


def test_names_must_be_those_of_the_study(study, faults):
    text = "cascades: [{name: enc, encoder: encc, decoder: llm, corpora: [BC5]}]\nseeds: [1, 1]\n"
    models = "models=[{name: enc, config: e.yaml}, {name: llm, config: l.yaml, variant_of: end}]"
    found = "\n".join(faults(study, text, models))
    assert "models: found 'enc' more than once" in found
    assert "cascades[0].encoder: found 'encc'; allowed: one of enc, llm; did you mean 'enc'?" in found
    assert "models[1].variant_of: found 'end'; allowed: one of enc, llm" in found
    assert "cascades[0].corpora: found 'BC5'" in found and "seeds: found '1' more than once" in found


TAUGHT = "{name: taught, config: configs/train_encoder/minilm_bc5cdr.yaml, teachers: [enc]}"
MODELS = "models=[{name: enc, config: configs/train_encoder/minilm_bc5cdr.yaml}, " + TAUGHT + "]"


def test_teachers_are_all_runs_of_which_dev_may_choose_one_a_seed(study):
    sweep = "options: {sweep: {training.learning_rate: [1e-5, 2e-5]}}"
    config = study("seeds: [1, 2]\n", MODELS.replace("bc5cdr.yaml}", f"bc5cdr.yaml, {sweep}}}"))
    (taught,) = points(config, "taught")["BioRED"]
    named = [f"{name.rsplit('-', 1)[0]}" for name in taught.distillation.teachers]
    assert named == ["enc-BioRED-s1", "enc-BioRED-s2"] * 2
    assert taught.distillation.teachers[::2] == tuple(p.name for p in points(config, "enc")["BioRED"])


def test_a_students_name_changes_with_its_teachers_and_not_with_the_place(study):
    def name(*overrides, models=MODELS):
        return points(study("", models, *overrides), "taught")["BC5CDR"][0].name

    first = name()
    assert first == name("output=elsewhere", "name=t")
    assert first != name(models=MODELS.replace("bc5cdr.yaml}", "bc5cdr.yaml, options: {bootstrap: 5}}"))
    assert first != name("seeds=[1, 2]")


def test_teachers_must_come_before_whom_they_teach_and_know_its_corpora(study, faults):
    one = MODELS.replace("[enc]", "[taught, encc, enc]").replace(
        "{name: enc,", "{name: enc, corpora: [BC5CDR, BioRED],"
    )
    found = "\n".join(faults(study, "", one))
    for fault in (
        "found 'encc'; allowed: one of enc, taught; did you mean 'enc'?",
        "found 'enc', which is not trained on ChemProt; add it to its corpora",
        "found 'taught', which stands below; put teachers above those that they teach",
    ):
        assert f"models[1].teachers: {fault}" in found
    (both,) = faults(study, "options: {distillation.teachers: [m]}\n", MODELS)
    assert "found some, and distillation.teachers among the options; keep one of the two" in both


def test_a_teachers_fault_is_not_its_pupils_too(study):
    models = MODELS.replace("bc5cdr.yaml}", "bc5cdr.yaml, options: {training.epochs: none}}", 1).replace(
        "teachers: [enc]", "teachers: [enc], options: {distillation.weight: 0.9}"
    )
    with pytest.raises(ConfigError) as error:
        cells(study("", models))
    assert "training.epochs: found 'none'" in str(error.value)
    assert "there are no teachers" not in str(error.value)


def test_a_study_is_another_command(faults, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(ConfigError, match="run `raybio study run` with it"):
        load_job(TrainEncoderConfig, "configs/study/smoke.yaml")


def test_the_protocols_options_are_options():
    for job, options in STUDY_OPTIONS.items():
        known = {option.key for option in options_of(job)}
        assert options and set(options) <= known


@pytest.mark.parametrize("name", ["paper", "small", "points_encoder", "points_decoder", "steps", "smoke"])
def test_every_train_config_of_a_shipped_study_is_valid(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = load_config(f"configs/study/{name}.yaml")
    assert isinstance(config, StudyConfig) and cells(config)


def test_the_paper_is_six_models_on_five_corpora_with_its_grid(monkeypatch):
    monkeypatch.chdir(ROOT)
    config = load_config("configs/study/paper.yaml")
    assert isinstance(config, StudyConfig)
    found = cells(config)
    assert len(found) == 6 * 6  # ChemProt twice
    assert {len(cell.points) for cell in found if "large" in cell.model.name} == {12}
    assert {len(cell.points) for cell in found if cell.model.name[-1] == "b"} == {2}
    assert {cell.points[0].workers.num_workers for cell in found if cell.model.name == "llama_8b"} == {2}
    assert {cell.corpus for cell in found} >= {"ChemProt", "ChemProt-study", "BioRED"}


def test_a_study_of_files(tmp_path):
    sample = SampleFiles(*(tmp_path / name for name in "abcdef"))
    path = tmp_path / "m.yaml"
    path.write_text("job: train-encoder\nmodel: m\ncorpus: {name: sample}\n")
    (cell,) = cells(study_of(tmp_path, {"m": path}, sample))
    assert cell.corpus == tmp_path.name and cell.points[0].corpus.train == str(sample.train)


# Corpora together --------------------------------------------------------------------------------

BIORED = "{name: BioRED, labels: {ChemicalEntity: Chemical}, weight: 2}"
NAMED = f"corpora=[{{name: BC5CDR}}, {BIORED}, {{name: JNLPBA}}]"
TOGETHER = "{name: all, config: configs/train_encoder/minilm_bc5cdr.yaml, together: true%s}"


def together(more="", *others):
    return f"models=[{', '.join([*others, TOGETHER % more])}]"


def test_a_model_of_all_corpora_is_one_cell_beside_those_of_each(study):
    config = study("", NAMED, together("", "{name: enc, config: configs/train_encoder/minilm_bc5cdr.yaml}"))
    found = cells(config)
    assert [(cell.model.name, cell.corpora) for cell in found] == [
        ("enc", ("BC5CDR",)),
        ("enc", ("BioRED",)),
        ("enc", ("JNLPBA",)),
        ("all", ("BC5CDR", "BioRED", "JNLPBA")),
    ]
    alone, renamed, _, union = (cell.points[0].corpus for cell in found)
    assert alone == CorpusSection(name="BC5CDR")
    assert renamed == (config.corpora[1],) and union == config.corpora
    assert found[-1].points[0].name.startswith("all-BC5CDR-BioRED-JNLPBA-s1-")


def test_a_model_may_learn_some_of_the_corpora_together(study):
    (cell,) = cells(study("", NAMED, together(", corpora: [JNLPBA, BC5CDR]")))
    assert cell.corpora == ("BC5CDR", "JNLPBA")


def test_options_of_the_corpus_are_of_each_that_is_learned_together(study):
    (cell,) = cells(study("options: {corpus.max_train_documents: 3}\n", NAMED, together()))
    assert [section.max_train_documents for section in cell.points[0].corpus] == [3, 3, 3]


def test_runs_have_the_names_of_before_corpora_could_be_learned_together(study):
    found = [cell.points[0].name for cell in cells(study()) if cell.model.name == "enc"]
    assert found == [
        "enc-BC5CDR-s1-16376a948c15",
        "enc-ChemProt-s1-6fecec589409",
        "enc-BioRED-s1-f39cc702bbfd",
    ]


def test_each_teaches_the_student_of_all_that_it_has_learned(study):
    teacher = "{name: enc, config: configs/train_encoder/minilm_bc5cdr.yaml}"
    *teachers, student = cells(study("", NAMED, together(", teachers: [enc]", teacher)))
    assert student.points[0].distillation.teachers == tuple(cell.points[0].name for cell in teachers)


def test_what_cannot_be_beside_corpora_together_is_reported(study, faults):
    text = "cascades: [{name: c, encoder: all, decoder: llm}]\n"
    llm = "{name: llm, config: configs/train_decoder/smollm2_bc5cdr.yaml, draft: all}"
    pupil = "{name: one, config: configs/train_encoder/minilm_bc5cdr.yaml, teachers: [all]}"
    single = TOGETHER.replace("all", "few") % ", corpora: [BC5CDR]"
    found = "\n".join(faults(study, text, NAMED, together("", llm).replace("]", f", {pupil}, {single}]")))
    for fault in (
        "models[0].draft: goes with models of one corpus only; remove it, or together",
        "models[2].teachers: found 'all', which learns corpora together; it can teach one that does too",
        "models[3].together: found true, and one corpus; it takes two at least",
        "cascades[0].encoder: learns corpora together; a cascade joins models of one corpus",
        "corpora[1]: a cascade takes labels as the corpus has them; remove cascades, or labels",
    ):
        assert fault in found, found
    (idle,) = faults(study, "", NAMED)
    assert "corpora[1].weight: counts where a model learns corpora together, and none does" in idle
