"""The node that is proposed for a layer of PyTorch computes what that layer computes: both run on the same values.

Tests `language/foreign/convert.py`, `language/foreign/layers.py`, `language/foreign/sides.py` and
`language/foreign/write.py`.
"""

from __future__ import annotations

import re

import pytest
import timm.layers.blur_pool
import timm.layers.std_conv
import torch
from torch import Tensor, nn
from torch.nn import functional

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.language.expressions import FUNCTIONS
from archdsl.language.foreign.layers import CHANGES, IGNORED, ROWS, Row, find
from archdsl.language.foreign.missing import MISSING
from archdsl.language.read_nodes import readable
from archdsl.ops import OPS_BY_NAME

MODULES = [
    "nn.Conv2d(8, 12, 3)",
    "nn.Conv2d(8, 12, 3, 2, 1)",
    "nn.Conv2d(8, 12, 1)",
    "nn.Conv2d(8, 12, kernel_size=(1, 7), padding=(0, 3), bias=False)",
    "nn.Conv2d(8, 12, (3, 5), stride=(1, 2))",
    "nn.Conv2d(8, 12, 2, stride=2)",
    "nn.Conv2d(8, 12, 4, padding=1)",
    "nn.Conv2d(8, 12, 3, padding=2, dilation=2)",
    "nn.Conv2d(8, 12, 3, padding=1, dilation=2)",
    "nn.Conv2d(8, 12, 3, padding='same')",
    "nn.Conv2d(8, 12, 3, padding='valid')",
    "nn.Conv2d(8, 12, 3, groups=4)",
    "nn.Conv2d(8, 8, 3, padding=1, groups=8)",
    "nn.ConvTranspose2d(8, 12, 2, stride=2)",
    "nn.ConvTranspose2d(8, 12, 4, 2, 1)",
    "nn.ConvTranspose2d(8, 12, 3, stride=2, padding=1, output_padding=1)",
    "nn.ConvTranspose2d(8, 12, 3)",
    "nn.MaxPool2d(2)",
    "nn.MaxPool2d(3, 2, 1)",
    "nn.MaxPool2d(3, stride=2, ceil_mode=True)",
    "nn.MaxPool2d(kernel_size=2, stride=1)",
    "nn.AvgPool2d(2)",
    "nn.AvgPool2d(3, 2, padding=1)",
    "nn.AvgPool2d(3, 2, padding=1, count_include_pad=False)",
    "nn.AdaptiveAvgPool2d(1)",
    "nn.AdaptiveAvgPool2d((4, 4))",
    "nn.BatchNorm2d(8)",
    "nn.BatchNorm2d(8, eps=1e-3, momentum=0.01)",
    "nn.BatchNorm2d(8, affine=False)",
    "nn.GroupNorm(4, 8)",
    "nn.InstanceNorm2d(8)",
    "nn.InstanceNorm2d(8, affine=True)",
    "nn.LocalResponseNorm(5, alpha=1e-3, k=2)",
    "nn.ReLU(inplace=True)",
    "nn.ReLU6()",
    "nn.LeakyReLU(0.2)",
    "nn.LeakyReLU()",
    "nn.ELU(0.5)",
    "nn.PReLU()",
    "nn.PReLU(8)",
    "nn.GELU(approximate='tanh')",
    "nn.ConvTranspose2d(8, 12, 3, padding=(1,))",
    "nn.SiLU()",
    "nn.GELU()",
    "nn.Hardswish()",
    "nn.Hardsigmoid()",
    "nn.Sigmoid()",
    "nn.Tanh()",
    "nn.Softmax(dim=1)",
    "nn.Softmax2d()",
    "nn.LogSoftmax(dim=1)",
    "nn.Mish()",
    "nn.SELU()",
    "nn.CELU(0.5)",
    "nn.CELU(alpha=2.0)",
    "nn.Softplus()",
    "nn.Softplus(2, 10)",
    "nn.Softplus(beta=0.5, threshold=1)",
    "nn.Softsign()",
    "nn.Hardtanh()",
    "nn.Hardtanh(-0.25, 0.1)",
    "nn.Hardtanh(max_val=0.1)",
    "nn.PixelShuffle(2)",
    "nn.PixelShuffle(upscale_factor=2)",
    "nn.PixelUnshuffle(3)",
    "nn.Dropout(0.3)",
    "nn.Upsample(scale_factor=2)",
    "nn.Upsample(scale_factor=2, mode='bilinear')",
    "nn.Upsample(scale_factor=2, mode='bicubic')",
    "nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True)",
    "nn.ReflectionPad2d((1, 2, 3, 4))",
    "nn.ReplicationPad2d(2)",
    "nn.CircularPad2d((1, 0, 2, 0))",
    "nn.ZeroPad2d(2)",
    "nn.ZeroPad2d((1, 2, 3, 4))",
    "nn.ChannelShuffle(4)",
    "nn.Flatten()",
    "nn.Identity()",
    "nn.Sequential(nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))",
    "nn.Sequential(nn.Flatten(), nn.Linear(8 * 9 * 9, 10))",
    "nn.Conv1d(8, 12, 5, padding=2)",
    "nn.Conv1d(8, 12, 3, stride=2)",
    "nn.Conv3d(8, 12, 3, padding=1)",
    "nn.Conv3d(8, 12, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))",
    "nn.Conv3d(8, 12, (3, 1, 1), padding=(2, 0, 1))",
    "nn.ConvTranspose1d(8, 12, 4, 2, 1)",
    "nn.ConvTranspose3d(8, 12, 2, stride=2)",
    "nn.MaxPool1d(3, 2, 1)",
    "nn.MaxPool3d((1, 2, 2))",
    "nn.MaxPool3d(3, stride=(1, 2, 2), padding=1)",
    "nn.AvgPool1d(2)",
    "nn.AvgPool3d(3, 2, padding=1, count_include_pad=False)",
    "nn.AdaptiveAvgPool1d(4)",
    "nn.AdaptiveAvgPool3d((1, 2, 3))",
    "nn.AdaptiveAvgPool3d(1)",
    "nn.BatchNorm3d(8)",
    "nn.Sequential(nn.BatchNorm1d(8), nn.MaxPool1d(2))",
    "nn.InstanceNorm1d(8)",
    "nn.InstanceNorm3d(8, affine=True)",
    "nn.Upsample(scale_factor=2, mode='linear')",
    "nn.Upsample(scale_factor=2, mode='trilinear')",
    "nn.ZeroPad1d((1, 2))",
    "nn.ReflectionPad1d((1, 2))",
    "nn.ConstantPad1d((1, 2), 0.5)",
    "nn.ConstantPad3d(2, -1.0)",
    "nn.ConvTranspose3d(8, 4, 3, stride=(1, 2, 2), padding=1, output_padding=(0, 1, 1))",
    "nn.ConvTranspose3d(8, 4, 3, stride=(1, 2, 2), padding=1, output_padding=(0, 1, 0))",
    "nn.ConvTranspose3d(8, 4, (1, 4, 4), stride=(1, 2, 2), padding=(0, 1, 1))",
    "nn.ConvTranspose3d(8, 4, (3, 4, 2), stride=(1, 2, 2), padding=(2, 1, 0))",
    "nn.ConvTranspose2d(8, 12, (5, 3), stride=(2, 1), padding=(2, 0), output_padding=(1, 0))",
    "nn.ConvTranspose1d(8, 12, 5, stride=3, padding=2, output_padding=1)",
    "nn.ZeroPad3d((1, 2, 3, 4, 5, 6))",
    "nn.ReplicationPad3d((1, 2, 3, 4, 5, 6))",
]
FUNCTIONAL = {
    "F.relu(x)": lambda x: functional.relu(x),
    "F.max_pool2d(x, 2)": lambda x: functional.max_pool2d(x, 2),
    "F.avg_pool2d(x, 3, stride=2)": lambda x: functional.avg_pool2d(x, 3, stride=2),
    "F.leaky_relu(x, 0.1)": lambda x: functional.leaky_relu(x, 0.1),
    "F.gelu(x, approximate='tanh')": lambda x: functional.gelu(x, approximate="tanh"),
    "F.upsample(x, scale_factor=2)": lambda x: functional.interpolate(x, scale_factor=2),
    "F.interpolate(x, scale_factor=3)": lambda x: functional.interpolate(x, scale_factor=3),
    "F.pad(x, (1, 2, 0, 1), mode='circular')": lambda x: functional.pad(x, (1, 2, 0, 1), mode="circular"),
    "F.pad(x, (1, 2, 3, 4))": lambda x: functional.pad(x, (1, 2, 3, 4)),
    "F.pad(x, (1, 1))": lambda x: functional.pad(x, (1, 1)),
    "F.pad(x, (0, -2), value=0.5)": lambda x: functional.pad(x, (0, -2), value=0.5),
    "F.pad(x, [-1, 2, 0, 3], 'constant', 1.5)": lambda x: functional.pad(x, [-1, 2, 0, 3], "constant", 1.5),
    "F.adaptive_avg_pool2d(x, 1)": lambda x: functional.adaptive_avg_pool2d(x, 1),
    "torch.flatten(x, 1)": lambda x: torch.flatten(x, 1),
    "torch.softmax(x, dim=1)": lambda x: torch.softmax(x, dim=1),
    "F.mish(x)": lambda x: functional.mish(x),
    "F.selu(x)": lambda x: functional.selu(x),
    "F.celu(x, 0.5)": lambda x: functional.celu(x, 0.5),
    "F.softplus(x, 2)": lambda x: functional.softplus(x, 2),
    "F.softsign(x)": lambda x: functional.softsign(x),
    "F.log_softmax(x, dim=1)": lambda x: functional.log_softmax(x, dim=1),
    "F.hardtanh(x, -0.1, 0.2)": lambda x: functional.hardtanh(x, -0.1, 0.2),
    "F.hardtanh(x)": lambda x: functional.hardtanh(x),
    "torch.clamp(x, -0.1, 0.2)": lambda x: x.clamp(-0.1, 0.2),
    "torch.clamp(x, min=0, max=0.1)": lambda x: x.clamp(0, 0.1),
    "F.pixel_shuffle(x, 2)": lambda x: functional.pixel_shuffle(x, 2),
    "F.pixel_unshuffle(x, 3)": lambda x: functional.pixel_unshuffle(x, 3),
    "torch.add(x, x)": None,
}


