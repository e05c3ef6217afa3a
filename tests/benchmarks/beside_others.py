"""Compare what ``inspect`` says of models of the zoo with torchmortem and torchdiag, two tools from PyPI.

    python -m tests.benchmarks.beside_others mlp_relu_default mlp_tanh_normal residual_without_norm gpt2

``inspect`` looks at one pass, torchmortem at 60 steps of SGD with rate 0.01, torchdiag at one pass. In an
environment of its own: ``pip install torchmortem torchdiag``, and this folder.
"""

import contextlib
import copy
import io
import sys

import torch
import torchdiag
from torchmortem import Autopsy

from tests.models.zoo.models import MODELS
from vgdash import inspect

STEPS = 60


def mortem(model, inputs, targets, loss):
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with Autopsy(model, optimizer=optimizer) as autopsy:
        for _ in range(STEPS):
            value = loss(model(inputs), targets)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            autopsy.step(loss=value.item())
    return [f"{one.title} → {one.remediation[0] if one.remediation else ''}"
            for one in autopsy.get_report().findings]


def diag(model, inputs, targets, loss):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        loss(model(inputs), targets).backward()
        torchdiag.check_gradients(model)
        torchdiag.check_dead_neurons(model, inputs)
    return [line.strip(" •") for line in said.getvalue().splitlines() if "•" in line]


for name in sys.argv[1:]:
    model, *data = MODELS[name]()
    ours = [f"{one.cause} at {len(one.layers)} layers: {one.evidence}"
            for one in inspect(model, *data).findings]
    for tool, found in (("inspect", ours), ("torchmortem", mortem(copy.deepcopy(model), *data)),
                        ("torchdiag", diag(copy.deepcopy(model), *data))):
        print(f"{name}, {tool}: {len(found)} findings", *found[:3], sep="\n    ")
