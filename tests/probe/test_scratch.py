"""Memory that is kept from one computation to the next: whose it is, how much, and until when."""

import threading

import numpy as np
import pytest

from vgdash import bounds
from vgdash.probe import scratch
from vgdash.probe.probe import ProbeParams, probe


@pytest.fixture(autouse=True)
def nothing_kept():
    scratch.forget()
    yield
    scratch.forget()


def address(array):
    return array.__array_interface__["data"][0]


def borrow(*entries, dtype=np.float32):
    """Arrays of so many entries, one at each place, given back; their addresses."""
    with scratch.lent() as empty:
        arrays = [empty(place, count, np.dtype(dtype)) for place, count in enumerate(entries)]
        assert [array.size for array in arrays] == list(entries)
        assert {array.dtype for array in arrays} == {np.dtype(dtype)}
        return [address(array) for array in arrays]


def test_the_next_one_gets_the_same_memory():
    first = borrow(500, 1000)
    assert borrow(1000, 400, dtype=np.float32) == first[::-1]
    assert borrow(500, dtype=np.float64) == first[1:]


def test_a_place_has_one_array_that_grows():
    with scratch.lent() as empty:
        small, again, large = (empty("place", count, np.dtype(np.float32)) for count in (100, 50, 200))
        assert address(small) == address(again) != address(large)
    assert sum(array.nbytes for array in scratch._kept) == 800


def test_what_is_too_small_makes_room():
    borrow(100, 200)
    borrow(300)
    assert [array.nbytes for array in scratch._kept] == [1200]


def test_no_more_is_kept_than_the_bound_and_nothing_after_forget(monkeypatch):
    monkeypatch.setattr(bounds, "SCRATCH", 1000)
    borrow(100, 200, 100)
    assert [array.nbytes for array in scratch._kept] == [400, 400]
    scratch.forget()
    assert not scratch._kept


def test_memory_comes_back_after_an_error():
    def fail():
        with scratch.lent() as empty:
            empty(0, 100, np.dtype(np.float32))
            raise MemoryError

    with pytest.raises(MemoryError):
        fail()
    assert len(scratch._kept) == 1


def test_two_computations_at_once_have_their_own_memory():
    both, found = threading.Barrier(2, timeout=10), []

    def work(number):
        for _ in range(200):
            with scratch.lent() as empty:
                array = empty(0, 1000, np.dtype(np.float32))
                array[:] = number
                both.wait()
                found.append((array == number).all())
                both.wait()

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 400
    assert all(found)


def test_a_probe_finds_the_same_in_memory_that_held_something_else():
    p = ProbeParams((40, 30, 30, 20), "tanh", batch=8)
    fresh = probe(p)
    with scratch.lent() as empty:
        empty(0, 1_000_000, np.dtype(np.float32))[:] = np.nan
    again = probe(p)
    assert [array.nbytes for array in scratch._kept] == [4_000_000]
    for name in ("q", "a2", "grad2", "dw2", "correlation"):
        np.testing.assert_array_equal(getattr(fresh, name), getattr(again, name))
