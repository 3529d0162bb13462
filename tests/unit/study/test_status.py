from raybio.study.folder import StudyFolder
from raybio.study.stages import known_runs
from raybio.study.status import study_status


def test_a_study_that_was_never_run_is_all_waiting_what_dev_chooses_too(make_study):
    status = study_status(make_study(seeds=[1, 2]))
    assert status.counts == {"waiting": 2 * (2 + 2 + 1)}  # points, tests of both seeds, the other seed
    corpus = status.runs[0].corpus
    assert {f"one-{corpus}-s1-test", f"one-{corpus}-s2", f"two-{corpus}-s2-test"} <= {
        run.name for run in status.runs
    }
    assert status.text().endswith(": 10 waiting\n")


def test_what_dev_has_chosen_has_the_name_of_its_run_and_is_listed_once(make_study, finish):
    study = make_study()
    for run in known_runs(study):
        finish(run, 5)
    tests = [run for run in study_status(study).runs if run.kind == "test"]
    assert [run.state for run in tests] == ["waiting", "waiting"]
    assert {run.name for run in tests} == {run.name for run in known_runs(study) if run.kind == "test"}


def test_each_run_has_its_state(make_study, finish):
    study = make_study()
    folder = StudyFolder(study)
    done, failed, running, waiting = known_runs(study)
    finish(done, 5)
    with folder.held():
        folder.set_error(failed.name, "Traceback\n  something\nValueError: no luck")
        folder.set_running([running.name])
        status = study_status(study)
        assert [run.state for run in status.runs if run.kind == "train"] == [
            *("done", "failed", "running", "waiting")
        ]
        assert status.runs[0].dev_f1 and status.runs[0].epochs == 1
        assert f"{failed.name}: ValueError: no luck" in status.text()
        assert status.to_dict()["counts"] == {"done": 1, "failed": 1, "running": 1, "waiting": 3}
    assert waiting.name in status.text()


def test_what_a_killed_command_said_to_be_running_is_waiting(make_study):
    study = make_study()
    folder = StudyFolder(study)
    with folder.held():
        pass
    folder.set_running([known_runs(study)[0].name])  # as a killed process leaves it: nobody holds the lock
    assert study_status(study).counts == {"waiting": 6}
