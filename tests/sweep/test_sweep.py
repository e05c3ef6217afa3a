"""The trainability map: a cell is what train() says, whoever computes it, however often it is killed."""

import math
import os
import signal
import subprocess
import sys
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context, parent_process
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.training.parameters import biases_of, weights_of
from vgdash.params import ParamError
from vgdash.sweep import SweepParams, __main__, csv_file, read, run, shipped, trainability
from vgdash.sweep.grid import Cell, Trainability
from vgdash.sweep.run import cells, train_cell
from vgdash.training.trainer import TrainParams, train

TINY = SweepParams(depths=(2, 4, 6), sigma_w2_low=1.0, sigma_w2_high=2.5, sigma_w2_count=2, width=8, steps=20,
                   seeds=2, seed=3)
ROOT = Path(__file__).parent.parent.parent


class Here:
    """An executor that works in this very thread, when asked."""

    def submit(self, function, *arguments):
        future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture(scope="module")
def plain():
    return trainability(TINY, Here())


def same(one, other):
    assert one.done.all()
    assert not one.failures
    pd.testing.assert_frame_equal(one.frame(), other.frame(), check_exact=True)
    return True


def test_a_cell_is_what_train_says_of_these_nets(plain):
    nets = TrainParams.uniform(4, 8, activation="tanh", initializers=("lecun_normal",), gamma=math.sqrt(2.5),
                               sigma_b2=0.05, learning_rate=0.01, steps=20, seeds=2, snapshots=10, seed=3)
    last = list(train(nets))[-1]
    table = plain.frame()
    assert table.shape == (12, 9)
    rows = table.query("depth == 4 and sigma_w2 == 2.5")
    assert rows.seed.tolist() == [0, 1]
    assert rows.loss.tolist() == plain.loss[1, 1].tolist()
    assert (rows.predicted == plain.predicted[1]).all()
    for name in ("loss", "accuracy", "held_out"):
        assert rows[name].tolist() == getattr(last, name)[0].tolist()
    assert rows.steps.tolist() == [20, 20]
    assert rows.diverged.tolist() == [-1, -1]


def test_weights_of_a_cell_have_variance_sigma_w2_over_fan_in_and_biases_sigma_b2():
    from vgdash.training.trainer import Trainer

    trainer = Trainer(SweepParams(width=300, sigma_b2=0.5, batch=8, steps=1).cell(20, 2.5))
    weights = np.stack([weights_of(trainer, layer) for layer in range(2, 20)])
    biases = np.stack([biases_of(trainer, layer) for layer in range(2, 20)])
    for values, variance in ((weights, 2.5 / 300), (biases, 0.5)):
        assert values.var() == pytest.approx(variance, rel=5 * math.sqrt(2 / values.size))


def test_predicted_is_six_times_the_published_depth_scale():
    p = SweepParams(depths=(1,), sigma_w2_low=1.5, sigma_w2_high=2.5, sigma_w2_count=3, steps=1, width=1)
    # REFERENCES 7
    assert Trainability.of(p, []).predicted == pytest.approx([6 * 15.79, 6 * 25.2, 6 * 11.8], rel=5e-3)


@pytest.mark.parametrize("kind", ["threads", "processes", "default"])
def test_every_executor_gives_the_same_table(plain, kind):
    if kind == "default":
        assert same(trainability(TINY, workers=2), plain)
        return
    pool = ThreadPoolExecutor(2) if kind == "threads" else ProcessPoolExecutor(2, get_context("spawn"))
    with pool:
        assert same(trainability(TINY, pool), plain)


def test_progress_counts_cells_and_work_up_to_all_of_it():
    seen = []
    trainability(TINY, Here(), progress=lambda *now: seen.append(now))
    assert [count for count, _ in seen] == [1, 2, 3, 4, 5, 6]
    shares = [share for _, share in seen]
    assert shares[-1] == pytest.approx(1, abs=1e-12)
    expected = sorted(TINY.cell(*key).flops / TINY.flops for key in TINY.grid)
    assert sorted(np.diff([0, *shares])) == pytest.approx(expected)


@pytest.mark.parametrize("cut", [0, 1, 40])
def test_a_killed_sweep_goes_on_and_ends_with_the_same_file(plain, tmp_path, monkeypatch, cut):
    whole, out = tmp_path / "whole.csv", tmp_path / "map.csv"
    trainability(TINY, Here(), whole)
    started = cells(TINY, Here(), out)
    done = [next(started).key for _ in range(3)]
    started.close()
    text = out.read_bytes()
    out.write_bytes(text[:len(text) - cut])  # the machine went down while the last cell was written
    trained = []
    monkeypatch.setattr(run, "train_cell", lambda p, *key: trained.append(key) or train_cell(p, *key))
    assert same(trainability(TINY, Here(), out), plain)
    assert set(trained) == set(TINY.grid) - set(done[:2 if cut else 3])
    assert out.read_bytes() == whole.read_bytes()


