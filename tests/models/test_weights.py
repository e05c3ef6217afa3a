"""Weights alone: theory against PyTorch, and .safetensors files read without any framework."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest

from vgdash import ParamError, inspect
from vgdash.models.safetensors_file import Tensors

rng = np.random.default_rng(0)


def mlp(widths, gain, bias=0.0):
    found = {}
    for i, (n, m) in enumerate(pairwise(widths)):
        found[f"layers.{i}.weight"] = rng.normal(0, math.sqrt(gain / n), (m, n)).astype(np.float32)
        found[f"layers.{i}.bias"] = np.full(m, bias, np.float32)
    return found


def causes(weights, activation="relu"):
    return [(f.cause, f.layers[0]) for f in inspect(weights, activation=activation).findings]


def test_weights_that_theory_condemns_are_named():
    deep = [128] * 21
    assert causes(mlp(deep, 2.0)) == []
    assert causes(mlp(deep, 1.0), "tanh") == []
    assert causes(mlp(deep, 1 / 3)) == [("weights_small", "layers.0")]
    assert causes(mlp(deep, 8.0))[0] == ("weights_large", "layers.0")
    assert causes(mlp(deep, 100.0), "tanh")[0] == ("weights_large", "layers.0")
    assert causes(mlp([64, 32, 32, 4], 1.0) | {"layers.1.bias": np.full(32, -20.0)}) == [("dead", "layers.1")]
    zeros = {name: np.zeros_like(w) for name, w in mlp([64, 32, 32, 4], 1.0).items()}
    assert causes(zeros) == [("weights_zero", "layers.0")]
    equal = {name: np.full_like(w, 0.1) for name, w in mlp([64, 32, 32, 4], 1.0).items()}
    assert causes(equal)[0][0] == "weights_identical"


def test_nets_whose_skips_and_normalization_nobody_knows_are_not_judged_as_chains():
    normed = mlp([128] * 21, 1 / 3) | {"norm.weight": np.ones(128), "norm.bias": np.zeros(128)}
    assert causes(normed) == []
    assert causes(normed | {"layers.1.bias": np.full(128, -20.0)}) == []  # before softplus, as in Mamba
    branches = {name: 0 * w if int(name.split(".")[1]) % 2 else w for name, w in mlp([128] * 21, 2.0).items()}
    assert causes(branches) == []


def test_a_fix_is_applied_to_the_mapping_and_cures():
    for weights in (mlp([128] * 21, 1 / 3), mlp([128] * 21, 8.0)):
        names = {"weights": weights}
        for found in inspect(weights).findings:
            exec(found.fix, names)
        assert inspect(names["weights"]).healthy


def test_weights_made_of_several_arrays_are_those_that_pytorch_uses():
    torch = pytest.importorskip("torch")
    from torch.nn.utils import parametrizations as named
    from torch.nn.utils import prune

    from tests.models.made_weights import older_weight_norm

    nn = torch.nn
    made = {"norm": named.weight_norm, "older norm": older_weight_norm,
            "norm of all": lambda layer: named.weight_norm(layer, dim=None), "spectral": named.spectral_norm,
            "older spectral": nn.utils.spectral_norm, "orthogonal": named.orthogonal,
            "pruned": lambda layer: prune.random_unstructured(layer, "weight", 0.5)}
    for name, way in made.items():
        torch.manual_seed(0)
        net = nn.Sequential(way(nn.Conv2d(3, 8, 3)), nn.ReLU(), way(nn.Conv2d(8, 16, 3)), nn.Flatten(),
                            nn.Linear(16, 4))
        with torch.no_grad():
            for key, p in net.named_parameters():
                if key.endswith(("_g", "original0")):
                    p.mul_(3)
            net.eval()(torch.randn(2, 3, 5, 5))
        used = {f"{i}.{leaf}": getattr(net[i], leaf).detach()
                for i in (0, 2, 4) for leaf in ("weight", "bias")}
        mine, theirs = inspect(net.state_dict()).trace.layers, inspect(used).trace.layers
        assert [(a.path, a.bias) for a in mine] == [(a.path, a.bias) for a in theirs], name
        assert [a.gain for a in mine] == pytest.approx([a.gain for a in theirs], rel=1e-4), name
        assert bool(mine[0].size) == ("norm" in name), name
        assert mine[0].fixed == ("spectral" in name or name == "orthogonal"), name


def test_arrays_that_only_have_such_names_stay_what_they_are():
    gated = {"m_v": rng.normal(size=(4, 4)), "m_g": rng.normal(size=(4, 4))}
    assert [a.weight for a in inspect(gated).trace.layers] == ["m_v", "m_g"]
    odd = {"a.weight_v": np.ones((4, 3)), "a.weight_g": np.ones((5, 7)), "b.weight_orig": np.eye(4),
           "b.weight_u": np.ones(3), "b.weight_v": np.ones(4), "c.weight_v": np.eye(4)}
    assert [a.weight for a in inspect(odd).trace.layers] == [
        "a.weight_v", "a.weight_g", "b.weight_orig", "c.weight_v"]


NAMES = {  # of weights, biases, and how both are shaped, where the first axis has the outputs
    "the course": ("W{}", "b{}", lambda w: w, lambda b: b[:, None]),
    "rows": ("W{}", "b{}", lambda w: w.T, lambda b: b[None]),
    "TensorFlow": ("dense_{}/kernel:0", "dense_{}/bias:0", lambda w: w.T, lambda b: b),
    "Haiku": ("mlp/~/linear_{}/w", "mlp/~/linear_{}/b", lambda w: w.T, lambda b: b),
    "MXNet": ("dense{}_weight", "dense{}_bias", lambda w: w, lambda b: b),
    "Caffe2": ("fc{}_w", "fc{}_b", lambda w: w, lambda b: b),
    "GPT-2": ("h.{}.c_fc.weight", "h.{}.c_fc.bias", lambda w: w.T, lambda b: b),
    "PyTorch": ("{}.weight", "{}.bias", lambda w: w, lambda b: b),
}


@pytest.mark.parametrize("how", NAMES)
def test_weights_are_read_as_many_libraries_name_and_turn_them(how):
    weight, bias, turned, shaped = NAMES[how]
    for gain, expected in ((2.0, []), (0.05, ["weights_small"]), (0.0, ["weights_zero"])):
        weights = {}
        for i, (n, m) in enumerate(pairwise([784, 100, 100, 100, 100, 100, 100, 10])):
            weights[weight.format(i)] = turned(rng.normal(0, math.sqrt(gain / n), (m, n)))
            weights[bias.format(i)] = shaped(np.zeros(m))
        report = inspect(weights)
        assert [a.fan_in for a in report.layers] == [784] + [100] * 6
        assert [a.bias for a in report.layers] == [bias.format(i) for i in range(7)]
        assert [f.cause for f in report.findings] == expected


def test_without_biases_widths_that_follow_each_other_say_where_the_outputs_are():
    widths = [784, 300, 100, 10]
    weights = {f"W{i}": rng.normal(size=(n, m)) for i, (n, m) in enumerate(pairwise(widths))}
    assert [a.fan_in for a in inspect(weights).layers] == widths[:-1]
    assert [a.fan_in for a in inspect({k: w.T for k, w in weights.items()}).layers] == widths[:-1]


def test_scales_of_quantized_weights_belong_to_them():
    weights = {}
    for i in range(8):
        w = rng.normal(0, math.sqrt(2 / 64), (64, 64))
        scale = np.abs(w).max(1, keepdims=True) / 127
        weights |= {f"{i}.weight": np.round(w / scale).astype(np.int8), f"{i}.weight_scale": scale}
    report = inspect(weights)
    assert report.healthy
    assert [a.gain for a in report.layers] == pytest.approx([2] * 8, rel=0.15)
    assert [f.cause for f in inspect(weights | {f"{i}.weight_scale": np.full((64, 1), 1e-4)
                                                for i in range(8)}).findings] == ["weights_small"]


def test_a_mean_above_0_adds_up_and_training_s_means_below_0_do_not():
    def weights(mean):
        return {f"{i}.weight": rng.normal(mean, 0.05, (128, 128)) for i in range(8)}

    assert causes(weights(0.05)) == [("weights_shifted", "1")]
    assert causes(weights(0.05), "tanh") == causes(weights(-0.05)) == causes(weights(0.0)) == []


def test_a_fix_scales_what_sets_the_size_of_the_weights():
    weights = {}
    for i in range(12):
        w = rng.normal(0, 1, (64, 64))
        weights |= {f"{i}.weight_g": np.full((64, 1), 0.3), f"{i}.weight_v": w}
    names = {"weights": weights}
    (found,) = inspect(weights).findings
    exec(found.fix, names)
    assert found.cause == "weights_small"
    assert inspect(names["weights"]).healthy


def test_theory_agrees_with_the_same_net_in_pytorch():
    torch = pytest.importorskip("torch")
    weights = mlp([256] * 9, 2.0, bias=0.3)
    parts = []
    for i in range(8):
        parts += [torch.nn.Linear(256, 256), torch.nn.ReLU()]
        parts[-2].load_state_dict({k: torch.tensor(weights[f"layers.{i}.{k}"]) for k in ("weight", "bias")})
    measured = inspect(torch.nn.Sequential(*parts[:-1]), torch.randn(2048, 256)).layers
    for theory, real in zip(inspect(weights).layers, measured, strict=True):
        # a layer's mean square varies by √(5/n) from net to net (Hanin & Nica 2018), added over layers
        assert theory.out2 == pytest.approx(real.out2, rel=4 * math.sqrt(5 * 8 / 256) / 2)
        assert theory.gain == pytest.approx(real.gain, rel=1e-5)
    state = torch.nn.Sequential(*parts[:-1]).state_dict()
    assert inspect(state).layers[3].gain == pytest.approx(measured[3].gain, rel=1e-5)


def test_keras_kernels_have_their_outputs_last():
    weights = {
        "conv/kernel": rng.normal(0, 0.1, (3, 3, 8, 16)),
        "conv/bias": np.zeros(16),
        "dense/kernel": rng.normal(0, 0.1, (16, 5)),
        "dense/bias": np.zeros(5),
    }
    conv, dense = inspect(weights).layers
    assert (conv.path, conv.kind, conv.fan_in, conv.fan_out, conv.area) == ("conv", "convolution", 72, 144, 9)
    assert (dense.fan_in, dense.fan_out) == (16, 5)


# ---- files


def written(path, tensors, types=None, change=None, tail=b""):
    """Write a .safetensors file by hand, as the format is documented."""
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, array in tensors.items():
        kind = (types or {}).get(
            name, {"f4": "F32", "f8": "F64", "f2": "F16", "i8": "I64"}[array.dtype.str[1:]]
        )
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [len(body), len(body) + array.nbytes],
        }
        body += array.tobytes()
    text = json.dumps((change or (lambda h: h))(header))
    text = text.encode() if isinstance(text, str) else text
    path.write_bytes(len(text).to_bytes(8, "little") + text + body + tail)
    return path


def test_a_file_is_read_as_it_was_written(tmp_path):
    arrays = {
        "b.weight": rng.normal(size=(4, 3)).astype("<f4"),
        "a.weight": rng.normal(size=(5, 4)).astype("<f2"),
        "c": np.arange(3),
        "d": rng.normal(size=(2, 2)),
    }
    found = Tensors(written(tmp_path / "m.safetensors", arrays))
    assert list(found) == ["b.weight", "a.weight", "c", "d"]
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())
    half = np.array([[1.5, -2.0], [0.25, 3e38]], "<f4")
    upper = (half.view("<u4") >> 16).astype("<u2").view("<f2")
    read = Tensors(written(tmp_path / "b.safetensors", {"w": upper}, {"w": "BF16"}))
    assert read["w"] == pytest.approx(half, rel=2**-8)
    assert read.formats == {"bfloat16": 4}


def test_files_are_those_of_the_formats_own_library(tmp_path):
    save = pytest.importorskip("safetensors.numpy").save_file
    weights = mlp([128] * 21, 1 / 3)
    save(weights, tmp_path / "m.safetensors")
    report = inspect(tmp_path / "m.safetensors")
    assert [f.cause for f in report.findings] == ["weights_small"]
    assert len(report.layers) == 20


def entry(**changes):
    return lambda header: header | {"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]} | changes}


@pytest.mark.parametrize(
    "change",
    [
        entry(data_offsets=[0, 15]),
        entry(data_offsets=[4, 20]),
        entry(data_offsets=[16, 0]),
        entry(data_offsets=[-4, 12]),
        entry(data_offsets=[0, 2**80]),
        entry(data_offsets=None),
        entry(shape=[2, 3]),
        entry(shape=[2**40, 2**40]),
        entry(shape=[-2, -2]),
        entry(shape=[True, 4]),
        entry(shape="ab"),
        entry(shape=[1] * 99),
        entry(dtype="F8_E4M3"),
        entry(dtype=None),
        entry(dtype="O"),
        lambda h: h | {"w": 3},
        lambda h: [],
        lambda h: {},
        lambda h: "x",
        lambda h: h | {"v": h["w"]},
    ],
)
def test_hostile_headers_are_refused_with_a_sentence(tmp_path, change):
    path = written(tmp_path / "m.safetensors", {"w": np.ones((2, 2), "<f4")}, change=change)
    with pytest.raises(ParamError, match="file must be"):
        Tensors(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"123",
        b"\xff" * 8,
        b"\xff" * 40,
        (2**62).to_bytes(8, "little") + b"{}",
        (4).to_bytes(8, "little") + b"{]}{",
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
        (50).to_bytes(8, "little") + b'{"w":1,"w":2}'.ljust(50),
        b"\x80\x04\x95" + b"c" * 60,
    ],
)
def test_other_bytes_are_refused_with_a_sentence(tmp_path, content):
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(ParamError, match="file must be"):
        Tensors(tmp_path / "m.safetensors")


def test_bytes_beyond_the_header_s_are_refused(tmp_path):
    with pytest.raises(ParamError, match="as its header says"):
        Tensors(written(tmp_path / "m.safetensors", {"w": np.ones((2, 2), "<f4")}, tail=b"more"))


def test_weights_without_a_matrix_and_unknown_activations_are_refused():
    with pytest.raises(ParamError, match="at least one matrix"):
        inspect({"a": np.ones(3)})
    with pytest.raises(ParamError, match="activation"):
        inspect(mlp([4, 4], 1.0), activation="swosh")


def test_weights_of_jax_are_read_in_its_short_floats_and_nested_ones_are_told_how():
    floats = pytest.importorskip("ml_dtypes")
    plain = {f"params/Dense_{i}/kernel": rng.normal(0, 0.05, (128, 128)) for i in range(12)}
    short = {name: w.astype(floats.bfloat16) for name, w in plain.items()}
    for one, other in zip(inspect(plain).layers, inspect(short).layers, strict=True):
        assert other.gain == pytest.approx(one.gain, rel=2**-8)  # a bfloat16 has 8 bits
    with pytest.raises(ParamError, match="flatten_dict"):
        inspect({"params": {"Dense_0": {"kernel": np.ones((3, 4))}}})
