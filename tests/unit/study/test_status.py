from raybio.study.folder import StudyFolder
from raybio.study.stages import known_runs
from raybio.study.status import study_status


def test_a_study_that_was_never_run_is_all_waiting(make_study):
    status = study_status(make_study())
    assert status.counts == {"waiting": 4}
    assert "4 waiting" in status.text() and "follow once dev has chosen" in status.text()


def test_a_study_whose_trainings_are_done_says_no_more(make_study, finish):
    study = make_study()
    while waiting := [run for run in known_runs(study) if run.kind == "train" and not run.done]:
        for run in waiting:
            finish(run, 5)
    assert "once dev has chosen" not in study_status(study).text()


def test_each_run_has_its_state(make_study, finish):
    study = make_study()
    folder = StudyFolder(study)
    done, failed, running, waiting = known_runs(study)
    finish(done, 5)
    with folder.held():
        folder.set_error(failed.name, "Traceback\n  something\nValueError: no luck")
        folder.set_running([running.name])
        status = study_status(study)
        assert [run.state for run in status.runs] == ["done", "failed", "running", "waiting"]
        assert status.runs[0].dev_f1 and status.runs[0].epochs == 1
        assert f"{failed.name}: ValueError: no luck" in status.text()
        assert status.to_dict()["counts"] == {"done": 1, "failed": 1, "running": 1, "waiting": 1}
    assert waiting.name in status.text()


def test_what_a_killed_command_said_to_be_running_is_waiting(make_study):
    study = make_study()
    folder = StudyFolder(study)
    with folder.held():
        pass
    folder.set_running([known_runs(study)[0].name])  # as a killed process leaves it: nobody holds the lock
    assert study_status(study).counts == {"waiting": 4}