def proposal(call: str, net: str = "input: 8x9x9\nnet:\n  a: ") -> str:
    """The node that the error for a call proposes."""
    with pytest.raises(ArchError) as caught:
        archdsl.loads(f"{net}{call}\n")
    (d,) = caught.value.diagnostics
    match = re.match(r"write `([^`]*)`$", d.help)
    assert match, d
    return match[1]


def axes_in(call: str) -> int:
    """The axes of the input of a module of PyTorch."""
    ranked = re.search(r"[A-Z]\w+([13])d\(", call)
    return int(ranked[1]) if ranked else 1 if "'linear'" in call else 3 if "'trilinear'" in call else 2


def network(node: str, axes: int = 2) -> nn.Module:
    sizes = "x".join(["8", *["9"] * axes])
    return archdsl.loads(f"input: {sizes}\nnet:\n  a: {node}\n").to_torch(seed=1).eval()


def assert_equal(module: nn.Module, theirs: nn.Module, axes: int = 2) -> None:
    image = torch.rand(2, 8, *[9] * axes) - 0.5
    ours = dict(zip(module.state_dict(), theirs.state_dict().values(), strict=True))
    module.load_state_dict(ours)
    with torch.no_grad():
        expected, found = theirs.eval()(image), module(image)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("call", MODULES)
