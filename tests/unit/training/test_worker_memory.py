import subprocess
import sys
import time

from raybio.training.worker_memory import WorkerMemory

HOLD = "held = b'x' * 150_000_000; print('holds', flush=True); input()"


def worker(title):
    return subprocess.Popen(
        [title, "-c", HOLD],
        executable=sys.executable,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_peak_of_rays_workers_is_seen_from_outside_by_what_they_do():
    with worker("ray::Trains.run") as ray_worker, worker("python") as other:
        memory = WorkerMemory()
        with memory.sampled():
            for process in (ray_worker, other):
                assert process.stdout.readline() == "holds\n"
            while not memory.peak("Trains") > 150_000_000:
                time.sleep(0.02)
            for process in (ray_worker, other):
                process.communicate("\n")
        assert memory.peak("Trains") < 250_000_000
        assert memory.peak("tag_one") == memory.peak("python") == 0
