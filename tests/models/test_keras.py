"""Keras models: measured like PyTorch's, named as Keras names them, and nothing of them changes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
keras = pytest.importorskip("keras")

from keras import layers  # noqa: E402

from tests.benchmarks.bench_architectures import keras_case  # noqa: E402
from vgdash import ParamError, assert_healthy, inspect  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras' own: __array__ without copy
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
rng = np.random.default_rng(0)
X, T = rng.normal(size=(64, 32)).astype("float32"), np.arange(64) % 10


def mlp(depth, activation, start, width=64):
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(width, activation=activation, kernel_initializer=start, name=f"d{i}")
              for i in range(depth)]
    return keras.Sequential([layers.Input((32,)), *hidden, layers.Dense(10, name="head")])


def images(block, depth=4):
    keras.utils.set_random_seed(0)
    inputs = layers.Input((8, 8, 3))
    h = layers.Conv2D(16, 3, padding="same")(inputs)
    for _ in range(depth):
        h = block(h)
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(h)))


def residual(h):
    b = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(h)))
    b = layers.BatchNormalization(gamma_initializer="zeros")(layers.Conv2D(16, 3, padding="same")(b))
    return layers.ReLU()(layers.Add()([h, b]))


def transformer():
    keras.utils.set_random_seed(0)
    inputs = layers.Input((16,))
    h = layers.Embedding(50, 32)(inputs)
    for _ in range(3):
        a = layers.LayerNormalization()(h)
        h = layers.Add()([h, layers.MultiHeadAttention(4, 8)(a, a)])
        f = layers.Dense(64, activation="gelu")(layers.LayerNormalization()(h))
        h = layers.Add()([h, layers.Dropout(0.1)(layers.Dense(32)(f))])
    h = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(h))
    return keras.Model(inputs, layers.Dense(10)(h))


def state(model):
    return [v.numpy().copy() for v in model.variables]


def judged(model, x=X, loss=LOSS):
    before = state(model)
    report = inspect(model, x, T[:len(x)], loss)
    assert all(map(np.array_equal, before, state(model)))
    return report


def recurrent():
    return keras.Sequential([layers.Input((16,)), layers.Embedding(50, 32), layers.LSTM(32),
                             layers.Dense(10)])


@pytest.mark.parametrize(("build", "x"), [
    (lambda: mlp(12, "relu", "he_normal"), X), (lambda: mlp(3, "tanh", "glorot_uniform"), X),
    (lambda: images(residual), rng.normal(size=(32, 8, 8, 3))),
    (transformer, rng.integers(50, size=(64, 16))), (recurrent, rng.integers(50, size=(64, 16)))])
def test_healthy_models_have_no_finding(build, x):
    assert judged(build(), x).healthy


def dead():
    model = mlp(4, "relu", "he_normal")
    model.get_layer("d1").bias.assign(np.full(64, -20.0))
    return model


def deep_norm():
    parts = [layers.Input((32,))]
    for _ in range(45):
        parts += [layers.Dense(32, use_bias=False, kernel_initializer="he_normal"),
                  layers.BatchNormalization(), layers.ReLU()]
    return keras.Sequential([*parts, layers.Dense(10)])


def stream():
    inputs = layers.Input((32,))
    h = layers.Dense(64)(inputs)
    for _ in range(16):
        h = layers.Add()([h, layers.Dense(64, activation="relu", kernel_initializer="he_normal")(h)])
    return keras.Model(inputs, layers.Dense(10)(h))


@pytest.mark.parametrize(("build", "cause", "layer", "scale"), [
    (lambda: mlp(8, "relu", keras.initializers.RandomNormal(stddev=0.02)), "weights_small", "d0", 1),
    (lambda: mlp(8, "relu", keras.initializers.RandomNormal(stddev=1.0)), "weights_large", "d0", 1),
    (lambda: mlp(3, "relu", "zeros"), "weights_zero", "d1", 1), (dead, "dead", "d1", 1),
    (lambda: mlp(3, "tanh", "glorot_uniform"), "input_scale", "d0", 1000), (stream, "stream_grows", "", 1),
    (deep_norm, "gradient_grows", "", 1)])
def test_broken_models_are_named_and_cured(build, cause, layer, scale):
    model, x = build(), X * scale
    report = judged(model, x)
    assert cause in [f.cause for f in report.findings[:2]]
    assert layer in report.findings[0].layers or not layer
    names = {"model": model, "inputs": x}
    for finding in report.findings:
        exec(finding.fix, names)
    assert judged(model, names["inputs"]).healthy


def test_what_is_measured_is_what_numpy_gives():
    model = mlp(1, "relu", "he_normal")
    first, head = judged(model).layers
    z = X @ model.get_layer("d0").kernel.numpy()
    assert (first.path, head.path, first.fan_in, first.initializer) == ("d0", "head", 32, "he_normal")
    assert first.out2 == pytest.approx(np.mean(z**2), rel=1e-4)
    assert head.in2 == pytest.approx(np.mean(np.maximum(z, 0)**2), rel=1e-4)


def test_a_compiled_model_brings_its_loss():
    model = mlp(2, "relu", "he_normal")
    model.compile(loss=LOSS)
    assert inspect(model, X, T).trace.loss == pytest.approx(float(LOSS(T, model(X))), rel=1e-5)


def test_a_model_that_was_never_called_has_no_weights_to_inspect():
    model = keras.Sequential([layers.Dense(8)])
    with pytest.raises(ParamError, match="Call it once"):
        inspect(model, X, T)
    assert not model.built


@pytest.mark.parametrize("name", ["MobileNet", "MobileNetV3Small", "EfficientNetB0"])
def test_published_architectures_are_healthy(name):
    keras.utils.set_random_seed(0)
    assert_healthy(*keras_case(name))


def test_a_softmax_over_one_number_becomes_a_sigmoid():
    model = keras.Sequential([layers.Input((32,)), layers.Dense(8, "relu"),
                              layers.Dense(1, "softmax", name="last")])
    targets = (T[:, None] > 4).astype("float32")
    found = inspect(model, X, targets, keras.losses.BinaryCrossentropy()).findings[0]
    assert (found.cause, found.layers) == ("last_activation", ("last",))
    exec(found.fix, {"model": model})
    assert model.layers[-1].activation is keras.activations.sigmoid
    assert_healthy(model, X, targets, keras.losses.BinaryCrossentropy())
