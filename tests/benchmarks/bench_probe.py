"""The same job in vgdash and in eager PyTorch, in turns, medians: python tests/benchmarks/bench_probe.py

For each net draw weights, input and cotangent; forward; gradients of all pre-activations and weights; by
layer the means of z², a², a, (∂C/∂z)², (∂C/∂W)², the shares of saturated and of dead units, the cosine of
neighbouring rows of z. Both in float32, on all cores, with this processor's kernels (so without an
``OPENBLAS_CORETYPE``).
"""

import itertools
import os
import statistics
import sys
import time
from pathlib import Path

os.environ.pop("OPENBLAS_CORETYPE", None)  # before NumPy is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from vgdash.initializers import INITIALIZERS
from vgdash.parallel import WORKERS
from vgdash.probe.probe import CompareParams, compare

DEPTH, WIDTH, BATCH, ROUNDS = 100, 256, 256, 7
JOBS = {  # the first stops early where float32 under- or overflows, the second never does
    "one vanishes, one explodes": ("small_normal", "standard_normal", "lecun_normal", "he_normal"),
    "all survive": ("lecun_normal", "glorot_normal", "he_normal", "he_uniform"),
}
SEEDS = itertools.count()  # a new one each time: weights that were drawn before are kept


def ours(names: tuple[str, ...]) -> float:
    p = CompareParams.uniform(DEPTH, WIDTH, initializers=names, batch=BATCH, seeds=1, seed=next(SEEDS))
    start = time.perf_counter()
    compare(p)
    return time.perf_counter() - start


def pytorch(torch, names: tuple[str, ...]) -> float:
    start = time.perf_counter()
    for name in names:
        torch_net(torch, INITIALIZERS[name].variance(WIDTH, WIDTH) ** 0.5)
    return time.perf_counter() - start


def torch_net(torch, std: float):
    weights = [(torch.randn(WIDTH, WIDTH) * std).requires_grad_() for _ in range(DEPTH)]
    a = torch.randn(BATCH, WIDTH)
    z_all, rows = [], []
    for weight in weights:
        z = a @ weight.T
        z.retain_grad()
        z_all.append(z)
        a = torch.relu(z)
        with torch.no_grad():
            saturated = z <= 0
            rows.append(torch.stack([z.square().mean(), a.square().mean(), a.mean(), saturated.float().mean(),
                                     saturated.all(dim=0).float().mean(),
                                     torch.nn.functional.cosine_similarity(z[:-1], z[1:]).mean()]))
    z.backward(torch.randn(BATCH, WIDTH))
    back = [torch.stack([z.grad.square().mean(), w.grad.square().mean() / BATCH**2])
            for z, w in zip(z_all, weights, strict=True)]
    return torch.stack(rows).numpy(), torch.stack(back).numpy()


def main() -> None:
    try:
        import torch
    except ImportError:
        sys.exit("PyTorch is not installed, so there is nothing to compare with: pip install torch")
    torch.set_num_threads(WORKERS)
    for title, names in JOBS.items():
        times: dict[str, list[float]] = {"vgdash": [], "PyTorch": []}
        for _ in range(ROUNDS):
            times["vgdash"].append(ours(names))
            times["PyTorch"].append(pytorch(torch, names))
        middle = {system: statistics.median(values[1:]) for system, values in times.items()}
        print(f"{title}: vgdash {middle['vgdash'] * 1e3:.0f} ms, PyTorch {middle['PyTorch'] * 1e3:.0f} ms, "
              f"ratio {middle['PyTorch'] / middle['vgdash']:.2f} (wanted: 2)")


if __name__ == "__main__":
    main()
