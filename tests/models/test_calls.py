"""Calls of ``inspect`` as people write them: what it takes, and how it refuses the rest in a sentence."""

from collections import UserDict

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from vgdash import ParamError, inspect  # noqa: E402

X, CLASSES = torch.randn(9, 8), torch.arange(9) % 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.jit
def test_what_cannot_be_inspected_is_refused_with_a_sentence(tmp_path):
    model, scripted = nn.Linear(8, 2), torch.jit.trace(nn.Linear(8, 2), X)
    for wrong, inputs, said in ((scripted, X, "scripted"), (model, None, "batch"), (3, X, "NumPy"),
                                (nn.LazyLinear(3), X, "once"), (nn.ReLU(), X, "has the layers"),
                                ([X], None, "NumPy"), (model, X[:0], "at least one example"),
                                (model, torch.utils.data.DataLoader(X), "one batch"),
                                (model, (X, torch.arange(9)), "targets apart"),
                                (torch.optim.SGD(model.parameters()), X, "the module itself"),
                                (nn.Linear(8, 2, device="meta"), X, "to_empty"),
                                (tmp_path / "model.pt", None, "pickle")):
        with pytest.raises(ParamError, match=said):
            inspect(wrong, inputs)


@pytest.mark.parametrize("option", [{"formats": ("float8",)}, {"formats": "float8"}, {"rate": "0.1"},
                                    {"rate": -1.0}, {"rate": float("nan")}])
def test_options_out_of_their_bounds_are_named(option):
    with pytest.raises(ParamError, match=f"^{next(iter(option))} must be"):
        inspect(nn.Linear(8, 2), X, **option)


@pytest.mark.parametrize(("targets", "loss", "said"), [
    (CLASSES + 1, None, "below 3"), (CLASSES.float(), None, r"shape \(9, 3\)"),
    (CLASSES.tolist(), None, "tensor of whole"), (CLASSES, "mse", "function"),
    (None, nn.CrossEntropyLoss(), "targets must be"), (None, nn.functional.mse_loss, "targets must be"),
    (CLASSES, nn.CrossEntropyLoss, r"CrossEntropyLoss\(\)"),
    (CLASSES, lambda o, t: (o.sum(), {}), "loss alone"),
    (CLASSES, lambda o, t: o.sum().item(), "without .item")])
def test_targets_and_losses_that_do_not_fit_are_refused_with_a_sentence(targets, loss, said):
    with pytest.raises(ParamError, match=said):
        inspect(nn.Linear(8, 3), X, targets, loss)


def test_one_example_without_an_axis_for_the_batch_is_refused():
    with pytest.raises(ParamError, match="inputs\\[None\\]"):
        inspect(nn.Linear(8, 3), X[0], CLASSES[0])


def test_a_loss_may_be_one_of_the_outputs_alone():
    assert inspect(nn.Linear(8, 3), X, None, lambda o: 0 * o.sum() + 7).trace.loss == 7


def test_layers_that_are_all_in_a_list_are_asked_for_in_another():
    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(8, 3)]

        def forward(self, x):
            return self.layers[0](x)
    with pytest.raises(ParamError, match="ModuleList"):
        inspect(Hidden(), X)


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(50, 16), nn.Linear(16, 3)

    def forward(self, ids, mask=None):
        return self.head((self.words(ids) * mask[..., None]).mean(1))


@pytest.mark.parametrize("kind", [dict, UserDict])  # what tokenizers return is a UserDict
def test_a_mapping_gives_arguments_by_name(kind):
    inputs = kind({"ids": torch.randint(50, (9, 5)), "mask": torch.ones(9, 5)})
    assert [a.path for a in inspect(Named(), inputs, CLASSES).layers] == ["words", "head"]


def test_a_healthy_report_says_which_layers_it_says_nothing_of():
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    report = inspect(model, X, CLASSES)
    assert report.sentence == "Healthy: 2 layers pass signal and gradient on as theory says."
    model.requires_grad_(False)
    assert "all weights are frozen" in inspect(model, X, CLASSES).sentence
    model[2].requires_grad_(True)
    assert inspect(model, X, CLASSES).sentence == report.sentence, "a frozen layer has a part in the loss"

    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = nn.Linear(8, 3), nn.Linear(8, 1)

        def forward(self, x):
            return self.one(x), self.other(x)
    report = inspect(Heads(), X, CLASSES, lambda o, t: nn.functional.cross_entropy(o[0], t))
    assert report.sentence.endswith("; 1 layer has no part in the loss.")