def test_a_module_and_its_node_compute_the_same(call: str) -> None:
    torch.manual_seed(0)
    theirs = eval(call, {"nn": nn})
    for parameter in theirs.parameters():
        nn.init.normal_(parameter)
    axes = axes_in(call)
    assert_equal(network(proposal(call), axes), theirs, axes)


@pytest.mark.parametrize("call", [call for call, function in FUNCTIONAL.items() if function is not None])
def test_a_function_and_its_node_compute_the_same(call: str) -> None:
    class Function(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = FUNCTIONAL[call](x)  # type: ignore[misc]
            return result

    assert_equal(network(proposal(call).removesuffix(" <- x")), Function())


@pytest.mark.parametrize(
    "call",
    [
        "BlurPool2d(8)",
        "BlurPool2d(8, 5)",
        "BlurPool2d(filt_size=4, stride=3)",
        "StdConv2d(8, 12, 3)",
        "StdConv2d(8, 12, 7, stride=4)",
        "StdConv2d(8, 12, 4, 2, bias=True, eps=1e-3)",
        "StdConv2d(8, 12, 3, padding=2, groups=4)",
        "StdConv2d(8, 8, 3, groups=8)",
        "ScaledStdConv2d(8, 12, 3, gamma=1.7)",
        "ScaledStdConv2d(8, 12, 1, 2, bias=False)",
    ],
)
def test_a_layer_of_timm_and_its_node_compute_the_same(call: str) -> None:
    torch.manual_seed(0)
    theirs = eval(call, {**vars(timm.layers.std_conv), **vars(timm.layers.blur_pool)})
    for parameter in theirs.parameters():
        nn.init.normal_(parameter)
    assert_equal(network(proposal(call)), theirs)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("torch.clamp(x, min=0)", "`relu` has the lower limit 0 alone"),
        ("torch.clamp(x, max=6)", "`clip 0 6`"),
        ("F.interpolate(x, size=(64, 64))", "`upsample like=input`"),
        ("upsample size=64", "`upsample like=input`"),
        ("tf.nn.depth_to_space(x, 2)", "that of TensorFlow is another"),
        ("Activation('hard_sigmoid')", "write `hardsigmoid`; in Keras 2 it was `hardsigmoid alpha=0.2`"),
        ("activations.hard_sigmoid", "write `hardsigmoid`; in Keras 2 it was `hardsigmoid alpha=0.2`"),
        ("max <- a, b", "`maximum <- a, b`"),
    ],
)
def test_what_has_no_single_node(call: str, words: str) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(f"input: 8x9x9\nnet:\n  a: relu\n  b: relu\n  c: {call}\n")
    (d,) = caught.value.diagnostics
    assert words in d.help


