"""Published architectures, as they are initialized: python -m tests.benchmarks.bench_architectures

Of ``keras.applications``, and of torchvision, timm and transformers where they are installed (no test needs
them): each is built with random weights and inspected on normal inputs, and what is found is printed. All of
them have been trained, so nothing is expected, but of Inception's: deep nets with batch normalization and
without skip connections let the gradient grow (Yang et al. 2019), and InceptionV3 was trained with its
gradient clipped.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import torch
import torch.nn.functional as F

from vgdash import inspect

KERAS = """VGG16 ResNet50 ResNet50V2 DenseNet121 MobileNet MobileNetV2 MobileNetV3Small EfficientNetB0
InceptionV3 InceptionResNetV2 Xception ConvNeXtTiny"""
TORCHVISION = """alexnet vgg16 vgg16_bn resnet18 resnet50 resnext50_32x4d densenet121 squeezenet1_0
mobilenet_v2 mobilenet_v3_large mnasnet0_5 shufflenet_v2_x0_5 efficientnet_b0 efficientnet_v2_s
regnet_y_400mf convnext_tiny vit_b_32 swin_t swin_v2_t maxvit_t"""
TIMM = """resnetv2_50 seresnet50 skresnet18 resnest14d nf_regnet_b0 dm_nfnet_f0 eca_nfnet_l0
convnextv2_atto convmixer_768_32 ghostnet_100 mobilevit_xxs mobilevitv2_050 coatnet_0_224 dpn68 dla34
hrnet_w18_small repvgg_a0 darknet53 inception_v4 levit_128s crossvit_tiny_240 cait_xxs24_224
deit_tiny_patch16_224 beit_base_patch16_224 mixer_s32_224 gmlp_s16_224 xcit_nano_12_p16_224 pvt_v2_b0
mvitv2_tiny sequencer2d_s poolformer_s12 efficientformer_l1 fastvit_t8 mobilenetv4_conv_small
mambaout_femto"""
SMALL = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 128,
         "vocab_size": 200}
LANGUAGE = {  # the class of transformers, and what its configuration has besides ``SMALL``
    "BertForMaskedLM": {}, "RobertaForMaskedLM": {}, "GPTNeoXForCausalLM": {}, "LlamaForCausalLM": {},
    "PhiForCausalLM": {},
    "GPT2LMHeadModel": {"n_embd": 64, "n_layer": 4, "n_head": 4},
    "BloomForCausalLM": {"n_layer": 4, "n_head": 4},
    "MixtralForCausalLM": {"num_local_experts": 4, "num_key_value_heads": 2},
    "Gemma2ForCausalLM": {"num_key_value_heads": 2, "head_dim": 16}, "MambaForCausalLM": {"state_size": 8},
    "T5ForConditionalGeneration": {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 3, "num_heads": 4,
                                   "decoder_start_token_id": 0}}

Case = tuple[Any, Any, Any, Any]  # model, inputs, targets, loss


def keras_case(name: str) -> Case:
    keras = import_module("keras")
    plain = {"include_preprocessing": False} if name.startswith(("MobileNetV3", "ConvNeXt")) else {}
    model = getattr(keras.applications, name)(weights=None, classes=10, input_shape=(96, 96, 3),
                                              classifier_activation=None, **plain)
    x = torch.randn(8, 96, 96, 3)
    return (model, 50 * x + 127 if name == "EfficientNetB0" else x, torch.arange(8) % 10,
            keras.losses.SparseCategoricalCrossentropy(from_logits=True))


def torchvision_case(name: str) -> Case:
    size = 224 if name in ("vit_b_32", "maxvit_t") else 128
    model = getattr(import_module("torchvision.models"), name)(weights=None)
    return model, torch.randn(8, 3, size, size), torch.arange(8), F.cross_entropy


def timm_case(name: str) -> Case:
    model = import_module("timm").create_model(name, pretrained=False, num_classes=10)
    size = min(model.default_cfg["input_size"][-1], 240)
    return model, torch.randn(4, 3, size, size), torch.arange(4), F.cross_entropy


def language_case(name: str) -> Case:
    transformers = import_module("transformers")
    kind = getattr(transformers, name)
    model, words = kind(kind.config_class(**{**SMALL, **LANGUAGE[name]})), torch.randint(5, 200, (8, 24))
    return model, {"input_ids": words, "labels": words}, None, None


SOURCES: dict[str, tuple[list[str], Callable[[str], Case]]] = {
    "keras": (KERAS.split(), keras_case), "torchvision": (TORCHVISION.split(), torchvision_case),
    "timm": (TIMM.split(), timm_case), "transformers": (list(LANGUAGE), language_case)}


def findings() -> Iterator[tuple[str, str]]:
    """Yield name and findings of each model that can be built here; "" if it has none."""
    for package, (names, case) in SOURCES.items():
        for name in names if find_spec(package) else ():
            torch.manual_seed(0)
            start = time.monotonic()
            report = inspect(*case(name))
            found = "; ".join(f"{f.cause} at {f.layers[0]}: {f.evidence}" for f in report.findings)
            print(f"{package} {name}: {time.monotonic() - start:.1f} s {found or 'healthy'}", flush=True)
            yield f"{package} {name}", found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    judged = list(findings())
    print(f"{len(judged)} architectures, {sum(not found for _, found in judged)} without a finding")
    sys.exit(not judged)
