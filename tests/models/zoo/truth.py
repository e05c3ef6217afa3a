"""What is wrong with the models of `models.py`: name -> (causes, layers).

A report is right if one of its first two findings has one of the causes and, among its layers, one of these.
Healthy models have neither, and a report on them has no finding.
"""


def each(pattern, *numbers):
    return {pattern.format(i) for i in numbers}


BROKEN = {
    "mlp_relu_default": ({"weights_small"}, each("{}", *range(0, 58, 2))),
    "mlp_tanh_normal": ({"weights_large", "saturated"}, each("{}", *range(16))),
    "vgg_kernel_forgotten": ({"wrong_fan"}, each("{}", *range(0, 12, 2))),
    "gpt_last_norm_zero": ({"scale_zero"}, {"norm"}),
    "mlp_constant": ({"weights_identical"}, each("{}", 0, 2, 4, 6)),
    "residual_without_norm": ({"stream_grows"}, {f"{i}{part}" for i in range(1, 25)
                                               for part in ("", ".up", ".down")}),
    "mlp_batchnorm_deep": ({"gradient_grows"}, each("{}", *range(150))),
    "cnn_pixels": ({"input_scale"}, {"0"}),
    "lm_tied_embedding": ({"output_scale"}, {"head", "tokens"}),
    "encoder_detached": ({"detached"}, {"encoder", "encoder.0", "encoder.2"}),
    "autoencoder_dead_code": ({"dead"}, {"encoder.2", "encoder.3"}),
    "pointcloud_half": ({"float16_overflow"}, {"pool", "norm"}),
}
HEALTHY = ("mlp_he", "resnet_zero_gamma", "gpt2", "siren", "vit_small_head", "lstm_default")
TRUTH = BROKEN | {name: (set(), set()) for name in HEALTHY}
