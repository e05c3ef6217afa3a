"""What ``inspect`` says of random nets, against training: python -m tests.benchmarks.bench_inspect 60

Each net has a random architecture, activation, initializer and bias. It learns digits for 250 steps, with SGD
and with Adam, each at the best of three rates, as it is; and, where something is found, once more after the
code of the findings. Prints each net, and how many learn: of those without a finding, and of the others
before and after.
"""

from __future__ import annotations

import copy
import math
import random
import sys
import warnings

import torch
import torch.nn.functional as F
from torch import nn

from vgdash import inspect
from vgdash.training.data import load

ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Softplus, nn.Tanh, nn.Sigmoid,
               nn.ReLU6, nn.Hardtanh)
RATES = {"SGD": (0.001, 0.01, 0.1), "Adam": (0.0001, 0.001, 0.01)}
STEPS, LEARNT = 250, 0.8  # share of new digits that is right


class Residual(nn.Module):
    """A skip around a branch, and what follows the sum."""

    def __init__(self, branch, scale, after):
        super().__init__()
        self.branch, self.scale, self.after = branch, scale, after

    def forward(self, x):
        return self.after(x + self.scale * self.branch(x))


def net(draw: random.Random) -> tuple[nn.Module, str]:
    """Draw a net, and describe it."""
    conv, activation = draw.random() < 0.4, draw.choice(ACTIVATIONS)
    depth = draw.choice([2, 4, 8, 12, 20] if conv else [2, 4, 8, 12, 20, 30, 50])
    width = draw.choice([16, 32])
    norm, skip = draw.choice(["", "", "batch", "layer"]), draw.choice(["", "", "plain", "scaled", "post"])
    groups = draw.choice([1, 1, 1, 4, width]) if conv else 1
    width *= 1 if conv else 2
    norms = {"": (), "batch": (nn.BatchNorm2d if conv else nn.BatchNorm1d,),
             "layer": ((lambda n: nn.GroupNorm(1, n)) if conv else nn.LayerNorm,)}[norm]

    def layer(before, groups=1):
        return nn.Conv2d(before, width, 3, padding=1, groups=groups) if conv else nn.Linear(before, width)

    parts = [nn.Unflatten(1, (1, 8, 8)), layer(1)] if conv else [layer(64)]
    parts.append(activation())
    for _ in range(depth):
        block = [layer(width, groups), *(one(width) for one in norms), activation()]
        if skip == "post":
            parts.append(Residual(nn.Sequential(*block[:-1]), 1.0, activation()))
        elif skip:
            scale = depth**-0.5 if skip == "scaled" else 1.0
            parts.append(Residual(nn.Sequential(*block), scale, nn.Identity()))
        else:
            parts += block
    parts += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 10)] if conv else [
        nn.Linear(width, 10)]
    model = nn.Sequential(*parts)
    kind = f"{'convolutions' if conv else 'layers'} of {width}" + f" in {groups} groups" * (groups > 1)
    return model, (f"{depth} {kind}, {activation.__name__}, {norm or 'no'} norm, {skip or 'no'} skip, "
                   f"{start(draw, model)}")


def start(draw: random.Random, model: nn.Module) -> str:
    """Draw an initializer and a bias, use them, and name them."""
    rule = draw.choice(["default", "he", "glorot", "lecun", "orthogonal", "fan_out", "normal", "normal"])
    std = draw.choice([0.001, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0])
    bias = draw.choice(["default", "0", "0.1", "1"])
    draw_weights = {
        "he": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"), "glorot": nn.init.xavier_normal_,
        "lecun": lambda w: nn.init.normal_(w, std=w[0].numel() ** -0.5), "orthogonal": nn.init.orthogonal_,
        "fan_out": lambda w: nn.init.normal_(w, std=math.sqrt(2 / w.shape[0])),
        "normal": lambda w: nn.init.normal_(w, std=std), "default": lambda w: w}[rule]
    for m in model.modules():
        if isinstance(m, (nn.Linear, nn.Conv2d)):
            draw_weights(m.weight)
            if bias != "default":
                nn.init.constant_(m.bias, float(bias))
    return (f"normal {std}" if rule == "normal" else rule) + f", bias {bias}"


def learnt(model: nn.Module, data) -> dict[str, float]:
    """Return the share of new digits that is right after training, by optimizer."""
    return {name: max(_train(copy.deepcopy(model), name, rate, *data) for rate in rates)
            for name, rates in RATES.items()}


def _train(model, name, rate, x, t, new_x, new_t) -> float:
    momentum = {"momentum": 0.9} if name == "SGD" else {}
    optimizer = getattr(torch.optim, name)(model.parameters(), rate, **momentum)
    batches = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        rows = torch.randint(len(x), (64,), generator=batches)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[rows]), t[rows])
        if not torch.isfinite(loss):
            return 0.0
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return float((model(new_x).argmax(1) == new_t).float().mean())


def mended(model: nn.Module, x, t, rounds: int = 3) -> nn.Module:
    """Run the code of the findings on a copy."""
    names = {"model": copy.deepcopy(model), "inputs": x}
    for _ in range(rounds):
        for finding in inspect(names["model"], x, t, F.cross_entropy).findings:
            exec(finding.fix, names)
    return names["model"]


def main(count: int) -> None:
    found = load("digits")
    data = [torch.tensor(values) for values in (found.x_train, found.y_train, found.x_test, found.y_test)]
    x, t = data[0][:128], data[1][:128]
    judged = []
    for seed in range(count):
        torch.manual_seed(seed)
        model, said = net(random.Random(seed))
        report = inspect(model, x, t, F.cross_entropy)
        before = learnt(model, data)
        after = before if report.healthy else learnt(mended(model, x, t), data)
        judged.append((report.healthy, before, after))
        causes = ", ".join(one.cause for one in report.findings) or "healthy"
        print(f"{seed} {said}: {causes}; " + ", ".join(f"{name} {before[name]:.2f}" + (
            "" if report.healthy else f" → {after[name]:.2f}") for name in RATES), flush=True)
    for healthy, name in ((True, "without a finding"), (False, "with one")):
        mine = [(before, after) for sound, before, after in judged if sound is healthy]
        print(f"{len(mine)} {name}: " + ", ".join(
            f"{sum(before[one] >= LEARNT for before, _ in mine)} learn with {one}" + (
                "" if healthy else f", {sum(after[one] >= LEARNT for _, after in mine)} after the code")
            for one in RATES))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
