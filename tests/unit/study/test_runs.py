from raybio.config import BenchmarkServeConfig
from raybio.config.study_cells import cells
from raybio.run_folder import RunFolder
from raybio.study.runs import by_seed, chosen
from raybio.study.stages import known_runs


def kinds(study):
    return [(run.kind, run.model, run.seed) for run in known_runs(study) if not run.done]


def test_the_search_comes_first_with_the_first_seed(make_study):
    study = make_study(seeds=[3, 4])
    assert kinds(study) == [("train", "one", 3)] * 2 + [("train", "two", 3)] * 2
    assert chosen(study, cells(study)[0]) is None


def test_dev_chooses_once_all_points_are_done_and_then_other_seeds_and_test_follow(make_study, finish):
    study = make_study(seeds=[3, 4])
    first, second, *_ = known_runs(study)
    finish(first, 4)
    assert ("test", "one", 3) not in kinds(study)
    finish(second, 6)
    cell = cells(study)[0]
    assert chosen(study, cell) == second.config
    assert [run.seed for run in by_seed(study, cell)] == [3, 4]
    assert kinds(study)[:2] == [("test", "one", 3), ("train", "one", 4)]
    finish(second, 6, "dev", "test")
    assert ("test", "one", 3) not in kinds(study)


def test_of_equals_the_first_is_chosen(make_study, finish):
    study = make_study()
    first, second, *_ = known_runs(study)
    for run in (first, second):
        finish(run, 5)
    assert chosen(study, cells(study)[0]) == first.config


def test_the_scorer_that_chooses_is_an_option(make_study, finish):
    def chosen_by(scorer):
        study = make_study(options={"training.metric_for_best_model": scorer})
        first, second, *_ = known_runs(study)
        for run, paper in ((first, 0.9), (second, 0.1)):
            finish(run, 4 if run is first else 6)
            scores = RunFolder(run.path).read_json("scores.json")
            scores["dev"]["paper"]["overall"]["strict"]["f1"] = paper
            RunFolder(run.path).write_json("scores.json", scores)
        return [first.config, second.config].index(chosen(study, cells(study)[0]))

    assert (chosen_by("dev_paper_strict_f1"), chosen_by("dev_strict_f1")) == (0, 1)


def test_a_finished_run_is_found_again_unless_its_config_changed(make_study, finish):
    finish(known_runs(make_study())[0], 5)
    assert [run.done for run in known_runs(make_study(seeds=[1, 2]))[:2]] == [True, False]
    changed = make_study(options={"training.epochs": 2})
    assert not any(run.done for run in known_runs(changed))


def test_what_is_not_to_be_tested_is_not_tested_nor_measured(make_study, finish):
    study = make_study(options={"test": False}, measure={"enabled": True})
    for run in known_runs(study):
        finish(run, 5)
    assert kinds(study) == []


def test_the_chosen_model_is_measured_once_it_was_tested(make_study, finish):
    study = make_study(measure={"enabled": True, "paper": {"batch_size": 0}})
    first, second, *_ = known_runs(study)
    finish(first, 5)
    finish(second, 6, "dev", "test")
    (run,) = [run for run in known_runs(study) if run.kind == "measure"]
    assert isinstance(run.config, BenchmarkServeConfig) and not run.done
    assert run.config.models[0].model == str(second.path / "model")
    assert run.config.paper.batch_size == 0
    run.path.mkdir()
    (run.path / "benchmark.json").write_text('{"results": [{}]}')
    assert run.done


def llm_study(make_study, tmp_path):
    """Return a study of an LLM, with an encoder that drafts for it, in two decode modes."""
    path = tmp_path / "llm.yaml"
    path.write_text("job: train-decoder\nmodel: nowhere\ncorpus: {name: sample}\nbootstrap: 20\n")
    one, _ = make_study().model_dump(mode="json")["models"]
    modes = {"modes": ["greedy", "verified-tags"], "draft": "one"}
    llm = {"name": "llm", "config": str(path), "options": {}, **modes}
    return make_study(models=[llm, {**one, "options": {}}], measure={"enabled": True})


def test_each_decode_mode_is_measured_in_a_run_of_its_own(make_study, finish, tmp_path):
    study = llm_study(make_study, tmp_path)
    llm, one = known_runs(study)
    finish(llm, 5, "dev", "test")
    (greedy,) = [run for run in known_runs(study) if run.kind == "measure"]
    assert greedy.name.startswith("llm-greedy-")  # the other mode waits for its encoder
    finish(one, 5)
    found = [run for run in known_runs(study) if run.kind == "measure"]
    assert [len(run.config.models) for run in found] == [1, 1] and found[0].path == greedy.path
    assert found[1].config.models[0].decoding.draft_model == str(one.path / "model")
    greedy.path.mkdir()
    (greedy.path / "benchmark.json").write_text('{"results": [{}]}')
    assert [run.done for run in found] == [True, False]


def test_a_measurement_comes_right_after_its_own_test(make_study, finish):
    study = make_study(measure={"enabled": True}, seeds=[1, 2])
    of_one = [run for run in known_runs(study) if run.model == "one"]
    for run in of_one:
        finish(run, 5, "dev", "test")
    assert [(run.kind, run.model, run.seed) for run in known_runs(study)][2:6] == [
        ("test", "one", 1),
        ("measure", "one", 1),
        ("train", "one", 2),
        ("train", "two", 1),
    ]


def test_a_cascade_waits_for_both_of_its_models(make_study, finish):
    cascade = {"name": "both", "encoder": "one", "decoder": "two"}
    study = make_study(cascades=[cascade])
    *of_one, third, fourth = known_runs(study)
    for run in of_one:
        finish(run, 5, "dev", "test")
    assert not any(run.kind == "cascade" for run in known_runs(study))
    finish(third, 5, "dev", "test")
    finish(fourth, 7, "dev", "test")
    (joined,) = [run for run in known_runs(study) if run.kind == "cascade"]
    assert joined.config.decoder.endswith(f"{fourth.name}/model") and joined.seed == 1
    finish(joined, 8, "dev", "test")
    assert joined.done


def test_a_student_waits_for_its_teachers_and_learns_from_those_that_dev_chose(make_study, finish):
    models = [dict(model) for model in make_study().model_dump()["models"]]
    models[1] |= {"teachers": ["one"], "options": {}}
    study = make_study(models=models, seeds=[3, 4])
    assert {run.model for run in known_runs(study)} == {"one"}
    first, second, *_ = known_runs(study)
    finish(first, 5)
    finish(second, 6)
    assert {run.model for run in known_runs(study)} == {"one"}
    other_seed = next(run for run in known_runs(study) if run.seed == 4)
    finish(other_seed, 4)
    (student,) = [run for run in known_runs(study) if run.model == "two"]
    teachers = (str(second.path / "model"), str(other_seed.path / "model"))
    assert student.config.distillation.teachers == teachers
    assert student.name == cells(study)[1].points[0].name


def test_asha_is_one_run_for_all_points(make_study, finish):
    study = make_study(search={"method": "asha"})
    search, other = known_runs(study)
    assert (search.kind, len(search.configs), search.model, other.model) == ("search", 2, "one", "two")
    best = search.configs[1]
    search.path.mkdir(parents=True)
    (search.path / "search.json").write_text(f'{{"chosen": "{best.name}"}}')
    assert search.done and chosen(study, cells(study)[0]) == best
    grid, _, *_ = known_runs(make_study())
    assert grid.config == search.configs[0]
