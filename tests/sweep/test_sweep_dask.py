"""The same sweep on a Dask cluster of two processes, one of which is killed: the table is complete."""

import logging
import os
import signal

import pandas as pd
import pytest

distributed = pytest.importorskip("distributed")

from vgdash.sweep import SweepParams, __main__, read, trainability  # noqa: E402

P = SweepParams(depths=(4, 8, 12), sigma_w2_low=1.0, sigma_w2_high=2.5, sigma_w2_count=4, width=16, steps=150,
                seeds=2)


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(n_workers=2, processes=True, threads_per_worker=1, dashboard_address=None,
                                  silence_logs=logging.CRITICAL) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def plain():
    return trainability(P, workers=1)


def test_a_cluster_that_loses_a_worker_midway_gives_the_whole_table(cluster, plain, tmp_path):
    with distributed.Client(cluster) as client:
        pids = client.run(os.getpid)
        assert len(set(pids.values())) == 2
        victim = next(iter(pids.values()))
        killed = []

        def kill_at_the_third(cells, share):
            if cells == 3:
                os.kill(victim, signal.SIGKILL)
                killed.append(share)

        found = trainability(P, client.get_executor(), tmp_path / "map.csv", progress=kill_at_the_third)
        assert killed[0] < 0.7
        client.wait_for_workers(2)
        assert victim not in client.run(os.getpid, on_error="ignore").values()
    assert not found.failures
    assert found.done.all()
    pd.testing.assert_frame_equal(found.frame(), plain.frame(), check_exact=True)


def test_the_program_runs_on_the_cluster(cluster, plain, tmp_path, capsys):
    out = tmp_path / "map.csv"
    arguments = [text for name, value in P.to_query().items()
                 for text in ("--" + name.replace("_", "-"), value[0])]
    assert __main__.main([*arguments, "--scheduler", cluster.scheduler_address, "--out", str(out)]) == 0
    assert "12 of 12 cells" in capsys.readouterr().err
    pd.testing.assert_frame_equal(read(out).frame(), plain.frame(), check_exact=True)


def test_an_address_where_no_scheduler_answers_is_said_so(capsys, monkeypatch):
    monkeypatch.setattr(__main__, "PATIENCE", 0.5)
    with pytest.raises(SystemExit) as end:
        __main__.main(["--scheduler", "tcp://127.0.0.1:9"])
    assert end.value.code == 2
    assert "no Dask scheduler answers" in capsys.readouterr().err