def test_a_finished_file_is_read_and_nothing_is_trained(plain, tmp_path, monkeypatch):
    out = tmp_path / "map.csv"
    trainability(TINY, Here(), out)
    monkeypatch.setattr(run, "train_cell", None)
    assert same(trainability(TINY, Here(), out), plain)
    assert read(out).params == TINY
    assert same(read(out), plain)


def test_a_file_of_another_sweep_or_of_something_else_is_refused_and_left_alone(tmp_path):
    out = tmp_path / "map.csv"
    other = SweepParams(depths=(2,), sigma_w2_low=1, sigma_w2_high=1, sigma_w2_count=1, width=4, steps=1)
    trainability(other, Here(), out)
    head, numbers = csv_file._head(TINY), "0,1,1,1,20,-1\n"
    contents = [(out.read_text(), "width 4"), ("my diary", "cannot be read"),
                ("my diary\nmonday\n", "cannot be read"), (head + "2,1.0,0,what\n", "cannot be read"),
                (head + "3,1.0," + numbers, "not what comes next"),
                (head + ("2,1.0," + numbers) * 2, "not what comes next")]
    for text, said in contents:
        out.write_text(text)
        with pytest.raises(ParamError, match=said):
            trainability(TINY, Here(), out)
        assert out.read_text() == text
    with pytest.raises(ParamError, match="plain CSV"):
        trainability(TINY, Here(), tmp_path / "map.csv.gz")


def broken_at_four(p, depth, sigma_w2):
    if depth == 4:
        raise RuntimeError("the disk is on fire")
    return train_cell(p, depth, sigma_w2)


def test_a_job_that_raises_is_reported_with_its_cell_and_the_rest_goes_on(plain, tmp_path, monkeypatch):
    out = tmp_path / "map.csv"
    monkeypatch.setattr(run, "train_cell", broken_at_four)
    for executor in (Here(), None):
        found = trainability(TINY, executor, out)
        assert dict(found.failures) == {(4, s): "RuntimeError: the disk is on fire" for s in (1.0, 2.5)}
        assert not found.done[1].any()
        assert np.isnan(found.loss[1]).all()
        rest = plain.frame().query("depth != 4").reset_index(drop=True)
        pd.testing.assert_frame_equal(found.frame(), rest, check_exact=True)
    monkeypatch.undo()
    assert same(trainability(TINY, Here(), out), plain)  # what failed is tried again


def dies_at_four(p, depth, sigma_w2):
    if depth == 4 and sigma_w2 == 1.0:
        os.kill(os.getpid(), signal.SIGKILL)
    return train_cell(p, depth, sigma_w2)


def dies_once(p, depth, sigma_w2):
    mark = Path(os.environ["VGDASH_TEST_MARK"])
    if depth == 4 and not mark.exists():
        assert parent_process() is not None
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return train_cell(p, depth, sigma_w2)


def test_the_cell_of_a_worker_that_died_is_trained_again(plain, tmp_path, monkeypatch):
    monkeypatch.setenv("VGDASH_TEST_MARK", str(tmp_path / "died"))
    monkeypatch.setattr(run, "train_cell", dies_once)
    assert same(trainability(TINY, workers=2), plain)
    assert (tmp_path / "died").exists()


def test_a_cell_that_kills_every_worker_is_given_up_and_takes_no_other_with_it(monkeypatch):
    monkeypatch.setattr(run, "train_cell", dies_at_four)
    monkeypatch.setattr(run, "DEATHS", 2)
    found = trainability(SweepParams(depths=(3, 4), sigma_w2_high=2.5, sigma_w2_count=2, width=8, steps=5),
                         workers=2)
    assert list(found.failures) == [(4, 1.0)]
    assert "died 2 times" in found.failures[4, 1.0]
    assert found.done.sum() == 3


def test_a_net_that_diverges_says_at_which_step_and_counts_as_untrained(tmp_path):
    p = SweepParams(depths=(6,), activation="relu", sigma_w2_low=2, sigma_w2_high=2, sigma_w2_count=1,
                    learning_rate=100, steps=20, width=16, batch=16)
    found = trainability(p, Here(), tmp_path / "map.csv")
    row = found.frame().iloc[0]
    assert 0 <= row.diverged < 20
    assert row.steps == row.diverged
    assert np.isnan(row.loss)
    assert not found.trained.any()
    assert same(read(tmp_path / "map.csv"), found)