WORDS = """attention, multi-head attention, multihead_attention, matmul, einsum, reshape, view, permute, transpose,
lstm 64, gru, rnn, embedding, grn, cbam, eca, se 16, aspp, deformable conv, deform_conv, unfold, roi
align, roi_align, nms, batch operations, spectral norm, spectral_norm, dropblock, stack, repeat, tile 2,
gather, argmax, cumsum, fft, nn.LSTM(8, 8), torch.stack([a]), torch.fft.fft2(x), depth_to_space 2,
weight_norm, one_hot, topk"""


@pytest.mark.parametrize("word", re.split(r",\s+(?![^(]*\))", WORDS.replace("\n", " ")))
def test_a_word_without_an_op_has_its_reason(word: str) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(f"input: 8x9x9\nnet:\n  a: relu\n  b: {word}\n")
    (d,) = caught.value.diagnostics
    assert d.code == "E0301" and "did you mean" not in d.help and "the ops are" not in d.help and d.help


@pytest.mark.parametrize(
    ("sizes", "word", "node"),
    [
        ("8x9", "conv1d 4", "3 conv 4"),
        ("8x9x9", "conv2d 4 3", "3x3 conv 4"),
        ("8x9x9", "3x3 conv2d 4", "3x3 conv 4"),
        ("8x9x9x9", "conv3d 4 kernel=3", "conv 4 kernel=3"),
    ],
)
def test_a_convolution_with_its_axes_in_its_name(sizes: str, word: str, node: str) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(f"input: {sizes}\nnet:\n  a: {word}\n")
    (d,) = caught.value.diagnostics
    assert f"write `{node}`" in d.help
    archdsl.loads(f"input: {sizes}\nnet:\n  a: {node}\n")


