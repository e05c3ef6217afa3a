"""A batch forward through nets at initialization and a cotangent back: what the arrays of every layer are like, in a few numbers.

Where f(cz) = c·f(z) for c > 0 and nothing but weights stands between two layers, nets whose weights are multiples of one draw have
signals and gradients that are multiples of each other. Run is the one that keeps the signal's size, also for a single net: its squares
need no care. What the others would give follows from it exactly, up to rounding, as long as float32 has room for their numbers. Where
it has not, they are run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from vgdash.activations import ACTIVATIONS
from vgdash.initializers import BASES, INITIALIZERS
from vgdash.layers import AXES, Backward, Net, Tape, backward, dropout_mask, forward, residual_factors, stack
from vgdash.parallel import MOST_WORKERS, run_in_parts
from vgdash.probe import scratch
from vgdash.probe.moments import mean, mean_square, mean_square_and_cosine, mean_square_product
from vgdash.probe.random_weights import layers_of, stream

if TYPE_CHECKING:
    from vgdash.probe.probe import ProbeParams

__all__ = ["STATISTICS", "build", "measure", "seeds_at_once", "together"]

STATISTICS = ("q", "a2", "a_mean", "saturated", "dead", "correlation", "grad2", "dw2")
CACHE = 256e3  # bytes of one layer's activations, of all nets that go side by side
PART = 1e8  # multiplications of the gradients of weights that a core does before it looks for the next ones: about 2 ms
# Root mean squares in this range leave float32 room for the largest entry and the longest sum, and for the smallest that counts.
ROOM_LOW, ROOM_HIGH = 1e-25, 1e30
DRAWN = frozenset(BASES) - {"identity", "zeros"}  # with independent random rows or columns, whose size a scale can keep

Statistics = dict[str, np.ndarray]  # by name: (depth,), (seeds, depth) or (nets, depth)
_Job = tuple[int, int, bool]  # number of the net, draw, and whether it is the steady one of its family
_Part = Callable[[], None]


# ---- the nets

def build(p: ProbeParams, draw: int, drawn: Sequence[np.ndarray] | None = None) -> tuple[Net, np.ndarray, np.ndarray]:
    """Net number ``draw`` of ``p``, its input ``(batch, widths[0])`` and the cotangent ``(batch, widths[-1])``, all float32.

    ``drawn`` are the base draws of the layers, if they exist already.
    """
    if drawn is None:
        drawn = layers_of((_base(p),), p.widths, p.seed, (draw,))[_base(p), draw]
    skips = residual_factors(p.widths, p.residual)
    scales = _scales(p)
    if p.residual == "zero":
        scales = [scale if skip is None else 0.0 for scale, skip in zip(scales, skips, strict=True)]

    def mask(index: int) -> np.ndarray:
        return dropout_mask((p.batch, p.widths[index + 1]), p.keep, stream(p.seed, draw, index + 1, "dropout"))

    net = Net(
        ACTIVATIONS[p.activation], drawn, scales, skips,
        biases=[_gaussian(p, draw, layer, "bias") * np.float32(math.sqrt(p.sigma_b2)) for layer in range(1, p.depth + 1)]
        if p.sigma_b2 else None,
        axis=AXES[p.normalization],
        mask=mask if p.keep < 1 else None,
        rescale=p.rescale == "lsuv",
    )
    return net, _gaussian(p, draw, 0, "input", p.batch), _gaussian(p, draw, p.depth, "cotangent", p.batch)


def _built(p: ProbeParams, draw: int, drawn: dict[tuple[str, int], list[np.ndarray]],
           steady: bool) -> tuple[Net, np.ndarray, np.ndarray]:
    net, x, cotangent = build(p, draw, drawn[_base(p), draw])
    return replace(net, scales=_steady(p)) if steady else net, x, cotangent


def _gaussian(p: ProbeParams, draw: int, layer: int, what: str, rows: int | None = None) -> np.ndarray:
    shape = (rows, p.widths[layer]) if rows else (p.widths[layer],)
    return stream(p.seed, draw, layer, what).standard_normal(shape, dtype=np.float32)


def _base(p: ProbeParams) -> str:
    return INITIALIZERS[p.initializer].base.name


def _scales(p: ProbeParams) -> list[float]:
    """What the base draw of each layer is multiplied by."""
    return [p.gamma * INITIALIZERS[p.initializer].scale(*fans) for fans in pairwise(p.widths)]


# ---- multiples of one net

def _factors(p: ProbeParams) -> tuple[np.ndarray, np.ndarray] | None:
    """By how much z[l] and ∂C/∂z[l] differ from those of the steady net of the same draw, each ``(depth,)``.

    None where they are no multiples, or where a layer is so far from the steady net's that float32 has no room for it.
    """
    alone = p.sigma_b2 or p.normalization != "none" or p.residual != "none" or p.rescale != "none"
    if alone or not ACTIVATIONS[p.activation].homogeneous or _base(p) not in DRAWN or p.gamma == 0:
        return None
    logs = np.log(np.divide(_scales(p), _steady(p)))
    onward, back = np.cumsum(logs), np.append(np.cumsum(logs[:0:-1])[::-1], 0.0)
    if max(abs(onward).max(), abs(back).max()) > math.log(ROOM_HIGH):
        return None
    return np.exp(onward), np.exp(back)


def _steady(p: ProbeParams) -> list[float]:
    """Scales that keep the signal's size, for the base draw that ``p`` starts from; no other field of the initializer counts."""
    gain, variance = ACTIVATIONS[p.activation].forward_gain * math.sqrt(p.keep), BASES[_base(p)].variance
    return [gain / math.sqrt(fans[0] * variance(*fans)) for fans in pairwise(p.widths)]


