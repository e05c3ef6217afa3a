"""What is said of last activations, targets and inputs is what their numbers are."""

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from tests.models.losses_and_ends import (  # noqa: E402
    Normed,
    net,
    numbers,
    relu_for_numbers_below_0,
    with_empty_rows,
)
from vgdash import inspect  # noqa: E402
from vgdash.models.causes import number  # noqa: E402


def test_no_output_of_the_last_activation_has_a_higher_r2_than_is_said():
    model, x, t, _ = relu_for_numbers_below_0()
    found, = inspect(model, x, t, F.mse_loss).findings
    said = float(re.search(r"R² cannot exceed ([\d.]+)\.$", found.evidence)[1])
    assert said == pytest.approx(1 - float(((t - t.relu()) ** 2).mean() / t.var(correction=0)), abs=0.0006)


def test_the_operation_whose_gradient_is_no_number_is_named():
    found, = inspect(Normed(0.0), *with_empty_rows(), F.cross_entropy).findings
    assert "slope at 0: sqrt;" in found.evidence


def test_the_code_standardizes_each_feature_of_a_table_and_leaves_equal_ones_finite():
    x, t = numbers()
    x = x * 10 ** torch.linspace(-2, 4, 8)
    x[:, 3] = 7.0
    found = inspect(net(), x, t).findings[0]
    for inputs in (x, x.numpy()):
        names = {"inputs": inputs}
        exec(found.fix, names)
        std = np.asarray(names["inputs"]).std(0)
        assert std == pytest.approx([1, 1, 1, 0, 1, 1, 1, 1], abs=0.01)


def test_a_sparse_table_is_divided_by_one_number():
    x = 100 * (torch.rand(64, 8) < 0.2) * 10 ** torch.linspace(-2, 4, 8)
    found = inspect(nn.Linear(8, 1), x, torch.randn(64, 1)).findings[0]
    assert ".std(0)" not in found.fix


@pytest.mark.parametrize(("value", "said"), [
    (-0.0, "0"), (999.4, "999"), (999.6, "1,000"), (1994.0, "1,990"), (9994.0, "9,990"), (9996.0, "1.0·10⁴"),
    (-2170.0, "-2,170")])
def test_thousands_are_written_as_people_do(value, said):
    assert number(value) == said