def test_the_comparison_can_fail() -> None:
    with pytest.raises((AssertionError, RuntimeError)):
        assert_equal(network("3x3 conv 12"), nn.Conv2d(8, 12, 3))
    with pytest.raises((AssertionError, RuntimeError)):
        assert_equal(network("leaky_relu 0.1"), nn.LeakyReLU(0.2))


@pytest.mark.parametrize(
    ("call", "node"),
    [
        ("Conv2D(8, 3)", "3x3 conv 8 valid"),
        ("Conv2D(8, 3, padding='same')", "3x3 conv 8"),
        ("Conv2D(8, 2, padding='same')", "2x2 conv 8 same"),
        ("Conv2D(8, 3, 2, 'same')", "3x3 conv 8 /2 same"),
        ("Conv2D(8, (3, 3), kernel_initializer='he_normal')", "3x3 conv 8 valid"),
        ("Conv2D(8, 1, use_bias=False)", "1x1 conv 8 nobias"),
        ("Conv2DTranspose(8, 4, strides=2, padding='same')", "4x4 deconv 8 /2"),
        ("Conv2DTranspose(8, 4, strides=2)", "4x4 deconv 8 /2 pad=0"),
        ("DepthwiseConv2D(3, padding='same')", "3x3 dwconv"),
        ("AveragePooling2D()", "2x2 avgpool"),
        ("AveragePooling2D(3, 2, 'same')", "3x3 avgpool /2 same inside"),
        ("BatchNormalization()", "bn eps=0.001 momentum=0.01"),
        ("BatchNormalization(momentum=0.9, epsilon=1e-5)", "bn"),
        ("layers.LeakyReLU()", "leaky_relu 0.3"),
        ("Activation(swish)", "silu"),
        ("ZeroPadding2D(((1, 2), (3, 4)))", "pad [1,3,2,4]"),
        ("ZeroPadding2D(3)", "pad 3"),
        ("UpSampling2D(2, interpolation='bilinear')", "upsample 2 linear"),
        ("Dense(10, 'relu')", "fc 10 relu"),
        ("Conv1D(8, 5, padding='same')", "5 conv 8"),
        ("Conv3D(8, 3, 2, 'same')", "3x3x3 conv 8 /2 same"),
        ("Conv3D(8, (1, 3, 3), strides=(1, 2, 2))", "1x3x3 conv 8 /1x2x2 valid"),
        ("Conv1DTranspose(8, 4, strides=2, padding='same')", "4 deconv 8 /2"),
        ("SeparableConv1D(8, 3, padding='same')", "[3 dwconv nobias, 1 conv 8]"),
        ("MaxPooling1D()", "2 maxpool"),
        ("AveragePooling3D(2)", "2x2x2 avgpool"),
        ("GlobalAveragePooling3D()", "gap"),
        ("UpSampling1D(3)", "upsample 3"),
        ("ZeroPadding1D((1, 2))", "pad [1,2]"),
        ("ZeroPadding3D((1, 2, 3))", "pad [1,2,3,1,2,3]"),
        ("PReLU(shared_axes=[1, 2, 3])", "prelu"),
        ("Conv1D(8, 4, padding='causal')", "4 conv 8 pad=[3,0]"),
        ("Conv1D(8, 3, padding='causal', dilation_rate=2)", "3 conv 8 pad=[4,0] dilation=2"),
        ("Conv1D(8, (3,), 2, 'causal', activation='relu')", "3 conv 8 /2 pad=[2,0] relu"),
        ("Conv1D(8, 1, padding='causal')", "1 conv 8"),
        ("SeparableConv1D(8, 3, padding='causal')", '["3 dwconv pad=[2,0] nobias", 1 conv 8]'),
        ("Cropping1D()", "pad -1"),
        ("Cropping1D((2, 3))", "pad [-2,-3]"),
        ("Cropping2D(2)", "pad -2"),
        ("Cropping2D(((1, 2), (0, 1)))", "pad [-1,0,-2,-1]"),
        ("Cropping3D((1, 2, 1))", "pad [-1,-2,-1,-1,-2,-1]"),
    ],
)
def test_layers_of_keras(call: str, node: str) -> None:
    """Defaults of Keras 3: no padding, eps 1e-3, and a momentum that is the weight of the old statistics."""
    assert proposal(call) == node
    ranked = re.search(r"([1-3])D", call)
    network(node, int(ranked[1]) if ranked else 2)


