"""Theory beside measurement where more than an activation stands between two layers."""

import math

import pytest

torch = pytest.importorskip("torch")

from vgdash import Report, inspect  # noqa: E402
from vgdash.models.expectation import expected_after  # noqa: E402
from vgdash.models.propagation import expected_gradients, with_initializer  # noqa: E402
from vgdash.models.records import MULTIPLYING  # noqa: E402

nn = torch.nn
WIDTH, DEPTH = 256, 8


class ByHand(nn.Module):
    def forward(self, x):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6)


def after_linear(*parts, bias=0.0, gain=9.0):
    """Layers of one width, each followed by ``parts``, with fan_in·E[w²] = ``gain``."""
    torch.manual_seed(0)
    layers = [m for _ in range(DEPTH) for m in (nn.Linear(WIDTH, WIDTH), *(part() for part in parts))]
    model = nn.Sequential(*layers, nn.Linear(WIDTH, 10))
    for m in model:
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=math.sqrt(gain / WIDTH))
            nn.init.constant_(m.bias, bias)
    return model, torch.randn(512, WIDTH), torch.arange(512) % 10


def convolutions():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Conv2d(64, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10))
    return model, torch.randn(128, 3, 12, 12), torch.arange(128) % 10


NETS = {
    "batch normalization": lambda: after_linear(lambda: nn.BatchNorm1d(WIDTH), nn.SiLU),
    "layer normalization": lambda: after_linear(lambda: nn.LayerNorm(WIDTH), nn.GELU),
    "normalization by hand": lambda: after_linear(ByHand, nn.Tanh),
    "normalization after the activation": lambda: after_linear(nn.ReLU, lambda: nn.BatchNorm1d(WIDTH)),
    "dropout": lambda: after_linear(nn.ReLU, lambda: nn.Dropout(0.5), gain=1.0),
    "a bias below 0": lambda: after_linear(nn.Softplus, bias=-4.0, gain=1.0),
    "an activation without theory": lambda: after_linear(nn.Hardtanh),
    "convolutions": convolutions,
}


def matrices(layers):
    return [a for a in layers if a.kind in MULTIPLYING]


@pytest.mark.parametrize("name", NETS)
def test_theory_is_beside_what_is_measured(name):
    """Within 0.1 decades; it was off by up to 5. Gradients vary more: only 10 outputs send them."""
    layers = Report.from_json(inspect(*NETS[name]()).to_json()).layers
    for a, gradient in list(zip(layers, expected_gradients(layers), strict=True))[:-1]:
        if a.kind not in MULTIPLYING:
            continue
        assert math.log10(a.after2 / expected_after(a)) == pytest.approx(0, abs=0.1), a.path
        assert math.log10(a.grad_out / gradient) == pytest.approx(0, abs=0.2), a.path


@pytest.mark.parametrize("name", ["batch normalization", "layer normalization", "dropout"])
def test_other_weights_are_those_that_the_net_with_them_really_has(name):
    model, inputs, targets = NETS[name]()
    predicted = matrices(with_initializer(inspect(model, inputs, targets).layers, "he_normal"))
    for m in model:
        if isinstance(m, nn.Linear):
            nn.init.kaiming_normal_(m.weight)
            nn.init.zeros_(m.bias)
    real = matrices(inspect(model, inputs, targets).layers)
    for a, theory in zip(real[:-1], predicted, strict=False):
        assert math.log10(a.after2 / theory.after2) == pytest.approx(0, abs=0.15), a.path
    back = [math.log10(net[0].grad_out / net[-2].grad_out) for net in (real, predicted)]
    assert back[1] == pytest.approx(back[0], abs=0.3)


def test_a_model_in_float16_is_measured_like_its_copy_in_float32():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.branch, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)

        def forward(self, x):
            x = self.stem(x)
            return self.head(x + self.branch(x).relu())

    torch.manual_seed(0)
    model, inputs, targets = Block(), torch.randn(64, 64), torch.arange(64) % 10
    layers = inspect(model, inputs, targets).layers
    for a, b in zip(layers, inspect(model.half(), inputs.half(), targets).layers, strict=True):
        for name in ("grad_in", "grad_out", "grad_after", "kept_back"):
            assert getattr(b, name) == pytest.approx(getattr(a, name), rel=0.02, nan_ok=True), (a.path, name)


@pytest.mark.parametrize(("activation", "name", "low", "high"), [
    (nn.ReLU6(), "relu", 0, 6), (nn.functional.relu6, "relu", 0, 6), (lambda z: z.clamp(0, 2), "relu", 0, 2),
    (nn.Hardtanh(), "hardtanh", -1, 1), (nn.Hardtanh(-3, 5), "hardtanh", -3, 5)])
def test_activations_that_are_cut_off_are_saturated_where_they_are(activation, name, low, high):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.head = nn.Linear(64, 64), nn.Linear(64, 10)

        def forward(self, x):
            return self.head(activation(self.first(x)))

    torch.manual_seed(0)
    model, x = Net(), 6 * torch.randn(256, 64)
    first = inspect(model, x, torch.arange(256) % 10).layers[0]
    z = model.first(x)
    assert first.activation == name
    assert first.saturated == pytest.approx(float(((z >= high) | (z <= low) & (low != 0)).float().mean()))
    assert first.off == pytest.approx(float((z <= 0).float().mean()) if low == 0 else 0)
