"""Data sets: what ships is what UCI gave, every set is split and scaled as stated, a seed is a set."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from vgdash.training import data
from vgdash.training.data import DATASETS, load

FOLDER = Path(data.__file__).parents[1] / "datasets"
PLANE = [name for name, dataset in DATASETS.items() if dataset.features == 2]
IMAGES = "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"  # SHA-256
every = pytest.mark.parametrize("name", DATASETS)
CLASSES = [name for name, dataset in DATASETS.items() if dataset.classes > 1]


def raw(d):
    return np.concatenate([d.x_train, d.x_test]) * d.scale + d.centre


def sha256(array):
    return hashlib.sha256(array.tobytes()).hexdigest()


def test_the_shipped_file_has_the_checksums_of_its_note_and_is_small():
    note = (FOLDER / "DIGITS.md").read_text()
    assert "CC BY 4.0" in note
    assert "10.24432/C50P49" in note
    with np.load(FOLDER / "digits.npz") as file:
        assert sorted(file) == ["images", "labels"]
        for name in file:
            assert f"| {name} | {sha256(file[name])} |" in note
        assert sha256(file["images"]) == IMAGES
    assert (FOLDER / "digits.npz").stat().st_size < 50_000


def test_the_shipped_digits_are_those_of_scikit_learn():
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    with np.load(FOLDER / "digits.npz") as ours:
        np.testing.assert_array_equal(ours["images"], theirs.data)
        np.testing.assert_array_equal(ours["labels"], theirs.target)


def test_training_and_held_out_digits_together_are_all_1797_with_none_in_both():
    d = load("digits")
    assert (len(d.x_train), len(d.x_test)) == (1_442, 355)
    with np.load(FOLDER / "digits.npz") as file:
        rows = [(*image, label) for image, label in zip(file["images"], file["labels"], strict=True)]
    ours = np.column_stack([np.rint(raw(d)), np.concatenate([d.y_train, d.y_test])])
    assert sorted(map(tuple, ours.astype(int))) == sorted(tuple(map(int, row)) for row in rows)


def test_a_fifth_of_every_digit_is_held_out():
    d = load("digits")
    train, test = np.bincount(d.y_train), np.bincount(d.y_test)
    np.testing.assert_array_equal(test, (train + test) // 5)


@every
def test_inputs_are_centred_and_scaled_by_the_training_rows_alone(name):
    d = load(name)
    x = d.x_train.astype(float)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-6)
    assert (x**2).mean() == pytest.approx(1, abs=1e-6)
    # fresh points of the same kind: 1 within sampling error; exactly 1 if they were scaled by themselves
    second = (d.x_test.astype(float) ** 2).mean(axis=1)
    assert second.mean() == pytest.approx(1, abs=5 * second.std() / np.sqrt(len(second)))
    assert abs(second.mean() - 1) > 1e-5


@every
def test_a_record_is_typed_as_stated(name):
    d = load(name)
    for field in ("name", "classes", "features", "source"):
        assert getattr(d, field) == getattr(DATASETS[name], field)
    label = np.int64 if name in CLASSES else np.float32
    types = {"x_train": np.float32, "x_test": np.float32, "y_train": label, "y_test": label,
             "mislabelled": bool, "centre": float}
    for field, dtype in types.items():
        assert getattr(d, field).dtype == dtype
    assert d.x_train.shape == (len(d.y_train), d.features)
    assert d.x_test.shape == (len(d.y_test), d.features)
    if name in CLASSES:
        assert set(d.y_train) == set(d.y_test) == set(range(d.classes))
    else:
        assert (d.y_train.mean(), d.y_train.std()) == pytest.approx((0, 1), abs=1e-6)


@pytest.mark.parametrize("name", PLANE)
def test_in_the_plane_classes_are_equally_frequent_parts_share_no_point_and_a_seed_is_a_set(name):
    d = load(name, seed=3)
    assert np.ptp(np.bincount(d.y_train)) == np.ptp(np.bincount(d.y_test)) == 0
    assert not set(map(tuple, d.x_train)) & set(map(tuple, d.x_test))
    data._load.cache_clear()
    again, other = load(name, seed=3), load(name, seed=4)
    np.testing.assert_array_equal(d.x_train, again.x_train)
    assert (d.x_train != other.x_train).all()


def test_the_figures_without_noise_lie_on_their_curves():
    def drawn(name):
        d = load(name, noise=0)
        x, y = raw(d).T
        return x, y, np.concatenate([d.y_train, d.y_test])

    x, y, label = drawn("circles")
    np.testing.assert_allclose(np.hypot(x, y), np.where(label == 0, 1, 0.5), atol=1e-6)
    x, y, label = drawn("moons")
    np.testing.assert_allclose(np.hypot(x - label, y - label / 2), 1, atol=1e-6)
    assert ((y - label / 2) * np.where(label == 0, 1, -1) > -1e-6).all()
    x, y, label = drawn("gaussians")
    np.testing.assert_allclose(np.abs([x, y]), 1, atol=1e-6)
    clouds = {(round(a), round(b), c) for a, b, c in zip(x, y, label, strict=True)}
    assert len(clouds) == len({(a, b) for a, b, _ in clouds}) == 4
    x, y, label = drawn("spirals")
    radius = np.hypot(x, y)
    # along an arm the angle is 3 pi r, plus half a turn for the second: turned back, the positive axis
    turned = (x + 1j * y) * np.exp(-1j * (3 * np.pi * radius + np.pi * label))
    np.testing.assert_allclose(turned.imag, 0, atol=1e-5)
    assert (turned.real > 0).all()


def test_noise_scales_the_jitter():
    x = raw(load("gaussians", noise=0.5))
    jitter = x - np.sign(x)
    assert jitter.std() == pytest.approx(0.2, rel=5 / np.sqrt(2 * jitter.size))


def test_the_wave_is_its_function_with_the_stated_noise():
    clean, noisy = load("wave", seed=4, noise=0), load("wave", seed=4)
    x = raw(clean)[:, 0]
    y = (1 + x / 2) * np.sin(2 * np.pi * x)
    for d, away in ((clean, 1e-5), (noisy, 0.1)):
        slope, centre = np.polyfit(np.append(d.y_train, d.y_test), y, 1)
        rest = y - slope * np.append(d.y_train, d.y_test) - centre
        assert rest.std() == pytest.approx(0, abs=away * (1 + 5 / np.sqrt(3_000)))
    assert rest.std() > 0.09
    np.testing.assert_array_equal(clean.x_train, noisy.x_train)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_label_noise_replaces_the_stated_share_by_other_classes(name, share):
    clean, noisy = load(name), load(name, label_noise=share)
    changed = noisy.y_train != clean.y_train
    assert changed.sum() == round(share * len(changed))
    np.testing.assert_array_equal(changed, noisy.mislabelled)
    np.testing.assert_array_equal(noisy.y_test, clean.y_test)
    np.testing.assert_array_equal(noisy.x_train, clean.x_train)
    assert noisy.y_train.max() < clean.classes
    assert noisy.y_train.min() >= 0


def test_wrong_labels_are_uniform_over_the_other_classes_nested_and_drawn_by_the_seed():
    clean, noisy = load("digits"), load("digits", label_noise=1.0)
    steps = np.bincount((noisy.y_train - clean.y_train) % 10, minlength=10)
    assert steps[0] == 0
    assert np.abs(steps[1:] - 1_442 / 9).max() < 5 * np.sqrt(1_442 / 9)
    few, many = load("digits", label_noise=0.1), load("digits", label_noise=0.2)
    assert (many.y_train == few.y_train)[few.mislabelled].all()
    assert (few.mislabelled != load("digits", seed=1, label_noise=0.1).mislabelled).any()


def test_the_same_arguments_give_the_same_record():
    assert load("moons", 2) is load(name="moons", seed=2, label_noise=0)


def test_the_table_has_a_row_for_every_example():
    d = load("circles", label_noise=0.25)
    table = d.frame()
    assert list(table) == ["x1", "x2", "label", "held_out", "mislabelled"]
    assert (len(table), table.held_out.sum(), table.mislabelled.sum()) == (1_500, 500, 250)
    np.testing.assert_array_equal(table.loc[table.held_out, ["x1", "x2"]], d.x_test)