@pytest.mark.parametrize(
    ("sizes", "attempt", "node"),
    [
        ("input: 8x9", "conv 4 3", "3 conv 4"),
        ("input: 8x9x9", "conv 4 3", "3x3 conv 4"),
        ("input: 8x9x9x9", "conv 4 3", "3x3x3 conv 4"),
        ("input: [8, 9, 9, 9]", "3x3, 4, /2", "3x3x3 conv 4 /2"),
        ("input: {a: 8x9x9, b: 4}", "conv3-4", "3x3 conv 4"),
        ("input:\n  a: 8x9x9\n  b: 8x9", "conv 4 3", "conv 4 kernel=3"),
        ("input: 784", "conv 4 3", "conv 4 kernel=3"),
        ("input: 8x9x9", "kernel=2 conv 4", "conv 4 kernel=2"),
    ],
)
def test_a_loose_notation_is_for_the_axes_of_the_input(sizes: str, attempt: str, node: str) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(f"{sizes}\nnet:\n  x: {attempt}\n")
    assert caught.value.diagnostics[0].help == f"write `{node}`"


@pytest.mark.parametrize(
    ("sizes", "attempt", "node"),
    [
        ("8x50", "15 conv8", "15 conv 8"),
        ("8x50", "15 8 conv", "15 conv 8"),
        ("8x50", "15conv 64", "15 conv 64"),
        ("8x50", "3*15 conv 8", "3 * 15 conv 8"),
        ("8x50", "3*3 conv 8 relu", "3 * 3 conv 8 relu"),
        ("8x50", "conv15-64", "15 conv 64"),
        ("8x50", "64@15", "15 conv 64"),
        ("8x50", "2maxpool", "2 maxpool"),
        ("8x9x9", "3x3conv 64", "3x3 conv 64"),
        ("8x9x9", "3x3conv64", "3x3 conv 64"),
        ("8x9x9", "3conv 64", "3x3 conv 64"),
        ("8x9x9", "3x3 conv64", "3x3 conv 64"),
        ("8x9x9", "2x2maxpool", "2x2 maxpool"),
        ("8x9x9", "3*3 conv 64", "3x3 conv 64"),
        ("8x9x9", "3*3*64 conv", "3x3 conv 64"),
        ("8x9x9", "64@5", "5x5 conv 64"),
        ("8x9x9", "3x3 conv 64 /1,2", "3x3 conv 64 /1x2"),
        ("8x9x9", "64@3x3x3", "3x3 conv 64"),
        ("8x9x9x9", "3*3*3 conv 64", "3x3x3 conv 64"),
        ("8x9x9x9", "1*3*3 conv 64", "1x3x3 conv 64"),
        ("8x9x9x9", "3x3x3 conv 64 /1,2,2", "3x3x3 conv 64 /1x2x2"),
        ("8x9x9x9", "3x3x3 conv 64 /(1,2,2)", "3x3x3 conv 64 /1x2x2"),
        ("8x9x9x9", "3x3x3 conv 64 /(1, 2, 2) relu", "3x3x3 conv 64 /1x2x2 relu"),
        ("8x9x9x9", "3x3x3, 64, stride 1x2x2", "3x3x3 conv 64 /1x2x2"),
        ("8x9x9x9", "3x3x3, 64, stride (1,2,2)", "3x3x3 conv 64 /1x2x2"),
        ("8x9x9x9", "64@3x3x3", "3x3x3 conv 64"),
        ("8x9x9x9", "conv3x3x3-64", "3x3x3 conv 64"),
        ("8x9x9x9", "conv1x3x3 64", "1x3x3 conv 64"),
        ("8x9x9x9", "3x3x3conv 64", "3x3x3 conv 64"),
    ],
)
def test_a_notation_without_spaces_or_with_other_signs(sizes: str, attempt: str, node: str) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(f"input: {sizes}\nnet:\n  x: {attempt}\n")
    (d,) = caught.value.diagnostics
    assert re.match(r"write `([^`]*)`", d.help), d.help
    assert (d.code, d.help.split("`")[1]) == ("E0318", node)
    archdsl.loads(f"input: {sizes}\nnet:\n  x: {node}\n")


