"""One thread and one seed for every test of models."""

from importlib.util import find_spec

import pytest


@pytest.fixture(autouse=True)
def one_thread_and_one_seed():
    if not find_spec("torch"):
        yield
        return
    import torch
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)