def _multiplied(steady: Statistics, onward: np.ndarray, back: np.ndarray) -> Statistics | None:
    """The statistics of a net whose z and ∂C/∂z are so many times those of the steady one; None where float32 has no room for them."""
    found = dict(steady, q=steady["q"] * onward**2, a2=steady["a2"] * onward**2, a_mean=steady["a_mean"] * onward,
                 grad2=steady["grad2"] * back**2, dw2=steady["dw2"] * (back * np.append(1.0, onward[:-1])) ** 2)
    for name in ("q", "grad2"):
        if not all(((mean_squares == 0) | (mean_squares > ROOM_LOW**2) & (mean_squares < ROOM_HIGH**2)).all()
                   for mean_squares in (steady[name], found[name])):
            return None
    return found


# ---- measuring several nets

def together(batch: int, widths: Sequence[int]) -> int:
    """How many nets go through their layers side by side: as many as leave a layer of all in the cache, at least one."""
    return max(1, int(CACHE // (4 * batch * max(widths))))


def seeds_at_once(batch: int, widths: Sequence[int], families: int) -> int:
    """Seeds whose weights are in memory at once: as many as keep the cores busy, though each family of draws gives one net only."""
    return math.ceil(MOST_WORKERS * together(batch, widths) / families)


def measure(nets: Sequence[ProbeParams]) -> list[Statistics]:
    """``STATISTICS`` ``(seeds, depth)`` of parameter sets that differ in the initializer only; each one's do not depend on the others.

    Every core takes a stack of nets at a time.
    """
    p = nets[0]
    families = sorted({_base(net) for net in nets})
    results = [{name: np.full((p.seeds, p.depth), np.nan) for name in STATISTICS} for _ in nets]
    at_once = seeds_at_once(p.batch, p.widths, len(families))
    factors = [_factors(net) for net in nets]
    steady = {_base(net): which for which, net in enumerate(nets) if factors[which]}  # of each family one stands for all
    tapes: dict[int, Tape] = {}  # to be used again, by place

    with scratch.lent() as empty:
        for first in range(0, p.seeds, at_once):
            seeds = range(first, min(first + at_once, p.seeds))
            drawn = layers_of(families, p.widths, p.seed, seeds)

            def begin(place: int, jobs: Sequence[_Job], into: dict[str, np.ndarray], drawn=drawn) -> Iterator[_Part]:
                built, x, cotangent = zip(*(_built(nets[which], draw, drawn, is_steady) for which, draw, is_steady in jobs), strict=True)
                if place not in tapes or len(tapes[place].a[0]) != len(jobs):
                    tapes[place] = Tape(p.widths, p.batch, nets=len(jobs), empty=partial(empty, place))
                return _run(stack(built), np.stack(x), np.stack(cotangent), tapes[place], into)

            own = [(which, draw, False) for which in range(len(nets)) if not factors[which] for draw in seeds]
            found = _in_stacks(begin, [*((which, draw, True) for which in steady.values() for draw in seeds), *own], p)
            multiples = {(which, draw, False): _multiplied(found[steady[_base(nets[which])], draw, True], *factors[which])
                         for which in range(len(nets)) if factors[which] for draw in seeds}
            found |= multiples | _in_stacks(begin, [job for job, statistics in multiples.items() if statistics is None], p)
            for which, draw, is_steady in found:
                if not is_steady:
                    for name in STATISTICS:
                        results[which][name][draw] = found[which, draw, False][name]

    for array in (array for arrays in results for array in arrays.values()):
        array.flags.writeable = False
    return results


def _in_stacks(begin: Callable[[int, Sequence[_Job], Statistics], Iterator[_Part]], jobs: Sequence[_Job],
               p: ProbeParams) -> dict[_Job, Statistics]:
    """``begin(place, stack of jobs, their rows of the statistics)`` for all jobs, ``MOST_WORKERS`` stacks at a time."""
    found = {name: np.full((len(jobs), p.depth), np.nan) for name in STATISTICS}
    stacks = _evenly(len(jobs), together(p.batch, p.widths))  # small stacks on two cores only fight for the interpreter

    def begin_at(place: int, rows: slice) -> Iterator[_Part]:
        return begin(place, jobs[rows], {name: values[rows] for name, values in found.items()})

    for group in _evenly(len(stacks), MOST_WORKERS):
        run_in_parts(lambda job: begin_at(*job), list(enumerate(stacks[group])))
    return {job: {name: values[row] for name, values in found.items()} for row, job in enumerate(jobs)}


def _evenly(count: int, most: int) -> list[slice]:
    """``count`` things in as few slices as there can be with ``most`` in each at the most, about as long as each other."""
    size = math.ceil(count / max(1, math.ceil(count / most)))
    return [slice(first, first + size) for first in range(0, count, size or 1)]


def _run(net: Net, x: np.ndarray, cotangent: np.ndarray, tape: Tape, into: Statistics) -> Iterator[_Part]:
    """A stack of nets forward and back; ``into`` go statistics ``(nets, depth)``, each net's up to the first layer that is not finite.

    The gradients of the weights, on which nothing else waits, are left as parts, each as soon as its layers are passed.
    """
    batch = x.shape[1]
    threshold = net.activation.saturation_slope
    going = np.ones(len(x), bool)
    rows: slice | np.ndarray = slice(None)  # those of the nets that are going: mostly all, and a slice is faster
    for step in forward(net, x, tape):
        at = step.layer - 1
        q, cosine = mean_square_and_cosine(step.z)
        into["q"][rows, at], into["correlation"][rows, at] = np.where(np.isfinite(q), q, np.inf)[rows], cosine[rows]
        if not np.isfinite(q).all():
            going &= np.isfinite(q)
            if not going.any():
                return
            rows = np.flatnonzero(going)
        flat = np.abs(step.slope) < threshold
        into["a2"][rows, at], into["a_mean"][rows, at] = mean_square(step.a)[rows], mean(step.a)[rows]
        into["saturated"][rows, at], into["dead"][rows, at] = _shares(flat)[rows], _shares(flat.all(axis=1))[rows]

    def weights(steps: Sequence[tuple[Backward, slice | np.ndarray]]) -> None:
        for step, rows in steps:
            into["dw2"][rows, step.layer - 1] = (mean_square_product(step.inner, step.a) / batch**2)[rows]

    at_once = math.ceil(PART / (x.size * max(matrix.shape[0] for (matrix, *_) in net.weights)))
    steps: list[tuple[Backward, slice | np.ndarray]] = []  # and the nets that have a gradient there
    for step in backward(net, cotangent, tape):
        at = step.layer - 1
        grad2 = mean_square(step.gradient)
        into["grad2"][rows, at] = np.where(np.isfinite(grad2), grad2, np.inf)[rows]
        if not (np.isfinite(grad2) & (grad2 != 0)).all():
            ended = going & (grad2 == 0)  # and so is everything below
            into["grad2"][ended, :at] = into["dw2"][ended, :at + 1] = 0
            going &= np.isfinite(grad2) & (grad2 != 0)
            if not going.any():
                break
            rows = np.flatnonzero(going)
        steps.append((step, rows))
        if len(steps) == at_once:
            yield partial(weights, steps)
            steps = []
    yield partial(weights, steps)


def _shares(x: np.ndarray) -> np.ndarray:
    """Of each net the share of entries that are true."""
    return np.array([np.count_nonzero(one) for one in x]) / x[0].size
