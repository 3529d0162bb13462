import subprocess
import sys
import threading
import time

import pytest
from filelock import FileLock

from raybio.errors import UsageError
from raybio.study.folder import StudyFolder

HOLDER = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_errors_are_kept_until_a_run_is_tried_again(make_study):
    folder = StudyFolder(make_study())
    with folder.held():
        folder.set_error("run", "it broke")
        assert folder.error("run") == "it broke\n"
        folder.clear_error("run")
        assert folder.error("run") is None
    assert (folder.path / "study.yaml").is_file()


def test_two_commands_do_not_run_one_study_and_a_dead_one_does_not_hold_it(make_study):
    study = make_study()
    folder = StudyFolder(study)
    folder.path.mkdir(parents=True)
    command = [sys.executable, "-c", HOLDER, str(folder.path / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match="raybio study status"), folder.held():
            pass
        other.kill()
    with StudyFolder(study).held():
        pass


def test_who_looks_for_a_moment_does_not_keep_a_command_out(make_study):
    folder = StudyFolder(make_study())
    folder.path.mkdir(parents=True)
    looks = threading.Event()

    def look():
        with FileLock(folder.path / ".lock"):
            looks.set()
            time.sleep(0.3)

    looker = threading.Thread(target=look)
    looker.start()
    looks.wait()
    with folder.held():
        pass
    looker.join()