def test_equal_factors_for_other_axes_may_be_a_repeat() -> None:
    for sizes, attempt, node in (("8x9x9x9", "3*3 conv 8", "3x3x3 conv 8"), ("8x9x9", "3*3*3 conv 8", "3x3 conv 8")):
        with pytest.raises(ArchError) as caught:
            archdsl.loads(f"input: {sizes}\nnet:\n  x: {attempt}\n")
        assert caught.value.diagnostics[0].help == f"write `{node}`; a repeat is `3 * ...`"


@pytest.mark.parametrize(
    ("sizes", "attempt"),
    [("8x9x9", "5*5*3 conv 8"), ("8x9x9", "64@1x3x3"), ("8x50", "3x5 conv64"), ("8x9x9", "3x3, 8, /1x2x2")],
)
def test_no_window_for_other_axes_is_proposed(sizes: str, attempt: str) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(f"input: {sizes}\nnet:\n  x: {attempt}\n")
    assert "write `" not in caught.value.diagnostics[0].help


def test_causal_padding_reads_no_later_sample() -> None:
    """The proposed node computes what the convolution of the signal with zeros before it computes."""
    theirs = nn.Sequential(nn.ConstantPad1d((6, 0), 0.0), nn.Conv1d(8, 4, 4, dilation=2))
    node = proposal("Conv1D(4, 4, padding='causal', dilation_rate=2)", "input: 8x9\nnet:\n  a: ")
    assert_equal(network(node, 1), theirs, 1)
    with pytest.raises(ArchError) as caught:
        archdsl.loads("input: 8x9\nargs: {n: 5}\nnet:\n  a: Conv1D(4, n, padding='causal')\n")
    node = caught.value.diagnostics[0].help.split("`")[1]
    (conv,) = archdsl.loads(f"input: 8x9\nargs: {{n: 5}}\nnet:\n  a: {node}\n").graph.nodes[1:]
    assert conv.op.padding(conv.in_shapes) == (4, 0)


@pytest.mark.parametrize("call", ["F.pad(x, (1, 2), mode='symmetric')", "Conv2D(8, 3, padding='causal')"])
def test_padding_without_an_equivalent_is_said_to_be_so(call: str) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(f"input: 8x9x9\nnet:\n  a: {call}\n")
    (d,) = caught.value.diagnostics
    assert d.code == "E0318" and not d.help.startswith("write")


