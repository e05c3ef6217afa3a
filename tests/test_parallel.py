"""Threads over nets: BLAS keeps to one thread, and what a job leaves to do is done by a free core."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from vgdash import parallel
from vgdash.parallel import run_all, run_in_parts, single_threaded_blas


def blas() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def inside() -> set[int]:
    with single_threaded_blas():
        return blas()


def from_another_thread(function):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_blas_has_one_thread_inside_from_any_thread_while_the_first_one_lives_on(two_blas_threads):
    before = blas()
    assert before == {2}
    assert inside() == {1}  # this thread, which lives on
    assert blas() == before
    assert from_another_thread(inside) == {1}
    assert blas() == before


def test_the_last_to_leave_gives_blas_back_though_another_one_came_first(two_blas_threads):
    before, entered, leave = blas(), threading.Event(), threading.Event()

    def first():
        with single_threaded_blas():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(10)
    with single_threaded_blas():
        leave.set()
        thread.join()
        assert blas() == {1}
    assert blas() == before


@pytest.fixture(params=[1, 2, 4])
def workers(request, monkeypatch):
    monkeypatch.setattr(parallel, "WORKERS", request.param)
    return request.param


@pytest.mark.parametrize("jobs", [0, 1, 3, 9])
def test_every_part_of_every_job_is_done_once(jobs, workers):
    done = []
    run_in_parts(lambda job: [lambda part=part: done.append((job, part)) for part in range(job + 1)],
                 range(jobs))
    assert sorted(done) == [(job, part) for job in range(jobs) for part in range(job + 1)]


def test_a_core_without_a_job_takes_parts_that_another_one_left(monkeypatch):
    monkeypatch.setattr(parallel, "WORKERS", 2)
    both = threading.Barrier(2, timeout=10)  # broken unless two threads are in a part at a time
    for jobs in (1, 3):
        run_in_parts(lambda job: [both.wait] * 2 if job == 0 else [], range(jobs))


def test_a_part_is_taken_while_its_job_goes_on(monkeypatch):
    monkeypatch.setattr(parallel, "WORKERS", 2)
    taken = threading.Event()

    def job(_):
        yield taken.set
        assert taken.wait(10)

    run_in_parts(job, range(1))


def test_no_part_begins_before_every_job_has_begun(monkeypatch):
    monkeypatch.setattr(parallel, "WORKERS", 2)
    begun, seen = [], []

    def begin(job):
        begun.append(job)
        time.sleep(0.02)  # longer than handing out all jobs takes
        return [lambda: seen.append(len(begun))]

    run_in_parts(begin, range(6))
    assert len(seen) == 6
    assert min(seen) >= 5  # the other thread may be about to begin the last


@pytest.mark.parametrize("where", ["job", "part"])
def test_what_a_job_or_a_part_raises_comes_out(where, workers):
    def fail():
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        run_in_parts(lambda job: fail() if where == "job" else [fail], range(3))


def test_floating_point_warnings_are_off_in_jobs_and_parts(workers):
    def overflow():
        return np.float32(1e30) * np.array([1e30], np.float32)

    with np.errstate(all="raise"):
        run_in_parts(lambda job: [overflow] if overflow() else [], range(3))
        assert len(run_all(lambda job: overflow(), range(3))) == 3


@pytest.mark.parametrize("jobs", [0, 1, 3, 100])
def test_results_come_in_the_order_of_the_jobs(jobs, workers):
    assert run_all(lambda job: -job, range(jobs)) == [-job for job in range(jobs)]


def test_all_cores_take_jobs(monkeypatch):
    monkeypatch.setattr(parallel, "WORKERS", 3)
    all_three = threading.Barrier(3, timeout=10)  # broken unless three threads are in a job at a time
    run_all(lambda _: all_three.wait(), range(6))


def test_where_a_job_fails_that_is_raised_and_nobody_begins_another(workers):
    begun = []

    def fail_at_five(job):
        begun.append(job)
        if job == 5:
            raise ValueError(job)
        time.sleep(0.001)

    with pytest.raises(ValueError, match="5"):
        run_all(fail_at_five, range(500))
    assert len(begun) < 20