def test_trained_means_nearer_to_one_than_to_chance():
    p = SweepParams(depths=(2, 3, 4), sigma_w2_low=1, sigma_w2_high=1, sigma_w2_count=1, seeds=2, width=4,
                    steps=9)
    held_out = {2: (0.5, 0.61), 3: (0.5, 0.59), 4: (1.0, math.nan)}  # half way from 0.1 to 1 is 0.55
    measured = [Cell(depth, 1.0, pair, pair, pair, (9, 9), (-1, -1)) for depth, pair in held_out.items()]
    assert Trainability.of(p, measured).trained.ravel().tolist() == [True, False, False]
    learned = Cell(4, 1.0, (0, 0), (1.0, 0.2), (0, 0), (9, 9), (-1, -1))  # on what it was trained with
    assert Trainability.of(p, [learned]).trained.ravel().tolist() == [False, False, True]


def test_the_shipped_map_is_small_whole_and_of_the_size_of_the_paper():
    p = shipped().params
    assert run.SHIPPED.stat().st_size < 30_000
    assert shipped().done.all()
    assert (p.activation, p.sigma_b2, p.depths[-1]) == ("tanh", 0.05, 200)
    assert p.width >= 100
    note = (run.SHIPPED.parent / "TRAINABILITY.md").read_text(encoding="utf-8").replace("\\\n", " ").split()
    command = note[note.index("vgdash.sweep") + 1:note.index("--out")]
    options = {name[2:].replace("-", "_"): [value]
               for name, value in zip(command[::2], command[1::2], strict=True)}
    assert SweepParams.parse_lenient(options, text=True) == (p, [])


def test_the_shipped_map_is_what_this_code_computes():
    found = shipped()
    for key in ((5, 1.0), (5, 4.0)):
        at = found.params.depths.index(key[0]), found.params.sigma_w2s.index(key[1])
        cell = train_cell(found.params, *key)
        # other processors round differently
        assert cell.loss[0] == pytest.approx(found.loss[at][0], rel=1e-3)


def test_in_the_shipped_map_nets_train_to_about_six_depth_scales():
    found = shipped()
    depths = np.array(found.params.depths)[:, None]
    assert found.trained[2 * depths < found.predicted].mean() > 0.95
    assert not found.trained[depths > 2 * found.predicted].any()
    assert (depths > 2 * found.predicted).sum() > 30


def run_program(*arguments, **environment):
    return subprocess.run([sys.executable, "-W", "error", "-m", "vgdash.sweep", *arguments], cwd=ROOT,
                          capture_output=True, text=True, timeout=60, env={**os.environ, **environment})


def test_the_program_writes_the_file_shows_progress_and_goes_on(plain, tmp_path):
    out = tmp_path / "map.csv"
    arguments = ["--depths", "2-4-6", "--sigma-w2-high", "2.5", "--sigma-w2-count", "2", "--width", "8",
                 "--steps", "20", "--seeds", "2", "--seed", "3", "--out", str(out), "--workers", "1"]
    first = run_program(*arguments)
    assert first.returncode == 0, first.stderr
    assert "100%  6 of 6 cells" in first.stderr
    assert len(first.stdout.splitlines()) == 3
    assert same(read(out), plain)
    lines = out.read_text().splitlines(keepends=True)
    out.write_text("".join(lines[:-2]))
    assert run_program(*arguments).returncode == 0
    assert out.read_text() == "".join(lines)


def test_the_program_says_what_it_does_not_take(tmp_path, capsys):
    (tmp_path / "map.csv").write_text("my diary\n")
    refused = [(["--depths", "0"], "depths[0] must be"), (["--workers", "0"], "workers must be"),
               (["--out", str(tmp_path / "map.csv")], "cannot be read"),
               (["--out", str(tmp_path / "no" / "map.csv")], "No such file")]
    for arguments, said in refused:
        with pytest.raises(SystemExit) as end:
            __main__.main(arguments)
        assert end.value.code == 2
        assert said in capsys.readouterr().err


def test_the_help_of_the_program_needs_no_dask(tmp_path):
    for name in ("dask", "distributed"):
        (tmp_path / f"{name}.py").write_text("raise ImportError\n")
    done = run_program("--help", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0
    assert "--scheduler" in done.stdout
    done = run_program("--scheduler", "tcp://127.0.0.1:1", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "pip install distributed" in done.stderr