def test_the_note_about_a_transposed_convolution_of_keras() -> None:
    """TensorFlow crops `kernel - stride` pixels of the full size: the smaller half at the start."""
    for size in (2, 3, 4, 5):
        call = f"Conv2DTranspose(4, {size}, strides=2, padding='same', use_bias=False)"
        with pytest.raises(ArchError) as caught:
            archdsl.loads(f"input: 8x9x9\nnet:\n  a: {call}\n")
        (d,) = caught.value.diagnostics
        module = network(d.help.split("`")[1])
        (weight,) = module.state_dict().values()
        image = torch.rand(1, 8, 9, 9)
        start = (size - 2) // 2
        full = functional.pad(functional.conv_transpose2d(image, weight, stride=2), (0, 1, 0, 1))
        with torch.no_grad():
            found = module(image)
        shift = int("shifted" in d.help)
        assert shift == size % 2
        expected = full[:, :, start + shift : start + shift + 18, start + shift : start + shift + 18]
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_table_names_fields_that_exist(row: Row) -> None:
    known = {*OPS_BY_NAME[row.op].model_fields, *IGNORED, "act", "norm", "axis", "mode"}
    own = {"pool", "operation", "padding", "size", "out"}  # selects a row, means something else, or sets a second op
    own |= {"eps", "gamma"}  # of standardized filters
    own |= {"max_value", "slope", "threshold", "track_running_stats", "num_parameters", "shared_axes"}  # selects an op
    own |= {"center", "scale", "elementwise_affine"}  # sets `affine`
    for param in (*row.params, *row.defaults):
        change, _, name = param.rpartition(":")
        assert name in (known | own), param
        assert change in ("", "case", *CHANGES)


def test_words_that_are_missing_are_missing() -> None:
    assert not set(MISSING) & ({*OPS_BY_NAME} | {op.replace("_", "") for op in OPS_BY_NAME} | {*FUNCTIONS})
    assert not [word for word in MISSING if find(word) is not None]
    for reason in set(MISSING.values()):
        for part in re.findall(r"`([^`]+)`", reason):
            if not part.endswith(":"):
                assert part.startswith("archdsl ") or readable(part), part


@pytest.mark.parametrize("word", ["attention", "grn", "lstm", "matmul", "nn.MultiheadAttention(64, 8)"])
@pytest.mark.parametrize("where", ["net:\n  a: {}", "net:\n  - {}", "net: {{a: {{op: {}}}}}"])
def test_a_missing_op_is_not_guessed_by_spelling(word: str, where: str) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(f"input: 8x9x9\n{where.format(word)}\n")
    if "(" in word and "op:" in where:
        return  # not YAML of one node: brackets in brackets
    (d,) = caught.value.diagnostics
    assert d.code == "E0301" and "did you mean" not in d.help and "the ops are" not in d.help


@pytest.mark.parametrize(
    "call",
    [
        "torch.cat([a, input], dim=2)",
        "torch.cat([a, input], 0)",
        "Concatenate(axis=2)([a, input])",
        "nn.Softmax(dim=2)",
        "torch.flatten(a, 2)",
        "F.softmax(a, dim=0)",
    ],
)
def test_an_axis_other_than_the_channels_is_not_left_out(call: str) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(f"input: 8x9x9\nnet:\n  a: relu\n  b: {call}\n")
    (d,) = caught.value.diagnostics
    assert "works over the channels" in d.help


@pytest.mark.parametrize(
    ("call", "node"),
    [
        ("torch.cat((a, input), 1)", "concat <- a, input"),
        ("torch.cat([a, input], dim=-3)", "concat <- a, input"),
        ("Concatenate(axis=-1)([a, input])", "concat <- a, input"),
        ("F.softmax(a, dim=-1)", "softmax <- a"),
    ],
)
def test_the_axis_of_the_channels_is_implied(call: str, node: str) -> None:
    assert proposal(call, "input: 8x9x9\nnet:\n  a: relu\n  b: ") == node


def test_a_layer_norm_over_the_image_is_not_one_over_the_channels() -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.loads("input: 8x9x9\nnet:\n  a: nn.LayerNorm([8, 9, 9])\n")
    (d,) = caught.value.diagnostics
    assert "`gn 1`" in d.help
